/** ONNX Attention in f64, from the operator's text: for the corners that its own cases leave out. */

export interface Sizes {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
  readonly E: number;
}

export interface Options {
  readonly scale?: number;
  readonly softcap?: number;
  /** Added to the score; −Infinity hides. */
  readonly bias?: (b: number, h: number, i: number, j: number) => number;
}

/** Y [B, H, L, E] and the four kinds of scores [B, H, L, S], of Q [B, H, L, D], K [B, G, S, D] and V [B, G, S, E]. */
export function onnxReference(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  { B, H, G, L, S, D, E }: Sizes,
  { scale = 1 / Math.sqrt(D), softcap, bias = () => 0 }: Options,
): { Y: Float64Array; scores: Float64Array[] } {
  const Y = new Float64Array(B * H * L * E);
  const scores = [0, 1, 2, 3].map(() => new Float64Array(B * H * L * S));
  const [raw, capped, biased, weights] = scores as [Float64Array, Float64Array, Float64Array, Float64Array];
  for (let row = 0; row < B * H * L; row++) {
    const [b, h, i] = [Math.floor(row / L / H), Math.floor(row / L) % H, row % L];
    const key = (j: number): number => (b * G + Math.floor(h / (H / G))) * S + j;
    for (let j = 0; j < S; j++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += (q[row * D + d] as number) * (k[key(j) * D + d] as number);
      const at = row * S + j;
      raw[at] = scale * dot;
      capped[at] = softcap ? softcap * Math.tanh((scale * dot) / softcap) : scale * dot;
      const added = bias(b, h, i, j);
      biased[at] = added === -Infinity ? -Infinity : (capped[at] as number) + added;
    }
    const line = biased.subarray(row * S, (row + 1) * S);
    const top = line.reduce((a, x) => Math.max(a, x), -Infinity);
    if (top === -Infinity) continue;
    const sum = line.reduce((a, x) => a + Math.exp(x - top), 0);
    for (let j = 0; j < S; j++) {
      const p = Math.exp((line[j] as number) - top) / sum;
      weights[row * S + j] = p;
      if (p) for (let e = 0; e < E; e++) Y[row * E + e] = (Y[row * E + e] as number) + p * (v[key(j) * E + e] as number);
    }
  }
  return { Y, scores };
}
