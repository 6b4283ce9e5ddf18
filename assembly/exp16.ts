// The exponentials of precision int16: those of exp.ts with two steps less, times the scales of the values, and the sums that weights16.ts needs.

import { exp2By, LOG2E, LOWEST, MAGIC } from './exp';
import { R_SCALE, R_TOP, R_TOTAL, SCORES_ROW } from './job';
import { held, maxLanes, sumLanes } from './simd';

// 2^f = 1 + f·(E1 + f·(E2 + …)) on [−1/2, 1/2], exactly 1 at 0; relative error of the exact polynomial 2.8e-6 (minimax as in exp.ts), a tenth
// of what rounding to 15 bits takes. All coefficients are multiplied by 2^27, which the scale takes back.
const E0: f32 = 134217728.0; // 2^27
const E1: f32 = reinterpret<f32>(0x4cb17096); // 0x1.62e12cp-1 · 2^27
const E2: f32 = reinterpret<f32>(0x4bf601bc); // 0x1.ec0378p-3 · 2^27
const E3: f32 = reinterpret<f32>(0x4ae4fe23); // 0x1.c9fc46p-5 · 2^27
const E4: f32 = reinterpret<f32>(0x499d0166); // 0x1.3a02ccp-7 · 2^27

// Attempts that lost: two vectors a turn (V8 does that itself; as written the constants spill, 2 % of a call more), and the polynomial by halves, whose
// chain is shorter by six cycles and which has a product more (nothing under a causal mask, 1 to 2 % less without).

/**
 * p = exp(s − m) for `live` rows of n scores (a multiple of 8), SCORES_ROW bytes apart; m of each row at R_SCALE of its group, where the sum of
 * its p comes. s becomes t = p·scale or, if it is to stay `whole`, a literal, p: −0 where the score is −Infinity and `mark` is −0. The largest t
 * and the sum of these go to R_TOP and R_TOTAL.
 */
@inline function exponentialsOf(s: usize, n: i32, scales: usize, group: usize, live: i32, whole: bool, mark: f32): void {
  const zero = n >> 31;
  const log2e = held(LOG2E, zero), lowest = held(LOWEST, zero), magic = held(MAGIC, zero);
  const e0 = held(E0, zero), e1 = held(E1, zero), e2 = held(E2, zero), e3 = held(E3, zero), e4 = held(E4, zero);
  for (; live > 0; live--, s += SCORES_ROW, group += 4) {
    const m = v128.load32_splat(group, R_SCALE);
    let sum = f32x4.splat(0), total = sum, top = sum;
    let at = s, scale = scales;
    const end = s + (<usize>n << 2);
    do {
      const x = v128.load(at);
      let p = exp2By(4, f32x4.mul(f32x4.sub(x, m), log2e), lowest, magic, e0, e1, e2, e3, e4, e4, e4);
      sum = f32x4.add(sum, p);
      const t = f32x4.mul(p, v128.load(scale));
      if (whole) p = v128.or(p, v128.and(f32x4.eq(x, f32x4.splat(-Infinity)), f32x4.splat(mark)));
      v128.store(at, whole ? p : t);
      total = f32x4.add(total, t);
      top = f32x4.pmax(top, t);
      at += 16, scale += 16;
    } while (at < end);
    store<f32>(group, sumLanes(sum), R_SCALE);
    store<f32>(group, sumLanes(total), R_TOTAL);
    store<f32>(group, maxLanes(top), R_TOP);
  }
}

/** s ← t. */
export function exponentials16(s: usize, n: i32, scales: usize, group: usize, live: i32): void {
  exponentialsOf(s, n, scales, group, live, false, 0);
}

/** s ← p, of which those at scores of −Infinity are −0 if `mark` is. */
export function wholeExponentials16(s: usize, n: i32, scales: usize, group: usize, live: i32, mark: f32): void {
  exponentialsOf(s, n, scales, group, live, true, mark);
}
