// Rows of x as integers, one scale for each row. With m = max |x| and `top` the largest integer,
//
//   x̂ = round(x · (top/m)), ties to even     x ≈ x̂ · s,  s = m/top
//
// For weights of i8 top is 63, and 64 is added: 1 … 127, seven bits without a sign, the operand of the relaxed dot that never overflows; for those
// of i4, which are that operand themselves, it is 127. A row whose m is below 2^−100, where top/m nears the end of f32, is 0, with scale 0. A row
// that is not finite is 0 with scale NaN: NaN in every output of that row, and in no other.
//
// Where there is no relaxed dot, products are those of 16 bits, and so are the integers, without the 64.
//
//   bytes    [groups][K'/4][4 rows][4]    one row: [K']
//   shorts   [groups][K'/2][4 rows][2]    one row: [K']
//
// K' is K rounded up to 4, or with i4 to 32; what is beyond K is 0 (64 with i8, where the weights are 0).

/** 1.5·2^23: x + MAGIC has round(x), ties to even, in its low bits. */
export const MAGIC: f32 = 12582912;
/** The bits of 2^−100 and of Infinity: those of sizes compare as integers, and NaN is more than Infinity. */
export const LEAST: i32 = 0x0d800000;
export const INFINITE: i32 = 0x7f800000;

/** Bits of the largest size among n floats. */
@inline export function sizeOfRow(row: usize, n: i32): i32 {
  let m = i32x4.splat(0), o = m;
  for (; n >= 8; n -= 8, row += 32) {
    m = i32x4.max_s(m, f32x4.abs(v128.load(row)));
    o = i32x4.max_s(o, f32x4.abs(v128.load(row, 16)));
  }
  m = i32x4.max_s(m, o);
  m = i32x4.max_s(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1));
  m = i32x4.max_s(m, v128.shuffle<i32>(m, m, 1, 0, 3, 2));
  let most = i32x4.extract_lane(m, 0);
  for (; n > 0; n--, row += 4) most = max(most, load<i32>(row) & 0x7fffffff);
  return most;
}

/** Four numbers as integers plus `zero`, in the low bits of their lanes. */
@inline function rounded(x: v128, c: v128, magic: v128, mask: v128): v128 {
  return v128.and(f32x4.add(f32x4.mul(x, c), magic), mask);
}

/** Up to three numbers at the end of a row; zeros after them. */
@inline function ending(at: usize, n: i32): v128 {
  let x = v128.load32_zero(at);
  if (n > 1) x = v128.load32_lane(at, x, 1, 4);
  return n > 2 ? v128.load32_lane(at, x, 2, 8) : x;
}

/**
 * A row of K floats as K' bytes, by fours `step` bytes apart: integers of at most `top`, plus `zero`. Its scale goes to `scale`.
 */
export function quantiseBytes(row: usize, K: i32, to: usize, step: usize, padded: i32, top: f32, zero: i32, scale: usize): void {
  const size = sizeOfRow(row, K);
  const m = reinterpret<f32>(size);
  const dead = size < LEAST || size >= INFINITE;
  store<f32>(scale, size >= INFINITE ? f32.NaN : dead ? 0 : m / top);
  const end = to + <usize>(padded >> 2) * step;
  const rest = i32x4.splat(zero * 0x01010101);
  if (!dead) {
    const c = f32x4.splat(top / m), magic = f32x4.splat(MAGIC + <f32>zero), mask = i32x4.splat(255);
    let n = K;
    for (; n >= 16; n -= 16, row += 64) {
      // repeat $n 4
      const x$n = rounded(v128.load(row, 16 * $n), c, magic, mask);
      // end
      const bytes = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_u(x0, x1), i16x8.narrow_i32x4_u(x2, x3));
      // repeat $n 4
      v128.store_lane<i32>(to, bytes, $n);
      to += step;
      // end
    }
    for (; n > 0; n -= 4, row += 16, to += step) {
      const x = rounded(n >= 4 ? v128.load(row) : ending(row, n), c, magic, mask);
      const shorts = i16x8.narrow_i32x4_u(x, x);
      v128.store_lane<i32>(to, i8x16.narrow_i16x8_u(shorts, shorts), 0);
    }
  }
  for (; to < end; to += step) v128.store_lane<i32>(to, rest, 0);
}

/** The same as 16-bit integers without a zero point, by twos `step` bytes apart. */
export function quantiseShorts(row: usize, K: i32, to: usize, step: usize, padded: i32, top: f32, scale: usize): void {
  const size = sizeOfRow(row, K);
  const m = reinterpret<f32>(size);
  const dead = size < LEAST || size >= INFINITE;
  store<f32>(scale, size >= INFINITE ? f32.NaN : dead ? 0 : m / top);
  const end = to + <usize>(padded >> 1) * step;
  if (!dead) {
    const c = f32x4.splat(top / m), magic = f32x4.splat(MAGIC), mask = i32x4.splat(0xffff);
    let n = K;
    for (; n >= 8; n -= 8, row += 32) {
      const a = rounded(v128.load(row), c, magic, mask), b = rounded(v128.load(row, 16), c, magic, mask);
      const shorts = i16x8.narrow_i32x4_u(a, b);
      // repeat $n 4
      v128.store_lane<i32>(to, shorts, $n);
      to += step;
      // end
    }
    for (; n > 0; n -= 4, row += 16) {
      const x = rounded(n >= 4 ? v128.load(row) : ending(row, n), c, magic, mask);
      const shorts = i16x8.narrow_i32x4_u(x, x);
      v128.store_lane<i32>(to, shorts, 0);
      to += step;
      v128.store_lane<i32>(to, shorts, 1);
      to += step;
    }
  }
  for (; to < end; to += step) store<i32>(to, 0);
}
