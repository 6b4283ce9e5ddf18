/** Activations in f64, from their formulas. */

/** erf x: 2/√π · e^(−x²) · Σ 2ⁿx^(2n+1)/(1·3·5 … (2n+1)), whose terms have one sign. */
function erf(x: number): number {
  let term = x;
  let sum = 0;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-20; n++) {
    sum += term;
    term *= (2 * x * x) / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** erfc x for x ≥ 2: e^(−x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …)))). */
function erfc(x: number): number {
  let rest = x;
  for (let n = 200; n > 0; n--) rest = x + n / 2 / rest;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / rest;
}

/** Φ(x), the normal distribution. */
export function phi(x: number): number {
  const z = x / Math.SQRT2;
  if (z <= -2) return erfc(-z) / 2;
  return z >= 6 ? 1 : (1 + erf(z)) / 2;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** x·f, 0 where f is 0: what a factor that vanishes faster than x grows makes of −Infinity. */
const vanishing = (x: number, f: number): number => (f === 0 ? -0 : x * f);

/** In the order of their numbers in assembly/nn/blocks.txt. */
export const ACTIVATIONS: Readonly<Record<string, (x: number) => number>> = {
  none: (x) => x,
  gelu: (x) => vanishing(x, phi(x)),
  gelu_new: (x) => vanishing(x, sigmoid(2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  quick_gelu: (x) => vanishing(x, sigmoid(1.702 * x)),
  silu: (x) => vanishing(x, sigmoid(x)),
  relu: (x) => (x < 0 ? 0 : x),
  relu2: (x) => (x < 0 ? 0 : x * x),
  tanh: Math.tanh,
  sigmoid,
};
