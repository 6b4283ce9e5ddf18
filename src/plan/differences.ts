// An index that is a function of a difference x_j − x_i of two numbers, one per position.

import type { Standing } from '../arguments/lists.ts';
import type { SumIndex } from './plan.ts';

/** Differences beyond this many, counted in whole numbers and kinds of fractions, would take too large a map. */
export const DIFFERENCES_LIMIT: number = 0x1000000;

/** Distinct numbers in ascending order. */
const distinct = (list: Float64Array): Float64Array => Float64Array.from(new Set(list)).sort();

/**
 * index(i, j) = entry(trunc(x_j − x_i)), as a sum and a map; undefined if the map would be larger than DIFFERENCES_LIMIT.
 *
 * With x = n + f, n whole and 0 ≤ f < 1, and r the rank of f among the F distinct fractions, the code of x is F·n + r. For two codes
 * c_j ≥ c_i, ⌊(c_j − c_i) / F⌋ = n_j − n_i − [r_j < r_i] = ⌊x_j − x_i⌋, exactly; and likewise the other way round. Whole numbers have
 * F = 1 and are their own codes.
 */
export function differenceIndex({ queries, keys }: Standing, entry: (difference: number) => number): SumIndex | undefined {
  const all = new Float64Array([...queries, ...keys]);
  const fractions = distinct(all.map((x) => x - Math.floor(x)));
  const F = fractions.length;
  const ranks = new Map([...fractions].map((f, r) => [f, r]));
  const lowest = all.reduce((a, x) => Math.min(a, Math.floor(x)), Infinity);
  const highest = all.reduce((a, x) => Math.max(a, Math.floor(x)), -Infinity);
  const range = all.length ? F * (highest - lowest + 1) : 1; // codes are 0 … range − 1
  if (range > DIFFERENCES_LIMIT) return undefined;
  const code = (x: number): number => F * (Math.floor(x) - lowest) + (ranks.get(x - Math.floor(x)) as number);
  return {
    rows: Int32Array.from(queries, (x) => range - 1 - code(x)),
    columns: Int32Array.from(keys, code),
    map: Int32Array.from({ length: 2 * range - 1 }, (_, n) => entry(Math.trunc((n - (range - 1)) / F))),
  };
}
