import { finite, integer, oneOf, options, wrongType, wrongValue } from '../check.ts';
import type { Encoding, Positions, Shape } from '../plan.ts';

/** Positions for `rotary`: one per key ([S]), or one per batch row and key ([B][S], row-major in one array). */
export type PositionList = readonly number[] | Int32Array | Float64Array;

/** Options of `rotary`. */
export interface RotaryOptions {
  /** Channels that turn, R: even, at most D. The channels from R on pass through. */
  readonly dim: number;
  /** Base of the frequencies, b. */
  readonly theta: number;
  /** Which channels form a pair: `'halves'` (i, i + R/2: LLaMA, NeoX) or `'pairs'` (2i, 2i + 1: GPT-J). Never guessed. */
  readonly layout: 'halves' | 'pairs';
  /** Added to every position; default 0. */
  readonly offset?: number;
  /** Positions of the keys; the queries take the last L of them, or `queryPositions`. Default 0 … S − 1. */
  readonly positions?: PositionList;
  /** Positions of the queries, [L] or [B][L]. */
  readonly queryPositions?: PositionList;
}

/**
 * Rotary position embedding: pair i of q and k turns by the angle position · b^(−2i/R), so that q·k depends on the offset alone.
 * Angles are computed in f64, cosine and sine rounded to f32.
 *
 * Su et al. 2021, arXiv 2104.09864. Config keys: `rope_theta`, `partial_rotary_factor` (dim = factor · head_dim), `head_dim`.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = rotary({ dim: 64, theta: 10000, layout: 'halves' });
 * ```
 */
export function rotary(given: RotaryOptions): Encoding {
  const where = 'rotary';
  options(where, given, ['dim', 'theta', 'layout', 'offset', 'positions', 'queryPositions']);
  const dim = integer(where, 'dim', given.dim, 2, 512);
  if (dim % 2) throw wrongValue(where, 'dim', 'an even number', dim);
  const theta = finite(where, 'theta', given.theta, 0);
  const layout = oneOf(where, 'layout', given.layout, ['halves', 'pairs']);
  const offset = finite(where, 'offset', given.offset ?? 0);
  const keys = positionList('positions', given.positions);
  const queries = positionList('queryPositions', given.queryPositions);
  return {
    name: where,
    lower({ shape, place, math }) {
      const frequencies = Float64Array.from({ length: dim / 2 }, (_, i) => math.pow(theta, (-2 * i) / dim));
      const keyPositions = keys && shaped('positions', keys, shape.S, shape.B);
      if (keys && !queries && place && place.totalKeys !== shape.S) {
        throw wrongValue('rotary', 'queryPositions', 'positions beside "positions" in a shard of the keys', 'none');
      }
      const queryPositions = queries ? shaped('queryPositions', queries, shape.L, shape.B) : keyPositions && lastOf(keyPositions, shape);
      return {
        rotation: { dim, layout, frequencies, offset, ...(keyPositions && { keyPositions }), ...(queryPositions && { queryPositions }) },
      };
    },
  };
}

function positionList(name: string, given: PositionList | undefined): Float64Array | undefined {
  if (given === undefined) return undefined;
  if (!Array.isArray(given) && !(given instanceof Int32Array) && !(given instanceof Float64Array)) {
    throw wrongType('rotary', name, 'an array of numbers, an Int32Array or a Float64Array', given);
  }
  const list = Float64Array.from(given);
  const bad = list.findIndex((x) => !Number.isFinite(x));
  if (bad >= 0) throw wrongValue('rotary', `${name}[${bad}]`, 'a finite number', list[bad]);
  return list;
}

function shaped(name: string, values: Float64Array, rows: number, batch: number): Positions {
  if (values.length === rows) return { values, batched: false };
  if (values.length === rows * batch) return { values, batched: true };
  throw wrongValue('rotary', name, `${rows} or ${batch}×${rows} positions`, `${values.length}`);
}

/** The positions of the last L keys, for the queries. */
function lastOf(keys: Positions, { B, L, S }: Shape): Positions {
  if (L > S) throw wrongValue('rotary', 'queryPositions', `${L} positions, since there are more queries than keys`, 'none');
  const lists = Array.from({ length: keys.batched ? B : 1 }, (_, b) => keys.values.subarray((b + 1) * S - L, (b + 1) * S));
  return { values: Float64Array.from(lists.flatMap((list) => [...list])), batched: keys.batched };
}
