// Rows as 16-bit integers, for products that are exact: see scores16.ts, weights16.ts and values16.ts.
//
// A row x of q or k. With m = max |x|,
//
//   c = min(32767 / m, 46300 / ‖x‖)    x̂ = round(c·x), ties to even    x ≈ x̂/c
//
// so that no sum of products of two such rows leaves 32 bits, whatever the data: c·x has a norm of at most 46300.4 (the squares are summed in
// f32, which at 1024 channels moves the norm by 8e-6), and rounding adds a vector of at most ½ in each of n channels, hence
// ‖x̂‖ ≤ 46300.4 + √n/2 ≤ 46316.5. By Cauchy and Schwarz |Σ q̂·k̂| ≤ 46316.5² = 2145218172 < 2^31, and the same holds of every partial sum, which
// is one over some of the channels. A pair of products, 2·32767², fits too. What rounding does to a score: |δ(q·k)| ≤ √n·‖q‖·‖k‖/46300, or with
// 32767 for 46300 where one channel holds 0.71 of the norm; as a standard deviation 8.8e-6·‖q‖·‖k‖.
//
// A row v of values: v̂ = round(4095·v / m), and s = m/4095 joins its weight.
//
// All depends on the row alone, so that no other key, hidden or not, shows in a bit. A row is odd if it is not finite or m is neither 0 nor in
// [2^−50, 2^50], where all products above are normal numbers: its integers are 0, and whoever meets it computes in f32 instead. The scale 1/c of
// an odd row of q or k is NaN, s of an odd row of values is −0.
//
// Layouts (D' is D rounded up to 2, E' is E rounded up to 8; channels and keys beyond the end are 0):
//
//   queries [rows/4][D'/2][4 rows][2 channels]    keys [keys/8][D'/2][8 keys][2 channels]    values [E'/8][keys/2][8 channels][2 keys]
//
// Attempts that lost, under a causal mask at 512×12×64: one place for all panels of f32 that become integers (½ % at most), and the sizes of both rows
// of a pair in one loop (nothing).
//
// Scaling each row by its maximum before squaring it, for rows beyond 2^50, takes a third pass and lost: such rows may as well be odd.

import { held, sumLanes } from './simd';

const TOP: f32 = 32767;
const NORM: f32 = 46300;
const VALUE_TOP: f32 = 4095;
/** 1.5·2^23: x + MAGIC has round(x), ties to even, in its low 16 bits, for |x| < 2^15. */
const MAGIC: f32 = 12582912;
/** The bits of 2^−50 and 2^50: those of sizes compare as integers, and NaN is more than Infinity. */
const LEAST: i32 = 0x26800000;
const MOST: i32 = 0x58800000;
const SIZE: i32 = 0x7fffffff;

/** x·a and y·b rounded, as pairs of integers, the first in the low halves. */
@inline function pairOf(x: v128, a: v128, y: v128, b: v128, magic: v128, low: v128): v128 {
  const first = v128.and(f32x4.add(f32x4.mul(x, a), magic), low);
  return v128.or(first, i32x4.shl(f32x4.add(f32x4.mul(y, b), magic), 16));
}

/**
 * Four rows, one a lane, channel d at from + d·step (a literal); pairs go to `to`, `toStep` bytes apart, 1/c of each row to `scales`. True if one is
 * odd. Squares are summed over d mod 4 apart, and these sums added as sumLanes does.
 */
