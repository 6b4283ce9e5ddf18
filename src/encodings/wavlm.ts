import { integer, options, wrongType, wrongValue } from '../arguments/check.ts';
import { copyTable, readTable, type Table } from '../arguments/checkpoint-tables.ts';
import { copyByHead } from '../arguments/lists.ts';
import { expectShape, isSafeTensor, ownArray, type SafeTensorLike } from '../arguments/numbers.ts';
import { Tensor } from '../memory/tensor.ts';
import type { Arithmetic, Encoding, Shape } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';
import { copyBuckets, offsetBuckets } from './t5.ts';

/** Options of `wavlm`, with the checkpoint's keys in brackets; `attention.` before each tensor name. */
export interface WavLMOptions {
  /** Query heads, H (`num_attention_heads`). */
  readonly heads: number;
  /** Rows of the table (`num_buckets`, 320). */
  readonly numBuckets: number;
  /** Offsets from here on share the last bucket (`max_bucket_distance`, 800). */
  readonly maxDistance: number;
  /** [numBuckets, heads]: `rel_attn_embed.weight`, which only layer 0 has. */
  readonly table: Table;
  /**
   * The layer's input, [B, L, H·w], from which the gates come. Read at each call, not copied: fill it anew for each. One of a safetensors
   * file is read when the encoding is made.
   */
  readonly input: Float32Array | Tensor | SafeTensorLike;
  /** [8, w]: `gru_rel_pos_linear.weight`. */
  readonly gateWeight: Table;
  /** [8]: `gru_rel_pos_linear.bias`. */
  readonly gateBias: Table;
  /** [heads]: `gru_rel_pos_const`. */
  readonly gateConst: Table;
}

const NAMES = ['heads', 'numBuckets', 'maxDistance', 'table', 'input', 'gateWeight', 'gateBias', 'gateConst'];
/** The linear layer's outputs, summed in two groups. */
const GATES = 8;

interface Gate {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly constant: Float32Array;
}

/** a·(r·c_h − 1) + 2 for every row, [B, H, L], in f64. */
function gates(input: Float32Array, { weight, bias, constant }: Gate, { B, H, L }: Shape, math: Arithmetic): Float32Array {
  const width = weight.length / GATES;
  const out = new Float32Array(B * H * L);
  const half = new Float64Array(2);
  for (let row = 0; row < B * L; row++) {
    for (let h = 0; h < H; h++) {
      const from = (row * H + h) * width;
      half.fill(0);
      for (let n = 0; n < GATES; n++) {
        let sum = bias[n] as number;
        for (let c = 0; c < width; c++) sum += (input[from + c] as number) * (weight[n * width + c] as number);
        half[n < GATES / 2 ? 0 : 1] = (half[n < GATES / 2 ? 0 : 1] as number) + sum;
      }
      const [a, r] = half.map((x) => 1 / (1 + math.exp(-x)));
      out[(Math.floor(row / L) * H + h) * L + (row % L)] = (a as number) * ((r as number) * (constant[h] as number) - 1) + 2;
    }
  }
  return out;
}

/**
 * WavLM's gated bias: b = g_h(i) · table[bucket(j − i), h], T5's buckets in both directions. The gate reads the layer's input x (not q),
 * split in heads: the eight outputs of a linear layer, summed in two fours and put through a sigmoid, are a and r, and
 * g = a·(r·c_h − 1) + 2.
 *
 * Chen et al. 2021, arXiv 2110.13900; WavLM.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const engine = await createEngine();
 * const encoding = wavlm({
 *   heads: 12,
 *   numBuckets: 320,
 *   maxDistance: 800,
 *   table: new Float32Array(320 * 12),
 *   input: engine.tensor([1, 50, 768]),
 *   gateWeight: new Float32Array(8 * 64),
 *   gateBias: new Float32Array(8),
 *   gateConst: new Float32Array(12).fill(1),
 * });
 * engine.dispose();
 * ```
 */
export function wavlm(given: WavLMOptions): Encoding {
  const where = 'wavlm';
  given = options(where, given, NAMES);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const names = { buckets: 'numBuckets', maxDistance: 'maxDistance' };
  const sizes = copyBuckets(where, names, { buckets: given.numBuckets, maxDistance: given.maxDistance }, true);
  const table = copyByHead(where, 'table', given.table, sizes.buckets, heads);
  const weight = readTable(where, 'gateWeight', given.gateWeight);
  if (!weight.length || weight.length % GATES) throw wrongValue(where, 'gateWeight', `[${GATES}, w] numbers`, `${weight.length}`);
  expectShape(where, 'gateWeight', weight, [GATES, weight.length / GATES]);
  const gate: Gate = {
    weight,
    bias: copyTable(where, 'gateBias', given.gateBias, [GATES]),
    constant: copyTable(where, 'gateConst', given.gateConst, [heads]),
  };
  const { input } = given;
  const numbers = input instanceof Tensor ? input : isSafeTensor(input) ? readTable(where, 'input', input) : ownArray(input);
  if (!(numbers instanceof Tensor || numbers instanceof Float32Array)) throw wrongType(where, 'input', 'a Float32Array or a tensor', input);
  return withBiases({
    name: where,
    lower({ shape, math }) {
      const { B, H, L } = shape;
      const x = numbers instanceof Tensor ? numbers.toArray() : numbers;
      const width = (H * weight.length) / GATES;
      if (H !== heads) throw wrongValue(where, 'heads', `H=${H}`, heads);
      if (x.length !== B * L * width) throw wrongValue(where, 'input', `[B=${B}, L=${L}, ${width}] numbers`, `${x.length}`);
      expectShape(where, 'input', numbers, [B, L, width]);
      // The input is of one call, and so is the encoding: a table that is kept would never be met again.
      const { variant: _, ...biases } = offsetBuckets(table, sizes, math);
      return { biases: [{ ...biases, gate: gates(x, gate, shape, math) }] };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'wavlm',
    formula: "b = g(i) · table[bucket(j − i), h], g = a·(r·c_h − 1) + 2 from the layer's input",
    options: 'heads, numBuckets, maxDistance, table, input, gateWeight, gateBias, gateConst',
    models: 'WavLM',
    make: wavlm,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  wavlm: {
    kind: 'gated bias',
    options: ({ H, L }, { table, weights }) => ({
      heads: H,
      numBuckets: 320,
      maxDistance: 800,
      table: table([320, H]),
      input: weights([L, H * 8]),
      gateWeight: weights([8, 8]),
      gateBias: weights([8]),
      gateConst: weights([H]),
    }),
  },
};
