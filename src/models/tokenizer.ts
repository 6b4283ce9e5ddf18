// Texts as numbers and back: the tokenizer.json of a checkpoint, by way of `@huggingface/tokenizers`, which is loaded here alone.

import { wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { isObject, show } from '../safetensors/header.ts';
import type { Checkpoint, JsonObject } from './checkpoint.ts';
import { broken, reasonOf } from './fault.ts';
import { TextStream } from './text-stream.ts';
import type { Vocabulary } from './vocabulary.ts';

/** What is used of `@huggingface/tokenizers`. */
interface Library {
  encode(text: string, options: { readonly add_special_tokens: boolean }): { readonly ids: readonly (number | undefined)[] };
  decode(
    ids: readonly number[],
    options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean },
  ): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  /** What it looks tokens up in. */
  readonly model: { tokens_to_ids: Map<string, number>; vocab: string[] };
  readonly decoder: Decoder | null;
  readonly post_processor:
    | ((first: string[], second: string[] | null, special: boolean) => { readonly tokens: string[]; readonly token_type_ids?: number[] })
    | null;
}

/** A text as the model takes it. */
export interface Encoded {
  readonly ids: Int32Array;
  /** Which of a pair of texts a token belongs to, 0 or 1, as the tokenizer says; models of one type ignore it. */
  readonly types: Int32Array;
  /** Tokens of the texts that were left out, since there were too many. */
  readonly cut: number;
}

export interface EncodeOptions {
  /** A second text: a question's passage, a sentence to compare with. */
  readonly pair?: string | undefined;
  /** Whether the tokens that frame a text are added, such as `[CLS]` and `<s>`. Default true. */
  readonly specialTokens?: boolean | undefined;
  /**
   * Tokens at most, special ones included, for which there has to be room; what is too much is left out of the longer text first. Default the
   * checkpoint's own.
   */
  readonly maxLength?: number | undefined;
}

export interface DecodeOptions {
  /** Default true. */
  readonly skipSpecialTokens?: boolean | undefined;
}

/** The roles that special tokens have. */
const ROLES = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'] as const;
export type SpecialRole = (typeof ROLES)[number];

/** A token with a role. */
export interface SpecialToken {
  readonly token: string;
  readonly id: number;
}

/** What masks are called where older settings leave that to the class of the tokenizer: by BERT's kind, and by RoBERTa's. */
const MASKS: readonly string[] = ['[MASK]', '<mask>'];

/** Lengths above this are transformers' way to say that nobody knows. */
const UNKNOWN_LENGTH = 1e9;

/** What stands around the texts: a token's number, or one of the two texts. */
type Slot = { readonly id: number; readonly type: number } | { readonly text: 0 | 1; readonly type: number };

/** The tokenizer of a checkpoint. */
export class Tokenizer {
  readonly #library: Library;
  readonly #config: JsonObject;
  readonly #single: readonly Slot[];
  readonly #pair: readonly Slot[];
  readonly #cleans: boolean;
  /** Special tokens by their role; a role that no token has is absent. */
  readonly special: Readonly<Partial<Record<SpecialRole, SpecialToken>>>;
  /** Tokens that a text may have, special ones included; Infinity if the checkpoint does not say. */
  readonly maxLength: number;

