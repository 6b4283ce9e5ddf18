import { boolean, finite, integer, options, wrongType, wrongValue } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { copyByHead, copyNumbers, type HeadTable, type Numbers, standing } from '../arguments/lists.ts';
import { DIFFERENCES_LIMIT, differenceIndex } from '../plan/differences.ts';
import type { Arithmetic, Bias, Encoding, LowerContext, OffsetBias } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `t5`, with the checkpoint's keys in brackets. */
export interface T5Options {
  /** Query heads, H (`num_heads`). */
  readonly heads: number;
  /** Rows of the table (`relative_attention_num_buckets`). */
  readonly buckets: number;
  /** Offsets from here on share the last bucket (`relative_attention_max_distance`). */
  readonly maxDistance: number;
  /** True in encoders: half of the buckets are for keys to the right. False in decoders: those share bucket 0. */
  readonly bidirectional: boolean;
  /** [buckets, heads]: `relative_attention_bias.weight`. */
  readonly table: Table;
  /** A coordinate for each position instead of its index, [S] or [B, S], such as the middle of a box. */
  readonly positions?: Numbers;
  /** Multiplies differences of `positions`, whose fraction is then cut off (`scaling_factor`); default 1. */
  readonly scalingFactor?: number;
}

/** How near to a whole number a quotient of logarithms must be to count as one: above its rounding error, far below its steps. */
const WHOLE = 1e-11;

/** The bucket of an offset j − i; ⌊n·ln(d/m) / ln(maxDistance/m)⌋ is exact also where d/m is a power of the quotient's root. */
export function t5Bucket(offset: number, buckets: number, maxDistance: number, bidirectional: boolean, math: Arithmetic): number {
  const n = bidirectional ? Math.floor(buckets / 2) : buckets;
  const side = bidirectional && offset > 0 ? n : 0;
  const distance = bidirectional ? Math.abs(offset) : Math.max(-offset, 0);
  const exact = Math.floor(n / 2);
  if (distance < exact) return side + distance;
  if (distance >= maxDistance) return side + n - 1;
  const ratio = math.log(distance / exact) / math.log(maxDistance / exact);
  return side + Math.min(exact + Math.floor(ratio * (n - exact) + WHOLE), n - 1);
}

/** What schemes with T5's buckets share. */
export interface Buckets {
  readonly buckets: number;
  readonly maxDistance: number;
  readonly bidirectional: boolean;
}

/** Reads and checks the size of a bucketed table. */
export function copyBuckets(
  where: string,
  names: { readonly buckets: string; readonly maxDistance: string },
  given: { readonly buckets: unknown; readonly maxDistance: unknown },
  bidirectional: boolean,
): Buckets {
  const buckets = integer(where, names.buckets, given.buckets, bidirectional ? 4 : 2, 65536);
  const exact = Math.floor((bidirectional ? Math.floor(buckets / 2) : buckets) / 2);
  return { buckets, bidirectional, maxDistance: integer(where, names.maxDistance, given.maxDistance, exact + 1) };
}

/** The bias of bucketed offsets j − i. */
export function offsetBuckets(
  { heads, values }: HeadTable,
  { buckets, maxDistance, bidirectional }: Buckets,
  math: Arithmetic,
): OffsetBias {
  return {
    kind: 'offset',
    heads,
    variant: '',
    fill(out, first, count) {
      for (let n = 0; n < count; n++) {
        const row = t5Bucket(first + n, buckets, maxDistance, bidirectional, math);
        for (let h = 0; h < heads; h++) out[h * count + n] = values[h * buckets + row] as number;
      }
    },
  };
}

/** The bias of bucketed differences x_j − x_i of one number per position, cut to whole numbers. @throws RangeError if they do not fit */
export function differenceBuckets(
  [where, name]: readonly [string, string],
  list: Float64Array,
  { heads, values }: HeadTable,
  { buckets, maxDistance, bidirectional }: Buckets,
  context: LowerContext,
): Bias {
  const entry = (difference: number): number => t5Bucket(difference, buckets, maxDistance, bidirectional, context.math);
  const index = differenceIndex(standing(where, name, list, context), entry);
  if (!index) throw wrongValue(where, name, `at most ${DIFFERENCES_LIMIT} different values between the smallest and the largest`, 'more');
  return { kind: 'index', heads, table: values, index };
}

/**
 * T5's relative position bias: b = table[bucket(j − i), h], buckets exact for near offsets and logarithmic up to `maxDistance`.
 *
 * T5 does not divide the logits by √D: pass `scale: 1` to `attention` for its checkpoints. The local layers of LongT5 are this with
 * `window: { left: local_radius, right: local_radius }`. UDOP adds three of them: one plain, one over the middles (x0 + x1) / 2 of the
 * boxes as `positions` and one over (y0 + y1) / 2, both with `scalingFactor` 100 and `maxDistance` 100. Differences are exact here; where
 * one is within a float32 rounding of a whole number, the original's may fall on the other side of it.
 *
 * Raffel et al. 2019, arXiv 1910.10683; T5, mT5, Switch, Pop2Piano, Pix2Struct, LongT5, UDOP.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const table = new Float32Array(32 * 8);
 * const encoding = t5({ heads: 8, buckets: 32, maxDistance: 128, bidirectional: true, table });
 * ```
 */
export function t5(given: T5Options): Encoding {
  const where = 't5';
  given = options(where, given, ['heads', 'buckets', 'maxDistance', 'bidirectional', 'table', 'positions', 'scalingFactor']);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const names = { buckets: 'buckets', maxDistance: 'maxDistance' };
  const sizes = copyBuckets(where, names, given, boolean(where, 'bidirectional', given.bidirectional));
  const table = copyByHead(where, 'table', given.table, sizes.buckets, heads);
  const factor = finite(where, 'scalingFactor', given.scalingFactor ?? 1, 0);
  if (given.positions === undefined) {
    if (given.scalingFactor !== undefined) throw wrongType(where, 'positions', 'numbers beside "scalingFactor"', given.positions);
    return withBiases({ name: where, steady: true, lower: ({ math }) => ({ biases: [offsetBuckets(table, sizes, math)] }) });
  }
  const positions = copyNumbers(where, 'positions', given.positions).map((x) => x * factor);
  return withBiases({
    name: where,
    lower: (context) => ({ biases: [differenceBuckets([where, 'positions'], positions, table, sizes, context)] }),
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 't5',
    formula: 'b = table[bucket(j − i), h]',
    options: 'heads, buckets, maxDistance, bidirectional, table, positions, scalingFactor',
    models: 'T5, mT5, Switch, Pop2Piano, Pix2Struct, LongT5, UDOP',
    make: t5,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  t5: {
    kind: 'offset bias',
    options: ({ H }, { table }) => ({ heads: H, buckets: 32, maxDistance: 128, bidirectional: true, table: table([32, H]) }),
  },
};
