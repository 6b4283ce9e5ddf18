/** Attention of one node in f64, from the operators' texts; rounded to f32 at every step it is the naive evaluation that tolerances measure. */

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
  /** One extra logit of each head. */
  readonly sink?: ((h: number) => number) | undefined;
  /** Applied to every result: the identity, or Math.fround. */
  readonly round?: (x: number) => number;
}

/** Y [B, H, L, E] and the four kinds of scores [B, H, L, S], of Q [B, H, L, D], K [B, G, S, D] and V [B, G, S, E]. */
export function onnxReference(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  { B, H, G, L, S, D, E }: Sizes,
  { scale = 1 / Math.sqrt(D), softcap, bias = () => 0, sink, round = (x) => x }: Options,
): { Y: Float64Array; scores: Float64Array[] } {
  const Y = new Float64Array(B * H * L * E);
  const scores = [0, 1, 2, 3].map(() => new Float64Array(B * H * L * S));
  const [raw, capped, biased, weights] = scores as [Float64Array, Float64Array, Float64Array, Float64Array];
  for (let row = 0; row < B * H * L; row++) {
    const [b, h, i] = [Math.floor(row / L / H), Math.floor(row / L) % H, row % L];
    const key = (j: number): number => (b * G + Math.floor(h / (H / G))) * S + j;
    for (let j = 0; j < S; j++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot = round(dot + round((q[row * D + d] as number) * (k[key(j) * D + d] as number)));
      const at = row * S + j;
      raw[at] = round(round(scale) * dot);
      capped[at] = softcap ? round(softcap * round(Math.tanh(round((raw[at] as number) / softcap)))) : (raw[at] as number);
      const added = bias(b, h, i, j);
      biased[at] = added === -Infinity ? -Infinity : round((capped[at] as number) + added);
    }
    const line = biased.subarray(row * S, (row + 1) * S);
    const extra = sink ? sink(h) : -Infinity;
    const top = line.reduce((a, x) => Math.max(a, x), extra);
    if (top === -Infinity) continue;
    const exponentials = line.map((x) => round(Math.exp(round(x - top))));
    const sum = exponentials.reduce((a, x) => round(a + x), round(Math.exp(extra - top)));
    for (let j = 0; j < S; j++) {
      const p = round((exponentials[j] as number) / sum);
      weights[row * S + j] = p;
      if (p) for (let e = 0; e < E; e++) Y[row * E + e] = round((Y[row * E + e] as number) + round(p * (v[key(j) * E + e] as number)));
    }
  }
  return { Y, scores };
}
