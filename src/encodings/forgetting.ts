import { integer, options, wrongValue } from '../arguments/check.ts';
import { copyNumbers, type Numbers, placeOf } from '../arguments/lists.ts';
import type { Encoding } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `forgetting`. */
export interface ForgettingOptions {
  /** Query heads, H. */
  readonly heads: number;
  /**
   * ln f_t of every token of the sequence, ≤ 0: [heads, T], or [B, heads, T], where T counts the cached tokens and the keys of other shards
   * too. Models compute logsigmoid(w·x_t + b).
   */
  readonly logGates: Numbers;
}

/** c_t = ln f_0 + … + ln f_t of each run of T numbers. */
function sums(logGates: Float64Array, T: number): Float64Array {
  const out = new Float64Array(logGates.length);
  let sum = 0;
  for (let n = 0; n < out.length; n++) {
    sum = (n % T ? sum : 0) + (logGates[n] as number);
    out[n] = sum;
  }
  return out;
}

/** The numbers first … first + count − 1 of each run of T. */
function part(list: Float64Array, T: number, first: number, count: number, sign: number): Float64Array {
  const out = new Float64Array((list.length / T) * count);
  for (let n = 0; n < out.length; n++) out[n] = sign * (list[Math.floor(n / count) * T + first + (n % count)] as number);
  return out;
}

/**
 * Forgetting attention: b = Σ ln f_t over t = j + 1 … i. Every token of a head has a forget gate f_t in (0, 1], computed from its input, that
 * fades all keys before it; ALiBi is the case where all gates of a head are the same. The sum is c_i − c_j with c the running sum, kept in two
 * parts so that a long text costs no accuracy. Made for `causal: true`: a key after its query would have the sum the other way round.
 *
 * Lin et al. 2025, arXiv 2503.02130 (FoX); "data-dependent ALiBi" of x-transformers.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * // Two heads, three tokens: the first head halves at every step, the second forgets nothing.
 * const half = -0.6931472; // ln 0.5
 * const encoding = forgetting({ heads: 2, logGates: [half, half, half, 0, 0, 0] });
 * ```
 */
export function forgetting(given: ForgettingOptions): Encoding {
  const where = 'forgetting';
  given = options(where, given, ['heads', 'logGates']);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const logGates = copyNumbers(where, 'logGates', given.logGates);
  const bad = logGates.findIndex((x) => x > 0);
  if (bad >= 0) throw wrongValue(where, `logGates[${bad}]`, 'the logarithm of a gate, ≤ 0', logGates[bad]);
  return withBiases({
    name: where,
    lower(context) {
      const { B, H, L, S } = context.shape;
      const { queryOffset, keyOffset, totalKeys: T } = placeOf(context);
      if (H !== heads) throw wrongValue(where, 'heads', `H=${H}`, heads);
      const batch = logGates.length === heads * T ? 1 : B;
      if (logGates.length !== batch * heads * T) {
        throw wrongValue(where, 'logGates', `[heads=${heads}, T=${T}] or [B=${B}, heads=${heads}, T=${T}] numbers`, `${logGates.length}`);
      }
      if (queryOffset < 0 || queryOffset + L > T) {
        throw wrongValue(where, 'logGates', `a gate for every query, at ${queryOffset} … ${queryOffset + L - 1}`, `${T} of them`);
      }
      const c = sums(logGates, T);
      const [rows, columns] = [part(c, T, queryOffset, L, 1), part(c, T, keyOffset, S, -1)];
      return { biases: [{ kind: 'sum', batch, heads, rows, columns }] };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'forgetting',
    formula: 'b = Σ ln f_t over t = j + 1 … i',
    options: 'heads, logGates',
    models: 'Forgetting Transformer (FoX)',
    make: forgetting,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  forgetting: {
    kind: 'sum bias',
    // A gate of 0.9 everywhere.
    options: ({ H, L }) => ({ heads: H, logGates: new Float32Array(H * L).fill(-0.105) }),
    attention: { causal: true },
  },
};
