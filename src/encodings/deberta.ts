import { integer, oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import { byHead, expectSize, readTable, type Table } from '../arguments/checkpoint-tables.ts';
import { placeOf } from '../arguments/lists.ts';
import { readList } from '../arguments/numbers.ts';
import { once } from '../plan/once.ts';
import type { Arithmetic, Encoding, LowerContext, RowMap, Shape, Term } from '../plan/plan.ts';
import { withTerms } from '../plan/with-terms.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

const TYPES = ['c2p', 'p2c'] as const;

/** Options of `deberta`, with the checkpoint's keys. */
export interface DebertaOptions {
  /** `max_relative_positions` (where that is −1: `max_position_embeddings`). */
  readonly maxRelativePositions: number;
  /** `position_buckets`: v2 and v3 with log buckets; −1 or left out: none, as in v1. */
  readonly positionBuckets?: number;
  /** `pos_att_type`: which of the two terms there are. */
  readonly posAttType: readonly ('c2p' | 'p2c')[];
  /**
   * The relative embeddings projected as keys, for c2p: [2·span, H, D]; span = positionBuckets, or maxRelativePositions without. Without
   * buckets the middle rows [2·n, H, D] are enough, n ≥ min(max(L, S), maxRelativePositions): v1 projects no more of them.
   */
  readonly posKey?: Table;
  /** The relative embeddings projected as queries, for p2c: [2·span, H, D], or the middle rows. */
  readonly posQuery?: Table;
}

/**
 * DeBERTa-v2's bucket of a distance i − j: itself up to half of the buckets, beyond that sign · (⌈ ln(|x|/mid) / ln((max − 1)/mid) ·
 * (mid − 1) ⌉ + mid).
 */
export function debertaBucket(distance: number, buckets: number, maxPosition: number, math: Arithmetic): number {
  const mid = Math.floor(buckets / 2);
  const size = Math.abs(distance);
  if (size <= mid) return distance;
  const ratio = math.log(size / mid) / math.log((maxPosition - 1) / mid);
  // A ratio that is a whole number but for rounding must not be rounded up past it.
  const log = Math.ceil(ratio * (mid - 1) - 1e-9) + mid;
  return distance < 0 ? -log : log;
}

/**
 * DeBERTa's disentangled attention: s = scale · [ q·k + q·Kr[δ(i, j)] + k·Qr[δ(i, j)] ], δ = clamp(bucket(i − j) + span, 0, 2·span − 1), the
 * same row in both terms. Where v1 slices its embeddings, span is min(max(L, S), maxRelativePositions), and the rows are the same.
 *
 * The scale is 1/√(D · (1 + number of terms)): pass it to `attention`. v1: add `q_bias` to q and `v_bias` to v beforehand. v2 and v3: the
 * tables are layer-normed (`norm_rel_ebd`) and projected, by the layer's own key and query projections if `share_att_key`.
 *
 * He et al. 2020, arXiv 2006.03654; He, Gao and Chen 2021, arXiv 2111.09543.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const table = new Float32Array(2 * 256 * 12 * 64);
 * const encoding = deberta({
 *   maxRelativePositions: 512, positionBuckets: 256, posAttType: ['c2p', 'p2c'], posKey: table, posQuery: table,
 * });
 * ```
 */
export function deberta(given: DebertaOptions): Encoding {
  const where = 'deberta';
  given = options(where, given, ['maxRelativePositions', 'positionBuckets', 'posAttType', 'posKey', 'posQuery']);
  const limit = integer(where, 'maxRelativePositions', given.maxRelativePositions, 1);
  const buckets = integer(where, 'positionBuckets', given.positionBuckets ?? -1, -1);
  if (buckets === 1) throw wrongValue(where, 'positionBuckets', 'more than 1', buckets);
  if (buckets > 0 && limit - 1 <= buckets / 2) throw wrongValue(where, 'maxRelativePositions', `more than ${buckets / 2 + 1}`, limit);
  if (!Array.isArray(given.posAttType)) throw wrongType(where, 'posAttType', "a list of 'c2p' and 'p2c'", given.posAttType);
  const types = readList(where, 'posAttType', given.posAttType, (type, n) => oneOf(where, `posAttType[${n}]`, type, TYPES));
  const terms = TYPES.flatMap((type) => (types.includes(type) ? [term(type)] : []));
  return withTerms({ name: where, lower: (context) => ({ terms: terms.map((lower) => lower(context)) }) });

  function term(type: 'c2p' | 'p2c'): (context: LowerContext) => Term {
    const name = type === 'c2p' ? 'posKey' : 'posQuery';
    const table = readTable(where, name, given[name]);
    const turned = once(
      ({ H, D }: Shape) => byHead(table, H, D),
      ({ H, D }) => [H, D],
    );
    return (context) => {
      const { H, D } = context.shape;
      const span = buckets > 0 ? buckets : spanOf(where, name, table, limit, context);
      expectSize(where, name, table, [2 * span, H, D]);
      const bucket = (distance: number): number => (buckets > 0 ? debertaBucket(distance, buckets, limit, context.math) : distance);
      const rows: RowMap = {
        kind: 'offset',
        row: (offset) => Math.max(0, Math.min(2 * span - 1, bucket(-offset) + span)),
        variant: String(span),
      };
      return { kind: type === 'c2p' ? 'query' : 'key', table: turned(context.shape), heads: H, rows };
    };
  }
}

/** Half the rows of a table without buckets: `limit`, or as few as reach all distances of the call. */
function spanOf(where: string, name: string, table: Float32Array, limit: number, context: LowerContext): number {
  const { H, D, L } = context.shape;
  const span = table.length / (2 * H * D);
  const least = Math.min(Math.max(L, placeOf(context).totalKeys), limit);
  if (Number.isInteger(span) && span >= least && span <= limit) return span;
  const count = least === limit ? `${2 * limit}` : `2·n (${least} ≤ n ≤ ${limit})`;
  throw wrongValue(where, name, `[${count}, H=${H}, D=${D}] numbers`, `${table.length}`);
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'deberta',
    formula: 's = scale · (q·k + q·Kr[δ(i − j)] + k·Qr[δ(i − j)])',
    options: 'maxRelativePositions, positionBuckets, posAttType, posKey, posQuery',
    models: 'DeBERTa v1, v2, v3',
    make: deberta,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  deberta: {
    kind: 'two tables',
    options: ({ H, D }, { table }) => ({
      maxRelativePositions: 512,
      positionBuckets: 256,
      posAttType: ['c2p', 'p2c'],
      posKey: table([512, H, D]),
      posQuery: table([512, H, D]),
    }),
  },
};
