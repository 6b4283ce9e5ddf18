// The plan: the one form to which every scheme lowers, and all that the kernels know. For query i, key j, head h:
//
//   t(i,j) = softcap( scale · (q̂ᵢ + u_h)·k̂ⱼ + Σ c·(qᵢ + w_h)·R[ρ(i,j)] + Σ c·kⱼ·R[ρ(i,j)] )
//   s(i,j) = ( t(i,j) + qᵢ·E[Σ σ(t) from j on] ) · Π factor(j−i) + Σ bias(i,j) + mask(i,j)
//   o(i)   = Σⱼ softmax(s)ᵢⱼ · (vⱼ + A[ρ(i,j)])
//
// q̂, k̂ are q and k after an optional rotation; q is then multiplied by a number of its row, if there is one; R and A are tables of rows chosen by an index map ρ. Query i stands at position i + (S − L) and key j at position j unless told otherwise.

import type { TensorLike } from '../memory/tensor.ts';

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

/** Where the queries and keys of a call stand among the positions of the whole: query i at queryOffset + i, key j at keyOffset + j. */
export interface Place {
  readonly queryOffset: number;
  readonly keyOffset: number;
  /** Keys of the whole. The call is a shard of them if this is not S. */
  readonly totalKeys: number;
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
  /**
   * The rotation's rows themselves, for a model that brings its own: [rows][R/2 cosines, R/2 sines], or [B][rows][…] with `batched`. Values
   * and frequencies are not read then, and there is no inverse.
   */
  readonly table?: Float32Array;
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
  /**
   * Blocks of R/n channels that turn each by itself: then `'halves'` are the pairs (i, i + R/(2n)) of each block, and `frequencies` goes
   * block by block. R is a multiple of 2n; default 1.
   */
  readonly blocks?: number;
  /** rad per position: [axes][R/2], or [heads][axes][R/2]; finite, as all numbers of a rotation are. */
  readonly frequencies: Float64Array;
  /** Key heads that have frequencies of their own, G: a query head turns as its key head does. Default 1, all share. */
  readonly heads?: number;
  /**
   * Frequencies of the second channel of every pair, where it turns by an angle ψ of its own: x' = x·cos φ − y·sin φ, y' = x·sin ψ +
   * y·cos ψ. Of the shape of `frequencies`; default the same. There is no inverse then.
   */
  readonly second?: Float64Array;
  /** Multiplies cosine and sine; default 1. */
  readonly factor?: number;
  /** Logarithm by which a pair of a query grows, and that of a key shrinks, per position: of the shape of `frequencies`. Default none. */
  readonly growth?: Float64Array;
  /** The position, on every axis, at which nothing has grown; default 0. */
  readonly center?: number;
  /** Added to the standard position of every query and key; default 0. */
  readonly offset?: number;
  /** Explicit positions instead of the standard ones; needed if there is more than one axis. */
  readonly queryPositions?: Positions;
  readonly keyPositions?: Positions;
}

/**
 * Names what is computed of a part: its function of the offset, and its table. With one, the numbers are kept between calls, and those of
 * an earlier call serve every later one in which the same encoding has a part of this variant at the same place. So if the function or the
 * table depends on the call (its shape, place or role), the variant must tell such calls apart; if it depends on nothing, any constant
 * will do. Without a variant they are computed in each call and kept no longer.
 */
export type Variant = string;

/** b_h[j − i] of standard positions: T5, ALiBi and their like. */
export interface OffsetBias {
  readonly kind: 'offset';
  /** H, or 1 if all heads share. */
  readonly heads: number;
  /** Writes the bias of the offsets first … first + count − 1: out[head · count + n] is that of offset first + n. */
  fill(out: Float32Array, first: number, count: number): void;
  readonly variant?: Variant;
  /** Multiplies the bias; default 1. */
  readonly coefficient?: number;
  /** Multiplies the row: [B, H, L]. */
  readonly gate?: Float32Array;
  /** First and one past the last query that has it; default all. */
  readonly queries?: readonly [number, number];
}

/**
 * An index that is a sum: rows[i] + columns[j], or map[rows[i] + columns[j]]. Coordinates on a grid, boxes and segments are of this form,
 * and it takes L + S numbers where an index of its own for every pair would take L · S.
 */
