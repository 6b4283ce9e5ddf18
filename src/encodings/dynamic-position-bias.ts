import { boolean, integer, options, wrongType, wrongValue } from '../arguments/check.ts';
import { readTable, rowsOf, type Table } from '../arguments/checkpoint-tables.ts';
import { readList } from '../arguments/numbers.ts';
import type { Arithmetic, Encoding } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** A linear layer of `dynamicPositionBias`, as PyTorch stores it. */
export interface PositionLayer {
  /** [out, in]. */
  readonly weight: Table;
  /** [out]. */
  readonly bias: Table;
}

/** Options of `dynamicPositionBias`. */
export interface DynamicPositionBiasOptions {
  /** Query heads, H. */
  readonly heads: number;
  /** The layers in order: the first takes one number, the last gives H; SiLU stands between them. */
  readonly layers: readonly PositionLayer[];
  /** True: the network sees sign(x)·ln(|x| + 1) instead of the distance x. Default false. */
  readonly logDistance?: boolean;
}

/**
 * Dynamic position bias: b = MLP(x)_h with x = i − j, or its signed logarithm; SiLU between the layers.
 *
 * Wang et al. 2021 (CrossFormer), arXiv 2108.00154; the one-axis form of x-transformers (`dynamic_pos_bias`).
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const layer = (out: number, width: number) => ({ weight: new Float32Array(out * width), bias: new Float32Array(out) });
 * const encoding = dynamicPositionBias({ heads: 8, layers: [layer(32, 1), layer(8, 32)], logDistance: true });
 * ```
 */
export function dynamicPositionBias(given: DynamicPositionBiasOptions): Encoding {
  const where = 'dynamicPositionBias';
  given = options(where, given, ['heads', 'layers', 'logDistance']);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const logDistance = boolean(where, 'logDistance', given.logDistance ?? false);
  const layers = readLayers(where, given.layers, heads);
  return withBiases({
    name: where,
    steady: true,
    lower({ math }) {
      const fill = (out: Float32Array, first: number, count: number): void => {
        for (let n = 0; n < count; n++) {
          const x = -(first + n);
          const signed = Math.sign(x) * math.log(Math.abs(x) + 1);
          network(layers, logDistance ? signed : x, math).forEach((bias, h) => {
            out[h * count + n] = bias;
          });
        }
      };
      return { biases: [{ kind: 'offset', heads, fill, variant: '' }] };
    },
  });
}

interface Layer {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** Copies of the layers, each checked to take what the one before it gives. */
function readLayers(where: string, given: unknown, heads: number): readonly Layer[] {
  if (!Array.isArray(given) || given.length === 0) throw wrongType(where, 'layers', 'a list of layers', given);
  let width = 1;
  const layers = readList(where, 'layers', given, (layer, n) => {
    const own = options(where, layer, ['weight', 'bias'], `layers[${n}]`);
    const weight = readTable(where, `layers[${n}].weight`, own.weight);
    const bias = readTable(where, `layers[${n}].bias`, own.bias);
    const rows = rowsOf(where, `layers[${n}].weight`, weight, width, `${width}`);
    if (bias.length !== rows) throw wrongValue(where, `layers[${n}].bias`, `[${rows}]`, `${bias.length}`);
    width = rows;
    return { weight, bias };
  });
  if (width !== heads) throw wrongValue(where, 'layers', `a last layer of heads=${heads} rows`, `${width}`);
  return layers;
}

/** The network at one distance, in f64: [H]. */
function network(layers: readonly Layer[], x: number, math: Arithmetic): number[] {
  return layers.reduce<number[]>(
    (inputs, { weight, bias }, n) => {
      const values = n === 0 ? inputs : inputs.map((value) => value / (1 + math.exp(-value)));
      return Array.from(bias, (b, row) => values.reduce((sum, value, k) => sum + value * (weight[row * values.length + k] as number), b));
    },
    [x],
  );
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'dynamicPositionBias',
    formula: 'b = MLP(i − j)_h',
    options: 'heads, layers, logDistance',
    models: 'CrossFormer, x-transformers',
    make: dynamicPositionBias,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  dynamicPositionBias: {
    kind: 'offset bias',
    // −|x| through two hidden units, as far as SiLU is the positive part.
    options: ({ H }) => ({
      heads: H,
      layers: [
        { weight: [1, -1], bias: [0, 0] },
        { weight: new Float32Array(2 * H).fill(-1), bias: new Float32Array(H) },
      ],
    }),
  },
};
