/**
 * The runner against what the original models compute: hidden states, heads and greedy tokens of every checkpoint; prompts of several chunks, texts
 * together and alone, weights of every type, any number of threads; memory as it was.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { blueprintOf } from '../../src/models/families/index.ts';
import { Runner } from '../../src/models/runner.ts';
import { TextReader } from '../../src/models/text-reader.ts';
import { type LayerContext, layerContext } from '../../src/nn/context.ts';
import { OWN_LAYERS } from '../../src/nn/own.ts';
import type { WeightType } from '../../src/nn/weights.ts';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { checkpoint, checkpointNames, type ReferenceCase, type ReferenceTensor } from './checkpoints.ts';
import { Reference, type Row } from './reference.ts';

const where = 'runner';
const engine = await createEngine({ threads: 1 });
const layers = await layerContext(where, engine, OWN_LAYERS);
afterAll(() => engine.dispose());

async function load(name: string, weights: WeightType = 'f32', on: LayerContext = layers): Promise<Runner> {
  const opened = await openCheckpoint({ where }, 'model', checkpoint(name).folder);
  const tensors = await opened.weights();
  try {
    const index = new Map(tensors.names.map((each) => [each, tensors.info(each)]));
    return await Runner.load(on, blueprintOf(opened.config, index), tensors, { where, weights, reader: TextReader });
  } finally {
    await tensors.close();
  }
}

const readerOf = ({ reader }: Runner): TextReader => reader as TextReader;

/** No blueprint: test/models/families.test.ts. */
const REFUSED = ['swin'];
const names = checkpointNames.filter((name) => !REFUSED.some((start) => name.startsWith(start)));

function referenceOf(name: string, round?: (x: number) => number): Reference {
  const { config, folder } = checkpoint(name);
  const { tensors } = readSafetensors(readFileSync(`${folder}model.safetensors`));
  return new Reference(blueprintOf(config, tensors), tensors, { longest: 256, ...(round && { round }) });
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let worst = 0;
  for (let n = 0; n < a.length; n++) worst = Math.max(worst, Math.abs((a[n] as number) - (b[n] as number)));
  return worst;
}

/** How far the original's f32 run of this case is from its f64 run: the largest of all tensors, since of one it may be luck. */
const originalError = ({ errors }: ReferenceCase): number => Math.max(...Object.values(errors));

/** The largest error of a naive f32 evaluation over all rows of all cases: hidden states, and logits at every token. */
function naiveError(name: string): number {
  const [truth, naive] = [referenceOf(name), referenceOf(name, Math.fround)];
  const rowsOf = (reference: Reference, { ids, types }: ReferenceCase): Row[] => {
    const { kind } = reference.blueprint;
    return kind === 'encoder' ? reference.encode(ids as number[], types && { segments: types }) : reference.decode(ids as number[]);
  };
  const worst = checkpoint(name).cases.map((one) => {
    const [exact, rounded] = [rowsOf(truth, one), rowsOf(naive, one)];
    const heads = truth.blueprint.kind === 'decoder';
    return exact.map((row, n) => {
      const other = rounded[n] as Row;
      return Math.max(distance(row, other), heads ? distance(truth.logits(row), naive.logits(other)) : 0);
    });
  });
  return Math.max(...worst.flat());
}

const argmax = (row: ArrayLike<number>): number => Array.from(row).reduce((best, x, n, all) => (x > (all[best] as number) ? n : best), 0);

/** Greedy tokens, one row at a time after the first call. */
async function greedy(runner: Runner, one: ReferenceCase): Promise<{ said: number[]; first: Float32Array; last: Float32Array }> {
  const both = runner.blueprint.kind === 'seq2seq';
  const ids = one.ids as readonly number[];
  const session = await runner.session({ capacity: 256, ...(both && { source: { ids } }) });
  await session.append(both ? [one.start as number] : ids);
  const first = session.logits.toArray();
  const said = [argmax(first)];
  while (said.length < (one.tokens as readonly number[]).length) {
    session.appendSync([said.at(-1) as number]);
    said.push(argmax(session.logits.toArray()));
  }
  const last = session.logits.toArray();
  session.dispose();
  return { said, first, last };
}

