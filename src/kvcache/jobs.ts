// Jobs that write into a cache: append new rows, turn those that are there.

import type { Layout } from '../memory/layout.ts';
import { writeTensor } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import { layOut } from '../memory/scratch.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Context } from '../plan/context.ts';
import type { Positions, Rotation } from '../plan/plan.ts';
import { byDifference, explicitTable, type TableUse } from '../plan/rotary-table.ts';
import { SMALL_TRAFFIC, threadsFor } from '../plan/work.ts';
import type { Output, Stage } from '../threads/types.ts';
import * as field from '../wasm/generated/job.ts';
import type { Row } from './rows.ts';
import { type CacheShape, type PageLayout, type PageTables, storeFields, tablesFrom, uploadTables } from './store.ts';

/** What a job of either kind is told of. */
interface Target {
  readonly shape: CacheShape;
  readonly layout: PageLayout;
  /** The rows of the cache that the job writes, in the order of the batch. */
  readonly rows: readonly Row[];
  /** First position that is written, per row; the end is the row's length. */
  readonly first: readonly number[];
  /** The cache, which the job writes in place. */
  readonly output: Output;
}

export interface NewRows {
  readonly k: Tensor;
  readonly v: Tensor;
  readonly layout: Layout;
}

/** Jobs in the order in which they must run, and what to call when they have. */
export interface Writing {
  readonly jobs: readonly Stage[];
  /** The block tables of the rows that are written. */
  readonly tables: PageTables;
  /** One past the last standard position for which the jobs have cosines; undefined: they need none. */
  readonly end?: number | undefined;
  done(): void;
}

function blockOf(kernel: 'append' | 'shift', target: Target, tables: PageTables, context: Context, scope: Scope): Stage {
  const { shape, layout, rows, first } = target;
  const { G, D, E } = shape;
  const firstAt = scope.upload(Int32Array.from(first));
  const endAt = scope.upload(Int32Array.from(rows, ({ length }) => length));
  const tiles = rows.length * G;
  const work = rows.reduce((sum, { length }, b) => sum + length - (first[b] as number), 0) * G * (D + E);
  const threads = threadsFor(work, SMALL_TRAFFIC, tiles, context.threads);
  const { bytes: scratch } = layOut([kernel === 'append' ? 8 * Math.max(D, E) : 40 * D]);
  const job = scope.block(field.JOB_SIZE);
  const writer = scope.writer(job);
  for (const [name, value] of storeFields(layout, tables)) writer.int(name, value);
  writer.int(field.DIM_G, G).int(field.DIM_D, D).int(field.DIM_E, E).int(field.KEY_STARTS, firstAt).int(field.KEY_LENGTHS, endAt);
  return { kernel, job, tiles, scratch, threads, outputs: [target.output] };
}

/** Tells a job how its keys turn: by the rows of a table, the first of which is that of position `first`. */
function writeRotation(
  { job }: Stage,
  rotation: Rotation,
  [inLayout, outLayout]: readonly string[],
  at: number,
  first: number,
  scope: Scope,
) {
  const { dim, start = 0, blocks = 1 } = rotation;
  scope
    .writer(job)
    .int(field.ROTATE_K, at - 4 * dim * first)
    .int(field.ROTATE_DIM, dim)
    .int(field.ROTATE_START, start)
    .int(field.ROTATE_PAIRS_IN, inLayout === 'pairs' ? 1 : 0)
    .int(field.ROTATE_PAIRS_OUT, outLayout === 'pairs' ? 1 : 0)
    .int(field.ROTATE_BLOCKS, blocks);
}

/** The rows from … to − 1 of a target. */
const rowsOf = ({ rows, first, ...rest }: Target, from: number, to: number): Target => {
  return { ...rest, rows: rows.slice(from, to), first: first.slice(from, to) };
};

/** True if one table of standard positions for all rows is little longer than what they need of it. */
function together({ rows, first }: Target): boolean {
  const needed = rows.reduce((sum, { length }, b) => sum + length - (first[b] as number), 0);
  const end = rows.reduce((most, { length }) => Math.max(most, length), 0);
  return end - Math.min(...first) <= 2 * needed;
}

/** Copies the new rows to the ends of `target.rows`, turned if there is a rotation. */
export function appendJobs(
  source: NewRows,
  rotation: Rotation | undefined,
  target: Target,
  slides: boolean,
  context: Context,
  scope: Scope,
): Writing {
  const { rows, first } = target;
  const { k, v, layout } = source;
  const tables = uploadTables(rows, target.layout, scope);
  scope.defer(k.pin());
  scope.defer(v.pin());
  const stageOf = (from: number, to: number): Stage => {
    const job = blockOf('append', rowsOf(target, from, to), tablesFrom(tables, from), context, scope);
    const [keys, values] = [k, v].map((tensor) => tensor.slice([from, to])) as [Tensor, Tensor];
    const writer = scope.writer(job.job);
    writeTensor(writer, field.Q, keys, layout);
    writeTensor(writer, field.OUT, values, layout);
    keys.dispose();
    values.dispose();
    return job;
  };
  if (!rotation) return { jobs: [stageOf(0, rows.length)], tables, done: () => {} };

  const turn = { rotation, inverse: false, keys: true };
  const layouts = [rotation.layout, rotation.layoutOut ?? rotation.layout];
  const { keyPositions } = rotation;
  const filling: TableUse[] = [];
  const jobs: Stage[] = [];
  const add = (from: number, to: number, at: number, position: number): void => {
    const job = stageOf(from, to);
    writeRotation(job, rotation, layouts, at, position, scope);
    jobs.push(job);
  };
  if (keyPositions) {
    const n = k.shape[layout === 'bhld' ? 2 : 1] as number;
    const table = explicitTable(turn, keyPositions, n, rows.length, scope);
    filling.push(table);
    const size = keyPositions.batched ? 4 * rotation.dim * n : 0;
    rows.forEach((_, b) => {
      add(b, b + 1, table.at + b * size, first[b] as number);
    });
  } else {
    // Rows far apart from one another have tables of their own: one for all would span what lies between.
    const parts = together(target) ? [[0, rows.length] as const] : rows.map((_, b) => [b, b + 1] as const);
    for (const [from, to] of parts) {
      const low = Math.min(...first.slice(from, to));
      const end = Math.max(...rows.slice(from, to).map(({ length }) => length));
      if (end === low) continue;
      const table = context.tables.positions(turn, { first: low, count: end - low, slides }, scope);
      filling.push(table);
      add(from, to, table.at, low);
    }
  }
  const done = (): void => {
    for (const table of filling) table.done();
  };
  return { jobs: [...filling.flatMap((table) => table.jobs), ...jobs], tables, end: filling[0]?.end, done };
}

/** Turns the keys of `target.rows` by `delta` positions: no offset and no factor, which they have already. */
export function shiftJobs(rotation: Rotation, delta: number, target: Target, context: Context, scope: Scope): readonly Stage[] {
  const positions: Positions = { values: Float64Array.of(delta), batched: false };
  const table = explicitTable({ rotation: byDifference(rotation), inverse: false, keys: true }, positions, 1, 1, scope);
  const job = blockOf('shift', target, uploadTables(target.rows, target.layout, scope), context, scope);
  const { layout, layoutOut = layout } = rotation;
  writeRotation(job, rotation, [layoutOut, layoutOut], table.at, 0, scope);
  return [...table.jobs, job];
}
