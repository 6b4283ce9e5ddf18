/** How like two outputs are. */

/** The cosine of the angle between two lists of numbers. */
export function cosine(a, b) {
  if (a.length !== b.length) throw new Error(`expected ${b.length} numbers, got ${a.length}`);
  let [dot, aa, bb] = [0, 0, 0];
  for (let n = 0; n < a.length; n++) {
    dot += a[n] * b[n];
    aa += a[n] * a[n];
    bb += b[n] * b[n];
  }
  return dot / Math.sqrt(aa * bb);
}

/**
 * The least cosine to the f32 reference, by what weights are held in. Seeded weights are as hard as weights can be: measured are 0.9995 (i8), 0.985
 * (i4) for encoders and 0.93 (i4) for deep decoders. Something left out, a mask or a bias, is far below that in f32.
 */
export const LEAST = { f32: 0.99999, i8: 0.99, i4: 0.88 };

/** What is wrong with an output, in words; undefined if nothing is. */
export function wrongness({ weights }, likeness) {
  return likeness >= LEAST[weights] ? undefined : `WRONG RESULT, cosine ${likeness} to the reference, least ${LEAST[weights]}`;
}
