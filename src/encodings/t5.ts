import { boolean, integer, options } from '../check.ts';
import type { Arithmetic, Encoding } from '../plan.ts';
import { copyTable, type Table } from './tables.ts';

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
}

/** The bucket of an offset j − i. */
export function t5Bucket(offset: number, buckets: number, maxDistance: number, bidirectional: boolean, math: Arithmetic): number {
  const n = bidirectional ? Math.floor(buckets / 2) : buckets;
  const side = bidirectional && offset > 0 ? n : 0;
  const distance = bidirectional ? Math.abs(offset) : Math.max(-offset, 0);
  const exact = Math.floor(n / 2);
  if (distance < exact) return side + distance;
  const ratio = math.log(distance / exact) / math.log(maxDistance / exact);
  return side + Math.min(exact + Math.floor(ratio * (n - exact)), n - 1);
}

/**
 * T5's relative position bias: b = table[bucket(j − i), h], buckets exact for near offsets and logarithmic up to `maxDistance`.
 *
 * T5 does not divide the logits by √D: pass `scale: 1` to `attention` for its checkpoints.
 *
 * Raffel et al. 2019, arXiv 1910.10683; T5, mT5, Switch, Pop2Piano, Pix2Struct.
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
  options(where, given, ['heads', 'buckets', 'maxDistance', 'bidirectional', 'table']);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const bidirectional = boolean(where, 'bidirectional', given.bidirectional);
  const buckets = integer(where, 'buckets', given.buckets, bidirectional ? 4 : 2, 65536);
  const exact = Math.floor((bidirectional ? Math.floor(buckets / 2) : buckets) / 2);
  const maxDistance = integer(where, 'maxDistance', given.maxDistance, exact + 1);
  const table = copyTable(where, 'table', given.table, [buckets, heads]);
  return {
    name: where,
    lower({ math }) {
      return {
        biases: [
          {
            kind: 'offset',
            heads,
            fill(out, first, count) {
              for (let n = 0; n < count; n++) {
                const row = t5Bucket(first + n, buckets, maxDistance, bidirectional, math) * heads;
                for (let h = 0; h < heads; h++) out[h * count + n] = table[row + h] as number;
              }
            },
          },
        ],
      };
    },
  };
}
