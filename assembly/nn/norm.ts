// Layer norm, RMS norm and rows of length 1.
//
// Every sum over a row has one order: element d goes to lane d mod 16 of four vectors while a whole 16 are left, then four by four to the
// first vector; last the lanes are folded. So a lane sums n/16 numbers, which is what keeps f32 accurate at widths of thousands.
//
// Variance in two passes. The first mean m has the rounding of a sum of n numbers, which for a row far from 0 is a part of its deviation that
// counts; the second pass finds it, since its sums begin at m and are small: with c = Σ(x − m)/n the mean is m + c and
// the variance Σ(x − m)²/n − c², where nothing cancels. A row of 4096 numbers at 1000 ± 1 is then as exact as its numbers are.

import { canonical, sumLanes } from '../simd';
import {
  NORM_BIAS, NORM_EPSILON, NORM_HEADS, NORM_KIND, NORM_LAYER, NORM_OFFSET, NORM_OUT, NORM_OUT_HEAD, NORM_OUT_ROW, NORM_RESIDUAL,
  NORM_RESIDUAL_ROW, NORM_RMS, NORM_ROWS, NORM_SUM, NORM_SUM_ROW, NORM_TILE, NORM_WEIGHT, NORM_WIDTH, NORM_X, NORM_X_HEAD, NORM_X_ROW,
} from './job';
import { loadRest, put, storeRest } from './lanes';

/** Four vectors of partial sums as one number. */
@inline function fold(a: v128, b: v128, c: v128, d: v128): f32 {
  return sumLanes(f32x4.add(f32x4.add(a, c), f32x4.add(b, d)));
}

/** to ← x + r, n numbers each. */
function add(to: usize, x: usize, r: usize, n: i32): void {
  for (; n >= 4; n -= 4, to += 16, x += 16, r += 16) v128.store(to, f32x4.add(v128.load(x), v128.load(r)));
  if (n) storeRest(to, n, f32x4.add(v128.load(x), v128.load(r)));
}

/** Σ x. */
function sum(x: usize, n: i32): f32 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  for (; n >= 16; n -= 16, x += 64) {
    a = f32x4.add(a, v128.load(x));
    b = f32x4.add(b, v128.load(x, 16));
    c = f32x4.add(c, v128.load(x, 32));
    d = f32x4.add(d, v128.load(x, 48));
  }
  for (; n >= 4; n -= 4, x += 16) a = f32x4.add(a, v128.load(x));
  if (n) a = f32x4.add(a, loadRest(x, n, f32x4.splat(0)));
  return fold(a, b, c, d);
}

/** Σ x². */
function squares(x: usize, n: i32): f32 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  for (; n >= 16; n -= 16, x += 64) {
    const s = v128.load(x), t = v128.load(x, 16), u = v128.load(x, 32), v = v128.load(x, 48);
    a = f32x4.add(a, f32x4.mul(s, s));
    b = f32x4.add(b, f32x4.mul(t, t));
    c = f32x4.add(c, f32x4.mul(u, u));
    d = f32x4.add(d, f32x4.mul(v, v));
  }
  for (; n >= 4; n -= 4, x += 16) {
    const s = v128.load(x);
    a = f32x4.add(a, f32x4.mul(s, s));
  }
  if (n) {
    const s = loadRest(x, n, f32x4.splat(0));
    a = f32x4.add(a, f32x4.mul(s, s));
  }
  return fold(a, b, c, d);
}

