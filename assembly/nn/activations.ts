// Activations of four numbers at a time. Coefficients are minimax in the relative error, found by scripts/fit-activations.mjs (iteratively
// reweighted least squares) and rounded to f32 one by one. Errors are those of test/nn/activations.test.ts, against f64, over all of f32.
//
// `zero` is 0 that no compiler knows, such as n >> 31 of a length n: constants are then values that stay where they are through a loop, and
// V8 does not make them anew at each use (`held` of simd.ts).

import { held } from '../simd';
import { ACT_GELU, ACT_GELU_NEW, ACT_NONE, ACT_QUICK_GELU, ACT_RELU, ACT_RELU2, ACT_SILU, ACT_TANH } from './job';

const LOG2E: f32 = reinterpret<f32>(0x3fb8aa3b); // 0x1.715476p+0
const LN2_HIGH: f32 = reinterpret<f32>(0x3f317200); // 0x1.62e4p-1: 15 bits, so that products with n are exact
const LN2_LOW: f32 = reinterpret<f32>(0x35bfbe8e); // 0x1.7f7d1cp-20
// e^r = 1 + r + r²·(C2 + r·(C3 + …)) on |r| ≤ ln 2 / 2; relative error of the exact polynomial 3.1e-9.
const C2: f32 = reinterpret<f32>(0x3efffffe); // 0x1.fffffcp-2
const C3: f32 = reinterpret<f32>(0x3e2aaa4a); // 0x1.555494p-3
const C4: f32 = reinterpret<f32>(0x3d2aac5f); // 0x1.5558bep-5
const C5: f32 = reinterpret<f32>(0x3c091c2b); // 0x1.123856p-7
const C6: f32 = reinterpret<f32>(0x3ab51e84); // 0x1.6a3d08p-10
// Adding 1.5·2^23 + 127 rounds to an integer n and leaves n + 127, the exponent field of 2^n, in the low bits.
const MAGIC: f32 = 12583039.0;
// Here n = −127, whose field is 0; and n = 128, whose field is that of Infinity.
const LOWEST: f32 = -88.02968;
const HIGHEST: f32 = 88.72284;

/** e^r − 1. */
@inline function minusOne(r: v128, zero: i32): v128 {
  let p = f32x4.add(f32x4.mul(held(C6, zero), r), held(C5, zero));
  p = f32x4.add(f32x4.mul(p, r), held(C4, zero));
  p = f32x4.add(f32x4.mul(p, r), held(C3, zero));
  p = f32x4.add(f32x4.mul(p, r), held(C2, zero));
  return f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r);
}

/** r = x − n·ln 2, where t is MAGIC + n: the product with the upper part of ln 2 and its difference to x are exact. */
@inline function rest(x: v128, t: v128, zero: i32): v128 {
  const n = f32x4.sub(t, held(MAGIC, zero));
  return f32x4.sub(f32x4.sub(x, f32x4.mul(n, held(LN2_HIGH, zero))), f32x4.mul(n, held(LN2_LOW, zero)));
}

/**
 * e^x to 1 ulp where the result is normal and below 2^127.5; 0 from −87.68 down, Infinity from 88.38 up, NaN at NaN. (exp.ts has one for
 * scores, faster, whose error grows with |x|.)
 */
@inline export function expx4(x: v128, zero: i32): v128 {
  x = f32x4.pmin(f32x4.pmax(x, held(LOWEST, zero)), held(HIGHEST, zero));
  const t = f32x4.add(f32x4.mul(x, held(LOG2E, zero)), held(MAGIC, zero));
  return f32x4.mul(f32x4.add(minusOne(rest(x, t, zero), zero), held(1, zero)), i32x4.shl(t, 23));
}

/** x·σ(y) = x/(1 + e^−y) for a y that grows with x; x is held where the quotient is 0, so that −Infinity gives −0. */
@inline function gated(x: v128, y: v128, zero: i32): v128 {
  return f32x4.div(f32x4.pmax(x, held(-1e30, zero)), f32x4.add(expx4(f32x4.neg(y), zero), held(1, zero)));
}

/** σ(x) = 1/(1 + e^−x) to 2.2 ulp where that is at least 2^−126; 0 from −88.38 down. */
@inline export function sigmoid(x: v128, zero: i32): v128 {
  const one = held(1, zero);
  return f32x4.div(one, f32x4.add(expx4(f32x4.neg(x), zero), one));
}

/** x·σ(x) to 2.3 ulp where that is at least 2^−119 in size; −0 from −88.38 down. */
@inline export function silu(x: v128, zero: i32): v128 {
  return gated(x, x, zero);
}

