/** Texts as tokens and back. The ids and the texts are those of Python's tokenizers. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ChatMessage, loadChatTemplates } from '../../../src/models/chat.ts';
import { openCheckpoint } from '../../../src/models/checkpoint.ts';
import { loadTokenizer, type Tokenizer } from '../../../src/models/tokenizer.ts';
import { BERT_CONFIG, BYTES, PIECES, SENTENCE_PIECES, WORD_PIECES, WORDS } from './vocabularies.ts';

const models = new URL('../../../examples/models/', import.meta.url);
const open = (given: unknown) => openCheckpoint({ where: 'loadDecoder' }, 'model', given);

interface Case {
  readonly prompt?: string;
  readonly input?: string;
  readonly ids: readonly number[];
  readonly tokens: readonly number[];
  readonly text: string;
}
const casesOf = (name: string): Case[] => JSON.parse(readFileSync(new URL(`${name}/reference.json`, models), 'utf8')).cases;

describe('the trained models', () => {
  test.each(['story-llama', 'fix-t5'])('%s: prompts, and continuations whole and token by token', async (name) => {
    const tokenizer = await loadTokenizer(await open(fileURLToPath(new URL(name, models))));
    for (const { prompt, input, ids, tokens, text } of casesOf(name)) {
      expect([...tokenizer.encode((prompt ?? input) as string).ids]).toEqual(ids);
      expect(tokenizer.decode(tokens)).toBe(text);
      expect(streamed(tokenizer, tokens, ids)).toBe(text);
    }
  });
});

function streamed(tokenizer: Tokenizer, tokens: readonly number[], before: readonly number[] = []): string {
  const stream = tokenizer.decodeStream(before);
  return tokens.map((id) => stream.push(id)).join('') + stream.end();
}

const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const made = async (file: unknown, config: unknown = {}, more: Record<string, Uint8Array> = {}): Promise<Tokenizer> =>
  loadTokenizer(await open({ 'config.json': text({}), 'tokenizer.json': text(file), 'tokenizer_config.json': text(config), ...more }));

describe('a stream of tokens', () => {
  let bytes: Tokenizer;
  let pieces: Tokenizer;
  let words: Tokenizer;
  beforeAll(async () => {
    [bytes, pieces, words] = await Promise.all([made(BYTES), made(SENTENCE_PIECES), made(WORD_PIECES)]);
  });

  test('waits for the last byte of a character', () => {
    const stream = bytes.decodeStream();
    const given = [...bytes.encode('a😀é').ids].map((id) => stream.push(id));
    expect(given).toEqual(['a', '', '', '', '😀', '', 'é']);
    expect(stream.end()).toBe('');
  });

  test('gives at its end what will never be a character', () => {
    const stream = bytes.decodeStream();
    expect([0x61, 0xf0, 0x9f].map((id) => stream.push(id))).toEqual(['a', '', '']);
    expect(stream.end()).toBe('\ufffd');
    expect(stream.end()).toBe('');
  });

  test('takes away the space of the first piece only', () => {
    const ids = ['▁Hello', '▁world', '!', '▁', '▁the'].map((piece) => pieces.idOf(piece) as number);
    expect(streamed(pieces, ids)).toBe('Hello world!  the');
    expect(streamed(pieces, ids.slice(1), ids.slice(0, 1))).toBe(' world!  the');
  });

  test('has bytes that stand for a character between pieces', () => {
    const ids = ['▁Hello', '<0xF0>', '<0x9F>', '<0x98>', '<0x80>', '▁world', '<0xE2>', 's'].map((piece) => pieces.idOf(piece) as number);
    const stream = pieces.decodeStream();
    expect(ids.map((id) => stream.push(id))).toEqual(['Hello', '', '', '', '😀', ' world', '', '\ufffds']);
  });

  test('leaves out special tokens, without losing the space after them', () => {
    const ids = ['<s>', '▁Hello', '</s>', '▁world'].map((piece) => pieces.idOf(piece) as number);
    expect(streamed(pieces, ids)).toBe(pieces.decode(ids));
    expect(streamed(pieces, ids)).toBe('Hello world');
  });

  test('is the whole text, whatever the tokens are', () => {
    const all = [
      [bytes, 258],
      [pieces, PIECES.length + 256],
      [words, WORDS.length],
    ] as const;
    for (const [tokenizer, size] of all) {
      fc.assert(
        fc.property(fc.array(fc.nat(size + 2), { maxLength: 30 }), fc.nat(30), (ids, cut) => {
          expect(streamed(tokenizer, ids)).toBe(tokenizer.decode(ids));
          // Tokens that stand before are not given again, and change nothing else.
          const before = ids.slice(0, cut);
          const head = tokenizer.decode(before);
          const whole = tokenizer.decode(ids);
          if (before.length <= 6 && !head.endsWith('\ufffd')) expect(head + streamed(tokenizer, ids.slice(cut), before)).toBe(whole);
        }),
        { numRuns: 300 },
      );
    }
  });

  test('is the whole text, whatever the text is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (whole) => {
        expect(streamed(bytes, [...bytes.encode(whole).ids])).toBe(whole);
      }),
    );
  });
});

describe('encoding', () => {
  let words: Tokenizer;
  beforeAll(async () => {
    words = await made(WORD_PIECES, BERT_CONFIG);
  });
  const named = (ids: Iterable<number>): string => [...ids].map((id) => words.tokenOf(id)).join(' ');

  test('a text, framed or not', () => {
    const { ids, types, cut } = words.encode('The cats sat.');
    expect(named(ids)).toBe('[CLS] the cat ##s sat . [SEP]');
    expect([...types]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(cut).toBe(0);
    expect(named(words.encode('The cats sat.', { specialTokens: false }).ids)).toBe('the cat ##s sat .');
    expect(named(words.encode('').ids)).toBe('[CLS] [SEP]');
    expect(named(words.encode('[MASK] sat').ids)).toBe('[CLS] [MASK] sat [SEP]');
  });

  test('a pair, the second of which may be empty', () => {
    const { ids, types } = words.encode('the cat', { pair: 'sat' });
    expect(named(ids)).toBe('[CLS] the cat [SEP] sat [SEP]');
    expect([...types]).toEqual([0, 0, 0, 0, 1, 1]);
    expect(named(words.encode('the cat', { pair: '' }).ids)).toBe('[CLS] the cat [SEP] [SEP]');
    expect(named(words.encode('the cat', { pair: 'sat', specialTokens: false }).ids)).toBe('the cat sat');
  });

  test.each([
    [9, 'a b c d', '[CLS] a b c d [SEP]', 0],
    [6, 'a b c d', '[CLS] a b c d [SEP]', 0],
    [5, 'a b c d', '[CLS] a b c [SEP]', 1],
    [2, 'a b c d', '[CLS] [SEP]', 4],
  ])('at most %i tokens of one text', (maxLength, given, expected, cut) => {
    const encoded = words.encode(given, { maxLength });
    expect([named(encoded.ids), encoded.cut]).toEqual([expected, cut]);
  });

  test.each([
    [1, undefined, 2],
    [0, undefined, 2],
    [-1, undefined, 2],
    [Number.NaN, undefined, 2],
    [2, 'b', 3],
  ])('at most %j tokens, which have no room for those that frame the text', (maxLength, pair, framing) => {
    const message = `encode: "maxLength" expected at least the ${framing} tokens that frame a text, got ${maxLength}`;
    expect(() => words.encode('a b c', { maxLength, pair })).toThrow(new RangeError(message));
    expect(words.encode('a b c', { maxLength: 0, specialTokens: false }).ids.length).toBe(0);
  });

  // What Python's "longest_first" keeps of each of the two.
  test.each([
    [8, 'a b c d', 'a', 'a b c d', 'a'],
    [7, 'a b c d', 'a', 'a b c', 'a'],
    [7, 'a', 'a b c d', 'a', 'a b c'],
    [7, 'a b c d', 'a b c d', 'a b', 'a b'],
    [8, 'a b c d', 'a b c d', 'a b', 'a b c'],
    [8, 'a b c d a', 'a b c', 'a b c', 'a b'],
    [8, 'a b c', 'a b c d a', 'a b', 'a b c'],
    [6, 'a b c d', 'a', 'a b', 'a'],
    [3, 'a b c d', 'a', '', ''],
  ])('at most %i tokens of "%s" and "%s"', (maxLength, first, second, ...expected) => {
    const { ids, types } = words.encode(first, { pair: second, maxLength });
    const special = new Set([2, 3]);
    const own = (type: number): string => named([...ids].filter((id, n) => types[n] === type && !special.has(id)));
    expect([own(0), own(1)]).toEqual(expected);
  });

  test('from the left, where the checkpoint says so', async () => {
    const left = await made(WORD_PIECES, { ...BERT_CONFIG, truncation_side: 'left' });
    expect([...left.encode('a b c d', { maxLength: 4 }).ids]).toEqual([2, 17, 18, 3]);
  });

  test('the length that the checkpoint names', async () => {
    expect(words.maxLength).toBe(512);
    for (const most of [1e30, 0.5, -1, '8', null]) expect((await made(WORD_PIECES, { model_max_length: most })).maxLength).toBe(Infinity);
    expect(words.encode('a '.repeat(600)).ids.length).toBe(512);
  });

  test('tokens by their role, from either file', async () => {
    expect(words.special).toEqual({
      cls: { token: '[CLS]', id: 2 },
      sep: { token: '[SEP]', id: 3 },
      pad: { token: '[PAD]', id: 0 },
      unk: { token: '[UNK]', id: 1 },
      mask: { token: '[MASK]', id: 4 },
    });
    const mapped = await made(WORD_PIECES, {}, { 'special_tokens_map.json': text({ mask_token: '[MASK]', eos_token: 'none' }) });
    expect(mapped.special).toEqual({ mask: { token: '[MASK]', id: 4 } });
  });

  // As transformers' from_pretrained does: what its "legacy" folders have in both files is taken from the map.
  test('tokens by the map of older folders alone, which is not asked for where the settings list their tokens', async () => {
    const files = (config: object) => ({
      'config.json': text({}),
      'tokenizer.json': text(WORD_PIECES),
      'tokenizer_config.json': text(config),
      'special_tokens_map.json': text({ pad_token: '[PAD]', cls_token: '[CLS]' }),
    });
    const asked: string[] = [];
    const load = async (config: object): Promise<Tokenizer> => {
      asked.length = 0;
      const all: Record<string, Uint8Array> = files(config);
      const store = {
        get(name: string) {
          asked.push(name);
          return all[name] && { size: all[name].length, body: all[name] };
        },
      };
      return loadTokenizer(await open(store));
    };
    expect((await load({ pad_token: null, cls_token: '[SEP]' })).special).toEqual({
      pad: { token: '[PAD]', id: 0 },
      cls: { token: '[CLS]', id: 2 },
      mask: { token: '[MASK]', id: 4 }, // which neither names
    });
    expect(asked).toContain('special_tokens_map.json');
    expect((await load({ cls_token: '[SEP]', added_tokens_decoder: {} })).special).toEqual({ cls: { token: '[SEP]', id: 3 } });
    expect(asked).toEqual(['config.json', 'tokenizer.json', 'tokenizer_config.json']);
  });

  test('spaces before punctuation, where the checkpoint cleans them', async () => {
    const clean = await made(SENTENCE_PIECES, { clean_up_tokenization_spaces: true });
    const ids = ['▁Hello', '▁', '!'].map((piece) => clean.idOf(piece) as number);
    expect(clean.decode(ids)).toBe('Hello!');
    expect((await made(SENTENCE_PIECES)).decode(ids)).toBe('Hello !');
  });

  test('special tokens in the text of tokens, if they are wanted', () => {
    expect(words.decode([2, 5, 3])).toBe('the');
    expect(words.decode([2, 5, 3], { skipSpecialTokens: false })).toBe('[CLS] the [SEP]');
    expect(words.decode([])).toBe('');
    expect(words.decode([99_999, 5])).toBe('the');
  });
});

describe('what is missing or broken', () => {
  const load = async (files: Record<string, Uint8Array>) => loadTokenizer(await open({ 'config.json': text({}), ...files }));

  test('no tokenizer.json', async () => {
    const error = expect.objectContaining({ name: 'RelposError', code: 'bad-checkpoint' });
    await expect(load({})).rejects.toEqual(error);
    await expect(load({})).rejects.toThrow('loadDecoder: "tokenizer.json": there is none at "the files given"');
    await expect(load({ 'vocab.txt': text('a') })).rejects.toThrow('only vocab.txt: transformers');
  });

  test.each([
    ['an unknown decoder', { ...BYTES, decoder: { type: 'New' } }],
    ['a frame of tokens that there are not', { ...BYTES, post_processor: { type: 'BertProcessing', sep: ['[S]', 1], cls: ['[C]', 2] } }],
  ])('%s', async (_, file) => {
    await expect(load({ 'tokenizer.json': text(file) })).rejects.toThrow(
      'loadDecoder: "tokenizer.json": it is of a kind that is not known',
    );
  });
});

describe('chats', () => {
  const TEMPLATE =
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}{{ eos_token }}\n{% endfor %}" +
    '{% if add_generation_prompt %}[assistant]{% endif %}{% if loud %}!{% endif %}';
  const MESSAGES: readonly ChatMessage[] = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hello' },
  ];
  const config = { bos_token: '<s>', eos_token: { content: '</s>' } };

  async function templates(chat: unknown, more: Record<string, Uint8Array> = {}, jinja?: never) {
    const files = {
      'config.json': text({}),
      'tokenizer.json': text(BYTES),
      'tokenizer_config.json': text({ ...config, chat_template: chat }),
      ...more,
    };
    const checkpoint = await open(files);
    return loadChatTemplates(checkpoint, await loadTokenizer(checkpoint), jinja);
  }

  test('one template', async () => {
    const chat = await templates(TEMPLATE);
    expect(await chat.render('chat', MESSAGES)).toBe('<s>[system] Be brief.</s>\n[user] Hello</s>\n[assistant]');
    expect(await chat.render('chat', MESSAGES.slice(1), { generationPrompt: false, values: { loud: true } })).toBe(
      '<s>[user] Hello</s>\n!',
    );
  });

  test('of several the one that is named, and a file of its own before all', async () => {
    const chat = await templates([
      { name: 'default', template: 'd' },
      { name: 'tool_use', template: 't{{ messages | length }}' },
    ]);
    expect([await chat.render('chat', MESSAGES), await chat.render('chat', MESSAGES, { template: 'tool_use' })]).toEqual(['d', 't2']);
    await expect(chat.render('chat', MESSAGES, { template: 'rag' })).rejects.toThrow(
      'has no chat template "rag"; it has "default", "tool_use"',
    );
    const own = await templates('x', { 'chat_template.jinja': new TextEncoder().encode('y') });
    expect(await own.render('chat', MESSAGES)).toBe('y');
  });

  test('none, and one that fails', async () => {
    await expect((await templates(undefined)).render('chat', MESSAGES)).rejects.toMatchObject({ code: 'bad-checkpoint' });
    const chat = await templates('{{ raise_exception("roles must alternate") }}');
    await expect(chat.render('chat', MESSAGES)).rejects.toThrow('chat: "chat_template.jinja": the template fails: roles must alternate');
  });

  test('another Jinja, where the package is given', async () => {
    const Template = class {
      render = (values: Record<string, unknown>): string => Object.keys(values).sort().join();
    };
    const chat = await templates(TEMPLATE, {}, { Template } as never);
    expect(await chat.render('chat', MESSAGES)).toBe('add_generation_prompt,bos_token,eos_token,messages');
  });
});