export interface SumIndex {
  /** [L], or [B, L]. */
  readonly rows: Int32Array;
  /** [S], or [B, S]. */
  readonly columns: Int32Array;
  /** Default the sum itself. */
  readonly map?: Int32Array;
}

/** b_h[index(i, j)]: a table looked up through an index. */
export interface IndexBias {
  readonly kind: 'index';
  /** [heads, P]; heads is H, or 1 if all share. */
  readonly table: Float32Array;
  readonly heads: number;
  /** One per pair, [L, S], or a sum; each in 0 … P − 1. */
  readonly index: Int32Array | SumIndex;
  /** Multiplies the bias; default 1. */
  readonly coefficient?: number;
  /** Multiplies the row: [B, H, L]. */
  readonly gate?: Float32Array;
}

/**
 * f_h(r(i) · a(j − i)) of standard positions, f_h(x) = Σ_u c_hu · max(0, w_u·x + b_u): a piecewise linear function of an offset whose unit
 * depends on the query. FIRE.
 */
export interface CurveBias {
  readonly kind: 'curve';
  /** H, or 1 if all heads share. */
  readonly heads: number;
  /** Writes a of the offsets first … first + count − 1. */
  fill(out: Float32Array, first: number, count: number): void;
  readonly variant?: Variant;
  /** r: [L]. Finite, as are w, b and c. */
  readonly factors: Float32Array;
  /** w and b of each unit: [U, 2]. */
  readonly units: Float32Array;
  /** c: [heads, U]. */
  readonly weights: Float32Array;
  /** Multiplies the bias; default 1. */
  readonly coefficient?: number;
  /** Multiplies the row: [B, H, L]. */
  readonly gate?: Float32Array;
  /** First and one past the last query that has it; default all. */
  readonly queries?: readonly [number, number];
}

/** x_i + y_j, a number of the query and one of the key: forgetting attention. Sums over the whole sequence lose nothing by their length. */
export interface SumBias {
  readonly kind: 'sum';
  /** B, or 1 if all batch rows share. */
  readonly batch: number;
  /** H, or 1 if all heads share. */
  readonly heads: number;
  /** x: [batch, heads, L]. */
  readonly rows: Float64Array;
  /** y: [batch, heads, S]. */
  readonly columns: Float64Array;
  /** Multiplies the bias; default 1. */
  readonly coefficient?: number;
  /** Multiplies the row: [B, H, L]. */
  readonly gate?: Float32Array;
}

/** Anything else: [B|1, H|1, L|1, S]. */
export interface DenseBias {
  readonly kind: 'dense';
  /** One of a safetensors file is copied for the length of each call. */
  readonly tensor: TensorLike;
}

export type Bias = OffsetBias | IndexBias | CurveBias | SumBias | DenseBias;

/** w_h[j − i] of standard positions: multiplies the score after the softcap and before the biases. KERPLE's weight kernel. */
export interface OffsetFactor {
  /** H, or 1 if all heads share. */
  readonly heads: number;
  /** Writes the factors of the offsets first … first + count − 1, as in an offset bias. Finite. */
  fill(out: Float32Array, first: number, count: number): void;
  readonly variant?: Variant;
}

/**
 * Which row of a table a query and a key meet at: a function of the offset j − i of standard positions, or any map as indices
 * [L, S] or [B, L, S], or as a sum (not for value tables). Rows are whole numbers; one outside the table counts as zero.
 */
export type RowMap = (
  | { readonly kind: 'offset'; row(offset: number): number }
  | { readonly kind: 'index'; readonly index: Int32Array | SumIndex }
) & { readonly variant?: Variant };

/** A score against a table of relative positions, before the softcap. */
export interface Term {
  /** `'query'`: c·(qᵢ + w_h)·R[ρ(i,j)]; `'key'`: c·kⱼ·R[ρ(i,j)], for maps of the offset only. */
  readonly kind: 'query' | 'key';
  /** R: [heads, P, D]; a head of the table belongs to a query head. */
  readonly table: Float32Array;
  /** H, or 1 if all heads share. */
  readonly heads: number;
  readonly rows: RowMap;
  /** w: [H, D]; default 0. Query terms only. */
  readonly bias?: Float32Array;
  /** c; default the call's scale. */
  readonly scale?: number;
}

