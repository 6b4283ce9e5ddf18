/** From files to running models: the trained ones say what transformers says; what is wrong is refused before anything large is fetched, and leaves nothing. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../../src/index.ts';
import { estimate, loadDecoder, loadEncoder, loadSeq2Seq } from '../../../src/models/index.ts';
import { readSafetensors, writeSafetensors } from '../../../src/safetensors/index.ts';
import { checkpoint } from '../checkpoints.ts';
import { all } from '../loaded.ts';
import { Server } from './files.ts';
import { BERT_CONFIG, WORD_PIECES } from './vocabularies.ts';

const folderOf = (name: string): string => fileURLToPath(new URL(`../../../examples/models/${name}`, import.meta.url));
const casesOf = (
  name: string,
): { prompt: string; input: string; text: string; ids: number[]; tokens: number[]; top: [number, number][] }[] =>
  JSON.parse(readFileSync(`${folderOf(name)}/reference.json`, 'utf8')).cases;
const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const filesOf = (folder: string, names: readonly string[]): Record<string, Uint8Array> =>
  Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(`${folder}/${name}`))]));
const storyFiles = () =>
  filesOf(folderOf('story-llama'), [
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);

/** A tiny BERT with words. */
function bertFiles(): Record<string, Uint8Array> {
  const { folder } = checkpoint('bert');
  return {
    ...filesOf(folder, ['config.json', 'model.safetensors']),
    'tokenizer.json': text(WORD_PIECES),
    'tokenizer_config.json': text(BERT_CONFIG),
  };
}

const servers: Server[] = [];
afterAll(async () => {
  for (const server of servers) await server.stop();
});

describe('the trained decoder', () => {
  const cases = casesOf('story-llama');

  test.each([1, 2])('says what transformers says, on %i threads', async (threads) => {
    using decoder = await loadDecoder(folderOf('story-llama'), { threads });
    for (const { prompt, text } of cases) expect(await all(decoder.generate(prompt, { maxTokens: 64 }))).toBe(text);
    const [{ ids, top }] = cases as [(typeof cases)[0]];
    const row = (await decoder.logits(ids)).at(-1) as Float32Array;
    for (const [token, logit] of top) expect(row[token]).toBeCloseTo(logit, 3);
  });

  test('from a server, from bytes and from an engine that is there already; the same in a batch, a session and a fork', async () => {
    const server = new Server(storyFiles());
    servers.push(server);
    const engine = await createEngine({ threads: 1 });
    const before = engine.memoryUsage().used;
    for (const source of [await server.start(), storyFiles()]) {
      const progress: { loaded: number; total: number; file: string }[] = [];
      const decoder = await loadDecoder(source, { engine, context: 128, onProgress: (each) => progress.push(each) });
      expect(progress.at(-1)).toEqual({ loaded: progress.at(-1)?.total, total: 3_044_800, file: 'model.safetensors' });
      expect(decoder.context).toBe(128);
      const texts = ['', '', ''];
      for await (const { index, text } of decoder.generateAll(
        cases.map(({ prompt }) => prompt),
        { maxTokens: 20 },
      ))
        texts[index] += text;
      for (const [n, each] of cases.entries()) expect(each.text.startsWith(texts[n] as string)).toBe(true);
      const session = await decoder.session(cases[0]?.prompt);
      const begun = await all(session.generate({ maxTokens: 6 }));
      const fork = await session.fork();
      const [one, other] = [await all(session.generate({ maxTokens: 20 })), await all(fork.generate({ maxTokens: 20 }))];
      expect(one).toBe(other);
      expect(cases[0]?.text.startsWith(begun + one)).toBe(true);
      session.dispose();
      fork.dispose();
      decoder.dispose();
    }
    // What stays are tables that the engine keeps for later calls.
    expect(engine.memoryUsage().used - before).toBeLessThan(100_000);
    engine.dispose();
  });

  test('several things are asked of it at the same time', async () => {
    using decoder = await loadDecoder(folderOf('story-llama'), { threads: 2 });
    const [one, two] = cases as [(typeof cases)[0], (typeof cases)[0]];
    const [a, rows, b, hidden] = await Promise.all([
      all(decoder.generate(one.prompt, { maxTokens: 30 })),
      decoder.logits(one.ids),
      all(decoder.generate(two.prompt, { maxTokens: 30 })),
      decoder.hidden(two.ids),
    ]);
    expect(one.text.startsWith(a) && two.text.startsWith(b)).toBe(true);
    for (const [token, logit] of one.top) expect(rows.at(-1)?.[token]).toBeCloseTo(logit, 3);
    expect(hidden).toEqual(await decoder.hidden(two.ids));
    using fixer = await loadSeq2Seq(folderOf('fix-t5'), { threads: 1 });
    const fixed = await Promise.all(casesOf('fix-t5').map(({ input }) => all(fixer.generate(input))));
    expect(fixed).toEqual(casesOf('fix-t5').map(({ text }) => text));
  });

  test('draws the same text with the same seed in every type of weights, on one thread and on three', async () => {
    const options = { maxTokens: 40, temperature: 0.8, topK: 50, topP: 0.95, seed: 7 };
    for (const weights of ['f32', 'i8'] as const) {
      const said: string[] = [];
      for (const threads of [1, 3]) {
        using decoder = await loadDecoder(folderOf('story-llama'), { threads, weights });
        said.push(await all(decoder.generate('In the beginning', options)));
      }
      expect(said[0]?.length).toBeGreaterThan(60);
      expect(said[1]).toBe(said[0]);
    }
  });
});

