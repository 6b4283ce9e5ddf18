// Where queries and keys stand, and which keys a query may see by position.

import { boolean, integer, options as knownOptions, wrongType, wrongValue } from '../arguments/check.ts';
import type { Place, Shape } from '../plan/plan.ts';
import type { AttentionOptions } from './options.ts';

/** Stands for "no bound" in FIRST and LAST; far beyond any position, far from overflow when added to one. */
export const UNBOUNDED: number = 2 ** 30;

/** Where the queries and keys of a call stand in the whole: all of it, unless the call is a shard of the keys. */
export function placeOf(where: string, { keyOffset, totalKeys, queryOffset }: AttentionOptions, { L, S }: Shape): Place {
  if (keyOffset !== undefined && totalKeys === undefined) throw wrongType(where, 'totalKeys', 'a number beside "keyOffset"', totalKeys);
  const first = integer(where, 'keyOffset', keyOffset ?? 0, 0, UNBOUNDED);
  const total = integer(where, 'totalKeys', totalKeys ?? S, 0, UNBOUNDED);
  if (first + S > total) throw wrongValue(where, 'totalKeys', `at least keyOffset + S = ${first + S}`, total);
  const query = integer(where, 'queryOffset', queryOffset ?? total - L, -UNBOUNDED, UNBOUNDED);
  return { keyOffset: first, totalKeys: total, queryOffset: query };
}

/** Range of keys of query i as offsets: i + first ≤ j ≤ i + last, where j counts the keys of the call. */
export function visibleRange(
  where: string,
  { causal, window }: AttentionOptions,
  { keyOffset, queryOffset }: Place,
): { first: number; last: number } {
  const base = queryOffset - keyOffset;
  let first = -UNBOUNDED;
  let last = UNBOUNDED;
  if (typeof causal === 'object' && causal !== null) {
    last = integer(where, 'causal.offset', causal.offset, -UNBOUNDED, UNBOUNDED) - keyOffset;
  } else if (causal !== undefined && boolean(where, 'causal', causal)) {
    last = base;
  }
  if (window !== undefined) {
    const { left, right } = knownOptions(where, window, ['left', 'right'], 'window') as { left?: unknown; right?: unknown };
    if (left !== undefined) first = base - integer(where, 'window.left', left, 0, UNBOUNDED);
    if (right !== undefined) last = Math.min(last, base + integer(where, 'window.right', right, 0, UNBOUNDED));
  }
  return { first: bounded(first), last: bounded(last) };
}

/** The nearest number that may stand in FIRST and LAST. */
const bounded = (x: number): number => Math.max(-UNBOUNDED, Math.min(UNBOUNDED, x));
