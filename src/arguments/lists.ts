// What several schemes read of their options: tables by head, whole numbers, one entry per position.

import { Tensor } from '../memory/tensor.ts';
import type { LowerContext, Place } from '../plan/plan.ts';
import { wrongType, wrongValue } from './check.ts';

/** Whole numbers, row-major: a typed array, an array, or a tensor (copied when the encoding is made). */
export type Integers = Int32Array | Float32Array | readonly number[] | Tensor;

/** Numbers: a typed array, an array, or a tensor (copied when the encoding is made). */
export type Numbers = Float32Array | Float64Array | Int32Array | readonly number[] | Tensor;

/** A table with one row of P entries per head. */
export interface HeadTable {
  readonly heads: number;
  /** [heads, P]. */
  readonly values: Float32Array;
}

/** An option's numbers as f64, or undefined if it is none of the accepted kinds. */
function numbersOf(given: unknown): Float64Array | undefined {
  if (given instanceof Tensor) return given.toNumbers();
  if (given instanceof Float32Array || given instanceof Float64Array || given instanceof Int32Array) return Float64Array.from(given);
  return Array.isArray(given) && given.every((x) => typeof x === 'number') ? Float64Array.from(given) : undefined;
}

/** A private copy of a list of finite numbers. */
export function copyNumbers(where: string, name: string, given: unknown): Float64Array {
  const values = numbersOf(given);
  if (!values) throw wrongType(where, name, 'an array of numbers, a typed array or a tensor', given);
  const bad = values.findIndex((x) => !Number.isFinite(x));
  if (bad >= 0) throw wrongValue(where, `${name}[${bad}]`, 'a finite number', values[bad]);
  return values;
}

/** A private copy of a list of whole numbers in min … max. */
export function copyIntegers(where: string, name: string, given: unknown, min: number, max: number): Int32Array {
  const values = copyNumbers(where, name, given);
  const bad = values.findIndex((x) => !Number.isInteger(x) || x < min || x > max);
  if (bad >= 0) throw wrongValue(where, `${name}[${bad}]`, `an integer in ${min} … ${max}`, values[bad]);
  return Int32Array.from(values);
}

/** The numbers of a table of P entries a head, and its heads: as many as expected, or by its size. */
function tableOf(where: string, name: string, given: unknown, P: number, [a, b]: readonly [unknown, unknown], expected?: number) {
  const shape = `[${a}, ${b}], ${expected === undefined ? `a multiple of ${P}` : P * expected} numbers`;
  const values = numbersOf(given);
  if (!values) throw wrongType(where, name, `a Float32Array, an array or a tensor of ${shape}`, given);
  const heads = values.length / P;
  if (!Number.isInteger(heads) || heads < 1 || heads !== (expected ?? heads)) throw wrongValue(where, name, shape, `${values.length}`);
  return { heads, values };
}

/** A table [heads, P]; the number of heads follows from its size. */
export function copyHeads(where: string, name: string, given: unknown, P: number): HeadTable {
  const { heads, values } = tableOf(where, name, given, P, ['heads', P]);
  return { heads, values: Float32Array.from(values) };
}

/** A table [P, heads], as most checkpoints keep it, turned to [heads, P]. Without `expected` the number of heads follows from its size. */
export function copyByHead(where: string, name: string, given: unknown, P: number, expected?: number): HeadTable {
  const { heads, values } = tableOf(where, name, given, P, [P, expected ?? 'heads'], expected);
  return { heads, values: Float32Array.from(values, (_, n) => values[(n % P) * heads + Math.floor(n / P)] as number) };
}

/** Two whole numbers ≥ 1, rows and columns of a grid; one stands for both. */
export function copyGrid(where: string, name: string, given: unknown): readonly [number, number] {
  const list = typeof given === 'number' ? [given, given] : given;
  if (!Array.isArray(list)) throw wrongType(where, name, 'a number or [rows, columns]', given);
  const [rows, columns] = list as number[];
  if (list.length !== 2 || !list.every((n) => Number.isInteger(n) && n >= 1 && n <= 4096)) {
    throw wrongValue(where, name, '[rows, columns], integers in 1 … 4096', given);
  }
  return [rows as number, columns as number];
}

/** Where queries and keys stand, spelt out. */
export function placeOf({ shape: { L, S }, place }: LowerContext): Place {
  return place ?? { queryOffset: S - L, keyOffset: 0, totalKeys: S };
}

/** One number per position of the whole, [T] or [B, T], as those of the call's queries and keys. */
export interface Standing {
  /** [L], or [B, L]. */
  readonly queries: Float64Array;
  /** [S], or [B, S]. */
  readonly keys: Float64Array;
}

/** @throws RangeError if the list does not fit the call */
export function standing(where: string, name: string, list: Float64Array, context: LowerContext): Standing {
  const { B, L, S } = context.shape;
  const { queryOffset, keyOffset, totalKeys: T } = placeOf(context);
  if (list.length !== T && list.length !== B * T) throw wrongValue(where, name, `[S=${T}] or [B=${B}, S=${T}] numbers`, `${list.length}`);
  if (queryOffset < 0 || queryOffset + L > T) {
    throw wrongValue(where, name, `an entry for every query, at positions ${queryOffset} … ${queryOffset + L - 1}`, `${T} of them`);
  }
  const part = (first: number, count: number): Float64Array => {
    const runs = list.length / T;
    return Float64Array.from({ length: runs * count }, (_, n) => list[Math.floor(n / count) * T + first + (n % count)] as number);
  };
  return { queries: part(queryOffset, L), keys: part(keyOffset, S) };
}
