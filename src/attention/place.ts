// Where queries and keys stand, and which keys a query may see by position.

import { integer, wrongType, wrongValue } from '../arguments/check.ts';
import type { Place, Shape } from '../plan/plan.ts';
import { type CheckedOptions, UNBOUNDED } from './options.ts';

/** Where the queries and keys of a call stand in the whole: all of it, unless the call is a shard of the keys. */
export function placeOf(where: string, { keyOffset, totalKeys, queryOffset }: CheckedOptions, { L, S }: Shape): Place {
  if (keyOffset !== undefined && totalKeys === undefined) throw wrongType(where, 'totalKeys', 'a number beside "keyOffset"', totalKeys);
  const first = keyOffset ?? 0;
  const total = integer(where, 'totalKeys', totalKeys ?? S, 0, UNBOUNDED);
  if (first + S > total) throw wrongValue(where, 'totalKeys', `at least keyOffset + S = ${first + S}`, total);
  return { keyOffset: first, totalKeys: total, queryOffset: queryOffset ?? total - L };
}

/** Range of keys of query i as offsets: i + first ≤ j ≤ i + last, where j counts the keys of the call. */
export function visibleRange({ causal, window }: CheckedOptions, { keyOffset, queryOffset }: Place): { first: number; last: number } {
  const base = queryOffset - keyOffset;
  let last = UNBOUNDED;
  if (typeof causal === 'object') last = causal.offset - keyOffset;
  else if (causal) last = base;
  const { left, right } = window ?? {};
  const first = left === undefined ? -UNBOUNDED : base - left;
  if (right !== undefined) last = Math.min(last, base + right);
  return { first: bounded(first), last: bounded(last) };
}

/** The nearest number that may stand in FIRST and LAST. */
const bounded = (x: number): number => Math.max(-UNBOUNDED, Math.min(UNBOUNDED, x));
