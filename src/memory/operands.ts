// Tensors as operands of a call: their checks, and their descriptions in a parameter block.

import { shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { type SafeTensorLike, safeTensor } from '../arguments/numbers.ts';
import * as field from '../wasm/generated/job.ts';
import { aFloatTensor, DTYPES, type DType, FLOAT_DTYPES, type FloatDType, isFloat } from './dtypes.ts';
import { axes, type Layout } from './layout.ts';
import type { Scope } from './scope.ts';
import { type MemoryContext, makeTensor, Tensor } from './tensor.ts';

/** q, and k and v, which are both there or both not. */
export interface Operands<T = Tensor> {
  readonly q: T;
  readonly k?: T;
  readonly v?: T;
}

/** A tensor of a safetensors file, checked. Nothing of it is in the engine's memory until a call that is known to be right places it. */
export class FileTensor {
  readonly shape: readonly number[];
  /** Its type in the engine's memory. */
  readonly dtype: DType;
  /** Its bytes, under the name of the type that they are read as. */
  readonly file: SafeTensorLike;

  constructor(file: SafeTensorLike, dtype: DType) {
    this.shape = file.shape;
    this.dtype = dtype;
    this.file = file;
  }
}

/** A tensor that a call reads, checked. */
export type Operand = Tensor | FileTensor;

/** What of an operand its shape is checked by. */
export type Shaped = Pick<Operand, 'shape' | 'dtype'>;

/** Types of files that are operands as they are, or as f32. */
const FLOAT_FILES: Readonly<Record<string, FloatDType>> = /* @__PURE__ */ floatFiles();

function floatFiles(): Record<string, FloatDType> {
  return { ...Object.fromEntries(FLOAT_DTYPES.map((dtype) => [DTYPES[dtype].safetensors, dtype])), F64: 'f32' };
}

/** A tensor of floats of a safetensors file, checked; undefined for what is none of a file. */
export function readFloatFile(where: string, name: string, value: unknown): FileTensor | undefined {
  const file = safeTensor(where, name, value);
  if (!file) return undefined;
  const dtype = Object.hasOwn(FLOAT_FILES, file.dtype) ? FLOAT_FILES[file.dtype] : undefined;
  if (!dtype) throw wrongType(where, name, aFloatTensor(), file.dtype);
  return new FileTensor(file, dtype);
}

/** A tensor of floats that a call reads: of this engine, or of a file. @throws TypeError, RangeError if it is neither */
export function readOperand(where: string, name: string, value: unknown, context: MemoryContext): Operand {
  const file = value instanceof Tensor ? undefined : readFloatFile(where, name, value);
  return file ?? checkTensor(where, name, value, context);
}

/** The operand in the engine's memory: itself, or a copy that the scope holds. @throws RelposError `out-of-memory` */
export function placeOperand(where: string, operand: Operand, context: MemoryContext, scope: Scope): Tensor {
  if (operand instanceof Tensor) return operand;
  return scope.own(makeTensor(context, where, operand.shape, operand.file, operand.dtype));
}

/** @throws TypeError, RangeError unless it is a tensor of floats of this engine */
function checkTensor(where: string, name: string, value: unknown, context: MemoryContext): Tensor {
  if (!(value instanceof Tensor)) throw wrongType(where, name, 'a tensor', value);
  if (value.context.kernels !== context.kernels) throw wrongValue(where, name, 'a tensor of this engine', 'one of another engine');
  if (!isFloat(value.dtype)) throw wrongType(where, name, aFloatTensor(), value.dtype);
  void value.pointer; // throws if it was disposed
  return value;
}

/** A tensor that a call reads, and what errors call it. One of a file shares memory with nothing. */
export type Read = readonly [name: string, tensor: Shaped];

/** @throws if `out` is not a fit tensor */
export function checkOut(where: string, out: unknown, shape: readonly number[], context: MemoryContext): Tensor {
  const tensor = checkTensor(where, 'out', out, context);
  if (tensor.shape.length !== shape.length || tensor.shape.some((n, axis) => n !== shape[axis])) {
    throw wrongValue(where, 'out', `shape ${shapeText(shape)}`, shapeText(tensor.shape));
  }
  return tensor;
}

/**
 * Refuses an output that has bytes from its first to its last element in common with a tensor that the call reads: what it reads would then
 * depend on what is written first. Slices that interleave, such as two halves of the channels, count as overlapping.
 *
 * @throws RangeError if they overlap
 */
export function checkApart(where: string, out: Tensor, reads: readonly Read[]): void {
  if (!out.size) return;
  const [low, high] = out.extent;
  for (const [name, tensor] of reads) {
    // An estimate's own tensors stand in a memory that is none.
    if (!(tensor instanceof Tensor) || tensor.context.arena !== out.context.arena || !tensor.size) continue;
    const [from, to] = tensor.extent;
    if (low < to && from < high) throw wrongValue(where, 'out', 'memory of its own', `an overlap with "${name}"`);
  }
}

export type Writer = ReturnType<Scope['writer']>;

/** Writes a tensor's description: dimensions [batch, head, row, channel] whatever the layout. */
export function writeTensor(writer: Writer, at: number, tensor: Tensor, layout: Layout): void {
  const { code, bytes } = DTYPES[tensor.dtype];
  const { head, row } = axes(layout);
  const stride = (axis: number): number => (tensor.strides[axis] as number) * bytes;
  writer
    .int(at + field.T_PTR, tensor.pointer)
    .int(at + field.T_TYPE, code)
    .int(at + field.T_BATCH, stride(0))
    .int(at + field.T_HEAD, stride(head))
    .int(at + field.T_ROW, stride(row))
    .int(at + field.T_CHANNEL, stride(3));
}