@inline function quantiseLanes(from: usize, step: usize, D: i32, to: usize, toStep: usize, scales: usize): bool {
  let m = i32x4.splat(0);
  // repeat $n 4
  let s$n = f32x4.splat(0);
  // end
  let at = from;
  let n = D;
  for (; n >= 4; n -= 4, at += 4 * step) {
    // repeat $n 4
    const x$n = v128.load(at + $n * step);
    m = i32x4.max_u(m, i32x4.shl(x$n, 1)), s$n = f32x4.add(s$n, f32x4.mul(x$n, x$n));
    // end
  }
  // repeat $n 3
  if (n > $n) {
    const x = v128.load(at + $n * step);
    m = i32x4.max_u(m, i32x4.shl(x, 1)), s$n = f32x4.add(s$n, f32x4.mul(x, x));
  }
  // end
  m = i32x4.shr_u(m, 1);
  const norm = f32x4.sqrt(f32x4.add(f32x4.add(s0, s2), f32x4.add(s1, s3)));
  const fits = v128.and(i32x4.ge_s(m, i32x4.splat(LEAST)), i32x4.le_s(m, i32x4.splat(MOST)));
  const c = v128.and(f32x4.pmin(f32x4.div(f32x4.splat(TOP), m), f32x4.div(f32x4.splat(NORM), norm)), fits);
  const odd = v128.andnot(i32x4.ne(m, i32x4.splat(0)), fits);
  v128.store(scales, v128.or(v128.and(f32x4.div(f32x4.splat(1), c), fits), odd));
  const zero = D >> 31;
  const magic = held(MAGIC, zero), low = i32x4.splat(0xffff + zero);
  at = from;
  for (n = D; n >= 2; n -= 2, at += 2 * step, to += toStep) {
    v128.store(to, v128.and(pairOf(v128.load(at), c, v128.load(at + step), c, magic, low), fits));
  }
  if (n) v128.store(to, v128.and(pairOf(v128.load(at), c, f32x4.splat(0), c, magic, low), fits));
  return v128.any_true(odd);
}

/** A group of queries [D][4] as [D'/2][4][2]; scales f32 [4]. True if one is odd. */
export function quantiseQueries(from: usize, D: i32, to: usize, scales: usize): bool {
  return quantiseLanes(from, 16, D, to, 16, scales);
}

/** A panel of keys [D][8] as [D'/2][8][2]; scales f32 [8]. True if one is odd. */
export function quantisePanel(from: usize, D: i32, to: usize, scales: usize): bool {
  const first = quantiseLanes(from, 32, D, to, 32, scales);
  return quantiseLanes(from + 16, 32, D, to + 16, 32, scales + 16) || first;
}

/** Bits of the largest size among n floats. */
@inline function sizeOfRow(row: usize, n: i32): i32 {
  let m = i32x4.splat(0);
  for (; n >= 4; n -= 4, row += 16) m = i32x4.max_s(m, f32x4.abs(v128.load(row)));
  m = i32x4.max_s(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1));
  m = i32x4.max_s(m, v128.shuffle<i32>(m, m, 1, 0, 3, 2));
  let most = i32x4.extract_lane(m, 0);
  for (; n > 0; n--, row += 4) most = max(most, load<i32>(row) & SIZE);
  return most;
}

/** True if a row is odd; `size` is that of its largest number, in bits. */
@inline export function isOdd(size: i32): bool {
  return size != 0 && (size < LEAST || size > MOST);
}

/** Those of four sizes, in bits, that isOdd says yes to. */
@inline export function oddSizes(sizes: v128): v128 {
  const outside = v128.or(i32x4.lt_s(sizes, i32x4.splat(LEAST)), i32x4.gt_s(sizes, i32x4.splat(MOST)));
  return v128.and(outside, i32x4.ne(sizes, i32x4.splat(0)));
}

/** round(x·c) for |x·c| < 2^15. */
@inline function roundOf(x: f32, c: f32): i16 {
  return <i16>reinterpret<i32>(x * c + MAGIC);
}

/**
 * One contiguous row of a query or key, its pairs of channels `step` bytes apart: the integers that it has in a group or panel. Returns 1/c, NaN
 * if the row is odd.
 */
