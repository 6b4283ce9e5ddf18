// Masks of what is in the batch: documents packed into one sequence, padding.

import { oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import { copyIntegers, type Integers } from '../arguments/lists.ts';
import { perBatch } from './bands.ts';
import type { Mask } from './mask.ts';
import { NONE, type Runs, run } from './runs.ts';

/** Options of `documents`. */
export interface DocumentsOptions {
  /** The document of each key: whole numbers, [T] or [B, T], T the keys of the whole. */
  readonly keys: Integers;
  /** The document of each query of the call: [L] or [B, L]. Default that of the key at the query's position. */
  readonly queries?: Integers;
}

/** The runs of every document in ids[first … first + n − 1]. */
function runsById(ids: Int32Array, first: number, n: number): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let from = 0; from < n; ) {
    const id = ids[first + from] as number;
    let to = from + 1;
    while (to < n && ids[first + to] === id) to++;
    const list = found.get(id);
    if (list) list.push(from, to);
    else found.set(id, [from, to]);
    from = to;
  }
  return found;
}

/**
 * Sequences packed into one: a query sees the keys of its own document. Positions go on over all documents; for positions that restart in
 * each, without padding, see `queryOffsets` and `keyOffsets` of `attention`.
 *
 * @throws TypeError, RangeError if a list is missing or does not hold whole numbers; the call throws RangeError if one does not fit it
 * @example
 * ```ts
 * const mask = and(causalMask(), documents({ keys: [0, 0, 0, 1, 1, 2] }));
 * ```
 */
export function documents(given: DocumentsOptions): Mask {
  const where = 'documents';
  given = options(where, given, ['keys', 'queries']);
  const copy = (name: string, list: unknown): Int32Array => copyIntegers(where, name, list, -(2 ** 31), 2 ** 31 - 1);
  const keyIds = copy('keys', given.keys);
  const queryIds = given.queries === undefined ? undefined : copy('queries', given.queries);
  const fail = (name: string, expected: string, got: unknown): never => {
    throw wrongValue('attention', `mask (documents) ${name}`, expected, got);
  };
  return {
    name: where,
    rows({ batches: B, queries: L, keys: T, queryOffset }) {
      if (keyIds.length !== T && keyIds.length !== B * T) fail('keys', `[S=${T}] or [B=${B}, S=${T}] numbers`, `${keyIds.length}`);
      if (queryIds && queryIds.length !== L && queryIds.length !== B * L) {
        fail('queries', `[L=${L}] or [B=${B}, L=${L}] numbers`, `${queryIds.length}`);
      }
      const batchedKeys = keyIds.length !== T;
      const batchedQueries = queryIds !== undefined && queryIds.length !== L;
      const seen = Array.from({ length: batchedKeys ? B : 1 }, (_, b) => runsById(keyIds, b * T, T));
      const idOf = (position: number, index: number, batch: number): number => {
        if (queryIds) return queryIds[(batchedQueries ? batch * L : 0) + index] as number;
        if (position < 0 || position >= T) {
          fail('queries', `to be given: queries stand at ${queryOffset} … ${queryOffset + L - 1}`, `keys at 0 … ${T - 1} alone`);
        }
        return keyIds[(batchedKeys ? batch * T : 0) + position] as number;
      };
      return {
        batched: batchedKeys || batchedQueries,
        runs({ position, index, batch }): Runs {
          return seen[batchedKeys ? batch : 0]?.get(idOf(position, index, batch)) ?? NONE;
        },
      };
    },
  };
}

/** Options of `keyPadding`. */
export interface KeyPaddingOptions {
  /** Real keys of each batch row, [B], or one number for all. */
  readonly lengths: number | readonly number[] | Int32Array;
  /** Real queries of each batch row, [B], or one number for all: the others see nothing, and yield 0. Default all. */
  readonly queryLengths?: number | readonly number[] | Int32Array;
  /** Where the padding is: `'right'` (default), behind the real ones, or `'left'`, before them. */
  readonly side?: 'right' | 'left';
}

/**
 * Keys (and queries) that only fill up their batch row are hidden. For padding on the right, the option `keyLengths` does the same for keys.
 *
 * @throws TypeError, RangeError if an option is missing or wrong; the call throws RangeError if there is not one length per batch row
 * @example
 * ```ts
 * const mask = and(causalMask(), keyPadding({ lengths: [9, 16], side: 'left' }));
 * ```
 */
export function keyPadding(given: KeyPaddingOptions): Mask {
  const where = 'keyPadding';
  given = options(where, given, ['lengths', 'queryLengths', 'side']);
  if (given.lengths === undefined) throw wrongType(where, 'lengths', 'a number or [B] numbers', undefined);
  const left = oneOf(where, 'side', given.side ?? 'right', ['right', 'left']) === 'left';
  const lengths = perBatch(where, 'lengths', given.lengths);
  const queryLengths = given.queryLengths === undefined ? undefined : perBatch(where, 'queryLengths', given.queryLengths);
  return {
    name: where,
    rows({ batches, keys, queries }) {
      const real = lengths(batches);
      const asking = queryLengths?.(batches);
      const isReal = (index: number, length: number): boolean => (left ? index >= queries - length : index < length);
      return {
        batched: real.batched || Boolean(asking?.batched),
        runs({ index, batch }) {
          if (asking && !isReal(index, asking.at(batch))) return NONE;
          const length = real.at(batch);
          return left ? run(keys - length, keys, keys) : run(0, length, keys);
        },
      };
    },
  };
}
