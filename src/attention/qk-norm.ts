// The option `qkNorm`: normalisation of q and k as part of the call, not of an encoding.

import { scaleFactor, wrongType, wrongValue } from '../arguments/check.ts';
import { copyLogits, type Logits, type Numbers } from '../arguments/lists.ts';
import { expectShape } from '../arguments/numbers.ts';
import { choice, type Readers, readRecord } from '../arguments/record.ts';
import type { Normalization, Plan, Shape } from '../plan/plan.ts';

/** Normalisation of every row of q and k, before rotation and scores. */
export interface QKNorm {
  /** `'rms'`: x / √(mean x² + ε), as in Qwen 3 and Gemma 3; `'l2'`: x / max(‖x‖, ε), cosine attention. */
  readonly kind: 'rms' | 'l2';
  /** ε > 0; default 1e-6. */
  readonly epsilon?: number;
  /** Multiplies the channels of q afterwards: [D] for all heads, or [H, D]. Gemma stores w and multiplies by 1 + w: pass that. */
  readonly queryWeight?: Numbers;
  /** The same for k: [D], or [G, D]. */
  readonly keyWeight?: Numbers;
}

/** The option, checked as far as it can be without shapes. */
export interface CheckedNorm {
  readonly kind: 'rms' | 'l2';
  readonly epsilon?: number;
  readonly queryWeight?: Logits;
  readonly keyWeight?: Logits;
}

const READERS: Readers<CheckedNorm> = {
  kind: /* @__PURE__ */ choice('rms', 'l2'),
  epsilon: (where, name, value) => scaleFactor(where, name, value),
  queryWeight: copyLogits,
  keyWeight: copyLogits,
};

/** Reads the option. */
export function readNorm(where: string, name: string, value: unknown): CheckedNorm {
  const norm = readRecord(where, value, READERS, name);
  if (norm.kind === undefined) throw wrongType(where, `${name}.kind`, "'rms' or 'l2'", undefined);
  return norm;
}

/** The plan with the option's normalisation. @throws RangeError if weights do not fit, or the plan has one already */
export function withNormalization(where: string, plan: Plan, given: CheckedNorm | undefined, { H, G, D }: Shape): Plan {
  if (given === undefined) return plan;
  if (plan.normalization) throw wrongValue(where, 'qkNorm', 'none beside an encoding that normalises', 'both');
  const queryWeight = weightOf(where, 'qkNorm.queryWeight', given.queryWeight, H, D);
  const keyWeight = weightOf(where, 'qkNorm.keyWeight', given.keyWeight, G, D);
  const { kind, epsilon = 1e-6 } = given;
  const normalization: Normalization = { kind, epsilon, ...(queryWeight && { queryWeight }), ...(keyWeight && { keyWeight }) };
  return { ...plan, normalization };
}

function weightOf(where: string, name: string, given: Logits | undefined, heads: number, D: number): Float32Array | undefined {
  if (given === undefined) return undefined;
  const { values } = given;
  if (values.length !== D && values.length !== heads * D)
    throw wrongValue(where, name, `[D=${D}] or [${heads}, D=${D}] numbers`, `${values.length}`);
  expectShape(where, name, values, values.length === D ? [D] : [heads, D]);
  return values;
}
