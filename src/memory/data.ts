// What tensors are filled from: checked, in a form that cannot fail half way, and safe where it is a view of the engine's own memory.

import { describe, wrongType, wrongValue } from '../arguments/check.ts';
import { DTYPES, type DType, fillNames, fillsFrom, kindOf } from './dtypes.ts';

/** A typed array that a tensor is filled from. */
export type FillArray = Float32Array | Float64Array | Uint16Array | Int8Array | Int32Array;

/** The data as a typed array of `size` numbers. @throws TypeError, RangeError if it is none that fits the type */
export function ownNumbers(where: string, data: unknown, dtype: DType, size: number): FillArray {
  const kind = kindOf(data);
  const isList = Array.isArray(data);
  if (!isList && !(kind && fillsFrom(dtype, kind))) {
    throw wrongType(where, 'data', `a ${fillNames(dtype)} or an array of numbers for ${dtype}`, data);
  }
  const { length } = data as ArrayLike<number>;
  if (length !== size) throw wrongValue(where, 'data', `${size} elements`, `${describe(data)} with ${length}`);
  return isList ? copied(where, data, dtype) : (data as FillArray);
}

/** An array's numbers: what is none is found before anything is changed. */
function copied(where: string, list: readonly unknown[], dtype: DType): FillArray {
  const { float, view } = DTYPES[dtype];
  const out = float ? new Float32Array(list.length) : new view(new ArrayBuffer(list.length * view.BYTES_PER_ELEMENT), 0, list.length);
  for (let n = 0; n < out.length; n++) {
    const x = list[n];
    if (typeof x !== 'number') throw wrongType(where, `data[${n}]`, 'a number', x);
    out[n] = x;
  }
  return out;
}

const isShared = (buffer: ArrayBufferLike): boolean => Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]';

/** True if the array is, or may be, a view of the memory: every growth makes a new buffer object of the same shared bytes. */
const isOf = ({ buffer }: FillArray, memory: WebAssembly.Memory): boolean =>
  buffer === memory.buffer || (isShared(buffer) && isShared(memory.buffer));

/** The array whenever asked, also after the memory that it is a view of has grown, which detaches the view. */
export function keepFresh(data: FillArray, memory: WebAssembly.Memory): () => FillArray {
  if (data.buffer !== memory.buffer) return () => data;
  const { byteOffset, length } = data;
  const View = data.constructor as new (buffer: ArrayBufferLike, at: number, length: number) => FillArray;
  return () => new View(memory.buffer, byteOffset, length);
}

/** True if the array may lie on some of the bytes [low, high) of the memory. */
export function sharesBytes(data: FillArray, memory: WebAssembly.Memory, [low, high]: readonly [number, number]): boolean {
  return isOf(data, memory) && data.byteOffset < high && low < data.byteOffset + data.byteLength;
}
