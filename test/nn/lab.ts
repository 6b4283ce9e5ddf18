/** The layers' kernels by themselves, on a memory whose every block has canaries around it. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';

type Kernel = (job: number, tile: number, scratch: number) => void;

/** Bytes of canaries on either side of a block. */
const FENCE = 64;
const CANARY = 0xa5;
const UNIT = 64;

const bytesOf = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../../build/${name}.wasm`, import.meta.url)));

/** The sets of kernels that this host runs: those of relaxed SIMD give the same bits. */
export const SETS: readonly string[] = ['nn', 'nn-relaxed'].filter((name) => WebAssembly.validate(bytesOf(name)));

const modules = new Map(SETS.map((name) => [name, new WebAssembly.Module(bytesOf(name))]));

/** A field of a parameter block: a whole number or an address, or a number of f32 or f64. */
export type Field = readonly [at: number, value: number, type?: 'f32' | 'f64'];

type Data = Float32Array | Int32Array | Uint16Array | Int8Array | Uint8Array;

export class Lab {
  readonly #memory = new WebAssembly.Memory({ initial: 256, maximum: 65536 });
  readonly #kernels: Readonly<Record<string, Kernel>>;
  #next = 4096;
  readonly #blocks: { at: number; bytes: number; before?: Uint8Array }[] = [];

  constructor(set = 'nn') {
    this.#kernels = new WebAssembly.Instance(modules.get(set) as WebAssembly.Module, { env: { memory: this.#memory } }).exports as Record<
      string,
      Kernel
    >;
  }

  /** Room for `bytes`, filled with canaries. */
  space(bytes: number): number {
    const at = this.#next + FENCE;
    this.#next = Math.ceil((at + bytes + FENCE) / UNIT) * UNIT;
    if (this.#next > this.#memory.buffer.byteLength) throw new Error('the laboratory is full');
    new Uint8Array(this.#memory.buffer, at - FENCE, bytes + 2 * FENCE).fill(CANARY);
    this.#blocks.push({ at, bytes });
    return at;
  }

  /** A copy of data that kernels may not change, the last byte before a fence. */
  input(data: Data): number {
    const at = this.output(data);
    const block = this.#blocks.at(-1) as { at: number; bytes: number; before?: Uint8Array };
    block.before = new Uint8Array(this.#memory.buffer, at, data.byteLength).slice();
    return at;
  }

  /** A copy of data that they may. */
  output(data: Data): number {
    const at = this.space(data.byteLength);
    new Uint8Array(this.#memory.buffer, at, data.byteLength).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return at;
  }

  /** A block of parameters, 0 where nothing is said. */
  block(bytes: number, fields: readonly Field[]): number {
    const at = this.input(new Uint8Array(bytes));
    const view = new DataView(this.#memory.buffer, at, bytes);
    for (const [field, value, type] of fields) {
      if (type === 'f32') view.setFloat32(field, value, true);
      else if (type === 'f64') view.setFloat64(field, value, true);
      else view.setInt32(field, value, true);
    }
    const block = this.#blocks.at(-1) as { before?: Uint8Array };
    block.before = new Uint8Array(this.#memory.buffer, at, bytes).slice();
    return at;
  }

  /** Runs all tiles, from the last to the first, and sees that nothing else was written. */
  run(kernel: string, job: number, tiles: number, scratch = 0): void {
    const at = this.space(scratch);
    for (let tile = tiles - 1; tile >= 0; tile--) (this.#kernels[kernel] as Kernel)(job, tile, at);
    this.#check();
  }

  floats(at: number, n: number): Float32Array {
    return new Float32Array(this.#memory.buffer, at, n).slice();
  }

  integers(at: number, n: number): Int32Array {
    return new Int32Array(this.#memory.buffer, at, n).slice();
  }

  #check(): void {
    for (const { at, bytes, before } of this.#blocks) {
      const fences = [at - FENCE, at + bytes].map((from) => new Uint8Array(this.#memory.buffer, from, FENCE));
      expect(fences.every((fence) => fence.every((byte) => byte === CANARY))).toBe(true);
      if (before) expect(Buffer.compare(new Uint8Array(this.#memory.buffer, at, bytes), before)).toBe(0);
    }
  }
}

/** What a row's gap is filled with, and must still hold. */
export const GAP: number = new Float32Array(new Uint8Array(4).fill(CANARY).buffer)[0] as number;

/** Rows of `width` numbers, `row` apart, from rows without gaps. */
export function spread(data: Float32Array, width: number, row: number): Float32Array {
  const rows = data.length / width;
  const out = new Float32Array(rows * row).fill(GAP);
  for (let r = 0; r < rows; r++) out.set(data.subarray(r * width, (r + 1) * width), r * row);
  return out;
}

/** The rows of `spread`, whose gaps hold what they did. */
export function gathered(data: Float32Array, width: number, row: number): Float32Array {
  const rows = data.length / row;
  const out = new Float32Array(rows * width);
  for (let r = 0; r < rows; r++) {
    out.set(data.subarray(r * row, r * row + width), r * width);
    const gap = data.subarray(r * row + width, (r + 1) * row);
    expect(gap.every((x) => Object.is(x, GAP))).toBe(true);
  }
  return out;
}
