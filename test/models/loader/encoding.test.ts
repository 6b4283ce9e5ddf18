/** Encoders as they are used, over the plain reference: vectors, cosines, labels, pairs and masks. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../../src/models/checkpoint.ts';
import { Encoder } from '../../../src/models/encoder-model.ts';
import { readSentenceSettings, type SentenceSettings } from '../../../src/models/sentence-files.ts';
import { loadTokenizer, type Tokenizer } from '../../../src/models/tokenizer.ts';
import { referenceDriver } from './reference-driver.ts';
import { BERT_CONFIG, type Json, WORD_PIECES } from './vocabularies.ts';

const folderOf = (name: string): string => fileURLToPath(new URL(`../checkpoints/${name}`, import.meta.url));
const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

let tokenizer: Tokenizer;
beforeAll(async () => {
  const files = { 'config.json': text({}), 'tokenizer.json': text(WORD_PIECES), 'tokenizer_config.json': text(BERT_CONFIG) };
  tokenizer = await loadTokenizer(await openCheckpoint({ where: 'load' }, 'model', files));
});

const encoderOf = (name: string, sentences?: SentenceSettings, config: Json = {}): Encoder =>
  new Encoder({ driver: referenceDriver(folderOf(name)), tokenizer, config, sentences });

describe('vectors', () => {
  test('of one text and of several, by each pooling', async () => {
    const encoder = encoderOf('bert');
    const { ids, rows } = await encoder.hidden('the cat sat');
    expect([...ids]).toEqual([2, 5, 6, 7, 3]);
    const plain = { normalize: false } as const;
    const mean = Float32Array.from(rows[0] as Float32Array, (_, n) => rows.reduce((sum, row) => sum + (row[n] as number), 0) / rows.length);
    const found = await encoder.embed('the cat sat', { ...plain, pooling: 'mean' });
    expect(Math.max(...found.map((x, n) => Math.abs(x - (mean[n] as number))))).toBeLessThan(1e-6);
    expect(await encoder.embed('the cat sat', { ...plain, pooling: 'cls' })).toEqual(rows[0]);
    expect(await encoder.embed('the cat sat', { ...plain, pooling: 'last' })).toEqual(rows.at(-1));
    const [one, two] = (await encoder.embed(['the cat sat', 'a mat'])) as [Float32Array, Float32Array];
    expect(await encoder.embed('the cat sat')).toEqual(one);
    expect(await encoder.embed('a mat')).toEqual(two);
    expect(one.reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(1, 6);
    expect(await encoder.embed([])).toEqual([]);
  });

  test('as the files of the folder say', async () => {
    const settings: SentenceSettings = {
      pooling: 'cls',
      normalize: false,
      maxLength: 4,
      prompts: { query: 'a b ' },
      defaultPrompt: 'query',
      lowerCase: true,
    };
    const [encoder, plain] = [encoderOf('bert', settings), encoderOf('bert')];
    expect(encoder.maxLength).toBe(4);
    const { rows } = await plain.hidden('a b c');
    expect((await encoder.hidden('A B C')).ids.length).toBe(4);
    const expected = await plain.embed('a b', { pooling: 'cls', normalize: false });
    expect(await encoder.embed('c', {})).toEqual(expected);
    expect(await encoder.embed('a b', { prompt: '' })).toEqual(expected);
    expect(rows).toHaveLength(5);
    await expect(encoder.embed('a', { prompt: 'other' })).rejects.toThrow('embed: "prompt" expected one of "query", got "other"');
  });

  test('in groups, with progress and an abort between them', async () => {
    const encoder = encoderOf('bert');
    const texts = Array.from({ length: 40 }, (_, n) => `${'cat sat on '.repeat(30)}${'a '.repeat(n)}`);
    const progress: { done: number; total: number }[] = [];
    const options = { maxLength: 60 };
    const vectors = await encoder.embed(texts, { ...options, onProgress: (each) => progress.push(each) });
    // 60 tokens each, so 34 of them are one group.
    expect(progress).toEqual([
      { done: 34, total: 40 },
      { done: 40, total: 40 },
    ]);
    expect(vectors[39]).toEqual(await encoder.embed(texts[39] as string, options));
    const controller = new AbortController();
    const aborted = encoder.embed(texts, {
      ...options,
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    });
    await expect(aborted).rejects.toThrow('enough');
  });

  test('cosines of texts and of vectors', async () => {
    const encoder = encoderOf('bert');
    const texts = ['the cat sat', 'a mat', 'the cat sat'];
    const vectors = await encoder.embed(texts);
    const own = await encoder.similarity(texts);
    expect(own[0]?.[2]).toBeCloseTo(1, 6);
    expect(own[0]?.[1]).toBe(own[1]?.[0]);
    expect(await encoder.similarity(vectors)).toEqual(own);
    expect(await encoder.similarity('a mat', texts)).toEqual([own[1]]);
    const exact = (a: Float32Array, b: Float32Array): number =>
      a.reduce((sum, x, n) => sum + x * (b[n] as number), 0) /
      Math.sqrt(a.reduce((s, x) => s + x * x, 0) * b.reduce((s, x) => s + x * x, 0));
    expect(own[0]?.[1]).toBe(exact(vectors[0] as Float32Array, vectors[1] as Float32Array));
    expect(await encoder.similarity([new Float32Array(2)], [Float32Array.of(1, 2)])).toEqual([[0]]);
    await expect(encoder.similarity([new Float32Array(2)], [new Float32Array(3)])).rejects.toThrow('vectors of 2 numbers, got 3');
  });

  test.each([
    [3, {}, 'embed: "texts" expected a string or an array of strings, got 3'],
    [['a', 3], {}, 'embed: "texts[1]" expected a string, got 3'],
    ['a', { pooling: 'sum' }, `embed: "pooling" expected 'mean' or 'cls' or 'last' or 'max', got "sum"`],
    ['a', { normalise: true }, 'did you mean "normalize"?'],
    ['a', { maxLength: 0 }, 'embed: "maxLength" expected an integer ≥ 1, got 0'],
    ['a', { maxLength: 1 }, 'embed: "maxLength" expected at least the 2 tokens that frame a text, got 1'],
  ])('%j with %j is refused', async (texts, options, message) => {
    await expect(encoderOf('bert').embed(texts as never, options as never)).rejects.toThrow(message);
  });
});

test('no call gives more tokens than it was told to, and none without room for those that frame a text', async () => {
  const encoder = encoderOf('bert');
  expect((await encoder.hidden('the cat sat', { maxLength: 2 })).ids).toEqual(Int32Array.of(2, 3));
  expect((await encoder.hidden('the cat sat', { maxLength: 3 })).ids).toEqual(Int32Array.of(2, 5, 3));
  expect(await encoder.embed('the cat sat', { maxLength: 2 })).toEqual(await encoder.embed(''));
  const frame = (count: number): string => `"maxLength" expected at least the ${count} tokens that frame a text, got ${count - 1}`;
  const one = { maxLength: 1 };
  await expect(encoder.hidden('a', one)).rejects.toThrow(`hidden: ${frame(2)}`);
  await expect(encoder.similarity('a', 'b', one)).rejects.toThrow(`embed: ${frame(2)}`);
  await expect(encoderOf('bert-classify').classify('a', one)).rejects.toThrow(`classify: ${frame(2)}`);
  await expect(encoderOf('bert-classify').classify([['a', 'b']], { maxLength: 2 })).rejects.toThrow(`classify: ${frame(3)}`);
  await expect(encoderOf('xlm-roberta-score').scorePairs([['a', 'b']], { maxLength: 2 })).rejects.toThrow(`scorePairs: ${frame(3)}`);
  await expect(encoderOf('bert-mask').fillMask('[MASK]', one)).rejects.toThrow(`fillMask: ${frame(2)}`);
  // Of a checkpoint that has no room either.
  await expect(encoderOf('bert', { maxLength: 1 }).embed('a')).rejects.toThrow(`embed: ${frame(2)}`);
});

describe('labels', () => {
  test('of a text, of several, and of pairs', async () => {
    const encoder = encoderOf('bert-classify');
    const { classifier } = encoder.blueprint;
    const one = await encoder.classify('the cat sat');
    expect(one.map(({ label }) => label).sort()).toEqual([...(classifier?.labels ?? [])].sort());
    expect(one.every(({ score }, n) => n === 0 || score <= (one[n - 1]?.score as number))).toBe(true);
    if (classifier?.problem === 'one') expect(one.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 12);
    const several = await encoder.classify(['the cat sat', ['a', 'mat']]);
    expect(several[0]).toEqual(one);
    expect(several).toHaveLength(2);
    await expect(encoderOf('bert').classify('a')).rejects.toThrow('classify: the model has no classifier (it is a bert)');
    await expect(encoder.classify([3] as never)).rejects.toThrow('classify: "texts[0]" expected a string or two of them, got 3');
  });

  test('of a cross-encoder: one number for each pair', async () => {
    const pairs = [
      ['the cat', 'sat'],
      ['a', 'mat on a mat'],
    ] as const;
    const [scores, plain] = await Promise.all([
      encoderOf('xlm-roberta-score').scorePairs(pairs),
      encoderOf('xlm-roberta-score', undefined, {
        sentence_transformers: { activation_fn: 'torch.nn.modules.linear.Identity' },
      }).scorePairs(pairs),
    ]);
    for (const [n, score] of scores.entries()) expect(score).toBeCloseTo(1 / (1 + Math.exp(-(plain[n] as number))), 12);
    expect(new Set(scores).size).toBe(2);
    await expect(encoderOf('bert-classify').scorePairs(pairs)).rejects.toThrow('scorePairs: the model is no cross-encoder');
    await expect(encoderOf('xlm-roberta-score').scorePairs(['a'] as never)).rejects.toThrow(
      'scorePairs: "pairs[0]" expected two strings, got "a"',
    );
  });
});

describe('masks', () => {
  test('are filled by the likeliest words', async () => {
    const encoder = encoderOf('bert-mask');
    const found = await encoder.fillMask('the [MASK] sat on [MASK]', { count: 3 });
    expect(found.map(({ length }) => length)).toEqual([3, 3]);
    const rows = await referenceDriver(folderOf('bert-mask')).logits({ ids: [2, 5, 4, 7, 9, 4, 3], types: new Int32Array(7) }, [2, 5]);
    for (const [n, row] of rows.entries()) {
      const best = [...row.keys()].sort((a, b) => (row[b] as number) - (row[a] as number)).slice(0, 3);
      expect(found[n]?.map(({ id }) => id)).toEqual(best);
      const sum = row.reduce((total, x) => total + Math.exp(x), 0);
      expect(found[n]?.[0]?.score).toBeCloseTo(Math.exp(row[best[0] as number] as number) / sum, 6);
    }
    await expect(encoder.fillMask('the cat')).rejects.toThrow('fillMask: "text" expected a text with [MASK] in it, got "the cat"');
    await expect(encoderOf('bert').fillMask('[MASK]')).rejects.toThrow('fillMask: the model fills no masks (it is a bert)');
  });
});

describe("sentence-transformers' files", () => {
  const read = async (files: Record<string, unknown>): Promise<SentenceSettings | undefined> => {
    const bytes = Object.fromEntries(Object.entries(files).map(([name, value]) => [name, text(value)]));
    return readSentenceSettings(await openCheckpoint({ where: 'loadEncoder' }, 'model', { 'config.json': text({}), ...bytes }));
  };
  const module = (path: string, type: string) => ({ idx: 0, name: '0', path, type: `sentence_transformers.models.${type}` });
  const flags = (on: string) =>
    Object.fromEntries(
      ['cls_token', 'mean_tokens', 'max_tokens', 'lasttoken', 'mean_sqrt_len_tokens'].map((key) => [`pooling_mode_${key}`, key === on]),
    );

  test('as MiniLM has them', async () => {
    expect(
      await read({
        'modules.json': [module('', 'Transformer'), module('1_Pooling', 'Pooling'), module('2_Normalize', 'Normalize')],
        '1_Pooling/config.json': { word_embedding_dimension: 384, ...flags('mean_tokens') },
        'sentence_bert_config.json': { max_seq_length: 256, do_lower_case: false },
      }),
    ).toEqual({ pooling: 'mean', normalize: true, maxLength: 256 });
  });

  test.each([
    ['cls_token', 'cls'],
    ['max_tokens', 'max'],
    ['lasttoken', 'last'],
  ])('the pooling %s', async (on, pooling) => {
    const files = { 'modules.json': [module('1_Pooling', 'Pooling')], '1_Pooling/config.json': flags(on) };
    expect(await read(files)).toEqual({ pooling, normalize: false });
  });

  test('layers behind it, prompts, and newer names', async () => {
    expect(
      await read({
        'modules.json': [
          { ...module('', ''), type: 'sentence_transformers.base.modules.transformer.Transformer' },
          module('1_Pooling', 'Pooling'),
          module('2_Dense', 'Dense'),
          module('3_Dense', 'Dense'),
        ],
        '1_Pooling/config.json': { pooling_mode: 'lasttoken' },
        'sentence_bert_config.json': { max_seq_length: null, do_lower_case: true },
        'config_sentence_transformers.json': { prompts: { query: 'q: ', document: '' }, default_prompt_name: 'query' },
      }),
    ).toEqual({
      pooling: 'last',
      normalize: false,
      lowerCase: true,
      dense: ['2_Dense', '3_Dense'],
      prompts: { query: 'q: ', document: '' },
      defaultPrompt: 'query',
    });
    expect(await read({})).toBeUndefined();
  });

  test.each([
    [{ 'modules.json': {} }, '"modules.json": expected a list of modules with type and path'],
    [{ 'modules.json': [module('', 'CNN')] }, 'the module "sentence_transformers.models.CNN" is not one that is known'],
    [{ 'modules.json': [module('1_Pooling', 'Pooling')] }, '"1_Pooling/config.json": there is none, and modules.json names it'],
    [{ 'modules.json': [module('../x', 'Pooling')] }, '"../x/config.json": expected the name of a file within the checkpoint'],
    [
      { 'modules.json': [module('p', 'Pooling')], 'p/config.json': flags('mean_sqrt_len_tokens') },
      'to be true, got pooling_mode_mean_sqrt_len_tokens',
    ],
    [
      { 'modules.json': [module('p', 'Pooling')], 'p/config.json': { ...flags('cls_token'), pooling_mode_max_tokens: true } },
      'got pooling_mode_cls_token, pooling_mode_max_tokens',
    ],
    [{ 'modules.json': [module('p', 'Pooling')], 'p/config.json': { pooling_mode: 'sum' } }, 'the pooling "sum" is not one that is known'],
    [
      { 'modules.json': [module('', 'Transformer')], 'sentence_bert_config.json': { max_seq_length: 0 } },
      '"max_seq_length" expected a whole number from 1, got 0',
    ],
  ])('%j is refused', async (files, message) => {
    const error = expect.objectContaining({ code: 'bad-checkpoint', message: expect.stringContaining(message) });
    await expect(read(files)).rejects.toEqual(error);
  });
});
