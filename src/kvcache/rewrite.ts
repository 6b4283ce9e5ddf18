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

/**
 * Runs a change of the stored keys on pages of their own. What fails before changes nothing; what fails midway tears the keys, unless all pages that
 * are written are copies.
 */
function rewrite(core: CacheCore, change: (own: (page: number) => number, scope: Scope) => Change): void {
  const scope = new Scope(core.context.arena);
  const copies: number[] = [];
  let inPlace = false;
  let started = false;
  try {
    const own = (page: number): number => {
      if (page === GONE) return page;
      if (!core.pool.shared(page)) {
        inPlace = true;
        return page;
      }
      const fresh = core.pool.copy(page);
      copies.push(fresh);
      return fresh;
    };
    const { rows, move, jobs } = change(own, scope);
    // What the job will ask for is there: no failing allocation comes after the first change.
    const job = jobOf(jobs);
    const bytes = memoryOf(job, job.threads);
    if (bytes > 0) core.context.arena.free(core.context.arena.allocate(bytes));
    started = true;
    move?.();
    core.runSync(job);
    core.become(rows);
  } catch (error) {
    for (const page of copies) core.pool.release(page);
    if (started && inPlace) core.torn = error;
    throw error;
  } finally {
    scope.release();
  }
}

/** Turns all stored keys by `delta` positions, each once; pages that others share are copied first. */
export function shiftKeys(core: CacheCore, delta: number): void {
  const { rotation } = core;
  if (!rotation) return;
  const { sinks, pageSize } = core.spec.bounds;
  rewrite(core, (own, scope) => {
    const rows = core.rows.map((row) => ({ ...row, pages: row.pages.map(own) }));
    // Between the pages of the sinks and those of the window there may be some that are gone.
    const window = rows.map(({ pages }) => (pages.lastIndexOf(GONE) + 1) * pageSize);
    const ofSinks = rows.map((row, b) => ({ ...row, length: Math.min(roundUp(sinks, pageSize), window[b] as number) }));
    const target = { shape: core.spec.shape, layout: core.layout, output: core.pool };
    const jobs = [
      ...shiftJobs(rotation, delta, { ...target, rows, first: window }, core.context, scope),
      ...shiftJobs(rotation, delta, { ...target, rows: ofSinks, first: rows.map(() => 0) }, core.context, scope),
    ];
    return { rows, jobs };
  });
}

/**
 * Takes the keys from … to − 1 out of each row and moves those behind them down; those turn by `turn` positions, if at all. Pages that others
 * share are copied before they are written.
 */
export function removeKeys(core: CacheCore, where: string, cuts: readonly Cut[], turn: ((cut: Cut) => number) | undefined): void {
  core.rows.forEach((row, b) => {
    const { from, to } = cuts[b] as Cut;
    if (from === to || !row.kept) return;
    const because = `in batch row ${b} the keys before ${row.kept} have left it, which a query further back would see`;
    throw wrongValue(where, 'cache', 'a cache whose window has not moved', 'one that has', because);
  });
  const rotation = turn && core.rotation;
  const { shape } = core.spec;
  rewrite(core, (own, scope) => {
    const changes = core.rows.map((row, b) => closeGap(row, cuts[b] as Cut, core.spec.bounds, rotation !== undefined, own));
    const rows = changes.map((change) => change.row);
    const first = cuts.map(({ from, to }, b) => (from < to ? from : (rows[b] as Row).length));
    const deltas = new Set(rotation ? cuts.flatMap((cut) => (cut.from < cut.to ? [turn(cut)] : [])) : []);
    const jobs = [...deltas].flatMap((delta) => {
      const starts = cuts.map((cut, b) => (turn?.(cut) === delta ? first[b] : rows[b]?.length) as number);
      const target = { shape, layout: core.layout, rows, first: starts, output: core.pool };
      return shiftJobs(rotation as Rotation, delta, target, core.context, scope);
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
