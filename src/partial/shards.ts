// Which shards of the keys a range of queries needs, and putting together what came back from them.

import { boolean, integer, options as knownOptions, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { arrayType, readList } from '../arguments/numbers.ts';
import type { DecodedState } from './wire.ts';

/** Options of `planShards`. */
export interface ShardOptions {
  /** Keys of the whole, T. */
  readonly totalKeys: number;
  /** How many shards of nearly one size; this or `shardSize`. */
  readonly shards?: number;
  /** Keys of each shard but the last. */
  readonly shardSize?: number;
  /** Positions of the queries, start … end − 1; `attention` puts its L queries at T − L … T − 1 unless `queryOffset` says otherwise. */
  readonly queries: { readonly start: number; readonly end: number };
  /** As in `attention`: true, the query at position p sees the keys j ≤ p; `{ offset }`, query i sees the keys j ≤ i + offset. */
  readonly causal?: boolean | { readonly offset: number };
  /** As in `attention`: the query at position p sees p − left ≤ j ≤ p + right. */
  readonly window?: { readonly left?: number; readonly right?: number };
}

/** One shard of a plan. */
export interface Shard {
  readonly index: number;
  /** Its first key in the whole: the option of the same name. */
  readonly keyOffset: number;
  readonly keys: number;
  /**
   * `'none'`: no query sees a key of it; it may be skipped, since its state would change no bit. `'all'`: every query sees all its keys.
   */
  readonly visible: 'none' | 'some' | 'all';
}

/** Beyond any position; sums of two stay exact. */
const FAR = 0x80000000;
const MOST_SHARDS = 0x100000;

/** First key of each shard, and one past the last key. */
function cuts(where: string, total: number, { shards, shardSize }: ShardOptions): number[] {
  if ((shards === undefined) === (shardSize === undefined)) {
    throw new TypeError(`${where}: "options" expected "shards" or "shardSize", got ${shards === undefined ? 'neither' : 'both'}`);
  }
  if (shardSize !== undefined) {
    const size = integer(where, 'shardSize', shardSize, Math.max(1, Math.ceil(total / MOST_SHARDS)));
    return Array.from({ length: Math.ceil(total / size) + 1 }, (_, n) => Math.min(n * size, total));
  }
  const count = integer(where, 'shards', shards, 1, MOST_SHARDS);
  return Array.from({ length: count + 1 }, (_, n) => Math.floor((n * total) / count));
}

/** The range of keys of the query at position p: p + first ≤ j ≤ p + last. */
function reach(where: string, start: number, { causal, window }: ShardOptions): { first: number; last: number } {
  let first = -FAR;
  let last = FAR;
  if (typeof causal === 'object' && causal !== null) {
    const { offset } = knownOptions(where, causal, ['offset'], 'causal');
    last = integer(where, 'causal.offset', offset, -FAR, FAR) - start;
  } else if (causal !== undefined && boolean(where, 'causal', causal)) last = 0;
  if (window !== undefined) {
    const { left, right } = knownOptions(where, window, ['left', 'right'], 'window');
    if (left !== undefined) first = -integer(where, 'window.left', left, 0);
    if (right !== undefined) last = Math.min(last, integer(where, 'window.right', right, 0));
  }
  return { first, last };
}

/**
 * Cuts the keys of the whole into shards and says which of them a range of queries can see. Nothing but arithmetic: it needs no engine.
 *
 * @returns one entry per shard in order; with `shards` their sizes differ by at most one key
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const plan = planShards({ totalKeys: 1000, shardSize: 256, queries: { start: 600, end: 700 }, causal: true, window: { left: 200 } });
 * plan.map(({ keyOffset, visible }) => [keyOffset, visible]); // [[0, 'none'], [256, 'some'], [512, 'some'], [768, 'none']]
 * ```
 */
export function planShards(given: ShardOptions): Shard[] {
  const where = 'planShards';
  given = knownOptions(where, given, ['totalKeys', 'shards', 'shardSize', 'queries', 'causal', 'window']);
  const total = integer(where, 'totalKeys', given.totalKeys, 0);
  const bounds = cuts(where, total, given);
  const queries = knownOptions(where, given.queries, ['start', 'end'], 'queries');
  const start = integer(where, 'queries.start', queries.start, -FAR, FAR);
  const end = integer(where, 'queries.end', queries.end, start, FAR);
  const { first, last } = reach(where, start, given);
  return bounds.slice(1).map((stop, index): Shard => {
    const keyOffset = bounds[index] as number;
    const keys = stop - keyOffset;
    // The ranges of consecutive queries overlap or touch: together they are one range, unless each is empty.
    const seen = start < end && keys > 0 && first <= last && start + first < stop && end - 1 + last >= keyOffset;
    const wholly = end - 1 + first <= keyOffset && start + last >= stop - 1;
    return { index, keyOffset, keys, visible: seen ? (wholly ? 'all' : 'some') : 'none' };
  });
}

const sameBits = (a: Float32Array | Uint16Array, b: Float32Array | Uint16Array): boolean => {
  const [x, y] = [a, b].map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)) as [
    Uint8Array,
    Uint8Array,
  ];
  return x.length === y.length && x.every((byte, n) => byte === y[n]);
};

