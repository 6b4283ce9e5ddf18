// A memory of which it is counted what is taken. Where everything would lie says an arena like any other, so that holes count as they do in
// memory; what is there is small: parameter blocks and lists are written and read, rows and weights are not.

import { Arena, type MemoryUsage, takenBytes } from '../memory/arena.ts';
import type { WasmMemory } from '../platform/types.ts';

/** Bytes of a page. */
export const PAGE = 65536;
/** More than any memory has. */
const BOUNDLESS = 0x100000000000;
/** Addresses of what is not there: behind all that is. */
const BEYOND = 0x10000000000;
/** A memory that counts its pages, and has none. */
class Nothing {
  readonly buffer: { byteLength: number } = { byteLength: PAGE };

  grow(pages: number): void {
    this.buffer.byteLength += pages * PAGE;
  }
}

/** A memory for what is small. It grows to twice its size: the pages that are asked for are less. */
class Buffers {
  buffer: ArrayBuffer = new ArrayBuffer(64 * PAGE);

  grow(pages: number): void {
    const { buffer } = this;
    this.buffer = new ArrayBuffer(Math.max(2 * buffer.byteLength, buffer.byteLength + pages * PAGE));
    new Uint8Array(this.buffer).set(new Uint8Array(buffer));
  }
}

/** Words of a memory: those that are not there are not written. */
class Words extends Int32Array<ArrayBuffer> {
  override set(numbers: ArrayLike<number>, at = 0): void {
    if (at + numbers.length <= this.length) super.set(numbers, at);
  }
}

/** An arena's calls, as those who take memory make them. */
export class CountedArena {
  /** Of which tables that nobody uses may take a part (table-cache.ts): they go at once, as they do where memory is short. */
  readonly limit = 0;
  /** What takes more bytes is not there. */
  readonly #small: number;
  readonly #memory = new Nothing();
  readonly #all: Arena;
  readonly #there: Arena = new Arena(new Buffers() as unknown as WasmMemory, BOUNDLESS);
  /** By address, where it would lie. */
  readonly #places = new Map<number, number>();
  #next = BEYOND;
  #words: Words | undefined;
  #most = 0;

  /** @param limit most bytes that a memory has */
  constructor(limit: number, small: number) {
    this.#small = small;
    this.#all = new Arena(this.#memory as unknown as WasmMemory, limit);
  }

  /** Bytes of the shortest memory in which all that was taken so far had room. */
  get most(): number {
    return Math.ceil(this.#most / PAGE) * PAGE;
  }

  get memory(): WasmMemory {
    return this.#there.memory;
  }

  get words(): Int32Array {
    const { buffer } = this.memory;
    if (this.#words?.buffer !== buffer) this.#words = new Words(buffer as ArrayBuffer);
    return this.#words;
  }

  set reclaim(reclaim: (() => boolean) | undefined) {
    this.#all.reclaim = reclaim;
  }

  usage(): MemoryUsage {
    return this.#all.usage();
  }

  /** @throws RelposError `out-of-memory` */
  allocate(bytes: number): number {
    const taken = takenBytes(bytes);
    const place = this.#all.allocate(bytes);
    this.#most = Math.max(this.#most, place + taken);
    const at = bytes <= this.#small ? this.#there.allocate(bytes) : this.#next;
    if (at === this.#next) this.#next += taken;
    this.#places.set(at, place);
    return at;
  }

  free(at: number): void {
    this.#all.free(this.#places.get(at) as number);
    this.#places.delete(at);
    if (at < BEYOND) this.#there.free(at);
  }

  /** Room that is there and is not counted. */
  spare(bytes: number): number {
    return this.#there.allocate(bytes);
  }
}
