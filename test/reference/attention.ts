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
  /** Multiplies q, after the rotation. */
  readonly queryScale?: (at: { readonly b: number; readonly i: number }) => number;
  /** Multiplies the score after the softcap. */
  readonly factor?: (at: Point) => number;
  /** Contextual positions: the keys from j to the last visible one, each counted by the gate σ(score), choose a row of a table that meets q. */
  readonly context?: ContextTable;
  /** Added after the softcap. */
  readonly bias?: (at: Point) => number;
  readonly visible?: (at: Point) => boolean;
  /** [H]: an extra logit in the denominator. */
  readonly sinks?: ArrayLike<number>;
}

/** E: [heads, rows, D], heads 1 or H. */
export interface ContextTable {
  readonly table: ArrayLike<number>;
  readonly heads: number;
  readonly rows: number;
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

/** What contextual positions add to the scores of a row's visible keys: e(p) by interpolation, p = min(Σ gates from the key on, rows − 1). */
function contextual(
  query: readonly number[],
  scores: readonly number[],
  h: number,
  { table, heads, rows }: ContextTable,
  round: Round,
): number[] {
  const D = query.length;
  const logits = Array.from({ length: rows }, (_, r) => dot(query, rowOf(table, (heads === 1 ? 0 : h) * rows + r, D), round));
  const out = new Array<number>(scores.length);
  let sum = 0;
  for (let n = scores.length - 1; n >= 0; n--) {
    sum = round(sum + round(1 / round(1 + round(Math.exp(-at(scores, n))))));
    const p = Math.min(sum, rows - 1);
    const w = round(p - Math.floor(p));
    out[n] = round(round(at(logits, Math.ceil(p)) * w) + round(at(logits, Math.floor(p)) * round(1 - w)));
  }
  return out;
}

export function attention({ q, k, v }: Inputs, sizes: Sizes, options: ReferenceOptions = {}, round: Round = (x) => x): Reference {
  const { B, H, G, L, S, D, E } = sizes;
  const { softcap, rotate = (row) => row, bias, factor, context, queryScale, visible = () => true, sinks } = options;
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
        const scaled = (row: number[]): number[] => (queryScale ? row.map((x) => round(x * round(queryScale({ b, i })))) : row);
        const query = scaled(rotate(rowOf(q, r, D), i + S - L, round));
        const seen: number[] = [];
        const scores: number[] = [];
        for (let j = 0; j < S; j++) {
          if (!visible({ b, h, i, j })) continue;
          let s = round(scale * dot(query, keys[(b * G + g) * S + j] as number[], round));
          if (softcap !== undefined) s = round(softcap * round(Math.tanh(round(s / softcap))));
          seen.push(j);
          scores.push(s);
        }
        const added = context && contextual(scaled(rowOf(q, r, D)), scores, h, context, round);
        seen.forEach((j, n) => {
          if (added) scores[n] = round(at(scores, n) + at(added, n));
          if (factor) scores[n] = round(at(scores, n) * round(factor({ b, h, i, j })));
          if (bias) scores[n] = round(at(scores, n) + round(bias({ b, h, i, j })));
        });
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
