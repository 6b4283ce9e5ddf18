// What several schemes read of their options: tables by head, whole numbers, one entry per position.

import { Tensor } from '../memory/tensor.ts';
import type { LowerContext, Place } from '../plan/plan.ts';
import { integer, reading, shapeText, wrongType, wrongValue } from './check.ts';
import {
  arrayType,
  expectEach,
  expectShape,
  type FlatNumbers,
  isSafeTensor,
  narrow,
  readFlat,
  readList,
  type SafeTensorLike,
  shapeOf,
  withShape,
} from './numbers.ts';

/** Whole numbers, row-major: a typed array, an array, a tensor, or one of a safetensors file (copied when the encoding is made). */
export type Integers = Int32Array | BigInt64Array | Float32Array | readonly number[] | Tensor | SafeTensorLike;

/** Numbers: a typed array, an array, a tensor, or one of a safetensors file (copied when the encoding is made). */
export type Numbers = Float32Array | Float64Array | Int32Array | BigInt64Array | readonly number[] | Tensor | SafeTensorLike;

/** A table with one row of P entries per head. */
export interface HeadTable {
  readonly heads: number;
  /** [heads, P]. */
  readonly values: Float32Array;
}

/** An option's numbers, with their shape if they came with one. @returns undefined if it is none of the accepted kinds */
export function numbersOf(where: string, name: string, given: unknown, integers: boolean, each?: string): FlatNumbers | undefined {
  if (given instanceof Tensor) return { values: given.toNumbers(), shape: given.shape };
  return readFlat(where, name, given, integers, each);
}

/** True for what a list of numbers may come in. */
export const holdsNumbers = (given: unknown): boolean =>
  given instanceof Tensor || Array.isArray(given) || arrayType(given) !== undefined || isSafeTensor(given);

/** A private copy of a list of finite numbers. */
export function copyNumbers(where: string, name: string, given: unknown): Float64Array {
  const found = numbersOf(where, name, given, true);
  if (!found) throw wrongType(where, name, 'an array of numbers, a typed array or a tensor', given);
  expectEach(where, name, found.values, 'a finite number', Number.isFinite);
  return withShape(Float64Array.from(found.values), found.shape);
}

/** Numbers of an option as f32, and the tensor that they were read from, if it was one. */
export interface Logits {
  readonly values: Float32Array;
  readonly tensor?: Tensor;
}

/** A private copy of logits or weights: finite, or −Infinity. */
export function copyLogits(where: string, name: string, given: unknown): Logits {
  const found = numbersOf(where, name, given, false);
  if (!found) throw wrongType(where, name, 'a Float32Array, an array or a tensor', given);
  const values = withShape(narrow(where, name, found.values, 'hiding'), found.shape);
  return { values, ...(given instanceof Tensor && { tensor: given }) };
}

/** A private copy of a list of counts, whole numbers ≥ 0. What they may be at most is checked with the shapes. */
export function copyLengths(where: string, name: string, given: unknown): Float64Array {
  const found = numbersOf(where, name, given, true, 'an integer');
  if (!found) throw wrongType(where, name, 'an Int32Array or an array', given);
  expectEach(where, name, found.values, 'an integer ≥ 0', (x) => Number.isSafeInteger(x) && x >= 0);
  return Float64Array.from(found.values);
}

/** A private copy of a list of whole numbers in min … max, as f64. */
export function copyWhole(where: string, name: string, given: unknown, min: number, max: number): Float64Array {
  const values = copyNumbers(where, name, given);
  expectEach(where, name, values, `an integer in ${min} … ${max}`, (x) => Number.isInteger(x) && x >= min && x <= max);
  return values;
}

/** A private copy of a list of whole numbers in min … max, which must be of 32 bits. */
export function copyIntegers(where: string, name: string, given: unknown, min: number, max: number): Int32Array {
  const values = copyWhole(where, name, given, min, max);
  return withShape(Int32Array.from(values), shapeOf(values));
}

/** A short list of whole numbers in min … max, such as sizes: at least one, or as many as there are names. */
export function copySizes(where: string, name: string, given: unknown, min: number, max: number, names: readonly string[] = []): number[] {
  const expected = names.length ? shapeText(names) : 'an array of integers';
  const count = Array.isArray(given) ? reading(where, name, () => given.length) : 0;
  if (!Array.isArray(given) || count !== (names.length || Math.max(1, count))) throw wrongType(where, name, expected, given);
  return readList(where, name, given, (n, i) => integer(where, `${name}[${i}]`, n, min, max));
}

/** The numbers of a table of P entries a head, and its heads: as many as expected, or by its size. */
function tableOf(where: string, name: string, given: unknown, P: number, [a, b]: readonly [unknown, unknown], expected?: number) {
  const shape = `[${a}, ${b}], ${expected === undefined ? `a multiple of ${P}` : P * expected} numbers`;
  const found = numbersOf(where, name, given, false);
  if (!found) throw wrongType(where, name, `a Float32Array, an array or a tensor of ${shape}`, given);
  const heads = found.values.length / P;
  if (!Number.isInteger(heads) || heads < 1 || heads !== (expected ?? heads)) {
    throw wrongValue(where, name, shape, `${found.values.length}`);
  }
  const values = withShape(narrow(where, name, found.values, 'hiding'), found.shape);
  expectShape(where, name, values, a === P ? [P, heads] : [heads, P]);
  return { heads, values };
}

/** A table [heads, P]; the number of heads follows from its size. */
export function copyHeads(where: string, name: string, given: unknown, P: number): HeadTable {
  return tableOf(where, name, given, P, ['heads', P]);
}

/** A table [P, heads], as most checkpoints keep it, turned to [heads, P]. Without `expected` the number of heads follows from its size. */
export function copyByHead(where: string, name: string, given: unknown, P: number, expected?: number): HeadTable {
  const { heads, values } = tableOf(where, name, given, P, [P, expected ?? 'heads'], expected);
  return { heads, values: Float32Array.from(values, (_, n) => values[(n % P) * heads + Math.floor(n / P)] as number) };
}

/** Two whole numbers ≥ 1, rows and columns of a grid; one stands for both. */
export function copyGrid(where: string, name: string, given: unknown): readonly [number, number] {
  if (typeof given !== 'number' && !Array.isArray(given)) throw wrongType(where, name, 'a number or [rows, columns]', given);
  const list = typeof given === 'number' ? [given, given] : readList(where, name, given, (n) => n);
  const [rows, columns] = list as number[];
  if (list.length !== 2 || !list.every((n) => Number.isInteger(n) && (n as number) >= 1 && (n as number) <= 4096)) {
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
  expectShape(where, name, list, list.length === T ? [T] : [B, T]);
  const part = (first: number, count: number): Float64Array => {
    const runs = list.length / T;
    return Float64Array.from({ length: runs * count }, (_, n) => list[Math.floor(n / count) * T + first + (n % count)] as number);
  };
  return { queries: part(queryOffset, L), keys: part(keyOffset, S) };
}
