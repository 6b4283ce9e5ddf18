// Tensors as operands: their checks, and their descriptions in a parameter block.

import type { Lease } from '../block.ts';
import { integer, wrongType, wrongValue } from '../check.ts';
import type { Place, Shape } from '../plan.ts';
import { DTYPES, type Home, Tensor } from '../tensor.ts';
import * as field from '../wasm/generated/job.ts';
import type { Layout } from './options.ts';

/** Axis of heads and of positions in a layout. */
export const axes = (layout: Layout): { head: number; row: number } => (layout === 'bhld' ? { head: 1, row: 2 } : { head: 2, row: 1 });

export function checkTensor(where: string, name: string, value: unknown, home: Home): Tensor {
  if (!(value instanceof Tensor)) throw wrongType(where, name, 'a tensor', value);
  if (value.home.kernels !== home.kernels) throw wrongValue(where, name, 'a tensor of this engine', 'one of another engine');
  if (value.dtype !== 'f32' && value.dtype !== 'f16' && value.dtype !== 'bf16') {
    throw wrongType(where, name, 'a tensor of f32, f16 or bf16', value.dtype);
  }
  void value.pointer; // throws if it was disposed
  return value;
}

/** Sizes of a call, after checking that the shapes fit one another. */
export function checkShapes(where: string, q: Tensor, k: Tensor, v: Tensor, layout: Layout): Shape {
  const { head, row } = axes(layout);
  const letters = (names: readonly string[]): string => {
    const [batch, h, r, width] = names as [string, string, string, string];
    return `[${(layout === 'bhld' ? [batch, h, r, width] : [batch, r, h, width]).join(', ')}]`;
  };
  const shown = (tensor: Tensor): string => `[${tensor.shape.join(', ')}]`;
  if (q.shape.length !== 4) throw wrongValue(where, 'q', `shape ${letters(['B', 'H', 'L', 'D'])}`, shown(q));
  const B = q.shape[0] as number;
  const D = q.shape[3] as number;
  const H = q.shape[head] as number;
  const L = q.shape[row] as number;
  if (H < 1 || D < 1 || D > 512) throw wrongValue(where, 'q', `shape ${letters(['B', 'H ≥ 1', 'L', '1 ≤ D ≤ 512'])}`, shown(q));
  const expectedK = `shape ${letters([`B=${B}`, 'G', 'S', `D=${D}`])}`;
  if (k.shape.length !== 4 || k.shape[0] !== B || k.shape[3] !== D || !k.shape[head]) throw wrongValue(where, 'k', expectedK, shown(k));
  const G = k.shape[head] as number;
  const S = k.shape[row] as number;
  if (H % G) throw wrongValue(where, 'k', expectedK, shown(k), `H=${H} is not divisible by G=${G}`);
  const fits = v.shape.length === 4 && v.shape[0] === B && v.shape[head] === G && v.shape[row] === S;
  const E = v.shape[3] as number;
  if (!fits || E < 1 || E > 512) throw wrongValue(where, 'v', `shape ${letters([`B=${B}`, `G=${G}`, `S=${S}`, '1 ≤ E ≤ 512'])}`, shown(v));
  return { B, H, G, L, S, D, E };
}

/** Lowest and highest address of a tensor's elements, [low, high). */
function extent(tensor: Tensor): [number, number] {
  const bytes = DTYPES[tensor.dtype].bytes;
  const last = tensor.shape.reduce((sum, n, axis) => sum + Math.max(0, n - 1) * (tensor.strides[axis] as number), 0);
  return [tensor.pointer, tensor.pointer + (tensor.size ? (last + 1) * bytes : 0)];
}

/** @throws if `out` is not a fit tensor or overlaps an input */
export function checkOut(where: string, out: unknown, shape: readonly number[], inputs: Record<string, Tensor>, home: Home): Tensor {
  const tensor = checkTensor(where, 'out', out, home);
  if (tensor.shape.length !== shape.length || tensor.shape.some((n, axis) => n !== shape[axis])) {
    throw wrongValue(where, 'out', `shape [${shape.join(', ')}]`, `[${tensor.shape.join(', ')}]`);
  }
  const [low, high] = extent(tensor);
  for (const [name, input] of Object.entries(inputs)) {
    const [from, to] = extent(input);
    if (low < to && from < high) throw wrongValue(where, 'out', 'memory of its own', `an overlap with "${name}"`);
  }
  return tensor;
}

export function numbersOf(where: string, name: string, given: unknown, size: number): Float32Array | undefined {
  if (given === undefined) return undefined;
  if (!(given instanceof Tensor) && !(given instanceof Float32Array) && !Array.isArray(given)) {
    throw wrongType(where, name, 'a Float32Array, an array or a tensor', given);
  }
  const values = given instanceof Tensor ? given.toArray() : Float32Array.from(given);
  if (values.length !== size) throw wrongValue(where, name, `${size} numbers`, `${values.length}`);
  return values;
}

/** Keys of this call that count, from the lengths of the whole. */
export function lengthsOf(where: string, given: unknown, { B, S }: Shape, { keyOffset, totalKeys }: Place): Int32Array | undefined {
  if (given === undefined) return undefined;
  if (!(given instanceof Int32Array) && !Array.isArray(given)) throw wrongType(where, 'keyLengths', 'an Int32Array or an array', given);
  if (given.length !== B) throw wrongValue(where, 'keyLengths', `B=${B} lengths`, `${given.length}`);
  const local = (n: number): number => Math.max(0, Math.min(S, n - keyOffset));
  return Int32Array.from(given, (n: number, b: number) => local(integer(where, `keyLengths[${b}]`, n, 0, totalKeys)));
}

export type Writer = ReturnType<Lease['writer']>;

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
