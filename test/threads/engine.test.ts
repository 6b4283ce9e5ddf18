/** An engine and its pool: one job a call, and the door by which other entries give it kernels of their own. */
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test, vi } from 'vitest';
import { makeEngine } from '../../src/create.ts';
import { OWN_KERNELS } from '../../src/entries/own-kernels.ts';
import { alibi, createEngine, type Engine, rotary, type Tensor } from '../../src/index.ts';
import type { Arena } from '../../src/memory/arena.ts';
import { type EngineParts, partsOf } from '../../src/parts.ts';
import { jobOf, memoryOf } from '../../src/threads/job.ts';
import { TilePool } from '../../src/threads/tile-pool.ts';
import type { KernelModule, Stage } from '../../src/threads/types.ts';
import { workerSource } from '../../src/wasm/generated/worker-source.ts';
import { expectSameBits } from '../attention/call.ts';
import { compileChain } from './kernels.ts';

const engines: Engine[] = [];
const made = async (engine: Promise<Engine>): Promise<Engine> => {
  engines.push(await engine);
  return engines.at(-1) as Engine;
};
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
  vi.restoreAllMocks();
});

const partsIn = (engine: Engine): EngineParts => partsOf(engine) as EngineParts;

/** The chain's kernels for a memory: shared, as they are compiled, or not, which is a flag of their import. */
const bytes = await compileChain();
async function chainOn(memory: WebAssembly.Memory): Promise<KernelModule> {
  const twin = bytes.slice();
  const at = twin.findIndex((_, n) => [...'memory', '\u0002'].every((letter, m) => twin[n + m] === letter.charCodeAt(0)));
  expect(twin[at + 7]).toBe(3);
  if (!(memory.buffer instanceof SharedArrayBuffer)) twin[at + 7] = 1;
  const module = await WebAssembly.compile(twin);
  return { module, kernels: new WebAssembly.Instance(module, { env: { memory } }).exports };
}

/** Two stages of the chain in an engine's memory, and what they must write. */
function chainIn(arena: Arena): { stages: Stage[]; assertDone(): void } {
  const at = arena.allocate(4096);
  const words = arena.words;
  const [first, second, one, two] = [at, at + 32, at + 64, at + 1024];
  words.set([0, 0, one, 0, 1, -1, 0, 0], first / 4);
  words.set([one, 20, two, 0, 1, -1, 0, 0], second / 4);
  const stage = (job: number, tiles: number): Stage => ({ kernel: 'chain', job, tiles, scratch: 8, threads: 64 });
  const next = (x: number): number => (Math.imul(x, 1664525) + 1013904223) >>> 0;
  const before = Array.from({ length: 20 }, (_, tile) => next(tile + 1));
  const after = Array.from({ length: 9 }, (_, tile) => next(before.reduce((x, y) => Math.imul(x ^ y, 16777619) >>> 0, tile + 1)));
  return {
    stages: [stage(first, 20), stage(second, 9)],
    assertDone() {
      expect([...new Uint32Array(arena.memory.buffer, two, 9)]).toEqual(after);
      arena.free(at);
    },
  };
}

test('a call is one job, whatever it prepares', async () => {
  const engine = await made(createEngine({ threads: 2 }));
  const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
  const q = engine.tensor([1, 4, 200, 16]);
  const cache = engine.kvCache({ batch: 1, heads: 4, headDim: 16, capacity: 1000, encoding });
  const [run, runSync] = [vi.spyOn(TilePool.prototype, 'run'), vi.spyOn(TilePool.prototype, 'runSync')];
  await engine.attention(q, q, q, { encoding: [encoding, alibi({ heads: 4 })], causal: true });
  await engine.attention(q, q, q, { cache, causal: true });
  engine.attentionSync(q.slice(null, null, [0, 1]), q, q, { cache, causal: true });
  cache.append(q, q);
  const stages = (calls: readonly (readonly unknown[])[]): string[][] =>
    calls.map(([job]) => (job as { stages: Stage[] }).stages.map(({ kernel }) => kernel));
  expect(stages(run.mock.calls)).toEqual([
    ['rotaryTable', 'attend'],
    ['append', 'attend'], // the table has these rows already
  ]);
  expect(stages(runSync.mock.calls)).toEqual([
    ['rotaryTable', 'append', 'attend'],
    ['rotaryTable', 'append'],
  ]);
  const step = await engine.prepare(q, q, q, { encoding });
  step.runSync();
  step.runSync();
  expect(stages(runSync.mock.calls.slice(2))).toEqual([['attend'], ['attend']]);
});

/** Rows [E] of `out` that the first `n` tiles of a call write. */
function firstWritten(out: Tensor, n: number, call: () => void): number[] {
  const E = out.shape.at(-1) as number;
  out.set(new Float32Array(out.size).fill(NaN));
  const { runSync } = TilePool.prototype;
  const cut = vi.spyOn(TilePool.prototype, 'runSync').mockImplementation(function (this: TilePool, { stages, ...job }) {
    runSync.call(this, { ...job, stages: stages.map((stage) => (stage.kernel.startsWith('attend') ? { ...stage, tiles: n } : stage)) });
  });
  call();
  cut.mockRestore();
  return [...out.toArray()].flatMap((x, at) => (at % E === 0 && !Number.isNaN(x) ? [at / E] : []));
}

