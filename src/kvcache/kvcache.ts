// The cache of keys and values, as its user sees it.

import { finite, integer, options as knownOptions, oneOf, wrongType, wrongValue } from '../arguments/check.ts';
import { WIDEST_HEAD } from '../arguments/limits.ts';
import { copyLengths, holdsNumbers } from '../arguments/lists.ts';
import { readList } from '../arguments/numbers.ts';
import { type PositionList, positionList } from '../arguments/positions.ts';
import { defineMask } from '../masks/mask.ts';
import { Disposing } from '../memory/dispose.ts';
import { CACHE_DTYPES, type CacheDType } from '../memory/dtypes.ts';
import type { Layout } from '../memory/layout.ts';
import { type Operand, type Operands, placeOperand, readOperand, type Shaped } from '../memory/operands.ts';
import { Scope } from '../memory/scope.ts';
import type { Tensor, TensorLike } from '../memory/tensor.ts';
import type { Context } from '../plan/context.ts';
import { isEncoding } from '../plan/handlers.ts';
import type { Encoding } from '../plan/plan.ts';
import type { Job } from '../threads/types.ts';
import type { CachedKeys, CallCache, CallOptions } from './cached-keys.ts';
import { bytesOf, CacheCore, type CacheSpec, type MaskedWindow } from './core.ts';
import { keepCache } from './known.ts';
import { removeKeys, shiftKeys } from './rewrite.ts';
import type { Cut } from './rows.ts';
import { CacheUse, checkCounts, checkNewRows, positionsFor } from './use.ts';

/** Options of `engine.kvCache`. */
export interface KVCacheOptions {
  /** Batch rows, B. */
  readonly batch: number;
  /** Key and value heads, G. */
  readonly heads: number;
  /** Width of a key head, D. */
  readonly headDim: number;
  /** Width of a value head, E; default D. */
  readonly valueDim?: number;
  /** Most keys that a batch row holds at once. Their memory is reserved when the cache is made. */
  readonly capacity: number;
  /**
   * How keys and values are stored; default `'f32'`, which changes no bit. `'f16'` and `'bf16'` round each number (relative error 2^−11 and 2^−8
   * at most); `'i8'` gives every row of every head one scale s = max |x| / 127 and rounds x/s, so that a number is off by s/2 at most: with q·k
   * over D channels that is an error of ‖q‖₁ · max|k| / 254 in a raw score, and of max|v| / 254 in an output. `'i16'` does so with 16 bits, for
   * keys relative to their size and norm, for values in steps of max |v| / 4095: what `precision: 'int16'` computes with, which takes both
   * integer types as they are, and is faster than `'reproducible'` in decoding over these two alone: all others it rounds anew in every step.
   * Under it `'i16'` gives the bits of `'f32'` where keys are used as they are stored, and no key has four fifths of a block of 192 in weight
   * times max |v|; such a key's values are added as they are stored. Keys are used otherwise where they turn or are normalised after they are
   * stored (`rotate: 'on-read'`, a rotary encoding of the call, `qkNorm`, `remove` on a cache that rotates), and where an encoding's terms meet
   * them (DeBERTa): these round once more. A row of `'i16'` whose largest number is not finite or above 2^50 becomes NaN, one below 2^−50 becomes
   * 0.
   */
  readonly dtype?: CacheDType;
  /** Keys of a page, a power of two ≥ 8; default 64. A fork copies a page when it writes to it, a window gives back whole pages. */
  readonly pageSize?: number;
  /**
   * Every query sees the `left` keys before its own and the first `sinks` keys of all, and no others before it. Keys that no later query
   * can see are given back, so that `capacity` bounds the keys of the window instead of the sequence; positions go on counting. The window
   * holds in every call with the cache and may be narrowed there. Capacity must be left + sinks + 2 or more: between two appends the cache
   * holds what the first of them saw, so that it can be taken back; n keys and then m need left + sinks + n + m.
   * Tables of positions are as long as the window, and those of the sinks apart from them as long as these, wherever in the sequence it is. What
   * encodings bring for every key of the sequence (explicit positions, segments, a dense bias) is as long as the sequence, in each call.
   */
  readonly window?: { readonly left: number; readonly sinks?: number };
  /** Joins the encodings of every call with this cache; with `rotate: 'on-append'` it must be one that rotates and does nothing else. */
  readonly encoding?: Encoding;
  /**
   * `'on-append'` (default if there is an `encoding`): keys are rotated once, when they are stored. `'on-read'` (default otherwise): they
   * are stored as they come and rotated in each call, which is what rotations need that change with the length (dynamic NTK, LongRoPE) and
   * calls with encodings of their own. The outputs are the same, bit for bit with f32.
   */
  readonly rotate?: 'on-append' | 'on-read';
  /** Order of the dimensions of k and v, and default of calls with this cache; default `'bhld'`. */
  readonly layout?: Layout;
}

