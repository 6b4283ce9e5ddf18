// Tensors of ONNX as they come, plain arrays or tensors of the engine, and the way there and back.

import { shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { arrayType } from '../arguments/numbers.ts';
import type { Engine } from '../engine.ts';
import { DTYPES, dtypeOfOnnx, FLOAT_DTYPES, fillsFrom, isOnnxType, type OnnxType, onnxOf, onnxOfArray } from '../memory/dtypes.ts';
import { Tensor, type TensorData } from '../memory/tensor.ts';

export type { OnnxType } from '../memory/dtypes.ts';

/**
 * A tensor as plain data, row-major; the tensors of onnxruntime-web are such. `type` is needed for bfloat16 and plain arrays only: else it
 * follows from the array (Float32Array float32; Uint16Array, or Float16Array where the host has it, float16; Uint8Array and Int8Array bool;
 * Int32Array int32; BigInt64Array int64).
 */
export interface OnnxValue {
  readonly data: ArrayLike<number> | BigInt64Array;
  readonly dims: readonly number[];
  readonly type?: string;
}

/** An input: plain data, or a tensor of the engine (i8 is bool). What is left out is undefined or null. */
export type OnnxInput = OnnxValue | Tensor | null | undefined;

/** Outputs are what the first input is: plain data, or tensors of the engine, which the caller disposes. */
export type OnnxOutput<T> = T extends Tensor ? Tensor : OnnxValue & { readonly type: OnnxType };

/** Names of the types that carry numbers to compute with. */
export const FLOATS: readonly OnnxType[] = FLOAT_DTYPES.map(onnxOf);

/** True for types of truth values: 0 or not. */
const hides = (type: OnnxType): boolean => DTYPES[dtypeOfOnnx(type)].mask === 'hides';

const bit = (x: number): number => (x ? 1 : 0);

export const isGiven = <T>(value: T | null | undefined): value is T => value !== undefined && value !== null;

/** What is known of an input before it is in the engine's memory. */
export interface Described {
  readonly type: OnnxType;
  readonly dims: readonly number[];
}

/**
 * The type and dimensions of an input, checked.
 *
 * @throws TypeError if it is no tensor or of another type than `types`; RangeError if its data do not fill its dimensions
 */
export function describeInput(where: string, name: string, value: unknown, types: readonly OnnxType[]): Described {
  const found = value instanceof Tensor ? { type: onnxOf(value.dtype), dims: value.shape } : describePlain(where, name, value, types);
  const known = types.includes(found.type) || (found.type === 'bool' && types.some(hides));
  if (!known) throw wrongType(where, name, types.join(', '), found.type);
  return found;
}

function describePlain(where: string, name: string, value: unknown, types: readonly OnnxType[]): Described {
  if (typeof value !== 'object' || value === null || !('data' in value) || !Array.isArray((value as OnnxValue).dims)) {
    throw wrongType(where, name, '{ data, dims } or a tensor', value);
  }
  const { data, dims, type } = value as OnnxValue;
  const kind = arrayType(data);
  const own = type ?? onnxOfArray(kind ?? '');
  if (!own) throw wrongType(where, name, `a typed array of ${types.join(', ')}`, data);
  if (!isOnnxType(own)) throw wrongType(where, name, types.join(', '), own);
  if (!holds(own, kind, data)) throw wrongType(where, name, `data of ${own}`, data);
  for (const n of dims) {
    if (!Number.isInteger(n) || n < 0) throw wrongValue(where, name, 'dimensions that are whole numbers', shapeText(dims.map(String)));
  }
  const size = dims.reduce((product, n) => product * n, 1);
  if (data.length !== size) throw wrongValue(where, name, `${size} elements for ${shapeText(dims)}`, `${data.length}`);
  if (kind === undefined) checkElements(where, name, data as readonly unknown[]);
  return { type: own, dims };
}

/** True if data of this kind, a plain array if it has none, may hold elements of the type. */
function holds(type: OnnxType, kind: string | undefined, data: unknown): boolean {
  if (kind === undefined) return Array.isArray(data);
  const usual = onnxOfArray(kind);
  return fillsFrom(dtypeOfOnnx(type), kind) || (usual !== undefined && dtypeOfOnnx(usual) === dtypeOfOnnx(type));
}

function checkElements(where: string, name: string, data: readonly unknown[]): void {
  for (let n = 0; n < data.length; n++) {
    if (typeof data[n] !== 'number') throw wrongType(where, `${name}[${n}]`, 'a number', data[n]);
  }
}

/** Tensors made for one call of an operator; they go at its end. */
export class Workspace {
  readonly engine: Engine;
  readonly where: string;
  readonly #made: Tensor[] = [];

  constructor(engine: Engine, where: string) {
    this.engine = engine;
    this.where = where;
  }

  /** Hands a tensor over to the workspace. */
  own(tensor: Tensor): Tensor {
    this.#made.push(tensor);
    return tensor;
  }

  make(dims: readonly number[], data: TensorData | undefined, type: OnnxType): Tensor {
    return this.own(this.engine.tensor(dims, data, dtypeOfOnnx(type)));
  }

  /** The input in the engine's memory: itself if it is there, else a copy. */
  tensor(name: string, value: OnnxInput, types: readonly OnnxType[] = FLOATS): Tensor {
    const { type, dims } = describeInput(this.where, name, value, types);
    if (value instanceof Tensor) return value;
    const { data } = value as OnnxValue;
    const kind = arrayType(data);
    if (hides(type)) return this.make(dims, Int8Array.from(data as ArrayLike<number>, bit), type);
    if (type === 'float32' && kind !== 'Float32Array') return this.make(dims, Float32Array.from(data as ArrayLike<number>), type);
    return this.make(dims, data as TensorData, type);
  }

  /** The input's numbers as f32. */
  numbers(name: string, value: OnnxInput, types: readonly OnnxType[] = FLOATS): Float32Array {
    return this.tensor(name, value, types).toArray();
  }

  /** The input's whole numbers. */
  integers(name: string, value: OnnxInput): number[] {
    describeInput(this.where, name, value, ['int64', 'int32']);
    if (value instanceof Tensor) return Array.from(value.contiguous ? value.view() : value.toArray());
    const list = Array.from((value as OnnxValue).data as ArrayLike<number | bigint>, Number);
    list.forEach((x, n) => {
      if (!Number.isInteger(x)) throw wrongValue(this.where, `${name}[${n}]`, 'a whole number', x);
    });
    return list;
  }

  /** A result as the caller wants it: the tensor itself, which is no longer the workspace's, or a copy as plain data. */
  output<T>(tensor: Tensor, like: T): OnnxOutput<T> {
    if (like instanceof Tensor) {
      const at = this.#made.indexOf(tensor);
      if (at >= 0) this.#made.splice(at, 1);
      return tensor as OnnxOutput<T>;
    }
    const data = tensor.dtype === 'f32' || !tensor.contiguous ? tensor.toArray() : tensor.view().slice();
    return { data, dims: tensor.shape, type: onnxOf(tensor.dtype) } as unknown as OnnxOutput<T>;
  }

  release(): void {
    for (const tensor of this.#made.splice(0)) tensor.dispose();
  }
}

/** Shows dimensions in an error. */
