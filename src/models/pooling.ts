// One vector of the vectors of a text's tokens. Sums in order, in f64; a square root, which every host rounds alike.

import type { Pooling } from './sentence-files.ts';

/** @param rows [tokens, width] */
export function poolRows(rows: Float32Array, width: number, pooling: Pooling, normalize: boolean): Float32Array {
  const tokens = rows.length / width;
  const vector = new Float32Array(width);
  for (let d = 0; d < width; d++) vector[d] = channel(rows, width, tokens, d, pooling);
  if (!normalize) return vector;
  let sum = 0;
  for (const x of vector) sum += x * x;
  const length = Math.sqrt(sum);
  return length > 0 ? vector.map((x) => x / length) : vector;
}

function channel(rows: Float32Array, width: number, tokens: number, d: number, pooling: Pooling): number {
  const at = (token: number): number => rows[token * width + d] as number;
  if (pooling === 'cls') return at(0);
  if (pooling === 'last') return at(tokens - 1);
  let result = pooling === 'max' ? -Infinity : 0;
  for (let token = 0; token < tokens; token++) result = pooling === 'max' ? Math.max(result, at(token)) : result + at(token);
  return pooling === 'max' ? result : result / tokens;
}
