// What tensors are filled from: checked, in a form that cannot fail half way, and safe where it is a view of the engine's own memory.

import { describe, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import {
  arrayType,
  decoded,
  elementBytes,
  type FlatNumbers,
  isWhole,
  type NumberArray,
  readFlat,
  safeTensor,
} from '../arguments/numbers.ts';
import type { WasmMemory } from '../platform/types.ts';
import { arrayOf, DTYPES, type DType, fillNames, fillsFrom } from './dtypes.ts';

/** A typed array that a tensor is filled from. */
export type FillArray = Float32Array | Float64Array | Uint16Array | Int8Array | Int32Array;

/** Whole numbers also come from these: booleans and integers of checkpoints. */
const WHOLE = ['Int8Array', 'Uint8Array', 'Int32Array', 'BigInt64Array'];

/**
 * The data as a typed array with as many numbers as the shape has; a typed array of the right kind is not copied.
 *
 * @throws TypeError, RangeError if it is none that fits the type: found before anything is changed
 */
export function ownNumbers(where: string, data: unknown, dtype: DType, shape: readonly number[]): FillArray {
  const { float, bytes, view, safetensors } = DTYPES[dtype];
  const file = safeTensor(where, 'data', data);
  if (file) {
    if (file.shape.join() !== shape.join()) {
      throw wrongValue(where, 'data', `a tensor of shape ${shapeText(shape)}`, shapeText(file.shape));
    }
    if (file.dtype === safetensors) return new view(elementBytes(file, bytes), 0, file.size) as FillArray;
    if (float ? file.dtype === 'BOOL' : !isWhole(file)) throw wrongType(where, 'data', `numbers for ${dtype}`, file.dtype);
    return float ? (decoded(where, 'data', file, false) as FillArray) : whole(where, decoded(where, 'data', file, true), dtype);
  }
  const kind = arrayType(data);
  if (kind ? !fillsFrom(dtype, kind) && (float || !WHOLE.includes(kind)) : !Array.isArray(data)) {
    throw wrongType(where, 'data', `a ${fillNames(dtype)} or an array of numbers for ${dtype}`, data);
  }
  const size = shape.reduce((product, n) => product * n, 1);
  const fits = (length: number): void => {
    if (length !== size) throw wrongValue(where, 'data', `${size} elements`, `${describe(data)} with ${length}`);
  };
  fits((data as ArrayLike<unknown>).length);
  const { values } = readFlat(where, 'data', data, !float) as FlatNumbers;
  fits(values.length);
  return float ? (values as FillArray) : whole(where, values, dtype);
}

/** Whole numbers, each of them one that the type holds. */
function whole(where: string, values: NumberArray, dtype: DType): FillArray {
  const { view, range } = DTYPES[dtype];
  if (arrayType(values) === view.name) return values as FillArray;
  const [least, most] = range as readonly [number, number];
  for (let n = 0; n < values.length; n++) {
    const x = values[n] as number;
    if (!Number.isInteger(x) || x < least || x > most) throw wrongValue(where, `data[${n}]`, `an integer in ${least} … ${most}`, x);
  }
  return arrayOf(dtype, values);
}

const isShared = (buffer: ArrayBufferLike): boolean => Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]';

/** True if the array is, or may be, a view of the memory: every growth makes a new buffer object of the same shared bytes. */
const isOf = ({ buffer }: FillArray, memory: WasmMemory): boolean =>
  buffer === memory.buffer || (isShared(buffer) && isShared(memory.buffer));

/** The array whenever asked, also after the memory that it is a view of has grown, which detaches the view. */
export function keepFresh(data: FillArray, memory: WasmMemory): () => FillArray {
  if (data.buffer !== memory.buffer) return () => data;
  const { byteOffset, length } = data;
  const View = data.constructor as new (buffer: ArrayBufferLike, at: number, length: number) => FillArray;
  return () => new View(memory.buffer, byteOffset, length);
}

/** True if the array may lie on some of the bytes [low, high) of the memory. */
export function sharesBytes(data: FillArray, memory: WasmMemory, [low, high]: readonly [number, number]): boolean {
  return isOf(data, memory) && data.byteOffset < high && low < data.byteOffset + data.byteLength;
}
