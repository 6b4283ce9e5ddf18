// What an encoding brings along beside its plans: the code for those parts of a plan that not every scheme has, and for reading a plan of unknown
// make. So a program has the code for what its encodings lower to, and no other.

import type { Scope } from '../memory/scope.ts';
import type { MemoryContext } from '../memory/tensor.ts';
import type { WasmMemory } from '../platform/types.ts';
import type { BiasEntry, WrittenBiases } from './bias-entries.ts';
import type { Context } from './context.ts';
import type { Encoding, LowerContext, Place, Plan, Shape } from './plan.ts';
import type { Reaches } from './reach.ts';
import type { Key, PreparedTerms, TermContext } from './relative-terms.ts';

/** A plan's encoding, and the call that it is checked against. */
export interface PlanCheck {
  readonly where: string;
  /** What errors call the encoding. */
  readonly name: string;
  readonly encoding: Encoding;
  readonly shape: Shape;
  readonly place: Place;
  readonly context: MemoryContext;
  /** Names of what is kept of the parts; a check adds those of its own. */
  readonly keys: Map<unknown, Key>;
}

/** Checks some parts of a plan. @returns the plan, or one with parts replaced. @throws TypeError, RangeError that names the encoding */
type Check = (plan: Plan, check: PlanCheck) => Plan;

/** What the entries of biases are made from. */
export interface BiasCall {
  readonly keys: Map<unknown, Key>;
  readonly shape: Shape;
  readonly place: Place;
  readonly reaches: Reaches;
  readonly context: Context;
  readonly scope: Scope;
}

/** The code for some parts of plans. */
export interface Handlers {
  /** What an encoding of unknown make lowers to, every part of it of the form that the plan wants. */
  readonly read?: (where: string, name: string, encoding: Encoding, given: LowerContext, memory: WasmMemory) => Plan;
  /** Biases and factors; `masks` are the entries of mask tensors, which come behind. */
  readonly biases?: { readonly check: Check; readonly write: (plan: Plan, masks: readonly BiasEntry[], call: BiasCall) => WrittenBiases };
  /** Terms, the value table and the table of contextual positions. */
  readonly terms?: {
    readonly check: Check;
    readonly prepare: (plan: Plan, keys: Map<unknown, Key>, context: TermContext) => PreparedTerms;
  };
}

/** Beside the encodings, not in them: a copy with another `lower` must not pass for one whose parts these handlers know. */
const HANDLERS = /* @__PURE__ */ new WeakMap<Encoding, Handlers>();

/** An encoding of the package's own making, whose plans need these handlers: none, if they rotate, normalise, scale rows or add to q alone. */
export function withHandlers(encoding: Encoding, handlers: Handlers = {}): Encoding {
  const made = Object.freeze({ ...encoding });
  HANDLERS.set(made, handlers);
  return made;
}

/** True for what a constructor of the package or `defineEncoding` made, itself and no copy of it. */
export const isEncoding = (value: unknown): value is Encoding => HANDLERS.has(value as Encoding);

export const handlersOf = (encoding: Encoding): Handlers => HANDLERS.get(encoding) as Handlers;

/** What an encoding lowers to. @throws TypeError, RangeError that names the part that is not as the plan wants it */
export function lowerEncoding(where: string, name: string, encoding: Encoding, given: LowerContext, memory: WasmMemory): Plan {
  const { read } = handlersOf(encoding);
  return read ? read(where, name, encoding, given, memory) : encoding.lower(given);
}