/** Options of `KVCache.append`. */
export interface AppendOptions {
  /** Length of each row after the append, as far as rows take fewer than n: [B], each in its present length … that + n. */
  readonly lengths?: Int32Array | BigInt64Array | readonly number[];
  /** Which rows of the cache k and v are for, if not all: their batch size is that of this list. */
  readonly rows?: readonly number[];
  /**
   * Positions of the new keys, [n] or [B][n] in one array, for an encoding of several axes [axes][n] or [axes][B][n]; the encoding's own
   * offset is added. Default: each key stands behind those before it, on every axis. For caches that rotate on append, and for rotations
   * only: causal masks, windows and biases go by the order of the keys.
   */
  readonly positions?: PositionList;
}

/** Options of `KVCache.remove`. */
export interface RemoveOptions {
  /**
   * How far the keys behind the gap turn where the cache rotates on append: `true` (default) back by as many positions as keys were removed,
   * `false` not at all, a number on by that many as `shift` does (where keys have positions of their own, as in M-RoPE): `from − to` is what
   * `true` means.
   */
  readonly shift?: boolean | number;
}

/** One number for all batch rows, or one for each. */
type PerRow = number | readonly number[] | Int32Array | BigInt64Array;

const MOST_KEYS = 0x40000000;
/** Addresses have 32 bits. */
const MOST_BYTES = 0x100000000;

function checkSpec(where: string, options: unknown): CacheSpec {
  const known = ['batch', 'heads', 'headDim', 'valueDim', 'capacity', 'dtype', 'pageSize', 'window', 'encoding', 'rotate', 'layout'];
  const given = knownOptions<KVCacheOptions>(where, options, known);
  const B = integer(where, 'batch', given.batch, 1, 65536);
  const G = integer(where, 'heads', given.heads, 1, 65536);
  const D = integer(where, 'headDim', given.headDim, 1, WIDEST_HEAD);
  const E = integer(where, 'valueDim', given.valueDim ?? D, 1, WIDEST_HEAD);
  const capacity = integer(where, 'capacity', given.capacity, 1, MOST_KEYS);
  const dtype = oneOf(where, 'dtype', given.dtype ?? 'f32', CACHE_DTYPES);
  const pageSize = integer(where, 'pageSize', given.pageSize ?? 64, 8, 65536);
  if (pageSize & (pageSize - 1)) throw wrongValue(where, 'pageSize', 'a power of two', pageSize);
  const { left, sinks } = checkWindow(where, given.window, capacity);
  const { encoding } = given;
  if (encoding !== undefined && !isEncoding(encoding)) throw wrongType(where, 'encoding', 'an encoding', encoding);
  const rotate = oneOf(where, 'rotate', given.rotate ?? (encoding ? 'on-append' : 'on-read'), ['on-append', 'on-read']);
  if (rotate === 'on-append' && !encoding) throw wrongType(where, 'encoding', "an encoding beside rotate: 'on-append'", encoding);
  return {
    shape: { B, G, D, E },
    dtype,
    bounds: { capacity, pageSize, sinks, ...(left !== undefined && { left }) },
    window: left !== undefined && sinks ? maskedWindow(left, sinks) : undefined,
    encoding,
    rotatesOnAppend: rotate === 'on-append',
    layout: oneOf(where, 'layout', given.layout ?? 'bhld', ['bhld', 'blhd']),
  };
}

function checkWindow(where: string, given: KVCacheOptions['window'], capacity: number): { left?: number; sinks: number } {
  if (given === undefined) return { sinks: 0 };
  const window = knownOptions<{ left?: unknown; sinks?: unknown }>(where, given, ['left', 'sinks'], 'window');
  const left = integer(where, 'window.left', window.left, 0, MOST_KEYS);
  const sinks = integer(where, 'window.sinks', window.sinks ?? 0, 0, MOST_KEYS);
  const least = left + sinks + 2;
  if (capacity < least) throw wrongValue(where, 'capacity', `at least window.left + window.sinks + 2 = ${least}`, capacity);
  return { left, sinks };
}

