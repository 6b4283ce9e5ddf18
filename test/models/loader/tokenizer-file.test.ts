/** A tokenizer.json that is not what it should be: one error that names the entry, or no harm. */
import { describe, expect, test } from 'vitest';
import type { RelposError } from '../../../src/arguments/errors.ts';
import { openCheckpoint } from '../../../src/models/checkpoint.ts';
import { loadTokenizer, type Tokenizer } from '../../../src/models/tokenizer.ts';
import { BYTES, type Json, SENTENCE_PIECES, WORD_PIECES } from './vocabularies.ts';

const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const made = async (file: unknown, config: unknown = {}): Promise<Tokenizer> => {
  const files = { 'config.json': text({}), 'tokenizer.json': text(file), 'tokenizer_config.json': text(config) };
  return loadTokenizer(await openCheckpoint({ where: 'loadDecoder' }, 'model', files));
};

/** Pieces with scores, and one of each part that the others have not. */
const UNIGRAM: Json = {
  added_tokens: [{ id: 0, content: '<unk>', special: true }],
  normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, { type: 'Replace', pattern: { Regex: ' +' }, content: ' ' }] },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: '\\n' }, behavior: 'Isolated', invert: false },
      { type: 'FixedLength', length: 5 },
      { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
    ],
  },
  post_processor: { type: 'Sequence', processors: [{ type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 1] }] },
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Metaspace', replacement: '▁' },
      { type: 'BPEDecoder', suffix: '</w>' },
    ],
  },
  model: {
    type: 'Unigram',
    unk_id: 0,
    vocab: [
      ['<unk>', 0],
      ['<s>', 0],
      ['</s>', 0],
      ['▁', -1],
      ['a', -2],
      ['b', -3.5],
    ],
  },
};
const MERGES: Json = { ...BYTES, model: { ...(BYTES.model as Json), merges: ['a b', ['b', 'a']].slice(0, 1) } };
const LISTED: Json = { ...BYTES, model: { ...(BYTES.model as Json), merges: [['a', 'b']] } };
const BERT: Json = { ...WORD_PIECES, post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] } };

const ALL = { BYTES, SENTENCE_PIECES, WORD_PIECES, UNIGRAM, MERGES, LISTED, BERT };

/** The file with one entry replaced, or left out. */
function changed(file: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const copy: Record<string, unknown> = Array.isArray(file) ? (file.slice() as never) : { ...(file as object) };
  const next = changed(copy[key], rest, value);
  if (next === undefined && !Array.isArray(copy)) delete copy[key];
  else copy[key] = next;
  return copy;
}

/** Ways to all entries: of long lists to the first and the last. */
function* ways(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  if (path.length) yield path;
  if (typeof value !== 'object' || value === null) return;
  const keys = Object.keys(value);
  for (const key of keys.length > 16 ? [keys[0] as string, keys.at(-1) as string] : keys) {
    yield* ways((value as Json)[key], [...path, key]);
  }
}

const WRONG: readonly unknown[] = [undefined, null, true, -1, 0, 1.5, 1e9, 2 ** 31, '7', '', [], [null], [[]], {}, { a: null }];

/** What hosts say of programs, in the words of their three engines. */
const HOST =
  /undefined|null is not|is not a function|is not iterable|cannot read|can't access|is not an object|object is not|invalid array/i;

describe('any entry that is something else', () => {
  test.each(Object.entries(ALL))('%s', async (_, file) => {
    const odd: string[] = [];
    let refused = 0;
    for (const path of ways(file)) {
      for (const value of WRONG) {
        const what = `${path.join('.')} ← ${JSON.stringify(value)}`;
        try {
          const tokenizer = await made(changed(file, path, value));
          const { ids } = tokenizer.encode('ab a\nthe cats 中 é', { pair: 'b' });
          if (![...ids].every((id) => tokenizer.tokenOf(id) !== undefined)) odd.push(`${what}: ${ids}`);
          tokenizer.decode([...ids, 1e9]);
        } catch (error) {
          refused++;
          const { name, code, message } = error as RelposError;
          const isOurs = name === 'RelposError' && code === 'bad-checkpoint' && /^(loadDecoder|encode): "tokenizer\.json": /.test(message);
          if (!isOurs || HOST.test(message)) odd.push(`${what}: ${message}`);
        }
      }
    }
    expect(odd).toEqual([]);
    expect(refused).toBeGreaterThan(100);
  });
});

