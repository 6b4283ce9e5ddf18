/**
 * Several texts in one run, and logits of many tokens in one pass: the bits that each has alone and token by token, for every kind of decoder, type of
 * weights and number of threads.
 */
import { describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { RunnerDriver } from '../../src/models/driver.ts';
import type { Sequence } from '../../src/models/driver-types.ts';
import { blueprintOf } from '../../src/models/families/index.ts';
import { loadDecoder } from '../../src/models/index.ts';
import { Runner } from '../../src/models/runner.ts';
import { mostRows, runsOf } from '../../src/models/scoring.ts';
import { TextReader } from '../../src/models/text-reader.ts';
import { layerContext } from '../../src/nn/context.ts';
import { OWN_LAYERS } from '../../src/nn/own.ts';
import type { WeightType } from '../../src/nn/weights.ts';
import { checkpoint } from './checkpoints.ts';
import { all } from './loaded.ts';

const where = 'together';
const LONGEST = 320;
/** Tokens of a long text: of two chunks, unless the checkpoint has a table of no more positions. */
const longOf = ({ blueprint: { longest = Infinity } }: RunnerDriver): number => Math.min(150, longest);

/** What uses a model; its memory afterwards is as it was before. */
async function using<T>(name: string, weights: WeightType, threads: number, use: (driver: RunnerDriver) => Promise<T>): Promise<T> {
  const engine = await createEngine({ threads });
  const layers = await layerContext(where, engine, OWN_LAYERS);
  engine.releaseTables();
  const before = engine.memoryUsage().used;
  const opened = await openCheckpoint({ where }, 'model', checkpoint(name).folder);
  const tensors = await opened.weights();
  try {
    const index = new Map(tensors.names.map((each) => [each, tensors.info(each)]));
    const runner = await Runner.load(layers, blueprintOf(opened.config, index), tensors, {
      where,
      weights,
      longest: LONGEST,
      reader: TextReader,
    });
    const driver = new RunnerDriver(runner, layers, LONGEST);
    try {
      return await use(driver);
    } finally {
      driver.dispose();
      engine.releaseTables();
      expect(engine.memoryUsage().used).toBe(before);
    }
  } finally {
    await tensors.close();
    engine.dispose();
  }
}

const tokens = (count: number, vocabulary: number, salt: number): number[] =>
  Array.from({ length: count }, (_, n) => (n * n * 7 + n * (13 + salt) + 3 * salt + 5) % vocabulary);

const bitsOf = (row: Float32Array): number[] => [...new Int32Array(row.slice().buffer)];

/** A text: tokens that are appended step by step, several at a time. */
type Steps = readonly (readonly number[])[];

/** What the texts of a batch do in each step; an empty list: it has ended. Lengths differ, one joins late, two end, and there is a prompt of two chunks. */
const stepsOf = (driver: RunnerDriver): readonly Steps[] => {
  const { vocabulary } = driver.blueprint;
  const most = longOf(driver) - 4;
  const [a, b, c, d, e] = [1, 2, 3, 4, 5].map((salt) => tokens(180, vocabulary, salt)) as [
    number[],
    number[],
    number[],
    number[],
    number[],
  ];
  const one = (list: readonly number[], n: number): number[] => [list[n] as number];
  return [
    [a.slice(0, 3), one(a, 3), one(a, 4), one(a, 5), a.slice(6, 9), one(a, 9), one(a, 10)],
    [b.slice(0, most), one(b, most), one(b, most + 1), [], [], [], []],
    [c.slice(0, 1), one(c, 1), one(c, 2), one(c, 3), one(c, 4), one(c, 5), one(c, 6)],
    [d.slice(0, 60), one(d, 60), one(d, 61), one(d, 62), one(d, 63), [], []],
    [[], [], e.slice(0, 70), one(e, 70), one(e, 71), one(e, 72), one(e, 73)],
  ];
};

/** The bits of the scores after each step of each text. */
async function together(driver: RunnerDriver, texts: readonly Steps[], open: () => Promise<Sequence>): Promise<number[][][]> {
  const sequences = await Promise.all(texts.map(open));
  const found: number[][][] = texts.map(() => []);
  for (let step = 0; step < (texts[0] as Steps).length; step++) {
    const active = texts.flatMap((text, n) => ((text[step] as readonly number[]).length ? [n] : []));
    const scores = await driver.extend(
      active.map((n) => sequences[n] as Sequence),
      active.map((n) => texts[n]?.[step] as readonly number[]),
    );
    for (const [i, n] of active.entries()) found[n]?.push(bitsOf(scores[i]?.values as Float32Array));
  }
  for (const sequence of sequences) sequence.dispose();
  return found;
}

async function alone(driver: RunnerDriver, texts: readonly Steps[], open: () => Promise<Sequence>): Promise<number[][][]> {
  const found: number[][][] = [];
  for (const text of texts) found.push(...(await together(driver, [text], open)));
  return found;
}

const opening = (driver: RunnerDriver) => (): Promise<Sequence> =>
  driver.sequence({ capacity: 256, ...(driver.blueprint.kind === 'seq2seq' && { source: { ids: [5, 9, 12, 1] } }) });

test('a text that begins while others are written leaves their numbers alone', async () => {
  using decoder = await loadDecoder(checkpoint('transformer-xl-memory').folder, { threads: 1, context: 200 });
  const written = () => all(decoder.generate('how old are you', { maxTokens: 60 }));
  const alone = await written();
  const begun = Array.from({ length: 4 }, async (_, n) => {
    await new Promise((resolve) => setTimeout(resolve, 2 * n));
    return n % 2 ? written() : all(piecesOf(decoder.generateAll(['how old are you'], { maxTokens: 60 })));
  });
  expect(await Promise.all(begun)).toEqual([alone, alone, alone, alone]);
});

async function* piecesOf(pieces: AsyncIterable<{ readonly text: string }>): AsyncGenerator<string> {
  for await (const { text } of pieces) yield text;
}

describe('texts that go on together have the bits that each has alone', () => {
  const kinds = [
    'llama',
    'gemma3',
    'bloom',
    'gpt2',
    'falcon-7b',
    'mistral',
    'transformer-xl',
    'transformer-xl-memory',
    't5',
    'gptj',
  ] as const;
  test.each(kinds)('%s', async (name) => {
    await using(name, 'f32', 1, async (driver) => {
      const texts = stepsOf(driver);
      expect(await together(driver, texts, opening(driver))).toEqual(await alone(driver, texts, opening(driver)));
    });
  });

  test.each<WeightType>(['f32', 'f16', 'bf16', 'i8', 'i4'])('%s weights on 1, 2, 3 and 5 threads', async (weights) => {
    const all: number[][][][] = [];
    for (const threads of [1, 2, 3, 5]) {
      await using('llama', weights, threads, async (driver) => {
        const texts = stepsOf(driver);
        all.push(await together(driver, texts, opening(driver)));
        if (threads !== 3) all.push(await alone(driver, texts, opening(driver)));
      });
    }
    for (const one of all.slice(1)) expect(one).toEqual(all[0]);
  });

  test('with what they have in common, and after tokens were taken back', async () => {
    await using('llama', 'i8', 2, async (driver) => {
      const open = opening(driver);
      const { vocabulary } = driver.blueprint;
      const [prompt, one, other] = [tokens(37, vocabulary, 1), tokens(9, vocabulary, 2), tokens(9, vocabulary, 3)];
      const expected = await alone(
        driver,
        [one, other].map((more) => [prompt, ...more.map((id) => [id])]),
        open,
      );
      const first = await open();
      await driver.extend([first], [prompt]);
      const second = await first.fork();
      const found: number[][][] = [[], []];
      for (let n = 0; n < one.length; n++) {
        if (n === 5) {
          first.truncate(first.length - 3);
          second.truncate(second.length - 1);
          await driver.extend([second, first], [[other[4] as number], one.slice(2, 5)]);
        }
        const scores = await driver.extend([first, second], [[one[n] as number], [other[n] as number]]);
        for (const [i, score] of scores.entries()) found[i]?.push(bitsOf(score.values));
      }
      expect(found[0]).toEqual(expected[0]?.slice(1));
      expect(found[1]).toEqual(expected[1]?.slice(1));
    });
  });

  test('more of them than a run takes rows, and scores of all hold at once', async () => {
    await using('llama', 'i8', 1, async (driver) => {
      const { vocabulary } = driver.blueprint;
      const texts = Array.from({ length: 131 }, (_, n): Steps => [[n % vocabulary], [(3 * n + 1) % vocabulary]]);
      expect(await together(driver, texts, opening(driver))).toEqual(await alone(driver, texts, opening(driver)));
    });
  });
});

test('a step that is refused leaves all texts as they were', async () => {
  await using('llama', 'f32', 1, async (driver) => {
    const open = opening(driver);
    const small = await driver.sequence({ capacity: 4 });
    const [one, other] = [await open(), await open()];
    await driver.extend([one, small, other], [[1, 2], [3, 4, 5, 6], [7]]);
    await expect(driver.extend([one, small, other], [[3], [7], [8]])).rejects.toThrow('capacity');
    expect([one.length, small.length, other.length]).toEqual([2, 4, 1]);
    await expect(driver.extend([one, other], [[3], [-1]])).rejects.toThrow('tokens in 0 …');
    expect([one.length, other.length]).toEqual([2, 1]);
    const [scores] = await driver.extend([one, other], [[3], [8]]);
    const found = bitsOf(scores?.values as Float32Array);
    const [expected] = await together(driver, [[[1, 2, 3]]], open);
    expect(found).toEqual(expected?.[0]);
    for (const each of [one, small, other]) each.dispose();
  });
});

describe('logits of a text in one pass are those of token after token', () => {
  test.each(['llama', 'gemma2', 'bloom', 'gpt2', 'mistral', 'transformer-xl-memory'])('%s', async (name) => {
    for (const weights of ['f32', 'i8'] as const) {
      await using(name, weights, weights === 'i8' ? 3 : 1, async (driver) => {
        const ids = tokens(longOf(driver), driver.blueprint.vocabulary, 7);
        const [expected] = await together(driver, [ids.map((id) => [id])], opening(driver));
        const all = await driver.logits({ ids }, [...ids.keys()]);
        expect(all.map(bitsOf)).toEqual(expected);
        const places = [ids.length - 1, 3, 4, 126, 127, 0, 4];
        const some = await driver.logits({ ids }, places);
        expect(some.map(bitsOf)).toEqual(places.map((n) => expected?.[n]));
      });
    }
  });
});

test('rows whose logits are wanted go by runs, none longer than memory allows', () => {
  const runs = (wanted: number[], first: number, count: number, most: number) => [...runsOf(new Set(wanted), first, count, most)];
  expect(runs([0, 1, 2, 3, 4, 6, 7, 9], 0, 10, 3)).toEqual([
    [0, 3],
    [3, 2],
    [6, 2],
    [9, 1],
  ]);
  expect(runs([128, 130, 131, 5], 128, 4, 8)).toEqual([
    [0, 1],
    [2, 2],
  ]);
  expect(runs([1, 2], 3, 5, 8)).toEqual([]);
  expect([280, 49152, 262144, 2 ** 30].map(mostRows)).toEqual([14979, 85, 16, 4]);
});
