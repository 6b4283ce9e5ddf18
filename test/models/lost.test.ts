/** A pass of a whole model that loses a worker in the middle of a stage, or is aborted there: it says so, and the next one has the same bits. */
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { createEngine, type Engine } from '../../src/index.ts';
import { loadDecoder, loadEncoder } from '../../src/models/index.ts';
import type { WorkerLike } from '../../src/platform/handle.ts';
import { DONE, NEXT } from '../../src/threads/control.ts';
import { workerSource } from '../../src/wasm/generated/worker-source.ts';
import { checkpoint } from './checkpoints.ts';
import { all } from './loaded.ts';

/** A word of the control block that nobody uses, which the workers here look at. */
const SIGN = 60;

/** Ends a worker at its `count`-th addition to a word: after it drew a tile that nobody will do, or before it says that one is done. */
const ending = (word: number, count: number): string => `{
  const { add } = Atomics;
  let seen = 0;
  Atomics.add = (words, index, value) => {
    const end = index === ${word} && words[${SIGN}] && ++seen === ${count};
    if (end && index === ${DONE}) process.exit(7);
    const before = add.call(Atomics, words, index, value);
    if (end) process.exit(7);
    return before;
  };
}`;

async function engineOf(threads: number, prelude = ''): Promise<Engine> {
  const worker = (): WorkerLike => new Worker(`${prelude}\n${workerSource}`, { eval: true }) as WorkerLike;
  const engine = await createEngine({ threads, worker });
  expect(engine.capabilities.threads).toBe(threads);
  return engine;
}

/** Whether workers are to end. */
function sign(engine: Engine, value: 0 | 1): void {
  const tensor = engine.tensor([1]);
  new Int32Array(tensor.view().buffer as ArrayBuffer, 1024, 64)[SIGN] = value;
  tensor.dispose();
}

/** So many that threads share even a small model's stages. */
const texts = Array.from({ length: 60 }, (_, n) => 'the cat sat on the mat '.repeat(1 + (n % 3)));

interface Model {
  pass(signal?: AbortSignal): Promise<unknown>;
  dispose(): void;
}

/** How a pass fails: a worker that the host is slow to wake may have no part in the first ones, which are right then. */
async function failure(model: Model, right: unknown): Promise<unknown> {
  for (let n = 0; n < 200; n++) {
    try {
      expect(await model.pass()).toEqual(right);
    } catch (error) {
      return error;
    }
  }
  return undefined;
}

const models: Record<string, (engine: Engine) => Promise<Model>> = {
  async encoder(engine) {
    const encoder = await loadEncoder(checkpoint('bert').folder, { engine, weights: 'f32' });
    return { pass: (signal) => encoder.embed(texts, signal && { signal }), dispose: () => encoder.dispose() };
  },
  async decoder(engine) {
    const decoder = await loadDecoder('examples/models/story-llama', { engine, weights: 'f32' });
    const options = { temperature: 0, maxTokens: 12 };
    return {
      pass: (signal) => all(decoder.generate('In the beginning there was a cat. '.repeat(16), { ...options, ...(signal && { signal }) })),
      dispose: () => decoder.dispose(),
    };
  },
};

describe.each(Object.entries(models))('%s', (_, load) => {
  const right = (async () => {
    const engine = await createEngine({ threads: 1 });
    const model = await load(engine);
    const result = await model.pass();
    engine.dispose();
    return result;
  })();

  const cases = [2, 3].flatMap((threads) =>
    [
      [NEXT, 1],
      [NEXT, 30],
      [DONE, 9],
    ].flatMap(([word, count]) => [true, false].map((cold) => ({ threads, word: word as number, count: count as number, cold }))),
  );

  test.each(cases)('$threads threads, cold $cold: ends at addition $count to word $word', async ({ threads, word, count, cold }) => {
    const engine = await engineOf(threads, ending(word, count));
    const before = engine.memoryUsage().used;
    const model = await load(engine);
    if (!cold) expect(await model.pass()).toEqual(await right);
    sign(engine, 1);
    expect(await failure(model, await right)).toMatchObject({ code: 'kernel-trap' });
    sign(engine, 0);
    expect(await model.pass()).toEqual(await right);
    expect(engine.capabilities.threads).toBe(threads);
    model.dispose();
    engine.releaseTables();
    expect(engine.memoryUsage()).toMatchObject({ used: before, quarantined: 0 });
    engine.dispose();
  });

  test.each([2, 3])('%i threads: aborted in its first stages', async (threads) => {
    const engine = await engineOf(threads);
    const before = engine.memoryUsage().used;
    const model = await load(engine);
    const controller = new AbortController();
    const call = model.pass(controller.signal);
    await Promise.resolve();
    controller.abort('enough');
    await expect(call).rejects.toBe('enough');
    expect(await model.pass()).toEqual(await right);
    model.dispose();
    engine.releaseTables();
    expect(engine.memoryUsage().used).toBe(before);
    engine.dispose();
  });

  test.each([2, 3])('%i threads: the engine is disposed of', async (threads) => {
    const engine = await engineOf(threads);
    const model = await load(engine);
    const call = model.pass();
    await Promise.resolve();
    engine.dispose();
    await expect(call).rejects.toMatchObject({ code: 'disposed' });
  });
});
