const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/**
 * ln x for a finite x > 0, by + − × ÷ alone: the same bits on every host, where no engine is at hand to compute them. x = 2^k·m,
 * m in [√½, √2); ln m = 2·(f + f³/3 + f⁵/5 + …) with f = (m−1)/(m+1).
 */
export function logarithm(x: number): number {
  let k = 0;
  let m = x;
  for (; m > Math.SQRT2; m /= 2) k++;
  for (; m < Math.SQRT1_2; m *= 2) k--;
  const f = (m - 1) / (m + 1);
  const z = f * f;
  let sum = 0;
  for (let n = 25; n >= 3; n -= 2) sum = sum * z + 1 / n;
  return k * LN2_HIGH + (2 * f + (2 * f * z * sum + k * LN2_LOW));
}
