import { integer, options } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { copyGrid, copyHeads } from '../arguments/lists.ts';
import { differences, type Grid, gridCodes, windowIndex } from '../plan/grid.ts';
import type { Encoding, SumIndex } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import { type Recipes, squareOf } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `levit`. */
export interface LevitOptions {
  /** Rows and columns of the keys' grid, or one number for both (`resolution_input`). */
  readonly resolution: number | readonly [number, number];
  /** [heads, rows · columns]: `attention_biases`. */
  readonly attentionBiases: Table;
  /** Queries are every stride-th cell on both axes, as in subsampling layers; default 1. */
  readonly stride?: number;
}

/** Rows of the codes, at the strided cells, plus complements of all cells: a map takes differences to |dy|·w + |dx|. */
function levitIndex([h, w]: Grid, stride: number): SumIndex {
  const { codes, complements } = gridCodes([h, w]);
  const width = 2 * w - 1;
  const thinned = codes.filter((_, n) => Math.floor(n / w) % stride === 0 && (n % w) % stride === 0);
  const entry = (n: number): number => Math.abs(Math.floor(n / width) - (h - 1)) * w + Math.abs((n % width) - (w - 1));
  return { rows: thinned, columns: complements, map: Int32Array.from({ length: differences([h, w]) }, (_, n) => entry(n)) };
}

/**
 * LeViT's bias: b = attentionBiases[h, number(|y_i − y_j|, |x_i − x_j|)]. The original numbers the pairs as they first appear when it
 * scans queries and, for each, keys; the first query stands in the corner and meets every pair, so that the number is
 * |dy| · columns + |dx|, with a stride too. L = ⌈rows/stride⌉·⌈columns/stride⌉, S = rows · columns.
 *
 * Graham et al. 2021, arXiv 2104.01136; LeViT, TinyViT, EfficientFormer.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = levit({ resolution: 14, attentionBiases: new Float32Array(4 * 14 * 14), stride: 2 });
 * ```
 */
export function levit(given: LevitOptions): Encoding {
  const where = 'levit';
  given = options(where, given, ['resolution', 'attentionBiases', 'stride']);
  const grid = copyGrid(where, 'resolution', given.resolution);
  const stride = integer(where, 'stride', given.stride ?? 1, 1, 4096);
  const { heads, values } = copyHeads(where, 'attentionBiases', given.attentionBiases, grid[0] * grid[1]);
  const whole = levitIndex(grid, stride);
  return withBiases({
    name: where,
    lower(context) {
      const index = windowIndex(where, 'resolution', whole, context);
      return { biases: [{ kind: 'index', heads, table: values, index }] };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'levit',
    formula: 'b = attentionBiases[head, |y_i − y_j| · w + |x_i − x_j|]',
    options: 'resolution, attentionBiases, stride',
    models: 'LeViT, TinyViT, EfficientFormer',
    make: levit,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  levit: {
    kind: 'index bias',
    form: 'square',
    options: ({ H, L }, { table }) => ({ resolution: squareOf(L), attentionBiases: table([H, L], 1) }),
  },
};
