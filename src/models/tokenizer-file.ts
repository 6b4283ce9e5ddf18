// What tokenizer.json holds, looked at before the library does, which takes what it finds for what it should be: an id of 1.5 would become a token
// of the model, and a list that is none an error of the language.

import { quote } from '../cli/text.ts';
import { isObject, show } from '../safetensors/header.ts';
import type { Checkpoint } from './checkpoint.ts';
import { broken } from './fault.ts';
import type { JsonObject } from './source.ts';
import { cutVocabulary, LARGEST_ID, MARK, type Vocabulary } from './vocabulary.ts';

const isText = (value: unknown): value is string => typeof value === 'string';
const isId = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LARGEST_ID;
const isPair = (value: unknown): boolean => Array.isArray(value) && value.length === 2 && value.every(isText);

/** What fits, and how an error says so. */
type Rule = readonly [fits: (value: unknown) => boolean, expected: string];

const ID: Rule = [isId, `an integer in 0 … ${LARGEST_ID}`];
const COUNT: Rule = [(value) => value !== 0 && isId(value), 'an integer ≥ 1'];
const TEXT: Rule = [isText, 'a string'];
const LIST: Rule = [Array.isArray, 'a list'];
const OBJECT: Rule = [isObject, 'an object'];
const TOKEN: Rule = [(value) => Array.isArray(value) && isText(value[0]), '[token, id]'];
const PATTERN: Rule = [(value) => isObject(value) && isText(value.Regex ?? value.String), '{ "String": … } or { "Regex": … }'];

/** Keys of all parts: those of one name hold the same everywhere. */
const KEYS: Readonly<Record<string, Rule>> = {
  pattern: PATTERN,
  content: TEXT,
  behavior: TEXT,
  prepend: TEXT,
  prepend_scheme: TEXT,
  replacement: TEXT,
  str_rep: TEXT,
  prefix: TEXT,
  suffix: TEXT,
  pad_token: TEXT,
  word_delimiter_token: TEXT,
  length: COUNT,
  cls: TOKEN,
  sep: TOKEN,
  single: LIST,
  pair: LIST,
  unk_token: TEXT,
  continuing_subword_prefix: TEXT,
  continuing_subword_suffix: TEXT,
  end_of_word_suffix: TEXT,
  max_input_chars_per_word: ID,
};

/** Keys without which a part, or a model, of a type makes no sense. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  Prepend: ['prepend'],
  Replace: ['pattern', 'content'],
  Split: ['pattern'],
  FixedLength: ['length'],
  TemplateProcessing: ['single', 'pair'],
  BertProcessing: ['cls', 'sep'],
  RobertaProcessing: ['cls', 'sep'],
};

/** Models that the library knows; another one it would take for a list of words. Old files do not say. */
const KINDS: readonly unknown[] = ['BPE', 'WordPiece', 'Unigram', 'WordLevel'];

/** The parts, and what a `Sequence` of them calls its list. */
const PARTS = { normalizer: 'normalizers', pre_tokenizer: 'pretokenizers', post_processor: 'processors', decoder: 'decoders' };

/** @throws RelposError unless the value at this place of the file fits */
type Expect = (place: string, value: unknown, rule: Rule) => void;

/** A tokenizer.json as the library takes it. */
interface TokenizerFile {
  readonly file: JsonObject;
  /** All tokens but those that are added, if the file has only those of them that are needed to begin with. */
  readonly vocabulary: Vocabulary | undefined;
}

/**
 * Reads the text of a tokenizer.json.
 *
 * @param needed tokens that the library looks up when it begins, beside the unknown one
 * @throws RelposError `bad-checkpoint` if it is no JSON, or names the entry of which the library would make no sense
 */
export function readTokenizerFile(checkpoint: Checkpoint, text: string, needed: readonly unknown[]): TokenizerFile {
  const { file, vocabulary } = parsed(checkpoint, text, needed);
  const whole = withDefaults(file);
  checkTokenizerFile(checkpoint.where, whole);
  return { file: whole, vocabulary };
}

function parsed(checkpoint: Checkpoint, text: string, needed: readonly unknown[]): TokenizerFile {
  const cut = cutVocabulary(text);
  const file = cut && checkpoint.parse('tokenizer.json', cut.rest);
  // What was cut out may have been something else of that name.
  if (!cut || !isObject(file?.model) || file.model.vocab !== MARK)
    return { file: checkpoint.parse('tokenizer.json', text), vocabulary: undefined };
  const { model } = file;
  const first = [...needed, model.unk_token].filter((token) => cut.ids.has(token as string)) as string[];
  const vocab = Object.fromEntries(first.map((token) => [token, cut.ids.get(token)]));
  return { file: { ...file, model: { ...model, vocab } }, vocabulary: cut };
}

/** Keys that may be left out of the file, and that the library wants. */
const withDefaults = (file: JsonObject): JsonObject => ({
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  ...file,
  added_tokens: file.added_tokens ?? [],
});

