// Checks of shapes, before anything is computed.

import { shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { WIDEST_HEAD } from '../arguments/limits.ts';
import type { OnnxInput } from './values.ts';
import { isGiven } from './values.ts';

/** What a dimension may be: one size, or one of a few. */
export type Size = number | readonly number[];

const isOneOf = (size: Size, n: number | undefined): boolean => (typeof size === 'number' ? n === size : size.includes(n as number));

/** True if `dims` are of these sizes. */
export function fits(dims: readonly number[], sizes: readonly Size[]): boolean {
  return dims.length === sizes.length && sizes.every((size, axis) => isOneOf(size, dims[axis]));
}

/** @throws RangeError naming the input, if its dimensions are not of these sizes, which `expected` tells in words */
export function checkShape(where: string, name: string, dims: readonly number[], sizes: readonly Size[], expected: string): void {
  if (!fits(dims, sizes)) throw wrongValue(where, name, `shape ${expected}`, shapeText(dims));
}

/** Two inputs that come together or not at all. @throws TypeError naming the one that is missing */
export function checkPair(where: string, inputs: object, names: readonly [string, string]): void {
  const [one, other] = names.map((name) => isGiven((inputs as Readonly<Record<string, OnnxInput>>)[name]));
  if (one === other) return;
  const [missing, given] = one ? [names[1], names[0]] : names;
  throw wrongType(where, missing, `a tensor beside ${given}`, undefined);
}

/** Names of the three operands, and of the attribute that tells the heads of keys and values. */
export interface OperandNames {
  readonly q: string;
  readonly k: string;
  readonly v: string;
}

/**
 * q [B, H, L, D], k [B, G, S, D] and v [B, G, S, E] that belong together.
 *
 * @throws RangeError naming the one that does not fit
 */
export function checkOperands(where: string, names: OperandNames, q: readonly number[], k: readonly number[], v: readonly number[]): void {
  const [B, H, , D] = q as [number, number, number, number];
  const [, G, S] = k as [number, number, number];
  const heads = (name: string, shape: readonly number[], words: string): RangeError =>
    wrongValue(where, name, words, `${shapeText(shape)} by heads`);
  if (H < 1 || D < 1 || D > WIDEST_HEAD) throw heads(names.q, q, `at least one head, 1 to ${WIDEST_HEAD} channels each,`);
  if (k[0] !== B || k[3] !== D) throw heads(names.k, k, `B=${B} and D=${D} channels a head, as ${names.q} has,`);
  if (G < 1 || H % G) throw heads(names.k, k, `a number of heads that divides the H=${H} of ${names.q}`);
  if (v[0] !== B || v[1] !== G || v[2] !== S) throw heads(names.v, v, `B=${B}, G=${G} heads and S=${S} rows, as ${names.k} has,`);
  const E = v[3] as number;
  if (E < 1 || E > WIDEST_HEAD) throw heads(names.v, v, `1 to ${WIDEST_HEAD} channels a head`);
}
