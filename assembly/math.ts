// Elementary functions in f64, for everything that reaches a tensor through the TypeScript side (frequencies, angles, slopes,
// buckets, log-sum-exp): JavaScript's Math differs between engines, WebAssembly arithmetic does not. Taylor series after an argument
// reduction; constants split so that the products in the reductions are exact.

const LN2_HIGH: f64 = reinterpret<f64>(0x3fe62e42fee00000); // 0x1.62e42feep-1: the first 32 bits of ln 2
const LN2_LOW: f64 = reinterpret<f64>(0x3dea39ef35793c76); // 0x1.a39ef35793c76p-33: the rest
const LOG2E: f64 = reinterpret<f64>(0x3ff71547652b82fe); // 0x1.71547652b82fep+0

/** 2^k for −1022 ≤ k ≤ 1023. */
@inline function power2(k: i64): f64 {
  return reinterpret<f64>((k + 1023) << 52);
}

/**
 * e^x; below 1 ulp. x = k·ln 2 + r, |r| ≤ ln 2 / 2; e^r by 13 terms (the next one is below 2^−57). Overflows to Infinity, underflows
 * to 0 through the subnormals, NaN at NaN.
 */
export function exp(x: f64): f64 {
  if (x != x) return x;
  if (x > 709.8) return Infinity;
  if (x < -745.2) return 0;
  const k = nearest(x * LOG2E);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let p: f64 = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r * r + r + 1.0;
  const half = <i64>k >> 1;
  return p * power2(half) * power2(<i64>k - half);
}

/**
 * ln x; below 1 ulp except next to x = 1, where the absolute error stays below 2^−53. x = 2^k·m, m in [√½, √2); with
 * f = (m−1)/(m+1), ln m = 2·(f + f³/3 + f⁵/5 + …), 11 terms (f² < 0.0295). −Infinity at 0, NaN below.
 */
export function log(x: f64): f64 {
  if (x != x || x == Infinity) return x;
  if (x <= 0) return x == 0 ? -Infinity : NaN;
  let k: i64 = 0;
  if (x < 2.2250738585072014e-308) {
    x *= 18014398509481984.0; // 2^54: a subnormal becomes normal
    k = -54;
  }
  let bits = reinterpret<i64>(x);
  k += (bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    k += 1;
  }
  const f = (m - 1) / (m + 1);
  const z = f * f;
  let p: f64 = 1.0 / 23.0;
  p = p * z + 1.0 / 21.0;
  p = p * z + 1.0 / 19.0;
  p = p * z + 1.0 / 17.0;
  p = p * z + 1.0 / 15.0;
  p = p * z + 1.0 / 13.0;
  p = p * z + 1.0 / 11.0;
  p = p * z + 1.0 / 9.0;
  p = p * z + 1.0 / 7.0;
  p = p * z + 1.0 / 5.0;
  p = p * z + 1.0 / 3.0;
  return <f64>k * LN2_HIGH + (2 * f + (2 * f * z * p + <f64>k * LN2_LOW));
}

/** x^y = e^(y·ln x) for x > 0; relative error below 2^−52·(1 + |y·ln x|), which is 2.3e-15 at 10000^−1. pow(0, y > 0) = 0. */
export function pow(x: f64, y: f64): f64 {
  if (y == 0) return 1;
  if (x == 0) return y > 0 ? 0 : Infinity;
  return exp(y * log(x));
}

/**
 * tanh x; 2 ulp. For small |x|, where 1 − 2/(e^{2|x|} + 1) would cancel, sinh x / cosh x by their Taylor series (next terms below 2^−65):
 * with sinh x = x·(1 + z·s) and cosh x = 1 + z·c, z = x², the quotient is x + x·z·(s − c)/(1 + z·c).
 */
