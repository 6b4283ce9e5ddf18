// The option `mask` of a call: one mask or several, values or tensors, all of which bind.

import { wrongType } from '../arguments/check.ts';
import type { Scope } from '../memory/scope.ts';
import { type MemoryContext, Tensor } from '../memory/tensor.ts';
import type { Place, Shape } from '../plan/plan.ts';
import { type Intervals, lowerMasks, writeIntervals } from './lower.ts';
import { isMask, type Mask } from './mask.ts';
import { checkMaskTensor, maskEntry } from './tensors.ts';

/**
 * Which keys a query sees, beside `causal`, `window` and `keyLengths`:
 *
 * - a mask such as `documents({ … })`, whose memory is L + its intervals;
 * - a tensor of i8: a key is visible where it is not 0;
 * - a tensor of f32, f16 or bf16, added to the scores; −Infinity hides.
 *
 * A tensor spreads over [B, H, L, S] as in NumPy: its shape is the last dimensions of that, so rank 1 is [S], 2 is [L, S], 3 is [H, L, S]
 * (heads, as in ONNX, not batch), and any dimension may be 1. i8 and f32 with contiguous keys are read in place.
 */
export type MaskOption = Mask | Tensor | readonly (Mask | Tensor)[];

/** A call's masks, checked and lowered. */
export interface LoweredMasks {
  readonly intervals: Intervals | undefined;
  readonly tensors: readonly Tensor[];
}

/** @throws TypeError, RangeError if something is no mask or does not fit the call */
export function lowerMaskOption(
  where: string,
  given: MaskOption | undefined,
  shape: Shape,
  place: Place,
  context: MemoryContext,
  starts?: Int32Array,
): LoweredMasks {
  const list: readonly unknown[] = given === undefined ? [] : Array.isArray(given) ? given : [given];
  const nameOf = (n: number): string => (Array.isArray(given) ? `mask[${n}]` : 'mask');
  const masks: Mask[] = [];
  const tensors: Tensor[] = [];
  list.forEach((item, n) => {
    if (item instanceof Tensor) {
      checkMaskTensor(where, nameOf(n), item, shape, place, context);
      tensors.push(item);
    } else if (isMask(item)) masks.push(item);
    else throw wrongType(where, nameOf(n), 'a mask such as causalMask(), a tensor, or an array of these', item);
  });
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
