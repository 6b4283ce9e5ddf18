// The parameter blocks of a call, and the jobs that run over them.

import type { CachedKeys } from '../kvcache/cached-keys.ts';
import { type LoweredMasks, writeMasks } from '../masks/option.ts';
import type { Layout } from '../memory/layout.ts';
import { type Operands, writeTensor } from '../memory/operands.ts';
import { roundUp } from '../memory/round.ts';
import type { Scope } from '../memory/scope.ts';
import type { Tensor } from '../memory/tensor.ts';
import { type MovingBias, writeEntries } from '../plan/bias-entries.ts';
import type { Context } from '../plan/context.ts';
import type { Place, Shape } from '../plan/plan.ts';
import { type Reach, reachesOf } from '../plan/reach.ts';
import type { TableUse } from '../plan/rotary-table.ts';
import type { Output, Stage } from '../threads/types.ts';
import * as field from '../wasm/generated/job.ts';
import type { Lowered } from './lower.ts';
import { normalizationFields, rotationTables, writeRotation } from './rotations.ts';
import { scratchLayout, stepping } from './tiling.ts';

/** A call at one place: the whole call, or one batch row of it if rows stand at different places. */
export interface Placed extends Lowered {
  readonly place: Place;
  readonly first: number;
  readonly last: number;
  readonly masks: LoweredMasks;
}

/** What the jobs of a call have in common. */
interface Ready {
  readonly shape: Shape;
  readonly layout: Layout;
  readonly operands: Operands;
  readonly cached: CachedKeys | undefined;
  readonly cachedFields: readonly (readonly [number, number])[];
  readonly scale: number;
  readonly softcap: number;
  readonly queries: number;
  readonly lengthsAt: number;
  readonly sinksAt: number;
  readonly target: Tensor;
  readonly lse: Tensor | undefined;
}

/** A parameter block of `attend`, and the scratch that it lays out. */
interface WrittenJob {
  readonly at: number;
  readonly scratch: number;
  readonly steps: number;
  /** Bytes of the records that a split of a tile leaves. */
  readonly records: number;
  readonly tables: readonly TableUse[];
  readonly moving: readonly MovingBias[];
}

