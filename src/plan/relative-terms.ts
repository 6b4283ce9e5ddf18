// Terms and value tables of a plan: checks, packing, and their entries in the parameter block.

import { wrongValue } from '../arguments/check.ts';
import { roundUp } from '../memory/round.ts';
import type { Scope } from '../memory/scope.ts';
import * as field from '../wasm/generated/job.ts';
import { columnsOf } from './columns.ts';
import { checkLookup, type Lookup, uploadLookup } from './pair-index.ts';
import type { Bias, ContextTable, Encoding, OffsetFactor, Place, RowMap, Shape, Term, ValueTable, Variant } from './plan.ts';
import { offsetsOf, type Reach, type Reaches } from './reach.ts';
import type { Tables } from './table-cache.ts';

/** A need for room in every thread's scratch; `assign` hears where it starts. */
export interface ScratchNeed {
  readonly bytes: number;
  assign(at: number): void;
}

/** What the terms of a call come to. */
export interface PreparedTerms {
  /** Rows of a tile. */
  readonly rows: number;
  /** Fields of the job block, once the needs are met. */
  fields(): readonly (readonly [number, number])[];
  /** Those that are different for the early keys. */
  readonly early: readonly (readonly [number, number])[];
  readonly needs: readonly ScratchNeed[];
}

/** What packing a term needs to know. */
export interface TermContext extends Reaches {
  readonly shape: Shape;
  readonly place: Place;
  readonly tables: Tables;
  readonly scope: Scope;
  /** Content scale in the unit of the scores over the call's scale: a term's own scale times this goes into its entry. */
  readonly unit: number;
  /** The call's scale. */
  readonly scale: number;
}

/** Multiply-adds that one indexed read of a score costs, about. */
const READ_COST = 18;
/** Longest table that is read through a map. */
const LONGEST_INDEXED = 512;

/** @throws RangeError if a part of a plan is neither for all heads nor for each */
export function checkHeads(where: string, name: string, heads: number, H: number): void {
  if (heads !== 1 && heads !== H) throw wrongValue(where, name, `heads 1 or H=${H}`, heads);
}

/** Rows of a table. @throws RangeError if it is not one of [heads, P, width] */
export function rowsOf(where: string, name: string, table: Float32Array, heads: number, width: number, H: number): number {
  checkHeads(where, name, heads, H);
  const rows = table.length / heads / width;
  if (!Number.isInteger(rows) || rows < 1) throw wrongValue(where, name, `a table of [${heads}, P, ${width}]`, table);
  return rows;
}

function checkMap(where: string, name: string, map: RowMap, rows: number, shape: Shape): void {
  if (map.kind === 'index') checkLookup(where, name, map.index, map.index instanceof Int32Array ? -1 : 0, rows, shape);
}

/** @throws RangeError if a term does not fit the call */
export function checkTerm(where: string, name: string, term: Term, shape: Shape): void {
  const { H, D } = shape;
  const rows = rowsOf(where, name, term.table, term.heads, D, H);
  checkMap(where, name, term.rows, rows, shape);
  if (term.kind === 'key' && term.rows.kind !== 'offset') throw wrongValue(where, name, 'a map of the offset for a key term', 'an index');
  if (term.bias && (term.kind === 'key' || term.bias.length !== H * D)) {
    throw wrongValue(where, name, `a bias of [H=${H}, D=${D}] on a query term`, term.bias);
  }
}

/** @throws RangeError if a value table does not fit the call */
export function checkValueTable(where: string, name: string, { table, heads, rows }: ValueTable, shape: Shape): void {
  checkMap(where, name, rows, rowsOf(where, name, table, heads, shape.E, shape.H), shape);
  if (rows.kind === 'index' && !(rows.index instanceof Int32Array))
    throw wrongValue(where, name, 'an index per pair or a map of the offset', 'a sum');
}

