/** A plain f64 evaluation of a few rows, from the formula. Every case is checked against it before it is timed. */

/** Far above what float32 rounding gives (1e-6), far below what a wrong mask, bias or rotation gives. */
export const MAX_ERROR = 1e-4;
/** Rows of each head that are evaluated. */
const ROWS = 6;

/** Sizes of one attention, the letters as everywhere. */
export interface Sizes {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
}

/** Where a query and a key are. */
export interface Pair {
  readonly h: number;
  readonly i: number;
  readonly j: number;
}

/** What the call does beside the plain attention. */
export interface Formula {
  readonly visible?: (pair: Pair) => boolean;
  /** Added to the scaled score. */
  readonly bias?: (pair: Pair) => number;
  /** Added to q·k before it is scaled. */
  readonly term?: (pair: Pair, query: Float64Array, key: Float64Array) => number;
  /** The base of the frequencies, where q and k are rotated. */
  readonly theta?: number;
  /** Default 1/√D. */
  readonly scale?: number;
}

/** The inputs, as the engine stores them. */
export interface Inputs {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/** A row turned by its position: channel c with channel c + D/2. */
export function turned(row: Float64Array, position: number, theta: number): Float64Array {
  const half = row.length / 2;
  return row.map((x, c) => {
    const angle = position * theta ** (-(c % half) / half);
    const other = row[(c + half) % row.length] as number;
    return x * Math.cos(angle) + (c < half ? -other : other) * Math.sin(angle);
  });
}

/** The offset's bucket of T5, bidirectional. */
export function t5Bucket(offset: number, buckets: number, maxDistance: number): number {
  const [n, exact] = [buckets / 2, buckets / 4];
  const distance = Math.abs(offset);
  const log = Math.floor((Math.log(distance / exact) / Math.log(maxDistance / exact)) * (n - exact));
  return (offset > 0 ? n : 0) + (distance < exact ? distance : Math.min(exact + log, n - 1));
}

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += (a[d] as number) * (b[d] as number);
  return sum;
};

/** Some of 0 … n − 1, the first and the last among them. */
const some = (n: number): number[] => {
  const count = Math.min(n, ROWS);
  return [...new Set(Array.from({ length: count }, (_, r) => Math.round((r * (n - 1)) / Math.max(1, count - 1))))];
};

/** The first, the middle and the last of n. */
const three = (n: number): Set<number> => new Set([0, n >> 1, n - 1]);

/** Largest difference of attention's output [B, H, L, D] from the f64 evaluation of some rows of three heads, of the first and the last batch row. */
export function attentionError(sizes: Sizes, formula: Formula, inputs: Inputs, out: Float32Array): number {
  let worst = 0;
  for (const b of new Set([0, sizes.B - 1])) {
    for (const h of three(sizes.H)) {
      const error = headError(sizes, formula, inputs, out, b, h);
      if (!(error <= worst)) worst = error; // takes a NaN too, which then stays
    }
  }
  return worst;
}

function headError({ H, G, L, S, D }: Sizes, formula: Formula, { q, k, v }: Inputs, out: Float32Array, b: number, h: number): number {
  const { visible = () => true, bias = () => 0, term = () => 0, theta, scale = 1 / Math.sqrt(D) } = formula;
  const row = (data: Float32Array, r: number): Float64Array => Float64Array.from(data.subarray(r * D, (r + 1) * D));
  const placed = (own: Float64Array, position: number): Float64Array => (theta === undefined ? own : turned(own, position, theta));
  const first = (b * G + Math.floor(h / (H / G))) * S;
  const keys = Array.from({ length: S }, (_, j) => placed(row(k, first + j), j));
  let worst = 0;
  for (const i of some(L)) {
    const at = (b * H + h) * L + i;
    const query = placed(row(q, at), i + S - L);
    const scores = keys.map((key, j) => {
      const pair = { h, i, j };
      return visible(pair) ? scale * (dot(query, key) + term(pair, query, key)) + bias(pair) : Number.NEGATIVE_INFINITY;
    });
    const top = scores.reduce((a, s) => Math.max(a, s), Number.NEGATIVE_INFINITY);
    const weights = scores.map((s) => Math.exp(s - top));
    const sum = weights.reduce((a, w) => a + w, 0);
    for (let d = 0; d < D; d++) {
      const expected = weights.reduce((total, w, j) => total + (w / sum) * (v[(first + j) * D + d] as number), 0);
      const error = Math.abs((out[at * D + d] as number) - expected);
      if (!(error <= worst)) worst = error;
    }
  }
  return worst;
}

/** Largest difference of a rotation's output [1, H, L, D] from the f64 evaluation of some rows of three heads. */
export function rotationError({ H, L, D }: { H: number; L: number; D: number }, theta: number, x: Float32Array, out: Float32Array): number {
  let worst = 0;
  for (const h of three(H)) {
    for (const i of some(L)) {
      const at = (h * L + i) * D;
      turned(Float64Array.from(x.subarray(at, at + D)), i, theta).forEach((value, d) => {
        const error = Math.abs((out[at + d] as number) - value);
        if (!(error <= worst)) worst = error;
      });
    }
  }
  return worst;
}
