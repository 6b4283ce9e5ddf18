// The plan: the one form to which every scheme lowers, and all that the kernels know. For query i, key j, head h:
//
//   s(i,j) = softcap( scale · q̂ᵢ·k̂ⱼ ) + Σ bias(i,j) + mask(i,j)        o(i) = Σⱼ softmax(s)ᵢⱼ · vⱼ
//
// q̂, k̂ are q and k after an optional rotation. Query i stands at position i + (S − L) and key j at position j unless told otherwise.

import type { Tensor } from './tensor.ts';

/** The sizes of one call. */
export interface Shape {
  /** Batch. */
  readonly B: number;
  /** Query heads. */
  readonly H: number;
  /** Key and value heads; H % G = 0. */
  readonly G: number;
  /** Queries. */
  readonly L: number;
  /** Keys. */
  readonly S: number;
  /** Width of a query and key head. */
  readonly D: number;
  /** Width of a value head. */
  readonly E: number;
}

/**
 * Elementary functions in f64 that give the same bits on every host. Whatever reaches a tensor is computed with these and with + − × ÷
 * and Math.sqrt, never with JavaScript's own exp, log, pow, sin or cos.
 */
export interface Arithmetic {
  exp(x: number): number;
  log(x: number): number;
  /** x^y for x > 0. */
  pow(x: number, y: number): number;
  sin(x: number): number;
  cos(x: number): number;
  tanh(x: number): number;
}

/** Positions on `axes` axes: [axes][rows] numbers, row-major; shared by all batch rows, or [B][axes][rows] with `batched`. */
export interface Positions {
  readonly values: Float64Array;
  readonly batched: boolean;
}

/** A rotation of q and k: pairs of channels turn by angle = Σ_axis position · frequency. */
export interface Rotation {
  /** Channels that turn, R; even. */
  readonly dim: number;
  /** First of them; default 0. The channels before and after pass through. */
  readonly start?: number;
  /** Which channels form a pair: `'halves'` (i, i + R/2) or `'pairs'` (2i, 2i + 1). */
  readonly layout: 'halves' | 'pairs';
  /** Where a pair goes; default as it came. */
  readonly layoutOut?: 'halves' | 'pairs';
  /** rad per position: [axes][R/2]. */
  readonly frequencies: Float64Array;
  /** Multiplies cosine and sine; default 1. */
  readonly factor?: number;
  /** Added to the standard position of every query and key; default 0. */
  readonly offset?: number;
  /** Explicit positions instead of the standard ones; needed if there is more than one axis. */
  readonly queryPositions?: Positions;
  readonly keyPositions?: Positions;
}

/** b_h[j − i] of standard positions: T5, ALiBi and their like. */
export interface OffsetBias {
  readonly kind: 'offset';
  /** H, or 1 if all heads share. */
  readonly heads: number;
  /** Writes the bias of the offsets first … first + count − 1: out[head · count + n] is that of offset first + n. */
  fill(out: Float32Array, first: number, count: number): void;
  /** Multiplies the row: [B, H, L]. */
  readonly gate?: Float32Array;
}

/** b_h[index(i, j)]: a table looked up through an explicit map. */
export interface IndexBias {
  readonly kind: 'index';
  /** [heads, P]; heads is H, or 1 if all share. */
  readonly table: Float32Array;
  readonly heads: number;
  /** [L, S], each in 0 … P − 1. */
  readonly index: Int32Array;
  readonly gate?: Float32Array;
}

/** Anything else: [B|1, H|1, L|1, S] in the engine's memory. */
export interface DenseBias {
  readonly kind: 'dense';
  readonly tensor: Tensor;
}

export type Bias = OffsetBias | IndexBias | DenseBias;

/** What an encoding lowers to. All parts are optional; several encodings add up, but only one may rotate. */
export interface Plan {
  readonly rotation?: Rotation;
  readonly biases?: readonly Bias[];
}

/** What an encoding sees when it is lowered. */
export interface LowerContext {
  readonly shape: Shape;
  readonly math: Arithmetic;
}

/**
 * A position scheme as a value. `lower` says what it means for one shape; it must depend on nothing but its argument, and what it returns
 * is read, never kept.
 */
export interface Encoding {
  /** For error messages. */
  readonly name: string;
  lower(context: LowerContext): Plan;
}

/** Several plans as one. @throws RangeError if more than one rotates */
export function mergePlans(plans: readonly Plan[]): Plan {
  const rotations = plans.flatMap((plan) => plan.rotation ?? []);
  if (rotations.length > 1) throw new RangeError(`attention: "encoding" expected at most one rotation, got ${rotations.length}`);
  const [rotation] = rotations;
  return { ...(rotation && { rotation }), biases: plans.flatMap((plan) => plan.biases ?? []) };
}
