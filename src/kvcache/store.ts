// Where the rows of a cache lie: the layout of its pages, and what the kernels are told of it.

import { type CacheDType, cacheRow } from '../memory/dtypes.ts';
import { roundUp } from '../memory/round.ts';
import type { Scope } from '../memory/scope.ts';
import * as field from '../wasm/generated/job.ts';
import { GONE, type Row } from './rows.ts';

/** Sizes of a cache, in the letters of the plan. */
export interface CacheShape {
  readonly B: number;
  readonly G: number;
  readonly D: number;
  readonly E: number;
}

/** A page: the keys of pageSize positions, [G][pageSize][D], then their values, [G][pageSize][E]. */
export interface PageLayout {
  readonly dtype: CacheDType;
  /** Keys of a page, a power of two. */
  readonly pageSize: number;
  readonly keyRow: number;
  readonly valueRow: number;
  /** Bytes before the values. */
  readonly values: number;
  readonly bytes: number;
}

export function layoutPages({ G, D, E }: CacheShape, dtype: CacheDType, pageSize: number): PageLayout {
  const [keyRow, valueRow] = [cacheRow(dtype).bytes(D), cacheRow(dtype).bytes(E)];
  const values = roundUp(G * keyRow * pageSize, 64);
  return { dtype, pageSize, keyRow, valueRow, values, bytes: values + roundUp(G * valueRow * pageSize, 64) };
}

/** Block tables of some rows, in memory. */
export interface PageTables {
  readonly keys: number;
  readonly values: number;
  /** Bytes from row to row. */
  readonly stride: number;
}

/** A page that is gone is never seen; some page must be named in its place all the same, since a run of keys may begin on it. */
export function uploadTables(rows: readonly Row[], { values }: PageLayout, scope: Scope): PageTables {
  const width = rows.reduce((most, { pages }) => Math.max(most, pages.length), 1);
  const [keys, valuesAt] = [scope.allocate(4 * rows.length * width), scope.allocate(4 * rows.length * width)];
  const [keyTable, valueTable] = [scope.integers(keys, rows.length * width), scope.integers(valuesAt, rows.length * width)];
  rows.forEach(({ pages }, b) => {
    const spare = pages.find((page) => page !== GONE) ?? 0;
    for (let n = 0; n < pages.length; n++) {
      const page = pages[n] === GONE ? spare : (pages[n] as number);
      keyTable[b * width + n] = page;
      valueTable[b * width + n] = page + values;
    }
  });
  return { keys, values: valuesAt, stride: 4 * width };
}

/** Those of the rows from b on. */
export const tablesFrom = ({ keys, values, stride }: PageTables, b: number): PageTables => {
  return { keys: keys + b * stride, values: values + b * stride, stride };
};

/** Moves the keys and values from `from + gap` … `end + gap` − 1 of one list of pages down to from … end − 1 of another, or of the same. */
export function moveDown(
  memory: Uint8Array,
  { G }: CacheShape,
  { pageSize, keyRow, valueRow, values }: PageLayout,
  [source, target]: readonly [readonly number[], readonly number[]],
  { from, gap, end }: { readonly from: number; readonly gap: number; readonly end: number },
): void {
  const runs: [number, number][] = [
    [0, keyRow],
    [values, valueRow],
  ];
  for (let at = from; at < end; ) {
    const [to, was] = [at % pageSize, (at + gap) % pageSize];
    const count = Math.min(pageSize - to, pageSize - was, end - at);
    const into = target[Math.floor(at / pageSize)] as number;
    const out = source[Math.floor((at + gap) / pageSize)] as number;
    for (const [start, row] of runs) {
      for (let head = start; head < start + G * pageSize * row; head += pageSize * row) {
        memory.copyWithin(into + head + to * row, out + head + was * row, out + head + (was + count) * row);
      }
    }
    at += count;
  }
}

/** K, V and the pages of a job block. */
export function storeFields(layout: PageLayout, tables: PageTables): (readonly [number, number])[] {
  const { code, channel } = cacheRow(layout.dtype);
  const tensor = (at: number, row: number): [number, number][] => [
    [at + field.T_TYPE, code],
    [at + field.T_HEAD, row * layout.pageSize],
    [at + field.T_ROW, row],
    [at + field.T_CHANNEL, channel],
  ];
  return [
    ...tensor(field.K, layout.keyRow),
    ...tensor(field.V, layout.valueRow),
    [field.PAGES_K, tables.keys],
    [field.PAGES_V, tables.values],
    [field.PAGES_BATCH, tables.stride],
    [field.PAGE_SHIFT, 31 - Math.clz32(layout.pageSize)],
  ];
}
