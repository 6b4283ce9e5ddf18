import { shapeText } from '../arguments/check.ts';
import type { Engine } from '../engine.ts';
import { DTYPES, type DType, dtypeOfFile, FLOAT_DTYPES } from '../memory/dtypes.ts';
import type { Tensor, TensorData } from '../memory/tensor.ts';
import type { SafeTensor, SafetensorsDtype } from '../safetensors/index.ts';
import { InputError } from './io.ts';
import { quote } from './text.ts';

/** The tensors of a file, by name. */
export type FileTensors = ReadonlyMap<string, SafeTensor>;

interface ArrayType<T> {
  new (buffer: ArrayBuffer, offset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

/** The types of q, k, v. */
export const FLOAT_TYPES: readonly SafetensorsDtype[] = FLOAT_DTYPES.map((dtype) => DTYPES[dtype].safetensors);

/**
 * A tensor of the file that must be there.
 *
 * @param role which option names it, for the message: `--q`.
 * @throws {InputError} if the file has none of this name, or its type is not one of `dtypes`.
 */
export function named(tensors: FileTensors, name: string, role: string, dtypes: readonly SafetensorsDtype[]): SafeTensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) {
    const names = [...tensors.keys()].slice(0, 12).map(quote).join(', ');
    throw new InputError(`${role}: the file has no tensor ${quote(name)}; it has ${names || 'none'}${tensors.size > 12 ? ', …' : ''}`);
  }
  if (!dtypes.includes(tensor.dtype)) {
    throw new InputError(`${role}: tensor ${quote(name)} expected ${dtypes.join(', ')}, got ${tensor.dtype}`);
  }
  return tensor;
}

/** Copies a tensor of the file into the engine, bit for bit. Its type must be one of `FLOAT_TYPES`. */
export function upload(engine: Engine, { dtype, shape, data }: SafeTensor): Tensor {
  const type = dtypeOfFile(dtype) as DType;
  return engine.tensor(shape, elements(data, DTYPES[type].view as ArrayType<TensorData>), type);
}

/** Types of whole numbers that may be positions, lengths, indices or flags. */
const INTEGER_TYPES: readonly SafetensorsDtype[] = ['I32', 'I64', 'I8', 'U8', 'BOOL'];

/** The whole numbers of a tensor of one of `INTEGER_TYPES`. */
function integers(name: string, { dtype, data }: SafeTensor): Int32Array {
  if (dtype === 'I32') return elements(data, Int32Array).slice();
  if (dtype === 'I64') return narrow(name, elements(data, BigInt64Array));
  return Int32Array.from(dtype === 'I8' ? elements(data, Int8Array) : data);
}

/**
 * A tensor that an option names by `"@name"`: floats as the engine's tensor, which knows its shape; integers (positions, lengths,
 * indices) as an array.
 *
 * @throws {InputError} if there is none of this name, or it holds 64-bit integers that do not fit 32 bits.
 */
export function table(engine: Engine, tensors: FileTensors, name: string): Tensor | Int32Array {
  const tensor = named(tensors, name, `"@${name}"`, [...FLOAT_TYPES, ...INTEGER_TYPES]);
  return INTEGER_TYPES.includes(tensor.dtype) ? integers(name, tensor) : upload(engine, tensor);
}

/**
 * A tensor that is a mask: floats, which are added to the scores, or whole numbers and truth values, where not 0 is a visible key.
 *
 * @param padding the tensor is [B, S], and spreads over heads and queries.
 * @throws {InputError} if there is none of this name or type
 */
export function maskTensor(engine: Engine, tensors: FileTensors, name: string, padding: boolean): Tensor {
  const tensor = named(tensors, name, `"@${name}"`, [...INTEGER_TYPES, ...FLOAT_TYPES]);
  const { shape } = tensor;
  if (padding && shape.length !== 2) throw new InputError(`"@${name}": a key padding expected shape [B, S], got ${shapeText(shape)}`);
  const dims = padding ? [shape[0] as number, 1, 1, shape[1] as number] : shape;
  if (!INTEGER_TYPES.includes(tensor.dtype)) return upload(engine, { ...tensor, shape: dims });
  const visible = Int8Array.from(integers(name, tensor), (x) => (x ? 1 : 0));
  return engine.tensor(dims, visible, 'i8');
}

/** Frameworks store indices with 64 bits; the kernels take 32. */
function narrow(name: string, wide: BigInt64Array): Int32Array {
  const narrowed = Int32Array.from(wide, Number);
  const at = narrowed.findIndex((value, i) => BigInt(value) !== wide[i]);
  if (at >= 0) throw new InputError(`"@${name}": tensor ${quote(name)} expected 32-bit integers, got ${wide[at]} at ${at}`);
  return narrowed;
}

/** The values of a float tensor of any width, exact. */
export function floats(engine: Engine, tensor: SafeTensor): Float32Array | Float64Array {
  if (tensor.dtype === 'F64') return elements(tensor.data, Float64Array);
  if (tensor.dtype === 'F32') return elements(tensor.data, Float32Array);
  const uploaded = upload(engine, tensor);
  try {
    return uploaded.toArray();
  } finally {
    uploaded.dispose();
  }
}

/** An engine's f32 tensor as the file holds it. */
export function download(tensor: Tensor): { readonly tensor: SafeTensor; readonly values: Float32Array } {
  const values = tensor.toArray();
  const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { tensor: { dtype: 'F32', shape: [...tensor.shape], data }, values };
}

/** A file's bytes as a typed array: a view where they are aligned, else a copy. */
function elements<T>(data: Uint8Array, Type: ArrayType<T>): T {
  const aligned = data.byteOffset % Type.BYTES_PER_ELEMENT === 0 ? data : new Uint8Array(data);
  return new Type(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / Type.BYTES_PER_ELEMENT);
}
