// Probabilities from logits, and their logarithms.

import { log } from '../math';
import { maxLanes, sumLanes } from '../simd';
import { expx4 } from './activations';
import { SOFTMAX_DIVISOR, SOFTMAX_LOG, SOFTMAX_OUT, SOFTMAX_OUT_ROW, SOFTMAX_WIDTH, SOFTMAX_X, SOFTMAX_X_ROW } from './job';
import { loadRest, put } from './lanes';

/** Numbers whose sum is f32 before it goes into the f64 one: a lane has 128 of them. A vocabulary may have a quarter of a million. */
const BLOCK: i32 = 512;

/** The largest of n numbers. A NaN may be lost: it makes a NaN of the sum. */
function largest(x: usize, n: i32): f32 {
  const least = f32x4.splat(-Infinity);
  let most = least;
  for (; n >= 4; n -= 4, x += 16) most = f32x4.pmax(most, v128.load(x));
  if (n) most = f32x4.pmax(most, loadRest(x, n, least));
  return maxLanes(most);
}

/** x/divisor − m in four lanes. */
@inline function shifted(x: v128, divisor: v128, m: v128): v128 {
  return f32x4.sub(f32x4.div(x, divisor), m);
}

/** Σ exp(x/divisor − m); with `to`, the summands there. Element d goes to lane d mod 4, a block to a sum in f64. */
function total(to: usize, x: usize, n: i32, divisor: v128, m: v128): f64 {
  const zero = n >> 31;
  let sum: f64 = 0;
  while (n > 0) {
    let part = f32x4.splat(0);
    const stop = n - min(n, BLOCK);
    do {
      const hidden = f32x4.splat(-Infinity);
      const p = expx4(shifted(n >= 4 ? v128.load(x) : loadRest(x, n, hidden), divisor, m), zero);
      part = f32x4.add(part, p);
      if (to) {
        put(to, n, p);
        to += 16;
      }
      x += 16;
      n -= 4;
    } while (n > stop);
    sum += <f64>sumLanes(part);
  }
  return sum;
}

/** OUT ← exp(x/DIVISOR − m)/Σ, or x/DIVISOR − m − ln Σ; m is the largest. A NaN makes the whole row NaN, and so does +Infinity. */
export function softmax(job: usize, tile: i32, scratch: usize): void {
  let n = load<i32>(job, SOFTMAX_WIDTH);
  const x = load<usize>(job, SOFTMAX_X) + tile * load<i32>(job, SOFTMAX_X_ROW);
  const to = load<usize>(job, SOFTMAX_OUT) + tile * load<i32>(job, SOFTMAX_OUT_ROW);
  const divisor = load<f32>(job, SOFTMAX_DIVISOR);
  const by = f32x4.splat(divisor);
  const m = f32x4.splat(largest(x, n) / divisor);
  if (load<i32>(job, SOFTMAX_LOG)) {
    const rest = f32x4.splat(<f32>log(total(0, x, n, by, m)));
    for (let at: usize = 0; n > 0; n -= 4, at += 16) put(to + at, n, f32x4.sub(shifted(v128.load(x + at), by, m), rest));
    return;
  }
  const factor = f32x4.splat(<f32>(1 / total(to, x, n, by, m)));
  for (let at: usize = 0; n > 0; n -= 4, at += 16) put(to + at, n, f32x4.mul(v128.load(to + at), factor));
}
