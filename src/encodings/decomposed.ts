import { integer, options, wrongType, wrongValue } from '../arguments/check.ts';
import { readTable, rowsOf, type Table } from '../arguments/checkpoint-tables.ts';
import type { Encoding, Term } from '../plan/plan.ts';
import type { Scheme } from './scheme.ts';

/** Options of `decomposed`. */
export interface DecomposedOptions {
  /** Height and width of the queries' grid; L = height · width, row by row. */
  readonly querySize: readonly [number, number];
  /** Height and width of the keys' grid; default the queries'. */
  readonly keySize?: readonly [number, number];
  /** `rel_pos_h`: [rows, D]; resized linearly if rows is not 2·max(query, key) − 1. */
  readonly relPosH: Table;
  /** `rel_pos_w`: [rows, D]. */
  readonly relPosW: Table;
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

function grid(name: string, given: unknown): readonly [number, number] {
  if (!Array.isArray(given) || given.length !== 2) throw wrongType('decomposed', name, '[height, width]', given);
  return [integer('decomposed', `${name}[0]`, given[0], 1, 65536), integer('decomposed', `${name}[1]`, given[1], 1, 65536)];
}

/**
 * Decomposed relative positions of image transformers: s = scale · q·k + q·Rh[y_q − y_k] + q·Rw[x_q − x_k], the query unscaled in the
 * position terms. Grids of different size are brought to the finer one's steps.
 *
 * Li et al. 2021 (MViTv2), arXiv 2112.01526; ViTDet, SAM (`use_rel_pos`), SAM-HQ, GOT-OCR2.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = decomposed({ querySize: [14, 14], relPosH: new Float32Array(27 * 64), relPosW: new Float32Array(27 * 64) });
 * ```
 */
export function decomposed(given: DecomposedOptions): Encoding {
  const where = 'decomposed';
  options(where, given, ['querySize', 'keySize', 'relPosH', 'relPosW']);
  const querySize = grid('querySize', given.querySize);
  const keySize = grid('keySize', given.keySize ?? given.querySize);
  const tables = [readTable(where, 'relPosH', given.relPosH), readTable(where, 'relPosW', given.relPosW)] as const;
  return {
    name: where,
    lower({ shape: { L, S, D } }) {
      if (querySize[0] * querySize[1] !== L) throw wrongValue(where, 'querySize', `a grid of L=${L}`, `${querySize.join('×')}`);
      if (keySize[0] * keySize[1] !== S) throw wrongValue(where, 'keySize', `a grid of S=${S}`, `${keySize.join('×')}`);
      return { terms: [0, 1].map((axis) => axisTerm(axis as 0 | 1, tables[axis as 0 | 1], D, querySize, keySize)) };
    },
  };
}

function axisTerm(
  axis: 0 | 1,
  table: Float32Array,
  D: number,
  querySize: readonly [number, number],
  keySize: readonly [number, number],
): Term {
  const [q, k] = [querySize[axis], keySize[axis]];
  const name = axis === 0 ? 'relPosH' : 'relPosW';
  rowsOf('decomposed', name, table, D, `D=${D}`);
  const resized = resize(table, D, 2 * Math.max(q, k) - 1);
  const queryStep = Math.max(k / q, 1);
  const keyStep = Math.max(q / k, 1);
  const place = (n: number, [, width]: readonly [number, number]): number => (axis === 0 ? Math.floor(n / width) : n % width);
  // Grids of which one is a multiple of the other step by whole rows, and the row is a sum; others truncate the sum, pair by pair.
  const whole = Number.isInteger(queryStep) && Number.isInteger(keyStep);
  const count = (size: readonly [number, number]): number => size[0] * size[1];
  const queries = Array.from({ length: count(querySize) }, (_, i) => place(i, querySize) * queryStep);
  const keys = Array.from({ length: count(keySize) }, (_, j) => (k - 1 - place(j, keySize)) * keyStep);
  const term = { kind: 'query', table: resized, heads: 1, scale: 1 } as const;
  if (whole) return { ...term, rows: { kind: 'index', index: { rows: Int32Array.from(queries), columns: Int32Array.from(keys) } } };
  const index = Int32Array.from({ length: queries.length * keys.length }, (_, n) =>
    Math.trunc((queries[Math.floor(n / keys.length)] as number) + (keys[n % keys.length] as number)),
  );
  return { ...term, rows: { kind: 'index', index } };
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'decomposed',
    formula: 's = scale · q·k + q·Rh[y_q − y_k] + q·Rw[x_q − x_k]',
    options: 'querySize, keySize, relPosH, relPosW',
    models: 'SAM, ViTDet, MViTv2',
    make: decomposed,
  },
];
