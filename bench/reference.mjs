// A plain f64 evaluation of a few rows, from the formula. Every case is checked against it before it is timed.

/** Far above what float32 rounding gives (1e-6), far below what a wrong mask, bias or rotation gives. */
export const MAX_ERROR = 1e-4;
const ROWS = 6;

/** Uniform numbers of unit variance by a linear congruential generator, the same everywhere. */
export function numbers(count, seed) {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 8) / 2 ** 23 - 1) * Math.sqrt(3);
  });
}

/** The offset's bucket of T5, bidirectional. */
export function t5Bucket(offset, buckets, maxDistance) {
  const [n, exact] = [buckets / 2, buckets / 4];
  const distance = Math.abs(offset);
  const log = Math.floor((Math.log(distance / exact) / Math.log(maxDistance / exact)) * (n - exact));
  return (offset > 0 ? n : 0) + (distance < exact ? distance : Math.min(exact + log, n - 1));
}

/** A row turned by its position: channel c with channel c + D/2. */
export function turned(row, position, theta) {
  const half = row.length / 2;
  return row.map((x, c) => {
    const angle = position * theta ** (-(c % half) / half);
    return c < half ? x * Math.cos(angle) - row[c + half] * Math.sin(angle) : x * Math.cos(angle) + row[c - half] * Math.sin(angle);
  });
}

/** Some of 0 … n − 1, the first and the last among them. */
const some = (n) => Array.from({ length: Math.min(n, ROWS) }, (_, r) => Math.round((r * (n - 1)) / Math.max(1, Math.min(n, ROWS) - 1)));

/**
 * Largest difference of attention's output from the f64 evaluation of some rows of three heads.
 *
 * @param call `{ H, G, L, S, D, visible(i, j), bias(h, offset), theta, round }`; `round` says how the inputs are stored
 */
export function attentionError({ H, G, L, S, D, visible = () => true, bias = () => 0, theta, round = (x) => x }, { q, k, v }, out) {
  const row = (data, r) => Float64Array.from(data.subarray(r * D, (r + 1) * D), round);
  let worst = 0;
  for (const h of new Set([0, H >> 1, H - 1])) {
    const g = Math.floor(h / (H / G));
    const keys = Array.from({ length: S }, (_, j) => (theta ? turned(row(k, g * S + j), j, theta) : row(k, g * S + j)));
    for (const i of some(L)) {
      const own = row(q, h * L + i);
      const query = theta ? turned(own, i + S - L, theta) : own;
      const scores = keys.map((key, j) =>
        visible(i, j)
          ? key.reduce((sum, x, d) => sum + x * query[d], 0) / Math.sqrt(D) + bias(h, j - i - (S - L))
          : Number.NEGATIVE_INFINITY,
      );
      const top = Math.max(...scores);
      const weights = scores.map((s) => Math.exp(s - top));
      const sum = weights.reduce((a, b) => a + b, 0);
      for (let d = 0; d < D; d++) {
        const expected = weights.reduce((total, w, j) => total + (w / sum) * round(v[(g * S + j) * D + d]), 0);
        const error = Math.abs(out[(h * L + i) * D + d] - expected);
        if (!(error <= worst)) worst = error; // takes a NaN too, which then stays
      }
    }
  }
  return worst;
}
