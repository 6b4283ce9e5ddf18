import { finite, options } from '../arguments/check.ts';
import { copyTable, type Table } from '../arguments/checkpoint-tables.ts';
import { copyHeads, copyNumbers, placeOf } from '../arguments/lists.ts';
import type { Arithmetic, Bias, Encoding } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `fire`. */
export interface FireOptions {
  /** [width, 1]: `mlp.0.weight`. */
  readonly weight1: Table;
  /** [width]: `mlp.0.bias`. */
  readonly bias1: Table;
  /** [heads, width]: `mlp.2.weight`. */
  readonly weight2: Table;
  /** [heads]: `mlp.2.bias`. */
  readonly bias2: Table;
  /** c of ψ(x) = ln(1 + |c·x|); learned, starts at 0.1. */
  readonly c: number;
  /** Queries up to here share one unit of distance: |L_multiplier · init_L|, learned, starts at 512. */
  readonly threshold: number;
  /** Added to ψ of the position; default 1e-6. */
  readonly epsilon?: number;
}

/** MLP(x)_h for one offset, in f64. */
function evaluate(x: number, units: Float32Array, weights: Float32Array, h: number): number {
  const U = units.length / 2;
  let sum = 0;
  for (let u = 0; u < U; u++) {
    sum += (weights[h * U + u] as number) * Math.max(0, (units[2 * u] as number) * x + (units[2 * u + 1] as number));
  }
  return sum;
}

/**
 * FIRE: b = MLP(ψ(i − j) / (ψ(max(threshold, i)) + ε))_h with ψ(x) = ln(1 + |c·x|) and one hidden layer of ReLU; i is the query's position.
 *
 * For queries at or below the threshold this is a bias over the offset, as cheap as ALiBi. Beyond, the unit of distance
 * depends on the query and the MLP is evaluated for each query, key and head as they are met: at width 32 and heads of 64 channels the
 * call takes 1.6 times as long (measured at L = S = 2048 on one thread). Memory grows with L + S either way.
 *
 * Li et al. 2023, arXiv 2310.04418.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = fire({
 *   weight1: new Float32Array(32),
 *   bias1: new Float32Array(32),
 *   weight2: new Float32Array(12 * 32),
 *   bias2: new Float32Array(12),
 *   c: 0.1,
 *   threshold: 512,
 * });
 * ```
 */
export function fire(given: FireOptions): Encoding {
  const where = 'fire';
  given = options(where, given, ['weight1', 'bias1', 'weight2', 'bias2', 'c', 'threshold', 'epsilon']);
  const weight1 = copyNumbers(where, 'weight1', given.weight1);
  const width = weight1.length;
  const bias1 = copyTable(where, 'bias1', given.bias1, [width]);
  const { heads, values } = copyHeads(where, 'weight2', given.weight2, Math.max(1, width));
  const bias2 = copyTable(where, 'bias2', given.bias2, [heads]);
  const c = finite(where, 'c', given.c);
  const threshold = finite(where, 'threshold', given.threshold, 0);
  const epsilon = finite(where, 'epsilon', given.epsilon ?? 1e-6);
  // The last unit is always 1: it carries the output's own bias.
  const U = width + 1;
  const units = Float32Array.from({ length: 2 * U }, (_, n) => {
    const u = Math.floor(n / 2);
    if (u === width) return n % 2;
    return n % 2 ? (bias1[u] as number) : (weight1[u] as number);
  });
  const weights = Float32Array.from({ length: heads * U }, (_, n) => {
    const h = Math.floor(n / U);
    return n % U === width ? (bias2[h] as number) : (values[h * width + (n % U)] as number);
  });
  const psi = (x: number, math: Arithmetic): number => math.log(1 + Math.abs(c * x));

  return withBiases({
    name: where,
    lower(context) {
      const { math, shape } = context;
      const { queryOffset } = placeOf(context);
      const unit = (i: number): number => psi(Math.max(threshold, i), math) + epsilon;
      // Queries up to the threshold have the bias of the offset, wherever the others of their call stand: the bits of a row depend on its
      // position alone.
      const near = Math.min(shape.L, Math.max(0, Math.floor(threshold) + 1 - queryOffset));
      const offset: Bias = {
        kind: 'offset',
        heads,
        variant: '',
        fill(out, first, count) {
          for (let n = 0; n < count; n++) {
            const x = psi(first + n, math) / unit(0);
            for (let h = 0; h < heads; h++) out[h * count + n] = evaluate(x, units, weights, h);
          }
        },
        queries: [0, near],
      };
      const curve: Bias = {
        kind: 'curve',
        heads,
        variant: '',
        fill(out, first, count) {
          for (let n = 0; n < count; n++) out[n] = psi(first + n, math);
        },
        factors: Float32Array.from({ length: shape.L }, (_, i) => 1 / unit(queryOffset + i)),
        units,
        weights,
        queries: [near, shape.L],
      };
      if (near === shape.L) return { biases: [offset] };
      return { biases: near === 0 ? [curve] : [offset, curve] };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'fire',
    formula: 'b = MLP(ψ(i − j) / ψ(max(threshold, i)))_h, ψ(x) = ln(1 + c·x)',
    options: 'weight1, bias1, weight2, bias2, c, threshold, epsilon',
    models: 'FIRE',
    make: fire,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  fire: {
    kind: 'offset bias',
    // −|x|, x the scaled distance.
    options: ({ H }) => ({
      weight1: new Float32Array(32).fill(1),
      bias1: new Float32Array(32),
      weight2: new Float32Array(32 * H).fill(-1 / 32),
      bias2: new Float32Array(H),
      c: 0.1,
      threshold: 2048,
    }),
  },
};
