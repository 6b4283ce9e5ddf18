// Sums of products in f32: s(m, n) = Σ_k x(m, k)·w(n, k), k ascending from 0, one accumulator for each sum, so that no tile shows in the bits: a
// row of a prompt is the same whether it runs alone or among others. Weights lie in panels [K][8] (blocks.txt); f16 and bf16 are converted, exactly,
// as they are read.

import { BF16, F16, F32 } from '../job';
import { HALF_MASK, HALF_SCALE, halfToFloatOf, loadRow } from '../convert';
import { held } from '../simd';

/** a·b + c, rounded twice, or once with `fused`, a literal, where the host fuses. */
@inline function madd(a: v128, b: v128, c: v128, fused: bool): v128 {
  if (ASC_FEATURE_RELAXED_SIMD && fused) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Four rows of n numbers, `rows` of which there are, as [n][4]. */
export function packRows(to: usize, from: usize, row: usize, n: i32, rows: i32): void {
  const x0 = from, x1 = rows > 1 ? x0 + row : x0, x2 = rows > 2 ? x1 + row : x0, x3 = rows > 3 ? x2 + row : x0;
  let at: usize = 0;
  for (; n >= 4; n -= 4, at += 16, to += 64) {
    const a = v128.load(x0 + at), b = v128.load(x1 + at), c = v128.load(x2 + at), d = v128.load(x3 + at);
    const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5), AB = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5), CD = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f32>(ab, cd, 0, 1, 4, 5));
    v128.store(to, v128.shuffle<f32>(ab, cd, 2, 3, 6, 7), 16);
    v128.store(to, v128.shuffle<f32>(AB, CD, 0, 1, 4, 5), 32);
    v128.store(to, v128.shuffle<f32>(AB, CD, 2, 3, 6, 7), 48);
  }
  for (; n > 0; n--, at += 4, to += 16) {
    store<f32>(to, load<f32>(x0 + at)), store<f32>(to, load<f32>(x1 + at), 4);
    store<f32>(to, load<f32>(x2 + at), 8), store<f32>(to, load<f32>(x3 + at), 12);
  }
}

/** A panel of f16 or bf16 as f32, exactly. */
export function widenPanel(to: usize, from: usize, K: i32, type: i32): void {
  loadRow(to, from, K << 3, 2, type);
}

/**
 * Four rows × eight channels, for `groups` groups in turn against one panel. x: [groups][K][4], panel: [K][8], s: [groups][4][8]. The tile of
 * ../scores.ts, which says why it is as it is.
 */
@inline function tile4x8(x: usize, panel: usize, s: usize, K: i32, groups: i32, fused: bool): void {
  for (; groups > 0; groups--, x += <usize>K << 4, s += 128) {
    // repeat $r 4
    let s$ra = f32x4.splat(0), s$rb = f32x4.splat(0);
    // end
    let q = x, w = panel, a: v128, b: v128, c: v128;
    for (let left = K; ; left -= 8, q += 128, w += 256) {
      // repeat $n 8
      a = v128.load(w, 32 * $n), b = v128.load(w, 32 * $n + 16);
      // repeat $r 4
      c = v128.load32_splat(q + (16 * $n + 4 * $r));
      s$ra = madd(c, a, s$ra, fused), s$rb = madd(c, b, s$rb, fused);
      // end
      if (left == $n + 1) break;
      // end
    }
    // repeat $r 4
    v128.store(s, s$ra, 32 * $r), v128.store(s, s$rb, 32 * $r + 16);
    // end
  }
}

/** The sums of `groups` groups of four rows against one panel of f32. */
export function floats4x8(x: usize, panel: usize, s: usize, K: i32, groups: i32, fused: bool): void {
  if (ASC_FEATURE_RELAXED_SIMD && fused) tile4x8(x, panel, s, K, groups, true);
  else tile4x8(x, panel, s, K, groups, false);
}