const QUICK: f32 = 1.702;

/** x·σ(1.702·x). As exact as y = 1.702·x is in f32: 2.3 ulp for x > 0, 2.3 ulp and |y|·2^−23 below. */
@inline export function quickGelu(x: v128, zero: i32): v128 {
  return gated(x, f32x4.mul(x, held(QUICK, zero)), zero);
}

const LINEAR: f32 = reinterpret<f32>(0x3fcc422a); // 0x1.988454p+0: 2·√(2/π)
const CUBIC: f32 = 0.0713548162726; // 0.044715 times that

/**
 * x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2, as x·σ(y) with y = 2·√(2/π)·(x + 0.044715·x³): the same, for (1 + tanh z)/2 = σ(2z), and
 * nothing cancels. 2.3 ulp for x > 0, 2.3 ulp and |y|·2^−22 below.
 */
@inline export function geluNew(x: v128, zero: i32): v128 {
  const inner = f32x4.add(f32x4.mul(f32x4.mul(x, x), held(CUBIC, zero)), held(LINEAR, zero));
  return gated(x, f32x4.mul(x, inner), zero);
}

// log2(1 − Φ(t)) = −1 + t·(G1 + t·(G2 + …)) on 0 ≤ t ≤ 5.6, Φ the normal distribution; relative error of 1 − Φ 2.6e-9 while that is above
// 1/1000, in all 2.6e-12 further out. Beyond, the polynomial goes on falling, faster than the logarithm.
const G1: f32 = reinterpret<f32>(0xbf935764); // -0x1.26aec8p+0
const G2: f32 = reinterpret<f32>(0xbeeb1ec8); // -0x1.d63d9p-2
const G3: f32 = reinterpret<f32>(0xbd56ceb5); // -0x1.ad9d6ap-5
const G4: f32 = reinterpret<f32>(0x3be38e02); // 0x1.c71c04p-8
const G5: f32 = reinterpret<f32>(0x36e6ef12); // 0x1.cdde24p-18
const G6: f32 = reinterpret<f32>(0xb9959efa); // -0x1.2b3df4p-12
const G7: f32 = reinterpret<f32>(0x38a53917); // 0x1.4a722ep-14
const G8: f32 = reinterpret<f32>(0xb7407a67); // -0x1.80f4cep-17
const G9: f32 = reinterpret<f32>(0x35759c4e); // 0x1.eb389cp-21
const G10: f32 = reinterpret<f32>(0xb306a20b); // -0x1.0d4416p-25
// There it is between −127.5 and −126.5, and its power 0.
const FAR: f32 = 11.1;
const LN2: f32 = reinterpret<f32>(0x3f317218); // 0x1.62e43p-1

/** |x| as far as there is a tail. */
@inline function sizeWithTail(x: v128, zero: i32): v128 {
  return f32x4.pmin(f32x4.abs(x), held(FAR, zero));
}

/**
 * x·Φ(x), as max(x, 0) − t·(1 − Φ(t)) with t = |x|, where nothing cancels: the formula with 1 + erf loses what is small. From −11.1 down 0.
 * To 3.3 ulp above −1, below it 4.5e-8 in absolute terms (an exact 1 + erf in f32: 8.3e-8). A quotient x·P(x²)/Q(x²) for Φ − 1/2 takes 32 operations, not 44, and is
 * off by 9e-7 at −5.4, since its last digits are those of 1/2.
 */
@inline export function gelu(x: v128, zero: i32): v128 {
  const t = sizeWithTail(x, zero), magic = held(MAGIC, zero);
  // Even and odd powers by themselves, a chain half as long: 2.7 ns a number for 3.1.
  const z = f32x4.mul(t, t);
  let even = f32x4.add(f32x4.mul(held(G10, zero), z), held(G8, zero));
  let odd = f32x4.add(f32x4.mul(held(G9, zero), z), held(G7, zero));
  even = f32x4.add(f32x4.mul(even, z), held(G6, zero));
  odd = f32x4.add(f32x4.mul(odd, z), held(G5, zero));
  even = f32x4.add(f32x4.mul(even, z), held(G4, zero));
  odd = f32x4.add(f32x4.mul(odd, z), held(G3, zero));
  even = f32x4.add(f32x4.mul(even, z), held(G2, zero));
  odd = f32x4.add(f32x4.mul(odd, z), held(G1, zero));
  even = f32x4.sub(f32x4.mul(even, z), held(1, zero));
  const y = f32x4.add(even, f32x4.mul(odd, t));
  const bits = f32x4.add(y, magic);
  const r = f32x4.mul(f32x4.sub(y, f32x4.sub(bits, magic)), held(LN2, zero));
  const tail = f32x4.mul(f32x4.add(minusOne(r, zero), held(1, zero)), i32x4.shl(bits, 23));
  return f32x4.sub(f32x4.pmax(x, held(0, zero)), f32x4.mul(t, tail));
}

