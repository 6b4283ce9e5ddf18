import { integer, options, wrongValue } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { copyByHead, copyWhole, type HeadTable, type Integers, placeOf, type Standing, standing } from '../arguments/lists.ts';
import { DIFFERENCES_LIMIT } from '../plan/differences.ts';
import type { Bias, Encoding, LowerContext } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';
import { type Buckets, copyBuckets, t5Bucket } from './t5.ts';

/** Options of `cpmAnt`, with the checkpoint's keys in brackets. */
export interface CpmAntOptions {
  /** Query heads, H (`num_attention_heads`). */
  readonly heads: number;
  /** Buckets within a segment (`position_bias_num_buckets`, 512). */
  readonly positionBiasNumBuckets: number;
  /** Offsets from here on share the last bucket (`position_bias_max_distance`, 2048). */
  readonly positionBiasMaxDistance: number;
  /** Kinds of segments, T (`segment_types`, 32). */
  readonly segmentTypes: number;
  /** [positionBiasNumBuckets + T², heads]: `position_bias.relative_attention_bias`. */
  readonly table: Table;
  /** Segment of each position, [S] or [B, S], in 0 … T − 1. */
  readonly segments: Integers;
}

/**
 * Within a segment: the bucket of the offset; 0 elsewhere. With the segments in use ranked r and W the number of offsets, the sum
 * of codes is (j − i) + W·(r_j − r_i), from which a map reads off whether the segments are the same.
 */
function within({ heads, values }: HeadTable, sizes: Buckets, { queries, keys }: Standing, context: LowerContext): Bias {
  const { math, shape } = context;
  const { queryOffset, keyOffset, totalKeys } = placeOf(context);
  const kinds = [...new Set([...queries, ...keys])].sort((a, b) => a - b);
  const rank = new Map(kinds.map((segment, r) => [segment, r]));
  const rankOf = (segment: number): number => rank.get(segment) as number;
  const last = Math.max(0, totalKeys - 1);
  const W = 2 * last + 1;
  const zero = last + W * Math.max(0, kinds.length - 1); // the sum where both are the same
  if (2 * zero + 1 > DIFFERENCES_LIMIT) {
    throw wrongValue('cpmAnt', 'segments', `segments × positions ≤ ${DIFFERENCES_LIMIT / 4}`, `${kinds.length} × ${totalKeys}`);
  }
  const P = values.length / heads;
  const table = new Float32Array(heads * (sizes.buckets + 1));
  for (let h = 0; h < heads; h++) table.set(values.subarray(h * P, h * P + sizes.buckets), h * (sizes.buckets + 1));
  const map = new Int32Array(2 * zero + 1).fill(sizes.buckets);
  for (let offset = -last; offset <= last; offset++) {
    map[zero + offset] = t5Bucket(offset, sizes.buckets, sizes.maxDistance, true, math);
  }
  const rows = Int32Array.from(queries, (segment, n) => zero - (queryOffset + (n % shape.L)) - W * rankOf(segment));
  const columns = Int32Array.from(keys, (segment, n) => keyOffset + (n % shape.S) + W * rankOf(segment));
  return { kind: 'index', heads, table, index: { rows, columns, map } };
}

/** Between segments: the entry of the pair; 0 within one. */
function between({ heads, values }: HeadTable, buckets: number, types: number, { queries, keys }: Standing): Bias {
  const P = values.length / heads;
  const table = Float32Array.from({ length: heads * types * types }, (_, n) => {
    const pair = n % (types * types);
    return Math.floor(pair / types) === pair % types ? 0 : (values[Math.floor(n / (types * types)) * P + buckets + pair] as number);
  });
  return { kind: 'index', heads, table, index: { rows: Int32Array.from(queries, (s) => s * types), columns: Int32Array.from(keys) } };
}

/**
 * CPM-Ant's bias: b = table[bucket(j − i)] between positions of one segment, with T5's buckets in both directions, and
 * table[buckets + segment(i)·T + segment(j)] between segments.
 *
 * CPM-Ant 10B, OpenBMB 2022; `CpmAntSegmentPositionEmbedding` of the HF model.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = cpmAnt({
 *   heads: 2,
 *   positionBiasNumBuckets: 512,
 *   positionBiasMaxDistance: 2048,
 *   segmentTypes: 32,
 *   table: new Float32Array((512 + 32 * 32) * 2),
 *   segments: [0, 0, 2, 2, 2],
 * });
 * ```
 */
export function cpmAnt(given: CpmAntOptions): Encoding {
  const where = 'cpmAnt';
  given = options(where, given, ['heads', 'positionBiasNumBuckets', 'positionBiasMaxDistance', 'segmentTypes', 'table', 'segments']);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const sizes = copyBuckets(
    where,
    { buckets: 'positionBiasNumBuckets', maxDistance: 'positionBiasMaxDistance' },
    { buckets: given.positionBiasNumBuckets, maxDistance: given.positionBiasMaxDistance },
    true,
  );
  const types = integer(where, 'segmentTypes', given.segmentTypes, 1, 1024);
  const rows = sizes.buckets + types * types;
  const table = copyByHead(where, 'table', given.table, rows, heads);
  const segments = copyWhole(where, 'segments', given.segments, 0, types - 1);
  return withBiases({
    name: where,
    lower(context) {
      const here = standing(where, 'segments', segments, context);
      return { biases: [within(table, sizes, here, context), between(table, sizes.buckets, types, here)] };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'cpmAnt',
    formula: 'b = table[bucket(j − i), h] within a segment, table[buckets + segment(i)·T + segment(j), h] between segments',
    options: 'heads, positionBiasNumBuckets, positionBiasMaxDistance, segmentTypes, table, segments',
    models: 'CPM-Ant',
    make: cpmAnt,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  cpmAnt: {
    kind: 'index bias',
    options: ({ H, L }, { table }) => ({
      heads: H,
      positionBiasNumBuckets: 512,
      positionBiasMaxDistance: 2048,
      segmentTypes: 2,
      table: table([516, H]),
      segments: Array.from({ length: L }, (_, j) => Number(j >= L / 4)),
    }),
  },
};
