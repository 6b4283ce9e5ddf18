/** Long lists of texts: they become tokens in slices, between which timers and aborts have their turn, and nobody can change them meanwhile. */
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { loadChatTemplates } from '../../../src/models/chat.ts';
import { openCheckpoint } from '../../../src/models/checkpoint.ts';
import { Decoder } from '../../../src/models/decoder-model.ts';
import type { Driver } from '../../../src/models/driver-types.ts';
import { type CallOptions, Encoder } from '../../../src/models/encoder-model.ts';
import { Seq2Seq } from '../../../src/models/seq2seq-model.ts';
import { loadTokenizer, type Tokenizer } from '../../../src/models/tokenizer.ts';
import { now } from '../../../src/platform/time.ts';
import { referenceDriver } from './reference-driver.ts';
import { BERT_CONFIG, WORD_PIECES } from './vocabularies.ts';

const TEXTS = 400;
const folderOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** Texts that became tokens, each of which took this thread a millisecond. */
let encoded = 0;
beforeEach(() => {
  encoded = 0;
});

function slow(tokenizer: Tokenizer): Tokenizer {
  const encode: Tokenizer['encode'] = (...given) => {
    encoded++;
    for (const end = now() + 1; now() < end; );
    return tokenizer.encode(...given);
  };
  return withEncode(tokenizer, encode);
}

/** A tokenizer that is another one but for this. */
function withEncode(tokenizer: Tokenizer, encode: Tokenizer['encode']): Tokenizer {
  return new Proxy(tokenizer, {
    get(_, key) {
      const value = Reflect.get(tokenizer, key, tokenizer);
      return key === 'encode' ? encode : typeof value === 'function' ? value.bind(tokenizer) : value;
    },
  });
}

/** Gives at once what stands for the first and last token of each text, and its number of tokens. */
function quick(name: string): Driver & { groups: number[] } {
  const driver = referenceDriver(folderOf(`../checkpoints/${name}`));
  const groups: number[] = [];
  const of = async (texts: readonly { readonly ids: ArrayLike<number> }[]): Promise<Float32Array[]> => {
    groups.push(texts.length);
    return texts.map(({ ids }) => Float32Array.of(ids[1] as number, ids.length));
  };
  return { ...driver, blueprint: driver.blueprint, longest: 256, groups, vectors: of, labels: of };
}

async function encoderOf(name: string): Promise<{ readonly encoder: Encoder; readonly driver: ReturnType<typeof quick> }> {
  const files = { 'config.json': text({}), 'tokenizer.json': text(WORD_PIECES), 'tokenizer_config.json': text(BERT_CONFIG) };
  const tokenizer = slow(await loadTokenizer(await openCheckpoint({ where: 'load' }, 'model', files)));
  const driver = quick(name);
  return { driver, encoder: new Encoder({ driver, tokenizer, config: {}, sentences: undefined }) };
}

const words: readonly string[] = Array.from({ length: TEXTS }, (_, n) => (n % 2 ? 'the cat sat' : 'a'));
const pairs = words.map((word) => [word, 'a mat'] as const);

/** Calls an encoder makes of long lists. */
const CALLS: Readonly<Record<string, readonly [string, (encoder: Encoder, options: CallOptions) => Promise<unknown[]>]>> = {
  embed: ['bert', (encoder, options) => encoder.embed(words, options)],
  similarity: ['bert', (encoder, options) => encoder.similarity(words, ['a'], options)],
  'similarity with a long second list': ['bert', (encoder, options) => encoder.similarity('a', words, options)],
  classify: ['bert-classify', (encoder, options) => encoder.classify(words, options)],
  'classify pairs': ['bert-classify', (encoder, options) => encoder.classify(pairs, options)],
  scorePairs: ['xlm-roberta-score', (encoder, options) => encoder.scorePairs(pairs, options)],
};

