// How many bytes a call or a cache takes, found by preparing the call in a memory that is only a promise.

import { options as knownOptions, wrongType, wrongValue } from '../arguments/check.ts';
import { readShape } from '../arguments/numbers.ts';
import { flag, type Readers, readRecord } from '../arguments/record.ts';
import { cacheBytes, type KVCacheOptions } from '../kvcache/kvcache.ts';
import { Arena, takenBytes } from '../memory/arena.ts';
import { shapeOnly } from '../memory/tensor.ts';
import type { Context } from '../plan/context.ts';
import { Tables } from '../plan/table-cache.ts';
import { jobOf, memoryOf } from '../threads/job.ts';
import { prepareAttention } from './attention.ts';
import type { CheckedOptions } from './options.ts';

/** What to estimate: a call of `attention` by the shapes of its operands, or a cache by its options. */
export type EstimateRequest =
  | {
      readonly q: readonly number[];
      readonly k: readonly number[];
      readonly v: readonly number[];
      /** True for `attentionPartial`, which returns the log-sum-exp too. */
      readonly lse?: boolean;
    }
  | { readonly cache: KVCacheOptions };

/** Bytes of the engine's memory, rounded up as it hands them out: what `memoryUsage().used` grows by. */
export interface MemoryEstimate {
  /** The result, which the caller disposes. 0 if `out` is given. */
  readonly out: number;
  /** Scratch of all threads and parameters: taken for the length of the call. */
  readonly scratch: number;
  /** Tables of positions and biases that stay with the engine for later calls; those that it has already are not taken again. */
  readonly tables: number;
  /** Pages of a cache. */
  readonly cache: number;
  /** The sum: the most that is in use at once. */
  readonly total: number;
}

/** A request, checked: the shapes of a call, or the bytes of a cache. */
interface CheckedRequest {
  readonly q?: readonly number[];
  readonly k?: readonly number[];
  readonly v?: readonly number[];
  readonly lse?: boolean;
  /** Bytes of a cache. */
  readonly cache?: number;
}

const READERS: Readers<CheckedRequest> = {
  q: readShape,
  k: readShape,
  v: readShape,
  lse: flag,
  cache: (where, _, value) => cacheBytes(where, value),
};

const PAGE = 65536;
/** More than any memory has: the estimate says what is too much instead of failing on it. */
const BOUNDLESS = 0x100000000000;

/** A memory whose untouched parts cost nothing where the host can resize a buffer. */
class Promised {
  buffer: ArrayBuffer = new ArrayBuffer(PAGE);

  grow(pages: number): number {
    const before = this.buffer.byteLength;
    const longer = new ArrayBuffer(before + pages * PAGE);
    new Uint8Array(longer).set(new Uint8Array(this.buffer));
    this.buffer = longer;
    return before / PAGE;
  }
}

function sum(parts: Omit<MemoryEstimate, 'total'>): MemoryEstimate {
  return { ...parts, total: parts.out + parts.scratch + parts.tables + parts.cache };
}

/** @throws TypeError, RangeError as the call itself */
export function estimate(context: Context, where: string, given: unknown, options: CheckedOptions): MemoryEstimate {
  context.alive();
  const request = readRecord<CheckedRequest>(where, given, READERS, 'request');
  if (request.cache !== undefined) {
    knownOptions(where, request, ['cache'], 'request');
    return sum({ out: 0, scratch: 0, tables: 0, cache: takenBytes(request.cache) });
  }
  if (options.cache !== undefined) {
    throw wrongValue(where, 'cache', 'no cache beside shapes', 'one', 'give k and v the length that the cache will have');
  }
  const arena = new Arena(new Promised() as unknown as WebAssembly.Memory, BOUNDLESS);
  const ghost: Context = { ...context, arena, tables: undefined as unknown as Tables, alive: () => context.alive() };
  (ghost as { tables: Tables }).tables = new Tables(ghost);
  const [q, k, v] = (['q', 'k', 'v'] as const).map((name) => {
    const shape = request[name];
    if (shape === undefined) throw wrongType(where, `request.${name}`, 'an array of integers', shape);
    return shapeOnly(ghost, where, shape);
  }) as [ReturnType<typeof shapeOnly>, ReturnType<typeof shapeOnly>, ReturnType<typeof shapeOnly>];
  const rows = q.shape.slice(0, -1);
  const shape = [...rows, v.shape.at(-1) ?? 0];
  const out = shapeOnly(ghost, where, shape);
  const numbers = (list: readonly number[]): number => takenBytes(4 * list.reduce((product, n) => product * n, 1));
  const before = arena.usage().used;
  const call = prepareAttention(ghost, where, q, k, v, { ...options, out }, false);
  const job = jobOf([...call.preparations, call.job]);
  const bytes = memoryOf(job, job.threads);
  const scratch = bytes > 0 ? takenBytes(bytes) : 0;
  const during = arena.usage().used - before + scratch;
  call.finish();
  call.release(false);
  const tables = arena.usage().used - before;
  const results = (options.out ? 0 : numbers(shape)) + (request.lse ? numbers(rows) : 0);
  return sum({ out: results, scratch: during - tables, tables, cache: 0 });
}