export function quantiseRow(row: usize, D: i32, to: usize, step: usize): f32 {
  const size = sizeOfRow(row, D);
  const odd = isOdd(size);
  let c: f32 = 0;
  if (size != 0 && !odd) {
    let s = f32x4.splat(0);
    let at = row;
    let n = D;
    for (; n >= 4; n -= 4, at += 16) s = f32x4.add(s, f32x4.mul(v128.load(at), v128.load(at)));
    let x = f32x4.splat(0);
    if (n > 0) x = v128.load32_lane(at, x, 0);
    if (n > 1) x = v128.load32_lane(at, x, 1, 4);
    if (n > 2) x = v128.load32_lane(at, x, 2, 8);
    const norm = sqrt<f32>(sumLanes(f32x4.add(s, f32x4.mul(x, x))));
    c = min<f32>(TOP / reinterpret<f32>(size), NORM / norm);
  }
  for (let n = 0; n < D; n += 2, row += 8, to += step) {
    store<i16>(to, odd ? 0 : roundOf(load<f32>(row), c));
    store<i16>(to, odd || n + 1 == D ? 0 : roundOf(load<f32>(row, 4), c), 2);
  }
  return odd ? f32.NaN : c == 0 ? 0 : 1 / c;
}

/** c = 4095/m of a row of values, 0 if the row is 0 or odd; s goes to `scale`. */
@inline function valueScale(row: usize, E: i32, scale: usize): f32 {
  const size = sizeOfRow(row, E);
  if (isOdd(size)) store<f32>(scale, -0.0);
  else store<f32>(scale, reinterpret<f32>(size) / VALUE_TOP);
  return size == 0 || isOdd(size) ? 0 : VALUE_TOP / reinterpret<f32>(size);
}

/** True if a scale that valueScale has written is that of an odd row. */
@inline export function isOddScale(scale: f32): bool {
  return reinterpret<i32>(scale) < 0;
}

/**
 * Two contiguous rows of values, keys 2n and 2n + 1, into columns that are `column` bytes apart, of which `to` is the first, at key 2n; their
 * scales, f32 [2], to `scales`. True if one is odd.
 */
export function quantiseValues(a: usize, b: usize, E: i32, to: usize, column: usize, scales: usize): bool {
  const ca = valueScale(a, E, scales);
  const cb = valueScale(b, E, scales + 4);
  const x = f32x4.splat(ca), y = f32x4.splat(cb);
  const keep = i32x4.splat((ca != 0 ? 0xffff : 0) | (cb != 0 ? 0xffff0000 : 0));
  const magic = f32x4.splat(MAGIC), low = i32x4.splat(0xffff);
  let e = E;
  for (; e >= 8; e -= 8, a += 32, b += 32, to += column) {
    // repeat $h 2
    const p$h = v128.and(f32x4.add(f32x4.mul(v128.load(a, 16 * $h), x), magic), low);
    const q$h = i32x4.shl(f32x4.add(f32x4.mul(v128.load(b, 16 * $h), y), magic), 16);
    v128.store(to, v128.and(v128.or(p$h, q$h), keep), 16 * $h);
    // end
  }
  if (e) {
    v128.store(to, i32x4.splat(0));
    v128.store(to, i32x4.splat(0), 16);
    for (; e > 0; e--, a += 4, b += 4, to += 4) {
      if (ca != 0) store<i16>(to, roundOf(load<f32>(a), ca));
      if (cb != 0) store<i16>(to, roundOf(load<f32>(b), cb), 2);
    }
  }
  return isOddScale(load<f32>(scales)) || isOddScale(load<f32>(scales, 4));
}

/** One contiguous row of values, as quantiseValues writes either of its two; `to` is the row's own place, 2 bytes further for an odd key. */
export function quantiseValue(row: usize, E: i32, to: usize, column: usize, scale: usize): bool {
  const c = valueScale(row, E, scale);
  for (let e = 0, n = E + 7 & ~7; e < n; e++) {
    const at = to + <usize>(e >> 3) * column + ((e & 7) << 2);
    store<i16>(at, e < E && c != 0 ? roundOf(load<f32>(row + (<usize>e << 2)), c) : 0);
  }
  return isOddScale(load<f32>(scale));
}
