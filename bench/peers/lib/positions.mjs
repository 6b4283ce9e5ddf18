/** Position encodings in the forms the peers take: a dense bias tensor, tables of cosines and sines. */

/** T5's bucket of the offset key − query. */
export function t5Bucket(offset, { buckets, maxDistance, bidirectional }) {
  const count = bidirectional ? buckets / 2 : buckets;
  const base = bidirectional && offset > 0 ? count : 0;
  const distance = bidirectional ? Math.abs(offset) : Math.max(-offset, 0);
  const exact = count / 2;
  if (distance < exact) return base + distance;
  const log = Math.log(distance / exact) / Math.log(maxDistance / exact);
  return base + Math.min(exact + Math.trunc(log * (count - exact)), count - 1);
}

/** The T5 bias as the [H, L, S] tensor that systems without the scheme must be given. */
export function denseT5Bias({ H, L, S, t5 }, table) {
  const bias = new Float32Array(H * L * S);
  for (let i = 0; i < L; i++) {
    for (let j = 0; j < S; j++) {
      const bucket = t5Bucket(j - i, t5);
      for (let h = 0; h < H; h++) bias[(h * L + i) * S + j] = table[bucket * H + h];
    }
  }
  return bias;
}

export const rotaryAngle = (position, pair, { D, rotary }) => position * rotary.theta ** ((-2 * pair) / D);

/** Cosines and sines for positions 0 … L−1, each [L, D/2]. */
export function rotaryTables(testCase) {
  const pairs = testCase.D / 2;
  const angles = Float64Array.from({ length: testCase.L * pairs }, (_, index) =>
    rotaryAngle(Math.floor(index / pairs), index % pairs, testCase),
  );
  return { cos: Float32Array.from(angles, Math.cos), sin: Float32Array.from(angles, Math.sin) };
}
