import { integer, oneOf, options, wrongValue } from '../arguments/check.ts';
import { copyNumbers, type Numbers } from '../arguments/lists.ts';
import type { Arithmetic, Encoding } from '../plan/plan.ts';
import type { Scheme } from './scheme.ts';

/** Options of `kerple`. */
export interface KerpleOptions {
  /** Query heads, H. */
  readonly heads: number;
  /** `'log'`: −p·ln(1 + a·|i − j|); `'power'`: −a·|i − j|^p. */
  readonly kind: 'log' | 'power';
  /** p, [heads]: `bias_p`. */
  readonly biasP: Numbers;
  /** a, [heads]: `bias_a`. */
  readonly biasA: Numbers;
}

/** Both parameters are at least this when used. */
const LEAST = 0.01;
/** And the exponent of the power form at most this: a kernel with a greater one is not conditionally positive definite. */
const LARGEST_POWER = 2;

/** −p·ln(1 + a·d), or −a·d^p; d^p is 0 at d = 0. */
function bias(kind: 'log' | 'power', p: number, a: number, distance: number, math: Arithmetic): number {
  if (kind === 'log') return -p * math.log(1 + a * distance);
  return distance === 0 ? 0 : -a * math.pow(distance, p);
}

/**
 * KERPLE's biases: b = −p_h·ln(1 + a_h·|i − j|), or b = −a_h·|i − j|^p_h. The learned p and a are kept to at least 0.01, and p of the
 * power form to at most 2, as the original does when it uses them. Its optional weight kernel, which multiplies the logit, is not
 * here.
 *
 * Chi et al. 2022, arXiv 2205.09921.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = kerple({ heads: 2, kind: 'log', biasP: [1.2, 0.4], biasA: [0.5, 0.9] });
 * ```
 */
export function kerple(given: KerpleOptions): Encoding {
  const where = 'kerple';
  given = options(where, given, ['heads', 'kind', 'biasP', 'biasA']);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const kind = oneOf(where, 'kind', given.kind, ['log', 'power']);
  const parameters = (name: 'biasP' | 'biasA', most: number): Float64Array => {
    const values = copyNumbers(where, name, given[name]);
    if (values.length !== heads) throw wrongValue(where, name, `heads=${heads} numbers`, `${values.length}`);
    return values.map((x) => Math.min(Math.max(x, LEAST), most));
  };
  const p = parameters('biasP', kind === 'power' ? LARGEST_POWER : Infinity);
  const a = parameters('biasA', Infinity);
  return {
    name: where,
    lower: ({ math }) => ({
      biases: [
        {
          kind: 'offset',
          heads,
          fill(out, first, count) {
            for (let h = 0; h < heads; h++) {
              for (let n = 0; n < count; n++) {
                out[h * count + n] = bias(kind, p[h] as number, a[h] as number, Math.abs(first + n), math);
              }
            }
          },
        },
      ],
    }),
  };
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'kerple',
    formula: 'b = −p_h · ln(1 + a_h·|i − j|), or −a_h · |i − j|^p_h',
    options: 'heads, kind, biasP, biasA',
    models: 'KERPLE',
    make: kerple,
  },
];
