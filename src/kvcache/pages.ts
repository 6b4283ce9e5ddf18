// The pages of a cache and of its forks: one reservation, counted references, and more pages when forks outgrow it.

import type { Arena } from '../memory/arena.ts';

/** Pages of one size. Those of the reservation go back to it; those beyond are given back to the arena. */
export class PagePool {
  readonly #arena: Arena;
  /** Bytes of a page. */
  readonly bytes: number;
  readonly #reservation: number;
  /** Free pages of the reservation; the last one is taken next. */
  readonly #free: number[];
  readonly #reserved: Set<number>;
  /** Who has a page, of those with more than one holder or none of the reservation: holders by address. */
  readonly #holders: Map<number, number> = new Map();
  #caches = 1;
  #lost = 0;

  /** @throws RelposError `out-of-memory` */
  constructor(arena: Arena, bytes: number, count: number) {
    this.#arena = arena;
    this.bytes = bytes;
    this.#reservation = arena.allocate(bytes * count);
    this.#free = Array.from({ length: count }, (_, n) => this.#reservation + bytes * (count - 1 - n));
    this.#reserved = new Set(this.#free);
  }

  /** A lost worker may write to a page, held or free: no cache on these pages can be used meanwhile. */
  get lost(): boolean {
    return this.#lost > 0;
  }

  lose(over: Promise<void>): void {
    this.#lost++;
    void over.then(() => {
      this.#lost--;
    });
  }

  /** A page with one holder; its contents are whatever was there. @throws RelposError `out-of-memory` */
  take(): number {
    const page = this.#free.pop() ?? this.#arena.allocate(this.bytes);
    this.#holders.set(page, 1);
    return page;
  }

  /** A page with the contents of another one. @throws RelposError `out-of-memory` */
  copy(page: number): number {
    const fresh = this.take();
    new Uint8Array(this.#arena.memory.buffer).copyWithin(fresh, page, page + this.bytes);
    return fresh;
  }

  hold(page: number): void {
    this.#holders.set(page, (this.#holders.get(page) as number) + 1);
  }

  release(page: number): void {
    const left = (this.#holders.get(page) as number) - 1;
    if (left > 0) {
      this.#holders.set(page, left);
      return;
    }
    this.#holders.delete(page);
    if (this.#reserved.has(page)) this.#free.push(page);
    else this.#arena.free(page);
  }

  /** True if more than one cache has it. */
  shared(page: number): boolean {
    return (this.#holders.get(page) as number) > 1;
  }

  /** One more cache lives on these pages. */
  join(): void {
    this.#caches++;
  }

  /** One fewer; it has released its pages. With the last one the reservation goes. */
  leave(): void {
    if (--this.#caches === 0) this.#arena.free(this.#reservation);
  }
}
