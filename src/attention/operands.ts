// What a call is given beside its tensors, and whether the tensors fit one another.

import { integer, shapeText, wrongValue } from '../arguments/check.ts';
import { WIDEST_HEAD } from '../arguments/limits.ts';
import type { Logits } from '../arguments/lists.ts';
import { axes, type Layout } from '../memory/layout.ts';
import type { Shaped } from '../memory/operands.ts';
import type { Place, Shape } from '../plan/plan.ts';

/** Sizes of a call, after checking that the shapes fit one another. */
export function checkShapes(where: string, q: Shaped, k: Shaped, v: Shaped, layout: Layout): Shape {
  const { head, row } = axes(layout);
  const letters = (names: readonly string[]): string => {
    const [batch, h, r, width] = names as [string, string, string, string];
    return shapeText(layout === 'bhld' ? [batch, h, r, width] : [batch, r, h, width]);
  };
  if (q.shape.length !== 4) throw wrongValue(where, 'q', `shape ${letters(['B', 'H', 'L', 'D'])}`, shapeText(q.shape));
  const B = q.shape[0] as number;
  const D = q.shape[3] as number;
  const H = q.shape[head] as number;
  const L = q.shape[row] as number;
  if (H < 1 || D < 1 || D > WIDEST_HEAD)
    throw wrongValue(where, 'q', `shape ${letters(['B', 'H ≥ 1', 'L', `1 ≤ D ≤ ${WIDEST_HEAD}`])}`, shapeText(q.shape));
  const expectedK = (): string => `shape ${letters([`B=${B}`, 'G', 'S', `D=${D}`])}`;
  if (k.shape.length !== 4 || k.shape[0] !== B || k.shape[3] !== D || !k.shape[head])
    throw wrongValue(where, 'k', expectedK(), shapeText(k.shape));
  const G = k.shape[head] as number;
  const S = k.shape[row] as number;
  if (H % G) throw wrongValue(where, 'k', expectedK(), shapeText(k.shape), `H=${H} is not divisible by G=${G}`);
  const fits = v.shape.length === 4 && v.shape[0] === B && v.shape[head] === G && v.shape[row] === S;
  const E = v.shape[3] as number;
  if (!fits || E < 1 || E > WIDEST_HEAD)
    throw wrongValue(where, 'v', `shape ${letters([`B=${B}`, `G=${G}`, `S=${S}`, `1 ≤ E ≤ ${WIDEST_HEAD}`])}`, shapeText(v.shape));
  return { B, H, G, L, S, D, E };
}

/** One logit for each head, if there are any. */
export function logitsOf(where: string, name: string, given: Logits | undefined, heads: number): Float32Array | undefined {
  if (given === undefined) return undefined;
  if (given.values.length !== heads) throw wrongValue(where, name, `${heads} numbers`, `${given.values.length}`);
  return given.values;
}

/** Keys of this call that count, from the lengths of the whole. */
export function lengthsOf(
  where: string,
  given: Float64Array | undefined,
  { B, S }: Shape,
  { keyOffset, totalKeys }: Place,
): Int32Array | undefined {
  if (given === undefined) return undefined;
  if (given.length !== B) throw wrongValue(where, 'keyLengths', `B=${B} lengths`, `${given.length}`);
  const local = (n: number): number => Math.max(0, Math.min(S, n - keyOffset));
  return Int32Array.from(given, (n, b) => local(integer(where, `keyLengths[${b}]`, n, 0, totalKeys)));
}
