import { oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import { byHead, expectSize, readTable, rowsOf, type Table } from '../arguments/checkpoint-tables.ts';
import { copyWhole, type Integers, standing } from '../arguments/lists.ts';
import { expectShape } from '../arguments/numbers.ts';
import { once } from '../plan/once.ts';
import type { Encoding, LowerContext, Plan, RowMap, Shape, Term } from '../plan/plan.ts';
import { withTerms } from '../plan/with-terms.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** s = scale · [ (qᵢ + u_h)·kⱼ + (qᵢ + w_h)·r_h[ρ(j − i)] ], the form that this family shares. r is [rows, H, D]. */
function contentAndPosition(where: string, names: readonly [string, string], u: Float32Array, w: Float32Array, r: Float32Array) {
  const tableOf = once(
    ({ H, D }: Shape) => byHead(r, H, D),
    ({ H, D }) => [H, D],
  );
  return ({ shape }: LowerContext, rows: RowMap): Plan & { terms: readonly Term[] } => {
    const { H, D } = shape;
    expectSize(where, names[0], u, [H, D]);
    expectSize(where, names[1], w, [H, D]);
    expectShape(where, 'r', r, [r.length / (H * D), H, D]);
    return { queryBias: u, terms: [{ kind: 'query', table: tableOf(shape), heads: H, rows, bias: w }] };
  };
}

/** Options of `transformerXL`. */
export interface TransformerXLOptions {
  /** Content bias u, `r_w_bias`: [H, D]. */
  readonly u: Table;
  /** Position bias v, `r_r_bias`: [H, D]. */
  readonly v: Table;
  /** The sinusoids projected by `r_net`: [rows, H, D], rows ≥ S; the last row is distance 0, the one before it distance 1. */
  readonly r: Table;
}

/**
 * Transformer-XL's relative attention: s = scale · [ (q + u)·k + (q + v)·r(i − j) ]. Keys to the right have no row; use it with `causal`.
 * Memory of earlier segments is more keys: S > L.
 *
 * Dai et al. 2019, arXiv 1901.02860.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const heads = 8, width = 64, keys = 128;
 * const encoding = transformerXL({
 *   u: new Float32Array(heads * width),
 *   v: new Float32Array(heads * width),
 *   r: new Float32Array(keys * heads * width),
 * });
 * ```
 */
export function transformerXL(given: TransformerXLOptions): Encoding {
  const where = 'transformerXL';
  given = options(where, given, ['u', 'v', 'r']);
  const u = readTable(where, 'u', given.u);
  const v = readTable(where, 'v', given.v);
  const r = readTable(where, 'r', given.r);
  const planOf = contentAndPosition(where, ['u', 'v'], u, v, r);
  return withTerms({
    name: where,
    lower(context) {
      const { H, D } = context.shape;
      const totalKeys = context.place?.totalKeys ?? context.shape.S;
      const height = rowsOf(where, 'r', r, H * D, `H=${H}, D=${D}`);
      if (height < totalKeys) throw wrongValue(where, 'r', `at least S=${totalKeys} rows`, height);
      const rows: RowMap = { kind: 'offset', row: (offset) => height - 1 + offset, variant: String(height) };
      return planOf(context, rows);
    },
  });
}

/** Options of `conformer`. */
export interface ConformerOptions {
  /** `pos_bias_u`: [H, D]. */
  readonly posBiasU: Table;
  /** `pos_bias_v`: [H, D]. */
  readonly posBiasV: Table;
  /** The sinusoids projected by `linear_pos`: [2T − 1, H, D], T ≥ S; row t is distance i − j = T − 1 − t. */
  readonly r: Table;
}

/**
 * Conformer's relative attention: Transformer-XL's in both directions, s = scale · [ (q + u)·k + (q + v)·r(i − j) ].
 *
 * Gulati et al. 2020, arXiv 2005.08100; Wav2Vec2-Conformer (`relative`), Parakeet, FastSpeech2-Conformer.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const heads = 4, width = 64, frames = 50;
 * const encoding = conformer({
 *   posBiasU: new Float32Array(heads * width),
 *   posBiasV: new Float32Array(heads * width),
 *   r: new Float32Array((2 * frames - 1) * heads * width),
 * });
 * ```
 */
export function conformer(given: ConformerOptions): Encoding {
  const where = 'conformer';
  given = options(where, given, ['posBiasU', 'posBiasV', 'r']);
  const u = readTable(where, 'posBiasU', given.posBiasU);
  const v = readTable(where, 'posBiasV', given.posBiasV);
  const r = readTable(where, 'r', given.r);
  const planOf = contentAndPosition(where, ['posBiasU', 'posBiasV'], u, v, r);
  return withTerms({
    name: where,
    lower(context) {
      const { H, D } = context.shape;
      const totalKeys = context.place?.totalKeys ?? context.shape.S;
      const height = rowsOf(where, 'r', r, H * D, `H=${H}, D=${D}`);
      if (height % 2 === 0 || (height + 1) / 2 < totalKeys) {
        throw wrongValue(where, 'r', `an odd number of rows, at least 2·${totalKeys} − 1`, height);
      }
      const rows: RowMap = { kind: 'offset', row: (offset) => (height - 1) / 2 + offset, variant: String(height) };
      return planOf(context, rows);
    },
  });
}

/** Options of `xlnet`. */
export interface XlnetOptions {
  /** `r_w_bias`, with the content: [H, D]. */
  readonly rWBias: Table;
  /** `r_r_bias`, with the position: [H, D]. */
  readonly rRBias: Table;
  /** The sinusoids projected by `r`: for `'bi'` [L + S, H, D], row t at distance i − j = S − t; for `'uni'` [S + 1, H, D], the same rows. */
  readonly r: Table;
  /** `attn_type`. */
  readonly attnType: 'bi' | 'uni';
  /** `r_s_bias`, with the segment: [H, D]. Together with `segEmbed` and `segments`. */
  readonly rSBias?: Table;
  /** `seg_embed`: [2, H, D], row 0 for the same segment, row 1 for another. */
  readonly segEmbed?: Table;
  /** Segment of each key, [S] or [B, S]; in a shard of the keys those of the whole. The queries stand among them, by default as the last L. */
  readonly segments?: Integers;
}

/**
 * XLNet's relative attention: s = scale · [ (q + r_w)·k + (q + r_r)·r(i − j) + (q + r_s)·seg(same segment or not) ].
 *
 * Yang et al. 2019, arXiv 1906.08237. Padded keys stay visible to themselves in the original; hide them with `keyLengths` or a bias.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const heads = 4, width = 32, length = 16;
 * const encoding = xlnet({
 *   rWBias: new Float32Array(heads * width),
 *   rRBias: new Float32Array(heads * width),
 *   r: new Float32Array(2 * length * heads * width),
 *   attnType: 'bi',
 * });
 * ```
 */
export function xlnet(given: XlnetOptions): Encoding {
  const where = 'xlnet';
  given = options(where, given, ['rWBias', 'rRBias', 'r', 'attnType', 'rSBias', 'segEmbed', 'segments']);
  const u = readTable(where, 'rWBias', given.rWBias);
  const w = readTable(where, 'rRBias', given.rRBias);
  const r = readTable(where, 'r', given.r);
  const attnType = oneOf(where, 'attnType', given.attnType, ['bi', 'uni']);
  const segment = segmentParts(where, given);
  const planOf = contentAndPosition(where, ['rWBias', 'rRBias'], u, w, r);
  return withTerms({
    name: where,
    lower(context) {
      const { H, D, L } = context.shape;
      const T = context.place?.totalKeys ?? context.shape.S;
      const height = rowsOf(where, 'r', r, H * D, `H=${H}, D=${D}`);
      const expected = attnType === 'bi' ? L + T : T + 1;
      if (height !== expected) throw wrongValue(where, 'r', `${expected} rows for ${attnType} with L=${L}, S=${T}`, height);
      const rows: RowMap = { kind: 'offset', row: (offset) => T + offset, variant: String(T) };
      const plan = planOf(context, rows);
      return segment ? { ...plan, terms: [...plan.terms, segmentTerm(where, segment, context)] } : plan;
    },
  });
}

interface SegmentParts {
  readonly bias: Float32Array;
  readonly embed: Float32Array;
  readonly segments: Float64Array;
}

function segmentParts(where: string, { rSBias, segEmbed, segments }: XlnetOptions): SegmentParts | undefined {
  if (rSBias === undefined && segEmbed === undefined && segments === undefined) return undefined;
  if (segments === undefined) {
    throw wrongType(where, 'segments', 'an Int32Array, an array or a tensor, beside rSBias and segEmbed', segments);
  }
  return {
    bias: readTable(where, 'rSBias', rSBias),
    embed: readTable(where, 'segEmbed', segEmbed),
    segments: copyWhole(where, 'segments', segments, -(2 ** 31), 2 ** 31 - 1),
  };
}

/** The segment term: row 0 of the table where query and key are of one segment, row 1 where they are not. */
function segmentTerm(where: string, { bias, embed, segments }: SegmentParts, context: LowerContext): Term {
  const { H, D } = context.shape;
  expectSize(where, 'rSBias', bias, [H, D]);
  expectSize(where, 'segEmbed', embed, [2, H, D]);
  const { queries, keys } = standing(where, 'segments', segments, context);
  // The segments by number, 0 … n − 1; pair (own, other) meets at own · n + other, which the map turns into same or not.
  const names = new Map([...new Set(segments)].map((segment, number) => [segment, number]));
  const n = names.size;
  const numberOf = (segment: number): number => names.get(segment) as number;
  const columns = Int32Array.from(keys, numberOf);
  const rows = Int32Array.from(queries, (segment) => n * numberOf(segment));
  const map = Int32Array.from({ length: n * n }, (_, pair) => (Math.floor(pair / n) === pair % n ? 0 : 1));
  const index = { rows, columns, map };
  return { kind: 'query', table: byHead(embed, H, D), heads: H, rows: { kind: 'index', index }, bias };
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'transformerXL',
    formula: 's = scale · ((q + u)·k + (q + v)·r(i − j))',
    options: 'u, v, r',
    models: 'Transformer-XL',
    make: transformerXL,
  },
  {
    name: 'xlnet',
    formula: 's = scale · ((q + r_w)·k + (q + r_r)·r(i − j) + (q + r_s)·seg)',
    options: 'rWBias, rRBias, r, attnType, rSBias, segEmbed, segments',
    models: 'XLNet',
    make: xlnet,
  },
  {
    name: 'conformer',
    formula: 's = scale · ((q + u)·k + (q + v)·r(i − j))',
    options: 'posBiasU, posBiasV, r',
    models: 'Wav2Vec2-Conformer, Parakeet, FastSpeech2-Conformer',
    make: conformer,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  transformerXL: {
    kind: 'table',
    options: ({ H, L, D }, { table, weights }) => ({ u: weights([H, D]), v: weights([H, D]), r: table([L, H, D]) }),
    attention: { causal: true },
  },
  xlnet: {
    kind: 'table',
    options: ({ H, L, D }, { table, weights }) => ({
      rWBias: weights([H, D]),
      rRBias: weights([H, D]),
      r: table([2 * L, H, D]),
      attnType: 'bi',
    }),
  },
  conformer: {
    kind: 'table',
    options: ({ H, L, D }, { table, weights }) => ({ posBiasU: weights([H, D]), posBiasV: weights([H, D]), r: table([2 * L - 1, H, D]) }),
  },
};
