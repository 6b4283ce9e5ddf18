/** The life of a worker, on this thread: a gate that is open once and then of another generation, so that nothing waits. */
import { expect, test } from 'vitest';
import {
  BELL,
  controlView,
  DONE,
  ENDED,
  FAILED,
  NEXT,
  READY,
  readTrap,
  resetJob,
  SLOT,
  STAGE_WORDS,
  STOPPED,
  writeJob,
} from '../../src/threads/control.ts';
import { askForMessage, enroll, inside, nextGeneration, open } from '../../src/threads/gate.ts';
import { serve } from '../../src/threads/serve.ts';
import { compileKernels } from './kernels.ts';

const module = await WebAssembly.compile(await compileKernels());
const [CONTROL, BLOCK, CELLS, SCRATCH, STRIDE, LIST, TILES] = [64, 4096, 8192, 16384, 64, 20000, 5];
/** As two modules have them. */
const KERNELS = [['nothing', 'count'], ['trap']] as const;

/**
 * Serves one job of `threads` threads as the one that takes part as number `slot`; what it reported, and where it wrote. Its stages are as many
 * of the same tiles.
 */
function served({ kernel = 'count', slot = 1, threads = 3, worker = 2, trapTile = -1, stages = 1 } = {}) {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const words = controlView(memory, CONTROL);
  const all = new Int32Array(memory.buffer);
  all.set([CELLS, 1, 0, trapTile, SCRATCH, BLOCK + 24, 0], BLOCK / 4);
  all.fill(-1, SCRATCH / 4, (SCRATCH + 8 * STRIDE) / 4);
  const generation = nextGeneration(words);
  enroll(words, generation, worker);
  resetJob(words);
  const stage = { kernel: () => {}, number: KERNELS.flat().indexOf(kernel as 'count'), job: BLOCK, tiles: TILES, steps: 1 };
  const list = new Int32Array(memory.buffer, LIST, STAGE_WORDS * (stages - 1));
  writeJob(words, Array(stages).fill(stage), { threads, at: SCRATCH, stride: STRIDE, listAt: LIST, list });
  words[SLOT] = slot;
  open(words, 0);
  askForMessage(words);
  const reports: unknown[] = [];
  const port = {
    listen: (hear: (message: unknown) => boolean) => {
      const start = {
        relpos: 'start',
        generation,
        worker,
        memory,
        modules: KERNELS.map((kernels) => ({ module, kernels })),
        control: CONTROL,
        spins: 0,
      };
      expect(hear(start)).toBe(true);
    },
    post: (report: { relpos: string }) => {
      reports.push(report);
      if (report.relpos === 'empty') nextGeneration(words);
    },
  };
  serve(port as never);
  expect(inside(words)).toBe(0);
  const scratches = Array.from({ length: 8 }, (_, n) => all[(SCRATCH + n * STRIDE) / 4]).flatMap((x, n) => (x === -1 ? [] : [n]));
  return { words, reports, scratches, counts: Array.from({ length: TILES }, (_, n) => all[CELLS / 4 + 2 * n]) };
}

test('a worker that takes part runs the tiles that are left, on scratch of its own', () => {
  const { words, reports, scratches, counts } = served({ slot: 1 });
  expect(reports).toEqual([{ relpos: 'ready', held: false }, { relpos: 'empty' }]);
  expect([words[READY], words[DONE], words[SLOT], words[FAILED]]).toEqual([1, TILES, 2, 0]);
  expect(counts).toEqual([1, 1, 1, 1, 1]);
  expect(scratches).toEqual([1]);
});

test('the last that may take part, and the first that may not', () => {
  expect(served({ slot: 2, threads: 3 }).scratches).toEqual([2]);
  const { words, scratches, counts } = served({ slot: 3, threads: 3 });
  expect([words[NEXT], words[DONE]]).toEqual([0, 0]);
  expect(counts).toEqual([0, 0, 0, 0, 0]);
  expect(scratches).toEqual([]);
});

test('a trap stops the job for everybody, and says where', () => {
  const { words, counts } = served({ kernel: 'trap', trapTile: 2 });
  expect([words[STOPPED], words[NEXT], words[DONE]]).toEqual([1, ENDED, 2]);
  expect(counts).toEqual([1, 1, 0, 0, 0]);
  expect(readTrap(words)).toMatch(/^tile 2 on worker 2: RuntimeError/);
});

test('the stages that the list has follow the first', () => {
  const { words, counts } = served({ stages: 4 });
  expect([words[DONE], words[BELL], words[STOPPED]]).toEqual([4 * TILES, 3, 0]);
  expect(counts).toEqual([4, 4, 4, 4, 4]);
});