/** to ← (x − mean)/√(var + ε)·(weight + offset) + bias; there may be no weight and no bias. */
function layerNorm(to: usize, x: usize, n: i32, weight: usize, offset: f32, bias: usize, epsilon: f64): void {
  const mean = sum(x, n) / <f32>n;
  const m = f32x4.splat(mean);
  let a = f32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  let at = x;
  let left = n;
  for (; left >= 16; left -= 16, at += 64) {
    const s = f32x4.sub(v128.load(at), m), t = f32x4.sub(v128.load(at, 16), m);
    const u = f32x4.sub(v128.load(at, 32), m), v = f32x4.sub(v128.load(at, 48), m);
    a = f32x4.add(a, s);
    b = f32x4.add(b, t);
    c = f32x4.add(c, u);
    d = f32x4.add(d, v);
    e = f32x4.add(e, f32x4.mul(s, s));
    f = f32x4.add(f, f32x4.mul(t, t));
    g = f32x4.add(g, f32x4.mul(u, u));
    h = f32x4.add(h, f32x4.mul(v, v));
  }
  for (; left > 0; left -= 4, at += 16) {
    const s = f32x4.sub(left >= 4 ? v128.load(at) : loadRest(at, left, m), m);
    a = f32x4.add(a, s);
    e = f32x4.add(e, f32x4.mul(s, s));
  }
  const correction = fold(a, b, c, d) / <f32>n;
  const variance = <f64>(fold(e, f, g, h) / <f32>n) - <f64>correction * <f64>correction;
  scale(to, x, n, mean, correction, <f32>(1 / sqrt(variance + epsilon)), weight, offset, bias);
}

/** to ← ((x − mean) − correction)·factor·(weight + offset) + bias. */
function scale(
  to: usize, x: usize, n: i32, mean: f32, correction: f32, factor: f32, weight: usize, offset: f32, bias: usize,
): void {
  const m = f32x4.splat(mean), c = f32x4.splat(correction), r = f32x4.splat(factor), o = f32x4.splat(offset);
  for (let at: usize = 0; n > 0; n -= 4, at += 16) {
    let y = f32x4.mul(f32x4.sub(f32x4.sub(v128.load(x + at), m), c), r);
    if (weight) y = f32x4.mul(y, f32x4.add(v128.load(weight + at), o));
    if (bias) y = f32x4.add(y, v128.load(bias + at));
    put(to + at, n, y);
  }
}

/** Normalises `heads` parts of a row; with a residual, of which there is one part, after adding it. */
export function norm(job: usize, tile: i32, scratch: usize): void {
  const rows = load<i32>(job, NORM_ROWS), heads = load<i32>(job, NORM_HEADS), n = load<i32>(job, NORM_WIDTH);
  const kind = load<i32>(job, NORM_KIND);
  const weight = load<usize>(job, NORM_WEIGHT), bias = load<usize>(job, NORM_BIAS), offset = load<f32>(job, NORM_OFFSET);
  const epsilon = load<f64>(job, NORM_EPSILON);
  const residual = load<usize>(job, NORM_RESIDUAL), sums = load<usize>(job, NORM_SUM);
  const first = tile * load<i32>(job, NORM_TILE);
  const last = min(first + load<i32>(job, NORM_TILE), rows);
  for (let r = first; r < last; r++) {
    for (let h = 0; h < heads; h++) {
      let x = load<usize>(job, NORM_X) + r * load<i32>(job, NORM_X_ROW) + h * load<i32>(job, NORM_X_HEAD);
      const to = load<usize>(job, NORM_OUT) + r * load<i32>(job, NORM_OUT_ROW) + h * load<i32>(job, NORM_OUT_HEAD);
      if (residual) {
        const total = sums ? sums + r * load<i32>(job, NORM_SUM_ROW) : scratch;
        add(total, x, residual + r * load<i32>(job, NORM_RESIDUAL_ROW), n);
        x = total;
      }
      if (kind == NORM_LAYER) layerNorm(to, x, n, weight, offset, bias, epsilon);
      else {
        const q = <f64>squares(x, n);
        const size = kind == NORM_RMS ? sqrt(q / <f64>n + epsilon) : max(sqrt(q), epsilon);
        scale(to, x, n, 0, 0, <f32>(1 / size), weight, offset, bias);
      }
    }
  }
}
