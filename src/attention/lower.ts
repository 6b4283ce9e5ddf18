// From encodings to one plan, every part of it checked against the call.

import { finite, wrongValue } from '../arguments/check.ts';
import type { Named } from '../arguments/record.ts';
import { readFloatFile } from '../memory/operands.ts';
import { Tensor } from '../memory/tensor.ts';
import type { Context } from '../plan/context.ts';
import { checkContextTable } from '../plan/context-table.ts';
import {
  type Bias,
  type Encoding,
  mergePlans,
  type Normalization,
  type Place,
  type Plan,
  type Rotation,
  type Shape,
} from '../plan/plan.ts';
import { lowerEncoding } from '../plan/read-plan.ts';
import { checkTerm, checkValueTable, type Key, keyOf } from '../plan/relative-terms.ts';
import { checkBias, checkFactor } from './check-biases.ts';

/** What no encodings come to. */
const NOTHING: { readonly plan: Plan; readonly keys: Map<unknown, Key> } = /* @__PURE__ */ nothing();

function nothing(): typeof NOTHING {
  return { plan: mergePlans('', []), keys: new Map() };
}

/** Lowers the encodings and checks what came out. */
export function lower(
  where: string,
  encodings: readonly Named<Encoding>[],
  shape: Shape,
  place: Place,
  context: Context,
): { plan: Plan; keys: Map<unknown, Key> } {
  if (!encodings.length) return NOTHING;
  const keys = new Map<unknown, Key>();
  const plans = encodings.map(({ name, value: encoding }) => {
    const named = `${name} (${encoding.name})`;
    const lowered = lowerEncoding(where, named, encoding, { shape, place, math: context.math }, context.arena.memory);
    const plan = withOwnFiles(where, named, lowered);
    for (const bias of plan.biases ?? []) {
      checkBias(where, named, bias, shape, place, context);
    }
    for (const factor of plan.factors ?? []) checkFactor(where, named, factor, shape);
    for (const term of plan.terms ?? []) checkTerm(where, named, term, shape);
    if (plan.contextTable) checkContextTable(where, named, plan.contextTable, shape, place);
    if (plan.valueTable) checkValueTable(where, named, plan.valueTable, shape);
    if (plan.queryBias && plan.queryBias.length !== shape.H * shape.D) {
      throw wrongValue(where, named, `a query bias of [H=${shape.H}, D=${shape.D}]`, plan.queryBias);
    }
    const { B, L } = shape;
    if (plan.rowScale && plan.rowScale.length !== L && plan.rowScale.length !== B * L) {
      throw wrongValue(where, named, `a row scale of [L=${L}] or [B=${B}, L=${L}]`, plan.rowScale);
    }
    [...(plan.biases ?? []), ...(plan.terms ?? []), plan.valueTable, plan.contextTable, ...(plan.factors ?? [])].forEach((part, n) => {
      if (part) keys.set(part, keyOf(encoding, n, part));
    });
    if (plan.normalization) checkNormalization(where, named, plan.normalization, shape);
    if (plan.rotation) checkRotation(where, named, plan.rotation, shape);
    return plan;
  });
  return { plan: mergePlans(where, plans), keys };
}

/** The plan, with tensors of files as records of their own: what is checked here is what is read later. */
function withOwnFiles(where: string, name: string, plan: Plan): Plan {
  if (!plan.biases?.some((bias) => bias.kind === 'dense' && !(bias.tensor instanceof Tensor))) return plan;
  const own = (bias: Bias): Bias => {
    const file = bias.kind === 'dense' && !(bias.tensor instanceof Tensor) && readFloatFile(where, name, bias.tensor)?.file;
    return file ? { kind: 'dense', tensor: file } : bias;
  };
  return { ...plan, biases: plan.biases.map(own) };
}

export function checkRotation(where: string, name: string, rotation: Rotation, { D, G }: Pick<Shape, 'D' | 'G'>): void {
  const { dim, start = 0, frequencies, growth, second, heads = 1, blocks = 1 } = rotation;
  if (dim + start > D) throw wrongValue(where, name, `dim ≤ D=${D}`, `dim ${dim}${start ? ` from channel ${start}` : ''}`);
  if (heads !== 1 && heads !== G) throw wrongValue(where, name, `frequencies of 1 head or G=${G}`, heads);
  const fits = dim >= 2 && dim % 2 === 0 && frequencies.length > 0 && frequencies.length % (heads * (dim / 2)) === 0;
  const shape = `${heads > 1 ? `[heads=${heads}]` : ''}[axes][dim/2]`;
  if (!fits) throw wrongValue(where, name, `an even dim and ${shape} frequencies`, `dim ${dim}, ${frequencies.length} frequencies`);
  if (dim % (2 * blocks)) throw wrongValue(where, name, `a dim that is a multiple of ${2 * blocks} for ${blocks} blocks`, dim);
  if (growth && growth.length !== frequencies.length) throw wrongValue(where, name, "growth of the frequencies' shape", growth);
  if (second && second.length !== frequencies.length) throw wrongValue(where, name, "second frequencies of the frequencies' shape", second);
}

function checkNormalization(where: string, name: string, given: Normalization, { H, G, D }: Shape): void {
  finite(where, `${name} epsilon`, given.epsilon, 0);
  const fits = (weight: Float32Array | undefined, heads: number): boolean => !weight || weight.length === D || weight.length === heads * D;
  if (!fits(given.queryWeight, H)) throw wrongValue(where, name, `query weights of [D=${D}] or [H=${H}, D=${D}]`, given.queryWeight);
  if (!fits(given.keyWeight, G)) throw wrongValue(where, name, `key weights of [D=${D}] or [G=${G}, D=${D}]`, given.keyWeight);
}