export function writeJob(
  ready: Ready,
  { place, first, last, plan, keys, handlers, masks: loweredMasks }: Placed,
  context: Context,
  scope: Scope,
): WrittenJob {
  const { shape, layout, operands, cached, scale, softcap, queries, target, lse } = ready;
  const { B, H, G, L, S, D, E } = shape;
  const { rotation } = plan;
  const reaches = reachesOf({ first, last, queries, slides: cached?.slides ?? false }, place, cached?.window);
  const tables = rotation && rotationTables(rotation, shape, place, { ...reaches, keys: !cached?.storesRotated }, context, scope);
  const masks = writeMasks(loweredMasks, shape, place, context, scope);
  const biases = handlers.biases
    ? handlers.biases.write(plan, masks.entries, { keys, shape, place, reaches, context, scope })
    : writeEntries(
        masks.entries.map((entry) => ({ entry })),
        false,
        scope,
      );
  const normalization = plan.normalization ? normalizationFields(plan.normalization, shape, scope) : [];
  const unit = softcap ? 1 / softcap : 1;
  const forTerms = { shape, place, tables: context.tables, scope, unit, scale, ...reaches };
  const parts = handlers.terms?.prepare(plan, keys, forTerms) ?? { rows: queries * (H / G), fields: () => [], early: [], needs: [] };
  const rowScale = plan.rowScale ? scope.upload(plan.rowScale) : 0;
  const queryBias = plan.queryBias ? scope.upload(plan.queryBias) : 0;
  const valueRows = parts.fields().find(([name]) => name === field.VALUE_ROWS)?.[1] ?? 0;
  const record = field.RECORD_HEADER + 4 * (roundUp(E, 8) + valueRows);
  const { rows } = parts;
  const integers = context.kernels.variant() === field.INT16;
  const scratch = scratchLayout(shape, rows, parts.needs, record, integers);
  const { keys: stepKeys, steps } = stepping(shape, rows);
  const at = scope.block(field.JOB_SIZE);

  const writer = scope.writer(at);
  writeTensor(writer, field.Q, operands.q, layout);
  if (!cached && operands.k && operands.v) {
    writeTensor(writer, field.K, operands.k, layout);
    writeTensor(writer, field.V, operands.v, layout);
  }
  writeTensor(writer, field.OUT, target, layout);
  writer
    .int(field.DIM_B, B)
    .int(field.DIM_H, H)
    .int(field.DIM_G, G)
    .int(field.DIM_L, L)
    .int(field.DIM_S, S)
    .int(field.DIM_D, D)
    .int(field.DIM_E, E)
    .int(field.LSE, lse ? lse.pointer : 0)
    .f32(field.Q_SCALE, scale * unit)
    .f32(field.CAP, softcap)
    .int(field.FIRST, first)
    .int(field.LAST, last)
    .int(field.KEY_LENGTHS, ready.lengthsAt)
    .int(field.SINKS, ready.sinksAt)
    .int(field.QUERIES, queries)
    .int(field.STEP_KEYS, stepKeys)
    .int(field.BIAS_COUNT, biases.count)
    .int(field.BIASES, biases.at)
    .int(field.MARK, masks.marks || biases.marks ? 1 : 0)
    .int(field.QUERY_BIAS, queryBias)
    .int(field.ROW_SCALE, rowScale)
    .int(field.ROW_SCALE_BATCH, plan.rowScale && plan.rowScale.length > L ? 4 * L : 0);
  const fields = [...parts.fields(), ...scratch.fields, ...masks.fields, ...normalization, ...ready.cachedFields];
  for (const [name, value] of fields) writer.int(name, value);
  if (plan.normalization) writer.f64(field.NORM_EPSILON, plan.normalization.epsilon);
  if (rotation && tables) writeRotation(writer, rotation, tables.q, tables.k);
  const early: (readonly [number, number])[] = [...parts.early];
  if (biases.early !== undefined) early.push([field.BIASES, biases.early]);
  if (tables?.early) early.push([field.ROTATE_K, tables.early.at]);
  if (early.length) writeEarly(at, early, reaches.early as Reach, context, scope);
  const used = tables ? [tables.q, tables.k, tables.early].flatMap((table) => table ?? []) : [];
  return { at, scratch: scratch.bytes, steps, records: rows * record, tables: used, moving: biases.moving };
}

/** Gives the early keys of a job a block of their own, the same but for some fields. */
function writeEarly(job: number, fields: readonly (readonly [number, number])[], { keys }: Reach, { arena }: Context, scope: Scope): void {
  const at = scope.block(field.JOB_SIZE);
  new Uint8Array(arena.memory.buffer).copyWithin(at, job, job + field.JOB_SIZE);
  const writer = scope.writer(at);
  for (const [name, value] of fields) writer.int(name, value);
  scope
    .writer(job)
    .int(field.EARLY, at)
    .int(field.EARLY_KEYS, keys?.[1] ?? 0);
}

/** How the jobs of a call run: tiles, threads and what they write. */
interface Running {
  readonly tiles: number;
  readonly threads: number;
  readonly scratch: number;
  readonly outputs: readonly Output[];
}

/** The jobs that fill the output, in order: one, or one over the splits of the keys and one that folds them. Same bits either way. */
export function runsOf(jobs: readonly WrittenJob[], { S }: Shape, { tiles, threads, scratch, outputs }: Running, scope: Scope): Stage[] {
  const [only] = jobs as [WrittenJob];
  const run = (kernel: string, job: number, tiles: number, steps: number, threads: number): Stage => {
    return { kernel, job, tiles, steps, scratch, threads: Math.max(1, Math.min(threads, tiles)), outputs };
  };
  if (jobs.length > 1) {
    const job = scope.upload(Int32Array.of(tiles / jobs.length, ...jobs.map(({ at }) => at)));
    return [run('attendRows', job, tiles, Math.max(...jobs.map((one) => one.steps)), threads)];
  }
  const job = only.at;
  const splits = Math.ceil(S / field.SPLIT);
  if (tiles >= threads || splits < 2) return [run('attend', job, tiles, only.steps, threads)];
  const parts = scope.allocate(tiles * splits * only.records);
  scope.writer(job).int(field.SPLITS, splits).int(field.PARTS, parts).int(field.PART_SIZE, only.records);
  return [run('attendPart', job, tiles * splits, 1, threads), run('attendFold', job, tiles, 1, 1)];
}
