// What a cache holds, batch row by batch row, and how it changes: a growth is prepared, then committed or undone.

import { wrongValue } from '../arguments/check.ts';
import type { PagePool } from './pages.ts';

/** Stands in a row's list for a page that left the window. */
export const GONE = 0;

/** The keys of one batch row. */
export interface Row {
  /** Page n holds the keys from n·pageSize on. */
  readonly pages: readonly number[];
  readonly length: number;
  /** The sinks and the keys from here to `length` are held. */
  readonly kept: number;
}

export const EMPTY: Row = { pages: [], length: 0, kept: 0 };

/** What bounds the rows of a cache. */
export interface Bounds {
  readonly capacity: number;
  /** Keys of a page. */
  readonly pageSize: number;
  /** Keys before a query that it still sees; undefined: all. */
  readonly left?: number;
  /** First keys that stay. */
  readonly sinks: number;
}

/** Pages that one row can need. */
export function pagesOfRow({ capacity, pageSize, left, sinks }: Bounds): number {
  const pages = Math.ceil(capacity / pageSize);
  // A window may begin and end within a page, and its sinks have pages of their own.
  return left === undefined ? pages : pages + 1 + Math.ceil(sinks / pageSize);
}

/** Keys held: the sinks, and what follows `kept`. */
const held = (row: Row, sinks: number): number => Math.min(sinks, row.kept) + row.length - row.kept;

/** @throws RangeError if a row cannot take that many more keys */
export function checkGrowth(where: string, rows: readonly Row[], counts: readonly number[], { capacity, sinks }: Bounds): void {
  rows.forEach((row, b) => {
    const n = counts[b] as number;
    if (held(row, sinks) + n <= capacity) return;
    const holds = row.kept ? `${row.length} keys, ${held(row, sinks)} of them held` : `${row.length} keys`;
    throw wrongValue(where, 'k', `room for n=${n} more keys`, `capacity ${capacity} with ${holds} in batch row ${b}`);
  });
}

/** Rows that have grown, before anybody knows. Pages of the old rows are not written below the old lengths. */
export class Growth {
  readonly rows: readonly Row[];
  readonly #pool: PagePool;
  readonly #bounds: Bounds;
  readonly #old: readonly Row[];
  readonly #taken: number[] = [];
  /** Pages of the old rows that copies replace. */
  readonly #replaced: number[] = [];

  /** @throws RelposError `out-of-memory`, having changed nothing */
  constructor(pool: PagePool, old: readonly Row[], counts: readonly number[], bounds: Bounds) {
    this.#pool = pool;
    this.#old = old;
    this.#bounds = bounds;
    try {
      this.rows = old.map((row, b) => this.#grow(row, counts[b] as number));
    } catch (error) {
      this.undo();
      throw error;
    }
  }

  #grow(row: Row, count: number): Row {
    if (!count) return row;
    const { pageSize } = this.#bounds;
    const last = Math.floor(row.length / pageSize);
    const end = Math.floor((row.length + count - 1) / pageSize);
    if (end < row.pages.length && !this.#pool.shared(row.pages[last] as number)) return { ...row, length: row.length + count };
    const pages = [...row.pages];
    // The page that the first new key falls into has keys already, and perhaps other holders.
    if (last < pages.length && this.#pool.shared(pages[last] as number)) {
      const fresh = this.#pool.copy(pages[last] as number);
      this.#taken.push(fresh);
      this.#replaced.push(pages[last] as number);
      pages[last] = fresh;
    }
    while (pages.length <= end) {
      const fresh = this.#pool.take();
      this.#taken.push(fresh);
      pages.push(fresh);
    }
    return { pages, length: row.length + count, kept: row.kept };
  }

  /** The rows to keep: pages that no query from the old length on can see are given back. */
  commit(): Row[] {
    for (const page of this.#replaced) this.#pool.release(page);
    return this.rows.map((row, b) => {
      const before = (this.#old[b] as Row).length;
      return row.length === before ? row : this.#slide(row, before);
    });
  }

  #slide(row: Row, next: number): Row {
    const { left, pageSize, sinks } = this.#bounds;
    if (left === undefined) return row;
    const kept = Math.max(row.kept, next - left);
    const first = Math.ceil(sinks / pageSize);
    const end = Math.floor(kept / pageSize);
    if (kept === row.kept) return row;
    const pages = row.pages.map((page, n) => {
      if (n < first || n >= end || page === GONE) return page;
      this.#pool.release(page);
      return GONE;
    });
    return { ...row, pages, kept };
  }

  undo(): void {
    for (const page of this.#taken) this.#pool.release(page);
  }
}

/** The row cut to its first n keys; the pages beyond are given back. @throws RangeError if a window needs keys that are gone */
export function checkCut(where: string, name: string, row: Row, n: number, { left = Number.POSITIVE_INFINITY }: Bounds): void {
  if (n >= row.length || n === 0 || Math.max(0, n - left) >= row.kept) return;
  throw wrongValue(where, name, `0 or at least ${row.kept + left}`, n, 'the keys before it have left the window');
}

export function cut(pool: PagePool, row: Row, n: number, { pageSize }: Bounds): Row {
  if (n >= row.length) return row;
  const count = Math.ceil(n / pageSize);
  const { pages } = row;
  for (let at = count; at < pages.length; at++) if (pages[at] !== GONE) pool.release(pages[at] as number);
  return { pages: count < pages.length ? pages.slice(0, count) : pages, length: n, kept: n ? row.kept : 0 };
}

/** Keys from … to − 1 of a row, which are to go. */
export interface Cut {
  readonly from: number;
  readonly to: number;
}

/**
 * The row without the keys of a cut. `source` are the pages from which what lies behind must be moved; undefined: it lies where it belongs
 * already. Pages that are written, be it only because their keys turn, become the row's own.
 */
export function closeGap(
  row: Row,
  { from, to }: Cut,
  { pageSize }: Bounds,
  turns: boolean,
  own: (page: number) => number,
): { row: Row; source?: readonly number[] } {
  if (from === to) return { row };
  const length = row.length - (to - from);
  const first = Math.floor(from / pageSize);
  const end = Math.ceil(length / pageSize);
  const behind = (pages: readonly number[]): number[] => [...row.pages.slice(0, first), ...pages];
  // Whole pages go: those behind take their places as they are.
  if (from % pageSize === 0 && (to - from) % pageSize === 0) {
    const moved = row.pages.slice(to / pageSize);
    return { row: { ...row, pages: behind(turns ? moved.map(own) : moved), length } };
  }
  return { row: { ...row, pages: behind(row.pages.slice(first, end).map(own)), length }, source: row.pages };
}
