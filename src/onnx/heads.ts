// Q, K and V of an operator as [B, heads, rows, width], whichever way they come, and the present keys and values.

import { shapeText, wrongValue } from '../arguments/check.ts';
import { DTYPES } from '../memory/dtypes.ts';
import type { Tensor } from '../memory/tensor.ts';
import { headCount } from './attributes.ts';
import { isGiven, type OnnxInput, type Workspace } from './values.ts';

/**
 * A view [B, heads, rows, width]: of the same shape as it is, or of [B, rows, heads · width].
 *
 * @param attribute the attribute that tells the heads, needed for 3 dimensions
 */
export function byHeads(work: Workspace, name: string, tensor: Tensor, attribute: string, heads: number | null | undefined): Tensor {
  const { where } = work;
  const { shape, strides } = tensor;
  if (shape.length === 4) {
    if (isGiven(heads) && heads !== shape[1])
      throw wrongValue(where, attribute, `the ${shape[1]} heads of ${name} ${shapeText(shape)}`, heads);
    return tensor;
  }
  if (shape.length !== 3) throw wrongValue(where, name, 'a shape of 3 or 4 dimensions', shapeText(shape));
  const count = headCount(where, attribute, heads);
  const [B, rows, hidden] = shape as [number, number, number];
  if (hidden % count) throw wrongValue(where, name, `a last dimension that ${attribute}=${count} divides`, shapeText(shape));
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
  return { whole, view: flat ? byHeads(work, 'result', whole, 'heads', heads) : whole };
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

/** The names of a past, and of what comes after it. */
export const PAST = ['past_key', 'past_value'] as const;

/**
 * past_key and past_value, which come together, [B, heads, P, width of the new rows] of their type; undefined without a past.
 *
 * @throws TypeError, RangeError naming the one that does not fit
 */
export function pastOf(
  work: Workspace,
  inputs: { readonly past_key?: OnnxInput; readonly past_value?: OnnxInput },
  fresh: readonly [Tensor, Tensor],
): readonly [Tensor, Tensor] | undefined {
  const { where } = work;
  if (!isGiven(inputs.past_key)) return undefined;
  const [key, value] = PAST.map((name, n) => {
    const { shape, dtype } = fresh[n] as Tensor;
    const past = work.tensor(name, inputs[name]);
    const [B, heads, , width] = shape as [number, number, number, number];
    const alike = past.dtype === dtype && past.shape.length === 4;
    if (!alike || past.shape[0] !== B || past.shape[1] !== heads || past.shape[3] !== width) {
      throw wrongValue(where, name, `${dtype} of [${B}, ${heads}, P, ${width}]`, `${past.dtype} of ${shapeText(past.shape)}`);
    }
    return past;
  }) as [Tensor, Tensor];
  if (key.shape[2] !== value.shape[2])
    throw wrongValue(where, 'past_value', `the P=${key.shape[2]} rows of past_key`, shapeText(value.shape));
  return [key, value];
}

/** [B, heads, past + rows, width]: what was there, then what is new. */
export function concatenated(work: Workspace, past: Tensor, fresh: Tensor): Tensor {
  const [B, heads, P, width] = past.shape as [number, number, number, number];
  const n = fresh.shape[2] as number;
  const all = work.own(work.engine.tensor([B, heads, P + n, width], undefined, fresh.dtype));
  copyInto(work, work.own(all.slice(null, null, [0, P])), past);
  copyInto(work, work.own(all.slice(null, null, [P, P + n])), fresh);
  return all;
}
