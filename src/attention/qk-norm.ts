// The option `qkNorm`: normalisation of q and k as part of the call, not of an encoding.

import { finite, oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import { Tensor } from '../memory/tensor.ts';
import type { Normalization, Plan, Shape } from '../plan/plan.ts';

/** Normalisation of every row of q and k, before rotation and scores. */
export interface QKNorm {
  /** `'rms'`: x / √(mean x² + ε), as in Qwen 3 and Gemma 3; `'l2'`: x / max(‖x‖, ε), cosine attention. */
  readonly kind: 'rms' | 'l2';
  /** ε > 0; default 1e-6. */
  readonly epsilon?: number;
  /** Multiplies the channels of q afterwards: [D] for all heads, or [H, D]. Gemma stores w and multiplies by 1 + w: pass that. */
  readonly queryWeight?: Float32Array | readonly number[] | Tensor;
  /** The same for k: [D], or [G, D]. */
  readonly keyWeight?: Float32Array | readonly number[] | Tensor;
}

/** The plan with the option's normalisation. @throws TypeError, RangeError if the option is wrong, or the plan has one already */
export function withNormalization(where: string, plan: Plan, given: QKNorm | undefined, { H, G, D }: Shape): Plan {
  if (given === undefined) return plan;
  options(`${where} qkNorm`, given, ['kind', 'epsilon', 'queryWeight', 'keyWeight']);
  if (plan.normalization) throw wrongValue(where, 'qkNorm', 'none beside an encoding that normalises', 'both');
  const queryWeight = weightOf(where, 'qkNorm.queryWeight', given.queryWeight, H, D);
  const keyWeight = weightOf(where, 'qkNorm.keyWeight', given.keyWeight, G, D);
  const normalization: Normalization = {
    kind: oneOf(where, 'qkNorm.kind', given.kind, ['rms', 'l2']),
    epsilon: finite(where, 'qkNorm.epsilon', given.epsilon ?? 1e-6, 0),
    ...(queryWeight && { queryWeight }),
    ...(keyWeight && { keyWeight }),
  };
  return { ...plan, normalization };
}

function weightOf(where: string, name: string, given: unknown, heads: number, D: number): Float32Array | undefined {
  if (given === undefined) return undefined;
  if (!(given instanceof Tensor) && !(given instanceof Float32Array) && !Array.isArray(given)) {
    throw wrongType(where, name, 'a Float32Array, an array or a tensor', given);
  }
  const values = given instanceof Tensor ? given.toArray() : Float32Array.from(given);
  if (values.length !== D && values.length !== heads * D)
    throw wrongValue(where, name, `[D=${D}] or [${heads}, D=${D}] numbers`, `${values.length}`);
  return values;
}
