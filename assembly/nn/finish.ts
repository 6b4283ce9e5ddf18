// What follows the sums of a linear layer: bias, activation, gate, residual.

import { canonical } from '../simd';
import { activate, GELU_NEAR } from './activations';
import {
  ACT_GELU, ACT_GELU_NEW, ACT_NONE, ACT_QUICK_GELU, ACT_RELU, ACT_RELU2, ACT_SIGMOID, ACT_SILU, ACT_TANH, LINEAR_ACTIVATION, LINEAR_BIAS, LINEAR_GATED, LINEAR_N,
  LINEAR_OUT, LINEAR_OUT_ROW, LINEAR_RESIDUAL, LINEAR_RESIDUAL_ROW, LINEAR_TYPE, PANEL, WEIGHTS_I8,
} from './job';

/** Whether a lane is NaN, or two of them infinite with unlike signs, which is as rare. */
@inline function anyNaN(a: v128, b: v128): bool {
  const sum = f32x4.add(a, b);
  return v128.any_true(f32x4.ne(sum, sum));
}

/** Adds the bias of a panel to its sums. */
@inline function addBias(s: usize, rows: i32, bias: usize): void {
  const a = v128.load(bias), b = v128.load(bias, 16);
  for (; rows > 0; rows--, s += 32) {
    v128.store(s, f32x4.add(v128.load(s), a));
    v128.store(s, f32x4.add(v128.load(s, 16), b), 16);
  }
}

/** s ← act(s) for n numbers, a multiple of 8; `kind` is a literal. Two at a time share their constants: gelu takes 1.7 ns a number for 2.2. */
@inline function map(s: usize, n: i32, kind: i32): void {
  const zero = n >> 31;
  const end = s + (<usize>n << 2);
  do {
    const a = v128.load(s), b = v128.load(s, 16);
    v128.store(s, activate(kind, a, zero));
    v128.store(s, activate(kind, b, zero), 16);
    s += 32;
  } while (s < end);
}

/** s ← act(s) for n numbers, a multiple of 8, 8 at least. */
export function activateAll(s: usize, n: i32, kind: i32): void {
  if (kind == ACT_GELU) map(s, n, ACT_GELU);
  else if (kind == GELU_NEAR) map(s, n, GELU_NEAR);
  else if (kind == ACT_GELU_NEW) map(s, n, ACT_GELU_NEW);
  else if (kind == ACT_QUICK_GELU) map(s, n, ACT_QUICK_GELU);
  else if (kind == ACT_SILU) map(s, n, ACT_SILU);
  else if (kind == ACT_RELU) map(s, n, ACT_RELU);
  else if (kind == ACT_RELU2) map(s, n, ACT_RELU2);
  else if (kind == ACT_TANH) map(s, n, ACT_TANH);
  else if (kind == ACT_SIGMOID) map(s, n, ACT_SIGMOID);
}

/** From the sums of a panel, and with a gate those of the next one, to y, from channel n on. */
export function finishPanel(job: usize, s: usize, up: usize, rows: i32, m: i32, n: i32): void {
  const bias = load<usize>(job, LINEAR_BIAS);
  const activation = load<i32>(job, LINEAR_ACTIVATION), gated = load<i32>(job, LINEAR_GATED);
  if (bias) {
    addBias(s, rows, bias + (<usize>n << 2 + gated));
    if (gated) addBias(up, rows, bias + (<usize>n << 3) + 32);
  }
  if (activation != ACT_NONE) activateAll(s, rows << 3, activation == ACT_GELU && load<i32>(job, LINEAR_TYPE) >= WEIGHTS_I8 ? GELU_NEAR : activation);
  if (gated) {
    for (let at: usize = 0; at < <usize>rows << 5; at += 16) v128.store(s + at, f32x4.mul(v128.load(s + at), v128.load(up + at)));
  }
  const stride = <usize>load<i32>(job, LINEAR_OUT_ROW), added = <usize>load<i32>(job, LINEAR_RESIDUAL_ROW);
  let to = load<usize>(job, LINEAR_OUT) + <usize>m * stride + (<usize>n << 2);
  let residual = load<usize>(job, LINEAR_RESIDUAL);
  if (residual) residual += <usize>m * added + (<usize>n << 2);
  const width = load<i32>(job, LINEAR_N) - n;
  if (width >= PANEL) {
    for (; rows > 0; rows--, s += 32, to += stride, residual += added) {
      let a = v128.load(s), b = v128.load(s, 16);
      if (residual) a = f32x4.add(a, v128.load(residual)), b = f32x4.add(b, v128.load(residual, 16));
      if (anyNaN(a, b)) a = canonical(a), b = canonical(b);
      v128.store(to, a), v128.store(to, b, 16);
    }
  } else {
    for (; rows > 0; rows--, s += 32, to += stride, residual += added) {
      for (let at: usize = 0; at < <usize>width << 2; at += 4) {
        let a = load<f32>(s + at);
        if (residual) a += load<f32>(residual + at);
        store<f32>(to + at, a == a ? a : f32.NaN);
      }
    }
  }
}
