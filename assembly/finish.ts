// The end of a row: division by the sum of its probabilities, the sink among them, and its log-sum-exp.

import {
  DIM_E, DIM_H, DIM_L, F32, LSE, OUT, R_HEAD, R_MAX, R_QUERY, R_SUM, SINKS, S_OUT, T_BATCH, T_CHANNEL, T_HEAD, T_PTR, T_ROW, T_TYPE,
} from './job';
import { storeRow } from './convert';
import { exp } from './exp';
import { log } from './math';
import { rowOf, outputWidth } from './rows';
import { held } from './simd';

/** Divides the row's output by its sum, the sink's share included, and writes it and its log-sum-exp. */
export function finishRow(job: usize, scratch: usize, b: i32, r: i32): void {
  const row = rowOf(job, scratch, r);
  const E = load<i32>(job, DIM_E);
  const width = outputWidth(job);
  const o = scratch + load<usize>(job, S_OUT) + <usize>r * width;
  const i = load<i32>(row, R_QUERY);
  if (i < 0) return;
  const h = load<i32>(row, R_HEAD);
  let m = load<f32>(row, R_MAX);
  let l = load<f32>(row, R_SUM);
  let c: f32 = 1;
  const sinks = load<usize>(job, SINKS);
  if (sinks) {
    const sink = load<f32>(sinks + (h << 2));
    const top = m < sink ? sink : m;
    if (top != -Infinity) {
      c = exp(m - top);
      l = c * l + exp(sink - top);
      m = top;
    }
  }
  // l is 0 only if no key is visible: o is then 0 already and is left so.
  c = l == 0 ? <f32>0 : c / l;
  const to = load<usize>(job, OUT + T_PTR) + b * load<i32>(job, OUT + T_BATCH) + h * load<i32>(job, OUT + T_HEAD)
    + i * load<i32>(job, OUT + T_ROW);
  const stride = load<i32>(job, OUT + T_CHANNEL);
  const type = load<i32>(job, OUT + T_TYPE);
  // Bytes of whole vectors that go to where they belong at once.
  const straight: usize = type == F32 && stride == 4 ? <usize>(E & ~3) << 2 : 0;
  const by = f32x4.splat(c), nan = held(f32.NaN, i >> 31);
  for (let at: usize = 0; at < width; at += 16) {
    const x = f32x4.mul(v128.load(o + at), by);
    v128.store((at < straight ? to : o) + at, v128.bitselect(x, nan, f32x4.eq(x, x)));
  }
  const rest = E - <i32>(straight >> 2);
  if (rest > 0) storeRow(to + straight, o + straight, rest, stride, type);
  const lse = load<usize>(job, LSE);
  if (lse) {
    const value: f32 = l == 0 ? -f32.POSITIVE_INFINITY : <f32>(<f64>m + log(<f64>l));
    store<f32>(lse + (<usize>((b * load<i32>(job, DIM_H) + h) * load<i32>(job, DIM_L) + i) << 2), value == value ? value : f32.NaN);
  }
}