/** The errors of one case by tensor; its greedy tokens are the original's. */
async function errorsOf(runner: Runner, one: ReferenceCase): Promise<Record<string, number>> {
  const of = (name: string): Float32Array => (one.tensors[name] as ReferenceTensor).data;
  const text = { ids: one.ids as readonly number[], segments: one.types };
  if (runner.blueprint.kind !== 'encoder') {
    const { said, first, last } = await greedy(runner, one);
    expect(said).toEqual(one.tokens);
    return { logits: distance(runner.blueprint.kind === 'seq2seq' ? last : first, of('logits')) };
  }
  const [hidden] = (await readerOf(runner).encode([text])) as [Float32Array];
  const errors: Record<string, number> = { hidden: distance(hidden, of('hidden')) };
  if (one.tensors.pooled) errors.pooled = distance(((await readerOf(runner).pooled([text])) as [Float32Array])[0], of('pooled'));
  if (one.masks)
    errors.logits = distance(
      (await readerOf(runner).maskLogits(text, one.masks)).flatMap((row) => [...row]),
      of('logits'),
    );
  else if (one.tensors.logits) errors.logits = distance(((await readerOf(runner).classify([text])) as [Float32Array])[0], of('logits'));
  return errors;
}

test.each(names)('%s computes what the original does', async (name) => {
  engine.releaseTables();
  const before = engine.memoryUsage().used;
  const runner = await load(name);
  let naive: number | undefined;
  for (const one of checkpoint(name).cases) {
    for (const [tensor, error] of Object.entries(await errorsOf(runner, one))) {
      if (error <= 2 * originalError(one)) continue;
      naive ??= naiveError(name);
      expect(error, tensor).toBeLessThanOrEqual(2 * naive);
    }
  }
  runner.dispose();
  engine.releaseTables();
  expect(engine.memoryUsage().used).toBe(before);
});

/** Tokens without end. */
const tokens = (count: number, vocabulary: number): number[] =>
  Array.from({ length: count }, (_, n) => (n * n * 7 + 13 * n + 5) % vocabulary);

describe('a prompt of several chunks', () => {
  test.each(['llama', 'gemma3', 'bloom', 'gpt2', 'mistral'])('%s', async (name) => {
    const runner = await load(name);
    const ids = tokens(201, runner.blueprint.vocabulary).slice(0, Math.min(201, runner.blueprint.longest ?? 201));
    const exact = referenceOf(name).decode(ids);
    const naive = referenceOf(name, Math.fround).decode(ids);
    // Of one row a naive evaluation may be right by luck.
    const bound = 2 * Math.max(...exact.map((row, n) => distance(row, naive[n] as Row)));
    const session = await runner.session({ capacity: 256 });
    await session.append(ids);
    expect(session.length).toBe(ids.length);
    const [all] = (await runner.decoded([{ ids }])) as [Float32Array];
    const { width } = runner.blueprint;
    for (const [n, row] of exact.entries()) {
      expect(distance(all.slice(n * width, (n + 1) * width), row), `token ${n}`).toBeLessThanOrEqual(bound);
    }
    expect(all.slice(-width)).toEqual(session.hidden.toArray());
    // Taken back and appended again in other chunks, some of one row: the same bits.
    const logits = session.logits.toArray();
    const kept = Math.floor(ids.length * 0.75);
    session.truncate(kept);
    expect(() => session.logits).toThrow('some that were appended');
    await session.append(ids.slice(kept, -11));
    for (const id of ids.slice(-11)) session.appendSync([id]);
    expect(session.logits.toArray()).toEqual(logits);
    session.dispose();
    runner.dispose();
  });
});

test('a session that is disposed of in a run gives its memory back when the run has ended', async () => {
  const runner = await load('llama');
  const { vocabulary } = runner.blueprint;
  const first = await runner.session({ capacity: 256 });
  // What every run uses is made by the first.
  await first.append(tokens(130, vocabulary));
  await first.append([1]);
  first.dispose();
  engine.releaseTables();
  const before = engine.memoryUsage().used;
  const session = await runner.session({ capacity: 256 });
  await session.append(tokens(130, vocabulary));
  await session.append([1]);
  // A step runs in memory that the session holds.
  const running = session.append([2]);
  const { used } = engine.memoryUsage();
  session.dispose();
  expect(engine.memoryUsage().used).toBe(used);
  await expect(running).rejects.toMatchObject({ code: 'disposed' });
  engine.releaseTables();
  expect(engine.memoryUsage().used).toBe(before);
  expect(() => session.appendSync([1])).toThrow('disposed');
  runner.dispose();
});

test('a fork goes on by itself, and what it shares stays', async () => {
  for (const name of ['llama', 't5']) {
    engine.releaseTables();
    const before = engine.memoryUsage().used;
    const runner = await load(name);
    const [one] = checkpoint(name).cases as [ReferenceCase];
    const both = runner.blueprint.kind === 'seq2seq';
    const ids = one.ids as readonly number[];
    const start = both ? [one.start as number] : ids;
    const trunk = await runner.session({ capacity: 256, ...(both && { source: { ids } }) });
    await trunk.append(start);
    const branch = trunk.fork();
    const [first, second, third] = one.tokens as [number, number, number];
    branch.appendSync([third]);
    const other = branch.logits.toArray();
    trunk.appendSync([first]);
    expect(argmax(trunk.logits.toArray())).toBe(second);
    trunk.dispose();
    // The branch as a text of its own.
    const alone = await runner.session({ capacity: 256, ...(both && { source: { ids } }) });
    await alone.append(start);
    alone.appendSync([third]);
    expect(alone.logits.toArray()).toEqual(other);
    expect(branch.length).toBe(start.length + 1);
    for (const session of [branch, alone]) session.dispose();
    runner.dispose();
    engine.releaseTables();
    expect(engine.memoryUsage().used, name).toBe(before);
  }
});