  /** @internal */
  constructor(library: Library, config: JsonObject, special: JsonObject) {
    this.#library = library;
    this.#config = config;
    this.#single = this.#layout(false);
    this.#pair = this.#layout(true);
    this.#cleans = config.clean_up_tokenization_spaces === true;
    this.special = Object.freeze(this.#roles(special));
    const { model_max_length: most } = config;
    this.maxLength = typeof most === 'number' && most >= 1 && most < UNKNOWN_LENGTH ? Math.floor(most) : Infinity;
  }

  /** `tokenizer_config.json`. */
  get config(): JsonObject {
    return this.#config;
  }

  /**
   * The tokens of a text, or of two.
   *
   * @param where @internal the call that errors name
   * @throws RangeError if there is no room for the tokens that frame a text
   * @throws RelposError `bad-checkpoint` if the vocabulary has nothing for a part of the text
   */
  encode(text: string, { pair, specialTokens = true, maxLength = this.maxLength }: EncodeOptions = {}, where = 'encode'): Encoded {
    const texts = (pair === undefined ? [text] : [text, pair]).map((one) => this.#plain(one, where));
    const layout = (pair === undefined ? this.#single : this.#pair).filter((slot) => specialTokens || 'text' in slot);
    const framing = layout.filter((slot) => !('text' in slot)).length;
    if (!(maxLength >= framing)) throw wrongValue(where, 'maxLength', `at least the ${framing} tokens that frame a text`, maxLength);
    const lengths = texts.map(({ length }) => length);
    const kept = fitting(lengths, maxLength - framing);
    const parts = texts.map((ids, n) => this.#cut(ids, kept[n] as number));
    const ids: number[] = [];
    const types: number[] = [];
    for (const slot of layout) {
      const own = 'text' in slot ? (parts[slot.text] as readonly number[]) : [slot.id];
      for (const id of own) {
        ids.push(id);
        types.push(slot.type);
      }
    }
    const cut = lengths.reduce((sum, length, n) => sum + length - (kept[n] as number), 0);
    return { ids: Int32Array.from(ids), types: Int32Array.from(types), cut };
  }

  /** The text of tokens. Numbers that no token has are left out. */
  decode(ids: ArrayLike<number>, { skipSpecialTokens = true }: DecodeOptions = {}): string {
    return this.#text(Array.from(ids), skipSpecialTokens, this.#cleans);
  }

  /**
   * The text of tokens that come one by one: each piece as soon as no token to come can change it. Together they are the text of all of them,
   * but spaces before punctuation, which some tokenizers clean away, stay.
   *
   * @param before tokens that stand before the first one, whose text is not given again
   */
  decodeStream(before: ArrayLike<number> = []): TextStream {
    return new TextStream((ids) => this.#text(ids, true, false), before);
  }

  /** The number of a token; undefined if there is none. */
  idOf(token: string): number | undefined {
    return this.#library.token_to_id(token);
  }

  /** The token of a number, as the vocabulary writes it; undefined if there is none. */
  tokenOf(id: number): string | undefined {
    return this.#library.id_to_token(id);
  }

  #plain(text: string, where: string): readonly number[] {
    const { ids } = this.#library.encode(text, { add_special_tokens: false });
    if (!ids.includes(undefined)) return ids as readonly number[];
    throw broken(where, 'tokenizer.json', `it has no tokens for ${show(text)}, and none that stands for what is not known`);
  }

  #text(ids: readonly number[], skipSpecialTokens: boolean, clean: boolean): string {
    const known = ids.filter((id) => this.#library.id_to_token(id) !== undefined);
    if (known.length === 0) return '';
    return this.#library.decode(known, { skip_special_tokens: skipSpecialTokens, clean_up_tokenization_spaces: clean });
  }

  #cut(ids: readonly number[], kept: number): readonly number[] {
    return this.#config.truncation_side === 'left' ? ids.slice(ids.length - kept) : ids.slice(0, kept);
  }

  /** What the tokenizer puts around one text, or two. */
  #layout(pair: boolean): Slot[] {
    const texts = ['\0first', '\0second'];
    const { post_processor: process } = this.#library;
    const framed = process?.([texts[0] as string], pair ? [texts[1] as string] : null, true);
    const tokens = framed?.tokens ?? [];
    // Processors that only look after bytes leave the second text where it is.
    const whole = tokens.length > 1 || !pair ? tokens : texts;
    return (whole.length > 0 ? whole : texts.slice(0, pair ? 2 : 1)).map((token, n) => {
      const type = framed?.token_type_ids?.[n];
      const text = texts.indexOf(token);
      if (text >= 0) return { text: text as 0 | 1, type: type ?? text };
      const id = this.#library.token_to_id(token);
      if (id === undefined) throw new Error(`the special token ${show(token)} is not in the vocabulary`);
      return { id, type: type ?? 0 };
    });
  }

  #roles(config: JsonObject): Partial<Record<SpecialRole, SpecialToken>> {
    const roles: Partial<Record<SpecialRole, SpecialToken>> = {};
    // Settings that list their tokens name the mask if there is one.
    const usual = 'added_tokens_decoder' in config ? undefined : MASKS.find((token) => this.idOf(token) !== undefined);
    const tokens: JsonObject = { mask_token: usual, ...config };
    for (const role of ROLES) {
      const given = tokens[`${role}_token`];
      const token = isObject(given) ? given.content : given;
      const id = typeof token === 'string' ? this.idOf(token) : undefined;
      if (id !== undefined) roles[role] = Object.freeze({ token: token as string, id });
    }
    return roles;
  }
}

/**
 * How many tokens of each text stay if there may be `most`: the shorter text stays whole as long as the longer one is cut to no less than its
 * length; else each has a half, the second one, or the longer one, the odd token.
 */
function fitting(lengths: readonly number[], most: number): number[] {
  const [first = 0, second] = lengths;
  if (second === undefined) return [Math.min(first, most)];
  if (first + second <= most) return [first, second];
  const half = Math.floor(most / 2);
  const shorter = Math.min(first, second, half);
  return first > second ? [most - shorter, shorter] : [shorter, most - shorter];
}

/** @throws RelposError `bad-checkpoint` if the tokenizer gave a number that no row of the model's embeddings has */
export function expectKnown(where: string, tokenizer: Tokenizer, ids: Int32Array, vocabulary: number): Int32Array {
  const strange = ids.find((id) => id >= vocabulary);
  if (strange === undefined) return ids;
  throw broken(
    where,
    'tokenizer.json',
    `its token ${show(tokenizer.tokenOf(strange))} has the number ${strange}, and the model has ${vocabulary} tokens`,
  );
}

/** The library, loaded when it is first needed. @throws RelposError `missing-package` */
async function library(where: string): Promise<new (tokenizer: object, config: object) => Library> {
  try {
    const { Tokenizer } = await import('@huggingface/tokenizers');
    return Tokenizer as unknown as new (
      tokenizer: object,
      config: object,
    ) => Library;
  } catch (cause) {
    const message = `${where}: the package @huggingface/tokenizers cannot be loaded (${reasonOf(cause)}): npm install @huggingface/tokenizers`;
    throw new RelposError('missing-package', message, { cause });
  }
}

/** Files that hold a vocabulary in ways that are not read, for the message. */
const OTHERS: readonly string[] = ['vocab.txt', 'vocab.json', 'tokenizer.model', 'spiece.model', 'sentencepiece.bpe.model'];

/**
 * The tokenizer of a checkpoint.
 *
 * @throws RelposError `unreadable` if there is no tokenizer.json; `bad-checkpoint` if it is none that is known; `missing-package`
 */
export async function loadTokenizer(checkpoint: Checkpoint): Promise<Tokenizer> {
  const { where } = checkpoint;
  const [Loaded, { readTokenizerFile }, text, [config, special]] = await Promise.all([
    library(where),
    import('./tokenizer-file.ts'),
    checkpoint.text('tokenizer.json'),
    readConfig(checkpoint),
  ]);
  if (text === undefined) throw await noTokenizer(checkpoint);
  const plain = plainTokens(config);
  const { file, vocabulary } = readTokenizerFile(checkpoint, text, [plain.bos_token, plain.eos_token, plain.pad_token, plain.unk_token]);
  try {
    const loaded = new Loaded(file, plain);
    if (vocabulary) complete(loaded, vocabulary);
    keepMarks(loaded.decoder);
    return new Tokenizer(loaded, config, special);
  } catch (cause) {
    throw broken(where, 'tokenizer.json', `it is of a kind that is not known${reason(cause)}`, cause);
  }
}

/** Gives the library the tokens that it did not get from the file; those that are added come on top. */
function complete({ model }: Library, { ids, tokens }: Vocabulary): void {
  for (const [token, id] of model.tokens_to_ids) ids.set(token, id);
  // By its keys: one id of a billion makes a list of a billion places, nearly all of them empty.
  for (const id of Object.keys(model.vocab)) tokens[Number(id)] = model.vocab[Number(id)] as string;
  model.tokens_to_ids = ids;
  model.vocab = tokens;
}

/**
 * The settings, and where the special tokens stand. As transformers has it, special_tokens_map.json counts only where the settings do not list
 * their tokens, as older ones do not: it goes first then. So newer folders are not asked for it.
 */
async function readConfig(checkpoint: Checkpoint): Promise<readonly [config: JsonObject, special: JsonObject]> {
  const config = (await checkpoint.object('tokenizer_config.json')) ?? {};
  const more = config.additional_special_tokens ?? [];
  if (!Array.isArray(more))
    throw broken(checkpoint.where, 'tokenizer_config.json', `"additional_special_tokens" expected a list, got ${show(more)}`);
  const map = 'added_tokens_decoder' in config ? {} : await checkpoint.object('special_tokens_map.json');
  return [config, { ...config, ...map }];
}

/** Of a decoder of the library: what turns bytes into text, a TextDecoder, which not all users' types know; or the decoders that follow one another. */
interface Decoder {
  text_decoder?: unknown;
  readonly decoders?: readonly Decoder[];
}

/** The decoder of bytes for unknown characters takes U+FEFF for a mark and drops it; Python's keeps it. */
function keepMarks(decoder: Decoder | null): void {
  if (decoder?.text_decoder) decoder.text_decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  for (const each of decoder?.decoders ?? []) keepMarks(each);
}

/** What the library says of a file; not what the host says of the library. */
const reason = (cause: unknown): string => (cause instanceof TypeError || cause instanceof RangeError ? '' : `: ${reasonOf(cause)}`);

/** The settings with tokens as texts: the library does not look into an object for them. */
function plainTokens(config: JsonObject): JsonObject {
  const plain = Object.entries(config).map(([key, value]) => [key, key.endsWith('_token') && isObject(value) ? value.content : value]);
  return Object.fromEntries(plain);
}

async function noTokenizer(checkpoint: Checkpoint): Promise<Error> {
  for (const name of OTHERS) {
    const found = await checkpoint.has(name);
    if (found) {
      const how = `transformers' AutoTokenizer.from_pretrained(…).save_pretrained(…) writes one`;
      return broken(checkpoint.where, 'tokenizer.json', `there is none at ${show(checkpoint.name)}, only ${name}: ${how}`);
    }
  }
  return broken(checkpoint.where, 'tokenizer.json', `there is none at ${show(checkpoint.name)}`);
}
