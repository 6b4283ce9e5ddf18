import { options, wrongValue } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { copyGrid, copyNumbers } from '../arguments/lists.ts';
import { coordinateTable, windowIndex } from '../plan/grid.ts';
import { once } from '../plan/once.ts';
import type { Arithmetic, Bias, Encoding } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import { manhattanMlp, type Recipes, squareOf } from './recipe.ts';
import { type CoordinateMlpOptions, copyMlp, copyTrained, swinCoordinate, swinHeight } from './relposmlp.ts';
import type { Scheme } from './scheme.ts';
import { copyShifted, type ShiftedWindows, shiftedBias, swinIndex } from './swin.ts';

/** Options of `swinV2`. The MLP is `continuous_position_bias_mlp`: `0.weight`, `0.bias` and `2.weight`. */
export interface SwinV2Options extends CoordinateMlpOptions {
  /** Rows and columns of a window, or one number for both (`window_size`). */
  readonly windowSize: number | readonly [number, number];
  /** The window the checkpoint was trained with (`pretrained_window_sizes`), or 0 for the same; default 0. */
  readonly pretrainedWindowSize?: number | readonly [number, number];
  /** [heads]: `logit_scale`, the natural logarithm of the factor of the cosine. */
  readonly logitScale: Table;
  /** For the layers with shifted windows; batch row b is then window b mod (windows of an image), row by row. */
  readonly shifted?: ShiftedWindows;
}

/** The cosine's factor never exceeds this. */
const LARGEST_FACTOR = 100;
/** Least norm that a row is divided by. */
const EPSILON = 1e-12;

/**
 * Swin v2 within a window: s = τ_h·cos(q_i, k_j) + 16·σ(MLP(g(y_i − y_j), g(x_i − x_j)))_h, with τ_h = exp(min(logitScale_h, ln 100)) and
 * g(d) = sign(d)·log2(1 + |8d/(n − 1)|)/log2 8, n the rows or columns of the window it was trained with. The encoding normalises and
 * scales: pass `scale: 1` to `attention`. Batch rows are windows, as in `swin`; the shift mask is added once.
 *
 * Liu et al. 2021, arXiv 2111.09883.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = swinV2({
 *   windowSize: 8,
 *   logitScale: [2.3, 2.3, 2.3],
 *   weight1: new Float32Array(512 * 2),
 *   bias1: new Float32Array(512),
 *   weight2: new Float32Array(3 * 512),
 * });
 * ```
 */
export function swinV2(given: SwinV2Options): Encoding {
  const where = 'swinV2';
  given = options(where, given, ['windowSize', 'pretrainedWindowSize', 'logitScale', 'weight1', 'bias1', 'weight2', 'shifted']);
  const window = copyGrid(where, 'windowSize', given.windowSize);
  const trained = copyTrained(where, given.pretrainedWindowSize, window);
  const mlp = copyMlp(where, given);
  const logits = copyNumbers(where, 'logitScale', given.logitScale);
  if (logits.length !== mlp.heads) throw wrongValue(where, 'logitScale', `[heads=${mlp.heads}] numbers`, `${logits.length}`);
  const shifted = copyShifted(where, given.shifted, window);
  const whole = swinIndex(window);
  const tableOf = once((math: Arithmetic) => coordinateTable(mlp, window, swinCoordinate(trained, math), (x) => swinHeight(x, math)));
  return withBiases({
    name: where,
    lower(context) {
      const { math, shape } = context;
      const { heads, values } = tableOf(math);
      const index = windowIndex(where, 'windowSize', whole, context);
      const bias: Bias = { kind: 'index', heads, table: values, index };
      const factors = logits.map((x) => math.exp(Math.min(x, math.log(LARGEST_FACTOR))));
      const queryWeight = Float32Array.from({ length: heads * shape.D }, (_, n) => factors[Math.floor(n / shape.D)] as number);
      return {
        normalization: { kind: 'l2', epsilon: EPSILON, queryWeight },
        biases: shifted ? [bias, shiftedBias(where, window, shifted, context)] : [bias],
      };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'swinV2',
    formula: 's = exp(logitScale) · cos(q, k) + 16 · σ(MLP(log coordinates))',
    options: 'windowSize, pretrainedWindowSize, logitScale, weight1, bias1, weight2, shifted',
    models: 'Swin v2',
    make: swinV2,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  swinV2: {
    kind: 'cosine',
    form: 'square',
    options: ({ H, L }, { weights }) => ({ windowSize: squareOf(L), logitScale: weights([H]), ...manhattanMlp(H) }),
    attention: { scale: 1 },
  },
};
