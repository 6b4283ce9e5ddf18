import { integer, options, wrongType, wrongValue } from '../arguments/check.ts';
import { readTable, rowsOf, type Table } from '../arguments/checkpoint-tables.ts';
import { copyIntegers, copySizes, type Integers } from '../arguments/lists.ts';
import { readList } from '../arguments/numbers.ts';

/** Channels that tell where a token stands: a table of rows, and which row each token reads. */
export interface PositionChannels {
  /** [P, width]: learned, or made by `sinusoids`. */
  readonly table: Table;
  /** Channels of a row. */
  readonly width: number;
  /** Row of each token, [L] or [B, L]; default token i reads row i. Relative to a token a: clip(i − a, −k, k) + k. */
  readonly rows?: Integers;
}

/** Options of `concatPositions`. */
export interface ConcatPositionsOptions {
  /** x: [B, L, C]. */
  readonly input: Table;
  /** B, L and C. */
  readonly shape: readonly [batch: number, length: number, channels: number];
  /** What follows the channels of the input, in this order. */
  readonly positions: readonly PositionChannels[];
}

/**
 * Positions concatenated to the input instead of added to it, [x; PE; RPE]: every token's channels, then those of its rows of each table, [B,
 * L, C + Σ width]. The projections of q and k of such a model have as many inputs, and mix content and position by their weights; the
 * attention has no position term of its own.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const engine = createEngineSync();
 * const [batch, length, channels] = [2, 16, 32] as const;
 * const subject = 5;
 * const input = concatPositions({
 *   input: new Float32Array(batch * length * channels),
 *   shape: [batch, length, channels],
 *   positions: [
 *     { table: sinusoids(engine.math, length, 8), width: 8 },
 *     // Where the token stands from the sixth, up to four tokens away.
 *     {
 *       table: new Float32Array(9 * 4), width: 4,
 *       rows: Int32Array.from({ length }, (_, i) => Math.max(-4, Math.min(4, i - subject)) + 4),
 *     },
 *   ],
 * });
 * const x = engine.tensor([batch, length, channels + 8 + 4], input);
 * engine.dispose();
 * ```
 */
export function concatPositions(given: ConcatPositionsOptions): Float32Array {
  const where = 'concatPositions';
  given = options(where, given, ['input', 'shape', 'positions']);
  const { shape, positions } = given;
  const [B, L, C] = copySizes(where, 'shape', shape, 0, 2 ** 31 - 1, ['B', 'L', 'C']) as [number, number, number];
  const input = readTable(where, 'input', given.input);
  if (input.length !== B * L * C) throw wrongValue(where, 'input', `[B=${B}, L=${L}, C=${C}] numbers`, `${input.length}`);
  if (!Array.isArray(positions)) throw wrongType(where, 'positions', 'a list of tables', positions);
  const parts = [{ values: input, width: C, row: (token: number): number => token }];
  parts.push(...readList(where, 'positions', positions, (part, n) => channelsOf(where, `positions[${n}]`, part, B, L)));
  const width = parts.reduce((sum, part) => sum + part.width, 0);
  const out = new Float32Array(B * L * width);
  let at = 0;
  for (let token = 0; token < B * L; token++) {
    for (const part of parts) {
      const from = part.row(token) * part.width;
      out.set(part.values.subarray(from, from + part.width), at);
      at += part.width;
    }
  }
  return out;
}

function channelsOf(where: string, name: string, given: unknown, B: number, L: number) {
  const part = options<PositionChannels>(where, given, ['table', 'width', 'rows'], name);
  const width = integer(where, `${name}.width`, part.width, 1, 65536);
  const values = readTable(where, `${name}.table`, part.table);
  const P = rowsOf(where, `${name}.table`, values, width, `width=${width}`);
  if (part.rows === undefined) {
    if (P < L) throw wrongValue(where, `${name}.table`, `at least L=${L} rows of width ${width}`, P);
    return { values, width, row: (token: number): number => token % L };
  }
  const rows = copyIntegers(where, `${name}.rows`, part.rows, 0, P - 1);
  if (rows.length !== L && rows.length !== B * L) {
    throw wrongValue(where, `${name}.rows`, `[L=${L}] or [B=${B}, L=${L}] numbers`, `${rows.length}`);
  }
  return { values, width, row: (token: number): number => rows[token % rows.length] as number };
}
