/** Swin and Swin v2, from pixels to labels, against what the original models compute. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { visionOf } from '../../src/models/families/swin.ts';
import { cornerOrder, windowOrder } from '../../src/models/vision.ts';
import { VisionRunner } from '../../src/models/vision-runner.ts';
import { type LayerContext, layerContext } from '../../src/nn/context.ts';
import { OWN_LAYERS } from '../../src/nn/own.ts';
import type { WeightType } from '../../src/nn/weights.ts';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { checkpoint, type ReferenceCase, type ReferenceTensor } from './checkpoints.ts';

const where = 'vision';
const engine = await createEngine({ threads: 1 });
const layers = await layerContext(where, engine, OWN_LAYERS);
afterAll(() => engine.dispose());

async function load(name: string, weights: WeightType = 'f32', on: LayerContext = layers): Promise<VisionRunner> {
  const opened = await openCheckpoint({ where }, 'model', checkpoint(name).folder);
  const tensors = await opened.weights();
  try {
    const index = new Map(tensors.names.map((each) => [each, tensors.info(each)]));
    return await VisionRunner.load(on, visionOf(opened.config, index), tensors, { where, weights });
  } finally {
    await tensors.close();
  }
}

function distance(a: Float32Array, { data }: ReferenceTensor): number {
  expect(a.length).toBe(data.length);
  return a.reduce((worst, x, n) => Math.max(worst, Math.abs(x - (data[n] as number))), 0);
}

describe.each(['swin', 'swin-padded', 'swin-positions', 'swinv2', 'swinv2-fine', 'swinv2-uneven', 'swinv2-positions'])('%s', (name) => {
  const [one] = checkpoint(name).cases as [ReferenceCase];
  const pixels = (one.tensors.pixels as ReferenceTensor).data;
  const within = 2 * Math.max(...Object.values(one.errors));

  test('computes what the original does', async () => {
    engine.releaseTables();
    const before = engine.memoryUsage().used;
    const runner = await load(name);
    expect(distance(await runner.hidden(pixels), one.tensors.hidden as ReferenceTensor)).toBeLessThanOrEqual(within);
    const logits = await runner.classify(pixels);
    expect(distance(logits, one.tensors.logits as ReferenceTensor)).toBeLessThanOrEqual(within);
    // Again, and two at once.
    const again = await Promise.all([runner.classify(pixels), runner.classify(pixels.map((x) => -x)), runner.classify(pixels)]);
    expect([again[0], again[2]]).toEqual([logits, logits]);
    expect(again[1]).not.toEqual(logits);
    runner.dispose();
    engine.releaseTables();
    expect(engine.memoryUsage().used).toBe(before);
  });

  test('the same bits on any number of threads, in weights of every type', async () => {
    const many = await createEngine({ threads: 3 });
    const on = await layerContext(where, many, OWN_LAYERS);
    for (const weights of ['f32', 'f16', 'i8'] as const) {
      const [a, b] = [await load(name, weights), await load(name, weights, on)];
      expect(await b.hidden(pixels), weights).toEqual(await a.hidden(pixels));
      a.dispose();
      b.dispose();
    }
    many.dispose();
  });
});

test('wrong images and configs are refused', async () => {
  const runner = await load('swin');
  expect(() => runner.hidden(new Float32Array(5))).toThrow(/"pixels" expected \[3, 32, 32\] numbers, got 5/);
  expect(() => runner.hidden([1] as unknown as Float32Array)).toThrow(TypeError);
  const controller = new AbortController();
  controller.abort(new Error('enough'));
  await expect(runner.hidden(new Float32Array(3 * 32 * 32), controller.signal)).rejects.toThrow('enough');
  expect((await runner.hidden(new Float32Array(3 * 32 * 32))).every(Number.isFinite)).toBe(true);
  runner.dispose();
  const { config, folder } = checkpoint('swin');
  const { tensors } = readSafetensors(readFileSync(`${folder}model.safetensors`));
  const made = (more: object) => () => visionOf({ ...config, ...more }, tensors);
  expect(made({ model_type: 'vit' })).toThrow(/"model_type" expected "swin" or "swinv2", got "vit"/);
  expect(made({ patch_size: 5 })).toThrow(/"image_size" expected multiples of the patch of 5/);
  expect(made({ num_heads: [5, 2, 4] })).toThrow(/"num_heads\[0\]" expected a divisor of 12, got 5/);
  // Of 1 row before and 1 behind a merging v2's original counts 0 behind it.
  const { config: second, folder: at } = checkpoint('swinv2-uneven');
  const { tensors: its } = readSafetensors(readFileSync(`${at}model.safetensors`));
  expect(() => visionOf({ ...second, image_size: [2, 14] }, its)).toThrow(
    /"image_size" expected rows for a window of stage 1, got 1 patches in a column/,
  );
  expect(made({ depths: [2, 3, 2] })).toThrow(/no tensor "swin\.encoder\.layers\.1\.blocks\.2\./);
});

test('absolute positions have a row for each patch, in Swin v2 too', () => {
  const { config, folder } = checkpoint('swinv2-positions');
  const { tensors } = readSafetensors(readFileSync(`${folder}model.safetensors`));
  const name = 'swinv2.embeddings.position_embeddings';
  const stored = tensors.get(name);
  if (!stored) throw new Error(`no ${name}`);
  expect(visionOf(config, tensors).positions?.shape).toEqual([35, 12]);
  expect(visionOf({ ...config, use_absolute_embeddings: false }, tensors).positions).toBeUndefined();
  // As transformers makes them, which adds none of them to the patches: it throws.
  const more = new Map(tensors).set(name, { ...stored, shape: [1, 36, 12] });
  expect(() => visionOf(config, more)).toThrow(/"swinv2\.embeddings\.position_embeddings" expected .*\[1, 35, 12\], got \[1, 36, 12\]/);
  const none = new Map(tensors);
  none.delete(name);
  expect(() => visionOf(config, none)).toThrow(`"${name}"`);
});

test('the places of windows', () => {
  expect([...windowOrder([2, 3], { window: 2, shift: 0 })]).toEqual([0, 1, 3, 4, 2, -1, 5, -1]);
  expect([...windowOrder([2, 2], { window: 2, shift: 1 })]).toEqual([3, 2, 1, 0]);
  expect([...cornerOrder([3, 3], 1, 0)]).toEqual([3, 5, -1, -1]);
});
