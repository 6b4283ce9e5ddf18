import { integer, oneOf, options, wrongValue } from '../arguments/check.ts';
import { copyNumbers, type Numbers } from '../arguments/lists.ts';
import type { Arithmetic, Encoding, OffsetFactor } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `kerple`: a bias, a weight, or both. */
export interface KerpleOptions {
  /** Query heads, H. */
  readonly heads: number;
  /** Of the bias: `'log'`: −p·ln(1 + a·|i − j|); `'power'`: −a·|i − j|^p. */
  readonly kind?: 'log' | 'power';
  /** p, [heads]: `bias_p`. */
  readonly biasP?: Numbers;
  /** a, [heads]: `bias_a`. */
  readonly biasA?: Numbers;
  /** p of the weight exp(−a·|i − j|^p), which multiplies the score: [heads], `wei_p`. */
  readonly weightP?: Numbers;
  /** a of the weight: [heads], `wei_a`. */
  readonly weightA?: Numbers;
}

/** All parameters are at least this when used. */
const LEAST = 0.01;
/** And the exponent of a power at most this: a kernel with a greater one is not conditionally positive definite. */
const LARGEST_POWER = 2;

/** a·d^p; 0 at d = 0. */
const power = (p: number, a: number, distance: number, math: Arithmetic): number => (distance === 0 ? 0 : a * math.pow(distance, p));

/** A function of |i − j| for each head, with its p and a. */
type Kernel = (p: number, a: number, distance: number, math: Arithmetic) => number;

const BIASES: Readonly<Record<'log' | 'power', Kernel>> = {
  log: (p, a, distance, math) => -p * math.log(1 + a * distance),
  power: (p, a, distance, math) => -power(p, a, distance, math),
};
const WEIGHT: Kernel = (p, a, distance, math) => math.exp(-power(p, a, distance, math));

/** The numbers that a plan takes by the offset. */
function byOffset(kernel: Kernel, p: Float64Array, a: Float64Array, math: Arithmetic): OffsetFactor {
  return {
    heads: p.length,
    variant: '',
    fill(out, first, count) {
      for (let h = 0; h < p.length; h++) {
        for (let n = 0; n < count; n++) out[h * count + n] = kernel(p[h] as number, a[h] as number, Math.abs(first + n), math);
      }
    },
  };
}

/**
 * KERPLE: the bias b = −p_h·ln(1 + a_h·|i − j|) or b = −a_h·|i − j|^p_h, the weight w = exp(−a_h·|i − j|^p_h) on the score, or both:
 * s ← w·s + b. The learned p and a are kept to at least 0.01, and p of a power to at most 2, as the original does when it uses them.
 *
 * Chi et al. 2022, arXiv 2205.09921.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = kerple({ heads: 2, kind: 'log', biasP: [1.2, 0.4], biasA: [0.5, 0.9] });
 * const weighted = kerple({ heads: 2, weightP: [1, 2], weightA: [0.05, 0.01] });
 * ```
 */
export function kerple(given: KerpleOptions): Encoding {
  const where = 'kerple';
  given = options(where, given, ['heads', 'kind', 'biasP', 'biasA', 'weightP', 'weightA']);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const weighted = given.weightP !== undefined || given.weightA !== undefined;
  const biased = !weighted || given.kind !== undefined || given.biasP !== undefined || given.biasA !== undefined;
  const parameters = (name: 'biasP' | 'biasA' | 'weightP' | 'weightA', most = Infinity): Float64Array => {
    const values = copyNumbers(where, name, given[name]);
    if (values.length !== heads) throw wrongValue(where, name, `heads=${heads} numbers`, `${values.length}`);
    return values.map((x) => Math.min(Math.max(x, LEAST), most));
  };
  const kind = biased ? oneOf(where, 'kind', given.kind, ['log', 'power']) : undefined;
  const bias = kind && { kind, p: parameters('biasP', kind === 'power' ? LARGEST_POWER : Infinity), a: parameters('biasA') };
  const weight = weighted ? { p: parameters('weightP', LARGEST_POWER), a: parameters('weightA') } : undefined;
  return withBiases({
    name: where,
    steady: true,
    lower: ({ math }) => ({
      ...(weight && { factors: [byOffset(WEIGHT, weight.p, weight.a, math)] }),
      ...(bias && { biases: [{ kind: 'offset', ...byOffset(BIASES[bias.kind], bias.p, bias.a, math) }] }),
    }),
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'kerple',
    formula: 'b = −p_h · ln(1 + a_h·|i − j|), or −a_h · |i − j|^p_h; s ← exp(−a_h · |i − j|^p_h) · s',
    options: 'heads, kind, biasP, biasA, weightP, weightA',
    models: 'KERPLE',
    make: kerple,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  kerple: {
    kind: 'offset bias',
    options: ({ H }) => ({ heads: H, kind: 'log', biasP: Array(H).fill(1.2), biasA: Array(H).fill(0.5) }),
  },
};
