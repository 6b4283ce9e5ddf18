// Everything that can be wrong with a call, before anything is allocated or changed.

import { wrongValue } from '../arguments/check.ts';
import type { Named } from '../arguments/record.ts';
import type { CachedKeys } from '../kvcache/cached-keys.ts';
import { lowerMaskOption } from '../masks/option.ts';
import type { Layout } from '../memory/layout.ts';
import { checkApart, checkOut, type Operand, type Operands, readOperand, type Shaped } from '../memory/operands.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Context } from '../plan/context.ts';
import type { Encoding, Place, Shape } from '../plan/plan.ts';
import type { Placed } from './job-block.ts';
import { lower } from './lower.ts';
import { checkShapes, lengthsOf, logitsOf } from './operands.ts';
import type { CheckedOptions } from './options.ts';
import { placeOf, visibleRange } from './place.ts';
import { withNormalization } from './qk-norm.ts';
import { readsOf } from './reads.ts';

/** The operands of a call, as they are given. */
export function readOperands(where: string, q: unknown, k: unknown, v: unknown, cache: unknown, context: Context): Operands<Operand> {
  const query = readOperand(where, 'q', q, context);
  if (cache !== undefined && (k ?? v ?? undefined) === undefined) return { q: query };
  return { q: query, k: readOperand(where, 'k', k, context), v: readOperand(where, 'v', v, context) };
}

function cachedKeys(where: string, operands: Operands<Shaped>, given: CheckedOptions, context: Context): CachedKeys | undefined {
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

/** The encodings of a cache and those of the call. One of the cache that the call names too counts once. */
function withCached({ encodings }: CachedKeys, given: readonly Named<Encoding>[]): readonly Named<Encoding>[] {
  const own = given.filter(({ value }) => !encodings.includes(value));
  return [...encodings.map((value) => ({ name: 'cache.encoding', value })), ...own];
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
  const encodings = cached ? withCached(cached, encoding) : encoding;
  const masks = cached?.window ? [{ name: 'cache.window', value: cached.window.mask }, ...mask] : mask;
  const lowered = lower(where, encodings, shape, place, context);
  const normalized = withNormalization(where, lowered.plan, given.qkNorm, shape);
  cached?.checkRotation(where, normalized.rotation, normalized.normalization !== undefined);
  const placedPlan = cached?.rotation ? { ...normalized, rotation: cached.rotation } : normalized;
  return { ...lowered, place, first, last, plan: placedPlan, masks: lowerMaskOption(where, masks, shape, place, context) };
}

/** Where the call stands, or each batch row if they stand apart. */
function placesOf(where: string, given: CheckedOptions, shape: Shape, cached: CachedKeys | undefined): Place[] {
  if (!cached) return [placeOf(where, given, shape)];
  const offsets = new Set(cached.queryOffsets);
  const at = (queryOffset: number): Place => ({ queryOffset, keyOffset: 0, totalKeys: shape.S });
  return offsets.size > 1 ? cached.queryOffsets.map(at) : [...offsets].map(at);
}

/** Most that the scale of q·k may be of the softcap: with more the scores are beyond f32 before the cap is put on them. */
const LARGEST_RATIO = 1.2676506002282294e30; // 2^100

function scaling(where: string, { scale: given, softcap = 0 }: CheckedOptions, D: number): { scale: number; softcap: number } {
  const scale = given ?? 1 / Math.sqrt(D);
  if (softcap && Math.abs(scale) / softcap > LARGEST_RATIO) {
    throw wrongValue(where, 'softcap', `at least |scale| · 2^-100, scale ${scale}`, softcap);
  }
  return { scale, softcap };
}

/** A call that is right: what it comes to but for the memory that it takes. */
export interface CheckedCall {
  readonly where: string;
  readonly shape: Shape;
  readonly layout: Layout;
  readonly cached: CachedKeys | undefined;
  readonly scale: number;
  readonly softcap: number;
  readonly sinks: Float32Array | undefined;
  readonly lengths: Int32Array | undefined;
  readonly placed: readonly Placed[];
  readonly outShape: readonly number[];
  readonly out: Tensor | undefined;
  /** True if the result replaces the contents of `out` only when all has gone well. */
  readonly staged: boolean;
}

/** @throws TypeError, RangeError if something does not fit; nothing is allocated or changed then, nor when all does */
export function checkCall(context: Context, where: string, operands: Operands<Shaped>, given: CheckedOptions): CheckedCall {
  context.alive();
  const layout = given.layout ?? given.cache?.layout ?? 'bhld';
  const cached = cachedKeys(where, operands, given, context);
  const shape = cached?.shape ?? checkShapes(where, operands.q, operands.k as Shaped, operands.v as Shaped, layout);
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
  if (out) checkApart(where, out, readsOf(operands, given, placed));
  const staged = (given.signal ?? given.onProgress) !== undefined;
  return { where, shape, layout, cached, scale, softcap, sinks, lengths, placed, outShape, out, staged };
}
