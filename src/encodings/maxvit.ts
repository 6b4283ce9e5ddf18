import { options } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { copyGrid, copyHeads } from '../arguments/lists.ts';
import { differences, gridCodes, windowIndex } from '../plan/grid.ts';
import type { Encoding } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import { differencesOf, type Recipes, squareOf } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `maxvit`. */
export interface MaxvitOptions {
  /** Rows and columns of a window, or one number for both. */
  readonly windowSize: number | readonly [number, number];
  /** [heads, 2h − 1, 2w − 1]: `rel_pos.relative_position_bias_table`. */
  readonly table: Table;
}

/**
 * The bias of MaxViT and CoAtNet in their TensorFlow form: b = table[h, y_j − y_i + h − 1, x_j − x_i + w − 1], key minus query, which is
 * Swin's table turned round on both axes. L = S = the cells of a window or of a grid partition, row by row.
 *
 * Tu et al. 2022, arXiv 2204.01697; timm's `RelPosBiasTf`.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = maxvit({ windowSize: [7, 7], table: new Float32Array(2 * 13 * 13) });
 * ```
 */
export function maxvit(given: MaxvitOptions): Encoding {
  const where = 'maxvit';
  given = options(where, given, ['windowSize', 'table']);
  const window = copyGrid(where, 'windowSize', given.windowSize);
  const { heads, values } = copyHeads(where, 'table', given.table, differences(window));
  const { codes, complements } = gridCodes(window);
  return withBiases({
    name: where,
    lower(context) {
      const index = windowIndex(where, 'windowSize', { rows: complements, columns: codes }, context);
      return { biases: [{ kind: 'index', heads, table: values, index }] };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'maxvit',
    formula: 'b = table[head, y_j − y_i + h − 1, x_j − x_i + w − 1]',
    options: 'windowSize, table',
    models: 'MaxViT, CoAtNet',
    make: maxvit,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  maxvit: {
    kind: 'index bias',
    form: 'square',
    options: ({ H, L }, { table }) => ({ windowSize: squareOf(L), table: table([H, differencesOf(squareOf(L))], 1) }),
  },
};
