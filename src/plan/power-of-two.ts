// Powers of two where no engine is at hand: the arithmetic of the kernels, bit for bit, by + − × alone.

const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** Of e^r, from that of r¹³ down to that of r². */
const FACTORIALS = [6227020800, 479001600, 39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2];

/** 2^k for a whole k in −1022 … 1023, exact. */
function scale(k: number): number {
  return new Float64Array(new BigInt64Array([BigInt(k + 1023) << 52n]).buffer)[0] as number;
}

/** The nearest whole number; of two the even one. */
function nearest(x: number): number {
  const low = Math.floor(x);
  const part = x - low;
  if (part !== 0.5) return part < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** 2^y for a finite y, the bits of `Arithmetic.pow(2, y)`: e^(y·ln 2) as assembly/math.ts computes it. */
export function powerOfTwo(y: number): number {
  if (y === 0) return 1;
  const x = y * (LN2_HIGH + LN2_LOW);
  if (x > 709.8) return Infinity;
  if (x < -745.2) return 0;
  const k = nearest(x * Math.LOG2E);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  const p = FACTORIALS.reduce((sum, factorial) => sum * r + 1 / factorial, 0) * r * r + r + 1;
  const half = Math.floor(k / 2);
  return p * scale(half) * scale(k - half);
}
