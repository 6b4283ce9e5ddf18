// Where the rows of a cache lie: the layout of its pages, and what the kernels are told of it.

import { type CacheDType, cacheRow } from '../memory/dtypes.ts';
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

const up = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;

/** A page: the keys of pageSize positions, [G][pageSize][D], then their values, [G][pageSize][E]. */
export interface PageLayout {
  readonly dtype: CacheDType;
  readonly shift: number;
  readonly keyRow: number;
  readonly valueRow: number;
  /** Bytes before the values. */
  readonly values: number;
  readonly bytes: number;
}

export function layoutPages({ G, D, E }: CacheShape, dtype: CacheDType, shift: number): PageLayout {
  const [keyRow, valueRow] = [cacheRow(dtype).bytes(D), cacheRow(dtype).bytes(E)];
  const values = up((G * keyRow) << shift, 64);
  return { dtype, shift, keyRow, valueRow, values, bytes: values + up((G * valueRow) << shift, 64) };
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

/** K, V and the pages of a job block. */
export function storeFields(layout: PageLayout, tables: PageTables): (readonly [number, number])[] {
  const { code, channel } = cacheRow(layout.dtype);
  const tensor = (at: number, row: number): [number, number][] => [
    [at + field.T_TYPE, code],
    [at + field.T_HEAD, row << layout.shift],
    [at + field.T_ROW, row],
    [at + field.T_CHANNEL, channel],
  ];
  return [
    ...tensor(field.K, layout.keyRow),
    ...tensor(field.V, layout.valueRow),
    [field.PAGES_K, tables.keys],
    [field.PAGES_V, tables.values],
    [field.PAGES_BATCH, tables.stride],
    [field.PAGE_SHIFT, layout.shift],
  ];
}
