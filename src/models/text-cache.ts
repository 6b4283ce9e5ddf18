// Keys and values of one layer of a text. It is what `engine.kvCache` gives, but for what a user may get wrong or ask for, which no text does.

import { integer } from '../arguments/check.ts';
import { WIDEST_HEAD } from '../arguments/limits.ts';
import type { CachedKeys, CallCache, CallOptions } from '../kvcache/cached-keys.ts';
import { bytesOf, CacheCore, type CacheSpec } from '../kvcache/core.ts';
import { keepCache } from '../kvcache/known.ts';
import type { Row } from '../kvcache/rows.ts';
import { CacheUse } from '../kvcache/use.ts';
import type { CacheDType } from '../memory/dtypes.ts';
import type { Layout } from '../memory/layout.ts';
import type { Operands, Shaped } from '../memory/operands.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { LayerContext } from '../nn/context.ts';
import type { Context } from '../plan/context.ts';
import type { Encoding } from '../plan/plan.ts';
import type { Attention, Stack } from './blueprint.ts';

/** Keys of a page. */
const PAGE = 64;

/** What a cache is to be: for so many tokens, and what turns its keys when they are stored, if anything does. */
export interface TextCacheOptions {
  readonly capacity: number;
  readonly dtype: CacheDType;
  readonly rotation?: Encoding | undefined;
}

/** @throws RangeError if a head is too wide for the kernels */
function specOf(
  where: string,
  { keyHeads: G, headWidth, valueWidth }: Attention,
  { capacity, dtype, rotation }: TextCacheOptions,
): CacheSpec {
  const [D, E] = [headWidth, valueWidth].map((width) => integer(where, 'head width', width, 1, WIDEST_HEAD)) as [number, number];
  return {
    shape: { B: 1, G, D, E },
    dtype,
    bounds: { capacity, pageSize: PAGE, sinks: 0 },
    encoding: rotation,
    rotatesOnAppend: rotation !== undefined,
    layout: 'blhd',
  };
}

/** Bytes of the keys and values of a text of all layers; rows of zeros before it have a place too. @throws as `TextCache.open` */
export function cacheBytes(where: string, { layers, memory = 0 }: Stack, { capacity, dtype }: TextCacheOptions): number {
  const options = { capacity: capacity + memory, dtype };
  return layers.reduce((sum, { attention }) => sum + bytesOf(specOf(where, attention, options)), 0);
}

export class TextCache implements CallCache {
  readonly core: CacheCore;

  private constructor(core: CacheCore) {
    this.core = core;
    keepCache(this);
  }

  /** @throws RangeError if a head is too wide; RelposError `out-of-memory` */
  static open(where: string, { context, pool }: LayerContext, attention: Attention, options: TextCacheOptions): TextCache {
    return new TextCache(new CacheCore(context, (job) => pool.runSync(job), specOf(where, attention, options)));
  }

  /** Keys that are stored. */
  get length(): number {
    this.core.alive();
    return this.core.rows[0]?.length as number;
  }

  get layout(): Layout {
    return this.core.spec.layout;
  }

  use(where: string, _: Context, operands: Operands<Shaped>, { layout = this.layout, ...options }: CallOptions): CachedKeys {
    return new CacheUse(this.core, where, operands, { ...options, layout });
  }

  /** Stores keys and values behind those that are there. @throws RangeError if there is no room; RelposError `disposed`, `busy` */
  append(where: string, k: Tensor, v: Tensor): void {
    const { core, length, layout } = this;
    core.free(where);
    const count = k.shape[1] as number;
    core.checkGrowth(where, [count]);
    core.grow({ k, v, layout }, [0], [count], core.rotationFor(where, count, length + count, false));
  }

  /** Forgets all keys but the first ones. @throws RelposError `disposed`; `busy` */
  truncate(length: number): void {
    this.core.free('truncate');
    this.core.truncate('truncate', [length]);
  }

  /** Goes on by as many keys, which are whatever was there. */
  skip(count: number): void {
    const { core, length } = this;
    const row = core.rows[0] as Row;
    const pages = [...row.pages];
    while (PAGE * pages.length < length + count) pages.push(core.pool.take());
    core.become([{ ...row, pages, length: length + count }]);
  }

  /** Another cache with the same keys, which both share until one writes. */
  fork(): TextCache {
    this.core.alive();
    return new TextCache(this.core.fork());
  }

  dispose(): void {
    this.core.dispose();
  }
}
