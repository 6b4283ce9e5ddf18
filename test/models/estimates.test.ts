/**
 * What is estimated from headers is what loading and running take at most: every model of the tests runs in a memory of just that many bytes, and
 * would not in one a tenth less.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { Arena, takenBytes } from '../../src/memory/arena.ts';
import { RunnerDriver } from '../../src/models/driver.ts';
import { settingOf } from '../../src/models/estimate.ts';
import { estimate } from '../../src/models/index.ts';
import { type OpenOptions, openModel } from '../../src/models/load.ts';
import { Runner } from '../../src/models/runner.ts';
import { readSentenceSettings } from '../../src/models/sentence-files.ts';
import { TextReader } from '../../src/models/text-reader.ts';
import { VisionRunner } from '../../src/models/vision-runner.ts';
import { layerContext } from '../../src/nn/context.ts';
import { OWN_LAYERS } from '../../src/nn/own.ts';
import { readSafetensors, type SafeTensor, writeSafetensors } from '../../src/safetensors/index.ts';
import { checkpoint, checkpointNames } from './checkpoints.ts';

const PAGE = 65536;
const text = (tokens: number): { ids: Int32Array } => ({ ids: new Int32Array(tokens).fill(1) });

afterEach(() => vi.restoreAllMocks());

type Files = Readonly<Record<string, Uint8Array>>;

/** A checkpoint with other settings, of whose tensors some sizes are others; the numbers of these are 0. */
function grown(name: string, settings: object, sizes: Readonly<Record<number, number>> = {}): Files {
  const { folder, config } = checkpoint(name);
  const { tensors } = readSafetensors(readFileSync(`${folder}model.safetensors`));
  const larger = [...tensors].map(([key, tensor]): [string, SafeTensor] => {
    const shape = tensor.shape.map((size) => sizes[size] ?? size);
    const data = new Uint8Array(2 * shape.reduce((a, b) => a * b, 1));
    return [key, shape.some((size, axis) => size !== tensor.shape[axis]) ? { dtype: 'F16', shape, data } : tensor];
  });
  const settled = new TextEncoder().encode(JSON.stringify({ ...config, ...settings }));
  return { 'config.json': settled, 'model.safetensors': writeSafetensors(new Map(larger)) };
}

/** Loads and runs a model in so many bytes; the end of what was taken at the highest address. */
async function ranIn(given: unknown, maxMemory: number, options: OpenOptions): Promise<number> {
  const { threads = 1, precision = 'reproducible' } = options;
  const engine = await createEngine({ threads, precision, maxMemory });
  const opened = await openModel('test', given, options, readSentenceSettings);
  try {
    const layers = await layerContext('test', engine, OWN_LAYERS);
    const { arena } = layers.context;
    let end = 0;
    const allocate = arena.allocate.bind(arena);
    vi.spyOn(Arena.prototype, 'allocate').mockImplementation(function (this: Arena, bytes) {
      expect(this).toBe(arena);
      const at = allocate(bytes);
      end = Math.max(end, at + takenBytes(bytes));
      return at;
    });
    const { blueprint, weights, packed, type } = opened;
    const source = packed ?? weights;
    if (blueprint.kind === 'images') {
      const runner = await VisionRunner.load(layers, blueprint, source, { where: 'test', weights: type });
      const pixels = new Float32Array(blueprint.channels * blueprint.image[0] * blueprint.image[1]);
      await (blueprint.classifier ? runner.classify(pixels) : runner.hidden(pixels));
      return end;
    }
    const { longest, reach } = settingOf(opened, options);
    const reading = { where: 'test', weights: type, ...(reach !== undefined && { longest: reach }), reader: TextReader };
    const driver = new RunnerDriver(await Runner.load(layers, blueprint, source, reading), layers, longest);
    if (blueprint.decoder) await write(driver);
    else await read(driver);
    return end;
  } finally {
    vi.restoreAllMocks();
    await opened.weights.close();
    engine.dispose();
  }
}

