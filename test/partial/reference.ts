/** Attention from the formula, every operation rounded by `round`: the identity gives f64, Math.fround a naive f32 evaluation. */

/** Sizes in the letters of the library's documentation. */
export interface Sizes {
  B: number;
  H: number;
  G: number;
  L: number;
  S: number;
  D: number;
  E: number;
}

export interface Scheme {
  causal?: boolean | { readonly offset: number };
  window?: { left?: number; right?: number };
  softcap?: number;
  scale?: number;
  sinks?: number[];
  keyLengths?: number[];
  /** Position of query 0; S − L unless given. */
  queryOffset?: number;
  /** Added to the score of head h, query position p and row i, key j of batch row b. */
  bias?: (b: number, h: number, p: number, i: number, j: number) => number;
  /** Rows of head h at the offset j − p: one that q meets and one that k meets, both scaled as q·k is, and one that is added to v. */
  tables?: Record<'query' | 'key' | 'value', (h: number, offset: number) => ArrayLike<number>>;
  /** Turns the first `dim` channels by position. */
  rotary?: { dim: number; theta: number; layout: 'halves' | 'pairs' };
}

export interface Answer {
  /** [B, H, L, E] */
  out: Float64Array;
  /** [B, H, L] */
  lse: Float64Array;
  /** The largest value and the largest score met on the way, which `out` and `lse` are made of. */
  met: { out: number; lse: number };
}

export type Round = (x: number) => number;
export const exact: Round = (x) => x;

/** Numbers in [−1, 1), the same for the same seed. */
export function noise(length: number, seed: number): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

function turn(row: number[], position: number, { dim, theta, layout }: NonNullable<Scheme['rotary']>, r: Round): number[] {
  const turned = [...row];
  for (let c = 0; c < dim / 2; c++) {
    const [x, y] = layout === 'halves' ? [c, c + dim / 2] : [2 * c, 2 * c + 1];
    const angle = position * theta ** ((-2 * c) / dim);
    const [cos, sin] = [r(Math.cos(angle)), r(Math.sin(angle))];
    const [a, b] = [row[x] as number, row[y] as number];
    turned[x] = r(r(a * cos) - r(b * sin));
    turned[y] = r(r(a * sin) + r(b * cos));
  }
  return turned;
}

export function attention(q: Float32Array, k: Float32Array, v: Float32Array, sizes: Sizes, scheme: Scheme, r: Round): Answer {
  const { B, H, G, L, S, D, E } = sizes;
  const { causal, window, softcap, sinks, keyLengths, bias, rotary, tables } = scheme;
  const dot = (a: readonly number[], b: ArrayLike<number>): number => a.reduce((sum, x, d) => r(sum + r(x * (b[d] as number))), 0);
  const scale = r(scheme.scale ?? 1 / Math.sqrt(D));
  const base = scheme.queryOffset ?? S - L;
  const out = new Float64Array(B * H * L * E);
  const lse = new Float64Array(B * H * L);
  const met = { out: 0, lse: 0 };
  const rowOf = (x: Float32Array, index: number, width: number): number[] => [...x.subarray(index * width, (index + 1) * width)];
  const keys = Array.from({ length: B * G * S }, (_, n) => {
    const row = rowOf(k, n, D);
    return rotary ? turn(row, n % S, rotary, r) : row;
  });
  for (let row = 0; row < B * H * L; row++) {
    const [b, h, i] = [Math.floor(row / (H * L)), Math.floor(row / L) % H, row % L];
    const g = b * G + Math.floor(h / (H / G));
    const p = base + i;
    const plain = rowOf(q, row, D);
    const query = rotary ? turn(plain, p, rotary, r) : plain;
    const scores = Array.from({ length: S }, (_, j) => {
      if (causal && j > (typeof causal === 'object' ? i + causal.offset : p)) return -Infinity;
      if (j < p - (window?.left ?? Infinity) || j > p + (window?.right ?? Infinity)) return -Infinity;
      if (keyLengths && j >= (keyLengths[b] as number)) return -Infinity;
      const key = keys[g * S + j] as number[];
      let s = r(scale * dot(query, key));
      if (tables) s = r(s + r(scale * dot(query, tables.query(h, j - p))));
      if (tables) s = r(s + r(scale * dot(key, tables.key(h, j - p))));
      if (softcap) s = r(softcap * r(Math.tanh(r(s / softcap))));
      return bias ? r(s + r(bias(b, h, p, i, j))) : s;
    });
    const logits = sinks ? [...scores, sinks[h] as number] : scores;
    const m = Math.max(...logits);
    if (m === -Infinity) {
      lse[row] = -Infinity;
      continue;
    }
    const weights = logits.map((s) => r(Math.exp(r(s - m))));
    const sum = weights.reduce((total, w) => r(total + w), 0);
    lse[row] = r(m + r(Math.log(sum)));
    met.lse = scores.reduce((most, s) => (Number.isFinite(s) ? Math.max(most, Math.abs(s)) : most), met.lse);
    for (let e = 0; e < E; e++) {
      const value = (j: number): number => {
        const own = v[(g * S + j) * E + e] as number;
        return tables ? r(own + (tables.value(h, j - p)[e] as number)) : own;
      };
      for (let j = 0; j < S; j++) if (scores[j] !== -Infinity) met.out = Math.max(met.out, Math.abs(value(j)));
      const total = scores.reduce((acc, _, j) => r(acc + r((weights[j] as number) * value(j))), 0);
      out[row * E + e] = r(total / sum);
    }
  }
  return { out, lse, met };
}

/** Largest difference; infinities must agree. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  for (let n = 0; n < a.length; n++) {
    const [x, y] = [a[n] as number, b[n] as number];
    if (x === y) continue;
    most = Math.max(most, Number.isFinite(x) && Number.isFinite(y) ? Math.abs(x - y) : Infinity);
  }
  return most;
}

/** The largest finite number, or 1 where there is none but zeros. */
export function magnitude(truth: Float64Array): number {
  return truth.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0) || 1;
}

/**
 * The error granted to one case: twice the largest of other ways' errors, which count as at least four ulp of the largest number among 1,
 * the truth and what it was made of (`Answer.met`): few roundings may cancel by luck.
 */
export function granted({ met, ...truth }: Answer, key: 'out' | 'lse', others: readonly ArrayLike<number>[]): number {
  const size = Math.max(1, met[key], magnitude(truth[key]));
  return 2 * Math.max(...others.map((other) => distance(other, truth[key])), size * 2 ** -22);
}

/** The bits of an array, for exact comparison. */
export function bits(x: Float32Array | Uint16Array): string {
  return Buffer.from(x.buffer, x.byteOffset, x.byteLength).toString('hex');
}
