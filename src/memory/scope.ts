// Writing parameter blocks and small arrays into linear memory.

import type { Arena } from './arena.ts';

/** Memory held for the length of one call. */
export class Scope {
  readonly #arena: Arena;
  readonly #releases: (() => void)[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Reserves bytes until `release`. */
  allocate(bytes: number): number {
    const at = this.#arena.allocate(bytes);
    this.#releases.push(() => this.#arena.free(at));
    return at;
  }

  /** Copies a typed array into memory; returns where. */
  upload(data: Float32Array | Float64Array | Int32Array): number {
    const at = this.allocate(data.byteLength);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    new Uint8Array(this.#arena.memory.buffer, at, data.byteLength).set(bytes);
    return at;
  }

  /** n integers at an address, valid until the memory grows. */
  integers(at: number, n: number): Int32Array {
    return new Int32Array(this.#arena.memory.buffer, at, n);
  }

  /** Reserves a zeroed block of `bytes`. */
  block(bytes: number): number {
    const at = this.allocate(bytes);
    new Uint8Array(this.#arena.memory.buffer, at, bytes).fill(0);
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
    return new BlockWriter(this.#arena.memory.buffer, at);
  }

  release(): void {
    for (const release of this.#releases.splice(0).reverse()) release();
  }
}

/** Sets the fields of a block by byte offset. */
export class BlockWriter {
  readonly #view: DataView;

  constructor(buffer: ArrayBufferLike, at: number) {
    this.#view = new DataView(buffer, at);
  }

  /** An integer, or a pointer of up to 32 bits. */
  int(field: number, value: number): this {
    this.#view.setInt32(field, value, true);
    return this;
  }

  f32(field: number, value: number): this {
    this.#view.setFloat32(field, value, true);
    return this;
  }

  f64(field: number, value: number): this {
    this.#view.setFloat64(field, value, true);
    return this;
  }
}