test('a run that is aborted, or has no room, leaves the text as it was', async () => {
  const runner = await load('llama');
  const ids = tokens(100, runner.blueprint.vocabulary);
  const session = await runner.session({ capacity: 110 });
  expect(() => session.logits).toThrow(/"tokens" expected some that were appended/);
  await session.append(ids.slice(0, 60));
  const controller = new AbortController();
  const stopped = session.append(ids.slice(60), controller.signal);
  controller.abort(new Error('enough'));
  await expect(stopped).rejects.toThrow('enough');
  expect(session.length).toBe(60);
  expect(() => session.hidden).toThrow(TypeError);
  await expect(session.append(tokens(51, 50))).rejects.toThrow(/capacity/);
  expect(() => session.appendSync(tokens(51, 50))).toThrow(/capacity/);
  await session.append(ids.slice(60));
  for (const id of ids.slice(0, 10)) session.appendSync([id]);
  expect(() => session.appendSync([1])).toThrow(/capacity/);
  expect(session.length).toBe(110);
  const fresh = await runner.session({ capacity: 200 });
  await fresh.append(ids.slice(0, 60));
  await fresh.append(ids.slice(60));
  for (const id of ids.slice(0, 10)) fresh.appendSync([id]);
  session.truncate(109);
  session.appendSync([ids[9] as number]);
  expect(session.logits.toArray()).toEqual(fresh.logits.toArray());
  const texts = runner.decoded([{ ids }], controller.signal);
  await expect(texts).rejects.toThrow('enough');
  for (const one of [session, fresh]) one.dispose();
  runner.dispose();
});

describe('texts', () => {
  test.each(['bert', 'mpnet', 'modernbert-mask', 'xlnet', 'deberta-v3', 'deberta-v2-conv'])(
    '%s: together as alone, bit for bit',
    async (name) => {
      const runner = await load(name);
      const texts = [7, 1, 30, 12, 7].map((count, n) => ({ ids: tokens(count + n, runner.blueprint.vocabulary) }));
      const together = await readerOf(runner).encode(texts);
      for (const [n, text] of texts.entries()) expect(await readerOf(runner).encode([text])).toEqual([together[n]]);
      expect(await readerOf(runner).encode([])).toEqual([]);
      const [mean] = (await readerOf(runner).vectors(texts.slice(2, 3), { pooling: 'mean' })) as [Float32Array];
      const rows = together[2] as Float32Array;
      const count = rows.length / mean.length;
      mean.forEach((x, d) => {
        let sum = 0;
        for (let t = 0; t < count; t++) sum += rows[t * mean.length + d] as number;
        expect(x).toBeCloseTo(sum / count, 5);
      });
      const units = await readerOf(runner).vectors(texts, { pooling: 'cls', normalize: true });
      for (const unit of units) expect(Math.hypot(...unit)).toBeCloseTo(1, 6);
      runner.dispose();
    },
  );

  test('tokens that are none and texts too long are refused before anything runs', async () => {
    const runner = await load('bert');
    const longest = runner.blueprint.longest as number;
    await expect(readerOf(runner).encode([{ ids: [5] }, { ids: [runner.blueprint.vocabulary] }])).rejects.toThrow(
      /"texts\[1\]" expected tokens in 0 … /,
    );
    await expect(readerOf(runner).encode([{ ids: [-1] }])).rejects.toThrow(RangeError);
    await expect(readerOf(runner).encode([{ ids: tokens(longest + 1, 50) }])).rejects.toThrow(`at most ${longest} tokens`);
    await expect(readerOf(runner).encode([{ ids: [1, 2], segments: [0] }])).rejects.toThrow(/segments/);
    await expect(runner.session({ capacity: 8 })).rejects.toThrow(/a decoder/);
    expect((await readerOf(runner).encode([{ ids: tokens(longest, 50) }]))[0]?.length).toBe(longest * runner.blueprint.width);
    runner.dispose();
  });
});

