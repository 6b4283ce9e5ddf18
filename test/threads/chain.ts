/** Chains of stages: each number of a stage depends on all numbers of the stage before, so that one read too early shows in the last. */
import { jobOf } from '../../src/threads/job.ts';
import type { Job, Stage } from '../../src/threads/types.ts';
import type { Rig } from './rig.ts';

/** A stage of a chain. */
export interface Link {
  readonly tiles: number;
  readonly steps?: number;
  readonly loops?: number;
  readonly trapTile?: number;
  readonly kernel?: 'chain' | 'chainOnWorker';
  readonly threads?: number;
}

/** A chain set up in a rig's memory. */
export interface Chain {
  readonly job: Job;
  /** Numbers that each stage has written so far, 0 where there is none yet. */
  wrote(): number[][];
  /** Throws unless all stages wrote what one thread writes that runs one after the other. */
  assertDone(): void;
}

const SCRATCH_BYTES = 64;
const BLOCK_WORDS = 8;

const next = (x: number): number => (Math.imul(x, 1664525) + 1013904223) >>> 0;

/** What the stages write. */
function numbersOf(links: readonly Link[]): number[][] {
  let before: readonly number[] = [];
  return links.map(({ tiles, steps = 1, loops = 0 }) => {
    const from = before;
    const numbers = Array.from({ length: tiles }, (_, tile) => {
      let x = tile + 1;
      for (const y of from) x = Math.imul(x ^ y, 16777619) >>> 0;
      for (let n = 0; n < steps * (loops + 1); n++) x = next(x);
      return x;
    });
    before = numbers;
    return numbers;
  });
}

/** A chain in memory of its own behind what the rig has so far. */
export function chainOf(rig: Rig, links: readonly Link[]): Chain {
  const words = links.reduce((sum, { tiles }) => sum + tiles + BLOCK_WORDS, 1);
  const start = rig.memory.grow(Math.ceil((4 * words) / 65536)) * 65536;
  const memory = (): Int32Array => new Int32Array(rig.memory.buffer);
  const flag = start;
  let at = start + 4;
  const take = (n: number): number => {
    at += 4 * n;
    return at - 4 * n;
  };
  let [from, count] = [0, 0];
  const outs: number[] = [];
  const stages = links.map(({ tiles, steps = 1, loops = 0, trapTile = -1, kernel = 'chain', threads = 64 }): Stage => {
    const [to, job] = [take(tiles), take(BLOCK_WORDS)];
    memory().set([from, count, to, loops, steps, trapTile, rig.reserve.at, flag], job / 4);
    outs.push(to);
    [from, count] = [to, tiles];
    return { kernel, job, tiles, steps, scratch: SCRATCH_BYTES, threads };
  });
  const wrote = (): number[][] => links.map(({ tiles }, n) => [...new Uint32Array(rig.memory.buffer, outs[n], tiles)]);
  return {
    job: jobOf(stages),
    wrote,
    assertDone() {
      const [got, expected] = [wrote(), numbersOf(links)];
      const bad = got.findIndex((numbers, n) => numbers.join() !== expected[n]?.join());
      if (bad >= 0) throw new Error(`stage ${bad} of ${links.length} wrote ${got[bad]?.slice(0, 9)} for ${expected[bad]?.slice(0, 9)}`);
    },
  };
}
