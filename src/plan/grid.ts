// Windows over two axes: cells of a grid, row by row, and tables over the differences of their coordinates.

import { wrongValue } from '../arguments/check.ts';
import { type HeadTable, placeOf } from '../arguments/lists.ts';
import type { Arithmetic, LowerContext, SumIndex } from './plan.ts';

/** Rows and columns of a grid. */
export type Grid = readonly [number, number];

/** Differences of coordinates that two cells of a grid can have: (2h − 1)·(2w − 1). */
export const differences = ([h, w]: Grid): number => (2 * h - 1) * (2 * w - 1);

/**
 * Codes of the cells, y·(2w − 1) + x, and their complements to the last one. The code of a plus the complement of b is
 * (y_a − y_b + h − 1)·(2w − 1) + x_a − x_b + w − 1: the row of a − b in a table of all differences.
 */
export function gridCodes([h, w]: Grid): { readonly codes: Int32Array; readonly complements: Int32Array } {
  const codes = Int32Array.from({ length: h * w }, (_, n) => Math.floor(n / w) * (2 * w - 1) + (n % w));
  const last = codes[h * w - 1] as number;
  return { codes, complements: codes.map((code) => last - code) };
}

/** The whole index as that of the call: all queries, and of the keys those that are here. @throws RangeError if the sizes differ */
export function windowIndex(where: string, name: string, whole: SumIndex, context: LowerContext): SumIndex {
  const { L, S } = context.shape;
  const { keyOffset, totalKeys: T } = placeOf(context);
  const { rows, columns } = whole;
  if (L !== rows.length || T !== columns.length) {
    throw wrongValue(where, name, `a window of L=${L} queries and S=${T} keys`, `one of ${rows.length} and ${columns.length}`);
  }
  return { ...whole, columns: columns.subarray(keyOffset, keyOffset + S) };
}

/**
 * A table over a grid of `from` rows and columns at the cells of a grid of `to`: bilinear, between the centres of cells, the border
 * repeated. values: [heads, from rows · from columns].
 */
export function resizeGrid({ heads, values }: HeadTable, from: Grid, to: Grid): HeadTable {
  const axis = (n: number, m: number): { low: number; high: number; part: number }[] =>
    Array.from({ length: n }, (_, i) => {
      const at = Math.min(Math.max(((i + 0.5) * m) / n - 0.5, 0), m - 1);
      const low = Math.floor(at);
      return { low, high: Math.min(low + 1, m - 1), part: at - low };
    });
  const ys = axis(to[0], from[0]);
  const xs = axis(to[1], from[1]);
  const cells = from[0] * from[1];
  const out = new Float32Array(heads * to[0] * to[1]);
  let n = 0;
  for (let h = 0; h < heads; h++) {
    const cell = (y: number, x: number): number => values[h * cells + y * from[1] + x] as number;
    for (const y of ys) {
      for (const x of xs) {
        const top = cell(y.low, x.low) * (1 - x.part) + cell(y.low, x.high) * x.part;
        const bottom = cell(y.high, x.low) * (1 - x.part) + cell(y.high, x.high) * x.part;
        out[n++] = top * (1 - y.part) + bottom * y.part;
      }
    }
  }
  return { heads, values: out };
}

/** Weights of an MLP from coordinates to heads, hidden · ReLU: what swinV2 and relPosMlp have in common. */
export interface CoordinateMlp {
  readonly heads: number;
  /** [hidden, 2]. */
  readonly weight1: Float32Array;
  /** [hidden]. */
  readonly bias1: Float32Array;
  /** [heads, hidden]. */
  readonly weight2: Float32Array;
  /** [heads]; zeros if the layer has none. */
  readonly bias2: Float32Array;
}

/**
 * A table [heads, (2h − 1)·(2w − 1)]: finish(MLP(squeeze(dy, 0), squeeze(dx, 1))) for every difference. The MLP in f64.
 */
export function coordinateTable(
  { heads, weight1, bias1, weight2, bias2 }: CoordinateMlp,
  [h, w]: Grid,
  squeeze: (difference: number, axis: 0 | 1) => number,
  finish: (x: number) => number,
): HeadTable {
  const P = differences([h, w]);
  const hidden = bias1.length;
  const values = new Float32Array(heads * P);
  const units = new Float64Array(hidden);
  for (let n = 0; n < P; n++) {
    const y = squeeze(Math.floor(n / (2 * w - 1)) - (h - 1), 0);
    const x = squeeze((n % (2 * w - 1)) - (w - 1), 1);
    for (let u = 0; u < hidden; u++) {
      units[u] = Math.max(0, (weight1[2 * u] as number) * y + (weight1[2 * u + 1] as number) * x + (bias1[u] as number));
    }
    for (let head = 0; head < heads; head++) {
      let sum = bias2[head] as number;
      for (let u = 0; u < hidden; u++) sum += (weight2[head * hidden + u] as number) * (units[u] as number);
      values[head * P + n] = finish(sum);
    }
  }
  return { heads, values };
}

/** sign(x)·ln(1 + |x|). */
export const signedLog = (x: number, math: Arithmetic): number => Math.sign(x) * math.log(1 + Math.abs(x));
