// Rows of x as integers, one scale for each row. With a = max(x, 0), b = max(−x, 0) of the row, h half the range of its numbers, `top` half that of
// its integers:
//
//   x̂ = round(x · (top/h)), ties to even     x ≈ x̂ · s,  s = h/top
//
// For weights of i8 the range is what the row spans, h = (a + b)/2, and top is 63.5 less a little (SEVENS): from the least of its integers to the
// largest it is 127 at most. With z = round(b · (top/h)) added, the size of the least, they are 0 … 127, seven bits without a sign, the operand of
// the relaxed dot that never overflows. A row of numbers of both signs alike has the steps that ±63 would give it, one of a single sign half these.
// For weights of i4, which are that operand themselves, h = max(a, b), top is 127 and nothing is added.
//
// A row whose largest size is below 2^−100, where top/h nears the end of f32, is 0, with scale 0. A row that is not finite is 0 with scale NaN: NaN in
// every output of that row, and in no other.
//
// Where there is no relaxed dot, products are those of 16 bits, and so are the integers, without z: x̂ does not depend on it.
//
//   bytes    [groups][K'/4][4 rows][4]    one row: [K']
//   shorts   [groups][K'/2][4 rows][2]    one row: [K']
//
// K' is K rounded up to 4, or with i4 to 32; what is beyond K is 0 (z with i8, where the weights are 0).

import { held } from '../simd';

/** 1.5·2^23: x + MAGIC has round(x), ties to even, in its low bits. */
export const MAGIC: f32 = 12582912;
/** The bits of 2^−100 and of Infinity: those of sizes compare as integers, and NaN is more than Infinity. */
export const LEAST: i32 = 0x0d800000;
export const INFINITE: i32 = 0x7f800000;
/**
 * 63.5 − 2^−14. Rounding of h, top/h and products moves a·(top/h) + b·(top/h), which is 2·top, by less than 127·3·2^−24 < 2^−13, so that it stays
 * below 127; of two numbers whose sum is below 127 no more than one is rounded up by a half, and their integers come to 127 at most.
 */
const SEVENS: f32 = 63.49993896484375;
/** The integers of i4's rows are of either sign. */
const EIGHTS: f32 = 127;

/** Bits of the largest size among n floats. */
@inline export function sizeOfRow(row: usize, n: i32): i32 {
  let m = i32x4.splat(0), o = m;
  for (; n >= 8; n -= 8, row += 32) {
    m = i32x4.max_s(m, f32x4.abs(v128.load(row)));
    o = i32x4.max_s(o, f32x4.abs(v128.load(row, 16)));
  }
  let most = largestOf(i32x4.max_s(m, o));
  for (; n > 0; n--, row += 4) most = max(most, load<i32>(row) & 0x7fffffff);
  return most;
}

/** The largest lane. */
@inline function largestOf(m: v128): i32 {
  m = i32x4.max_s(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1));
  m = i32x4.max_s(m, v128.shuffle<i32>(m, m, 1, 0, 3, 2));
  return i32x4.extract_lane(m, 0);
}

/**
 * Bits of a in the low half, of b in the high half. Among bits with a sign, those of numbers above 0 are the largest, in their order; among bits
 * without, those of numbers below 0, in the order of their sizes. Either half may be NaN.
 */
@inline function rangeOfRow(row: usize, n: i32): u64 {
  let m = i32x4.splat(0), o = m;
  for (; n >= 4; n -= 4, row += 16) {
    const x = v128.load(row);
    m = i32x4.max_s(m, x), o = i32x4.max_u(o, x);
  }
  if (n > 0) {
    const x = ending(row, n);
    m = i32x4.max_s(m, x), o = i32x4.max_u(o, x);
  }
  // Lanes without a number below 0 have one above, or 0.
  const below = v128.andnot(o, i32x4.splat(0x80000000));
  const least = largestOf(v128.and(below, i32x4.shr_s(o, 31)));
  return <u64>largestOf(m) | <u64>least << 32;
}

/** The largest of both. */
@inline function sizeOf(range: u64): i32 {
  return max(<i32>range, <i32>(range >> 32));
}

/** h. */
@inline function halfOf(range: u64, sevens: bool): f32 {
  if (!sevens) return reinterpret<f32>(sizeOf(range));
  return 0.5 * reinterpret<f32>(<i32>range) + 0.5 * reinterpret<f32>(<i32>(range >> 32));
}

