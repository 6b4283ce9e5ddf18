/** Attention in f64, written from the formula, for the tests of the command line. Tensors are flat and in the order [B, H, L, D]. */
import type { SafeTensor } from '../../src/safetensors/index.ts';

/** B, H, G, L, S, D, E of the library's documentation. */
export interface Sizes {
  B: number;
  H: number;
  G: number;
  L: number;
  S: number;
  D: number;
  E: number;
}

export interface NaiveOptions {
  scale?: number;
  softcap?: number;
  /** Whether key j is visible to the query at position p. */
  visible?: (p: number, j: number) => boolean;
  /** Added after the softcap: for the query at position p (i in the tensor), key j and head h. */
  bias?: (h: number, p: number, j: number, i: number) => number;
  /** Rotates a row of q or k that is at a position. */
  rotate?: (row: number[], position: number) => number[];
  sinks?: Float32Array;
}

export interface Naive {
  out: Float64Array;
  lse: Float64Array;
}

/** Queries are aligned to the end of the keys: query i is at position i + S - L. */
export function naive(
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  { B, H, G, L, S, D, E }: Sizes,
  options: NaiveOptions = {},
): Naive {
  const { scale = 1 / Math.sqrt(D), softcap, visible = () => true, bias = () => 0, rotate = (row) => row, sinks } = options;
  const out = new Float64Array(B * H * L * E);
  const lse = new Float64Array(B * H * L);
  const row = (x: Float32Array, index: number, width: number): number[] => [...x.subarray(index * width, (index + 1) * width)];
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const g = b * G + Math.floor(h / (H / G));
      for (let i = 0; i < L; i++) {
        const p = i + S - L;
        const query = rotate(row(q, (b * H + h) * L + i, D), p);
        const scores = Array.from({ length: S }, (_, j) => {
          if (!visible(p, j)) return Number.NEGATIVE_INFINITY;
          const key = rotate(row(k, g * S + j, D), j);
          const score = scale * query.reduce((sum, x, d) => sum + x * (key[d] as number), 0);
          return (softcap === undefined ? score : softcap * Math.tanh(score / softcap)) + bias(h, p, j, i);
        });
        const logits = sinks === undefined ? scores : [...scores, sinks[h] as number];
        const most = Math.max(...logits);
        const sum = logits.reduce((total, x) => total + Math.exp(x - most), 0);
        const r = (b * H + h) * L + i;
        lse[r] = most + Math.log(sum);
        for (let e = 0; e < E; e++) {
          out[r * E + e] = scores.reduce((total, x, j) => total + (Math.exp(x - most) / sum) * (v[(g * S + j) * E + e] as number), 0);
        }
      }
    }
  }
  return { out, lse };
}

/** Rotates pairs (c, c + dim/2) for `'halves'`, (2c, 2c + 1) for `'pairs'`, of the first `dim` channels. */
export function rotation(dim: number, theta: number, layout: 'halves' | 'pairs'): (row: number[], position: number) => number[] {
  return (row, position) => {
    const turned = [...row];
    for (let c = 0; c < dim / 2; c++) {
      const [x, y] = layout === 'halves' ? [c, c + dim / 2] : [2 * c, 2 * c + 1];
      const angle = position * theta ** ((-2 * c) / dim);
      turned[x] = (row[x] as number) * Math.cos(angle) - (row[y] as number) * Math.sin(angle);
      turned[y] = (row[x] as number) * Math.sin(angle) + (row[y] as number) * Math.cos(angle);
    }
    return turned;
  };
}

/** T5's bucket of the offset key - query. */
export function t5Bucket(offset: number, bidirectional: boolean, buckets = 32, maxDistance = 128): number {
  const half = bidirectional ? buckets / 2 : buckets;
  const first = bidirectional && offset > 0 ? half : 0;
  const distance = bidirectional ? Math.abs(offset) : Math.max(0, -offset);
  const exact = half / 2;
  if (distance < exact) return first + distance;
  const far = exact + Math.floor((Math.log(distance / exact) / Math.log(maxDistance / exact)) * (half - exact));
  return first + Math.min(far, half - 1);
}

/** Numbers in [-1, 1), the same for the same seed. */
export function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export function f32(shape: number[], data: Float32Array): SafeTensor {
  return { dtype: 'F32', shape, data: new Uint8Array(data.slice().buffer) };
}

export function f64(shape: number[], data: Float64Array): SafeTensor {
  return { dtype: 'F64', shape, data: new Uint8Array(data.slice().buffer) };
}

/** From [B, H, L, D] to [B, L, H, D]. */
export function blhd<T extends Float32Array | Float64Array>(x: T, [B, H, L, D]: [number, number, number, number]): T {
  const turned = x.slice() as T;
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let l = 0; l < L; l++) {
        for (let d = 0; d < D; d++) turned[((b * L + l) * H + h) * D + d] = x[((b * H + h) * L + l) * D + d] as number;
      }
    }
  }
  return turned;
}
