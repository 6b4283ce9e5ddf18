// The exponentials of precision int16: those of exp.ts with a step less, and the sums that weights16.ts needs of them.

import { exp2By, LOG2E, LOWEST, MAGIC } from './exp';
import { R_SCALE, R_TOP, R_TOTAL, SCORES_ROW } from './job';
import { held, maxLanes, sumLanes } from './simd';

// 2^f = 1 + f·(E1 + f·(E2 + …)) on [−1/2, 1/2], exactly 1 at 0; relative error of the exact polynomial 9.2e-8 (minimax as in exp.ts), a three
// hundredth of what rounding to 15 bits takes. All coefficients are multiplied by 2^27, which the scale takes back.
const E0: f32 = 134217728.0; // 2^27
const E1: f32 = reinterpret<f32>(0x4cb17215); // 0x1.62e42ap-1 · 2^27
const E2: f32 = reinterpret<f32>(0x4bf5fcde); // 0x1.ebf9bcp-3 · 2^27
const E3: f32 = reinterpret<f32>(0x4ae35ba9); // 0x1.c6b752p-5 · 2^27
const E4: f32 = reinterpret<f32>(0x499e7544); // 0x1.3cea88p-7 · 2^27
const E5: f32 = reinterpret<f32>(0x482ddd0a); // 0x1.5bba14p-10 · 2^27

/** `mark` is a literal: with it, −0 where the score is −Infinity. */
@inline function exponentialsOf(s: usize, n: i32, scales: usize, group: usize, live: i32, mark: bool): void {
  const zero = n >> 31;
  const log2e = held(LOG2E, zero), lowest = held(LOWEST, zero), magic = held(MAGIC, zero);
  const e0 = held(E0, zero), e1 = held(E1, zero), e2 = held(E2, zero), e3 = held(E3, zero), e4 = held(E4, zero), e5 = held(E5, zero);
  for (; live > 0; live--, s += SCORES_ROW, group += 4) {
    const m = v128.load32_splat(group, R_SCALE);
    let sum = f32x4.splat(0), total = sum, top = sum;
    let at = s, scale = scales;
    const end = s + (<usize>n << 2);
    do {
      const x = v128.load(at);
      let p = exp2By(5, f32x4.mul(f32x4.sub(x, m), log2e), lowest, magic, e0, e1, e2, e3, e4, e5, e5);
      sum = f32x4.add(sum, p);
      if (mark) p = v128.or(p, v128.and(f32x4.eq(x, f32x4.splat(-Infinity)), f32x4.splat(-0.0)));
      v128.store(at, p);
      const t = f32x4.mul(p, v128.load(scale));
      total = f32x4.add(total, t);
      top = f32x4.pmax(top, t);
      at += 16, scale += 16;
    } while (at < end);
    store<f32>(group, sumLanes(sum), R_SCALE);
    store<f32>(group, sumLanes(total), R_TOTAL);
    store<f32>(group, maxLanes(top), R_TOP);
  }
}

/**
 * s ← p = exp(s − m) for `live` rows of n scores (a multiple of 8), SCORES_ROW bytes apart; m of each row at R_SCALE of its group, where the sum
 * of its p comes. The largest p·scale and the sum of these go to R_TOP and R_TOTAL.
 */
export function exponentials16(s: usize, n: i32, scales: usize, group: usize, live: i32): void {
  exponentialsOf(s, n, scales, group, live, false);
}

/** The same, with −0 where the score is −Infinity. */
export function markedExponentials16(s: usize, n: i32, scales: usize, group: usize, live: i32): void {
  exponentialsOf(s, n, scales, group, live, true);
}
