/** A host whose clocks and timers throw, when the engine is made or later: every call settles, and those after the fault are as ever. */
import process from 'node:process';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createEngine, type Engine, rotary } from '../../src/index.ts';
import { after } from '../../src/platform/time.ts';
import type { Stage } from '../../src/threads/types.ts';
import { hashBits, numbers } from '../conformance/numbers.ts';
import { compileKernels } from '../threads/kernels.ts';
import { createRig } from '../threads/rig.ts';

afterEach(() => vi.unstubAllGlobals());

const { setTimeout } = globalThis;
const boom = (): never => {
  throw new Error('not here');
};
const FAULTS: Record<string, Record<string, unknown>> = {
  'setTimeout throws': { setTimeout: boom },
  'clearTimeout throws': { clearTimeout: boom },
  'setTimeout never fires': { setTimeout: () => ({ ref() {}, unref() {} }) },
  'setImmediate throws': { setImmediate: boom },
  'nothing yields': { setTimeout: boom, setImmediate: boom, MessageChannel: boom },
  'the clock throws': { performance: { now: boom } },
};

const stub = (globals: Record<string, unknown>): void => {
  for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
};

/** What a promise comes to, in words, by a timer that no fault touches. */
async function settled(promise: Promise<unknown>): Promise<string> {
  const late = new Promise<string>((resolve) => setTimeout(() => resolve('unsettled'), 20_000).unref());
  return Promise.race([promise.then(() => 'resolved').catch((error: Error) => `rejected: ${error.message}`), late]);
}

/** Calls of several slices, one after another and two at once; how they ended. */
async function calls(engine: Engine): Promise<string[]> {
  const x = engine.tensor([1, 4, 1200, 64]);
  const call = (options = {}): Promise<string> => settled(engine.attention(x, x, x, { onProgress() {}, ...options }));
  const encoding = rotary({ dim: 64, theta: 10000, layout: 'halves' });
  const one = [await call(), await call({ encoding })];
  const controller = new AbortController();
  const stopped = call({ signal: controller.signal });
  controller.abort(new Error('stopped'));
  return [...one, await stopped, ...(await Promise.all([call(), call({ encoding })]))];
}

async function hash(engine: Engine): Promise<string> {
  const x = engine.tensor([1, 4, 300, 64], numbers(4 * 300 * 64, 1));
  return hashBits((await engine.attention(x, x, x, { causal: true })).toArray());
}

const alone = await createEngine({ threads: 1 });
const expected = await hash(alone);
const quiet = { warn() {} };

describe.each(Object.entries(FAULTS))('%s', (name, fault) => {
  test.each([1, 2])('during the calls of an engine of %i thread(s)', async (threads) => {
    using engine = await createEngine({ threads, logger: quiet });
    stub(fault);
    const outcomes = await calls(engine);
    expect(outcomes.filter((outcome) => !/^(resolved|rejected: (not here|stopped|kernel .* failed: .*))$/.test(outcome))).toEqual([]);
    if (threads === 1 && name !== 'the clock throws') expect(outcomes.filter((outcome) => outcome === 'resolved').length).toBe(4);
    vi.unstubAllGlobals();
    expect(await hash(engine)).toBe(expected);
  });

  test('from before the engine is made', async () => {
    stub(fault);
    const made = createEngine({ threads: 2, logger: quiet });
    expect(await settled(made)).toBe('resolved');
    using engine = await made;
    if (engine.capabilities.threads < 2) expect(engine.capabilities.reason).toMatch(/not here/);
    expect((await calls(engine)).filter((outcome) => outcome === 'unsettled')).toEqual([]);
    vi.unstubAllGlobals();
    expect(await hash(engine)).toBe(expected);
  });
});

test('a timer that cannot be cleared does not call back once it was cancelled', async () => {
  vi.stubGlobal('clearTimeout', boom);
  const called = vi.fn();
  const cancel = after(1, called);
  expect(cancel).not.toThrow();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(called).not.toHaveBeenCalled();
});

const module = await WebAssembly.compile(await compileKernels());

// A rejection that nobody can hear of ends a process of Node; here it fails the run of the tests, and is told by name.
test.each([
  ['the clock', { performance: { now: boom } }],
  ['a timer', { setTimeout: boom }],
])('%s throws while a worker is inside a tile: the call rejects, the worker is ended, and nothing else is heard', async (_, fault) => {
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on('unhandledRejection', hear);
  const rig = await createRig(module, 2);
  const job = rig.job({ kernel: 'holdOnWorker', tiles: 2 });
  const flag = new Int32Array(rig.memory.buffer, (job.stages[0] as Stage).job + 24, 1);
  const controller = new AbortController();
  const call = rig.pool.run(job, { signal: controller.signal });
  const outcome = call.then(
    () => 'resolved',
    (error: Error) => error.message,
  );
  while (flag[0] !== 1) await new Promise((resolve) => setTimeout(resolve, 5));
  stub(fault);
  controller.abort(new Error('stopped'));
  expect(['stopped', 'not here']).toContain(await outcome);
  vi.unstubAllGlobals();
  expect(rig.reserve.quarantines.length).toBe(1);
  await rig.reserve.quarantines[0];
  await rig.pool.run(rig.job({ kernel: 'count', tiles: 20, slot: 1 }));
  rig.assertOnce(20, 1);
  rig.pool.dispose();
  process.off('unhandledRejection', hear);
  expect(unheard).toEqual([]);
});
