import { integer, options } from '../arguments/check.ts';
import type { Table } from '../arguments/checkpoint-tables.ts';
import { copyByHead } from '../arguments/lists.ts';
import type { Encoding } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';
import { offsetBuckets } from './t5.ts';

/** Options of `mpnet`. */
export interface MPNetOptions {
  /** Query heads, H (`num_attention_heads`). */
  readonly heads: number;
  /** [32, heads]: `encoder.relative_attention_bias.weight`. */
  readonly table: Table;
}

/** Fixed in the model's code, whatever `relative_attention_num_buckets` says. */
const SIZES = { buckets: 32, maxDistance: 128, bidirectional: true };

/**
 * MPNet's relative position bias: T5's, in both directions with 32 buckets up to distance 128, added to logits that are divided by √D
 * (the default `scale`). Offsets are those of the tokens, not of `position_ids`; all layers share the table.
 *
 * Song et al. 2020, arXiv 2004.09297.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = mpnet({ heads: 12, table: new Float32Array(32 * 12) });
 * ```
 */
export function mpnet(given: MPNetOptions): Encoding {
  const where = 'mpnet';
  given = options(where, given, ['heads', 'table']);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const table = copyByHead(where, 'table', given.table, SIZES.buckets, heads);
  return withBiases({ name: where, steady: true, lower: ({ math }) => ({ biases: [offsetBuckets(table, SIZES, math)] }) });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'mpnet',
    formula: 'b = table[bucket(j − i), h], 32 buckets up to 128',
    options: 'heads, table',
    models: 'MPNet',
    make: mpnet,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  mpnet: { kind: 'offset bias', options: ({ H }, { table }) => ({ heads: H, table: table([32, H]) }) },
};