test('the trained encoder-decoder writes what transformers writes', async () => {
  using model = await loadSeq2Seq(folderOf('fix-t5'), { threads: 1 });
  for (const { input, text } of casesOf('fix-t5')) expect(await all(model.generate(input))).toBe(text);
});

describe('an encoder', () => {
  test('embeds, in f32 and in integers', async () => {
    using encoder = await loadEncoder(bertFiles(), { threads: 1 });
    using small = await loadEncoder(bertFiles(), { threads: 1, weights: 'i8' });
    const texts = ['the cat sat on a mat', 'a b c d'];
    const [exact, rough] = [await encoder.embed(texts), await small.embed(texts)];
    for (const [n, vector] of exact.entries())
      expect((await encoder.similarity([vector], [rough[n] as Float32Array]))[0]?.[0]).toBeGreaterThan(0.99);
    const [own] = await encoder.similarity(texts, texts[0]);
    expect(own?.[0]).toBeCloseTo(1, 6);
  });
});

describe('estimates', () => {
  test('are what loading takes, for each type', async () => {
    const engine = await createEngine({ threads: 1 });
    const taken: number[] = [];
    for (const weights of ['f32', 'f16', 'i8', 'i4'] as const) {
      const {
        weights: packed,
        cache,
        total,
        stored,
        rows,
      } = await estimate(folderOf('story-llama'), { weights, context: 256, threads: 1 });
      const before = engine.memoryUsage().used;
      const decoder = await loadDecoder(folderOf('story-llama'), { weights, context: 256, engine });
      const loaded = engine.memoryUsage().used - before;
      // A run takes a little beside what stays: estimates.test.ts measures it.
      expect(loaded).toBeGreaterThan(packed);
      expect(loaded).toBeLessThanOrEqual(packed + rows);
      const session = await decoder.session('A');
      expect(engine.memoryUsage().used - before - loaded).toBeGreaterThanOrEqual(cache);
      session.dispose();
      decoder.dispose();
      expect(total).toBe(packed + cache + rows);
      expect(stored).toBe(3_044_800);
      taken.push(packed);
    }
    expect(taken).toEqual([...taken].sort((a, b) => b - a));
    engine.dispose();
  });

  test('count rows of zeros before a text as tokens of it', async () => {
    const { folder, config } = checkpoint('transformer-xl-memory');
    const cacheOf = async (memory: number, context: number): Promise<number> => {
      const files = { ...filesOf(folder, ['model.safetensors']), 'config.json': text({ ...config, mem_len: memory }) };
      return (await estimate(files, { context })).cache;
    };
    expect(await cacheOf(1000, 64)).toBe(await cacheOf(0, 1064));
    expect(await cacheOf(1000, 64)).toBeGreaterThan(await cacheOf(0, 64));
  });

  test('read headers alone', async () => {
    const server = new Server(storyFiles());
    servers.push(server);
    await estimate(await server.start());
    expect(server.asked.map(({ name, range }) => [name, range])).toEqual([
      ['config.json', undefined],
      ['model.safetensors', 'bytes=0-65535'],
      // It may be a decoder that embeds.
      ['modules.json', undefined],
    ]);
  });

  test('over maxMemory refuse a model before its weights are fetched', async () => {
    const server = new Server(storyFiles());
    servers.push(server);
    const error = await loadDecoder(await server.start(), { maxMemory: 4_000_000, weights: 'f32' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'out-of-memory', limit: 4_000_000 });
    expect((error as Error).message).toContain('loadDecoder: the model takes');
    expect(server.asked).toHaveLength(2);
  });
});

