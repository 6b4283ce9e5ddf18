// Where the rows of a cache lie: the layout of its pages, and what the kernels are told of it.

import { type CacheDType, cacheElement } from '../memory/dtypes.ts';
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

/** Keys or values of a page. */
interface PagePart {
  /** Bytes before it. */
  readonly start: number;
  /** Channels of a row, with those that fill it up. */
  readonly width: number;
  /** Bytes from head to head. */
  readonly head: number;
  /** Bytes of a key in a panel of eight, or of a position in a column of eight channels. */
  readonly row: number;
  /** Bytes from its start to the scales of its rows, f32 [G][pageSize]. */
  readonly scales: number;
}

/**
 * A page: the keys of pageSize positions, [G][pageSize/8][D][8], then their values, [G][E'/8][pageSize][8], E' = E rounded up to 8. Integers lie
 * by twos, keys [G][pageSize/8][D'/2][8][2] and values [G][E'/8][pageSize/2][8][2], D' = D rounded up to 2, and have scales.
 */
export interface PageLayout {
  readonly dtype: CacheDType;
  /** Keys of a page, a power of two. */
  readonly pageSize: number;
  readonly keys: PagePart;
  readonly values: PagePart;
  readonly bytes: number;
}

export function layoutPages({ G, D, E }: CacheShape, dtype: CacheDType, pageSize: number): PageLayout {
  const { bytes, depth } = cacheElement(dtype);
  let end = 0;
  const part = (width: number, row: number): PagePart => {
    const [start, head] = [end, width * bytes * pageSize];
    end = roundUp(start + G * (head + (depth > 1 ? 4 * pageSize : 0)), 64);
    return { start, width, head, row: row * bytes, scales: G * head };
  };
  const wide = roundUp(D, depth);
  const [keys, values] = [part(wide, wide), part(roundUp(E, 8), 8)];
  return { dtype, pageSize, keys, values, bytes: end };
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
      valueTable[b * width + n] = page + values.start;
    }
  });
  return { keys, values: valuesAt, stride: 4 * width };
}

/** Those of the rows from b on. */
export const tablesFrom = ({ keys, values, stride }: PageTables, b: number): PageTables => {
  return { keys: keys + b * stride, values: values + b * stride, stride };
};

/** Place of element (a, b) in panels [b/8][A][8], where `depth` neighbours in a lie together. */
const inPanels = (a: number, b: number, A: number, depth: number): number =>
  (b - (b % 8)) * A + (a - (a % depth)) * 8 + (b % 8) * depth + (a % depth);

/**
 * Moves the keys and values from `from + gap` … `end + gap` − 1 of one list of pages down to from … end − 1 of another, or of the same: as they
 * are stored, element by element, since a row lies across its panels.
 */
export function moveDown(
  memory: ArrayBufferLike,
  { G }: CacheShape,
  { dtype, pageSize, keys, values }: PageLayout,
  [source, target]: readonly [readonly number[], readonly number[]],
  { from, gap, end }: { readonly from: number; readonly gap: number; readonly end: number },
): void {
  const { bytes, depth } = cacheElement(dtype);
  const elements = bytes === 4 ? new Uint32Array(memory) : bytes === 2 ? new Uint16Array(memory) : new Uint8Array(memory);
  const scales = new Uint32Array(memory);
  const placeOfKey = (slot: number, n: number): number => inPanels(n, slot, keys.width, depth);
  const placeOfValue = (slot: number, n: number): number => inPanels(slot, n, pageSize, depth);
  for (let at = from; at < end; at++) {
    const [to, was] = [at % pageSize, (at + gap) % pageSize];
    const into = target[Math.floor(at / pageSize)] as number;
    const out = source[Math.floor((at + gap) / pageSize)] as number;
    for (const part of [keys, values]) {
      const place = part === keys ? placeOfKey : placeOfValue;
      for (let head = 0; head < G; head++) {
        const [a, b] = [into, out].map((page) => (page + part.start + head * part.head) / bytes) as [number, number];
        for (let n = 0; n < part.width; n++) elements[a + place(to, n)] = elements[b + place(was, n)] as number;
        const scale = (page: number, slot: number): number => (page + part.start + part.scales) / 4 + head * pageSize + slot;
        if (depth > 1) scales[scale(into, to)] = scales[scale(out, was)] as number;
      }
    }
  }
}

/** K, V and the pages of a job block. */
export function storeFields({ dtype, pageSize, keys, values }: PageLayout, tables: PageTables): (readonly [number, number])[] {
  const { code } = cacheElement(dtype);
  const tensor = (at: number, { head, row }: PagePart): [number, number][] => [
    [at + field.T_TYPE, code],
    [at + field.T_HEAD, head],
    [at + field.T_ROW, row],
  ];
  return [
    ...tensor(field.K, keys),
    ...tensor(field.V, values),
    [field.PAGES_K, tables.keys],
    [field.PAGES_V, tables.values],
    [field.PAGES_BATCH, tables.stride],
    [field.PAGE_SHIFT, 31 - Math.clz32(pageSize)],
    [field.PAGE_SCALES_K, keys.scales],
    [field.PAGE_SCALES_V, values.scales],
  ];
}