export function tanh(x: f64): f64 {
  const size = abs(x);
  if (size >= 0.6) return copysign<f64>(1 - 2 / (exp(2 * size) + 1), x);
  const z = x * x;
  let s: f64 = 1.0 / 355687428096000.0;
  s = s * z + 1.0 / 1307674368000.0;
  s = s * z + 1.0 / 6227020800.0;
  s = s * z + 1.0 / 39916800.0;
  s = s * z + 1.0 / 362880.0;
  s = s * z + 1.0 / 5040.0;
  s = s * z + 1.0 / 120.0;
  s = s * z + 1.0 / 6.0;
  let c: f64 = 1.0 / 20922789888000.0;
  c = c * z + 1.0 / 87178291200.0;
  c = c * z + 1.0 / 479001600.0;
  c = c * z + 1.0 / 3628800.0;
  c = c * z + 1.0 / 40320.0;
  c = c * z + 1.0 / 720.0;
  c = c * z + 1.0 / 24.0;
  c = c * z + 0.5;
  return x + (x * z * (s - c)) / (1 + z * c);
}

const TWO_OVER_PI: f64 = reinterpret<f64>(0x3fe45f306dc9c883); // 0x1.45f306dc9c883p-1
const HALF_PI_1: f64 = reinterpret<f64>(0x3ff921fb54400000); // 0x1.921fb544p+0: bits 1 to 33 of π/2
const HALF_PI_2: f64 = reinterpret<f64>(0x3dd0b4611a600000); // 0x1.0b4611a6p-34: bits 34 to 66
const HALF_PI_3: f64 = reinterpret<f64>(0x3ba3198a2e037073); // 0x1.3198a2e037073p-69: the next 53

/** Quadrant of x: x = n·π/2 + r. */
@inline function quadrant(x: f64): f64 {
  return nearest(x * TWO_OVER_PI);
}

/**
 * r = x − n·π/2, |r| ≤ π/4. n·HALF_PI_1 and n·HALF_PI_2 are exact while |n| < 2^20, that is |x| < 1.6e6 rad: there the error of r is
 * that of one rounding of x itself. Beyond, it grows like |x|·2^−66 + |x|·2^-53 and stays deterministic.
 */
@inline function remainder(x: f64, n: f64): f64 {
  return x - n * HALF_PI_1 - n * HALF_PI_2 - n * HALF_PI_3;
}

/** sin r on |r| ≤ π/4: Taylor to r¹⁷ (next term below 2^−63). */
@inline function sineSeries(r: f64): f64 {
  const z = r * r;
  let p: f64 = 1.0 / 355687428096000.0;
  p = p * z - 1.0 / 1307674368000.0;
  p = p * z + 1.0 / 6227020800.0;
  p = p * z - 1.0 / 39916800.0;
  p = p * z + 1.0 / 362880.0;
  p = p * z - 1.0 / 5040.0;
  p = p * z + 1.0 / 120.0;
  p = p * z - 1.0 / 6.0;
  return r + r * z * p;
}

/** cos r on |r| ≤ π/4: Taylor to r¹⁸ (next term below 2^−68). */
@inline function cosineSeries(r: f64): f64 {
  const z = r * r;
  let p: f64 = -1.0 / 6402373705728000.0;
  p = p * z + 1.0 / 20922789888000.0;
  p = p * z - 1.0 / 87178291200.0;
  p = p * z + 1.0 / 479001600.0;
  p = p * z - 1.0 / 3628800.0;
  p = p * z + 1.0 / 40320.0;
  p = p * z - 1.0 / 720.0;
  p = p * z + 1.0 / 24.0;
  p = p * z - 0.5;
  return 1 + z * p;
}

/** sin x; 1.3 ulp for |x| ≤ 1, 2.1 ulp for |x| < 1.6e6 (measured). */
export function sin(x: f64): f64 {
  const n = quadrant(x);
  const r = remainder(x, n);
  const turn = <i64>n & 3;
  const value = turn & 1 ? cosineSeries(r) : sineSeries(r);
  return turn & 2 ? -value : value;
}

/** cos x; 1.3 ulp for |x| ≤ 1, 2.1 ulp for |x| < 1.6e6 (measured). */
export function cos(x: f64): f64 {
  const n = quadrant(x);
  const r = remainder(x, n);
  const turn = <i64>n & 3;
  const value = turn & 1 ? sineSeries(r) : cosineSeries(r);
  return (turn + 1) & 2 ? -value : value;
}
