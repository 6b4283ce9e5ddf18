import { integer, options } from '../check.ts';
import type { Arithmetic, Encoding } from '../plan.ts';

/** Options of `alibi`. */
export interface AlibiOptions {
  /** Query heads, H. */
  readonly heads: number;
}

/**
 * Slopes of ALiBi: with n the largest power of two ≤ H, head h < n has 2^(−8(h+1)/n); the rest takes every other slope of 2n heads,
 * 2^(−4(2(h−n)+1)/n).
 */
export function alibiSlopes(heads: number, math: Arithmetic): Float64Array {
  let n = 1;
  while (2 * n <= heads) n *= 2;
  return Float64Array.from({ length: heads }, (_, h) => math.pow(2, h < n ? (-8 * (h + 1)) / n : (-4 * (2 * (h - n) + 1)) / n));
}

/**
 * Attention with linear biases: b = −m_h · |i − j|, which under a causal mask is −m_h · (i − j).
 *
 * Press et al. 2021, arXiv 2108.12409; BLOOM, MPT (`alibi_bias_max` 8), Falcon with `alibi: true`.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = alibi({ heads: 12 });
 * ```
 */
export function alibi(given: AlibiOptions): Encoding {
  options('alibi', given, ['heads']);
  const heads = integer('alibi', 'heads', given.heads, 1, 65536);
  return {
    name: 'alibi',
    lower({ math }) {
      const slopes = alibiSlopes(heads, math);
      return {
        biases: [
          {
            kind: 'offset',
            heads,
            fill(out, first, count) {
              for (let h = 0; h < heads; h++) {
                const slope = slopes[h] as number;
                for (let n = 0; n < count; n++) out[h * count + n] = -slope * Math.abs(first + n);
              }
            },
          },
        ],
      };
    },
  };
}
