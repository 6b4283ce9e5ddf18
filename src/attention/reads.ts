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
  const options = {
    sinks: sinks === 'smooth' ? undefined : sinks?.tensor,
    'qkNorm.queryWeight': qkNorm?.queryWeight?.tensor,
    'qkNorm.keyWeight': qkNorm?.keyWeight?.tensor,
  };
  const given = Object.entries({ ...operands, ...options }).filter((entry): entry is [string, Tensor] => entry[1] instanceof Tensor);
  const biases = placed.flatMap(({ plan: { biases = [] } }) =>
    biases.flatMap((bias) => (bias.kind === 'dense' && bias.tensor instanceof Tensor ? [bias.tensor] : [])),
  );
  const masks = placed.flatMap(({ masks: { tensors } }) => tensors);
  return [...given, ...biases.map((tensor): Read => ['encoding', tensor]), ...masks.map((tensor): Read => ['mask', tensor])];
}