describe('what is wrong', () => {
  const story = folderOf('story-llama');

  test.each([
    [{ weights: 'i7' }, RangeError, `loadDecoder: "weights" expected 'f32' or 'f16' or 'bf16' or 'i8' or 'i4', got "i7"`],
    [{ context: 0 }, RangeError, 'loadDecoder: "context" expected an integer ≥ 1, got 0'],
    [{ engine: 3 }, TypeError, 'loadDecoder: "engine" expected an engine of createEngine, got 3'],
    [{ engine: {} }, TypeError, 'loadDecoder: "engine" expected an engine of createEngine, got Object'],
    [{ engine: {}, threads: 2 }, TypeError, `loadDecoder: "threads" is the engine's own, and "engine" is given`],
    [{ fetch: 3 }, TypeError, 'loadDecoder: "fetch" expected a function, got 3'],
    [{ jinja: {} }, TypeError, 'loadDecoder: "jinja" expected the package @huggingface/jinja, got Object'],
    [{ weight: 'i8' }, TypeError, 'did you mean "weights"?'],
  ])('%j', async (options, kind, message) => {
    const error = await loadDecoder(story, options as never).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toContain(message);
  });

  test('a model of another kind', async () => {
    await expect(loadEncoder(story)).rejects.toThrow('loadEncoder: "model" expected an encoder, got llama, a decoder: use loadDecoder');
    await expect(loadDecoder(folderOf('fix-t5'))).rejects.toThrow('got t5, an encoder-decoder: use loadSeq2Seq');
    await expect(loadSeq2Seq(bertFiles())).rejects.toThrow('got bert, an encoder: use loadEncoder');
  });

  const { tensors } = readSafetensors(storyFiles()['model.safetensors'] as Uint8Array);
  const config = JSON.parse(new TextDecoder().decode(storyFiles()['config.json']));
  const lacking = new Map([...tensors].filter(([name]) => name !== 'model.norm.weight'));
  const whole = storyFiles()['model.safetensors'] as Uint8Array;
  const spoilt: readonly (readonly [string, Record<string, Uint8Array>, string])[] = [
    ['a family that there is not', { 'config.json': text({ ...config, model_type: 'rwkv' }) }, 'rwkv'],
    ['a tensor that is missing', { 'model.safetensors': writeSafetensors(lacking) }, 'model.norm.weight'],
    [
      'a head that is missing',
      {
        'config.json': text({ ...config, tie_word_embeddings: false }),
        'model.safetensors': writeSafetensors(new Map([...tensors].filter(([name]) => name !== 'lm_head.weight'))),
      },
      '"model.safetensors": it has no head that gives logits ("lm_head.weight")',
    ],
    ['a tensor of another shape', { 'config.json': text({ ...config, hidden_size: 128, head_dim: 16 }) }, 'expected'],
    ['a file that is cut short', { 'model.safetensors': whole.subarray(0, 2_000_000) }, '"model.safetensors": safetensors:'],
    ['no tokenizer', { 'tokenizer.json': text([]) }, '"tokenizer.json": expected an object, got []'],
    [
      'a token whose number is none',
      { 'tokenizer.json': text({ ...WORD_PIECES, added_tokens: [{ id: 1.5, content: 'a' }] }) },
      '"tokenizer.json": "added_tokens[0].id" expected an integer in 0 … 2147483647, got 1.5',
    ],
    ['a broken template', { 'generation_config.json': text(3) }, '"generation_config.json": expected an object, got 3'],
  ];
  test.each(spoilt)('%s: one error, and the memory as it was', async (_, files, message) => {
    const engine = await createEngine({ threads: 1 });
    const before = engine.memoryUsage().used;
    const error = await loadDecoder({ ...storyFiles(), ...files }, { engine }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'RelposError', code: 'bad-checkpoint' });
    expect((error as Error).message).toMatch(/^loadDecoder: [^\n]+$/);
    expect((error as Error).message).toContain(message);
    expect(engine.memoryUsage().used).toBe(before);
    engine.dispose();
  });

  test('an abort while the weights come: its reason, and the memory as it was', async () => {
    const engine = await createEngine({ threads: 1 });
    const before = engine.memoryUsage().used;
    const controller = new AbortController();
    const loading = loadDecoder(storyFiles(), {
      engine,
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    });
    await expect(loading).rejects.toThrow('enough');
    expect(engine.memoryUsage().used).toBe(before);
    engine.dispose();
  });
});
