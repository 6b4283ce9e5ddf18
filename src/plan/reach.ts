// At which offsets the queries and keys of a call meet.

import { KEY_BLOCK } from '../wasm/generated/job.ts';
import type { Place, Shape } from './plan.ts';

/** Which keys the queries of a call can see, by position, and how it is cut. */
export interface Reach {
  /** Query i sees keys in i + first ≤ j ≤ i + last only, where both count from the call's first. */
  readonly first: number;
  readonly last: number;
  /** And of these only from … to − 1; default all. */
  readonly keys?: readonly [number, number];
  /** Queries of a tile. */
  readonly queries: number;
  /** Later calls stand further on and see nothing of what was before this one's window. */
  readonly slides: boolean;
  /** Kernels take keys in groups of as many, from a multiple on, some of which no query sees; default eight. */
  readonly group?: number;
}

const GROUP = 8;

/** No offset j − i before this one is asked for, however many keys there are; j and i count from the call's first. */
export const leastOffset = ({ first, queries, group = GROUP }: Reach): number => first - queries - group;

/**
 * First and number of the offsets j − i of standard positions that the kernels ask for: a tile meets the keys that some query of it sees,
 * from the first of a group on, and all of its queries meet them.
 */
export function offsetsOf({ L, S }: Shape, { keyOffset, queryOffset }: Place, reach: Reach): [number, number] {
  const { last, keys: [from, end] = [0, S], queries } = reach;
  const low = Math.max(from + 1 - L, leastOffset(reach));
  const high = Math.min(end - 1, last + queries + GROUP);
  return [keyOffset - queryOffset + low, Math.max(1, high - low + 1)];
}

/** First and end of the keys, counted from the call's first, that the kernels read. The number does not depend on where a group begins. */
export function keysOf({ L, S }: Shape, { first, last, keys: [from, end] = [0, S], group = GROUP }: Reach): [number, number] {
  return [Math.min(Math.max(from, first - group + 1), end), Math.max(0, Math.min(end, L + last))];
}

/** The keys that a cache's window shows: the first ones of all, and the `left` before a query. */
export interface SinkWindow {
  readonly left: number;
  readonly sinks: number;
}

/** What a call reaches: all of it, or the window, and apart from it the first keys, whole key blocks that end far before. */
export interface Reaches {
  readonly reach: Reach;
  readonly early?: Reach;
}

/** The reach of a call, in two where a window and its sinks are far enough apart that no key block has keys of both. */
export function reachesOf(reach: Reach, { keyOffset, queryOffset }: Place, window: SinkWindow | undefined): Reaches {
  if (!window) return { reach };
  const first = queryOffset - keyOffset - window.left;
  const end = Math.ceil(window.sinks / KEY_BLOCK) * KEY_BLOCK;
  // A call with a window of its own that is no wider has it from `first` on already, and hides the sinks.
  if (reach.first >= first || first - KEY_BLOCK < end) return { reach };
  return { reach: { ...reach, first, group: KEY_BLOCK }, early: { ...reach, keys: [0, end] } };
}
