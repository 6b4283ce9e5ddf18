/** A vocabulary cut out of its text is what JSON.parse reads there; what is odd is left to that; and no token of the library changes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../../src/models/checkpoint.ts';
import { loadTokenizer, type Tokenizer } from '../../../src/models/tokenizer.ts';
import { cutVocabulary, MARK } from '../../../src/models/vocabulary.ts';
import { BYTES, type Json, SENTENCE_PIECES, WORD_PIECES } from './vocabularies.ts';

type Entries = Readonly<Record<string, number>>;
const file = (vocab: string): string => `{"model": {"type": "BPE", "vocab": ${vocab}, "merges": []}}`;

const token = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom('__proto__', 'vocab', '"vocab": {', '\\', '}', ',', '7'),
);
const space = fc.constantFrom('', ' ', '\n\t', '\r\n  ');
/** A literal of a string, its letters as they are or by their numbers. */
const literal = (text: string, escaped: boolean): string =>
  escaped
    ? `"${Array.from({ length: text.length }, (_, n) => `\\u${text.charCodeAt(n).toString(16).padStart(4, '0')}`).join('')}"`
    : JSON.stringify(text);

test('it is what JSON.parse reads, however it is written', () => {
  const entries = fc.uniqueArray(fc.tuple(token, fc.nat(2 ** 31 - 1), fc.boolean()), { minLength: 1, selector: ([text]) => text });
  fc.assert(
    fc.property(entries, space, space, fc.boolean(), (all, before, after, counted) => {
      const written = all.map(
        ([text, id, escaped], n) => `${before}${literal(text, escaped)}${after}:${before}${counted ? n : id}${after}`,
      );
      const whole = file(`{${written.join(',')}}`);
      const { vocab } = JSON.parse(whole).model as { vocab: Entries };
      const cut = cutVocabulary(whole);
      if (new Set(Object.values(vocab)).size < all.length) {
        // Not the whole of it: a list that ends at 2^31 fails by killing the process.
        expect(cut?.rest).toBeUndefined();
        return;
      }
      expect(new Map(cut?.ids)).toEqual(new Map(Object.entries(vocab)));
      for (const [text, id] of Object.entries(vocab)) expect(cut?.tokens[id]).toBe(text);
      expect(JSON.parse(cut?.rest as string)).toEqual({ model: { type: 'BPE', vocab: MARK, merges: [] } });
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['nothing', '{}'],
  ['a list', '[["a", 0]]'],
  ['no end', '{"a": 0'],
  ['no end of a token', '{"a'],
  ['no id', '{"a": }'],
  ['no colon', '{"a" 0}'],
  ['a token without quotes', '{a: 0}'],
  ['one comma more', '{"a": 0,}'],
  ['one comma less', '{"a": 0 "b": 1}'],
  ['an id below 0', '{"a": -1}'],
  ['half an id', '{"a": 0.5}'],
  ['an id with an exponent', '{"a": 1e3}'],
  ['an id that begins with 0', '{"a": 01}'],
  ['an id of more than 31 bits', '{"a": 2147483648}'],
  ['an id as a text', '{"a": "0"}'],
  ['lists of ids', '{"a": [0]}'],
  ['vocabularies of languages', '{"en": {"a": 0}}'],
  ['a token twice', '{"a": 0, "a": 1}'],
  ['a token twice, written in two ways', '{"a": 0, "\\u0061": 1}'],
  ['an id twice', '{"a": 0, "b": 0}'],
  ['an escape that is none', '{"\\x": 0}'],
  ['half an escape', '{"\\u00": 0}'],
  ['a control character in a token', '{"\n": 0}'],
  ['a control character in a long token', '{"1234567890abc\n": 0}'],
  ['a space that is none of JSON', '{"a":\u00a00}'],
  ['a control character for a space', '{"a":\u00010}'],
])('%s is left to JSON.parse', (_, vocab) => {
  expect(cutVocabulary(file(vocab))?.rest).toBeUndefined();
});

const UNKNOWN: Json = { ...WORD_PIECES, model: { type: 'WordLevel', unk_token: '[UNK]', vocab: (WORD_PIECES.model as Json).vocab } };
const SETTINGS: Json = { bos_token: '[CLS]', eos_token: { content: '[SEP]' }, pad_token: '[PAD]', unk_token: '[UNK]' };
/** Added tokens that the vocabulary has by another id, and that have the id of another. */
const MOVED: Json = {
  ...WORD_PIECES,
  added_tokens: [
    { id: 5, content: 'cat' },
    { id: 40, content: 'dog', special: true },
  ],
};

describe('the library gives the same with its own maps', () => {
  const encoder = new TextEncoder();
  async function made(text: string): Promise<Tokenizer> {
    const files = { 'config.json': encoder.encode('{}'), 'tokenizer.json': encoder.encode(text) };
    return loadTokenizer(
      await openCheckpoint({ where: 'loadEncoder' }, 'model', {
        ...files,
        'tokenizer_config.json': encoder.encode(JSON.stringify(SETTINGS)),
      }),
    );
  }

  test.each(Object.entries({ BYTES, SENTENCE_PIECES, WORD_PIECES, UNKNOWN, MOVED }))('%s', async (_, tokenizer) => {
    const [text, pretty] = [JSON.stringify(tokenizer), JSON.stringify(tokenizer, null, 2)];
    // What is called so first is not the model's.
    const whole = await made(`{"other": {"vocab": {"a": 0}}, ${text.slice(1)}`);
    for (const cut of [await made(text), await made(pretty)]) {
      for (const each of ['', 'the cats sat on a mat.', 'Hello world! 中文 dog', 'cat[MASK]dog', '<s>é\0']) {
        expect(cut.encode(each)).toEqual(whole.encode(each));
        expect(cut.encode(each, { pair: 'the cat' })).toEqual(whole.encode(each, { pair: 'the cat' }));
      }
      const ids = Array.from({ length: 300 }, (_, id) => id);
      expect(ids.map((id) => cut.tokenOf(id))).toEqual(ids.map((id) => whole.tokenOf(id)));
      expect(ids.map((id) => cut.decode([id, 3, id]))).toEqual(ids.map((id) => whole.decode([id, 3, id])));
      expect(ids.map((id) => cut.idOf(whole.tokenOf(id) ?? 'none'))).toEqual(ids.map((id) => whole.idOf(whole.tokenOf(id) ?? 'none')));
      expect(cut.special).toEqual(whole.special);
    }
  });

  test('a text of the mark in place of a vocabulary is no vocabulary', async () => {
    const text = JSON.stringify({ ...WORD_PIECES, model: { ...(WORD_PIECES.model as Json), vocab: MARK } });
    await expect(made(text)).rejects.toThrow(/"model\.vocab" expected an object/);
  });
});
