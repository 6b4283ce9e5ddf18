// Element types: rows of any stored type become contiguous f32 rows and back. All arithmetic is f32.

import { BF16, F16, F32, I32, I8, Q16 } from './job';
import { held } from './simd';

/** Bytes of one element. */
@inline export function sizeOf(type: i32): i32 {
  return type == F32 || type == I32 ? 4 : type == F16 || type == BF16 || type == Q16 ? 2 : 1;
}

export const HALF_MASK: i32 = 0x8fffe000;
export const HALF_SCALE: f32 = reinterpret<f32>(0x77800000); // 2^112

/**
 * Four halves (sign-extended to 32 bits) as f32, exact. The 15 lower bits moved up by 13 are the same number with an exponent too
 * small by 112; one multiplication by 2^112 mends normals and subnormals alike. Infinity and NaN get their exponent by hand.
 */
@inline export function halfToFloatOf(h: v128, mask: v128, scale: v128, most: v128, infinity: v128): v128 {
  const value = f32x4.mul(v128.and(i32x4.shl(h, 13), mask), scale);
  return v128.or(value, v128.and(f32x4.ge(f32x4.abs(value), most), infinity));
}

@inline function halfToFloat(h: v128): v128 {
  return halfToFloatOf(h, i32x4.splat(HALF_MASK), f32x4.splat(HALF_SCALE), f32x4.splat(65536), f32x4.splat(Infinity));
}

/** Halves by eight as f32; returns how many, the rest is left. */
@inline function halvesToFloats(to: usize, from: usize, n: i32): i32 {
  const zero = n >> 31;
  const mask = i32x4.splat(HALF_MASK + zero);
  const scale = held(HALF_SCALE, zero), most = held(65536, zero), infinity = held(Infinity, zero);
  if (n < 8) return 0;
  let at = 0;
  do {
    const raw = v128.load(from);
    v128.store(to, halfToFloatOf(i32x4.extend_low_i16x8_s(raw), mask, scale, most, infinity));
    v128.store(to, halfToFloatOf(i32x4.extend_high_i16x8_s(raw), mask, scale, most, infinity), 16);
    from += 16;
    to += 32;
    at += 8;
  } while (at <= n - 8);
  return at;
}

/**
 * Four f32 as halves in the low 16 bits, round to nearest even. The size plus 2^13·ulp-aligned magic rounds at the tenth mantissa
 * bit: for normals by integer arithmetic, for results below 2^−14 by an f32 addition of 0.5, whose ulp is 2^−24.
 */
@inline function floatToHalf(x: v128): v128 {
  const sign = i32x4.shr_u(v128.and(x, i32x4.splat(0x80000000)), 16);
  const size = v128.and(x, i32x4.splat(0x7fffffff));
  const odd = v128.and(i32x4.shr_u(size, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(size, i32x4.splat(0xc8000fff)), odd), 13);
  const small = i32x4.sub(f32x4.add(size, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  let h = v128.bitselect(small, normal, i32x4.lt_s(size, i32x4.splat(0x38800000)));
  h = v128.bitselect(i32x4.splat(0x7c00), h, i32x4.ge_s(size, i32x4.splat(0x477ff000)));
  h = v128.bitselect(i32x4.splat(0x7e00), h, i32x4.gt_s(size, i32x4.splat(0x7f800000)));
  return v128.or(h, sign);
}

/** Four f32 as bfloat16 in the low 16 bits, round to nearest even; NaN stays NaN. */
@inline function floatToBrain(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(x, odd), i32x4.splat(0x7fff)), 16);
  return v128.bitselect(rounded, i32x4.splat(0x7fc0), f32x4.eq(x, x));
}

@inline function loadOne(from: usize, type: i32): f32 {
  if (type == F32) return load<f32>(from);
  if (type == F16) return f32x4.extract_lane(halfToFloat(i32x4.splat(load<i16>(from))), 0);
  if (type == BF16) return reinterpret<f32>(<u32>load<u16>(from) << 16);
  if (type == I8) return <f32>load<i8>(from);
  return <f32>load<i32>(from);
}

/** n elements of `type`, `stride` bytes apart, as contiguous f32. */
export function loadRow(to: usize, from: usize, n: i32, stride: i32, type: i32): void {
  let at = 0;
  if (stride == sizeOf(type)) {
    if (type == F32) {
      memory.copy(to, from, <usize>n << 2);
      return;
    }
    if (type == F16) {
      at = halvesToFloats(to, from, n);
      from += <usize>at << 1;
      to += <usize>at << 2;
    } else if (type == BF16) {
      for (; at <= n - 8; at += 8, from += 16, to += 32) {
        const raw = v128.load(from);
        v128.store(to, v128.shuffle<i16>(i16x8.splat(0), raw, 0, 8, 1, 9, 2, 10, 3, 11));
        v128.store(to, v128.shuffle<i16>(i16x8.splat(0), raw, 4, 12, 5, 13, 6, 14, 7, 15), 16);
      }
    }
  }
  for (; at < n; at++) {
    store<f32>(to, loadOne(from, type));
    from += stride;
    to += 4;
  }
}

/** Of numbers below 2^−119, whose scales may be subnormal and far from exact, this makes the scale one unit more where it would be too small. */
const NUDGE: f32 = reinterpret<f32>(63);

/** The largest scale whose 127-fold is finite: 0.99999994 of the largest float over 127, which itself is rounded up. */
const LARGEST: f32 = reinterpret<f32>(0x7c010203);

/**
 * The scale of a row in 8 bits: largest |x| / 127, so that |x − scale·nearest(x/scale)| ≤ scale/2, up to one rounding. NaN where something is
 * not finite, which makes the whole row NaN.
 */
export function quantisedScale(from: usize, n: i32): f32 {
  let top: f32 = 0;
  let sum: f32 = 0;
  for (let at: usize = 0; at < <usize>n << 2; at += 4) {
    const x = load<f32>(from + at);
    top = max(top, abs(x));
    sum += x * 0;
  }
  return sum == 0 ? min<f32>((top + NUDGE) / 127, LARGEST) : f32.NaN;
}

/** memory.copy leaves the module: 25 ns a row, 1 % of a call at 512 × 64. */
@inline function copyRow(to: usize, from: usize, n: i32): void {
  for (; n >= 4; n -= 4, from += 16, to += 16) v128.store(to, v128.load(from));
  for (; n > 0; n--, from += 4, to += 4) store<f32>(to, load<f32>(from));
}

/** Four f32 as elements of a type, in the low bits of their lanes. */
function encoded(x: v128, type: i32): v128 {
  return type == F32 ? x : type == F16 ? floatToHalf(x) : floatToBrain(x);
}

/** n contiguous f32 as elements of `type` (f32, f16, bf16), `stride` bytes apart. */
export function storeRow(to: usize, from: usize, n: i32, stride: i32, type: i32): void {
  if (type == F32 && stride == 4) {
    copyRow(to, from, n);
    return;
  }
  for (; n >= 4; n -= 4, from += 16) {
    const x = type == F32 ? v128.load(from) : encoded(v128.load(from), type);
    // repeat $r 4
    if (type == F32) v128.store_lane<i32>(to, x, $r);
    else v128.store_lane<i16>(to, x, 2 * $r);
    to += stride;
    // end
  }
  for (; n > 0; n--, from += 4, to += stride) {
    const x = encoded(v128.load32_splat(from), type);
    if (type == F32) v128.store_lane<i32>(to, x, 0);
    else v128.store_lane<i16>(to, x, 0);
  }
}
