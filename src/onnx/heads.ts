// Q, K and V of an operator as [B, heads, rows, width], whichever way they come, and the present keys and values.

import { integer, wrongValue } from '../arguments/check.ts';
import { DTYPES } from '../memory/dtypes.ts';
import type { Tensor } from '../memory/tensor.ts';
import { shown, type Workspace } from './values.ts';

/** A view [B, heads, rows, width]: of the same shape as it is, or of [B, rows, heads · width]. */
export function byHeads(work: Workspace, name: string, tensor: Tensor, heads: number | undefined): Tensor {
  const { where } = work;
  const { shape, strides } = tensor;
  if (shape.length === 4) {
    if (heads !== undefined && heads !== shape[1]) throw wrongValue(where, name, `${heads} heads`, shown(shape));
    return tensor;
  }
  if (shape.length !== 3) throw wrongValue(where, name, 'a shape of 3 or 4 dimensions', shown(shape));
  const count = integer(where, `number of heads of ${name}`, heads, 1, 65536);
  const [B, rows, hidden] = shape as [number, number, number];
  if (hidden % count) throw wrongValue(where, name, `[B, rows, a multiple of ${count} heads]`, shown(shape));
  const width = hidden / count;
  const [batch, row, channel] = strides as [number, number, number];
  return work.own(tensor.restride([B, count, rows, width], [batch, width * channel, row, channel]));
}

/** A new tensor [B, heads, rows, width], or with `flat` [B, rows, heads · width], and the view of it by heads. */
export function resultByHeads(
  work: Workspace,
  dims: readonly [number, number, number, number],
  flat: boolean,
  dtype: Tensor['dtype'],
): { readonly whole: Tensor; readonly view: Tensor } {
  const [B, heads, rows, width] = dims;
  const whole = work.own(work.engine.tensor(flat ? [B, rows, heads * width] : dims, undefined, dtype));
  return { whole, view: flat ? byHeads(work, 'result', whole, heads) : whole };
}

/** What a tensor holds, in its own type: raw bits for the 16-bit floats. */
export function rawData(work: Workspace, tensor: Tensor): Float32Array | Uint16Array {
  if (!DTYPES[tensor.dtype].bits) return tensor.toArray();
  if (tensor.contiguous) return tensor.view() as Uint16Array;
  // Through f32 and back: exact.
  return work.own(work.engine.tensor(tensor.shape, tensor.toArray(), tensor.dtype)).view() as Uint16Array;
}

/** Writes one tensor into a part of another of the same type, bit for bit. */
export function copyInto(work: Workspace, to: Tensor, from: Tensor): void {
  to.set(rawData(work, from));
}

/** [B, heads, past + rows, width]: what was there, then what is new. */
export function concatenated(work: Workspace, name: string, past: Tensor, fresh: Tensor): Tensor {
  const [B, heads, P, width] = past.shape as [number, number, number, number];
  const n = fresh.shape[2] as number;
  const fits = past.shape.length === 4 && [B, heads, n, width].every((size, axis) => size === fresh.shape[axis]);
  if (!fits || past.dtype !== fresh.dtype) {
    const [b, g, , d] = fresh.shape;
    throw wrongValue(work.where, name, `${fresh.dtype} of [${b}, ${g}, P, ${d}]`, `${past.dtype} of ${shown(past.shape)}`);
  }
  const all = work.own(work.engine.tensor([B, heads, P + n, width], undefined, fresh.dtype));
  copyInto(work, work.own(all.slice(null, null, [0, P])), past);
  copyInto(work, work.own(all.slice(null, null, [P, P + n])), fresh);
  return all;
}