describe.each(Object.entries(CALLS))('%s', (_, [name, call]) => {
  test('hears an abort while texts become tokens', async () => {
    const { encoder } = await encoderOf(name);
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 0);
    await expect(call(encoder, { signal: controller.signal })).rejects.toThrow('enough');
    expect(encoded).toBeGreaterThan(0);
    expect(encoded).toBeLessThan(TEXTS / 2);
  });

  test('lets timers have their turn, and tells of every group', async () => {
    const { encoder } = await encoderOf(name);
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const told: number[] = [];
    await call(encoder, { onProgress: ({ done }) => told.push(done) });
    clearInterval(timer);
    expect(encoded).toBeGreaterThanOrEqual(TEXTS);
    // At the least one in every 40 slices of 8 ms that there are.
    expect(turns).toBeGreaterThan(TEXTS / 320);
    expect(told).toContain(TEXTS);
  });
});

describe('a list of texts', () => {
  test('is that of the call, whatever becomes of it, in the order of the list', async () => {
    const { encoder, driver } = await encoderOf('bert');
    const own = [...words];
    const vectors = encoder.embed(own, { normalize: false });
    setTimeout(() => own.fill('sat'), 0);
    // [CLS] a [SEP], and [CLS] the cat sat [SEP].
    const found = (await vectors).map(([first, length]) => [first, length]);
    expect(own[TEXTS - 1]).toBe('sat');
    expect(found).toEqual(words.map((word) => (word === 'a' ? [15, 3] : [5, 5])));
    // Groups of 2048 tokens: 512 texts of 4.
    expect(driver.groups).toEqual([TEXTS]);
  });

  test('of pairs that change is as it was', async () => {
    const { encoder } = await encoderOf('xlm-roberta-score');
    const own = pairs.map((pair) => [...pair] as [string, string]);
    const scores = encoder.scorePairs(own);
    setTimeout(() => {
      for (const pair of own) pair[0] = 'sat sat sat';
    }, 0);
    expect(await scores).toEqual(await encoder.scorePairs(pairs));
  });

  test('is cut into groups as its tokens say, and texts without tokens end a group too', async () => {
    const { encoder, driver } = await encoderOf('bert');
    await encoder.embed(Array.from({ length: 1100 }, () => 'the cat sat'));
    expect(driver.groups).toEqual([409, 409, 282]);
    const nothing = { ids: new Int32Array(0), types: new Int32Array(0), cut: 0 };
    const tokenizer = withEncode(encoder.tokenizer, () => nothing);
    const empty = new Encoder({ driver, tokenizer, config: {}, sentences: undefined });
    driver.groups.length = 0;
    expect(await empty.embed(new Array<string>(5000).fill(''))).toHaveLength(5000);
    expect(driver.groups).toEqual([2048, 2048, 904]);
  });

  test('with a wrong one is refused before any becomes tokens', async () => {
    const { encoder } = await encoderOf('bert');
    await expect(encoder.similarity(words, ['a', 3] as never)).rejects.toThrow('similarity: "second[1]" expected a string, got 3');
    expect(encoded).toBe(0);
  });
});

test.each([Decoder, Seq2Seq])('prompts of %o', async (Kind) => {
  const checkpoint = await openCheckpoint(
    { where: 'load' },
    'model',
    folderOf(`../../../examples/models/${Kind === Decoder ? 'story-llama' : 'fix-t5'}`),
  );
  const tokenizer = slow(await loadTokenizer(checkpoint));
  const driver = referenceDriver(checkpoint.name);
  const model = new Kind({ driver, tokenizer, templates: await loadChatTemplates(checkpoint, tokenizer), generation: undefined });
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('enough')), 0);
  await expect(model.generateAll(words, { signal: controller.signal }).next()).rejects.toThrow('enough');
  expect(encoded).toBeGreaterThan(0);
  expect(encoded).toBeLessThan(TEXTS / 2);
  expect(driver.watched.sequences).toBe(0);
});
