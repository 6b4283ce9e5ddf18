import { boolean, integer, options, wrongValue } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { copyByHead, copyIntegers, copyWhole, type HeadTable, type Integers } from '../arguments/lists.ts';
import { expectShape } from '../arguments/numbers.ts';
import type { Bias, Encoding } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';
import { copyBuckets, differenceBuckets, offsetBuckets } from './t5.ts';

/** Options of `layoutLMv3`, with the checkpoint's keys in brackets. */
export interface LayoutLMv3Options {
  /** Query heads, H (`num_attention_heads`). */
  readonly heads: number;
  /** Buckets over token positions (`rel_pos_bins`, 32) and their reach (`max_rel_pos`, 128). */
  readonly relPosBins: number;
  readonly maxRelPos: number;
  /** Buckets over boxes (`rel_2d_pos_bins`, 64) and their reach (`max_rel_2d_pos`, 256). */
  readonly rel2dPosBins: number;
  readonly maxRel2dPos: number;
  /** [relPosBins, heads]: the transpose of `rel_pos_bias.weight`, which the checkpoint keeps as [heads, bins]. */
  readonly relPosBias: Table;
  /** [rel2dPosBins, heads]: the transpose of `rel_pos_x_bias.weight`. */
  readonly relPosXBias: Table;
  /** [rel2dPosBins, heads]: the transpose of `rel_pos_y_bias.weight`. */
  readonly relPosYBias: Table;
  /** [S, 4] or [B, S, 4]: left, top, right, bottom of each token's box, in the model 0 … 1000. */
  readonly bbox: Integers;
  /** `position_ids`, [S] or [B, S]; default 0 … S − 1. */
  readonly positions?: Integers;
  /** True (LayoutLMv3) divides the biases by √D with q·k; false (LayoutLMv2) adds them as they are. Default true. */
  readonly divided?: boolean;
}

const NAMES = [
  'heads',
  'relPosBins',
  'maxRelPos',
  'rel2dPosBins',
  'maxRel2dPos',
  'relPosBias',
  'relPosXBias',
  'relPosYBias',
  'bbox',
  'positions',
  'divided',
];
/** Far beyond any page in pixels. */
const COORDINATE_LIMIT = 0x100000;

/** Columns of a box that count: x is its left side, y its bottom. */
const LEFT = 0;
const BOTTOM = 3;

function copyBins(where: string, name: string, given: unknown, rows: number, heads: number): HeadTable {
  return copyByHead(where, name, given, rows, heads);
}

/**
 * LayoutLM's biases: b = (table[bucket(p_j − p_i)] + tableX[bucket(x_j − x_i)] + tableY[bucket(y_j − y_i)]) / √D, with T5's buckets in
 * both directions over positions p, left sides x and bottom sides y of the boxes. The model's softmax (CogView's) equals the plain one.
 *
 * Huang et al. 2022, arXiv 2204.08387; LayoutLMv3, LayoutLMv2.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = layoutLMv3({
 *   heads: 12,
 *   relPosBins: 32,
 *   maxRelPos: 128,
 *   rel2dPosBins: 64,
 *   maxRel2dPos: 256,
 *   relPosBias: new Float32Array(32 * 12),
 *   relPosXBias: new Float32Array(64 * 12),
 *   relPosYBias: new Float32Array(64 * 12),
 *   bbox: [0, 0, 100, 20, 110, 0, 180, 20],
 * });
 * ```
 */
export function layoutLMv3(given: LayoutLMv3Options): Encoding {
  const where = 'layoutLMv3';
  given = options(where, given, NAMES);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const line = copyBuckets(
    where,
    { buckets: 'relPosBins', maxDistance: 'maxRelPos' },
    { buckets: given.relPosBins, maxDistance: given.maxRelPos },
    true,
  );
  const page = copyBuckets(
    where,
    { buckets: 'rel2dPosBins', maxDistance: 'maxRel2dPos' },
    { buckets: given.rel2dPosBins, maxDistance: given.maxRel2dPos },
    true,
  );
  const table = copyBins(where, 'relPosBias', given.relPosBias, line.buckets, heads);
  const tableX = copyBins(where, 'relPosXBias', given.relPosXBias, page.buckets, heads);
  const tableY = copyBins(where, 'relPosYBias', given.relPosYBias, page.buckets, heads);
  const boxes = copyIntegers(where, 'bbox', given.bbox, -COORDINATE_LIMIT, COORDINATE_LIMIT);
  if (boxes.length % 4) throw wrongValue(where, 'bbox', '[S, 4] or [B, S, 4] numbers', `${boxes.length}`);
  expectShape(where, 'bbox', boxes, [boxes.length / 4, 4]);
  const side = (column: number): Float64Array => Float64Array.from({ length: boxes.length / 4 }, (_, n) => boxes[4 * n + column] as number);
  const x = side(LEFT);
  const y = side(BOTTOM);
  const positions =
    given.positions === undefined ? undefined : copyWhole(where, 'positions', given.positions, -COORDINATE_LIMIT, COORDINATE_LIMIT);
  const divided = boolean(where, 'divided', given.divided ?? true);
  return withBiases({
    name: where,
    lower(context) {
      const coefficient = divided ? 1 / Math.sqrt(context.shape.D) : 1;
      const parts: readonly Bias[] = [
        positions ? differenceBuckets([where, 'positions'], positions, table, line, context) : offsetBuckets(table, line, context.math),
        differenceBuckets([where, 'bbox'], x, tableX, page, context),
        differenceBuckets([where, 'bbox'], y, tableY, page, context),
      ];
      return { biases: parts.map((bias) => ({ ...bias, coefficient })) };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'layoutLMv3',
    formula: 'b = (table[bucket(p_j − p_i)] + tableX[bucket(x_j − x_i)] + tableY[bucket(y_j − y_i)]) / √D',
    options: 'heads, relPosBins, maxRelPos, rel2dPosBins, maxRel2dPos, relPosBias, relPosXBias, relPosYBias, bbox, positions, divided',
    models: 'LayoutLMv3, LayoutLMv2',
    make: layoutLMv3,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  layoutLMv3: {
    kind: 'three biases',
    options: ({ H, L }, { table }) => ({
      heads: H,
      relPosBins: 32,
      maxRelPos: 128,
      rel2dPosBins: 64,
      maxRel2dPos: 256,
      relPosBias: table([32, H]),
      relPosXBias: table([64, H]),
      relPosYBias: table([64, H]),
      // A page of lines of eight words.
      bbox: Array.from(
        { length: 4 * L },
        (_, n) => (n % 2 ? 20 * Math.floor(n / 32) + 5 * (n % 4) : 120 * ((n >> 2) % 8) + 50 * (n % 4)) % 1000,
      ),
    }),
  },
};
