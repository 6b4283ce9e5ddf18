// From encodings to one plan, every part of it checked against the call.

import { scaleFactor, wrongValue } from '../arguments/check.ts';
import type { Named } from '../arguments/record.ts';
import type { Context } from '../plan/context.ts';
import { type Handlers, handlersOf, lowerEncoding } from '../plan/handlers.ts';
import { type Encoding, mergePlans, type Normalization, type Place, type Plan, type Rotation, type Shape } from '../plan/plan.ts';
import type { Key } from '../plan/relative-terms.ts';

/** What encodings come to: their plan, what names what is kept of it, and the code for its parts. */
export interface Lowered {
  readonly plan: Plan;
  readonly keys: Map<unknown, Key>;
  readonly handlers: Handlers;
}

/** What no encodings come to. */
const NOTHING: Lowered = /* @__PURE__ */ nothing();

function nothing(): Lowered {
  return { plan: mergePlans('', []), keys: new Map(), handlers: {} };
}

/** Lowers the encodings and checks what came out. */
export function lower(where: string, encodings: readonly Named<Encoding>[], shape: Shape, place: Place, context: Context): Lowered {
  if (!encodings.length) return NOTHING;
  const keys = new Map<unknown, Key>();
  let handlers: Handlers = {};
  const plans = encodings.map(({ name: option, value: encoding }) => {
    const name = `${option} (${encoding.name})`;
    const own = handlersOf(encoding);
    handlers = { ...handlers, ...own };
    const check = { where, name, encoding, shape, place, context, keys };
    let plan = lowerEncoding(where, name, encoding, { shape, place, math: context.math }, context.arena.memory);
    for (const part of [own.biases, own.terms]) if (part) plan = part.check(plan, check);
    if (plan.queryBias && plan.queryBias.length !== shape.H * shape.D) {
      throw wrongValue(where, name, `a query bias of [H=${shape.H}, D=${shape.D}]`, plan.queryBias);
    }
    const { B, L } = shape;
    if (plan.rowScale && plan.rowScale.length !== L && plan.rowScale.length !== B * L) {
      throw wrongValue(where, name, `a row scale of [L=${L}] or [B=${B}, L=${L}]`, plan.rowScale);
    }
    if (plan.normalization) checkNormalization(where, name, plan.normalization, shape);
    if (plan.rotation) checkRotation(where, name, plan.rotation, shape);
    return plan;
  });
  return { plan: mergePlans(where, plans), keys, handlers };
}

export function checkRotation(where: string, name: string, rotation: Rotation, { D, G }: Pick<Shape, 'D' | 'G'>): void {
  const { dim, start = 0, frequencies, growth, second, heads = 1, blocks = 1 } = rotation;
  if (dim + start > D) throw wrongValue(where, name, `dim ≤ D=${D}`, `dim ${dim}${start ? ` from channel ${start}` : ''}`);
  if (heads !== 1 && heads !== G) throw wrongValue(where, name, `frequencies of 1 head or G=${G}`, heads);
  const fits = dim >= 2 && dim % 2 === 0 && frequencies.length > 0 && frequencies.length % (heads * (dim / 2)) === 0;
  const shape = `${heads > 1 ? `[heads=${heads}]` : ''}[axes][dim/2]`;
  if (!fits) throw wrongValue(where, name, `an even dim and ${shape} frequencies`, `dim ${dim}, ${frequencies.length} frequencies`);
  if (dim % (2 * blocks)) throw wrongValue(where, name, `a dim that is a multiple of ${2 * blocks} for ${blocks} blocks`, dim);
  for (const list of [growth, second]) {
    if (list && list.length !== frequencies.length)
      throw wrongValue(where, name, "growth and second frequencies of the frequencies' shape", list);
  }
}

function checkNormalization(where: string, name: string, given: Normalization, { H, G, D }: Shape): void {
  scaleFactor(where, `${name} epsilon`, given.epsilon);
  const fits = (weight: Float32Array | undefined, heads: number): boolean => !weight || weight.length === D || weight.length === heads * D;
  if (!fits(given.queryWeight, H)) throw wrongValue(where, name, `query weights of [D=${D}] or [H=${H}, D=${D}]`, given.queryWeight);
  if (!fits(given.keyWeight, G)) throw wrongValue(where, name, `key weights of [D=${D}] or [G=${G}, D=${D}]`, given.keyWeight);
}