describe('keys of blocks', () => {
  test('of texts of every length: none, a block to the token, tokens left over', async () => {
    engine.releaseTables();
    const before = engine.memoryUsage().used;
    const runner = await load('longt5-global');
    const { encoder, vocabulary } = runner.blueprint;
    expect(encoder?.layers.map(({ attention }) => attention.blocks?.size)).toEqual([4, 4]);
    const texts = Array.from({ length: 26 }, (_, n) => ({ ids: tokens(n + 1, vocabulary) }));
    const together = await readerOf(runner).encode(texts);
    const [truth, naive] = [referenceOf('longt5-global'), referenceOf('longt5-global', Math.fround)];
    const flat = (rows: readonly Row[]): number[] => rows.flatMap((row) => [...row]);
    const exact = texts.map(({ ids }) => flat(truth.encode(ids)));
    const within = Math.max(...texts.map(({ ids }, n) => distance(flat(naive.encode(ids)), exact[n] as number[])));
    for (const [n, rows] of together.entries()) expect(distance(rows, exact[n] as number[]), `${n + 1}`).toBeLessThanOrEqual(2 * within);
    // One after another, whatever ran before.
    for (const n of [12, 2, 25]) expect(await readerOf(runner).encode(texts.slice(n, n + 1))).toEqual([together[n]]);
    const many = await createEngine({ threads: 3 });
    const other = await load('longt5-global', 'f32', await layerContext(where, many, OWN_LAYERS));
    expect(await readerOf(other).encode(texts)).toEqual(together);
    many.dispose();
    runner.dispose();
    engine.releaseTables();
    expect(engine.memoryUsage().used).toBe(before);
  });
});

describe.each(['story-llama', 'fix-t5'])('%s', (name) => {
  const folder = fileURLToPath(new URL(`../../examples/models/${name}/`, import.meta.url));
  const { cases } = JSON.parse(readFileSync(`${folder}reference.json`, 'utf8')) as {
    cases: { ids: number[]; tokens: number[]; top: [number, number][] }[];
  };

  test.each(['f32', 'f16'] as const)('in %s it goes on as transformers does', async (weights) => {
    const opened = await openCheckpoint({ where }, 'model', folder);
    const tensors = await opened.weights();
    const index = new Map(tensors.names.map((each) => [each, tensors.info(each)]));
    const runner = await Runner.load(layers, blueprintOf(opened.config, index), tensors, { where, weights, reader: TextReader });
    await tensors.close();
    for (const { ids, tokens, top } of cases) {
      const both = runner.blueprint.kind === 'seq2seq';
      const session = await runner.session({ capacity: 128, ...(both && { source: { ids } }) });
      const expected = both ? tokens.slice(1) : tokens;
      await session.append(both ? tokens.slice(0, 1) : ids);
      const first = session.logits.toArray();
      // The weights are f16 in the file, which is exact; the reference has five decimals.
      for (const [id, logit] of top) expect(Math.abs((first[id] as number) - logit), `logit ${id}`).toBeLessThan(4e-5);
      const said: number[] = [];
      while (said.length < expected.length) {
        said.push(argmax(session.logits.toArray()));
        session.appendSync(said.slice(-1));
      }
      expect(said).toEqual(expected);
      session.dispose();
    }
    runner.dispose();
  });
});

describe('weights of every type', () => {
  /** Least cosine of hidden states to those of f32; tiny models are hard on few bits. */
  const COSINE = { f16: 0.99999, bf16: 0.999, i8: 0.995, i4: 0.9 } as const;

  test.each(['bert', 'llama', 'gpt2', 'deberta-v2-conv', 'mpt-clip'])(
    '%s: near f32, the same bits on any number of threads',
    async (name) => {
      const many = await createEngine({ threads: 3 });
      const manyLayers = await layerContext(where, many, OWN_LAYERS);
      const hidden = async (weights: WeightType, on: LayerContext): Promise<Float32Array> => {
        const runner = await load(name, weights, on);
        const ids = tokens(60, runner.blueprint.vocabulary);
        try {
          if (runner.blueprint.kind === 'encoder') return (await readerOf(runner).encode([{ ids }]))[0] as Float32Array;
          const session = await runner.session({ capacity: 64 });
          await session.append(ids.slice(0, 50));
          for (const id of ids.slice(50)) session.appendSync([id]);
          const out = session.hidden.toArray();
          session.dispose();
          return out;
        } finally {
          runner.dispose();
        }
      };
      const exact = await hidden('f32', layers);
      const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, n) => sum + x * (b[n] as number), 0);
      for (const [weights, least] of Object.entries(COSINE) as [WeightType, number][]) {
        const own = await hidden(weights, layers);
        expect(dot(own, exact) / Math.sqrt(dot(own, own) * dot(exact, exact)), weights).toBeGreaterThan(least);
        expect(await hidden(weights, manyLayers), weights).toEqual(own);
      }
      expect(await hidden('f32', manyLayers)).toEqual(exact);
      many.dispose();
    },
  );
});
