import { options, shapeText, wrongValue } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { copyByHead, copyGrid, placeOf } from '../arguments/lists.ts';
import { differences, type Grid, gridCodes, windowIndex } from '../plan/grid.ts';
import type { Bias, Encoding, LowerContext, SumIndex } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import { differencesOf, type Recipes, squareOf } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** A shifted image: which windows mix regions that were apart. */
export interface ShiftedWindows {
  /** Rows and columns of the image in cells, multiples of the window. */
  readonly imageSize: readonly [number, number];
  /** Cells by which it was rolled, `shift_size`; default half a window. */
  readonly shiftSize?: number | readonly [number, number];
}

/** Options of `swin`. */
export interface SwinOptions {
  /** Rows and columns of a window, or one number for both (`window_size`). */
  readonly windowSize: number | readonly [number, number];
  /** [(2h − 1)·(2w − 1), heads]: `relative_position_bias_table`. */
  readonly table: Table;
  /** For the layers with shifted windows; batch row b is then window b mod (windows of an image), row by row. */
  readonly shifted?: ShiftedWindows;
}

/** What the original adds between regions. */
const APART = -100;

/** 0 within a region of a shifted image and −100 between regions, as a table and codes per batch row. */
export function shiftedBias(where: string, window: Grid, { image, shift }: { image: Grid; shift: Grid }, context: LowerContext): Bias {
  const { B, L, S } = context.shape;
  const { keyOffset } = placeOf(context);
  const [h, w] = window;
  const across = image[1] / w;
  const windows = (image[0] / h) * across;
  if (B % windows) {
    const because = `imageSize ${shapeText(image)} holds ${windows}`;
    throw wrongValue(where, 'batch', `a multiple of ${windows} windows`, `B=${B}`, because);
  }
  const band = (at: number, axis: 0 | 1): number => Number(at >= image[axis] - window[axis]) + Number(at >= image[axis] - shift[axis]);
  const region = (b: number, cell: number): number => {
    const n = b % windows;
    const y = Math.floor(n / across) * h + Math.floor(cell / w);
    const x = (n % across) * w + (cell % w);
    return 3 * band(y, 0) + band(x, 1);
  };
  return {
    kind: 'index',
    heads: 1,
    table: Float32Array.from({ length: 81 }, (_, n) => (Math.floor(n / 9) === n % 9 ? 0 : APART)),
    index: {
      rows: Int32Array.from({ length: B * L }, (_, n) => 9 * region(Math.floor(n / L), n % L)),
      columns: Int32Array.from({ length: B * S }, (_, n) => region(Math.floor(n / S), keyOffset + (n % S))),
    },
  };
}

/** Reads and checks the option `shifted`. */
export function copyShifted(where: string, given: ShiftedWindows | undefined, window: Grid): { image: Grid; shift: Grid } | undefined {
  if (given === undefined) return undefined;
  const { imageSize, shiftSize } = options<ShiftedWindows>(where, given, ['imageSize', 'shiftSize'], 'shifted');
  const image = copyGrid(where, 'shifted.imageSize', imageSize);
  if (image[0] % window[0] || image[1] % window[1]) {
    throw wrongValue(where, 'shifted.imageSize', `multiples of the window ${shapeText(window)}`, [...image]);
  }
  const half = window.map((n) => Math.max(1, Math.floor(n / 2)));
  const shift = copyGrid(where, 'shifted.shiftSize', shiftSize ?? half);
  if (shift[0] > window[0] || shift[1] > window[1])
    throw wrongValue(where, 'shifted.shiftSize', `at most ${shapeText(window)}`, [...shift]);
  return { image, shift };
}

/** The index of Swin's tables: query minus key on both axes. */
export function swinIndex(window: Grid): SumIndex {
  const { codes, complements } = gridCodes(window);
  return { rows: codes, columns: complements };
}

/**
 * Swin's bias within a window: b = table[(y_i − y_j + h − 1)·(2w − 1) + x_i − x_j + w − 1, h]. Batch rows are windows, the image's and
 * the batch's; L = S = the cells of one, row by row. With `shifted`, −100 is added between regions that the shift brought together.
 *
 * Liu et al. 2021, arXiv 2103.14030; Swin, Donut, CLAP, MaskFormer-Swin.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = swin({ windowSize: 7, table: new Float32Array(13 * 13 * 3), shifted: { imageSize: [56, 56] } });
 * ```
 */
export function swin(given: SwinOptions): Encoding {
  const where = 'swin';
  given = options(where, given, ['windowSize', 'table', 'shifted']);
  const window = copyGrid(where, 'windowSize', given.windowSize);
  const { heads, values } = copyByHead(where, 'table', given.table, differences(window));
  const shifted = copyShifted(where, given.shifted, window);
  const whole = swinIndex(window);
  return withBiases({
    name: where,
    lower(context) {
      const index = windowIndex(where, 'windowSize', whole, context);
      const bias: Bias = { kind: 'index', heads, table: values, index };
      return { biases: shifted ? [bias, shiftedBias(where, window, shifted, context)] : [bias] };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'swin',
    formula: 'b = table[(y_i − y_j + h − 1)·(2w − 1) + x_i − x_j + w − 1, head]',
    options: 'windowSize, table, shifted',
    models: 'Swin, Donut, CLAP, MaskFormer-Swin',
    make: swin,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  swin: {
    kind: 'index bias',
    form: 'square',
    options: ({ H, L }, { table }) => ({ windowSize: squareOf(L), table: table([differencesOf(squareOf(L)), H]) }),
  },
};
