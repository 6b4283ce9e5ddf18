import { integer, options, wrongType, wrongValue } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { copyGrid, copyNumbers } from '../arguments/lists.ts';
import { type CoordinateMlp, coordinateTable, signedLog, windowIndex } from '../plan/grid.ts';
import type { Encoding } from '../plan/plan.ts';
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
  /** [heads]: `mlp.fc2.bias`. */
  readonly bias2: Table;
  /** Tokens before the window's, without a bias (`prefix_tokens`); default 0. */
  readonly prefixTokens?: number;
}

/** Reads and checks the weights of a coordinate MLP. */
export function copyMlp(where: string, given: CoordinateMlpOptions, bias2?: Table): CoordinateMlp {
  const list = (name: string, value: unknown): Float32Array => Float32Array.from(copyNumbers(where, name, value));
  const bias1 = list('bias1', given.bias1);
  const hidden = bias1.length;
  if (!hidden) throw wrongType(where, 'bias1', '[hidden ≥ 1] numbers', given.bias1);
  const weight1 = list('weight1', given.weight1);
  if (weight1.length !== 2 * hidden) throw wrongValue(where, 'weight1', `[hidden=${hidden}, 2] numbers`, `${weight1.length}`);
  const weight2 = list('weight2', given.weight2);
  const heads = weight2.length / hidden;
  if (!Number.isInteger(heads) || !heads) throw wrongValue(where, 'weight2', `[heads, hidden=${hidden}] numbers`, `${weight2.length}`);
  const last = bias2 === undefined ? new Float32Array(heads) : list('bias2', bias2);
  if (last.length !== heads) throw wrongValue(where, 'bias2', `[heads=${heads}] numbers`, `${last.length}`);
  return { heads, weight1, bias1, weight2, bias2: last };
}

/**
 * timm's `RelPosMlp` in mode `cr`: b = MLP(s(y_i − y_j), s(x_i − x_j))_h with s(d) = sign(d)·ln(1 + |d|) and one hidden layer of ReLU.
 * The bias has no parameters per position, so that a model can change its window.
 *
 * timm `mlp` of `layers/pos_embed_rel.py` (mlp.fc1.weight, mlp.fc1.bias, mlp.fc2.weight, mlp.fc2.bias); Swin v2 CR, MaxViT and CoAtNet with
 * `rel_pos_type='mlp'`.
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
 * ```
 */
export function relPosMlp(given: RelPosMlpOptions): Encoding {
  const where = 'relPosMlp';
  options(where, given, ['windowSize', 'weight1', 'bias1', 'weight2', 'bias2', 'prefixTokens']);
  const window = copyGrid(where, 'windowSize', given.windowSize);
  if (given.bias2 === undefined) throw wrongType(where, 'bias2', 'an array of numbers, a typed array or a tensor', given.bias2);
  const mlp = copyMlp(where, given, given.bias2);
  const prefix = integer(where, 'prefixTokens', given.prefixTokens ?? 0, 0, 65536);
  return {
    name: where,
    lower(context) {
      const { math } = context;
      const { heads, values } = coordinateTable(
        mlp,
        window,
        (d) => signedLog(d, math),
        (x) => x,
      );
      const P = values.length / heads;
      // Sums up to P − 1 are differences; a prefix token on either side lifts the sum to P or more, where the table is 0.
      const { rows, columns } = swinIndex(window);
      const lifted = (codes: Int32Array): Int32Array => Int32Array.from([...new Int32Array(prefix).fill(P), ...codes]);
      const table = new Float32Array(heads * (P + 1));
      for (let h = 0; h < heads; h++) table.set(values.subarray(h * P, (h + 1) * P), h * (P + 1));
      const map = Int32Array.from({ length: prefix ? 2 * P + 1 : P }, (_, n) => Math.min(n, P));
      const index = windowIndex(where, 'windowSize', { rows: lifted(rows), columns: lifted(columns), map }, context);
      return { biases: [{ kind: 'index', heads, table, index }] };
    },
  };
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'relPosMlp',
    formula: 'b = MLP(s(y_i − y_j), s(x_i − x_j)), s(d) = sign(d) · ln(1 + |d|)',
    options: 'windowSize, weight1, bias1, weight2, bias2, prefixTokens',
    models: 'Swin v2 CR, MaxViT and CoAtNet of timm',
    make: relPosMlp,
  },
];
