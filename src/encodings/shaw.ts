import { integer, options, wrongValue } from '../arguments/check.ts';
import { expectSize, readTable, type Table } from '../arguments/checkpoint-tables.ts';
import type { Encoding, RowMap, Term } from '../plan/plan.ts';
import { withTerms } from '../plan/with-terms.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `shaw`. Tables are shared by all heads; at least one must be given. */
export interface ShawOptions {
  /** Offsets below −left share the first row (`left_max_position_embeddings`, or the paper's k). */
  readonly left: number;
  /** Offsets above right share the last row (`right_max_position_embeddings`, or k). */
  readonly right: number;
  /** Added to the key, met by the query: [left + right + 1, D]. */
  readonly keys?: Table;
  /** Met by the key, as BERT's `relative_key_query` adds: [left + right + 1, D]. */
  readonly queries?: Table;
  /** Added to the value: [left + right + 1, E]. */
  readonly values?: Table;
}

/**
 * Shaw's relative position representations: s = scale · qᵢ·(kⱼ + aK[c]), o = Σ p·(vⱼ + aV[c]), c = clip(j − i, −left, right) + left.
 *
 * Shaw, Uszkoreit and Vaswani 2018, arXiv 1803.02155. Wav2Vec2-BERT and SeamlessM4T v2 have keys only and 64 left, 8 right; BERT's
 * `relative_key` and `relative_key_query` index i − j: give `distance_embedding` with its rows in reverse order.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = shaw({ left: 16, right: 16, keys: new Float32Array(33 * 64), values: new Float32Array(33 * 64) });
 * ```
 */
export function shaw(given: ShawOptions): Encoding {
  const where = 'shaw';
  given = options(where, given, ['left', 'right', 'keys', 'queries', 'values']);
  const left = integer(where, 'left', given.left, 0);
  const right = integer(where, 'right', given.right, 0);
  const read = (name: 'keys' | 'queries' | 'values'): Float32Array | undefined =>
    given[name] === undefined ? undefined : readTable(where, name, given[name]);
  const tables = { keys: read('keys'), queries: read('queries'), values: read('values') };
  if (!tables.keys && !tables.queries && !tables.values) throw wrongValue(where, 'keys', 'at least one of keys, queries, values', 'none');
  const rows: RowMap = { kind: 'offset', row: (offset) => Math.max(-left, Math.min(right, offset)) + left, variant: '' };
  const height = left + right + 1;
  return withTerms({
    name: where,
    lower({ shape: { D, E } }) {
      if (tables.keys) expectSize(where, 'keys', tables.keys, [height, D]);
      if (tables.queries) expectSize(where, 'queries', tables.queries, [height, D]);
      if (tables.values) expectSize(where, 'values', tables.values, [height, E]);
      const terms: Term[] = [];
      if (tables.keys) terms.push({ kind: 'query', table: tables.keys, heads: 1, rows });
      if (tables.queries) terms.push({ kind: 'key', table: tables.queries, heads: 1, rows });
      return { terms, ...(tables.values && { valueTable: { table: tables.values, heads: 1, rows } }) };
    },
  });
}

/** Options of `musicTransformer`. */
export interface MusicTransformerOptions {
  /** Er: [rows, D] shared by all heads, or [H, rows, D]; row rows − 1 is distance 0, row rows − 1 − n is n to the left. */
  readonly table: Table;
  /** Query heads H if each has a table of its own; default 1, shared. */
  readonly heads?: number;
}

/**
 * Music Transformer's relative attention: s = scale · (qᵢ·kⱼ + qᵢ·Er[rows − 1 + j − i]), for keys to the left; use it with `causal`.
 * Distances of `rows` and more have no row and add nothing.
 *
 * Huang et al. 2018, arXiv 1809.04281.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = musicTransformer({ table: new Float32Array(128 * 64) });
 * ```
 */
export function musicTransformer(given: MusicTransformerOptions): Encoding {
  const where = 'musicTransformer';
  given = options(where, given, ['table', 'heads']);
  const heads = integer(where, 'heads', given.heads ?? 1, 1, 65536);
  const table = readTable(where, 'table', given.table);
  return withTerms({
    name: where,
    lower({ shape: { D } }) {
      const height = table.length / heads / D;
      expectSize(where, 'table', table, [heads, Math.floor(height), D]);
      const rows: RowMap = { kind: 'offset', row: (offset) => height - 1 + offset, variant: String(height) };
      return { terms: [{ kind: 'query', table, heads, rows }] };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'shaw',
    formula: 's = scale · q·(k + aK[clip(j − i)]), o = Σ p·(v + aV[clip(j − i)])',
    options: 'left, right, keys, queries, values',
    models: 'Shaw et al. 2018, Wav2Vec2-BERT, SeamlessM4T v2, BERT relative_key and relative_key_query',
    make: shaw,
  },
  {
    name: 'musicTransformer',
    formula: 's = scale · (q·k + q·Er[rows − 1 + j − i])',
    options: 'table, heads',
    models: 'Music Transformer',
    make: musicTransformer,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  shaw: { kind: 'table', options: ({ D }, { table }) => ({ left: 16, right: 16, keys: table([33, D]) }) },
  musicTransformer: { kind: 'table', options: ({ L, D }, { table }) => ({ table: table([L, D]) }), attention: { causal: true } },
};