/** What must be the same in all states of one merge. */
function commonTraits({ shape, dtype, layout, id }: DecodedState): string {
  return `shape ${shapeText(shape)} of ${dtype}, ${layout}, ${id === undefined ? 'no id' : `id ${JSON.stringify(id)}`}`;
}

/**
 * What came back from the shards, made ready for `mergeStates`: in shard order, each shard once. A queue may deliver a state twice; a
 * second one with the same numbers is dropped, one with other numbers is refused.
 *
 * @param states as `decodeState` returned them, in any order
 * @param count shards in all
 * @param options `empty`: shards that were never asked, since no query sees them (`planShards` says `'none'`); a state of one of them must
 *   have seen no key, and is dropped
 * @throws TypeError if an argument has the wrong type
 * @throws RangeError if a shard is missing, two states of one shard differ, or states do not belong together (shape, dtype, layout, id, count)
 * @example
 * ```ts
 * const plan = planShards({ totalKeys: 8, shards: 2, queries: { start: 0, end: 1 } });
 * const answer = (index: number) =>
 *   encodeState({ shape: [1, 1, 1, 1], out: Float32Array.of(index), lse: Float32Array.of(0) }, { shard: { index, count: 2 } });
 * const arrived = [answer(1), answer(0), answer(1)].map(decodeState);
 * const empty = plan.filter(({ visible }) => visible === 'none').map(({ index }) => index);
 * collectStates(arrived, 2, { empty }).map(({ out }) => out[0]); // [0, 1]
 * ```
 */
export function collectStates(
  states: readonly DecodedState[],
  count: number,
  options: { readonly empty?: readonly number[] } = {},
): DecodedState[] {
  const where = 'collectStates';
  if (!Array.isArray(states)) throw wrongType(where, 'states', 'an array of decoded states', states);
  integer(where, 'count', count, 1, MOST_SHARDS);
  const { empty = [] } = knownOptions<typeof options>(where, options, ['empty']);
  if (!Array.isArray(empty)) throw wrongType(where, 'empty', 'an array of shard indices', empty);
  const skipped = new Set(readList(where, 'empty', empty, (index, n) => integer(where, `empty[${n}]`, index, 0, count - 1)));
  const found = new Map<number, DecodedState>();
  let common: string | undefined;
  for (const [n, state] of (states as readonly DecodedState[]).entries()) {
    const name = `states[${n}]`;
    if (arrayType(state?.lse) !== 'Float32Array') throw wrongType(where, name, 'a state from decodeState', state);
    if (!state.shard) throw wrongValue(where, name, `a shard of ${count}`, 'a state that is no shard');
    const { index } = state.shard;
    if (state.shard.count !== count) throw wrongValue(where, name, `a shard of ${count}`, `shard ${index} of ${state.shard.count}`);
    const traits = commonTraits(state);
    common ??= traits;
    if (traits !== common) throw wrongValue(where, name, common, traits);
    if (skipped.has(index) && state.lse.some((l) => l !== -Infinity)) {
      throw wrongValue(where, name, `no visible key in shard ${index}, which is marked empty`, 'some');
    }
    const other = found.get(index);
    if (!other) found.set(index, state);
    else if (other.checksum !== state.checksum || !sameBits(other.lse, state.lse) || !sameBits(other.out, state.out)) {
      throw wrongValue(where, name, `what came first for shard ${index}`, 'other numbers');
    }
  }
  const wanted = Array.from({ length: count }, (_, index) => index).filter((index) => !skipped.has(index));
  const missing = wanted.filter((index) => !found.has(index));
  if (missing.length) {
    const shown = missing.length > 8 ? `${missing.slice(0, 8).join(', ')} …` : missing.join(', ');
    throw wrongValue(where, 'states', `every shard of ${count}`, `none for ${shown}`);
  }
  return wanted.map((index) => found.get(index) as DecodedState);
}
