// Tensors as rows of f32: what a layer reads and writes, whatever its leading dimensions.

import { shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { checkOut } from '../memory/operands.ts';
import { type MemoryContext, Tensor } from '../memory/tensor.ts';

/** Rows of a tensor [..., n] of f32, one stride apart. */
export interface TensorRows {
  readonly rows: number;
  /** Bytes from row to row. */
  readonly stride: number;
}

/** The stride between the rows of a tensor; undefined if there is no single one. In elements. */
function rowStride(tensor: Tensor): number | undefined {
  let stride: number | undefined;
  let expected = 0;
  for (let axis = tensor.shape.length - 2; axis >= 0; axis--) {
    const size = tensor.shape[axis] as number;
    if (size === 1) continue;
    const own = tensor.strides[axis] as number;
    if (stride === undefined) stride = own;
    else if (own !== expected) return undefined;
    expected = own * size;
  }
  return stride ?? tensor.shape.at(-1) ?? 0;
}

/** Rows of n numbers each, n the last dimension. @throws TypeError, RangeError if they are no such rows */
export function rowsOf(where: string, name: string, tensor: Tensor): TensorRows {
  if (tensor.dtype !== 'f32') throw wrongType(where, name, 'a tensor of f32', tensor.dtype);
  const n = tensor.shape.at(-1) as number;
  const stride = rowStride(tensor);
  if ((n !== 1 && tensor.strides.at(-1) !== 1) || stride === undefined) {
    throw wrongValue(where, name, 'rows side by side or at one distance', `strides ${shapeText(tensor.strides)}`);
  }
  return { rows: n ? tensor.size / n : 0, stride: 4 * stride };
}

/** Rows in parts, each of n numbers: heads of a projection, say. */
export interface PartRows extends TensorRows {
  readonly heads: number;
  /** Bytes from part to part of a row. */
  readonly head: number;
}

/** Whether the rows of a tensor lie at one distance. */
export const isEven = (tensor: Tensor): boolean => rowStride(tensor) !== undefined;

/** The rows of a tensor; with `split` those of [..., H, n] as rows of H parts. @throws TypeError, RangeError if they are no such rows */
export function partRows(where: string, name: string, tensor: Tensor, split: boolean): PartRows {
  if (!split) return { ...rowsOf(where, name, tensor), heads: 1, head: 0 };
  const without = (list: readonly number[]): number[] => list.filter((_, axis) => axis !== list.length - 2);
  const first = tensor.restride(without(tensor.shape), without(tensor.strides));
  try {
    return { ...rowsOf(where, name, first), heads: tensor.shape.at(-2) as number, head: 4 * (tensor.strides.at(-2) as number) };
  } finally {
    first.dispose();
  }
}

/** A tensor [..., n] of f32 of this engine; without n, of rows of any length. @throws TypeError, RangeError if it is none */
export function readRows(where: string, name: string, value: unknown, n: number | undefined, context: MemoryContext): Tensor {
  if (!(value instanceof Tensor)) throw wrongType(where, name, 'a tensor', value);
  if (value.context.kernels !== context.kernels) throw wrongValue(where, name, 'a tensor of this engine', 'one of another engine');
  const length = value.shape.at(-1);
  if (length === undefined || (n === undefined ? length < 1 : length !== n)) {
    throw wrongValue(where, name, `shape [..., ${n ?? 'n ≥ 1'}]`, shapeText(value.shape));
  }
  void value.pointer; // throws if it was disposed
  return value;
}

/** Whether two tensors are the same elements. */
export const sameElements = (a: Tensor, b: Tensor): boolean =>
  a === b ||
  (a.context.arena === b.context.arena && a.pointer === b.pointer && a.strides.every((stride, axis) => stride === b.strides[axis]));

/** An output of this shape, f32. @throws TypeError, RangeError if it is none */
export function readOut(where: string, value: unknown, shape: readonly number[], context: MemoryContext): Tensor {
  const out = checkOut(where, value, shape, context);
  rowsOf(where, 'out', out);
  return out;
}