/** `count` numbers from `from` on. */
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, n) => from + n);

test('tiles that have most to do come first: the last queries of every head, the longest documents', async () => {
  const engine = await made(createEngine({ threads: 2 }));
  const q = engine.tensor([2, 4, 256, 16], new Float32Array(2 * 4 * 256 * 16).fill(0.5));
  const out = engine.tensor(q.shape);
  const causal = (): void => void engine.attentionSync(q, q, q, { out, causal: true });
  const last = firstWritten(out, 1, causal);
  expect(last.length).toBeLessThan(256);
  expect(last).toEqual(range(256 - last.length, last.length));
  expect(firstWritten(out, 4, causal)).toEqual([0, 256, 512, 768].flatMap((head) => last.map((row) => head + row)));
  const rows = engine.tensor([90, 1, 16], new Float32Array(90 * 16).fill(0.5));
  const packed = engine.tensor(rows.shape);
  const queryOffsets = [0, 10, 80, 90];
  const documents = (): void => void engine.attentionSync(rows, rows, rows, { out: packed, queryOffsets, keyOffsets: queryOffsets });
  expect(firstWritten(packed, 1, documents)).toEqual(range(10, 70));
});

test.each([1, 2, 3])('an engine of %i threads takes the kernels of another module', async (threads) => {
  const engine = await made(createEngine({ threads }));
  const { context, pool, precision } = partsIn(engine);
  expect(precision).toBe('reproducible');
  const q = engine.tensor(
    [1, 8, 300, 32],
    Float32Array.from({ length: 8 * 300 * 32 }, (_, n) => ((n * 7919) % 1000) / 500 - 1),
  );
  const before = (await engine.attention(q, q, q)).toArray();
  const running = engine.attention(q, q, q);
  await pool.extend(await chainOn(context.arena.memory));
  expectSameBits((await running).toArray(), before);
  expect(engine.capabilities.threads).toBe(threads);
  const { used } = engine.memoryUsage();
  for (const [n, sync] of [false, true, true].entries()) {
    const { stages, assertDone } = chainIn(context.arena);
    const job = jobOf(stages);
    const at = n === 2 ? context.arena.allocate(memoryOf(job, job.threads)) : undefined;
    const held = at === undefined ? job : { ...job, at };
    if (sync) pool.runSync(held);
    else await pool.run(held);
    if (at !== undefined) context.arena.free(at);
    assertDone();
  }
  expect(engine.memoryUsage().used).toBe(used);
  expectSameBits(engine.attentionSync(q, q, q).toArray(), before);
});

test.each([1, 3])('an engine of %i threads starts with the kernels of another module', async (threads) => {
  const workers: Worker[] = [];
  const worker = (): Worker => {
    workers.push(new Worker(workerSource, { eval: true }));
    return workers.at(-1) as Worker;
  };
  const engine = await made(makeEngine({ threads, worker }, OWN_KERNELS, [chainOn]));
  const { context, pool } = partsIn(engine);
  const { stages, assertDone } = chainIn(context.arena);
  await pool.run(jobOf(stages));
  assertDone();
  const q = engine.tensor([1, 2, 5, 8]);
  expect((await engine.attention(q, q, q)).shape).toEqual([1, 2, 5, 8]);
  expect(workers.length).toBe(threads - 1);
});

test('an engine that gets no workers asks for the kernels on the memory that it has', async () => {
  const memories: WebAssembly.Memory[] = [];
  const extension = (memory: WebAssembly.Memory): Promise<KernelModule> => {
    memories.push(memory);
    return chainOn(memory);
  };
  const post = vi.spyOn(Worker.prototype, 'postMessage').mockImplementation(() => {
    throw new Error('no workers here');
  });
  const engine = await made(makeEngine({ threads: 'auto' }, OWN_KERNELS, [extension]));
  expect(post).toHaveBeenCalled();
  expect(memories.map(({ buffer }) => buffer instanceof SharedArrayBuffer)).toEqual([true, false]);
  const { context, pool } = partsIn(engine);
  expect(context.arena.memory).toBe(memories[1]);
  const { stages, assertDone } = chainIn(context.arena);
  pool.runSync(jobOf(stages));
  assertDone();
});

test('what an extension throws is why there is no engine', async () => {
  const failing = (): Promise<never> => Promise.reject(new Error('no such kernels'));
  for (const threads of [1, 2]) await expect(makeEngine({ threads }, OWN_KERNELS, [failing])).rejects.toThrow('no such kernels');
});

test('the parts are those of an engine of this package, as long as it lives', async () => {
  expect(partsOf({})).toBe(undefined);
  const engine = await made(createEngine({ threads: 2 }));
  const { context, pool } = partsIn(engine);
  const module = await chainOn(context.arena.memory);
  const extending = pool.extend(module);
  engine.dispose();
  await expect(extending).rejects.toMatchObject({ code: 'disposed' });
  await expect(pool.extend(module)).rejects.toMatchObject({ code: 'disposed' });
  expect(() => context.alive()).toThrow(expect.objectContaining({ code: 'disposed' }));
});
