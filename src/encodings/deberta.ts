import { integer, options, wrongType, wrongValue } from '../arguments/check.ts';
import { byHead, expectSize, readTable, type Table } from '../arguments/checkpoint-tables.ts';
import type { Arithmetic, Encoding, RowMap, Term } from '../plan/plan.ts';
import type { Scheme } from './scheme.ts';

/** Options of `deberta`, with the checkpoint's keys. */
export interface DebertaOptions {
  /** `max_relative_positions` (where that is −1: `max_position_embeddings`). */
  readonly maxRelativePositions: number;
  /** `position_buckets`: v2 and v3 with log buckets; −1 or left out: none, as in v1. */
  readonly positionBuckets?: number;
  /** `pos_att_type`: which of the two terms there are. */
  readonly posAttType: readonly ('c2p' | 'p2c')[];
  /** The relative embeddings projected as keys, for c2p: [2·span, H, D]; span = positionBuckets, or maxRelativePositions without. */
  readonly posKey?: Table;
  /** The relative embeddings projected as queries, for p2c: [2·span, H, D]. */
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
 * same row in both terms.
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
  options(where, given, ['maxRelativePositions', 'positionBuckets', 'posAttType', 'posKey', 'posQuery']);
  const limit = integer(where, 'maxRelativePositions', given.maxRelativePositions, 1);
  const buckets = integer(where, 'positionBuckets', given.positionBuckets ?? -1, -1);
  if (buckets > 0 && limit - 1 <= buckets / 2) throw wrongValue(where, 'maxRelativePositions', `more than ${buckets / 2 + 1}`, limit);
  if (!Array.isArray(given.posAttType)) throw wrongType(where, 'posAttType', "a list of 'c2p' and 'p2c'", given.posAttType);
  const unknown = given.posAttType.find((type) => type !== 'c2p' && type !== 'p2c');
  if (unknown !== undefined) throw wrongValue(where, 'posAttType', "'c2p' and 'p2c'", String(unknown));
  const keys = given.posAttType.includes('c2p') ? readTable(where, 'posKey', given.posKey) : undefined;
  const queries = given.posAttType.includes('p2c') ? readTable(where, 'posQuery', given.posQuery) : undefined;
  const span = buckets > 0 ? buckets : limit;
  return {
    name: where,
    lower({ shape: { H, D }, math }) {
      const bucket = (distance: number): number => (buckets > 0 ? debertaBucket(distance, buckets, limit, math) : distance);
      const rows: RowMap = { kind: 'offset', row: (offset) => Math.max(0, Math.min(2 * span - 1, bucket(-offset) + span)) };
      const terms: Term[] = [];
      if (keys) {
        expectSize(where, 'posKey', keys, [2 * span, H, D]);
        terms.push({ kind: 'query', table: byHead(keys, H, D), heads: H, rows });
      }
      if (queries) {
        expectSize(where, 'posQuery', queries, [2 * span, H, D]);
        terms.push({ kind: 'key', table: byHead(queries, H, D), heads: H, rows });
      }
      return { terms };
    },
  };
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