function checkTokenizerFile(where: string, file: JsonObject): void {
  const expect: Expect = (place, value, [fits, expected]) => {
    if (fits(value)) return;
    throw broken(where, 'tokenizer.json', `${quote(place)} expected ${expected}, got ${value === undefined ? 'nothing' : show(value)}`);
  };
  for (const [name, list] of Object.entries(PARTS)) if (file[name] !== null) checkPart(expect, name, file[name], list);
  each(expect, 'added_tokens', file.added_tokens, (place, token) => {
    expect(place, token, OBJECT);
    expect(`${place}.id`, (token as JsonObject).id, ID);
    expect(`${place}.content`, (token as JsonObject).content, TEXT);
  });
  checkModel(expect, file.model);
}

function each(expect: Expect, place: string, list: unknown, check: (place: string, value: unknown) => void): void {
  expect(place, list, LIST);
  for (const [n, value] of (list as readonly unknown[]).entries()) check(`${place}[${n}]`, value);
}

/** What goes wrong with one of very many: each has its place only then. */
function all(expect: Expect, values: readonly unknown[], rule: Rule, place: (n: number) => string): void {
  const odd = values.findIndex((value) => !rule[0](value));
  if (odd >= 0) expect(place(odd), values[odd], rule);
}

/** The keys of an object: those that are there, and those that are needed. */
function checkKeys(expect: Expect, place: string, object: JsonObject, needed: readonly string[] = []): void {
  for (const [key, rule] of Object.entries(KEYS)) {
    const value = object[key] ?? undefined;
    if (value !== undefined || needed.includes(key)) expect(`${place}.${key}`, value, rule);
  }
}

function checkPart(expect: Expect, place: string, part: unknown, list: string): void {
  expect(place, part, OBJECT);
  const { type, [list]: parts, single, pair } = part as JsonObject;
  expect(`${place}.type`, type, TEXT);
  checkKeys(expect, place, part as JsonObject, Object.hasOwn(NEEDED, type as string) ? NEEDED[type as string] : []);
  if (type === 'Sequence') each(expect, `${place}.${list}`, parts, (at, one) => checkPart(expect, at, one, list));
  if (type === 'TemplateProcessing') {
    each(expect, `${place}.single`, single, (at, slot) => checkSlot(expect, at, slot, ['A']));
    each(expect, `${place}.pair`, pair, (at, slot) => checkSlot(expect, at, slot, ['A', 'B']));
  }
}

/** A text, or a token that stands around texts. */
function checkSlot(expect: Expect, place: string, slot: unknown, known: readonly unknown[]): void {
  expect(place, slot, [
    (value) => isObject(value) && isObject(value.SpecialToken ?? value.Sequence),
    '{ "SpecialToken": … } or { "Sequence": … }',
  ]);
  const { SpecialToken: token, Sequence: text } = slot as { readonly [key: string]: JsonObject };
  const { id, type_id } = token ?? (text as JsonObject);
  expect(`${place}.id`, id, token ? TEXT : [(value) => known.includes(value), known.map((one) => show(one)).join(' or ')]);
  expect(`${place}.type_id`, type_id, ID);
}

/** Entry by entry: lists of all names and all ids would take longer to make than the look at them. */
function checkVocabulary(expect: Expect, vocab: JsonObject): void {
  for (const token in vocab) if (!isId(vocab[token])) expect(`model.vocab.${token}`, vocab[token], ID);
}

function checkModel(expect: Expect, given: unknown): void {
  expect('model', given, OBJECT);
  const model = given as JsonObject;
  const { type, vocab, merges, unk_id: unknown } = model;
  if (type !== undefined) expect('model.type', type, [(value) => KINDS.includes(value), `one of ${KINDS.join(', ')}`]);
  checkKeys(expect, 'model', model, type === 'WordPiece' ? ['unk_token', 'continuing_subword_prefix'] : []);
  if (type === 'Unigram' || (type === undefined && Array.isArray(vocab))) {
    expect('model.vocab', vocab, LIST);
    const pieces = vocab as readonly unknown[];
    const fits = (piece: unknown): boolean => Array.isArray(piece) && isText(piece[0]) && Number.isFinite(piece[1]);
    all(expect, pieces, [fits, '[piece, score]'], (n) => `model.vocab[${n}]`);
    if ((unknown ?? undefined) !== undefined)
      expect('model.unk_id', unknown, [(id) => isId(id) && id < pieces.length, `the index of one of ${pieces.length} pieces`]);
  } else {
    expect('model.vocab', vocab, OBJECT);
    checkVocabulary(expect, vocab as JsonObject);
  }
  if (type !== 'BPE' && merges === undefined) return;
  expect('model.merges', merges, LIST);
  const pairs = merges as readonly unknown[];
  // All in lists, or all as texts: the first one tells the library which.
  const rule: Rule = Array.isArray(pairs[0])
    ? [isPair, '[token, token]']
    : [(text) => isText(text) && isPair(text.split(' ')), '"token token"'];
  all(expect, pairs, rule, (n) => `model.merges[${n}]`);
}
