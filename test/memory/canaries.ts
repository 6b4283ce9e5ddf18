/** Canaries in an engine's memory: what lies behind every block, and behind every part of a thread's scratch, may be read but not written. */
import { Arena } from '../../src/memory/arena.ts';
import type { ScratchLayout } from '../../src/memory/scratch.ts';
import { jobOf } from '../../src/threads/job.ts';
import { TilePool } from '../../src/threads/tile-pool.ts';
import type { Job, JobOptions } from '../../src/threads/types.ts';

/** Bytes between two parts of scratch. */
const GAP = 192;
/** A NaN, in case somebody computes with it. */
const CANARY = 0xffc0dead;

/** A part of scratch of `stride` bytes a thread: nobody may write to the bytes [from, to). */
interface Gaps {
  readonly stride: number;
  readonly gaps: readonly (readonly [from: number, to: number])[];
}

/** Blocks that are watched, what is known of scratch, and what was found. */
export interface Watch {
  /** Scratch with gaps, in place of `layOut`. */
  layOut(sizes: readonly number[]): ScratchLayout;
  /** What was written to that belongs to nobody, in words. */
  readonly violations: string[];
  /** Parts of scratch that were looked behind. */
  parts(): number;
  end(): void;
}

/** The canary that byte `at` of the memory is part of, little endian. */
const byteAt = (at: number): number => (CANARY >>> (8 * (at % 4))) & 255;

/** Blocks begin and end on cache lines. */
function fill(memory: WebAssembly.Memory, from: number, to: number): void {
  new Uint32Array(memory.buffer, from, (to - from) / 4).fill(CANARY);
}

/** Watches every arena until `end`. */
export function watch(): Watch {
  const { allocate, free, scratch } = Arena.prototype;
  const { run, runSync } = TilePool.prototype;
  const blocks = new Map<number, { bytes: number; size: number }>();
  /** Bytes of each thread's scratch, by where the first one's begins. */
  const strides = new Map<number, number>();
  const layouts: Gaps[] = [];
  const violations: string[] = [];
  let parts = 0;

  const check = (memory: WebAssembly.Memory, from: number, to: number, what: string): void => {
    const bytes = new Uint8Array(memory.buffer, from, to - from);
    const bad = bytes.findIndex((x, n) => x !== byteAt(from + n));
    if (bad >= 0) violations.push(`${what}: byte ${bad} behind it`);
  };

  Arena.prototype.allocate = function (this: Arena, bytes: number): number {
    const at = allocate.call(this, bytes);
    const size = Math.ceil(bytes / 64) * 64 + 64;
    fill(this.memory, at, at + size);
    blocks.set(at, { bytes, size });
    return at;
  };
  Arena.prototype.free = function (this: Arena, at: number): void {
    const block = blocks.get(at);
    if (block) {
      const { bytes, size } = block;
      const layout = layouts.findLast(({ stride }) => stride === strides.get(at));
      strides.delete(at);
      check(this.memory, at + bytes, at + size, `a block of ${bytes} bytes`);
      for (let thread = 0; layout && thread < bytes / layout.stride; thread++) {
        layout.gaps.forEach(([from, to], n) => {
          parts++;
          const start = at + thread * layout.stride;
          check(this.memory, start + from, start + to, `part ${n} of the scratch of thread ${thread}`);
        });
      }
      blocks.delete(at);
    }
    free.call(this, at);
  };

  Arena.prototype.scratch = function (this: Arena, bytes: number, threads: number, more: number): number {
    const at = scratch.call(this, bytes, threads, more);
    strides.set(at, bytes);
    return at;
  };

  // Each stage by itself: those of one job share their scratch, in which each has gaps elsewhere.
  TilePool.prototype.run = async function (this: TilePool, job: Job, options?: JobOptions): Promise<void> {
    for (const stage of job.stages) await run.call(this, jobOf([stage]), options);
  };
  TilePool.prototype.runSync = function (this: TilePool, job: Job): void {
    for (const stage of job.stages) runSync.call(this, jobOf([stage]));
  };

  return {
    violations,
    parts: () => parts,
    layOut(sizes) {
      let bytes = 0;
      const at: number[] = [];
      const gaps: [number, number][] = [];
      for (const size of sizes) {
        at.push(bytes);
        const end = Math.ceil((bytes + size + GAP) / 64) * 64;
        gaps.push([bytes + size, end]);
        bytes = end;
      }
      layouts.push({ stride: bytes, gaps });
      return { at, bytes };
    },
    end() {
      Object.assign(Arena.prototype, { allocate, free, scratch });
      Object.assign(TilePool.prototype, { run, runSync });
    },
  };
}
