// exp2 and tanh in f32: scalar forms with the derivation, SIMD twins with the same names and, lane by lane, the same bits.
// Polynomials: minimax by iteratively reweighted least squares (Lawson), coefficients rounded to f32.

import { SCORES_ROW } from './job';
import { held, sumLanes } from './simd';

// 2^f = 1 + f·(E1 + f·(E2 + …)) on [−1/2, 1/2]; relative error of the exact polynomial 2.0e-9. All coefficients, the 1 included, are
// multiplied by 2^27, which the scale below takes back.
const E0: f32 = 134217728.0; // 2^27
const E1: f32 = reinterpret<f32>(0x4cb17218); // 0x1.62e43p-1 · 2^27
const E2: f32 = reinterpret<f32>(0x4bf5fdee); // 0x1.ebfbdcp-3 · 2^27
const E3: f32 = reinterpret<f32>(0x4ae35774); // 0x1.c6aee8p-5 · 2^27
const E4: f32 = reinterpret<f32>(0x499d96a6); // 0x1.3b2d4cp-7 · 2^27
const E5: f32 = reinterpret<f32>(0x482f9f29); // 0x1.5f3e52p-10 · 2^27
const E6: f32 = reinterpret<f32>(0x46a0fdde); // 0x1.41fbbcp-13 · 2^27

// Adding 1.5·2^23 + 100 rounds to an integer n (ties to even) and leaves n + 100, the exponent field of 2^(n − 27), in the low bits.
export const MAGIC: f32 = 12583012.0;
// At −99.5 and below the result is exactly 0: the field of n = −100 is 0.
export const LOWEST: f32 = -100.0;

/**
 * 2^x for x ≤ 128; 1.2 ulp (exhaustive on [−1/2, 1/2]); exactly 1 at 0, exactly 0 from −99.5 down, NaN at NaN.
 *
 * x = n + f with n = round(x), f in [−1/2, 1/2], exact because x and n are close; 2^x = 2^n · 2^f. The scale is an exponent field; it is
 * multiplied, not added to the bits, so that a NaN stays one. Zero comes at 2^−100 and not at 2^−126 so that a probability times a value
 * is no subnormal: those cost a hundred cycles each (ALiBi, whose far keys all end there: 17 % over no bias, against 3 %).
 */
@inline export function exp2(x: f32): f32 {
  x = x < LOWEST ? LOWEST : x;
  const t = x + MAGIC;
  const f = x - (t - MAGIC);
  let p = E6 * f + E5;
  p = p * f + E4;
  p = p * f + E3;
  p = p * f + E2;
  p = p * f + E1;
  p = p * f + E0;
  return p * reinterpret<f32>(reinterpret<i32>(t) << 23);
}

@inline function exp2Of(
  x: v128, lowest: v128, magic: v128, e0: v128, e1: v128, e2: v128, e3: v128, e4: v128, e5: v128, e6: v128,
): v128 {
  return exp2By(6, x, lowest, magic, e0, e1, e2, e3, e4, e5, e6);
}

/** 2^x by a polynomial of `degree`, a literal: 6, or 4, which leaves e5 and e6 out (exp16.ts). */
@inline export function exp2By(
  degree: i32, x: v128, lowest: v128, magic: v128, e0: v128, e1: v128, e2: v128, e3: v128, e4: v128, e5: v128, e6: v128,
): v128 {
  x = f32x4.pmax(x, lowest);
  const t = f32x4.add(x, magic);
  const f = f32x4.sub(x, f32x4.sub(t, magic));
  let p = degree == 6 ? f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(e6, f), e5), f), e4) : e4;
  p = f32x4.add(f32x4.mul(p, f), e3);
  p = f32x4.add(f32x4.mul(p, f), e2);
  p = f32x4.add(f32x4.mul(p, f), e1);
  p = f32x4.add(f32x4.mul(p, f), e0);
  return f32x4.mul(p, i32x4.shl(t, 23));
}