/** Eight numbers of a panel of f32 or bf16 as f32: the first and the last four. */
@inline function low(at: usize, type: i32): v128 {
  return type == F32 ? v128.load(at) : v128.shuffle<i16>(i16x8.splat(0), v128.load(at), 0, 8, 1, 9, 2, 10, 3, 11);
}

@inline function high(at: usize, type: i32): v128 {
  return type == F32 ? v128.load(at, 16) : v128.shuffle<i16>(i16x8.splat(0), v128.load(at), 4, 12, 5, 13, 6, 14, 7, 15);
}

/**
 * One row × 8 channels of f32 or bf16: x: [K], s: [8]. One panel at a time, which memory gives 1.4 times as fast as four side by side (EPYC, 576 →
 * 49152 f32: 4.2 ms for 6.4; with bf16 3.0 for 4.3, with i8 1.1 for 2.8). From the second cache two panels at a time take two thirds of the time,
 * where a matrix lies that is met again before any other is; no model has such.
 */
@inline function row1x8(x: usize, panel: usize, s: usize, K: i32, type: i32): void {
  let a = f32x4.splat(0), b = f32x4.splat(0);
  const size: usize = type == F32 ? 32 : 16;
  for (const end = panel + <usize>K * size; panel < end; panel += size, x += 4) {
    const c = v128.load32_splat(x);
    a = madd(c, low(panel, type), a, false), b = madd(c, high(panel, type), b, false);
  }
  v128.store(s, a), v128.store(s, b, 16);
}

/**
 * The same of f16. What conversion needs stays in registers (`held` of ../simd.ts). Infinity and NaN take as many instructions as all
 * other numbers, so the first pass does without (`exact` false, a literal) and says whether it met one: 0xf800 is the exponent of these without the
 * sign.
 */
@inline function halves1x8(x: usize, panel: usize, s: usize, K: i32, exact: bool): bool {
  const zero = K >> 31;
  const mask = i32x4.splat(HALF_MASK + zero);
  const scale = held(HALF_SCALE, zero), most = held(65536, zero), infinity = held(Infinity, zero);
  let size = i16x8.splat(0);
  let sa = f32x4.splat(0), sb = sa;
  for (const end = panel + (<usize>K << 4); panel < end; panel += 16, x += 4) {
    const c = v128.load32_splat(x), raw = v128.load(panel);
    const a = i32x4.extend_low_i16x8_s(raw), b = i32x4.extend_high_i16x8_s(raw);
    if (!exact) size = i16x8.max_u(size, i16x8.add(raw, raw));
    sa = madd(c, exact ? halfToFloatOf(a, mask, scale, most, infinity) : finiteHalf(a, mask, scale), sa, false);
    sb = madd(c, exact ? halfToFloatOf(b, mask, scale, most, infinity) : finiteHalf(b, mask, scale), sb, false);
  }
  v128.store(s, sa), v128.store(s, sb, 16);
  return exact || !v128.any_true(i16x8.ge_u(size, i16x8.splat(<i16>0xf800)));
}

/** A finite half, sign-extended, as f32: see ../convert.ts. */
@inline function finiteHalf(h: v128, mask: v128, scale: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shl(h, 13), mask), scale);
}

function finiteHalves1x8(x: usize, panel: usize, s: usize, K: i32): bool {
  return halves1x8(x, panel, s, K, false);
}

function anyHalves1x8(x: usize, panel: usize, s: usize, K: i32): void {
  halves1x8(x, panel, s, K, true);
}

/**
 * The sums of one row against a panel of a type. s: [8]. Nothing is fused here: a fused sum is there after four cycles, one that is added after
 * three, and these two sums are what a step waits for (5.2 ms for 4.1).
 */
export function floats1x8(x: usize, panel: usize, s: usize, K: i32, type: i32): void {
  if (type == BF16) row1x8(x, panel, s, K, BF16);
  else if (type == F32) row1x8(x, panel, s, K, F32);
  else if (!finiteHalves1x8(x, panel, s, K)) anyHalves1x8(x, panel, s, K);
}
