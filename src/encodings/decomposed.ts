import { integer, options, wrongValue } from '../arguments/check.ts';
import { readTable, rowsOf, type Table } from '../arguments/checkpoint-tables.ts';
import { copySizes, placeOf } from '../arguments/lists.ts';
import { once } from '../plan/once.ts';
import type { Encoding, LowerContext, RowMap, SumIndex, Term } from '../plan/plan.ts';
import { withTerms } from '../plan/with-terms.ts';
import { type Recipes, squareOf } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `decomposed`. */
export interface DecomposedOptions {
  /** Height and width of the queries' grid; L = prefixTokens + height · width, row by row. */
  readonly querySize: readonly [number, number];
  /** Height and width of the keys' grid; default the queries'. */
  readonly keySize?: readonly [number, number];
  /** `rel_pos_h`: [rows, D]; resized linearly if rows is not 2·max(query, key) − 1. */
  readonly relPosH: Table;
  /** `rel_pos_w`: [rows, D]. */
  readonly relPosW: Table;
  /** Tokens before the grids of queries and keys, without a position (MViTv2: 1, `use_cls_token`, `has_cls_token`); default 0. */
  readonly prefixTokens?: number;
}

/** A table resized to `rows` rows by linear interpolation, the ends of the intervals aligned half-way between samples (torch's default). */
function resize(table: Float32Array, width: number, rows: number): Float32Array {
  const before = table.length / width;
  if (before === rows) return table;
  const out = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const at = Math.max(0, ((row + 0.5) * before) / rows - 0.5);
    const low = Math.min(Math.floor(at), before - 1);
    const high = Math.min(low + 1, before - 1);
    const part = at - low;
    for (let d = 0; d < width; d++) {
      out[row * width + d] = (1 - part) * (table[low * width + d] as number) + part * (table[high * width + d] as number);
    }
  }
  return out;
}

const grid = (name: string, given: unknown): readonly [number, number] =>
  copySizes('decomposed', name, given, 1, 65536, ['height', 'width']) as [number, number];

/**
 * Decomposed relative positions of image transformers: s = scale · q·k + q·Rh[y_q − y_k] + q·Rw[x_q − x_k], the query unscaled in the
 * position terms. Grids of different size are brought to the finer one's steps: the row is ⌊y_q·a − y_k·b + (h_k − 1)·b⌋ with
 * a = max(h_k/h_q, 1) and b = max(h_q/h_k, 1), in f32 as the models compute it. A prefix token has no position term with any other.
 *
 * Li et al. 2021 (MViTv2), arXiv 2112.01526: queries and keys are pooled, and a class token stands before them; ViTDet, SAM
 * (`use_rel_pos`), SAM-HQ, GOT-OCR2.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = decomposed({ querySize: [14, 14], relPosH: new Float32Array(27 * 64), relPosW: new Float32Array(27 * 64) });
 * const mvit = decomposed({
 *   querySize: [14, 14], keySize: [7, 7], prefixTokens: 1, relPosH: new Float32Array(27 * 96), relPosW: new Float32Array(27 * 96),
 * });
 * ```
 */
export function decomposed(given: DecomposedOptions): Encoding {
  const where = 'decomposed';
  given = options(where, given, ['querySize', 'keySize', 'relPosH', 'relPosW', 'prefixTokens']);
  const querySize = grid('querySize', given.querySize);
  const keySize = grid('keySize', given.keySize ?? given.querySize);
  const prefix = integer(where, 'prefixTokens', given.prefixTokens ?? 0, 0, 65536);
  const tables = [readTable(where, 'relPosH', given.relPosH), readTable(where, 'relPosW', given.relPosW)] as const;
  const axes = ([0, 1] as const).map((axis) => axisRows(axis, querySize, keySize, prefix));
  const resized = once(
    (D: number) => axes.map(({ count }, axis) => axisTable(axis as 0 | 1, tables[axis as 0 | 1], D, count)),
    (D) => [D],
  );
  return withTerms({
    name: where,
    lower(context) {
      const { L, D } = context.shape;
      const { totalKeys } = placeOf(context);
      const size = ([h, w]: Size): string => `${prefix ? `${prefix} + ` : ''}${h}×${w}`;
      if (prefix + cells(querySize) !== L) throw wrongValue(where, 'querySize', `a grid of L=${L}`, size(querySize));
      if (prefix + cells(keySize) !== totalKeys) throw wrongValue(where, 'keySize', `a grid of S=${totalKeys}`, size(keySize));
      const found = resized(D);
      const terms = axes.map(({ index }, axis): Term => {
        const rows: RowMap = { kind: 'index', index: keysOf(index, context), variant: '' };
        return { kind: 'query', table: found[axis] as Float32Array, heads: 1, scale: 1, rows };
      });
      return { terms };
    },
  });
}

