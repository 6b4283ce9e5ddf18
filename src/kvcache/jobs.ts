// Jobs that write into a cache: append new rows, turn those that are there.

import type { Layout } from '../memory/layout.ts';
import { writeTensor } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import { layOut } from '../memory/scratch.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Context } from '../plan/context.ts';
import type { Rotation } from '../plan/plan.ts';
import { SMALL_TRAFFIC, threadsFor } from '../plan/work.ts';
import type { Job } from '../threads/types.ts';
import * as field from '../wasm/generated/job.ts';
import type { Row } from './rows.ts';
import { type CacheShape, type PageLayout, type PageTables, storeFields, uploadTables } from './store.ts';

/** What a job of either kind is told of. */
interface Target {
  readonly shape: CacheShape;
  readonly layout: PageLayout;
  /** The rows of the cache that the job writes, in the order of the batch. */
  readonly rows: readonly Row[];
  /** First position that is written, per row; the end is the row's length. */
  readonly first: readonly number[];
}

export interface NewRows {
  readonly k: Tensor;
  readonly v: Tensor;
  readonly layout: Layout;
}

/** Jobs in the order in which they must run, and what to call when they have. */
export interface Writing {
  readonly jobs: readonly Job[];
  /** The block tables of the rows that are written. */
  readonly tables: PageTables;
  done(): void;
}

function blockOf(kernel: 'append' | 'shift', target: Target, context: Context, scope: Scope): { at: number; job: Job; tables: PageTables } {
  const { shape, layout, rows, first } = target;
  const { G, D, E } = shape;
  const tables = uploadTables(rows, layout, scope);
  const firstAt = scope.upload(Int32Array.from(first));
  const endAt = scope.upload(Int32Array.from(rows, ({ length }) => length));
  const tiles = rows.length * G;
  const work = rows.reduce((sum, { length }, b) => sum + length - (first[b] as number), 0) * G * (D + E);
  const threads = threadsFor(work, SMALL_TRAFFIC, tiles, context.threads);
  const { bytes: scratchStride } = layOut([8 * Math.max(D, E)]);
  const scratch = scope.allocate(scratchStride * threads);
  const at = scope.block(field.JOB_SIZE);
  const writer = scope.writer(at);
  for (const [name, value] of storeFields(layout, tables)) writer.int(name, value);
  writer.int(field.DIM_G, G).int(field.DIM_D, D).int(field.DIM_E, E).int(field.KEY_STARTS, firstAt).int(field.KEY_LENGTHS, endAt);
  return { at, job: { kernel, job: at, tiles, scratch, scratchStride, threads }, tables };
}

/** Copies the new rows to the ends of `target.rows`, turned if there is a rotation. */
export function appendJobs(source: NewRows, rotation: Rotation | undefined, target: Target, context: Context, scope: Scope): Writing {
  const { at, job, tables } = blockOf('append', target, context, scope);
  scope.defer(source.k.pin());
  scope.defer(source.v.pin());
  const first = Math.min(...target.first);
  const end = Math.max(...target.rows.map(({ length }) => length));
  const table = rotation && context.tables.positions(rotation, false, first, Math.max(1, end - first), scope, true);
  const writer = scope.writer(at);
  writeTensor(writer, field.Q, source.k, source.layout);
  writeTensor(writer, field.OUT, source.v, source.layout);
  if (!rotation || !table) return { jobs: [job], tables, done: () => {} };
  const { dim, start = 0, layout, layoutOut = layout } = rotation;
  // The row of position 0, whether or not the table has one.
  writer
    .int(field.ROTATE_K, table.at - 4 * dim * first)
    .int(field.ROTATE_DIM, dim)
    .int(field.ROTATE_START, start)
    .int(field.ROTATE_PAIRS_IN, layout === 'pairs' ? 1 : 0)
    .int(field.ROTATE_PAIRS_OUT, layoutOut === 'pairs' ? 1 : 0);
  return { jobs: [...table.jobs, job], tables, done: () => table.done() };
}

/** Turns the keys of `target.rows` by `delta` positions: no offset and no factor, which they have already. */
export function shiftJobs(rotation: Rotation, delta: number, target: Target, context: Context, scope: Scope): Writing {
  const { dim, start = 0, layout, layoutOut = layout } = rotation;
  const pure: Rotation = { ...rotation, factor: 1, offset: 0, center: 0 };
  const positions = { values: Float64Array.of(delta), batched: false };
  const table = context.tables.explicit(pure, false, positions, 1, 1, scope, true);
  const { at, job, tables } = blockOf('shift', target, context, scope);
  const pairs = layoutOut === 'pairs' ? 1 : 0;
  scope
    .writer(at)
    .int(field.ROTATE_K, table.at)
    .int(field.ROTATE_DIM, dim)
    .int(field.ROTATE_START, start)
    .int(field.ROTATE_PAIRS_IN, pairs)
    .int(field.ROTATE_PAIRS_OUT, pairs);
  return { jobs: [...table.jobs, job], tables, done: () => table.done() };
}
