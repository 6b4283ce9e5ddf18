// The one memory: how large it may become, and who has which part of it.

import { ended, RelposError } from '../arguments/errors.ts';
import type { WasmMemory } from '../platform/types.ts';
import { roundUp } from './round.ts';

const PAGE = 65536;
/** Lowest byte handed out; below lie the threads' control block and nothing else (the kernels have no static data). */
const HEAP = 4096;
/** Byte offset of the threads' control block. */
export const CONTROL = 1024;
/** Everything is aligned to a cache line … */
const ALIGN = 64;
/** … and followed by one that belongs to nobody: kernels may read (never write) a vector past the end of a bias row. */
const GUARD = 64;
/** Bytes that an allocation takes. */
export const takenBytes = (bytes: number): number => roundUp(bytes, ALIGN) + GUARD;
/** Maxima tried, in pages, when the caller names none: some hosts refuse a large one, and iOS refuses all but small ones. */
const LADDER = [65536, 32768, 16384, 8192, 4096];

/** Makes a memory with the largest maximum the host grants, or with `maxMemory` bytes; `limit` is that maximum in bytes. */
export function createMemory(shared: boolean, maxMemory?: number): { memory: WasmMemory; limit: number } {
  const ladder = maxMemory === undefined ? LADDER : [Math.max(1, Math.min(65536, Math.floor(maxMemory / PAGE)))];
  let cause: unknown;
  for (const maximum of ladder) {
    try {
      return { memory: new WebAssembly.Memory({ initial: 1, maximum, shared }), limit: maximum * PAGE };
    } catch (error) {
      cause = error;
    }
  }
  throw new RelposError('out-of-memory', `the host grants no WebAssembly memory: ${String(cause)}`, {
    cause,
    asked: PAGE,
    limit: 0,
  });
}

/** Bytes in use, bytes the memory has grown to, and the most it can have. */
export interface MemoryUsage {
  readonly used: number;
  /** Bytes of `used` that were freed, but that a lost worker may still write to; 0 as a rule. They are free when its thread has ended. */
  readonly quarantined: number;
  readonly reserved: number;
  readonly limit: number;
}

interface Hole {
  at: number;
  size: number;
}

/** First-fit allocator over the memory, 64-byte aligned; neighbouring holes merge. Growth is by an eighth more than is needed. */
export class Arena {
  /** Unset once the engine was disposed. */
  #memory: WasmMemory | undefined;
  #words: Int32Array | undefined;
  /** Bytes that the memory can grow to. */
  readonly limit: number;
  readonly #sizes: Map<number, number> = new Map();
  /** Holes in address order. */
  #holes: Hole[];
  #used = 0;
  /** Gives back something that can be done without, if there is such; asked again and again when memory runs out. */
  reclaim: (() => boolean) | undefined;
  /** What may not be handed out again: for each loss, all that was allocated then. */
  readonly #suspects: Set<ReadonlySet<number>> = new Set();
  /** Suspects that were freed meanwhile. */
  readonly #kept: Set<number> = new Set();

  constructor(memory: WasmMemory, limit: number) {
    this.#memory = memory;
    this.limit = limit;
    this.#holes = [{ at: HEAP, size: memory.buffer.byteLength - HEAP }];
  }