/** Row r of head h of a table, or undefined for a row that is not there (it counts as zero). */
function rowAt(table: Float32Array, rows: number, width: number, h: number, r: number): Float32Array | undefined {
  if (r < 0 || r >= rows) return undefined;
  return table.subarray((h * rows + r) * width, (h * rows + r + 1) * width);
}

/** A table packed in groups of `lanes` rows, [heads][count/lanes][D][lanes]; `pick` says which row of the table stands at each place. */
export function pack(
  term: Pick<Term, 'table' | 'heads'>,
  D: number,
  first: number,
  count: number,
  lanes: number,
  pick: (place: number) => number,
): Float32Array {
  const rows = term.table.length / term.heads / D;
  const out = new Float32Array(term.heads * count * D);
  for (let h = 0; h < term.heads; h++) {
    for (let p = 0; p < count; p++) {
      const row = rowAt(term.table, rows, D, h, pick(first + p));
      if (!row) continue;
      let to = (h * count + (p - (p % lanes))) * D + (p % lanes);
      for (let d = 0; d < D; d++, to += lanes) out[to] = row[d] as number;
    }
  }
  return out;
}

/** Where the map of a table lies; `early` is where that of the early keys does, if they have one of their own. */
function uploadMap(map: RowMap, key: Key, zeroRow: number, context: TermContext): Lookup & { readonly early?: number } {
  const { shape, place, tables, scope, reach, early } = context;
  const real = (row: number): number => (row < 0 || row >= zeroRow ? zeroRow : row);
  if (map.kind === 'index')
    return uploadLookup(map.index instanceof Int32Array ? Int32Array.from(map.index, real) : map.index, shape, scope);
  const fill = (from: number, n: number): Int32Array => Int32Array.from({ length: n }, (_, p) => real(map.row(from + p)));
  const named = key && `${key} map ${zeroRow}`;
  const indexOf = (reach: Reach): number => {
    const [first, count] = offsetsOf(shape, place, reach);
    const entry = columnsOf(tables, { key: named, first, count, slides: reach.slides, heads: 1, width: 4, fill }, scope);
    return entry.at + 4 * (place.keyOffset - place.queryOffset - entry.first);
  };
  return { index: indexOf(reach), indexRow: -4, indexBatch: 0, rows: 0, rowsBatch: 0, map: 0, ...(early && { early: indexOf(early) }) };
}

/** Whether reading a whole table through a map is cheaper than a product with a window of the expanded one. */
function isShort(rows: number, { S, D }: Shape): boolean {
  return rows <= LONGEST_INDEXED && rows * D + READ_COST * S < 1.1 * S * D;
}

type Entry = readonly (readonly [number, number])[];

/** The entry of a term. */
interface TermEntry {
  readonly entry: Entry;
  /** What is different for the early keys. */
  readonly early: Entry;
  /** Bytes of scratch for scores. */
  readonly scores: number;
}

/** Names what is kept of a part; undefined: nothing is. */
export type Key = string | undefined;

function queryIndexEntry(term: Term, key: Key, context: TermContext): TermEntry {
  const { D } = context.shape;
  const rows = term.table.length / term.heads / D;
  const size = roundUp(rows + 1, 8);
  const map = uploadMap(term.rows, key, rows, context);
  const fill = (from: number, n: number): Float32Array => pack(term, D, from, n, 8, (place) => place);
  const wanted = { first: 0, count: size, whole: true, heads: term.heads, width: 4 * D, fill };
  const packed = columnsOf(context.tables, { ...wanted, key: packedKey(term, key, context, 'rows') }, context.scope);
  const entry: Entry = [
    [field.E_KIND, field.QUERY_INDEX],
    [field.E_TABLE, packed.at],
    [field.E_HEAD, term.heads > 1 ? 4 * D * packed.count : 0],
    [field.E_ROWS, size],
    [field.E_INDEX, map.index],
    [field.E_INDEX_ROW, map.indexRow],
    [field.E_INDEX_BATCH, map.indexBatch],
    [field.E_SUM_ROWS, map.rows],
    [field.E_SUM_BATCH, map.rowsBatch],
    [field.E_MAP, map.map],
  ];
  return { entry, early: map.early === undefined ? [] : [[field.E_INDEX, map.early]], scores: 4 * size * tileRows(context) };
}