/** A window with sinks: the keys that it shows, beside what else hides them. */
function maskedWindow(left: number, sinks: number): MaskedWindow {
  const shown = (query: number): [number, number][] => [
    [0, sinks],
    [query - left, Number.POSITIVE_INFINITY],
  ];
  return { left, sinks, mask: defineMask({ name: 'cache.window', intervals: shown }) };
}

/** A number for each batch row, in low[b] … high[b]. */
function perRow(where: string, name: string, given: PerRow, low: readonly number[], high: readonly number[]): number[] {
  if (typeof given !== 'number' && !holdsNumbers(given)) throw wrongType(where, name, 'a number or one per row', given);
  const list = typeof given === 'number' ? low.map(() => given) : copyLengths(where, name, given);
  if (list.length !== low.length) throw wrongValue(where, name, `a number or B=${low.length} of them`, `${list.length}`);
  return low.map((least, b) => integer(where, typeof given === 'number' ? name : `${name}[${b}]`, list[b], least, high[b]));
}

/** @throws TypeError, RangeError; bytes that a cache of these options reserves */
export function cacheBytes(where: string, given: unknown): number {
  return bytesOf(checkSpec(where, given));
}

/**
 * Keys and values of the tokens so far, in the engine's memory. Made by `engine.kvCache`, owned by the caller, who ends it with
 * `dispose()` or `using`. `attention(q, k, v, { cache })` appends k and v, then attends to all that is stored.
 *
 * Memory is reserved once, in pages; appending allocates nothing but a table of their addresses. A fork shares pages until it writes.
 *
 * @example
 * ```ts
 * const engine = await createEngine({ threads: 1 });
 * const encoding = rotary({ dim: 8, theta: 10000, layout: 'halves' });
 * const cache = engine.kvCache({ batch: 1, heads: 2, headDim: 8, capacity: 100, encoding });
 * const token = () => engine.tensor([1, 2, 1, 8], Float32Array.from({ length: 16 }, (_, n) => n / 16));
 * for (let step = 0; step < 3; step++) await engine.attention(token(), token(), token(), { cache, causal: true });
 * cache.length; // 3
 * engine.dispose();
 * ```
 */
export class KVCache extends Disposing implements CallCache {
  readonly #core: CacheCore;

  /** @internal */
  constructor(core: CacheCore) {
    super();
    this.#core = core;
    keepCache(this);
  }

  /** Keys of the longest batch row, those included that left its window: the position of its next key. */
  get length(): number {
    return this.lengths.reduce((most, n) => Math.max(most, n), 0);
  }

  /** Keys of each batch row, those included that left its window: [B]. */
  get lengths(): number[] {
    this.#core.alive();
    return this.#core.rows.map(({ length }) => length);
  }

  /** Most keys that a batch row holds at once. */
  get capacity(): number {
    return this.#core.spec.bounds.capacity;
  }

  get dtype(): CacheDType {
    return this.#core.spec.dtype;
  }

  get disposed(): boolean {
    return this.#core.disposed;
  }

