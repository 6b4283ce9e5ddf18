// The option `mask` of a call: one mask or several, values or tensors, all of which bind.

import { reading, wrongType } from '../arguments/check.ts';
import { readList } from '../arguments/numbers.ts';
import type { Named } from '../arguments/record.ts';
import { FileTensor, type Operand } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import { type MemoryContext, Tensor, type TensorLike } from '../memory/tensor.ts';
import type { Place, Shape } from '../plan/plan.ts';
import { type Intervals, lowerMasks, writeIntervals } from './lower.ts';
import { isMask, type Mask } from './mask.ts';
import { checkMaskTensor, maskEntry, readMaskFile } from './tensors.ts';

/**
 * Which keys a query sees, beside `causal`, `window` and `keyLengths`:
 *
 * - a mask such as `documents({ … })`, whose memory is L + its intervals;
 * - a tensor of i8: a key is visible where it is not 0;
 * - a tensor of f32, f16 or bf16, added to the scores; −Infinity hides.
 *
 * A tensor may also be one of a safetensors file, BOOL, U8 or I8 and F32, F16, BF16 or F64, which is copied for the length of the call.
 *
 * A tensor spreads over [B, H, L, S] as in NumPy: its shape is the last dimensions of that, so rank 1 is [S], 2 is [L, S], 3 is [H, L, S]
 * (heads, as in ONNX, not batch), and any dimension may be 1. i8 and f32 with contiguous keys are read in place. Two dimensions that may as
 * well be [B, S], since B = L, are refused: that is padding, for `keyPadding`, or a mask to be given as [1, 1, L, S].
 */
export type MaskOption = Mask | TensorLike | readonly (Mask | TensorLike)[];

/** Reads the option: one mask or several. */
export function readMasks(where: string, name: string, value: unknown): readonly Named<Mask | Operand>[] {
  const one = (name: string, item: unknown): Named<Mask | Operand> => {
    if (item instanceof Tensor || reading(where, name, () => isMask(item))) return { name, value: item as Mask | Tensor };
    const file = readMaskFile(where, name, item);
    if (file) return { name, value: file };
    throw wrongType(where, name, 'a mask such as causalMask(), a tensor, or an array of these', item);
  };
  return Array.isArray(value) ? readList(where, name, value, (item, n) => one(`${name}[${n}]`, item)) : [one(name, value)];
}

/** A call's masks, checked and lowered. */
export interface LoweredMasks {
  readonly intervals: Intervals | undefined;
  readonly tensors: readonly Operand[];
}

/** True for a mask that is a tensor. */
export const isMaskTensor = (mask: Mask | Operand): mask is Operand => mask instanceof Tensor || mask instanceof FileTensor;

/** @throws TypeError, RangeError if something is no mask or does not fit the call */
export function lowerMaskOption(
  where: string,
  given: readonly Named<Mask | Operand>[],
  shape: Shape,
  place: Place,
  context: MemoryContext,
  starts?: Int32Array,
): LoweredMasks {
  const masks: Mask[] = [];
  const tensors: Operand[] = [];
  for (const { name, value } of given) {
    if (isMaskTensor(value)) {
      checkMaskTensor(where, name, value, shape, place, context);
      tensors.push(value);
    } else masks.push(value);
  }
  return { intervals: masks.length ? lowerMasks(masks, shape, place, starts) : undefined, tensors };
}

/** What the masks of a call come to in memory. */
export interface WrittenMasks {
  /** Fields of the job block. */
  readonly fields: readonly [number, number][];
  /** Bias entries beside those of the plan. */
  readonly entries: readonly [number, number][][];
  /** True if scores of −Infinity stand for hidden keys. */
  readonly marks: boolean;
}

export function writeMasks(
  { intervals, tensors }: LoweredMasks,
  shape: Shape,
  place: Place,
  context: MemoryContext,
  scope: Scope,
): WrittenMasks {
  return {
    fields: intervals ? writeIntervals(intervals, shape, scope) : [],
    entries: tensors.map((tensor) => maskEntry(tensor, shape, place, context, scope)),
    marks: tensors.length > 0 || Boolean(intervals?.holes),
  };
}