/** Rows of a tile: each head starts a new group of four. */
export function tileRows({ shape, reach }: TermContext): number {
  return roundUp(reach.queries, 4) * (shape.H / shape.G);
}

/** Names a packed table: what depends on the sizes of the call beside the table itself. */
const packedKey = (term: Term, key: Key, { shape }: TermContext, how: string): Key =>
  key && `${key} ${how} ${term.heads} ${term.table.length} ${shape.D}`;

function offsetEntry(term: Term, key: Key, context: TermContext): TermEntry {
  const { shape, place, tables, scope, reach, early } = context;
  const { D, H, G } = shape;
  const lanes = term.kind === 'query' ? 8 : 4;
  const { row } = term.rows as { row(offset: number): number };
  const fill = (from: number, n: number): Float32Array => pack(term, D, from, n, lanes, row);
  const tableOf = (reach: Reach): Entry => {
    // Windows start up to seven places early and end up to fifteen late.
    const [first, count] = offsetsOf(shape, place, reach);
    const wanted = { first: first - 16, count: count + 32, slides: reach.slides, heads: term.heads, width: 4 * D, fill };
    const entry = columnsOf(tables, { ...wanted, key: packedKey(term, key, context, `by ${lanes}`) }, scope);
    return [
      [field.E_TABLE, entry.at],
      [field.E_HEAD, term.heads > 1 ? 4 * D * entry.count : 0],
      [field.E_ROWS, entry.count],
      [field.E_FIRST, entry.first + place.queryOffset - place.keyOffset],
    ];
  };
  const window = roundUp(reach.queries, 4) + 12;
  const kind = term.kind === 'query' ? field.QUERY_OFFSET : field.KEY_OFFSET;
  const scores = kind === field.QUERY_OFFSET ? 0 : (H / G) * (field.KEY_BLOCK / 8) * window * 32;
  const entry: Entry = [[field.E_KIND, kind], ...tableOf(reach), [field.E_WINDOW, window]];
  return { entry, early: early ? tableOf(early) : [], scores };
}

/** Writes the entries of all terms; `keyOf` names those whose tables are kept. */
export function prepareTerms(
  terms: readonly Term[],
  valueTable: ValueTable | undefined,
  keyOf: (part: Term | ValueTable) => Key,
  context: TermContext,
): PreparedTerms {
  const { shape, scope, unit, scale } = context;
  const built = terms.map((term) => {
    const rows = term.table.length / term.heads / shape.D;
    const indexed = term.kind === 'query' && (term.rows.kind === 'index' || isShort(rows, shape));
    const bias = term.bias ? scope.upload(term.bias) : 0;
    return { term, bias, ...(indexed ? queryIndexEntry : offsetEntry)(term, keyOf(term), context) };
  });
  const values = valueTable && valueEntry(valueTable, keyOf(valueTable), context);
  const needs: ScratchNeed[] = [];
  const block = built.length ? scope.block(built.length * field.E_SIZE) : 0;
  const earlyBlock = built.some(({ early }) => early.length) ? scope.block(built.length * field.E_SIZE) : 0;
  const blocks = earlyBlock ? [block, earlyBlock] : [block];
  built.forEach(({ term, entry, early, bias, scores }, n) => {
    const at = n * field.E_SIZE;
    for (const to of blocks) {
      const writer = scope.writer(to);
      for (const [name, value] of to === block ? entry : [...entry, ...early]) writer.int(at + name, value);
      writer.int(at + field.E_BIAS, bias).f32(at + field.E_SCALE, (term.scale ?? scale) * unit);
    }
    const assign = (name: number) => (where: number) => {
      for (const to of blocks) scope.writer(to).int(at + name, where);
    };
    if (term.kind === 'query') needs.push({ bytes: 4 * shape.D * tileRows(context), assign: assign(field.E_QUERIES) });
    if (scores) needs.push({ bytes: scores, assign: assign(field.E_SCORES) });
  });
  let weights = 0;
  if (values) {
    needs.push({
      bytes: values.bytes,
      assign: (at) => {
        weights = at;
      },
    });
  }
  const some = built.length > 0 || values !== undefined;
  return {
    rows: some ? tileRows(context) : context.reach.queries * (shape.H / shape.G),
    fields: () => [
      [field.TERM_COUNT, built.length],
      [field.TERMS, block],
      ...(values ? [...values.fields, [field.S_WEIGHTS, weights] as const] : []),
    ],
    early: [...(earlyBlock ? [[field.TERMS, earlyBlock] as const] : []), ...(values?.early ?? [])],
    needs,
  };
}