  /**
   * Stores keys and values behind those that are there; rotates the keys first if the cache does so on append. Done when it returns.
   *
   * @param k [B, G, n, D], or in the cache's layout `'blhd'` [B, n, G, D]; f32, f16 or bf16, any strides; of the engine or of a safetensors file
   * @param v [B, G, n, E] likewise
   * @throws TypeError, RangeError if an argument is wrong or a row has no room for its keys; nothing is changed then
   * @throws RelposError `disposed`; `busy` while a call with the cache is under way; `out-of-memory` if a fork needs a page
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const cache = engine.kvCache({ batch: 2, heads: 1, headDim: 4, capacity: 16 });
   * cache.append(engine.tensor([2, 1, 5, 4]), engine.tensor([2, 1, 5, 4]), { lengths: [5, 3] });
   * cache.lengths; // [5, 3]
   * engine.dispose();
   * ```
   */
  append(k: TensorLike, v: TensorLike, options: AppendOptions = {}): this {
    const where = 'append';
    const core = this.#core;
    const checked = core.checking(where);
    const { context, spec } = core;
    const { lengths, rows, positions } = knownOptions<AppendOptions>(where, options, ['lengths', 'rows', 'positions']);
    const keys = readOperand(where, 'k', k, context);
    const values = readOperand(where, 'v', v, context);
    const order = this.#order(where, rows);
    const n = checkNewRows(where, spec, keys, values, spec.layout, order.length);
    const taken = checkCounts(
      where,
      'lengths',
      lengths === undefined ? undefined : copyLengths(where, 'lengths', lengths),
      n,
      order.map((b) => this.lengths[b] as number),
    );
    const counts = core.rows.map((_, b) => (order.includes(b) ? (taken[order.indexOf(b)] as number) : 0));
    core.checkGrowth(where, counts);
    const longest = Math.max(...core.rows.map(({ length }, b) => length + (counts[b] as number)));
    const list = positionList(where, 'positions', positions);
    if (list && !spec.rotatesOnAppend) {
      throw wrongValue(where, 'positions', "none beside a cache with rotate: 'on-read'", 'some', 'it does not store them');
    }
    let rotation = n ? core.rotationFor(where, n, longest, list !== undefined) : undefined;
    if (rotation && list) rotation = { ...rotation, keyPositions: positionsFor(where, list, rotation, { rows: n, batch: order.length }) };
    if (!counts.some((count) => count > 0)) return this;
    checked();
    const scope = new Scope(context.arena);
    try {
      const placed = (operand: Operand): Tensor => placeOperand(where, operand, context, scope);
      core.grow({ k: placed(keys), v: placed(values), layout: spec.layout }, order, counts, rotation);
    } finally {
      scope.release();
    }
    return this;
  }

