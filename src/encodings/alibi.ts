import { finite, integer, options, wrongValue } from '../arguments/check.ts';
import { copyNumbers, type Numbers } from '../arguments/lists.ts';
import type { Encoding } from '../plan/plan.ts';
import { powerOfTwo } from '../plan/power-of-two.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `alibi`. */
export interface AlibiOptions {
  /** Query heads, H. */
  readonly heads: number;
  /** The exponents of the slopes end at −maxBias; default 8. MPT has it as `attn_config.alibi_bias_max`, which its code ignores. */
  readonly maxBias?: number;
  /** m_h, [H], instead of the standard ones. */
  readonly slopes?: Numbers;
}

/**
 * The slopes m_h of ALiBi, [H]: with n the largest power of two ≤ H and M = maxBias, head h < n has 2^(−M(h+1)/n); the rest takes every
 * other slope of 2n heads, 2^(−M(2(h−n)+1)/(2n)). The same numbers, bit for bit, as `alibi({ heads, maxBias })` uses, for kernels and
 * operators that take slopes.
 *
 * Press et al. 2021, arXiv 2108.12409; BLOOM's `build_alibi_tensor`.
 *
 * @throws TypeError, RangeError if an argument is wrong
 * @example
 * ```ts
 * const slopes = alibiSlopes(12); // 2^-1 … 2^-8, then 2^-0.5, 2^-1.5, 2^-2.5, 2^-3.5
 * ```
 */
export function alibiSlopes(heads: number, maxBias = 8): Float64Array {
  const count = integer('alibiSlopes', 'heads', heads, 1, 65536);
  const most = finite('alibiSlopes', 'maxBias', maxBias, 0);
  let n = 1;
  while (2 * n <= count) n *= 2;
  const exponent = (h: number): number => (h < n ? (-most * (h + 1)) / n : (-(most / 2) * (2 * (h - n) + 1)) / n);
  return Float64Array.from({ length: count }, (_, h) => powerOfTwo(exponent(h)));
}

/**
 * Attention with linear biases: b = −m_h · |i − j|, which under a causal mask is −m_h · (i − j). Without one it is symmetric, as in
 * Jina-BERT v2.
 *
 * Falcon (`alibi: true`) divides the bias by √D together with q·k: pass `slopes` that are the standard ones divided by √D. It also rounds
 * slope · j to bfloat16 first; that is not reproduced: it changes nothing while slope · j has at most 8 significant bits (slopes that are
 * powers of two, up to 256 keys), and beyond that it is noise on the scheme.
 *
 * Press et al. 2021, arXiv 2108.12409; BLOOM, MPT, Falcon, Baichuan-13B.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = alibi({ heads: 12 });
 * const falcon = alibi({ heads: 12, slopes: alibiSlopes(12).map((slope) => slope / Math.sqrt(64)) });
 * ```
 */
export function alibi(given: AlibiOptions): Encoding {
  const where = 'alibi';
  given = options(where, given, ['heads', 'maxBias', 'slopes']);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const maxBias = finite(where, 'maxBias', given.maxBias ?? 8, 0);
  const own = given.slopes === undefined ? undefined : copyNumbers(where, 'slopes', given.slopes);
  if (own && own.length !== heads) throw wrongValue(where, 'slopes', `heads=${heads} numbers`, `${own.length}`);
  const slopes = own ?? alibiSlopes(heads, maxBias);
  return withBiases({
    name: where,
    steady: true,
    lower() {
      return {
        biases: [
          {
            kind: 'offset',
            heads,
            variant: '',
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
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'alibi',
    formula: 'b = −m_h · |i − j|',
    options: 'heads, maxBias, slopes',
    models: 'BLOOM, MPT, Falcon',
    make: alibi,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  alibi: { kind: 'offset bias', options: ({ H }) => ({ heads: H }) },
};
