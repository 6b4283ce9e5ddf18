// T5's bias where keys of blocks stand behind those of tokens, as LongT5 has them: buckets of the distance between tokens, and buckets of the distance
// between blocks, each with a table of its own.

import { type Buckets, t5Bucket } from '../../encodings/t5.ts';
import type { Arithmetic, Encoding, IndexBias } from '../../plan/plan.ts';
import { withBiases } from '../../plan/with-biases.ts';

/** What the bias is made of; tables are [buckets, heads]. */
export interface BlockBiasOptions extends Buckets {
  readonly heads: number;
  /** Tokens of a block. */
  readonly block: number;
  readonly table: Float32Array;
  readonly blocks: Float32Array;
}

/**
 * The bias of a call of L queries over L + B keys: those of the tokens, and those of B = ⌊L / block⌋ blocks. Tokens that fill no block count to the
 * last one.
 */
export function blockBias(options: BlockBiasOptions): Encoding {
  const { block } = options;
  const tokens = extended(options, options.table);
  const blocks = extended(options, options.blocks);
  return withBiases({
    name: 't5',
    lower({ shape: { L, S }, math }) {
      const count = S - L;
      const token = (n: number): number => n;
      const ofToken = (n: number): number => Math.min(Math.floor(n / block), count - 1);
      const near = bias(options, tokens, math, { queries: L, last: L - 1, keys: S, first: 0, end: L }, token);
      if (count === 0) return { biases: [near] };
      return { biases: [near, bias(options, blocks, math, { queries: L, last: count - 1, keys: S, first: L, end: S }, ofToken)] };
    },
  });
}

/** A table by head, and behind the buckets of each head a 0: for keys that it says nothing of. */
function extended({ heads, buckets }: BlockBiasOptions, table: Float32Array): Float32Array {
  return Float32Array.from({ length: heads * (buckets + 1) }, (_, n) => {
    const [head, bucket] = [Math.floor(n / (buckets + 1)), n % (buckets + 1)];
    return bucket < buckets ? (table[bucket * heads + head] as number) : 0;
  });
}

/** Which keys a bias is of, and the place of the last one that a query can stand at. */
interface Reach {
  readonly queries: number;
  readonly last: number;
  readonly keys: number;
  readonly first: number;
  readonly end: number;
}

/** The bias of the keys first … end − 1, which stand at 0, 1 …: by their distance from where `at` says that a query stands; of others 0. */
function bias(
  { heads, buckets, maxDistance, bidirectional }: BlockBiasOptions,
  table: Float32Array,
  math: Arithmetic,
  { queries, last, keys, first, end }: Reach,
  at: (query: number) => number,
): IndexBias {
  // Distances are −last … last; a key that is not meant is put behind all of them.
  const beyond = 2 * last + 1;
  return {
    kind: 'index',
    heads,
    table,
    index: {
      rows: Int32Array.from({ length: queries }, (_, i) => last - at(i)),
      columns: Int32Array.from({ length: keys }, (_, j) => (j >= first && j < end ? j - first : beyond)),
      map: Int32Array.from({ length: beyond + last + 1 }, (_, n) =>
        n < beyond ? t5Bucket(n - last, buckets, maxDistance, bidirectional, math) : buckets,
      ),
    },
  };
}
