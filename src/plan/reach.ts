// At which offsets the queries and keys of a call meet.

import type { Place, Shape } from './plan.ts';

/** Which keys the queries of a call can see, by position, and how it is cut. */
export interface Reach {
  /** Query i sees keys in i + first ≤ j ≤ i + last only, where both count from the call's first. */
  readonly first: number;
  readonly last: number;
  /** Queries of a tile. */
  readonly queries: number;
  /** Later calls stand further on and see nothing of what was before this one's window. */
  readonly slides: boolean;
}

/** Kernels take keys in groups of as many, some of which no query sees. */
const GROUP = 8;

/**
 * First and number of the offsets j − i of standard positions that the kernels ask for: a tile meets the keys that some query of it sees,
 * from a multiple of eight on, and all of its queries meet them.
 */
export function offsetsOf({ L, S }: Shape, { keyOffset, queryOffset }: Place, { first, last, queries }: Reach): [number, number] {
  const low = Math.max(1 - L, first - queries - GROUP);
  const high = Math.min(S - 1, last + queries + GROUP);
  return [keyOffset - queryOffset + low, Math.max(1, high - low + 1)];
}

/** First and end of the keys, counted from the call's first, that the kernels read. */
export function keysOf({ L, S }: Shape, { first, last }: Reach): [number, number] {
  const low = Math.max(0, first);
  return [Math.min(low - (low % GROUP), S), Math.max(0, Math.min(S, L + last))];
}