/** A value table, packed like V: [heads][size/KEY_BLOCK][width/8][KEY_BLOCK][8]. */
function packValues({ table, heads }: ValueTable, E: number, size: number, width: number): Float32Array {
  const rows = table.length / heads / E;
  const packed = new Float32Array(heads * size * width);
  for (let h = 0; h < heads; h++) {
    for (let r = 0; r < rows; r++) {
      const block = (h * size + r - (r % field.KEY_BLOCK)) * width + (r % field.KEY_BLOCK) * 8;
      for (let e = 0; e < E; e++) {
        packed[block + (e - (e % 8)) * field.KEY_BLOCK + (e % 8)] = table[(h * rows + r) * E + e] as number;
      }
    }
  }
  return packed;
}

/** The entry of a value table. */
function valueEntry(values: ValueTable, key: Key, context: TermContext): { fields: Entry; early: Entry; bytes: number } {
  const { table, heads, rows: map } = values;
  const { E } = context.shape;
  const rows = table.length / heads / E;
  const size = roundUp(rows + 1, field.KEY_BLOCK);
  const width = roundUp(E, 8);
  const wanted = { first: 0, count: size, whole: true, heads, width: 4 * width, fill: () => packValues(values, E, size, width) };
  const packed = columnsOf(context.tables, { ...wanted, key: key && `${key} values ${heads} ${table.length} ${E}` }, context.scope);
  const index = uploadMap(map, key, rows, context);
  const fields: Entry = [
    [field.VALUE_TABLE, packed.at],
    [field.VALUE_HEAD, heads > 1 ? 4 * size * width : 0],
    [field.VALUE_ROWS, size],
    [field.VALUE_INDEX, index.index],
    [field.VALUE_INDEX_ROW, index.indexRow],
    [field.VALUE_INDEX_BATCH, index.indexBatch],
  ];
  return { fields, early: index.early === undefined ? [] : [[field.VALUE_INDEX, index.early]], bytes: 4 * size * tileRows(context) };
}

/** Names encodings, so that one that is gone is never taken for another. */
const numbers: WeakMap<Encoding, number> = new WeakMap();
let count = 0;

/** Parts of a plan that may have numbers to keep. */
type Part = Bias | Term | ValueTable | ContextTable | OffsetFactor;

/** What a part says of its numbers; those of parts without a function of the offset and without a table to pack are never kept. */
function variantOf(part: Part): Variant | undefined {
  if ('rows' in part && 'table' in part) return part.rows.variant;
  return 'variant' in part ? part.variant : undefined;
}

/** The name of what is kept of a part, by its encoding, its place in that one's plan, its kind and its variant; undefined: nothing is. */
export function keyOf(encoding: Encoding, place: number, part: Part): Key {
  const variant = variantOf(part);
  if (variant === undefined) return undefined;
  let number = numbers.get(encoding);
  if (number === undefined) {
    number = ++count;
    numbers.set(encoding, number);
  }
  return `#${number} ${place} ${'kind' in part ? part.kind : ''} ${variant}`;
}