  #order(where: string, given: AppendOptions['rows']): number[] {
    const { B } = this.#core.spec.shape;
    if (given === undefined) return Array.from({ length: B }, (_, b) => b);
    if (!Array.isArray(given)) throw wrongType(where, 'rows', 'an array of batch rows', given);
    const order = readList(where, 'rows', given, (b, n) => integer(where, `rows[${n}]`, b, 0, B - 1));
    if (!order.length || new Set(order).size !== order.length) throw wrongValue(where, 'rows', 'some rows, none of them twice', given);
    return order;
  }

  /**
   * Forgets all keys but the first ones.
   *
   * @param length keys that remain: one number for all rows, or one per row; rows that have fewer stay as they are
   * @throws TypeError, RangeError if it is none, or if a window would need keys that are gone; nothing is changed then
   * @throws RelposError `disposed`; `busy` while a call with the cache is under way
   */
  truncate(length: PerRow): this {
    const where = 'truncate';
    const checked = this.#core.checking(where);
    const rows = this.#core.rows;
    const lengths = perRow(
      where,
      'length',
      length,
      rows.map(() => 0),
      rows.map(() => 2 ** 31 - 1),
    );
    checked();
    this.#core.truncate(where, lengths);
    return this;
  }

  /**
   * Forgets all keys. The memory stays reserved. A cache whose keys were torn by a `shift` or `remove` that failed midway can be used again.
   *
   * @throws RelposError `disposed`; `busy` while a call with the cache is under way
   */
  reset(): this {
    this.#core.reset('reset');
    return this;
  }

  /**
   * Another cache with the same keys, at the cost of a list: the two share all pages, and the page that one of them writes to is copied
   * first. A page that only one of them holds any more counts towards that one; the pages that forks need beyond the reservation are
   * taken when they are first written and given back when they are free. Each of the two is disposed by itself, in any order.
   *
   * @throws RelposError `disposed`
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const prompt = engine.kvCache({ batch: 1, heads: 1, headDim: 4, capacity: 1000 });
   * prompt.append(engine.tensor([1, 1, 500, 4]), engine.tensor([1, 1, 500, 4]));
   * const beams = [prompt.fork(), prompt.fork()];
   * beams[0].append(engine.tensor([1, 1, 1, 4]), engine.tensor([1, 1, 1, 4]));
   * [prompt.length, beams[0].length, beams[1].length]; // [500, 501, 500]
   * engine.dispose();
   * ```
   */
  fork(): KVCache {
    this.#core.alive();
    return new KVCache(this.#core.fork());
  }

  /**
   * Rotates all stored keys on by `delta` positions, those of the sinks included, as if each stood so much further. A pure rotation: the
   * factor that some schemes multiply cosine and sine with is in the keys already and is not applied again. Each call rounds once (f32:
   * 2^−24 of a pair's length, other types as storing does). Their order, and the position of the next key, are as before.
   *
   * @throws TypeError if `delta` is not a number
   * @throws RangeError if the cache does not rotate on append
   * @throws RelposError `disposed`; `busy` while a call with the cache is under way; `out-of-memory`, having changed nothing; `kernel-trap`:
   *   forks are as they were, but this cache has keys of both kinds then, and refuses every use but `reset`, `fork` included
   */
  shift(delta: number): this {
    const where = 'shift';
    const core = this.#core;
    core.free(where);
    finite(where, 'delta', delta);
    if (!core.spec.rotatesOnAppend) throw wrongValue(where, 'cache', "a cache with rotate: 'on-append'", "one with rotate: 'on-read'");
    shiftKeys(core, delta);
    return this;
  }

  /**
   * Forgets the keys from … to − 1; those behind them move down and are, from then on, as if they had been appended there: a cache that
   * rotates on append turns them back by to − from positions (and rounds once, as `shift` does). Keeping a head and dropping the oldest keys
   * behind it is how a full cache goes on. Whole pages are dropped without being copied; forks keep what they have.
   *
   * @param from first key to go: one number for all rows, or one per row
   * @param to one past the last, likewise; at most the length of the row
   * @throws TypeError, RangeError if an argument is wrong, or if the cache has a window that has moved: a query further back would see keys
   *   that are gone. Nothing is changed then
   * @throws RelposError `disposed`; `busy` while a call with the cache is under way; `out-of-memory`. Nothing is changed then. `kernel-trap`
   *   as `shift` throws it
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const encoding = rotary({ dim: 4, theta: 10000, layout: 'halves' });
   * const cache = engine.kvCache({ batch: 1, heads: 1, headDim: 4, capacity: 100, encoding });
   * cache.append(engine.tensor([1, 1, 100, 4]), engine.tensor([1, 1, 100, 4]));
   * if (cache.length === cache.capacity) cache.remove(4, 54); // four keys stay at the head, the fifty oldest behind them go
   * cache.length; // 50
   * engine.dispose();
   * ```
   */
  remove(from: PerRow, to: PerRow, options: RemoveOptions = {}): this {
    const where = 'remove';
    const core = this.#core;
    const checked = core.checking(where);
    const { shift = true } = knownOptions<RemoveOptions>(where, options, ['shift']);
    if (typeof shift !== 'boolean') finite(where, 'shift', shift);
    if (shift !== true && !core.spec.rotatesOnAppend) {
      const because = "rotate: 'on-read' turns keys by the place at which they are";
      throw wrongValue(where, 'shift', "true unless the cache rotates 'on-append'", shift, because);
    }
    const { lengths } = this;
    const starts = perRow(
      where,
      'from',
      from,
      lengths.map(() => 0),
      lengths,
    );
    const ends = perRow(where, 'to', to, starts, lengths);
    const cuts = starts.map((start, b) => ({ from: start, to: ends[b] as number }));
    const turn = (cut: Cut): number => (typeof shift === 'number' ? shift : cut.from - cut.to);
    checked();
    removeKeys(core, where, cuts, shift === false ? undefined : turn);
    return this;
  }

  /** Gives the pages back that no fork needs; once a call that is under way has ended. A second call does nothing. */
  dispose(): void {
    this.#core.dispose();
  }

  /** @internal What `attention` needs for one call. */
  use(where: string, context: Context, operands: Operands<Shaped>, options: CallOptions): CachedKeys {
    if (this.#core.context !== context) throw wrongValue(where, 'cache', 'a cache of this engine', 'one of another engine');
    return new CacheUse(this.#core, where, operands, { ...options, layout: options.layout ?? this.#core.spec.layout });
  }

  /** @internal Default layout of calls. */
  get layout(): Layout {
    return this.#core.spec.layout;
  }
}

/** @throws TypeError, RangeError, RelposError `out-of-memory` */
export function makeCache(context: Context, runSync: (job: Job) => void, where: string, given: KVCacheOptions): KVCache {
  context.alive();
  const spec = checkSpec(where, given);
  const bytes = bytesOf(spec);
  if (bytes > MOST_BYTES) throw wrongValue(where, 'capacity', 'a cache of at most 4 GiB', `${spec.bounds.capacity}, ${bytes} bytes`);
  return new KVCache(new CacheCore(context, runSync, spec));
}
