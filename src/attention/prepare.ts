// From a user's call to a job: check everything, lower the encodings to a plan, write the plan into a parameter block.

import { wrongValue } from '../arguments/check.ts';
import type { CachedKeys } from '../kvcache/cached-keys.ts';
import { lowerMaskOption } from '../masks/option.ts';
import { checkApart, checkOut, checkTensor, type Operands } from '../memory/operands.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Call, Context } from '../plan/context.ts';
import type { Place, Shape } from '../plan/plan.ts';
import { SMALL_WORK } from '../plan/work.ts';
import { mayBlock } from '../platform/host.ts';
import type { Job } from '../threads/types.ts';
import { type Placed, runsOf, writeJob } from './job-block.ts';
import { lower } from './lower.ts';
import { checkShapes, lengthsOf, logitsOf } from './operands.ts';
import type { CheckedOptions } from './options.ts';
import { placeOf, visibleRange } from './place.ts';
import { withNormalization } from './qk-norm.ts';
import { readsOf } from './reads.ts';
import { tiling } from './tiling.ts';

/** The tensor that the kernels write: `out` itself, or one of the call's own that replaces its contents at the end. */
function resultTensor(context: Context, where: string, shape: readonly number[], out: Tensor | undefined, staged: boolean): Tensor {
  if (out && !staged) return out;
  return makeTensor(context, where, shape, undefined, out?.dtype ?? 'f32');
}

function checkOperands(where: string, q: unknown, k: unknown, v: unknown, cache: unknown, context: Context): Operands {
  const query = checkTensor(where, 'q', q, context);
  if (cache !== undefined && (k ?? v ?? undefined) === undefined) return { q: query };
  return { q: query, k: checkTensor(where, 'k', k, context), v: checkTensor(where, 'v', v, context) };
}

function cachedKeys(where: string, operands: Operands, given: CheckedOptions, context: Context): CachedKeys | undefined {
  const { cache, keyLengths, queryOffset, positions } = given;
  if (cache === undefined) {
    if (positions) throw wrongValue(where, 'positions', 'none without "cache"', 'some', 'encodings have positions of their own');
    return undefined;
  }
  for (const name of ['keyOffset', 'totalKeys'] as const) {
    if (given[name] !== undefined) throw wrongValue(where, name, 'nothing beside "cache", which holds all keys', given[name]);
  }
  return cache.use(where, context, operands, { layout: given.layout, keyLengths, queryOffset, positions });
}

function lowerAt(
  where: string,
  given: CheckedOptions,
  shape: Shape,
  place: Place,
  cached: CachedKeys | undefined,
  context: Context,
): Placed {
  const { left } = cached ?? {};
  const window = left === undefined ? given.window : { ...given.window, left: Math.min(left, given.window?.left ?? left) };
  const { first, last } = visibleRange(window === undefined ? given : { ...given, window }, place);
  const { encoding = [], mask = [] } = given;
  // An encoding of the cache that the call names too counts once.
  const own = encoding.filter(({ value }) => !cached?.encodings.includes(value));
  const encodings = [...(cached?.encodings ?? []).map((value) => ({ name: 'cache.encoding', value })), ...own];
  const masks = [...(cached?.masks ?? []).map((value) => ({ name: 'cache.window', value })), ...mask];
  const { plan, keys } = lower(where, encodings, shape, place, context);
  const normalized = withNormalization(where, plan, given.qkNorm, shape);
  cached?.checkRotation(where, normalized.rotation, normalized.normalization !== undefined);
  const placedPlan = cached?.rotation ? { ...normalized, rotation: cached.rotation } : normalized;
  return { place, first, last, plan: placedPlan, keys, masks: lowerMaskOption(where, masks, shape, place, context) };
}

/** Where the call stands, or each batch row if they stand apart. */
function placesOf(where: string, given: CheckedOptions, shape: Shape, cached: CachedKeys | undefined): Place[] {
  if (!cached) return [placeOf(where, given, shape)];
  const offsets = new Set(cached.queryOffsets);
  const at = (queryOffset: number): Place => ({ queryOffset, keyOffset: 0, totalKeys: shape.S });
  return offsets.size > 1 ? cached.queryOffsets.map(at) : [...offsets].map(at);
}

/** Most that the scale of q·k may be of the softcap: with more the scores are beyond f32 before the cap is put on them. */
const LARGEST_RATIO = 2 ** 100;

