// Normalisation of a row of q or k: cosine attention (Swin v2) and the RMS norms of QK-norm models.

import { DIM_D, NORM, NORM_EPSILON, NORM_L2 } from './job';

/** Σ x² of n floats in f64, by lanes of four and then one by one. */
function sumOfSquares(from: usize, n: i32): f64 {
  let low = f64x2.splat(0);
  let high = low;
  for (; n >= 4; n -= 4, from += 16) {
    const x = v128.load(from);
    const a = f64x2.promote_low_f32x4(x);
    const b = f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0));
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  const sum = f64x2.add(low, high);
  let total = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  for (; n > 0; n--, from += 4) {
    const x = <f64>load<f32>(from);
    total += x * x;
  }
  return total;
}

/** Writes a contiguous row, divided by its size and multiplied by the weights of its head if there are any, to `to`, which may be `from`. */
export function normalizeRow(to: usize, from: usize, weights: usize, head: i32, job: usize): usize {
  const D = load<i32>(job, DIM_D);
  const epsilon = load<f64>(job, NORM_EPSILON);
  const squares = sumOfSquares(from, D);
  const size = load<i32>(job, NORM) == NORM_L2 ? max(sqrt(squares), epsilon) : sqrt(squares / <f64>D + epsilon);
  const c = <f32>(1 / size);
  for (let d: usize = 0; d < <usize>D << 2; d += 4) {
    const x = load<f32>(from + d) * c;
    store<f32>(to + d, weights ? x * load<f32>(weights + head + d) : x);
  }
  return to;
}
