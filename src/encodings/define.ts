import { boolean, options, wrongType } from '../arguments/check.ts';
import { withHandlers } from '../plan/handlers.ts';
import type { Encoding } from '../plan/plan.ts';
import { readPlan } from '../plan/read-plan.ts';
import { BIASES } from '../plan/with-biases.ts';
import { TERMS } from '../plan/with-terms.ts';

/**
 * Your own position scheme: say what it lowers to, and every kernel, thread and cache works with it. The built-in schemes use the same
 * door. An object of the same form that was not passed through here is no encoding. `lower` is called once per attention call; what it returns is computed anew each time unless it has a `variant`.
 *
 * @throws TypeError if `name` or `lower` is missing. A call throws TypeError or RangeError, before it changes anything, if what `lower` returns is
 *   no plan: it names the encoding and the part, as in `encoding (halving) biases[0].heads`
 * @example
 * ```ts
 * // A bias that halves with every 8 positions of distance, the same for all heads.
 * const encoding = defineEncoding({
 *   name: 'halving',
 *   lower: ({ math }) => ({
 *     biases: [{
 *       kind: 'offset',
 *       heads: 1,
 *       variant: '', // depends on nothing: kept between calls
 *       fill: (out, first, count) => {
 *         for (let n = 0; n < count; n++) out[n] = math.pow(2, -Math.abs(first + n) / 8);
 *       },
 *     }],
 *   }),
 * });
 * ```
 */
export function defineEncoding(given: Encoding): Encoding {
  given = options('defineEncoding', given, ['name', 'lower', 'steady']);
  if (typeof given.name !== 'string') throw wrongType('defineEncoding', 'name', 'a string', given.name);
  if (typeof given.lower !== 'function') throw wrongType('defineEncoding', 'lower', 'a function', given.lower);
  if (given.steady !== undefined) boolean('defineEncoding', 'steady', given.steady);
  return withHandlers(given, { read: readPlan, ...BIASES, ...TERMS });
}
