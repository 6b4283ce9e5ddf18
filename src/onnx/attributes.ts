// Checks of what an operator is given beside its tensors: the engine, the names of inputs and attributes, the attributes' values.

import { describe, finite, integer, options, wrongType, wrongValue } from '../arguments/check.ts';

/** @throws TypeError unless it is an engine */
export function checkEngine(where: string, engine: unknown): void {
  const methods = ['tensor', 'attention', 'rotate'] as const;
  const given = engine as Partial<Record<string, unknown>> | null | undefined;
  if (methods.some((name) => typeof given?.[name] !== 'function')) throw wrongType(where, 'engine', 'an engine of createEngine', engine);
}

/**
 * An operator's `inputs` or `attributes`, read once; null is what is left out, as runtimes write it.
 *
 * @throws TypeError unless it is a plain object with names of `known` only
 */
export function named<T>(where: string, what: 'inputs' | 'attributes', given: unknown, known: readonly string[]): T {
  return options<T>(where, given, known, what, known);
}

/** An attribute that is 0 or 1. */
export function flag(where: string, name: string, value: number | null | undefined, byDefault: 0 | 1 = 0): boolean {
  return integer(where, name, value ?? byDefault, 0, 1) === 1;
}

/** The number of heads that an attribute gives; it has no default. */
export function headCount(where: string, name: string, value: number | null | undefined): number {
  return integer(where, name, value, 1, 65536);
}

/** A factor of the scores: any finite number, 0 or nothing for the default of 1/√D. */
export function scaleOf(where: string, value: number | null | undefined, D: number): number {
  return finite(where, 'scale', value ?? 0) || 1 / Math.sqrt(D);
}

/** A cap of the scores, 0 for none. */
export function softcapOf(where: string, value: number | null | undefined): number {
  const softcap = finite(where, 'softcap', value ?? 0);
  if (softcap < 0) throw wrongValue(where, 'softcap', 'a finite number ≥ 0', softcap);
  return softcap;
}

/** @throws RangeError saying that an input or attribute is beyond what is implemented */
export function unsupported(where: string, name: string, got: unknown, because: string): RangeError {
  return wrongValue(where, name, 'nothing that is not supported', typeof got === 'string' ? got : describe(got), because);
}

/**
 * Runs the operator. What the engine refuses is told of the operator: `attention: "mask[0]" …` becomes `where: "attn_mask" …`, as `names`
 * has it, so that nobody reads of an option that is not theirs.
 */
export async function inNamesOf<T>(where: string, names: Readonly<Record<string, string>>, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError) || error.message.startsWith(`${where}: `)) throw error;
    const [, name, rest] = /^[\w.]+: "([^"[.]+)[^"]*"(.*)$/s.exec(error.message) ?? [];
    if (name === undefined) throw error;
    const Kind = error instanceof TypeError ? TypeError : RangeError;
    throw new Kind(`${where}: "${names[name] ?? name}"${rest}`, { cause: error });
  }
}