/** SIMD twin of exp2. Always mul and add, never relaxed: 1 at 0 must hold whatever the host fuses. */
@inline export function exp2x4(x: v128): v128 {
  return exp2Of(
    x, f32x4.splat(LOWEST), f32x4.splat(MAGIC), f32x4.splat(E0), f32x4.splat(E1), f32x4.splat(E2), f32x4.splat(E3), f32x4.splat(E4),
    f32x4.splat(E5), f32x4.splat(E6),
  );
}

export const LOG2E: f32 = reinterpret<f32>(0x3fb8aa3b); // 0x1.715476p+0

/**
 * e^x for x ≤ 0, as 2^(x·log2 e): exactly 1 at 0, exactly 0 below −69, relative error 1.2 ulp + |x|·2^−24. Scores stay in natural units
 * until here, where m has been taken off: units of log 2 throughout would save this product, and round every bias a second time.
 */
@inline export function exp(x: f32): f32 {
  return exp2(x * LOG2E);
}

/** SIMD twin of exp. */
@inline export function expx4(x: v128): v128 {
  return exp2x4(f32x4.mul(x, f32x4.splat(LOG2E)));
}

/**
 * s ← p = exp(s − m) for `live` rows of n scores (a multiple of 8), SCORES_ROW bytes apart; m of each row at `state`, where the sum of its p
 * comes. Loops end with their condition: only from those does V8 move constants out (Node 20).
 */
export function exponentials(s: usize, n: i32, state: usize, live: i32): void {
  const zero = n >> 31;
  const log2e = held(LOG2E, zero), lowest = held(LOWEST, zero), magic = held(MAGIC, zero);
  const e0 = held(E0, zero), e1 = held(E1, zero), e2 = held(E2, zero), e3 = held(E3, zero);
  const e4 = held(E4, zero), e5 = held(E5, zero), e6 = held(E6, zero);
  for (; live > 0; live--, s += SCORES_ROW, state += 4) {
    const m = v128.load32_splat(state);
    let sum = f32x4.splat(0);
    let at = s;
    const end = s + (<usize>n << 2);
    do {
      const x = f32x4.mul(f32x4.sub(v128.load(at), m), log2e);
      const y = f32x4.mul(f32x4.sub(v128.load(at, 16), m), log2e);
      const p = exp2Of(x, lowest, magic, e0, e1, e2, e3, e4, e5, e6);
      const r = exp2Of(y, lowest, magic, e0, e1, e2, e3, e4, e5, e6);
      sum = f32x4.add(f32x4.add(sum, p), r);
      v128.store(at, p);
      v128.store(at, r, 16);
      at += 32;
    } while (at < end);
    store<f32>(state, sumLanes(sum));
  }
}

/** The same, with −0 where the score is −Infinity. */
export function markedExponentials(s: usize, n: i32, state: usize, live: i32): void {
  const zero = n >> 31;
  const log2e = held(LOG2E, zero), lowest = held(LOWEST, zero), magic = held(MAGIC, zero);
  const e0 = held(E0, zero), e1 = held(E1, zero), e2 = held(E2, zero), e3 = held(E3, zero);
  const e4 = held(E4, zero), e5 = held(E5, zero), e6 = held(E6, zero);
  const hidden = held(-Infinity, zero), mark = held(-0.0, zero);
  for (; live > 0; live--, s += SCORES_ROW, state += 4) {
    const m = v128.load32_splat(state);
    let sum = f32x4.splat(0);
    let at = s;
    const end = s + (<usize>n << 2);
    do {
      const x = v128.load(at);
      const p = exp2Of(f32x4.mul(f32x4.sub(x, m), log2e), lowest, magic, e0, e1, e2, e3, e4, e5, e6);
      sum = f32x4.add(sum, p);
      v128.store(at, v128.or(p, v128.and(f32x4.eq(x, hidden), mark)));
      at += 16;
    } while (at < end);
    store<f32>(state, sumLanes(sum));
  }
}