/**
 * A bias by contextual positions (CoPE): q·E[p(i, j)], where p counts the visible keys from j to the last one, each by the gate σ(s) of its
 * score before factors and biases; p is clipped to P − 1, and rows are interpolated. Not in a shard of the keys.
 */
export interface ContextTable {
  /** E: [heads, P, D]. */
  readonly table: Float32Array;
  readonly variant?: Variant;
  /** H, or 1 if all heads share. */
  readonly heads: number;
}

/** Values that are added to v by relative position. */
export interface ValueTable {
  /** A: [heads, P, E]. */
  readonly table: Float32Array;
  /** H, or 1 if all heads share. */
  readonly heads: number;
  readonly rows: RowMap;
}

/** Normalisation of every row of q and k, before all else: cosine attention and QK-norm. */
export interface Normalization {
  /** `'l2'`: x / max(‖x‖, ε); `'rms'`: x / √(mean x² + ε). */
  readonly kind: 'l2' | 'rms';
  /** ε. */
  readonly epsilon: number;
  /** Multiply the channels afterwards: [D], or [H, D] and [G, D]. Default 1. */
  readonly queryWeight?: Float32Array;
  readonly keyWeight?: Float32Array;
}

/** What an encoding lowers to. All parts are optional; several encodings add up, but only one may normalise, rotate, scale or bias the query, count positions, or add values. */
export interface Plan {
  readonly normalization?: Normalization;
  readonly rotation?: Rotation;
  /** Multiplies q of each query, after the rotation and before anything is added to it: [L], or [B, L]. */
  readonly rowScale?: Float32Array;
  /** u: [H, D], added to q in the content score after the rotation. */
  readonly queryBias?: Float32Array;
  readonly terms?: readonly Term[];
  readonly contextTable?: ContextTable;
  readonly factors?: readonly OffsetFactor[];
  readonly biases?: readonly Bias[];
  readonly valueTable?: ValueTable;
}

/** What an encoding sees when it is lowered. */
export interface LowerContext {
  readonly shape: Shape;
  /** Missing outside `attention`: query i then stands at i + (S − L), key j at j. */
  readonly place?: Place;
  readonly math: Arithmetic;
  /** The largest position of a row + 1, where `rotate` is told where the rows stand; else the keys of the whole. */
  readonly length?: number;
  /** Which of the two is rotated, where only one is: then shape.L = shape.S is the number of its rows. */
  readonly role?: 'query' | 'key';
  /** The caller has a position on each axis for every row: rotations give frequencies for each, [axes][R/2], and no positions. */
  readonly perAxis?: boolean;
}

/**
 * A position scheme as a value, made by a constructor of the package or by `defineEncoding`. `lower` says what it means for one shape; it must
 * depend on nothing but its argument. What it returns, plain objects with arrays of just the types named here, is read and not changed. Of its
 * numbers nothing outlives the call but those of parts that have a `variant`.
 */
export interface Encoding {
  /** For error messages. */
  readonly name: string;
  /**
   * True if `lower` says the same however many keys there are and wherever the queries stand: a prepared call asks it once then, and else in
   * every step. Default false.
   */
  readonly steady?: boolean;
  lower(context: LowerContext): Plan;
}

/** Several plans as one. @throws RangeError if two of them have a part of which there can be only one */
export function mergePlans(where: string, plans: readonly Plan[]): Plan {
  if (plans.length === 1) return plans[0] as Plan;
  const merged: { -readonly [part in keyof Plan]: Plan[part] } = {
    terms: plans.flatMap((plan) => plan.terms ?? []),
    factors: plans.flatMap((plan) => plan.factors ?? []),
    biases: plans.flatMap((plan) => plan.biases ?? []),
  };
  for (const part of ['normalization', 'rotation', 'rowScale', 'queryBias', 'contextTable', 'valueTable'] as const) {
    const found = plans.flatMap((plan) => plan[part] ?? []);
    if (found.length > 1) throw new RangeError(`${where}: "encoding" expected at most one ${part}, got ${found.length}`);
    if (found[0]) Object.assign(merged, { [part]: found[0] });
  }
  return merged;
}
