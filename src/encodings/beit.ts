import { options } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { copyByHead, copyGrid, type HeadTable } from '../arguments/lists.ts';
import { differences, type Grid, gridCodes, resizeGrid, windowIndex } from '../plan/grid.ts';
import type { Encoding, SumIndex } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import { differencesOf, type Recipes, squareOf } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `beit`. */
export interface BeitOptions {
  /** Rows and columns of patches, or one number for both. */
  readonly windowSize: number | readonly [number, number];
  /** [(2h − 1)·(2w − 1) + 3, heads]: `relative_position_bias_table`; h and w of `pretrainedWindowSize` if that is given. */
  readonly table: Table;
  /** Patches the table was trained for: its two-dimensional part is resized to `windowSize`. */
  readonly pretrainedWindowSize?: number | readonly [number, number];
}

/** Rows for the class token: class to patch, patch to class, class to class. */
const EXTRA = 3;

/** A table for another number of patches; the rows of the class token stay. */
function resized({ heads, values }: HeadTable, from: Grid, to: Grid): HeadTable {
  const span = ([h, w]: Grid): Grid => [2 * h - 1, 2 * w - 1];
  const before = differences(from);
  const after = differences(to);
  const row = (h: number): number => h * (before + EXTRA);
  const patches = Array.from({ length: heads }, (_, h) => [...values.subarray(row(h), row(h) + before)]);
  const scaled = resizeGrid({ heads, values: Float32Array.from(patches.flat()) }, span(from), span(to)).values;
  const out = new Float32Array(heads * (after + EXTRA));
  for (let h = 0; h < heads; h++) {
    out.set(scaled.subarray(h * after, (h + 1) * after), h * (after + EXTRA));
    out.set(values.subarray(row(h) + before, row(h + 1)), h * (after + EXTRA) + after);
  }
  return { heads, values: out };
}

/**
 * Sums of codes, with P differences of patches: patch and patch 0 … P − 1, class query P … 2P − 1, class key 2P … 3P − 1, both 3P. The
 * map sends them to the table's rows.
 */
function beitIndex(window: Grid): SumIndex {
  const P = differences(window);
  const { codes, complements } = gridCodes(window);
  const map = Int32Array.from({ length: 3 * P + 1 }, (_, n) => (n < P ? n : P + Math.floor(n / P) - 1));
  return { rows: Int32Array.from([P, ...codes]), columns: Int32Array.from([2 * P, ...complements]), map };
}

/**
 * BEiT's bias: Swin's over the patches, b = table[(y_i − y_j + h − 1)·(2w − 1) + x_i − x_j + w − 1, h], and three more rows for the class
 * token, which is token 0: class to patch, patch to class, class to class. L = S = h·w + 1.
 *
 * With `pretrainedWindowSize` the table is resized bilinearly. The original (`interpolate_pos_encoding`) takes the table for one of
 * columns × rows there, which is wrong unless the window is square; that is not followed.
 *
 * Bao et al. 2021, arXiv 2106.08254; BEiT, Data2Vec-Vision.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = beit({ windowSize: [14, 14], table: new Float32Array((27 * 27 + 3) * 12) });
 * ```
 */
export function beit(given: BeitOptions): Encoding {
  const where = 'beit';
  given = options(where, given, ['windowSize', 'table', 'pretrainedWindowSize']);
  const window = copyGrid(where, 'windowSize', given.windowSize);
  const trained = copyGrid(where, 'pretrainedWindowSize', given.pretrainedWindowSize ?? window);
  const own = copyByHead(where, 'table', given.table, differences(trained) + EXTRA);
  const same = trained[0] === window[0] && trained[1] === window[1];
  const { heads, values } = same ? own : resized(own, trained, window);
  const whole = beitIndex(window);
  return withBiases({
    name: where,
    lower(context) {
      const index = windowIndex(where, 'windowSize', whole, context);
      return { biases: [{ kind: 'index', heads, table: values, index }] };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'beit',
    formula: 'as swin, and three rows for the class token',
    options: 'windowSize, table, pretrainedWindowSize',
    models: 'BEiT, Data2Vec-Vision',
    make: beit,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  beit: {
    kind: 'index bias',
    form: 'class',
    options: ({ H, L }, { table }) => ({ windowSize: squareOf(L - 1), table: table([differencesOf(squareOf(L - 1)) + 3, H]) }),
  },
};
