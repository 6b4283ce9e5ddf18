/**
 * What is estimated is enough whatever texts come, in whatever order and together with whatever others: a run finds as much room as if it were the
 * first, and gives the numbers that it gives in a memory without limit.
 */
import { describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { RunnerDriver } from '../../src/models/driver.ts';
import { settingOf } from '../../src/models/estimate.ts';
import { estimate } from '../../src/models/index.ts';
import { type OpenOptions, openModel } from '../../src/models/load.ts';
import { Runner } from '../../src/models/runner.ts';
import { readSentenceSettings } from '../../src/models/sentence-files.ts';
import { TextReader } from '../../src/models/text-reader.ts';
import { layerContext } from '../../src/nn/context.ts';
import { OWN_LAYERS } from '../../src/nn/own.ts';
import { checkpoint } from './checkpoints.ts';

/** What is done with a model, one after the other; the numbers that come of it. */
type History = (driver: RunnerDriver) => Promise<Float32Array[]>;

async function numbersIn(name: string, options: OpenOptions, maxMemory: number | undefined, history: History): Promise<Float32Array[]> {
  const engine = await createEngine({ threads: options.threads ?? 1, ...(maxMemory && { maxMemory }) });
  const opened = await openModel('test', checkpoint(name).folder, options, readSentenceSettings);
  try {
    if (opened.blueprint.kind === 'images') throw new Error('expected a model of texts');
    const layers = await layerContext('test', engine, OWN_LAYERS);
    const { longest, reach } = settingOf(opened, options);
    const reading = { where: 'test', weights: opened.type, ...(reach !== undefined && { longest: reach }), reader: TextReader };
    const runner = await Runner.load(layers, opened.blueprint, opened.packed ?? opened.weights, reading);
    const driver = new RunnerDriver(runner, layers, longest);
    const numbers = await history(driver);
    driver.dispose();
    engine.releaseTables();
    expect(engine.memoryUsage().used).toBe(0);
    return numbers;
  } finally {
    await opened.weights.close();
    engine.dispose();
  }
}

/** The same numbers in as many bytes as are estimated as in all that there are. */
async function expectEnough(name: string, options: OpenOptions, history: History): Promise<void> {
  const { total } = await estimate(checkpoint(name).folder, options as never);
  const tight = await numbersIn(name, options, total, history);
  const roomy = await numbersIn(name, options, undefined, history);
  expect(tight).toEqual(roomy);
  expect(tight.length).toBeGreaterThan(0);
}

/** Numbers 0 … n − 1, always the same. */
function drawing(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

const idsOf = (length: number, salt = 0): Int32Array => Int32Array.from({ length }, (_, n) => (n * 7 + salt * 3 + 1) % 30);
const textsOf = (lengths: readonly number[]) => lengths.map((length, n) => ({ ids: idsOf(length, n) }));
const many = (count: number, tokens: number): number[] => Array(count).fill(tokens);

/** Lists of lengths of texts, by the most tokens of one. */
const ORDERS: Readonly<Record<string, (longest: number) => readonly (readonly number[])[]>> = {
  'the longest first': (longest) => [[longest], many(512, 1), [longest - 1]],
  'a list first': (longest) => [many(512, 1), [longest], many(600, 1)],
  alternating: (longest) => [[3], many(40, 17), [longest], many(512, 1), [longest], many(200, 2), many(512, 1), [longest >> 1]],
  'sizes of all kinds in a list': (longest) => [
    Array.from({ length: 31 }, (_, n) => n + 1),
    [Math.min(longest, 200), ...many(312, 1)],
    [longest],
    [0, 5, 0],
    [Math.min(longest, 385), ...many(127, 1)],
  ],
};

const read =
  (lists: readonly (readonly number[])[]): History =>
  async (driver) => {
    const found: Float32Array[] = [];
    for (const lengths of lists) {
      const texts = textsOf(lengths);
      found.push(...(await driver.vectors(texts, { pooling: 'mean', normalize: true })));
      if (driver.blueprint.classifier) found.push(...(await driver.labels(texts)));
    }
    return found;
  };

describe('an estimate is enough for texts that are read', () => {
  const cases = [
    ['xlnet', 'f32', 700],
    ['xlnet', 'i8', 40],
    ['xlnet-classify', 'bf16', 512],
    ['deberta-v3', 'f16', 700],
    ['deberta-v3-classify', 'i4', 200],
    ['deberta-v2-conv', 'i8', 700],
    ['roberta-classify', 'i8', 40],
    ['modernbert-classify', 'f16', 700],
    ['jina-v2', 'bf16', 512],
    ['embeddinggemma', 'i4', 200],
  ] as const;
  test.each(cases)('%s, %s, %i tokens', async (name, weights, context) => {
    for (const [n, lists] of Object.values(ORDERS).entries()) {
      const options = { weights, context, threads: n % 2 ? 3 : 1 };
      const { longest } = settingOf(await opened(name, options), options);
      await expectEnough(name, options, read(lists(longest)));
    }
  });

  test('and if more places of a text are asked for than have room at a time', async () => {
    const places = [...Array(512).keys()];
    await expectEnough('bert-mask', { weights: 'i8', context: 512, threads: 1 }, async (driver) => [
      ...(await driver.vectors(textsOf(many(512, 1)), { pooling: 'cls', normalize: false })),
      ...(await driver.logits({ ids: idsOf(driver.longest) }, places.slice(0, driver.longest))),
    ]);
  });
});

async function opened(name: string, options: OpenOptions) {
  const found = await openModel('test', checkpoint(name).folder, options, readSentenceSettings);
  await found.weights.close();
  return found;
}

/** Texts that grow by few tokens and many, are cut, and end; each of another length. */
const write =
  (seed: number): History =>
  async (driver) => {
    const draw = drawing(seed);
    const found: Float32Array[] = [];
    const { longest, blueprint } = driver;
    for (let n = 0; n < 3; n++) {
      const source = blueprint.encoder && { ids: idsOf(1 + draw(longest)) };
      const sequence = await driver.sequence({ ...(source && { source }), ...(n && { capacity: longest }) });
      for (let step = 0; step < 25 && sequence.length < longest; step++) {
        const left = longest - sequence.length;
        const tokens = [left, 1, 1, 1 + draw(Math.min(left, 30)), 1 + draw(left)][draw(5)] as number;
        const [scores] = await driver.extend([sequence], [idsOf(tokens, step)]);
        if (!scores) throw new Error('expected scores');
        scores.largest(1 + draw(blueprint.vocabulary));
        scores.softmax(0.7);
        found.push(scores.values.slice());
        if (draw(6) === 0) sequence.truncate(draw(sequence.length));
      }
      sequence.dispose();
      if (blueprint.encoder) continue;
      const text = { ids: idsOf(1 + draw(longest)) };
      found.push(...(await driver.logits(text, [...text.ids.keys()])), ...(await driver.hidden([text])));
    }
    return found;
  };

describe('an estimate is enough for texts that are written', () => {
  const cases = [
    ['llama', 'f32', 200],
    ['qwen2-window', 'f16', 512],
    ['bloom', 'i8', 200],
    ['smollm3', 'i8', 200],
    ['gemma3', 'i4', 200],
    ['transformer-xl', 'bf16', 200],
    ['transformer-xl-memory', 'f32', 200],
    ['flan-t5', 'i8', 40],
    ['t5', 'f32', 200],
    ['longt5-local', 'i4', 200],
  ] as const;
  test.each(cases)('%s, %s, %i tokens', async (name, weights, context) => {
    for (const threads of [1, 3]) await expectEnough(name, { weights, context, threads }, write(7 * threads + context));
  });
});
