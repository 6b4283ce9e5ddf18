// Numbers as callers give them: typed arrays of any realm, arrays, tensors of safetensors files. The one place that reads their elements, each
// of them once.

import { describe, reading, shapeText, unreadable, wrongType, wrongValue } from './check.ts';

/**
 * A tensor as `relpos/safetensors` reads it from a file: its elements in C order, little endian. Taken wherever numbers are; its shape must
 * then be that of the table.
 */
export interface SafeTensorLike {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Typed arrays of numbers that are not BigInt. */
export type NumberArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** What was read, and the shape that it came with, if it came with one. */
export interface FlatNumbers {
  readonly values: NumberArray;
  readonly shape?: readonly number[];
}

type AnyArray = NumberArray | BigInt64Array | BigUint64Array;
type ArrayName =
  | 'Float32Array'
  | 'Float64Array'
  | 'Int8Array'
  | 'Uint8Array'
  | 'Uint8ClampedArray'
  | 'Int16Array'
  | 'Uint16Array'
  | 'Int32Array'
  | 'Uint32Array'
  | 'BigInt64Array'
  | 'BigUint64Array';

/** Getters of every typed array: what an own property, a subclass or another realm says instead is of no matter. */
const INTRINSIC: object = /* @__PURE__ */ typedArrayPrototype();
function typedArrayPrototype(): object {
  return Object.getPrototypeOf(Uint8Array.prototype);
}

function intrinsic<T>(value: object, key: string | symbol): T {
  return Object.getOwnPropertyDescriptor(INTRINSIC, key)?.get?.call(value) as T;
}

/** The name of a typed array's type, whatever realm it is of; undefined for all else. */
export function arrayType(value: unknown): string | undefined {
  return typeof value === 'object' && value !== null ? intrinsic<string | undefined>(value, Symbol.toStringTag) : undefined;
}

/** A typed array as one of this realm over the same bytes; undefined for all else. A detached one is empty. */
export function ownArray(value: unknown): AnyArray | undefined {
  const type = arrayType(value);
  if (type === undefined) return undefined;
  // biome-ignore lint/suspicious/noExplicitAny: a half-precision array is known to newer hosts and to no type.
  if (type === 'Float16Array') return Float32Array.from(value as any);
  const Type = globalThis[type as ArrayName];
  const length = intrinsic<number>(value as object, 'length');
  if (!length) return new Type(0);
  return new Type(intrinsic(value as object, 'buffer'), intrinsic(value as object, 'byteOffset'), length);
}

/** Bytes as a Uint8Array of this realm: an ArrayBuffer or a view of one, of any realm. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  const tag = Object.prototype.toString.call(value);
  return tag === '[object ArrayBuffer]' || tag === '[object SharedArrayBuffer]' ? new Uint8Array(value as ArrayBuffer) : undefined;
}

/** The elements of an array, read once each; `read` says what an element may be. */
export function readList<T>(where: string, name: string, given: readonly unknown[], read: (x: unknown, n: number) => T): T[] {
  const length = reading(where, name, () => given.length);
  const list: T[] = [];
  for (let n = 0; n < length; n++) {
    let x: unknown;
    try {
      x = given[n];
    } catch (cause) {
      throw unreadable(where, `${name}[${n}]`, cause);
    }
    list.push(read(x, n));
  }
  return list;
}

function numberAt(where: string, name: string, expected: string): (x: unknown, n: number) => number {
  return (x, n) => {
    if (typeof x !== 'number') throw wrongType(where, `${name}[${n}]`, expected, x);
    return x;
  };
}

/** Whole numbers of 64 bits as plain ones. */
function narrowed(where: string, name: string, given: BigInt64Array | BigUint64Array): Float64Array {
  const values = new Float64Array(given.length);
  for (let n = 0; n < values.length; n++) values[n] = plainInteger(where, `${name}[${n}]`, given[n] as bigint);
  return values;
}

function plainInteger(where: string, name: string, given: bigint): number {
  const plain = Number(given);
  if (!Number.isSafeInteger(plain)) throw wrongValue(where, name, 'an integer of at most 53 bits', `${given}`);
  return plain;
}

/**
 * Numbers as they come. `integers` also takes those of 64 bits; elsewhere they are refused by name. `each` is what errors say is expected of
 * an element.
 *
 * @returns undefined if it is none of what holds numbers
 * @throws TypeError, RangeError if an element is no number (a hole, a string, a list, a BigInt)
 */
export function readFlat(
  where: string,
  name: string,
  given: unknown,
  integers: boolean,
  each: string = 'a number',
): FlatNumbers | undefined {
  const array = ownArray(given);
  if (array) {
    if (!(array instanceof BigInt64Array || array instanceof BigUint64Array)) return { values: array };
    if (!integers) throw wrongType(where, name, 'numbers of 32 bits', given);
    return { values: narrowed(where, name, array) };
  }
  if (Array.isArray(given)) return { values: Float64Array.from(readList(where, name, given, numberAt(where, name, each))) };
  const file = safeTensor(where, name, given);
  return file && { values: decoded(where, name, file, integers), shape: file.shape };
}

interface FileType {
  readonly bytes: number;
  readonly integer: boolean;
  read(view: DataView, at: number): number | bigint;
}

const float = /* @__NO_SIDE_EFFECTS__ */ (bytes: number, read: FileType['read']): FileType => ({ bytes, integer: false, read });
const whole = /* @__NO_SIDE_EFFECTS__ */ (bytes: number, read: FileType['read']): FileType => ({ bytes, integer: true, read });

const WORDS = /* @__PURE__ */ new DataView(/* @__PURE__ */ new ArrayBuffer(4));
/** A number from the bits of its f32 form. */
function fromBits(bits: number): number {
  WORDS.setUint32(0, bits);
  return WORDS.getFloat32(0);
}

/** Half precision, exactly: subnormals count in steps of 2^−24. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return (sign * fraction) / 2 ** 24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return fromBits((((bits & 0x8000) << 16) | ((exponent + 112) << 23) | (fraction << 13)) >>> 0);
}

/** Element types of files that numbers can be read from. */
const FILE_TYPES: Readonly<Record<string, FileType>> = {
  F32: float(4, (view, at) => view.getFloat32(at, true)),
  F64: float(8, (view, at) => view.getFloat64(at, true)),
  F16: float(2, (view, at) => halfToNumber(view.getUint16(at, true))),
  BF16: float(2, (view, at) => fromBits((view.getUint16(at, true) << 16) >>> 0)),
  BOOL: whole(1, (view, at) => view.getUint8(at)),
  I8: whole(1, (view, at) => view.getInt8(at)),
  U8: whole(1, (view, at) => view.getUint8(at)),
  I16: whole(2, (view, at) => view.getInt16(at, true)),
  U16: whole(2, (view, at) => view.getUint16(at, true)),
  I32: whole(4, (view, at) => view.getInt32(at, true)),
  U32: whole(4, (view, at) => view.getUint32(at, true)),
  I64: whole(8, (view, at) => view.getBigInt64(at, true)),
  U64: whole(8, (view, at) => view.getBigUint64(at, true)),
};

/** A tensor of a file, its bytes as those of this realm. */
export interface CheckedSafeTensor extends SafeTensorLike {
  readonly size: number;
}

/** True for what has the form of a tensor of a safetensors file. */
export const isSafeTensor = (given: unknown): given is SafeTensorLike =>
  typeof given === 'object' && given !== null && ['dtype', 'shape', 'data'].every((key) => Object.hasOwn(given, key));

/** A tensor of a safetensors file, read and checked; undefined for all else. */
export function safeTensor(where: string, name: string, given: unknown): CheckedSafeTensor | undefined {
  if (!isSafeTensor(given)) return undefined;
  const { dtype, shape: sizes, data } = reading(where, name, () => ({ ...given })) as { [key: string]: unknown };
  if (typeof dtype !== 'string' || !Array.isArray(sizes) || arrayType(data) !== 'Uint8Array') return undefined;
  const type = Object.hasOwn(FILE_TYPES, dtype) ? FILE_TYPES[dtype] : undefined;
  if (!type) throw wrongValue(where, name, `a tensor of ${Object.keys(FILE_TYPES).join(', ')}`, describe(dtype));
  const shape = readShape(where, `${name}.shape`, sizes);
  const size = shape.reduce((product, n) => product * n, 1);
  const bytes = ownArray(data) as Uint8Array;
  if (bytes.length !== size * type.bytes) {
    throw wrongValue(where, `${name}.data`, `${size * type.bytes} bytes for ${dtype} ${shapeText(shape)}`, `${bytes.length}`);
  }
  return { dtype, shape, data: bytes, size };
}

/** Its numbers; Float32Array for F16, BF16 and F32, else Float64Array. */
export function decoded(where: string, name: string, { dtype, data, size }: CheckedSafeTensor, integers: boolean): NumberArray {
  const { bytes, read, integer } = FILE_TYPES[dtype] as FileType;
  const wide = bytes === 8 && integer;
  if (wide && !integers) throw wrongType(where, name, 'numbers of 32 bits', dtype);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const values = dtype === 'F32' || dtype === 'F16' || dtype === 'BF16' ? new Float32Array(size) : new Float64Array(size);
  for (let n = 0; n < size; n++) {
    const x = read(view, n * bytes);
    values[n] = typeof x === 'bigint' ? plainInteger(where, `${name}[${n}]`, x) : x;
  }
  return values;
}

/** Lengths of dimensions, ≥ 0, as a frozen array of the callee's own. @throws TypeError, RangeError if an entry is no such integer */
export function readShape(where: string, name: string, given: unknown): readonly number[] {
  if (!Array.isArray(given)) throw wrongType(where, name, 'an array of integers', given);
  const rank = reading(where, name, () => given.length);
  if (rank > MOST_DIMENSIONS) throw wrongValue(where, name, `at most ${MOST_DIMENSIONS} dimensions`, `${rank}`);
  const sizes = readList(where, name, given, (n, axis) => {
    if (typeof n !== 'number') throw wrongType(where, `${name}[${axis}]`, 'an integer', n);
    if (!Number.isInteger(n) || n < 0 || n > LONGEST) {
      throw wrongValue(where, `${name}[${axis}]`, n > LONGEST ? `an integer in 0 … ${LONGEST}` : 'an integer ≥ 0', n);
    }
    return n;
  });
  return Object.freeze(sizes);
}

/** Dimensions at most. */
const MOST_DIMENSIONS = 32;

/** Length of a dimension at most. */
const LONGEST = 0x7fffffff;

/** A copy of the bytes of a file's tensor in which this host finds its elements, of `bytes` each. */
export function elementBytes({ data }: CheckedSafeTensor, bytes: number): ArrayBuffer {
  const copy = new Uint8Array(data);
  if (!isLittleEndian()) for (let at = 0; at < copy.length; at += bytes) copy.subarray(at, at + bytes).reverse();
  return copy.buffer;
}

const isLittleEndian = (): boolean => new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** True if a tensor of a file holds whole numbers or booleans. */
export const isWhole = ({ dtype }: SafeTensorLike): boolean => Boolean(FILE_TYPES[dtype]?.integer);

/** @throws RangeError at the first number that is none of those expected */
export function expectEach(where: string, name: string, values: NumberArray, expected: string, fits: (x: number) => boolean): void {
  for (let n = 0; n < values.length; n++) {
    const x = values[n] as number;
    if (!fits(x)) throw wrongValue(where, `${name}[${n}]`, expected, x);
  }
}

/** Largest number of f32. */
export const LARGEST = 3.4028234663852886e38;

/** A copy as f32. `'hiding'`: −Infinity may be among them, which as a bias or a logit hides. @throws RangeError if f32 does not hold one */
export function narrow(where: string, name: string, values: NumberArray, allowed: 'finite' | 'hiding'): Float32Array {
  const hiding = allowed === 'hiding';
  const expected = `a finite number of f32${hiding ? ', or -Infinity' : ''}`;
  expectEach(where, name, values, expected, (x) => Math.abs(x) <= LARGEST || (hiding && x === -Infinity));
  return Float32Array.from(values);
}

/** Shapes of lists that came with one, for the checks that follow when more is known of the call. */
const SHAPES = new WeakMap<object, readonly number[]>();

/** The list, which came with this shape if there is one. */
export function withShape<T extends object>(values: T, shape: readonly number[] | undefined): T {
  if (shape) SHAPES.set(values, shape);
  return values;
}

/** The shape that a list came with. */
export const shapeOf = (values: object): readonly number[] | undefined => SHAPES.get(values);

/** Where the dimensions of a shape end, as numbers of elements: what tells two shapes of one size apart. Dimensions of 1 do not count. */
function boundaries(shape: readonly number[]): number[] {
  const ends: number[] = [];
  let product = 1;
  for (const n of [...shape].reverse()) {
    if (n !== 1) ends.push(product);
    product *= n;
  }
  return ends.filter((end) => end !== 1).reverse();
}

/** True if numbers of one shape lie as those of the other: it is the same but for dimensions that were joined at its end, or split. */
export function sameOrder(given: readonly number[], expected: readonly number[]): boolean {
  const [own, wanted] = [boundaries(given), boundaries(expected)];
  return own.every((end, n) => end === wanted[n]) || wanted.every((end) => own.includes(end));
}

/** @throws RangeError if the list came with a shape that is another one than expected, even if it has as many numbers */
export function expectShape(where: string, name: string, values: object, expected: readonly number[]): void {
  const shape = SHAPES.get(values) ?? (values as { readonly shape?: readonly number[] }).shape;
  if (shape && !sameOrder(shape, expected)) throw wrongValue(where, name, `shape ${shapeText(expected)}`, shapeText(shape));
}
