/** Elementary functions to hundreds of digits, in fixed point with `F` fractional bits: a Taylor series each, after a reduction. */

const F = 1400n;
const ONE = 1n << F;
const times = (a: bigint, b: bigint): bigint => (a * b) >> F;

/** An f64 as a fixed-point number, exact down to 2^−1400. */
export function fixed(x: number): bigint {
  let exponent = 0;
  let scaled = x;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    exponent++;
  }
  return (BigInt(scaled) << F) >> BigInt(exponent);
}

/** arctan(1/n). */
function arctanOfInverse(n: bigint): bigint {
  let sum = 0n;
  let power = ONE / n;
  for (let k = 1n; power !== 0n; k += 2n, power = -power / (n * n)) sum += power / k;
  return sum;
}

/** π, by Machin's formula. */
const PI = 4n * (4n * arctanOfInverse(5n) - arctanOfInverse(239n));

/** Σ of terms that go from one to the next by ·x/(divisor of the n-th). */
function series(first: bigint, factor: bigint, divisor: (n: bigint) => bigint): bigint {
  let sum = 0n;
  for (let n = 1n, term = first; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = times(term, factor) / divisor(n);
  }
  return sum;
}

export function exp(x: bigint): bigint {
  if (x < 0n) return (ONE * ONE) / exp(-x);
  // e^x = (e^(x/2^12))^(2^12).
  let power = series(ONE, x >> 12n, (n) => n);
  for (let n = 0; n < 12; n++) power = times(power, power);
  return power;
}

/** ln x: a guess of f64, mended once by ln(1 + d) = d − d²/2 + … with d of about 2^−52. */
export function log(x: number): bigint {
  const guess = fixed(Math.log(x));
  const d = times(fixed(x), exp(-guess)) - ONE;
  let sum = 0n;
  for (let n = 1n, power = d; power !== 0n && power !== -1n; n++, power = times(-power, d)) sum += power / n;
  return guess + sum;
}

export const pow = (x: number, y: number): bigint => exp(times(fixed(y), log(x)));

export function tanh(x: number): bigint {
  const e = exp(2n * fixed(x));
  return ((e - ONE) << F) / (e + ONE);
}

/** x moved by whole turns into [−π, π). */
function reduced(x: bigint): bigint {
  const turn = 2n * PI;
  const rest = (((x + PI) % turn) + turn) % turn;
  return rest - PI;
}

export function sin(x: bigint): bigint {
  const r = reduced(x);
  return series(r, -times(r, r), (n) => 2n * n * (2n * n + 1n));
}

export function cos(x: bigint): bigint {
  const r = reduced(x);
  return series(ONE, -times(r, r), (n) => (2n * n - 1n) * (2n * n));
}

/** A fixed-point number as the nearest f64, or near it. */
const toNumber = (x: bigint): number => {
  const bits = (x < 0n ? -x : x).toString(2).length;
  const shift = Math.max(0, bits - 60);
  // In two steps, since the power of two alone may leave the range.
  const exponent = shift - Number(F);
  const half = Math.trunc(exponent / 2);
  return Number(x >> BigInt(shift)) * 2 ** half * 2 ** (exponent - half);
};

/** |got − truth|. */
export const absoluteError = (got: number, truth: bigint): number => Math.abs(toNumber(fixed(got) - truth));

/** |got − truth| / |truth|. */
export const relativeError = (got: number, truth: bigint): number => absoluteError(got, truth) / Math.abs(toNumber(truth));

/** |got − truth| in units of the last place of `truth` as an f64. */
export const ulpError = (got: number, truth: bigint): number =>
  absoluteError(got, truth) / 2 ** (Math.floor(Math.log2(Math.abs(toNumber(truth)))) - 52);
