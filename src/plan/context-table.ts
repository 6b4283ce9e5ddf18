// The table of contextual positions of a plan: its check, its packing and what the kernels need beside it.

import { wrongValue } from '../arguments/check.ts';
import { roundUp } from '../memory/round.ts';
import * as field from '../wasm/generated/job.ts';
import { columnsOf } from './columns.ts';
import type { ContextTable, Place, Shape } from './plan.ts';
import { type Key, pack, rowsOf, type ScratchNeed, type TermContext, tileRows } from './relative-terms.ts';

/** @throws RangeError if the table does not fit the call, or the call has not all keys */
export function checkContextTable(where: string, name: string, { table, heads }: ContextTable, { H, D, S }: Shape, place: Place): void {
  rowsOf(where, name, table, heads, D, H);
  if (place.totalKeys !== S) {
    throw wrongValue(where, name, 'all keys', `${S} of ${place.totalKeys}`, 'contextual positions count the keys of other shards');
  }
}

/** What the table comes to in a call. */
export interface PreparedContext {
  readonly needs: readonly ScratchNeed[];
  /** Fields of the job block, once the needs are met. */
  fields(): readonly (readonly [number, number])[];
}

/** `key` names the table for the cache. */
export function prepareContextTable({ table, heads }: ContextTable, key: Key, context: TermContext): PreparedContext {
  const { S, D } = context.shape;
  const rows = table.length / heads / D;
  // One more row than there are: interpolation reads the one after the last.
  const size = roundUp(rows + 1, 8);
  const fill = (first: number, count: number): Float32Array => pack({ table, heads }, D, first, count, 8, (place) => place);
  const named = key && `${key} rows ${heads} ${table.length} ${D}`;
  const packed = columnsOf(context.tables, { key: named, first: 0, count: size, whole: true, heads, width: 4 * D, fill }, context.scope);
  const blocks = Math.ceil(S / field.KEY_BLOCK);
  const fields: (readonly [number, number])[] = [
    [field.CONTEXT_TABLE, packed.at],
    [field.CONTEXT_HEAD, heads > 1 ? 4 * D * packed.count : 0],
    [field.CONTEXT_ROWS, size],
    [field.CONTEXT_LAST, rows - 1],
    [field.CONTEXT_BLOCKS, blocks],
  ];
  const tile = tileRows(context);
  const sizes: readonly (readonly [number, number])[] = [
    [field.S_CONTEXT_QUERIES, 4 * D * tile],
    [field.S_CONTEXT_LOGITS, 4 * size * tile],
    [field.S_COUNTS, 8 * blocks * tile],
    [field.S_GATES, field.SCORES_ROW],
  ];
  const needs = sizes.map(([name, bytes]) => ({ bytes, assign: (at: number) => void fields.push([name, at]) }));
  return { needs, fields: () => fields };
}
