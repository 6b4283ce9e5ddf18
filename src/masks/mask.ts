// Masks as values: who sees whom, as a set of key positions for every query. Closed under and, or, not.

import { options, wrongType, wrongValue } from '../arguments/check.ts';
import { complement, intersect, type Runs, runsOf, unite } from './runs.ts';

/** The call that a mask is lowered for. */
export interface MaskScope {
  /** Batch rows, B. */
  readonly batches: number;
  /** Queries of the call, L. */
  readonly queries: number;
  /** Keys of the whole, T: with a cache or in a shard more than the call's own. */
  readonly keys: number;
  /** Position of query 0; query i stands at queryOffset + i, by default i + (T − L). */
  readonly queryOffset: number;
}

/** One query of a call. */
export interface MaskQuery {
  /** Its standard position. */
  readonly position: number;
  /** Its number, 0 … L − 1. */
  readonly index: number;
  /** Its batch row. */
  readonly batch: number;
}

/** What a mask means for one call. */
export interface MaskRows {
  /** True if batch rows differ; else only batch row 0 is asked for. */
  readonly batched: boolean;
  /** The keys that a query sees: runs [from, to, from, to, …] of positions in 0 … T − 1, to exclusive, ascending, apart, none empty. */
  runs(query: MaskQuery): Runs;
}

/**
 * Who sees whom, as a value: the `mask` option of `attention`. It says nothing but which keys each query sees, by standard positions, so
 * that the same mask serves a whole, a shard of its keys and a step with a cache. Made by `causalMask` and its relatives; `rows` is what
 * they lower to.
 */
export interface Mask {
  /** For error messages. */
  readonly name: string;
  /** What the mask means for one call; it must depend on nothing but its argument. */
  rows(scope: MaskScope): MaskRows;
}

export const isMask = (value: unknown): value is Mask => typeof (value as Mask | undefined)?.rows === 'function';

/** What the function of `defineMask` hears beside the position of the query. */
export interface IntervalContext {
  /** Number of the query in its call, 0 … L − 1. */
  readonly index: number;
  /** Batch row; 0 for all unless the mask is `batched`. */
  readonly batch: number;
  /** Keys of the whole, T. */
  readonly keys: number;
  /** Queries of the call, L. */
  readonly queries: number;
}

/** Options of `defineMask`. */
export interface MaskDefinition {
  /** For error messages. */
  readonly name: string;
  /**
   * The keys that the query at a position sees: pairs [from, to), in any order. They may overlap, and go beyond the keys at either end
   * (−Infinity and Infinity too). Must depend on nothing but its arguments.
   */
  intervals(query: number, context: IntervalContext): Iterable<readonly [number, number]>;
  /** True if `intervals` reads `context.batch`; default false: it is asked once for all batch rows. */
  readonly batched?: boolean;
}

/**
 * A mask of your own. It is lowered anew for each call, to L + (number of intervals) numbers.
 *
 * @throws TypeError if an option is missing or wrong; the call throws RangeError if an interval is not a pair of whole numbers
 * @example
 * ```ts
 * // Every query sees the first four keys and the 64 up to itself.
 * const sinksAndWindow = defineMask({ name: 'streaming', intervals: (query) => [[0, 4], [query - 63, query + 1]] });
 * ```
 */
export function defineMask(given: MaskDefinition): Mask {
  const where = 'defineMask';
  given = options(where, given, ['name', 'intervals', 'batched']);
  const { name, intervals, batched = false } = given;
  if (typeof name !== 'string') throw wrongType(where, 'name', 'a string', name);
  if (typeof intervals !== 'function') throw wrongType(where, 'intervals', 'a function (query, context) → [from, to][]', intervals);
  if (typeof batched !== 'boolean') throw wrongType(where, 'batched', 'true or false', batched);
  return {
    name,
    rows: ({ keys, queries }) => ({
      batched,
      runs({ position, index, batch }) {
        const pairs: unknown = intervals(position, { index, batch, keys, queries });
        if (typeof (pairs as Iterable<unknown> | null | undefined)?.[Symbol.iterator] !== 'function') {
          throw wrongType('attention', `mask (${name})`, `intervals to return pairs [from, to] for the query at ${position}`, pairs);
        }
        const all = [...(pairs as Iterable<readonly [number, number]>)];
        for (const pair of all) checkPair(name, position, pair);
        return runsOf(all, keys);
      },
    }),
  };
}