/**
 * s ← σ(s) = 1/(1 + e^−s) for n scores; exactly 0 at −Infinity, which hides a key, and NaN at NaN. e^−s is held at 2^126: below −87 the
 * result is 2^−126 and not less, nothing beside the sums that it goes into. Relative error 2 ulp + |s|·2^−24.
 */
export function sigmoid(s: usize, n: i32): void {
  const zero = n >> 31;
  const log2e = held(-LOG2E, zero), lowest = held(LOWEST, zero), magic = held(MAGIC, zero);
  const e0 = held(E0, zero), e1 = held(E1, zero), e2 = held(E2, zero), e3 = held(E3, zero);
  const e4 = held(E4, zero), e5 = held(E5, zero), e6 = held(E6, zero);
  const one = held(1, zero), most = held(126, zero), hidden = held(-Infinity, zero);
  const end = s + (<usize>n << 2);
  do {
    const x = v128.load(s);
    const e = exp2Of(f32x4.pmin(f32x4.mul(x, log2e), most), lowest, magic, e0, e1, e2, e3, e4, e5, e6);
    v128.store(s, v128.andnot(f32x4.div(one, f32x4.add(one, e)), f32x4.eq(x, hidden)));
    s += 16;
  } while (s < end);
}

// tanh(x) = x + x·z·(T1 + z·(T2 + …)), z = x², on |x| ≤ 0.625; relative error of the exact polynomial 4.4e-9.
const T1: f32 = reinterpret<f32>(0xbeaaaa99); // -0x1.555532p-2
const T2: f32 = reinterpret<f32>(0x3e088393); // 0x1.110726p-3
const T3: f32 = reinterpret<f32>(0xbd5c1e2d); // -0x1.b83c5ap-5
const T4: f32 = reinterpret<f32>(0x3ca9134e); // 0x1.52269cp-6
const T5: f32 = reinterpret<f32>(0xbbbaf0e7); // -0x1.75e1cep-8
const TWO_LOG2E: f32 = reinterpret<f32>(0x4038aa3b); // 0x1.715476p+1

/**
 * s ← cap·tanh(s) for n scores; tanh to 1.5 ulp. Small |x|: the odd polynomial, which keeps relative accuracy near 0. Else
 * 1 − 2/(e^{2|x|} + 1) with the sign put back; |x| is held below 15, where the result is already 1.
 */
export function softcap(s: usize, n: i32, cap: f32): void {
  const zero = n >> 31;
  const lowest = held(LOWEST, zero), magic = held(MAGIC, zero);
  const e0 = held(E0, zero), e1 = held(E1, zero), e2 = held(E2, zero), e3 = held(E3, zero);
  const e4 = held(E4, zero), e5 = held(E5, zero), e6 = held(E6, zero);
  const t1 = held(T1, zero), t2 = held(T2, zero), t3 = held(T3, zero), t4 = held(T4, zero), t5 = held(T5, zero);
  const one = held(1, zero), two = held(2, zero), far = held(15, zero), near = held(0.625, zero);
  const twoLog2e = held(TWO_LOG2E, zero), sign = held(-0.0, zero);
  const end = s + (<usize>n << 2);
  do {
    const x = v128.load(s);
    const z = f32x4.mul(x, x);
    let p = f32x4.add(f32x4.mul(t5, z), t4);
    p = f32x4.add(f32x4.mul(p, z), t3);
    p = f32x4.add(f32x4.mul(p, z), t2);
    p = f32x4.add(f32x4.mul(p, z), t1);
    const small = f32x4.add(x, f32x4.mul(f32x4.mul(p, z), x));
    const size = f32x4.abs(x);
    const e = exp2Of(f32x4.mul(f32x4.pmin(size, far), twoLog2e), lowest, magic, e0, e1, e2, e3, e4, e5, e6);
    const large = f32x4.sub(one, f32x4.div(two, f32x4.add(e, one)));
    const tanh = v128.bitselect(small, v128.or(large, v128.and(x, sign)), f32x4.lt(size, near));
    v128.store(s, f32x4.mul(f32x4.splat(cap), tanh));
    s += 16;
  } while (s < end);
}
