// Writing parameter blocks and small arrays into linear memory.

import type { Arena } from './arena.ts';

/** Memory held for the length of one call. */
export class Scope {
  readonly #arena: Arena;
  /** Addresses of what is held, and what else is to be undone. */
  readonly #releases: (number | (() => void))[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Reserves bytes until `release`. */
  allocate(bytes: number): number {
    const at = this.#arena.allocate(bytes);
    this.#releases.push(at);
    return at;
  }

  /** Copies a typed array into memory; returns where. */
  upload(data: Float32Array | Float64Array | Int32Array): number {
    const at = this.allocate(data.byteLength);
    const { buffer, byteOffset, byteLength } = data;
    this.#arena.words.set(data instanceof Int32Array ? data : new Int32Array(buffer, byteOffset, byteLength / 4), at / 4);
    return at;
  }

  /** n integers at an address, valid until the memory grows. */
  integers(at: number, n: number): Int32Array {
    return this.#arena.words.subarray(at / 4, at / 4 + n);
  }

  /** Reserves a zeroed block of `bytes`. */
  block(bytes: number): number {
    const at = this.allocate(bytes);
    this.#arena.words.fill(0, at / 4, (at + bytes) / 4);
    return at;
  }

  /** Holds a tensor, or whatever else is disposed, until `release`; returns it. */
  own<T extends { dispose(): void }>(held: T): T {
    this.#releases.push(() => held.dispose());
    return held;
  }

  /** Registers something else to undo. */
  defer(release: () => void): void {
    this.#releases.push(release);
  }

  /** A writer for the block at `at`, valid until the memory grows. */
  writer(at: number): BlockWriter {
    return new BlockWriter(this.#arena.words, at);
  }

  release(): void {
    for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop()) {
      if (typeof release === 'number') this.#arena.free(release);
      else release();
    }
  }
}

/** Sets the fields of a block by byte offset; they are whole words. */
export class BlockWriter {
  readonly #words: Int32Array;
  readonly #at: number;

  constructor(words: Int32Array, at: number) {
    this.#words = words;
    this.#at = at / 4;
  }

  /** An integer, or a pointer of up to 32 bits. */
  int(field: number, value: number): this {
    this.#words[this.#at + field / 4] = value;
    return this;
  }

  f32(field: number, value: number): this {
    this.#view(field).setFloat32(0, value, true);
    return this;
  }

  f64(field: number, value: number): this {
    this.#view(field).setFloat64(0, value, true);
    return this;
  }

  #view(field: number): DataView {
    return new DataView(this.#words.buffer, 4 * this.#at + field);
  }
}