/** Whether there is no number to speak of in a row whose largest size this is, or one that is not finite. */
@inline function isDead(size: i32): bool {
  return size < LEAST || size >= INFINITE;
}

/** s. */
@inline function scaleOf(size: i32, half: f32, top: f32): f32 {
  return size >= INFINITE ? f32.NaN : size < LEAST ? 0 : half / top;
}

/** Four numbers as integers. */
@inline function rounded(x: v128, c: v128, magic: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(x, c), magic), magic);
}

/** Up to three numbers at the end of a row; zeros after them. */
@inline function ending(at: usize, n: i32): v128 {
  let x = v128.load32_zero(at);
  if (n > 1) x = v128.load32_lane(at, x, 1, 4);
  return n > 2 ? v128.load32_lane(at, x, 2, 8) : x;
}

/**
 * A row of K floats as K' bytes, by fours `step` bytes apart: with `sevens` z + x̂, 0 … 127, otherwise x̂, −127 … 127. Its scale goes to `scale`, and
 * with `sevens` z to `zero`.
 */
export function quantiseBytes(row: usize, K: i32, to: usize, step: usize, padded: i32, sevens: bool, scale: usize, zero: usize): void {
  const range = rangeOfRow(row, K);
  const size = sizeOf(range), half = halfOf(range, sevens), top = sevens ? SEVENS : EIGHTS;
  store<f32>(scale, scaleOf(size, half, top));
  const end = to + <usize>(padded >> 2) * step;
  let shift = i8x16.splat(0);
  if (!isDead(size)) {
    const c = f32x4.splat(top / half), magic = held(MAGIC, K >> 31);
    if (sevens) shift = i8x16.splat(<i8>i32x4.extract_lane(rounded(f32x4.splat(reinterpret<f32>(<i32>(range >> 32))), c, magic), 0));
    let n = K;
    for (; n >= 16; n -= 16, row += 64) {
      // repeat $n 4
      const x$n = rounded(v128.load(row, 16 * $n), c, magic);
      // end
      const bytes = i8x16.add(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(x0, x1), i16x8.narrow_i32x4_s(x2, x3)), shift);
      // repeat $n 4
      v128.store_lane<i32>(to, bytes, $n);
      to += step;
      // end
    }
    for (; n > 0; n -= 4, row += 16, to += step) {
      const x = rounded(n >= 4 ? v128.load(row) : ending(row, n), c, magic);
      const shorts = i16x8.narrow_i32x4_s(x, x);
      v128.store_lane<i32>(to, i8x16.add(i8x16.narrow_i16x8_s(shorts, shorts), shift), 0);
    }
  }
  for (; to < end; to += step) v128.store_lane<i32>(to, shift, 0);
  if (sevens) store<i32>(zero, i8x16.extract_lane_s(shift, 0));
}

/** The same as 16-bit integers, x̂ alone, by twos `step` bytes apart. */
export function quantiseShorts(row: usize, K: i32, to: usize, step: usize, padded: i32, sevens: bool, scale: usize): void {
  const range = rangeOfRow(row, K);
  const size = sizeOf(range), half = halfOf(range, sevens), top = sevens ? SEVENS : EIGHTS;
  store<f32>(scale, scaleOf(size, half, top));
  const end = to + <usize>(padded >> 1) * step;
  if (!isDead(size)) {
    const c = f32x4.splat(top / half), magic = held(MAGIC, K >> 31);
    let n = K;
    for (; n >= 8; n -= 8, row += 32) {
      const shorts = i16x8.narrow_i32x4_s(rounded(v128.load(row), c, magic), rounded(v128.load(row, 16), c, magic));
      // repeat $n 4
      v128.store_lane<i32>(to, shorts, $n);
      to += step;
      // end
    }
    for (; n > 0; n -= 4, row += 16) {
      const x = rounded(n >= 4 ? v128.load(row) : ending(row, n), c, magic);
      const shorts = i16x8.narrow_i32x4_s(x, x);
      v128.store_lane<i32>(to, shorts, 0);
      to += step;
      v128.store_lane<i32>(to, shorts, 1);
      to += step;
    }
  }
  for (; to < end; to += step) store<i32>(to, 0);
}