/** Texts of other lengths than those that are estimated, in another order, many in a call. */
async function read(driver: RunnerDriver): Promise<void> {
  const { longest, blueprint } = driver;
  const some = Math.min(17, longest);
  const lists = [
    [text(Math.min(3, longest))],
    Array.from({ length: 40 }, () => text(some)),
    [text(longest)],
    Array.from({ length: 600 }, () => text(1)),
  ];
  for (const texts of [...lists, [text(longest - 1)]]) {
    await driver.vectors(texts, { pooling: 'cls', normalize: false });
    await driver.vectors(texts, { pooling: 'mean', normalize: true });
    if (blueprint.classifier) await driver.labels(texts);
    if (blueprint.logits) await driver.logits({ ids: [1, 1] }, [1]);
  }
}

async function write(driver: RunnerDriver): Promise<void> {
  const { longest, blueprint } = driver;
  const sequence = await driver.sequence(blueprint.encoder ? { source: text(longest) } : {});
  for (const tokens of [5, 1, longest - 12, 1, 1, 1, 1]) {
    const [scores] = await driver.extend([sequence], [new Int32Array(tokens).fill(1)]);
    scores?.largest(3);
    scores?.softmax(0.7);
  }
}

/** The estimate is enough, and a tenth less is not. */
async function expectClose(given: unknown, options: OpenOptions, most = 1.1): Promise<void> {
  const { total, weights, cache, rows } = await estimate(given as never, options);
  expect(total).toBe(weights + cache + rows);
  expect(total % PAGE).toBe(0);
  const end = await ranIn(given, total, options);
  expect(end).toBeLessThanOrEqual(total);
  // A memory has whole pages.
  expect(total - PAGE).toBeLessThan(end * most);
}

const WEIGHTS = ['f32', 'i8', 'f16', 'i4', 'bf16'] as const;
const CONTEXTS = [200, 40, 700] as const;

describe('an estimate is enough, and no tenth too much', () => {
  test.each(checkpointNames.map((name, n) => [name, n] as const))('for %s', async (name, n) => {
    const { folder } = checkpoint(name);
    const options = { weights: WEIGHTS[n % 5] as 'f32', context: CONTEXTS[n % 3] as number, threads: n % 2 ? 3 : 1 };
    await expectClose(folder, options);
  });

  test.each([16, 128, 512, 2000])('for a decoder that has room for %i tokens', async (context) => {
    await expectClose(new URL('../../examples/models/story-llama/', import.meta.url), { context, threads: 1, weights: 'i8' }, 1.05);
  });

  test('for what writes a text of many tokens, whose beginning is not run', async () => {
    await expectClose(grown('llama', { max_position_embeddings: 5000 }), { context: 5000, threads: 1 });
  });

  test.each(WEIGHTS)('for larger shapes in %s', async (weights) => {
    const settings = { hidden_size: 256, intermediate_size: 1000, num_attention_heads: 8, vocab_size: 3000, max_position_embeddings: 512 };
    const bert = grown('bert', settings, { 36: 256, 76: 1000, 220: 3000, 80: 512, 12: 32 });
    for (const context of [64, 512]) await expectClose(bert, { weights, context, threads: 1 }, 1.05);
    const llama = grown('llama', { hidden_size: 160, intermediate_size: 600, vocab_size: 4000 }, { 40: 160, 20: 80, 68: 600, 290: 4000 });
    for (const context of [64, 256]) await expectClose(llama, { weights, context, threads: 1 }, 1.05);
    await expectClose(grown('swin', { image_size: 112 }), { weights, threads: 1 }, 1.05);
  });

  test.each(['int16', 'relaxed'] as const)('on an engine of precision %s', async (precision) => {
    await expectClose(checkpoint('bert').folder, { precision, threads: 1 });
    await expectClose(checkpoint('llama').folder, { precision, threads: 1, context: 150 });
  });

  test('that what is larger than any memory has, too', async () => {
    const { total, weights, rows } = await estimate(grown('swin', { image_size: 2 ** 16 }));
    expect(total).toBe(weights + rows);
    expect(total).toBeGreaterThan(2 ** 32);
    const long = await estimate(grown('llama', { max_position_embeddings: 2 ** 31 - 1 }), { context: 2 ** 31 - 1 });
    expect(long.total).toBeGreaterThan(long.cache);
    expect(long.cache).toBeGreaterThan(2 ** 32);
  });
});