function scaling(where: string, { scale: given, softcap = 0 }: CheckedOptions, D: number): { scale: number; softcap: number } {
  const scale = given ?? 1 / Math.sqrt(D);
  if (softcap && Math.abs(scale) / softcap > LARGEST_RATIO) {
    throw wrongValue(where, 'softcap', `at least |scale| · 2^-100, scale ${scale}`, softcap);
  }
  return { scale, softcap };
}

/** What a call that is part of another has from it: its scope, and a place that hears of the scratch a thread needs and provides it. */
export interface Sharing {
  readonly scope: Scope;
  /** The other's output, if its memory was there before the call. */
  readonly out: Tensor | undefined;
  borrow(bytes: number): void;
}

/** Checks a call and gets everything ready for it. @throws before anything is changed */
export function prepareOne(
  context: Context,
  where: string,
  q: unknown,
  k: unknown,
  v: unknown,
  given: CheckedOptions,
  withLse: boolean,
  sharing?: Sharing,
): Call {
  context.alive();
  const operands = checkOperands(where, q, k, v, given.cache, context);
  const layout = given.layout ?? given.cache?.layout ?? 'bhld';
  const cached = cachedKeys(where, operands, given, context);
  const shape = cached?.shape ?? checkShapes(where, operands.q, operands.k as Tensor, operands.v as Tensor, layout);
  const { B, H, L, S, D, E } = shape;
  const { scale, softcap } = scaling(where, given, D);
  const places = placesOf(where, given, shape, cached);
  const [place] = places as [Place];
  const sinks = given.sinks === 'smooth' ? new Float32Array(H) : logitsOf(where, 'sinks', given.sinks, H);
  if (sinks && place.totalKeys !== S) {
    throw wrongValue(where, 'sinks', 'none in a shard of the keys', 'some', 'they count once; give them to mergeStates');
  }
  const lengths = cached ? cached.lengths : lengthsOf(where, given.keyLengths, shape, place);
  const outShape = layout === 'bhld' ? [B, H, L, E] : [B, L, H, E];
  const out = given.out === undefined ? undefined : checkOut(where, given.out, outShape, context);
  const placed = places.map((one) => lowerAt(where, given, shape, one, cached, context));
  const written = sharing ? sharing.out : out;
  if (written) checkApart(where, written, readsOf(operands, given, placed));

  const scope = sharing?.scope ?? new Scope(context.arena);
  scope.defer(() => cached?.end());
  const staged = given.signal !== undefined;
  let target: Tensor | undefined;
  let lse: Tensor | undefined;
  try {
    target = resultTensor(context, where, outShape, out, staged);
    lse = withLse ? makeTensor(context, where, [B, H, L]) : undefined;
    const storing = cached?.begin(where, scope) ?? [];
    const cachedFields = cached?.fields(scope) ?? [];
    const work = 4 * B * H * L * S * Math.max(D, E);
    const threads = work < SMALL_WORK ? 1 : context.threads;
    const relative = placed.some(({ plan }) => Boolean(plan.terms?.length || plan.valueTable || plan.contextTable));
    const { queries, tiles } = tiling(shape, { threads, relative, patient: mayBlock() });
    const lengthsAt = lengths?.some((length) => length !== S) ? scope.upload(lengths) : 0;
    const sinksAt = sinks ? scope.upload(sinks) : 0;
    const ready = { shape, layout, operands, cached, cachedFields, scale, softcap, queries, lengthsAt, sinksAt, target, lse };
    const jobs = placed.map((one) => writeJob(ready, one, context, scope));
    const scratch = Math.max(...jobs.map((one) => one.scratch));
    sharing?.borrow(scratch);
    const runs = runsOf(jobs, shape, tiles, sharing ? 1 : threads, scope);
    const outputs = lse ? [target, lse] : [target];
    const [last, ...before] = runs.map((run): Job => ({ ...run, scratch, outputs })).reverse() as [Job, ...Job[]];
    for (const tensor of Object.values(operands)) scope.defer(tensor.pin());
    if (out) scope.defer(out.pin());

    const tables = jobs.flatMap((one) => one.tables);
    const result = target;
    return {
      preparations: [...storing, ...tables.flatMap((table) => table.jobs), ...before],
      job: last,
      finish() {
        for (const table of tables) table.done();
        if (out && result !== out) {
          out.set(result.view());
          result.dispose();
        }
        cached?.commit();
        return { out: out ?? result, ...(lse && { lse }) };
      },
      release(failed) {
        scope.release();
        if (!failed) return;
        if (result !== out) result.dispose();
        lse?.dispose();
      },
    };
  } catch (error) {
    scope.release();
    if (target !== out) target?.dispose();
    lse?.dispose();
    throw error;
  }
}
