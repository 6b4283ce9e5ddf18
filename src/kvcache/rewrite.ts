// Changes of keys that a cache has stored: they turn, or some go and those behind them move down. Apart from the cache itself, since most programs
// make none.

import { wrongValue } from '../arguments/check.ts';
import { roundUp } from '../memory/round.ts';
import { Scope } from '../memory/scope.ts';
import type { Rotation } from '../plan/plan.ts';
import { jobOf, memoryOf } from '../threads/job.ts';
import type { Stage } from '../threads/types.ts';
import type { CacheCore } from './core.ts';
import { shiftJobs } from './jobs.ts';
import { type Cut, closeGap, GONE, type Row } from './rows.ts';
import { moveDown } from './store.ts';

/** What a change comes to: the rows that there are then, what must be moved before, and the jobs that must run. */
interface Change {
  readonly rows: readonly Row[];
  move?(): void;
  readonly jobs: readonly Stage[];
}

/** The jobs that turn the keys of these rows by `delta` positions, in each row from number `first` on. */
type Turn = (delta: number, rows: readonly Row[], first: readonly number[]) => readonly Stage[];

/**
 * Runs a change of the stored keys on pages of their own. What fails before changes nothing; what fails midway tears the keys, unless all pages that
 * are written are copies.
 */
function rewrite(core: CacheCore, change: (own: (page: number) => number, turn: Turn) => Change): void {
  const { pool, layout, context, rotation } = core;
  const { arena } = context;
  const scope = new Scope(arena);
  const copies: number[] = [];
  let inPlace = false;
  let started = false;
  try {
    const own = (page: number): number => {
      if (page === GONE) return page;
      if (!pool.shared(page)) {
        inPlace = true;
        return page;
      }
      const fresh = pool.copy(page);
      copies.push(fresh);
      return fresh;
    };
    const turn: Turn = (delta, rows, first) =>
      shiftJobs(rotation as Rotation, delta, { shape: core.spec.shape, layout, rows, first, output: pool }, context, scope);
    const { rows, move, jobs } = change(own, turn);
    // What the job will ask for is there: no failing allocation comes after the first change.
    const job = jobOf(jobs);
    const bytes = memoryOf(job, job.threads);
    if (bytes > 0) arena.free(arena.allocate(bytes));
    started = true;
    move?.();
    core.runSync(job);
    core.become(rows);
  } catch (error) {
    for (const page of copies) pool.release(page);
    if (started && inPlace) core.torn = error;
    throw error;
  } finally {
    scope.release();
  }
}

/** Turns all stored keys by `delta` positions, each once; pages that others share are copied first. */
export function shiftKeys(core: CacheCore, delta: number): void {
  if (!core.rotation) return;
  const { sinks, pageSize } = core.spec.bounds;
  rewrite(core, (own, turn) => {
    const rows = core.rows.map((row) => ({ ...row, pages: row.pages.map(own) }));
    // Between the pages of the sinks and those of the window there may be some that are gone.
    const window = rows.map(({ pages }) => (pages.lastIndexOf(GONE) + 1) * pageSize);
    const ofSinks = rows.map((row, b) => ({ ...row, length: Math.min(roundUp(sinks, pageSize), window[b] as number) }));
    const none = rows.map(() => 0);
    return { rows, jobs: [...turn(delta, rows, window), ...turn(delta, ofSinks, none)] };
  });
}

/**
 * Takes the keys from … to − 1 out of each row and moves those behind them down; those turn by `turnOf` positions, if at all. Pages that others
 * share are copied before they are written.
 */
export function removeKeys(core: CacheCore, where: string, cuts: readonly Cut[], turnOf: ((cut: Cut) => number) | undefined): void {
  core.rows.forEach((row, b) => {
    const { from, to } = cuts[b] as Cut;
    if (from === to || !row.kept) return;
    const because = `batch row ${b} has lost the keys before ${row.kept}, which a query further back would see`;
    throw wrongValue(where, 'cache', 'a cache whose window has not moved', 'one that has', because);
  });
  const turned = core.rotation && turnOf;
  const { shape, bounds } = core.spec;
  rewrite(core, (own, turn) => {
    const changes = core.rows.map((row, b) => closeGap(row, cuts[b] as Cut, bounds, turned !== undefined, own));
    const rows = changes.map((change) => change.row);
    const first = cuts.map(({ from, to }, b) => (from < to ? from : (rows[b] as Row).length));
    const deltas = new Set(turned ? cuts.flatMap((cut) => (cut.from < cut.to ? [turned(cut)] : [])) : []);
    const jobs = [...deltas].flatMap((delta) => {
      const starts = cuts.map((cut, b) => (turned?.(cut) === delta ? first[b] : rows[b]?.length) as number);
      return turn(delta, rows, starts);
    });
    const move = (): void => {
      const memory = core.context.arena.memory.buffer;
      changes.forEach(({ row, source }, b) => {
        const { from, to } = cuts[b] as Cut;
        if (source) moveDown(memory, shape, core.layout, [source, row.pages], { from, gap: to - from, end: row.length });
      });
    };
    return { rows, move, jobs };
  });
}
