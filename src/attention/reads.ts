// Every tensor that a call reads, in one place: its output may share memory with none of them.

import type { LoweredMasks } from '../masks/option.ts';
import type { Operands, Read, Shaped } from '../memory/operands.ts';
import { Tensor } from '../memory/tensor.ts';
import type { Plan } from '../plan/plan.ts';
import type { CheckedOptions } from './options.ts';

/** Operands, options, and what the encodings and masks of the call brought with them. */
export function readsOf(
  operands: Operands<Shaped>,
  { sinks, qkNorm }: CheckedOptions,
  placed: readonly { readonly plan: Plan; readonly masks: LoweredMasks }[],
): Read[] {
  const reads: Read[] = [['q', operands.q]];
  if (operands.k) reads.push(['k', operands.k]);
  if (operands.v) reads.push(['v', operands.v]);
  if (sinks !== 'smooth' && sinks?.tensor) reads.push(['sinks', sinks.tensor]);
  if (qkNorm?.queryWeight?.tensor) reads.push(['qkNorm.queryWeight', qkNorm.queryWeight.tensor]);
  if (qkNorm?.keyWeight?.tensor) reads.push(['qkNorm.keyWeight', qkNorm.keyWeight.tensor]);
  for (const { plan } of placed) {
    for (const bias of plan.biases ?? []) if (bias.kind === 'dense' && bias.tensor instanceof Tensor) reads.push(['encoding', bias.tensor]);
  }
  for (const { masks } of placed) for (const tensor of masks.tensors) reads.push(['mask', tensor]);
  return reads;
}
