/** What one thread of this host can do at most, by the kernels of assembly/peak.ts. */
import { type Binary, isModule } from '../wasm/kernels.ts';
import { fuses } from '../wasm/probes.ts';
import { type Measuring, measure } from './measure.ts';

/** Where the kernels come from, rounding twice and once. */
export interface PeakKernels {
  plain(): Binary;
  fused(): Binary;
}

interface PeakExports extends WebAssembly.Exports {
  readonly memory: WebAssembly.Memory;
  arithmetic(turns: number, a: number, b: number): number;
  dots16(turns: number, a: number, b: number): number;
  wide16(turns: number, a: number, b: number): number;
  read(from: number, bytes: number): number;
  copy(to: number, from: number, bytes: number): void;
}

/** What one thread's arithmetic gives, in thousand millions of operations a second; null where the host lacks the instructions. */
export interface Arithmetic {
  /** Products and sums in f32, each rounded. */
  readonly mulAdd: number;
  /** The same rounded once, where the host does so. */
  readonly fused: number | null;
  /** Products of 16-bit integers and their sums in 32 bits, in the form that is faster here. */
  readonly int16: number;
}

/** Turns of a call, about half a millisecond, and the operations of a turn: 12 vectors of 4 lanes, a product and a sum each; a dot has twice that. */
const TURNS = 200_000;
const PER_TURN = 96;

/** Shortest sample in milliseconds: the best counts, and on a busy machine only a short one is left alone. */
const SHORTEST = 0.5;

/** The bytes that `read` takes at a time. */
const BLOCK = 128;

/** One thread's peaks. */
export class Peak {
  readonly #plain: PeakExports;
  readonly #fused: PeakExports | undefined;
  readonly #measuring: Measuring;
  readonly #memory = new Map<string, number>();

  private constructor(plain: PeakExports, fused: PeakExports | undefined, measuring: Measuring) {
    this.#plain = plain;
    this.#fused = fused;
    this.#measuring = measuring;
  }

  /** @throws where the host compiles no bytes, and bytes is what there is */
  static async of(kernels: PeakKernels, measuring: Measuring): Promise<Peak> {
    return new Peak(await instantiate(kernels.plain()), fuses() ? await instantiate(kernels.fused()) : undefined, measuring);
  }

  /** Products and sums without memory. */
  async arithmetic(): Promise<Arithmetic> {
    const floats = async ({ arithmetic }: PeakExports): Promise<number> =>
      this.#best(PER_TURN * TURNS, () => arithmetic(TURNS, 0.999, 0.001));
    const { dots16, wide16 } = this.#plain;
    const dots = await this.#best(2 * PER_TURN * TURNS, () => dots16(TURNS, 3, 7));
    const wide = await this.#best(PER_TURN * TURNS, () => wide16(TURNS, 3, 7));
    return { mulAdd: await floats(this.#plain), fused: this.#fused ? await floats(this.#fused) : null, int16: Math.max(dots, wide) };
  }

  /** GB/s of going through `bytes` again and again; a copy counts both ways. */
  async memory(traffic: 'read' | 'copy', bytes: number): Promise<number | null> {
    const key = `${traffic} ${bytes}`;
    const known = this.#memory.get(key);
    if (known !== undefined) return known;
    const { memory, read, copy } = this.#plain;
    const half = Math.ceil(bytes / 2 / BLOCK) * BLOCK;
    const missing = 2 * half - memory.buffer.byteLength;
    if (missing > 0 && tried(() => memory.grow(Math.ceil(missing / 65536))) === undefined) return null;
    const rate = await this.#best(2 * half, traffic === 'read' ? () => read(0, 2 * half) : () => copy(half, 0, half));
    this.#memory.set(key, rate);
    return rate;
  }

  async #best(work: number, run: () => unknown): Promise<number> {
    return work / (await measure(run, { shortest: SHORTEST, ...this.#measuring })).best / 1e6;
  }
}

async function instantiate(kernels: Binary): Promise<PeakExports> {
  const module = isModule(kernels) ? kernels : await WebAssembly.compile(kernels);
  return new WebAssembly.Instance(module, {}).exports as PeakExports;
}

function tried<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
