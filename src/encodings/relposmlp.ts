import { integer, oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { readTable } from '../arguments/checkpoint-tables.ts';
import { copyGrid } from '../arguments/lists.ts';
import { expectShape, readList } from '../arguments/numbers.ts';
import { type CoordinateMlp, coordinateTable, differences, signedLog, windowIndex } from '../plan/grid.ts';
import { once } from '../plan/once.ts';
import type { Arithmetic, Encoding } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import { manhattanMlp, type Recipes, squareOf } from './recipe.ts';
import type { Scheme } from './scheme.ts';
import { swinIndex } from './swin.ts';

/** The weights of a coordinate MLP. */
export interface CoordinateMlpOptions {
  /** [hidden, 2]: the first layer, for (y, x). */
  readonly weight1: Table;
  /** [hidden]. */
  readonly bias1: Table;
  /** [heads, hidden]: the second layer. */
  readonly weight2: Table;
}

/** Options of `relPosMlp`. */
export interface RelPosMlpOptions extends CoordinateMlpOptions {
  /** Rows and columns of a window, or one number for both (`window_size`). */
  readonly windowSize: number | readonly [number, number];
  /** `mode`: the coordinates and what is done to the MLP's output; default `'cr'`. */
  readonly mode?: 'cr' | 'swin';
  /** [heads]: `mlp.fc2.bias`; in mode `'swin'` there is none. */
  readonly bias2?: Table;
  /** Mode `'swin'`: the window the checkpoint was trained with (`pretrained_window_size`), or 0 for the same; default 0. */
  readonly pretrainedWindowSize?: number | readonly [number, number];
  /** Tokens before the window's, without a bias (`prefix_tokens`); default 0. */
  readonly prefixTokens?: number;
}

/** Reads and checks the weights of a coordinate MLP. */
export function copyMlp(where: string, given: CoordinateMlpOptions, bias2?: Table): CoordinateMlp {
  const list = (name: string, value: unknown): Float32Array => readTable(where, name, value);
  const bias1 = list('bias1', given.bias1);
  const hidden = bias1.length;
  if (!hidden) throw wrongType(where, 'bias1', '[hidden ≥ 1] numbers', given.bias1);
  const weight1 = list('weight1', given.weight1);
  if (weight1.length !== 2 * hidden) throw wrongValue(where, 'weight1', `[hidden=${hidden}, 2] numbers`, `${weight1.length}`);
  expectShape(where, 'weight1', weight1, [hidden, 2]);
  const weight2 = list('weight2', given.weight2);
  const heads = weight2.length / hidden;
  if (!Number.isInteger(heads) || !heads) throw wrongValue(where, 'weight2', `[heads, hidden=${hidden}] numbers`, `${weight2.length}`);
  expectShape(where, 'weight2', weight2, [heads, hidden]);
  const last = bias2 === undefined ? new Float32Array(heads) : list('bias2', bias2);
  if (last.length !== heads) throw wrongValue(where, 'bias2', `[heads=${heads}] numbers`, `${last.length}`);
  return { heads, weight1, bias1, weight2, bias2: last };
}

/** Swin v2's coordinates run from −8 to 8 before their logarithm is taken, and its bias from 0 to 16. */
const SPAN = 8;
const HEIGHT = 16;

/** Reads and checks the window that a model was trained with. */
export function copyTrained(where: string, given: unknown, window: readonly [number, number]): readonly [number, number] {
  const list = Array.isArray(given) ? readList(where, 'pretrainedWindowSize', given, (n) => n as number) : given;
  const none = list === undefined || list === 0 || (Array.isArray(list) && list[0] === 0);
  return none ? window : copyGrid(where, 'pretrainedWindowSize', list);
}

/** Swin v2's coordinate of a difference, sign(d)·log2(1 + |8d/(n − 1)|)/log2 8 with n of the window it was trained with. */
export function swinCoordinate(trained: readonly [number, number], math: Arithmetic): (d: number, axis: 0 | 1) => number {
  return (d, axis) => (trained[axis] > 1 ? signedLog((SPAN * d) / (trained[axis] - 1), math) / math.log(SPAN) : 0);
}

/** 16·σ(x). */
export const swinHeight = (x: number, math: Arithmetic): number => HEIGHT / (1 + math.exp(-x));

/**
 * timm's `RelPosMlp`: b = MLP(g(y_i − y_j), g(x_i − x_j))_h, the MLP with one hidden layer of ReLU. In mode `'cr'` g(d) = sign(d)·ln(1 +
 * |d|); in mode `'swin'` g(d) = sign(d)·log2(1 + |8d/(n − 1)|)/log2 8, n the rows or columns of the window it was trained with, and b is
 * 16·σ of the MLP: Swin v2's bias without its cosine attention. The bias has no parameters per position, so that a model can change its
 * window.
 *
 * timm `layers/pos_embed_rel.py` (mlp.fc1.weight, mlp.fc1.bias, mlp.fc2.weight, mlp.fc2.bias), `rel_pos_type` with `mlp`: Swin v2 CR,
 * MaxViT, CoAtNet and ViT (`'cr'`); `'swin'` where the type has `swin` too.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = relPosMlp({
 *   windowSize: 7,
 *   weight1: new Float32Array(128 * 2),
 *   bias1: new Float32Array(128),
 *   weight2: new Float32Array(4 * 128),
 *   bias2: new Float32Array(4),
 * });
 * const swin = relPosMlp({
 *   mode: 'swin', windowSize: [12, 16], pretrainedWindowSize: 8, weight1: new Float32Array(512 * 2), bias1: new Float32Array(512),
 *   weight2: new Float32Array(4 * 512),
 * });
 * ```
 */
export function relPosMlp(given: RelPosMlpOptions): Encoding {
  const where = 'relPosMlp';
  given = options(where, given, ['mode', 'windowSize', 'pretrainedWindowSize', 'weight1', 'bias1', 'weight2', 'bias2', 'prefixTokens']);
  const window = copyGrid(where, 'windowSize', given.windowSize);
  const swin = oneOf(where, 'mode', given.mode ?? 'cr', ['cr', 'swin']) === 'swin';
  const { bias2, pretrainedWindowSize } = given;
  if (swin && bias2 !== undefined) throw wrongValue(where, 'bias2', "nothing in mode 'swin'", bias2);
  if (!swin && bias2 === undefined) throw wrongType(where, 'bias2', 'an array of numbers, a typed array or a tensor', bias2);
  if (!swin && pretrainedWindowSize !== undefined) {
    throw wrongValue(where, 'pretrainedWindowSize', "nothing in mode 'cr'", pretrainedWindowSize);
  }
  const trained = copyTrained(where, pretrainedWindowSize, window);
  const mlp = copyMlp(where, given, bias2);
  const { heads } = mlp;
  const prefix = integer(where, 'prefixTokens', given.prefixTokens ?? 0, 0, 65536);
  const P = differences(window);
  // Sums up to P − 1 are differences; a prefix token on either side lifts the sum to P or more, where the table is 0.
  const { rows, columns } = swinIndex(window);
  const lifted = (codes: Int32Array): Int32Array => Int32Array.from([...new Int32Array(prefix).fill(P), ...codes]);
  const map = Int32Array.from({ length: prefix ? 2 * P + 1 : P }, (_, n) => Math.min(n, P));
  const whole = { rows: lifted(rows), columns: lifted(columns), map };
  const tableOf = once((math: Arithmetic) => {
    const squeeze = swin ? swinCoordinate(trained, math) : (d: number): number => signedLog(d, math);
    const { values } = coordinateTable(mlp, window, squeeze, swin ? (x) => swinHeight(x, math) : (x) => x);
    const table = new Float32Array(heads * (P + 1));
    for (let h = 0; h < heads; h++) table.set(values.subarray(h * P, (h + 1) * P), h * (P + 1));
    return table;
  });
  return withBiases({
    name: where,
    lower(context) {
      const index = windowIndex(where, 'windowSize', whole, context);
      return { biases: [{ kind: 'index', heads, table: tableOf(context.math), index }] };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'relPosMlp',
    formula:
      'b = MLP(g(y_i − y_j), g(x_i − x_j)), g(d) = sign(d) · ln(1 + |d|); swin: 16 · σ(MLP), g(d) = sign(d) · log8(1 + |8d/(n − 1)|)',
    options: 'mode, windowSize, pretrainedWindowSize, weight1, bias1, weight2, bias2, prefixTokens',
    models: 'Swin v2 CR, MaxViT, CoAtNet and ViT with relative positions of timm',
    make: relPosMlp,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  relPosMlp: {
    kind: 'index bias',
    form: 'square',
    options: ({ H, L }, { weights }) => ({ windowSize: squareOf(L), ...manhattanMlp(H), bias2: weights([H]) }),
  },
};
