// The state behind a `KVCache`: its pages and rows, who is using it, and the changes it goes through.

import { wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import type { Mask } from '../masks/mask.ts';
import type { CacheDType } from '../memory/dtypes.ts';
import type { Layout } from '../memory/layout.ts';
import { Scope } from '../memory/scope.ts';
import type { Context } from '../plan/context.ts';
import { lowerEncoding } from '../plan/handlers.ts';
import type { Encoding, Plan, Rotation } from '../plan/plan.ts';
import type { SinkWindow } from '../plan/reach.ts';
import { byDifference, isOwn } from '../plan/rotary-table.ts';
import { jobOf } from '../threads/job.ts';
import type { Job } from '../threads/types.ts';
import { appendJobs, type NewRows, type Writing } from './jobs.ts';
import { PagePool } from './pages.ts';
import { type Bounds, checkCut, checkGrowth, cut, EMPTY, GONE, Growth, pagesOfRow, type Row } from './rows.ts';
import { type CacheShape, layoutPages, type PageLayout } from './store.ts';

/** A window with sinks, and the mask that shows what is in it. */
export interface MaskedWindow extends SinkWindow {
  readonly mask: Mask;
}

/** What a cache was made with. */
export interface CacheSpec {
  readonly shape: CacheShape;
  readonly dtype: CacheDType;
  readonly bounds: Bounds;
  /** A window with sinks. */
  readonly window?: MaskedWindow | undefined;
  readonly encoding: Encoding | undefined;
  /** Keys are turned when they are stored, not when they are read. */
  readonly rotatesOnAppend: boolean;
  readonly layout: Layout;
}

/** Bytes that a cache reserves. */
export function bytesOf({ shape, dtype, bounds }: Pick<CacheSpec, 'shape' | 'dtype' | 'bounds'>): number {
  return layoutPages(shape, dtype, bounds.pageSize).bytes * shape.B * pagesOfRow(bounds);
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
  if (a === b) return true;
  const traits = ({ dim, start = 0, layout, layoutOut = layout, blocks = 1, factor = 1, offset = 0, center = 0 }: Rotation): string =>
    `${dim} ${start} ${layout} ${layoutOut} ${blocks} ${factor} ${offset} ${center}`;
  const same = (x: Rotation, y: Rotation): boolean => sameNumbers(x.frequencies, y.frequencies) && sameNumbers(x.growth, y.growth);
  // Most often they are the same outright; else one may give each axis a line of its own and the other all in one.
  return traits(a) === traits(b) && (same(a, b) || same(byDifference(a), byDifference(b)));
}

export class CacheCore {
  readonly context: Context;
  readonly spec: CacheSpec;
  readonly layout: PageLayout;
  readonly pool: PagePool;
  readonly runSync: (job: Job) => void;
  #rows: readonly Row[];
  /** The rotation that the stored keys went through. */
  rotation: Rotation | undefined;
  /** Calls that read the cache and are not done. */
  #readers = 0;
  #growing = false;
  #disposed = false;
  /** What went wrong in the middle of a change of stored keys: some may be changed, and which nobody knows. */
  torn: unknown;

  /** @throws RelposError `out-of-memory` */
  constructor(context: Context, runSync: (job: Job) => void, spec: CacheSpec, fork?: { pool: PagePool; core: CacheCore }) {
    this.context = context;
    this.runSync = runSync;
    this.spec = spec;
    this.layout = layoutPages(spec.shape, spec.dtype, spec.bounds.pageSize);
    if (!fork) {
      this.pool = new PagePool(context.arena, this.layout.bytes, spec.shape.B * pagesOfRow(spec.bounds));
      this.#rows = Array.from({ length: spec.shape.B }, () => ({ ...EMPTY }));
      return;
    }
    this.pool = fork.pool;
    // Each of the two has rows of its own from here on, and lists of pages, which are shared: no step goes on from before.
    this.#rows = fork.core.#rows.map((row) => ({ ...row }));
    fork.core.#rows = fork.core.#rows.map((row) => ({ ...row, pages: [...row.pages] }));
    this.rotation = fork.core.rotation;
    this.pool.join();
    for (const { pages } of this.#rows) for (const page of pages) if (page !== GONE) this.pool.hold(page);
  }

  /** A list of its own after every change but a step. A row whose pages are others has a list of pages of its own, and so have a fork's. */
  get rows(): readonly Row[] {
    return this.#rows;
  }

  /** Begins a growth by a prepared step (prepared/step.ts), which takes no page; the returned function ends it. @throws as `free` */
  step(where: string): () => void {
    this.free(where);
    this.#growing = true;
    return this.#endStep;
  }

  readonly #endStep = (): void => {
    this.#growing = false;
    this.#leave();
  };

  get disposed(): boolean {
    return this.#disposed;
  }

  /** @throws RelposError `disposed`; `lost`; `kernel-trap` if its keys are not to be trusted */
  alive(): void {
    this.#there();
    if (this.torn === undefined) return;
    const message = 'a change of its keys failed midway: reset() it';
    throw new RelposError('kernel-trap', message, { cause: this.torn });
  }

  #there(): void {
    if (this.#disposed) throw new RelposError('disposed', 'the cache was disposed');
    this.context.alive();
    if (this.pool.lost) throw new RelposError('lost', 'a worker that could not be ended may still write to this cache');
  }

  /** @throws RelposError `busy` if a call is under way that would not survive a change */
  free(where: string): void {
    this.alive();
    this.#idle(where);
  }

  /**
   * Begins the checks of a call that changes the cache, or only reads it; the returned function ends them. In between code of the caller may
   * run, such as an encoding's `lower` or a getter, and use this very cache. @throws RelposError `disposed`; `busy` as `free`, or if it did
   */
  checking(where: string, changes: boolean = true): () => void {
    const rows = this.#rows;
    const length = rows[0]?.length; // a prepared step changes all of them, in the list that there is
    const check = (): void => {
      this.alive();
      const changed = rows !== this.#rows || length !== rows[0]?.length;
      if (changes || changed) this.#idle(where, changed);
    };
    check();
    return check;
  }

  #idle(where: string, changed?: boolean): void {
    if (changed || this.#growing || this.#readers)
      throw new RelposError('busy', `${where}: a call with this cache is under way; await it first`);
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

  /**
   * The rotation of `count` keys at positions up to `length` − 1, for explicit positions with a line of frequencies for each axis.
   *
   * @throws RangeError if the stored ones went through another
   */
  rotationFor(where: string, count: number, length: number, perAxis: boolean): Rotation | undefined {
    const { encoding, rotatesOnAppend, shape } = this.spec;
    if (!encoding || !rotatesOnAppend) return undefined;
    const { B, G, D, E } = shape;
    const place = { queryOffset: length - count, keyOffset: length - count, totalKeys: length };
    const given = {
      shape: { B, H: G, G, L: count, S: count, D, E },
      place,
      math: this.context.math,
      length,
      role: 'key' as const,
      perAxis,
    };
    const plan = lowerEncoding(where, `encoding (${encoding.name})`, encoding, given, this.context.arena.memory);
    checkOnlyRotates(where, encoding, plan);
    const rotation = plan.rotation as Rotation;
    this.checkRotation(where, rotation);
    return rotation;
  }

  /** @throws RangeError if the stored keys went through another rotation */
  checkRotation(where: string, rotation: Rotation): void {
    if (!this.rotation || this.#rows.every(({ length }) => length === 0) || sameRotation(this.rotation, rotation)) return;
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
    const growth = new Growth(this.pool, this.#rows, counts, this.spec.bounds);
    try {
      const { shape } = this.spec;
      const rows = order.map((b) => growth.rows[b] as Row);
      const first = order.map((b) => (this.#rows[b] as Row).length);
      const slides = this.spec.bounds.left !== undefined;
      const writing = appendJobs(
        source,
        rotation,
        { shape, layout: this.layout, rows, first, output: this.pool },
        slides,
        this.context,
        scope,
      );
      this.#growing = true;
      return {
        writing,
        commit: () => {
          this.#growing = false;
          this.#rows = growth.commit();
          if (rotation) this.rotation = rotation;
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
        this.runSync(jobOf(pending.writing.jobs));
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

  /** Forgets all keys, whatever state they are in. */
  reset(where: string): void {
    this.#there();
    this.#idle(where);
    this.#rows = this.#rows.map((row) => cut(this.pool, row, 0, this.spec.bounds));
    this.torn = undefined;
  }

  /** Cuts row b to its first lengths[b] keys. */
  truncate(where: string, lengths: readonly number[]): void {
    this.#rows.forEach((row, b) => {
      checkCut(where, 'length', row, lengths[b] as number, this.spec.bounds);
    });
    this.#rows = this.#rows.map((row, b) => cut(this.pool, row, lengths[b] as number, this.spec.bounds));
  }

  /** Other rows take the place of these, whose pages are given back unless the others have them too. */
  become(rows: readonly Row[]): void {
    this.#rows.forEach(({ pages }, b) => {
      const kept = new Set(rows[b]?.pages);
      for (const page of pages) if (page !== GONE && !kept.has(page)) this.pool.release(page);
    });
    this.#rows = rows;
  }

  fork(): CacheCore {
    return new CacheCore(this.context, this.runSync, this.spec, { pool: this.pool, core: this });
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#leave();
  }

  /** Gives everything back once the cache is disposed and no call needs it. */
  #leave(): void {
    if (!this.#disposed || this.#growing || this.#readers) return;
    this.become([]);
    this.pool.leave();
  }
}

/** @throws RangeError if an encoding does more than turn keys at standard positions */
function checkOnlyRotates(where: string, { name }: Encoding, plan: Plan): void {
  const { rotation, ...others } = plan;
  const more = Object.values(others).some((part) => part !== undefined && !(Array.isArray(part) && part.length === 0));
  if (!rotation || more || isOwn(rotation) || rotation.keyPositions) {
    const expected = "a rotation at standard positions, of all heads alike, and nothing else with rotate: 'on-append'";
    throw wrongValue(where, 'encoding', expected, name, 'give other schemes to attention, and positions to each call');
  }
}
