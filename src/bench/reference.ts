/** A plain f64 evaluation of a few rows, from the formula. Every case is checked against it before it is timed. */

import type { BenchPrecision } from './result.ts';

/** Far above what float32 rounding gives (1e-6), far below what a wrong mask, bias or rotation gives. */
const MAX_ERROR = 1e-4;
/** For 16-bit products, in parts of a row's root mean square: their own is 2.2e-4 of it, and the largest of some ten thousand channels five times that. */
const MAX_ERROR_INT16 = 2.5e-3;

/** How far an output is from the f64 evaluation. */
export interface Deviation {
  /** The largest difference. */
  readonly error: number;
  /** The largest of a row over the row's root mean square. */
  readonly relative: number;
}

/** What is wrong with an output of a precision, in words; undefined if nothing is. */
export function wrongness(precision: BenchPrecision, { error, relative }: Deviation): string | undefined {
  if (error <= MAX_ERROR) return undefined;
  if (precision !== 'int16') return `off by ${error} from the f64 evaluation, more than ${MAX_ERROR}`;
  if (relative <= MAX_ERROR_INT16) return undefined;
  return `off by ${relative} of a row's root mean square from the f64 evaluation, more than ${MAX_ERROR_INT16}`;
}

/** Takes rows one after the other and keeps the largest differences; a NaN stays. */
class Worst {
  error = 0;
  relative = 0;

  row(out: Float32Array, at: number, expected: Float64Array): void {
    let most = 0;
    for (const [d, value] of expected.entries()) most = larger(most, Math.abs((out[at * expected.length + d] as number) - value));
    this.error = larger(this.error, most);
    this.relative = larger(this.relative, most / Math.sqrt(dot(expected, expected) / expected.length));
  }
}

const larger = (a: number, b: number): number => (b <= a ? a : b);

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

/** Attention's output [B, H, L, D] against the f64 evaluation of some rows of three heads, of the first and the last batch row. */
export function attentionError(sizes: Sizes, formula: Formula, inputs: Inputs, out: Float32Array): Deviation {
  const worst = new Worst();
  for (const b of new Set([0, sizes.B - 1])) for (const h of three(sizes.H)) headError(sizes, formula, inputs, out, { b, h, worst });
  return worst;
}

interface Head {
  readonly b: number;
  readonly h: number;
  readonly worst: Worst;
}

function headError({ H, G, L, S, D }: Sizes, formula: Formula, { q, k, v }: Inputs, out: Float32Array, { b, h, worst }: Head): void {
  const { visible = () => true, bias = () => 0, term = () => 0, theta, scale = 1 / Math.sqrt(D) } = formula;
  const row = (data: Float32Array, r: number): Float64Array => Float64Array.from(data.subarray(r * D, (r + 1) * D));
  const placed = (own: Float64Array, position: number): Float64Array => (theta === undefined ? own : turned(own, position, theta));
  const first = (b * G + Math.floor(h / (H / G))) * S;
  const keys = Array.from({ length: S }, (_, j) => placed(row(k, first + j), j));
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
    const channel = (d: number): number => weights.reduce((total, w, j) => total + (w / sum) * (v[(first + j) * D + d] as number), 0);
    worst.row(
      out,
      at,
      Float64Array.from({ length: D }, (_, d) => channel(d)),
    );
  }
}

/** A rotation's output [1, H, L, D] against the f64 evaluation of some rows of three heads. */
export function rotationError(
  { H, L, D }: { H: number; L: number; D: number },
  theta: number,
  x: Float32Array,
  out: Float32Array,
): Deviation {
  const worst = new Worst();
  for (const h of three(H)) {
    for (const i of some(L)) {
      const at = (h * L + i) * D;
      worst.row(out, h * L + i, turned(Float64Array.from(x.subarray(at, at + D)), i, theta));
    }
  }
  return worst;
}
