/**
 * Attention as the formula says it, never optimised. `round` is applied after every operation: the identity gives the f64 reference,
 * `Math.fround` the naive f32 evaluation whose error is the measure of ours (tolerance.ts).
 */

/** Sizes of a call: batch, query heads, key heads, queries, keys, width of q and k, width of v. */
export interface Sizes {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
  readonly E: number;
}

/** A point of the scores: batch row, query head, query, key. */
export interface Point {
  readonly b: number;
  readonly h: number;
  readonly i: number;
  readonly j: number;
}

/** Turns a row of q or k, [D], that stands at a position. */
export type Turn = (row: number[], position: number, round: Round) => number[];
export type Round = (x: number) => number;

export interface ReferenceOptions {
  /** Default 1/√D. */
  readonly scale?: number;
  /** c: score ← c·tanh(score/c). */
  readonly softcap?: number;
  /** Query i stands at i + S − L, key j at j. */
  readonly rotate?: Turn;
  /** Added after the softcap. */
  readonly bias?: (at: Point) => number;
  readonly visible?: (at: Point) => boolean;
  /** [H]: an extra logit in the denominator. */
  readonly sinks?: ArrayLike<number>;
}

/** q [B, H, L, D], k [B, G, S, D], v [B, G, S, E]. */
export interface Inputs {
  readonly q: ArrayLike<number>;
  readonly k: ArrayLike<number>;
  readonly v: ArrayLike<number>;
}

/** out [B, H, L, E], lse [B, H, L]. */
export interface Outputs {
  readonly out: Float64Array;
  readonly lse: Float64Array;
}

/** The outputs, and how many scores went into them. */
export interface Reference extends Outputs {
  readonly visible: number;
}

const at = (data: ArrayLike<number>, index: number): number => data[index] as number;
const rowOf = (data: ArrayLike<number>, row: number, width: number): number[] =>
  Array.from({ length: width }, (_, n) => at(data, row * width + n));

/** Σ x·y in order. */
function dot(x: readonly number[], y: readonly number[], round: Round): number {
  let sum = 0;
  for (let n = 0; n < x.length; n++) sum = round(sum + round(at(x, n) * at(y, n)));
  return sum;
}

export function attention({ q, k, v }: Inputs, sizes: Sizes, options: ReferenceOptions = {}, round: Round = (x) => x): Reference {
  const { B, H, G, L, S, D, E } = sizes;
  const { softcap, rotate = (row) => row, bias, visible = () => true, sinks } = options;
  const scale = round(options.scale ?? 1 / Math.sqrt(D));
  const out = new Float64Array(B * H * L * E);
  const lse = new Float64Array(B * H * L);
  let count = 0;
  const keys = Array.from({ length: B * G * S }, (_, row) => rotate(rowOf(k, row, D), row % S, round));
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const g = Math.floor(h / (H / G));
      for (let i = 0; i < L; i++) {
        const r = (b * H + h) * L + i;
        const query = rotate(rowOf(q, r, D), i + S - L, round);
        const seen: number[] = [];
        const scores: number[] = [];
        for (let j = 0; j < S; j++) {
          if (!visible({ b, h, i, j })) continue;
          let s = round(scale * dot(query, keys[(b * G + g) * S + j] as number[], round));
          if (softcap !== undefined) s = round(softcap * round(Math.tanh(round(s / softcap))));
          if (bias) s = round(s + round(bias({ b, h, i, j })));
          seen.push(j);
          scores.push(s);
        }
        count += seen.length;
        const sink = sinks ? round(at(sinks, h)) : Number.NEGATIVE_INFINITY;
        const top = scores.reduce((most, s) => Math.max(most, s), sink);
        const base = top === Number.NEGATIVE_INFINITY ? 0 : top;
        const p = scores.map((s) => round(Math.exp(round(s - base))));
        let sum = round(Math.exp(round(sink - base)));
        for (const x of p) sum = round(sum + x);
        // A row that sees nothing is exactly 0.
        lse[r] = sum === 0 ? Number.NEGATIVE_INFINITY : round(base + round(Math.log(sum)));
        if (sum === 0) continue;
        for (let e = 0; e < E; e++) {
          let total = 0;
          for (let n = 0; n < p.length; n++) {
            const value = at(v, ((b * G + g) * S + at(seen, n)) * E + e);
            total = round(total + round(at(p, n) * value));
          }
          out[r * E + e] = round(total / sum);
        }
      }
    }
  }
  return { out, lse, visible: count };
}
