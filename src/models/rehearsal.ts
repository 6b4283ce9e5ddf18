// What a model takes is found by loading and running it in a memory that is only counted (counted-arena.ts), by kernels that compute nothing: what
// takes memory is the code that takes it later.

import { RelposError } from '../arguments/errors.ts';
import type { Arena } from '../memory/arena.ts';
import type { LayerContext } from '../nn/context.ts';
import type { WeightType } from '../nn/weights.ts';
import type { Context } from '../plan/context.ts';
import { Tables } from '../plan/table-cache.ts';
import { threadCount } from '../platform/host.ts';
import { canShareMemory } from '../platform/sharing.ts';
import { memoryOf } from '../threads/job.ts';
import type { Job, Pool } from '../threads/types.ts';
import { INT16 } from '../wasm/generated/job.ts';
import type { Kernels } from '../wasm/kernels.ts';
import type { Precision } from '../wasm/variants.ts';
import { CountedArena } from './counted-arena.ts';
import type { PackedSource, Packing, Place } from './packing.ts';
import type { Weights } from './weights.ts';

/** Bytes that WebAssembly's memory has at most. */
export const MOST = 0x100000000;

/** What a model is rehearsed on. */
export interface Setting {
  readonly type: WeightType;
  /** As for `createEngine`. */
  readonly threads?: number | 'auto' | undefined;
  readonly precision?: Precision | undefined;
  /** What the tensors are read from, piece by piece; none of packed files, which are read where they lie. */
  readonly weights?: Pick<Weights, 'plan'> | undefined;
}

/** A memory, and what runs on it. */
export interface Rehearsal {
  readonly arena: CountedArena;
  readonly layers: LayerContext;
  /** Where weights come from. */
  readonly source: PackedSource;
}

/** @param small bytes of the largest thing that is written, or read, by other than kernels */
export function rehearsalOn({ threads = 'auto', precision = 'reproducible', weights }: Setting, small: number): Rehearsal {
  const arena = new CountedArena(MOST, small);
  const count = canShareMemory().ok ? threadCount(threads) : 1;
  const kernels = { variant: () => (precision === 'int16' ? INT16 : 0), loadRow: () => {}, storeRow: () => {} };
  const context = {
    arena: arena as unknown as Arena,
    kernels: kernels as unknown as Kernels,
    alive: () => {},
    // Of their numbers nothing is computed.
    math: Math,
    threads: count,
    tables: undefined as unknown as Tables,
  } satisfies Context;
  context.tables = new Tables(context);
  const layers = { context, pool: poolOf(arena, count), precision, fused: false };
  return { arena, layers, source: { fill: async (_, packings) => come(arena, packings, weights) } };
}

/** Jobs take their memory, and are done. */
function poolOf(arena: CountedArena, threads: number): Pool {
  const runSync = (job: Job): void => {
    const bytes = job.at === undefined ? memoryOf(job, Math.min(job.threads, threads)) : 0;
    if (bytes) arena.free(arena.allocate(bytes));
  };
  return { threads, reason: undefined, run: async (job) => runSync(job), runSync, extend: async () => {}, dispose: () => {} };
}

/** Tensors come as `loadPackings` has them: in pieces, or whole, and numbers of vectors as f32 beside that. */
function come(arena: CountedArena, packings: readonly Packing[], weights: Setting['weights']): void {
  const places = packings.flatMap((packing) => packing.places);
  const vectors = places.filter(isVector);
  const numbers = new Set(vectors.flatMap(({ of }) => of.parts.flatMap((part) => ('tensor' in part ? [part.tensor] : []))));
  let held: { readonly at: number; readonly bytes: number } | undefined;
  for (const { place, rows, length, last } of weights?.plan(packings.flatMap(({ names }) => names)) ?? []) {
    const { name, bytes: all, shape } = place.info;
    const collects = packings.some((packing) => packing.whole(name));
    const bytes = collects ? all : length;
    if (bytes > (held?.bytes ?? 0)) {
      if (held) arena.free(held.at);
      held = { at: arena.allocate(bytes), bytes };
    }
    const count = (collects ? 1 : rows) * (collects ? shape.reduce((a, b) => a * b, 1) : shape.length > 1 ? (shape.at(-1) as number) : 1);
    if (numbers.has(name) && (last || !collects)) arena.free(arena.allocate(4 * count));
  }
  if (held) arena.free(held.at);
  // Vectors are read.
  const at = arena.spare(Math.max(0, ...vectors.map(({ bytes }) => bytes)));
  for (const { to } of vectors) (to as { pointer: number }).pointer = at;
}

const isVector = ({ to }: Place): boolean => 'size' in to;

/** Bytes that a model takes which does this; more than there are in any memory if there are too few. */
export async function mostOf({ arena }: Rehearsal, perform: () => Promise<void>): Promise<number> {
  try {
    await perform();
    return arena.most;
  } catch (error) {
    if (!(error instanceof RelposError && error.code === 'out-of-memory')) throw error;
    return Math.max(arena.usage().used + Number(error.asked), MOST + 1);
  }
}