type Size = readonly [number, number];

const cells = ([h, w]: Size): number => h * w;

/** Rows of an axis's table, resized; one more of zeros, which is where prefix tokens meet. */
function axisTable(axis: 0 | 1, table: Float32Array, D: number, count: number): Float32Array {
  rowsOf('decomposed', axis === 0 ? 'relPosH' : 'relPosW', table, D, `D=${D}`);
  const out = new Float32Array((count + 1) * D);
  out.set(resize(table, D, count));
  return out;
}

/** Which row of an axis's table every query and every key of the whole meet at. */
interface AxisRows {
  /** Rows of the table: 2·max(query, key) − 1. */
  readonly count: number;
  readonly index: Int32Array | SumIndex;
}

function axisRows(axis: 0 | 1, querySize: Size, keySize: Size, prefix: number): AxisRows {
  const [q, k] = [querySize[axis], keySize[axis]];
  const count = 2 * Math.max(q, k) - 1;
  const { fround } = Math;
  const [queryStep, keyStep] = [fround(Math.max(k / q, 1)), fround(Math.max(q / k, 1))];
  const last = fround((k - 1) * Math.max(q / k, 1));
  const place = (n: number, [, width]: Size): number => (axis === 0 ? Math.floor(n / width) : n % width);
  const queries = Array.from({ length: cells(querySize) }, (_, i) => fround(place(i, querySize) * queryStep));
  const keys = Array.from({ length: cells(keySize) }, (_, j) => fround(place(j, keySize) * keyStep));
  // Grids of which one is a multiple of the other step by whole rows, and the row is a sum; others truncate the sum, pair by pair.
  if (Number.isInteger(queryStep) && Number.isInteger(keyStep)) {
    // A prefix token lifts the sum to `count` or more, the row of zeros.
    const lifted = (numbers: readonly number[]): Int32Array => Int32Array.from([...new Array(prefix).fill(count), ...numbers]);
    const map = prefix ? Int32Array.from({ length: 2 * count + 1 }, (_, n) => Math.min(n, count)) : undefined;
    return { count, index: { rows: lifted(queries), columns: lifted(keys.map((at) => last - at)), ...(map && { map }) } };
  }
  const width = prefix + keys.length;
  const index = new Int32Array((prefix + queries.length) * width).fill(-1);
  queries.forEach((y, i) => {
    keys.forEach((x, j) => {
      index[(prefix + i) * width + prefix + j] = Math.trunc(fround(fround(y - x) + last));
    });
  });
  return { count, index };
}

/** The index of all keys as that of those that are here. */
function keysOf(index: Int32Array | SumIndex, context: LowerContext): Int32Array | SumIndex {
  const { S } = context.shape;
  const { keyOffset, totalKeys: T } = placeOf(context);
  if (T === S) return index;
  if (!(index instanceof Int32Array)) return { ...index, columns: index.columns.subarray(keyOffset, keyOffset + S) };
  const out = new Int32Array((index.length / T) * S);
  for (let i = 0; i < index.length / T; i++) out.set(index.subarray(i * T + keyOffset, i * T + keyOffset + S), i * S);
  return out;
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'decomposed',
    formula: 's = scale · q·k + q·Rh[y_q − y_k] + q·Rw[x_q − x_k]',
    options: 'querySize, keySize, relPosH, relPosW, prefixTokens',
    models: 'SAM, ViTDet, MViTv2',
    make: decomposed,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  decomposed: {
    kind: 'two short tables',
    form: 'square',
    options: ({ L, D }, { table }) => {
      const rows = 2 * Math.sqrt(L) - 1;
      return { querySize: squareOf(L), relPosH: table([rows, D]), relPosW: table([rows, D]) };
    },
  },
};
