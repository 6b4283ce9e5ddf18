// The state behind a `KVCache`: its pages and rows, who is using it, and the changes it goes through.

import { wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import type { CacheDType } from '../memory/dtypes.ts';
import type { Layout } from '../memory/layout.ts';
import { Scope } from '../memory/scope.ts';
import type { Context } from '../plan/context.ts';
import type { Encoding, Plan, Rotation } from '../plan/plan.ts';
import type { Job } from '../threads/types.ts';
import { appendJobs, type NewRows, shiftJobs, type Writing } from './jobs.ts';
import { PagePool } from './pages.ts';
import { type Bounds, checkCut, checkGrowth, cut, EMPTY, GONE, Growth, pagesOfRow, type Row } from './rows.ts';
import { type CacheShape, layoutPages, type PageLayout } from './store.ts';

/** What a cache was made with. */
export interface CacheSpec {
  readonly shape: CacheShape;
  readonly dtype: CacheDType;
  readonly bounds: Bounds;
  readonly encoding: Encoding | undefined;
  /** Keys are turned when they are stored, not when they are read. */
  readonly rotatesOnAppend: boolean;
  readonly layout: Layout;
}

/** Bytes that a cache reserves. */
export function bytesOf({ shape, dtype, bounds }: CacheSpec): number {
  return layoutPages(shape, dtype, bounds.shift).bytes * shape.B * pagesOfRow(bounds);
}

/** A growth under way: its jobs run between `begin` and `commit` or `undo`. */
export interface PendingGrowth {
  readonly writing: Writing;
  commit(): void;
  undo(): void;
}

const sameNumbers = (a: Float64Array | undefined, b: Float64Array | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((x, n) => x === b[n]));

/** True if keys that one rotation turned are as the other would have turned them. */
function sameRotation(a: Rotation, b: Rotation): boolean {
  const traits = ({ dim, start = 0, layout, layoutOut = layout, factor = 1, offset = 0, center = 0 }: Rotation): string =>
    `${dim} ${start} ${layout} ${layoutOut} ${factor} ${offset} ${center}`;
  return traits(a) === traits(b) && sameNumbers(a.frequencies, b.frequencies) && sameNumbers(a.growth, b.growth);
}

export class CacheCore {
  readonly context: Context;
  readonly spec: CacheSpec;
  readonly layout: PageLayout;
  readonly #pool: PagePool;
  readonly #runSync: (job: Job) => void;
  #rows: readonly Row[];
  /** The rotation that the stored keys went through. */
  #rotation: Rotation | undefined;
  /** Calls that read the cache and are not done. */
  #readers = 0;
  #growing = false;
  #disposed = false;

  /** @throws RelposError `out-of-memory` */
  constructor(context: Context, runSync: (job: Job) => void, spec: CacheSpec, fork?: { pool: PagePool; core: CacheCore }) {
    this.context = context;
    this.#runSync = runSync;
    this.spec = spec;
    this.layout = layoutPages(spec.shape, spec.dtype, spec.bounds.shift);
    if (!fork) {
      this.#pool = new PagePool(context.arena, this.layout.bytes, spec.shape.B * pagesOfRow(spec.bounds));
      this.#rows = Array.from({ length: spec.shape.B }, () => EMPTY);
      return;
    }
    this.#pool = fork.pool;
    this.#rows = fork.core.#rows;
    this.#rotation = fork.core.#rotation;
    this.#pool.join();
    for (const { pages } of this.#rows) for (const page of pages) if (page !== GONE) this.#pool.hold(page);
  }

  get rows(): readonly Row[] {
    return this.#rows;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** @throws RelposError `disposed` */
  alive(): void {
    if (this.#disposed) throw new RelposError('disposed', 'the cache was disposed');
    this.context.alive();
  }

  /** @throws RelposError `busy` if a call is under way that would not survive a change */
  free(where: string): void {
    this.alive();
    if (this.#growing || this.#readers) {
      throw new RelposError('busy', `${where}: a call with this cache is under way; await it first`);
    }
  }

  /** Marks a call that reads the cache; the returned function ends it. */
  read(where: string): () => void {
    this.alive();
    if (this.#growing) throw new RelposError('busy', `${where}: a call that appends to this cache is under way; await it first`);
    this.#readers++;
    return () => {
      this.#readers--;
      this.#leave();
    };
  }

  /** The rotation of keys at positions up to `length` − 1. @throws RangeError if the stored ones went through another */
  rotationFor(where: string, count: number, length: number): Rotation | undefined {
    const { encoding, rotatesOnAppend, shape } = this.spec;
    if (!encoding || !rotatesOnAppend) return undefined;
    const { B, G, D, E } = shape;
    const place = { queryOffset: length - count, keyOffset: length - count, totalKeys: length };
    const given = { shape: { B, H: G, G, L: count, S: count, D, E }, place, math: this.context.math, length, role: 'key' as const };
    const plan = encoding.lower(given);
    checkOnlyRotates(where, encoding, plan);
    const rotation = plan.rotation as Rotation;
    this.checkRotation(where, rotation);
    return rotation;
  }

  /** @throws RangeError if the stored keys went through another rotation */
  checkRotation(where: string, rotation: Rotation): void {
    if (!this.#rotation || this.#rows.every(({ length }) => length === 0) || sameRotation(this.#rotation, rotation)) return;
    const because = "the stored keys went through another; rotate: 'on-read' stores them as they come";
    throw wrongValue(where, 'encoding', 'the rotation of the stored keys', 'one that changed', because);
  }

  /** @throws RangeError if `counts[b]` more keys do not fit row b */
  checkGrowth(where: string, counts: readonly number[]): void {
    checkGrowth(where, this.#rows, counts, this.spec.bounds);
  }

  /**
   * Takes pages for `counts[b]` more keys in row b and says what must run to fill them. `order` names the row that each batch row of the
   * source goes to. @throws RelposError `out-of-memory`, having changed nothing
   */
  begin(source: NewRows, order: readonly number[], counts: readonly number[], rotation: Rotation | undefined, scope: Scope): PendingGrowth {
    const growth = new Growth(this.#pool, this.#rows, counts, this.spec.bounds);
    try {
      const { shape } = this.spec;
      const rows = order.map((b) => growth.rows[b] as Row);
      const first = order.map((b) => (this.#rows[b] as Row).length);
      const writing = appendJobs(source, rotation, { shape, layout: this.layout, rows, first }, this.context, scope);
      this.#growing = true;
      return {
        writing,
        commit: () => {
          this.#growing = false;
          this.#rows = growth.commit();
          if (rotation) this.#rotation = rotation;
          this.#leave();
        },
        undo: () => {
          this.#growing = false;
          growth.undo();
          this.#leave();
        },
      };
    } catch (error) {
      growth.undo();
      throw error;
    }
  }

  /** Runs a growth before returning. */
  grow(source: NewRows, order: readonly number[], counts: readonly number[], rotation: Rotation | undefined): void {
    const scope = new Scope(this.context.arena);
    try {
      const pending = this.begin(source, order, counts, rotation, scope);
      try {
        for (const job of pending.writing.jobs) this.#runSync(job);
        pending.writing.done();
      } catch (error) {
        pending.undo();
        throw error;
      }
      pending.commit();
    } finally {
      scope.release();
    }
  }

  /** Cuts row b to its first lengths[b] keys. */
  truncate(where: string, lengths: readonly number[]): void {
    this.#rows.forEach((row, b) => {
      checkCut(where, 'length', row, lengths[b] as number, this.spec.bounds);
    });
    this.#rows = this.#rows.map((row, b) => cut(this.#pool, row, lengths[b] as number, this.spec.bounds));
  }

  /** Turns all stored keys by `delta` positions; pages that others share are copied first. */
  shift(rotation: Rotation, delta: number): void {
    const scope = new Scope(this.context.arena);
    const copies: number[] = [];
    try {
      const own = (page: number): number => {
        if (page === GONE || !this.#pool.shared(page)) return page;
        const fresh = this.#pool.copy(page);
        copies.push(fresh);
        return fresh;
      };
      const rows = this.#rows.map((row) => ({ ...row, pages: row.pages.map(own) }));
      // Sinks and the window are turned one after the other; between them there may be pages that are gone.
      const { sinks, shift } = this.spec.bounds;
      const held = rows.map(({ pages }) => Math.max(0, pages.lastIndexOf(GONE) + 1) << shift);
      const stay = Math.ceil(sinks / 2 ** shift) << shift;
      const target = { shape: this.spec.shape, layout: this.layout };
      const parts = [
        { ...target, rows, first: held },
        { ...target, rows: rows.map((row, b) => ({ ...row, length: Math.min(stay, held[b] as number) })), first: rows.map(() => 0) },
      ];
      for (const part of parts) {
        const { jobs, done } = shiftJobs(rotation, delta, part, this.context, scope);
        for (const job of jobs) this.#runSync(job);
        done();
      }
      this.#rows.forEach(({ pages }, b) => {
        pages.forEach((page, n) => {
          if (rows[b]?.pages[n] !== page) this.#pool.release(page);
        });
      });
      this.#rows = rows;
    } catch (error) {
      for (const page of copies) this.#pool.release(page);
      throw error;
    } finally {
      scope.release();
    }
  }

  fork(): CacheCore {
    return new CacheCore(this.context, this.#runSync, this.spec, { pool: this.#pool, core: this });
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#leave();
  }

  /** Gives everything back once the cache is disposed and no call needs it. */
  #leave(): void {
    if (!this.#disposed || this.#growing || this.#readers) return;
    for (const { pages } of this.#rows) for (const page of pages) if (page !== GONE) this.#pool.release(page);
    this.#rows = [];
    this.#pool.leave();
  }
}

/** @throws RangeError if an encoding does more than turn keys at standard positions */
function checkOnlyRotates(where: string, { name }: Encoding, plan: Plan): void {
  const { rotation, normalization, queryBias, valueTable, terms = [], biases = [] } = plan;
  const more = normalization || queryBias || valueTable || terms.length || biases.length;
  const own = rotation && ((rotation.heads ?? 1) > 1 || rotation.second);
  if (!rotation || more || own || rotation.keyPositions) {
    const expected = "a rotation at standard positions, of all heads alike, and nothing else with rotate: 'on-append'";
    throw wrongValue(where, 'encoding', expected, name, "give other schemes to attention, and explicit positions with rotate: 'on-read'");
  }
}