// (1 − Φ(t))^(−1/16) = H0 + t·(H1 + …): the form of Hastings (Abramowitz and Stegun 7.1.28), fitted to t·(1 − Φ(t)) on 0 ≤ t ≤ 5.6, of which it is
// off by 1.9e-6 at most. It goes on to rise beyond.
const H0: f32 = reinterpret<f32>(0x3f85aabd); // 0x1.0b557ap+0
const H1: f32 = reinterpret<f32>(0x3d556616); // 0x1.aacc2cp-5
const H2: f32 = reinterpret<f32>(0x3cb3f35e); // 0x1.67e6bcp-6
const H3: f32 = reinterpret<f32>(0x3b6c5634); // 0x1.d8ac68p-9
const H4: f32 = reinterpret<f32>(0xb8ca4f2b); // -0x1.949e56p-14
const H5: f32 = reinterpret<f32>(0x38cae55a); // 0x1.95cab4p-14

/**
 * x·Φ(x) to 2.3e-6 in absolute terms, a step of 7 or 8 bits being thousands of times that: for what comes of products of integers, with 19
 * operations for 44. Of gelu, as there, max(x, 0) − t·(1 − Φ(t)).
 */
@inline export function geluNear(x: v128, zero: i32): v128 {
  const t = sizeWithTail(x, zero);
  let p = f32x4.add(f32x4.mul(held(H5, zero), t), held(H4, zero));
  p = f32x4.add(f32x4.mul(p, t), held(H3, zero));
  p = f32x4.add(f32x4.mul(p, t), held(H2, zero));
  p = f32x4.add(f32x4.mul(p, t), held(H1, zero));
  p = f32x4.add(f32x4.mul(p, t), held(H0, zero));
  p = f32x4.mul(p, p), p = f32x4.mul(p, p), p = f32x4.mul(p, p);
  return f32x4.sub(f32x4.pmax(x, held(0, zero)), f32x4.div(t, f32x4.mul(p, p)));
}

/**
 * tanh x to 2.5 ulp, as −d/(2 + d) with d = e^(−2|x|) − 1 and the sign put back; d is exact to some ulp also where it is small. Odd, and at most 1 in size.
 */
@inline export function tanh(x: v128, zero: i32): v128 {
  const y = f32x4.pmax(f32x4.mul(f32x4.abs(x), held(-2, zero)), held(LOWEST, zero));
  const t = f32x4.add(f32x4.mul(y, held(LOG2E, zero)), held(MAGIC, zero));
  const power = i32x4.shl(t, 23);
  const d = f32x4.add(f32x4.mul(minusOne(rest(y, t, zero), zero), power), f32x4.sub(power, held(1, zero)));
  const size = f32x4.abs(f32x4.div(d, f32x4.add(d, held(2, zero))));
  return v128.or(size, v128.and(x, held(-0.0, zero)));
}

/** max(x, 0); NaN stays. */
@inline export function relu(x: v128, zero: i32): v128 {
  return f32x4.pmax(x, held(0, zero));
}

/** max(x, 0)². */
@inline export function relu2(x: v128, zero: i32): v128 {
  const y = relu(x, zero);
  return f32x4.mul(y, y);
}

/** geluNear, which is no activation of its own outside of the kernels. */
export const GELU_NEAR = -1;

/** The activation of a number of blocks.txt; where `kind` is a literal nothing of the others is left. */
@inline export function activate(kind: i32, x: v128, zero: i32): v128 {
  if (kind == ACT_NONE) return x;
  if (kind == ACT_GELU) return gelu(x, zero);
  if (kind == GELU_NEAR) return geluNear(x, zero);
  if (kind == ACT_GELU_NEW) return geluNew(x, zero);
  if (kind == ACT_QUICK_GELU) return quickGelu(x, zero);
  if (kind == ACT_SILU) return silu(x, zero);
  if (kind == ACT_RELU) return relu(x, zero);
  if (kind == ACT_RELU2) return relu2(x, zero);
  if (kind == ACT_TANH) return tanh(x, zero);
  return sigmoid(x, zero);
}
