import { boolean, integer, options, wrongType, wrongValue } from '../arguments/check.ts';
import { arrayType } from '../arguments/numbers.ts';

/** Options of `permuteForPairs`. */
export interface PermuteOptions {
  /** Channels of a head that turn; default all. */
  readonly dim?: number;
  /** First of them; default 0. */
  readonly start?: number;
  /** True: from pairs to halves. */
  readonly inverse?: boolean;
}

type Weights = Float32Array | Float64Array | Uint16Array | Int8Array;

/**
 * The rows of a query or key projection in the order of the other rotary layout: weights trained for `layout: 'halves'` become weights
 * for `'pairs'`, with which the scores are the same. `inverse` goes the other way.
 *
 * @param weights [heads · headDim, columns], the checkpoint's `q_proj.weight` or `k_proj.weight`; a bias has one column. Raw bits of f16 or
 * bf16 come as a Uint16Array.
 * @param heads heads of this projection: H for q, G for k
 * @param headDim channels of a head, D
 * @returns a new array
 * @throws TypeError, RangeError if an argument is wrong
 * @example
 * ```ts
 * const weights = Float32Array.of(0, 1, 2, 3);
 * permuteForPairs(weights, 1, 4); // 0, 2, 1, 3
 * ```
 */
export function permuteForPairs<T extends Weights>(weights: T, heads: number, headDim: number, given: PermuteOptions = {}): T {
  const where = 'permuteForPairs';
  given = options(where, given, ['dim', 'start', 'inverse']);
  if (arrayType(weights) === undefined) throw wrongType(where, 'weights', 'a typed array', weights);
  const H = integer(where, 'heads', heads, 1);
  const D = integer(where, 'headDim', headDim, 1);
  const start = integer(where, 'start', given.start ?? 0, 0, D);
  const dim = integer(where, 'dim', given.dim ?? D - start, 2, D - start);
  if (dim % 2) throw wrongValue(where, 'dim', 'an even number', dim);
  const inverse = boolean(where, 'inverse', given.inverse ?? false);
  const columns = weights.length / (H * D);
  if (!Number.isInteger(columns)) throw wrongValue(where, 'weights', `a multiple of heads·headDim=${H * D} numbers`, `${weights.length}`);
  const out = weights.slice() as T;
  for (let head = 0; head < H; head++) {
    const first = head * D + start;
    for (let i = 0; i < dim / 2; i++) {
      for (const [half, pair] of [
        [i, 2 * i],
        [i + dim / 2, 2 * i + 1],
      ] as const) {
        const [from, to] = inverse ? [first + pair, first + half] : [first + half, first + pair];
        out.set(weights.subarray(from * columns, (from + 1) * columns), to * columns);
      }
    }
  }
  return out;
}