function checkPair(name: string, position: number, pair: unknown): void {
  if (!Array.isArray(pair) || pair.length !== 2 || !pair.every(isBound)) {
    throw wrongValue('attention', `mask (${name})`, `intervals [from, to) of whole numbers for the query at ${position}`, pair);
  }
}

function parts(where: string, masks: readonly Mask[]): readonly Mask[] {
  if (!masks.length) throw wrongType(where, 'masks', 'at least one mask', undefined);
  masks.forEach((mask, n) => {
    if (!isMask(mask)) throw wrongType(where, `masks[${n}]`, 'a mask such as causalMask()', mask);
  });
  return masks;
}

/**
 * What a mask means for a call, its runs checked: a mask of the user's own may say anything, and what is out of order would hide without a
 * word. @throws TypeError, RangeError if it says no runs
 */
export function rowsOf(mask: Mask, scope: MaskScope): MaskRows {
  const rows = mask.rows(scope);
  const name = `mask (${mask.name})`;
  if (typeof rows !== 'object' || rows === null || typeof rows.runs !== 'function') {
    throw wrongType('attention', name, 'rows to return { batched, runs(query) }', rows);
  }
  return { batched: Boolean(rows.batched), runs: (query) => checkRuns(name, rows.runs(query), query.position) };
}

function checkRuns(name: string, runs: Runs, position: number): Runs {
  if (!Array.isArray(runs)) throw wrongType('attention', name, 'runs to return [from, to, from, to, …]', runs);
  let end = -Infinity;
  for (let n = 0; n < runs.length; n += 2) {
    const [from, to] = [runs[n] as number, runs[n + 1] as number];
    if (!(isBound(from) && isBound(to) && end < from && from < to)) {
      const expected = `runs [from, to, …] of whole numbers, ascending, apart and not empty, for the query at ${position}`;
      throw wrongValue('attention', name, expected, runs);
    }
    end = to;
  }
  return runs;
}

const isBound = (x: unknown): boolean => Number.isInteger(x) || x === Infinity || x === -Infinity;

function combine(name: string, masks: readonly Mask[], join: (a: Runs, b: Runs) => Runs): Mask {
  return {
    name: `${name}(${masks.map((mask) => mask.name).join(', ')})`,
    rows(scope) {
      const all = masks.map((mask) => rowsOf(mask, scope));
      return {
        batched: all.some(({ batched }) => batched),
        runs: (query) => all.map((rows) => rows.runs(rows.batched ? query : { ...query, batch: 0 })).reduce(join),
      };
    },
  };
}

/**
 * Keys that every one of the masks shows.
 *
 * @throws TypeError if an argument is not a mask, or there is none
 * @example
 * ```ts
 * const mask = and(causalMask(), documents({ keys: [0, 0, 0, 1, 1] }));
 * ```
 */
export function and(...masks: readonly Mask[]): Mask {
  return combine('and', parts('and', masks), intersect);
}

/**
 * Keys that at least one of the masks shows.
 *
 * @throws TypeError if an argument is not a mask, or there is none
 * @example
 * ```ts
 * const mask = or(slidingWindow({ left: 127, right: 0 }), prefixLM({ lengths: 4 }));
 * ```
 */
export function or(...masks: readonly Mask[]): Mask {
  return combine('or', parts('or', masks), unite);
}

/**
 * Keys that the mask hides.
 *
 * @throws TypeError if the argument is not a mask
 * @example
 * ```ts
 * const mask = and(causalMask(), not(slidingWindow({ left: 0, right: 0 }))); // all keys before the query, not its own
 * ```
 */
export function not(mask: Mask): Mask {
  const [inner] = parts('not', [mask]) as [Mask];
  return {
    name: `not(${inner.name})`,
    rows(scope) {
      const { batched, runs } = rowsOf(inner, scope);
      return { batched, runs: (query) => complement(runs(query), scope.keys) };
    },
  };
}