  /** @throws RelposError `disposed` */
  get memory(): WasmMemory {
    if (!this.#memory) throw ended();
    return this.#memory;
  }

  /** The memory as 32-bit words, until it grows. @throws RelposError `disposed` */
  get words(): Int32Array {
    this.#words ??= new Int32Array(this.memory.buffer);
    return this.#words;
  }

  /** Lets go of the memory, for good. What is freed later is of no matter. */
  dispose(): void {
    this.#memory = undefined;
    this.#words = undefined;
    this.#sizes.clear();
    this.#kept.clear();
    this.#suspects.clear();
    this.#holes = [];
  }

  /**
   * From now until `over` settles nothing is handed out again that is allocated now: a lost worker writes to none but that. What is freed of
   * it meanwhile is free after.
   */
  quarantine(over: Promise<void>): void {
    const suspects = new Set(this.#sizes.keys());
    this.#suspects.add(suspects);
    void over.then(() => {
      this.#suspects.delete(suspects);
      const free = [...this.#kept].filter((at) => !this.#suspected(at));
      for (const at of free) {
        this.#kept.delete(at);
        this.free(at);
      }
    });
  }

  #suspected(at: number): boolean {
    for (const suspects of this.#suspects) if (suspects.has(at)) return true;
    return false;
  }

  usage(): MemoryUsage {
    let quarantined = 0;
    for (const at of this.#kept) quarantined += this.#sizes.get(at) as number;
    return { used: this.#used, quarantined, reserved: this.memory.buffer.byteLength, limit: this.limit };
  }

  /** Reserves `bytes`; the contents are whatever was there. @throws RelposError `out-of-memory`, having changed nothing. */
  allocate(bytes: number): number {
    const size = takenBytes(bytes);
    let index = this.#holes.findIndex((hole) => hole.size >= size);
    if (index < 0) index = this.#makeRoom(bytes, size);
    const hole = this.#holes[index] as Hole;
    const at = hole.at;
    hole.at += size;
    hole.size -= size;
    if (hole.size === 0) this.#holes.splice(index, 1);
    this.#sizes.set(at, size);
    this.#used += size;
    return at;
  }

  /** Reserves `bytes` for each of a job's threads, and `more` behind them. @throws RelposError `out-of-memory`, having changed nothing */
  scratch(bytes: number, threads: number, more: number): number {
    return this.allocate(bytes * threads + more);
  }

  /** Gives back what `allocate` or `scratch` returned. */
  free(at: number): void {
    if (!this.#memory) return;
    const size = this.#sizes.get(at);
    if (size === undefined || this.#kept.has(at)) throw new Error(`relpos: freed ${at}, which is not allocated`);
    if (this.#suspects.size > 0 && this.#suspected(at)) {
      this.#kept.add(at);
      return;
    }
    this.#sizes.delete(at);
    this.#used -= size;
    let index = this.#holes.findIndex((hole) => hole.at > at);
    if (index < 0) index = this.#holes.length;
    this.#holes.splice(index, 0, { at, size });
    this.#merge(index);
    if (index > 0) this.#merge(index - 1);
  }

  /** Joins hole `index` with the next one if they touch. */
  #merge(index: number): void {
    const hole = this.#holes[index];
    const next = this.#holes[index + 1];
    if (!hole || !next || hole.at + hole.size !== next.at) return;
    hole.size += next.size;
    this.#holes.splice(index + 1, 1);
  }

  /** The index of a hole of `size` bytes, by growing or, at the limit, at the expense of what can be done without. */
  #makeRoom(bytes: number, size: number): number {
    let index = this.#grow(size);
    while (index < 0 && size <= this.limit && this.reclaim?.()) {
      index = this.#holes.findIndex((hole) => hole.size >= size);
      if (index < 0) index = this.#grow(size);
    }
    if (index >= 0) return index;
    throw new RelposError(
      'out-of-memory',
      `out of memory: asked for ${bytes} bytes with ${this.#used} in use; the limit is ${this.limit} bytes ("maxMemory" raises it)`,
      { asked: bytes, limit: this.limit },
    );
  }

  /** Grows until the last hole has `size` bytes; returns its index, or −1 at the limit. */
  #grow(size: number): number {
    const reserved = this.memory.buffer.byteLength;
    const last = this.#holes.at(-1);
    const tail = last && last.at + last.size === reserved ? last.size : 0;
    const needed = size - tail;
    const wanted = Math.ceil((needed + reserved / 8) / PAGE);
    const most = Math.floor((this.limit - reserved) / PAGE);
    const least = Math.ceil(needed / PAGE);
    const grown = least <= most && (this.#tryGrow(Math.min(wanted, most)) || this.#tryGrow(least));
    if (!grown) return -1;
    const added = this.memory.buffer.byteLength - reserved;
    if (tail && last) last.size += added;
    else this.#holes.push({ at: reserved, size: added });
    return this.#holes.length - 1;
  }

  #tryGrow(pages: number): boolean {
    try {
      this.memory.grow(pages);
      this.#words = undefined;
      return true;
    } catch {
      return false;
    }
  }
}
