/** Deterministic inputs: every peer and every run sees the same numbers. */

/** mulberry32: small, seedable, and good enough for test data. */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Uniform with unit variance, so that logits have the spread of a normalised model. */
function values(count, seed) {
  const next = random(seed);
  const width = 2 * Math.sqrt(3);
  return Float32Array.from({ length: count }, () => (next() - 0.5) * width);
}

/** The tensors of a case, heads first: q [H, L, D], k and v [G, S, D], and the T5 table [buckets, H]. */
export function makeInputs({ kind, H, G, L, S, D, t5 }) {
  if (kind === 'rotary') return { x: values(H * L * D, 1) };
  return {
    q: values(H * L * D, 1),
    k: values(G * S * D, 2),
    v: values(G * S * D, 3),
    table: t5 && values(t5.buckets * H, 4),
  };
}

/** [outer, inner, D] → [inner, outer, D]: between heads-first and positions-first tensors. */
export function swapAxes(data, outer, inner, D) {
  const swapped = new Float32Array(data.length);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const from = (o * inner + i) * D;
      swapped.set(data.subarray(from, from + D), (i * outer + o) * D);
    }
  }
  return swapped;
}

/** The rows [from, to) of every head of a [heads, length, D] tensor. */
export function sliceRows(data, heads, length, D, from, to) {
  const rows = new Float32Array(heads * (to - from) * D);
  for (let h = 0; h < heads; h++) {
    rows.set(data.subarray((h * length + from) * D, (h * length + to) * D), h * (to - from) * D);
  }
  return rows;
}
