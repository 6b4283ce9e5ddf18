// Lists of positions, as users give them and as the plan takes them.

import type { LowerContext, Positions } from '../plan/plan.ts';
import { wrongValue } from './check.ts';
import { copyNumbers, type Numbers, placeOf } from './lists.ts';
import { expectShape } from './numbers.ts';

/**
 * Positions in one array: one per row, [S], or one per batch row and row, [B][S]; for schemes of several axes [axes][S] or [axes][B][S].
 */
export type PositionList = Numbers;

/** A private copy of a list, if there is one. */
export function positionList(where: string, name: string, given: PositionList | undefined): Float64Array | undefined {
  return given === undefined ? undefined : copyNumbers(where, name, given);
}

/** Rows of a list: how many axes, how many rows and batch rows there must be, and what is added to every position. */
export interface Placing {
  readonly axes: number;
  readonly rows: number;
  readonly batch: number;
  readonly shift: number;
}

/** [axes][rows] or [axes][B][rows] as the plan has it, [axes][rows] or [B][axes][rows]. @throws RangeError if it is neither */
export function placed(where: string, name: string, list: Float64Array, { axes, rows, batch, shift }: Placing): Positions {
  expectShape(where, name, list, list.length === axes * rows ? [axes, rows] : [axes, batch, rows]);
  if (list.length === axes * rows) return { values: list.map((x) => x + shift), batched: false };
  const axis = axes === 1 ? '' : `${axes}×`;
  if (list.length !== axes * batch * rows) {
    throw wrongValue(where, name, `${axis}${rows} or ${axis}${batch}×${rows} positions`, `${list.length}`);
  }
  const values = new Float64Array(list.length);
  for (let a = 0; a < axes; a++) {
    for (let b = 0; b < batch; b++) {
      for (let row = 0; row < rows; row++) {
        values[(b * axes + a) * rows + row] = (list[(a * batch + b) * rows + row] as number) + shift;
      }
    }
  }
  return { values, batched: true };
}

/** The rows first … first + count − 1 of positions of `rows` rows. */
export function part({ values, batched }: Positions, rows: number, first: number, count: number): Positions {
  const lines = rows ? values.length / rows : 0;
  const out = new Float64Array(lines * count);
  for (let line = 0; line < lines; line++) out.set(values.subarray(line * rows + first, line * rows + first + count), line * count);
  return { values: out, batched };
}

/** What a scheme knows of explicit positions. */
export interface Lists {
  readonly where: string;
  readonly axes?: number;
  /** Added to every position. */
  readonly offset: number;
  /** Of the keys: those of the whole, or in a shard of the keys its own. */
  readonly keys?: Float64Array | undefined;
  readonly queries?: Float64Array | undefined;
}

/** Positions of queries and keys for the plan. Queries without any of their own are the keys at their places. */
export function explicitPositions(
  { where, axes = 1, offset, keys, queries }: Lists,
  context: LowerContext,
): { keyPositions?: Positions; queryPositions?: Positions } {
  const { shape, role } = context;
  const { B: batch, L, S } = shape;
  const { totalKeys: T, keyOffset, queryOffset } = placeOf(context);
  const rowsOf = (name: string, list: Float64Array, rows: number): Positions =>
    placed(where, name, list, { axes, rows, batch, shift: offset });
  const whole =
    keys && (keys.length === axes * T || keys.length === axes * batch * T || T === S) ? rowsOf('positions', keys, T) : undefined;
  const ofQueries = (): Positions | undefined => {
    if (queries) return rowsOf('queryPositions', queries, L);
    if (!keys) return undefined;
    if (whole && queryOffset >= 0 && queryOffset + L <= T) return part(whole, T, queryOffset, L);
    const because = whole ? `queries at ${queryOffset} … ${queryOffset + L - 1} have none among ${T} keys` : 'of a shard';
    throw wrongValue(where, 'queryPositions', 'positions beside "positions"', 'none', because);
  };
  const forQueries = role === 'key' ? undefined : ofQueries();
  const forKeys = keys && role !== 'query' ? (whole ? part(whole, T, keyOffset, S) : rowsOf('positions', keys, S)) : undefined;
  return { ...(forKeys && { keyPositions: forKeys }), ...(forQueries && { queryPositions: forQueries }) };
}

/** One more than the largest position: the length of a sequence that reaches so far. */
export function lengthOf(list: Float64Array): number {
  return list.reduce((longest, x) => Math.max(longest, x + 1), 0);
}