describe('ids', () => {
  const vocab = WORD_PIECES.model as Json;
  const withId = (id: unknown): Json => ({ ...WORD_PIECES, model: { ...vocab, vocab: { ...(vocab.vocab as Json), cat: id } } });

  test.each([1.5, null, '7', -1, 2 ** 31])('%j is none', async (id) => {
    const message = `loadDecoder: "tokenizer.json": "model.vocab.cat" expected an integer in 0 … 2147483647, got ${JSON.stringify(id)}`;
    await expect(made(withId(id))).rejects.toThrow(message);
    const added = { ...WORD_PIECES, added_tokens: [{ id, content: '<new>' }] };
    await expect(made(added)).rejects.toThrow(message.replace('model.vocab.cat', 'added_tokens[0].id'));
  });

  test.each([18, 1e9, 2 ** 31 - 1])('%j is one', async (id) => {
    const tokenizer = await made(withId(id));
    expect([...tokenizer.encode('the cat').ids]).toEqual([2, 5, id, 3]);
    expect([tokenizer.idOf('cat'), tokenizer.decode([5, 1e9, 7])]).toEqual([id, id === 1e9 ? 'the cat sat' : 'the sat']);
  });

  test('a word without tokens, where nothing stands for what is not known', async () => {
    const { '[UNK]': _, ...rest } = vocab.vocab as Record<string, number>;
    const tokenizer = await made({ ...WORD_PIECES, added_tokens: [], post_processor: null, model: { ...vocab, vocab: rest } });
    expect([...tokenizer.encode('the cat').ids]).toEqual([5, 6]);
    expect(() => tokenizer.encode('the dog')).toThrow(
      'encode: "tokenizer.json": it has no tokens for "the dog", and none that stands for what is not known',
    );
  });
});

describe('parts', () => {
  test.each([
    ['pre_tokenizer', { type: 'FixedLength', length: 0 }, '"pre_tokenizer.length" expected an integer ≥ 1, got 0'],
    ['pre_tokenizer', { type: 'FixedLength' }, '"pre_tokenizer.length" expected an integer ≥ 1, got nothing'],
    ['normalizer', { type: 'Prepend' }, '"normalizer.prepend" expected a string, got nothing'],
    ['normalizer', { type: 'Sequence' }, '"normalizer.normalizers" expected a list, got nothing'],
    ['normalizer', { type: 'Sequence', normalizers: [{ type: 'NFC' }, 7] }, '"normalizer.normalizers[1]" expected an object, got 7'],
    ['decoder', { type: 'Replace', pattern: ' ' }, '"decoder.pattern" expected { "String": … } or { "Regex": … }, got " "'],
    ['decoder', { type: 'New' }, 'it is of a kind that is not known: Unknown Decoder type: New'],
    ['post_processor', { type: 'BertProcessing', cls: ['[CLS]', 2] }, '"post_processor.sep" expected [token, id], got nothing'],
    ['model', { type: 'New', vocab: {} }, '"model.type" expected one of BPE, WordPiece, Unigram, WordLevel, got "New"'],
    ['model', { type: 'BPE', vocab: { a: 0 } }, '"model.merges" expected a list, got nothing'],
    ['model', { type: 'BPE', vocab: { a: 0 }, merges: ['a a', 'a'] }, '"model.merges[1]" expected "token token", got "a"'],
    ['model', { type: 'Unigram', vocab: [['a', 0], ['b']] }, '"model.vocab[1]" expected [piece, score], got ["b"]'],
    [
      'model',
      {
        type: 'Unigram',
        unk_id: 2,
        vocab: [
          ['a', 0],
          ['b', 0],
        ],
      },
      '"model.unk_id" expected the index of one of 2 pieces, got 2',
    ],
  ])('%s %j', async (name, part, message) => {
    await expect(made({ ...WORD_PIECES, [name]: part })).rejects.toThrow(`loadDecoder: "tokenizer.json": ${message}`);
  });

  test('settings', async () => {
    await expect(made(WORD_PIECES, { additional_special_tokens: {} })).rejects.toThrow(
      'loadDecoder: "tokenizer_config.json": "additional_special_tokens" expected a list, got an object',
    );
  });
});
