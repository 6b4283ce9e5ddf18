import { CONTROL_BYTES } from '../../src/threads/control.ts';
import { jobOf } from '../../src/threads/job.ts';
import { createPool, loadWorkers, type PoolOptions } from '../../src/threads/pool.ts';
import type { Job, KernelModule, Pool, Reserve, Stage } from '../../src/threads/types.ts';

/** Where a rig keeps things: the control block, then job blocks and cells of up to 8 jobs, then scratch. */
const CONTROL = 64;
const BLOCKS = CONTROL + CONTROL_BYTES;
const CELLS = 4096;
const MAX_TILES = 4096;
const SCRATCH = CELLS + 8 * MAX_TILES * 8;
const STRIDE = 64;

/** What a test says of a job; `slot` keeps queued jobs apart. */
export interface Ask {
  readonly kernel: string;
  readonly tiles: number;
  readonly threads?: number;
  readonly loops?: number;
  readonly trapTile?: number;
  readonly steps?: number;
  readonly slot?: number;
}

/** A pool over a fresh memory, with the means to set up jobs for the test kernels and to look at what they did. */
export class Rig {
  readonly memory: WebAssembly.Memory;
  readonly pool: Pool;
  readonly reserve: RigReserve;
  #nonce = 0;

  constructor(memory: WebAssembly.Memory, pool: Pool, reserve: RigReserve) {
    this.memory = memory;
    this.pool = pool;
    this.reserve = reserve;
  }

  get reason(): string | undefined {
    return this.pool.reason;
  }

  /** A job of these stages, whose cells and flags are cleared. */
  job(...asks: Ask[]): Job {
    return jobOf(asks.map((ask) => this.stage(ask)));
  }

  stage({ kernel, tiles, threads = 64, loops = 0, trapTile = -1, steps = 1, slot = 0 }: Ask): Stage {
    const job = BLOCKS + slot * 32;
    const cells = CELLS + slot * MAX_TILES * 8;
    const words = new Int32Array(this.memory.buffer);
    words.fill(0, cells / 4, cells / 4 + tiles * 2);
    words.set([cells, ++this.#nonce, loops, trapTile, this.reserve.at, job + 24, 0], job / 4);
    return { kernel, job, tiles, steps, scratch: STRIDE, threads };
  }

  /** How often each tile of the slot's job ran, and under which nonce. */
  cells(tiles: number, slot = 0): { counts: number[]; nonces: number[] } {
    const words = new Int32Array(this.memory.buffer, CELLS + slot * MAX_TILES * 8, tiles * 2);
    const pick = (offset: number): number[] => Array.from({ length: tiles }, (_, tile) => words[tile * 2 + offset] as number);
    return { counts: pick(0), nonces: pick(1) };
  }

  /** Throws unless each tile of the last job set up ran once, with that job's parameters. */
  assertOnce(tiles: number, slot = 0, nonce: number = this.#nonce): void {
    const { counts, nonces } = this.cells(tiles, slot);
    const wrong = counts.findIndex((count, tile) => count !== 1 || nonces[tile] !== nonce);
    if (wrong >= 0) throw new Error(`tile ${wrong} of ${tiles} ran ${counts[wrong]} times, with nonce ${nonces[wrong]} for ${nonce}`);
  }
}

/** Scratch as a rig has it: at its own place, or where a test says; and what the pool told it. */
export class RigReserve implements Reserve {
  at: number = SCRATCH;
  taken = 0;
  readonly quarantines: Promise<void>[] = [];
  /** What `scratch` throws, if anything. */
  error: Error | undefined;

  scratch(): number {
    if (this.error) throw this.error;
    this.taken++;
    return this.at;
  }

  free(): void {
    this.taken--;
  }

  quarantine(over: Promise<void>): void {
    this.quarantines.push(over);
  }
}

/** The caller's instance of a module, and the module, or another one for the workers. */
export function kernelsOn(memory: WebAssembly.Memory, own: WebAssembly.Module, module: WebAssembly.Module = own): KernelModule {
  return { module, kernels: new WebAssembly.Instance(own, { env: { memory } }).exports };
}

/** What a test says of a rig. */
interface RigOptions extends Partial<Omit<PoolOptions, 'modules'>> {
  /** What the workers are given in place of the module. */
  readonly given?: WebAssembly.Module;
  /** Modules beside the first. */
  readonly more?: readonly WebAssembly.Module[];
}

/** A rig with a pool of up to 64 threads. */
export async function createRig(
  module: WebAssembly.Module,
  threads: number,
  { given, more = [], ...options }: RigOptions = {},
): Promise<Rig> {
  const memory = new WebAssembly.Memory({ initial: 8, maximum: 1024, shared: true });
  const reserve = new RigReserve();
  const pool = await createPool({
    memory,
    reserve,
    modules: [kernelsOn(memory, module, given), ...more.map((one) => kernelsOn(memory, one))],
    control: CONTROL,
    load: loadWorkers,
    threads,
    deadlineMs: 20_000,
    ...options,
  });
  return new Rig(memory, pool, reserve);
}
