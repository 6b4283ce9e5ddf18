// Text from text: what a decoder is used for, and a model of an encoder and a decoder.

import { checkSignal, describe, reading, wrongType, wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { readList } from '../arguments/numbers.ts';
import { type Readers, readRecord } from '../arguments/record.ts';
import { Disposing } from '../memory/dispose.ts';
import type { Signal } from '../platform/types.ts';
import type { Blueprint } from './blueprint.ts';
import type { ChatMessage, ChatOptions, ChatTemplates } from './chat.ts';
import type { JsonObject } from './checkpoint.ts';
import type { Driver, Sequence } from './driver-types.ts';
import { disposed, textsOf } from './encoder-model.ts';
import {
  type Finish,
  type GenerateOptions,
  type Generation,
  type IndexedPiece,
  ofFile,
  readGeneration,
  Writing,
  write,
} from './generation.ts';
import type { Tokenizer } from './tokenizer.ts';
import { alone } from './turns.ts';

/** What is continued: a text, the messages of a chat, or the numbers of tokens in whatever has a length and elements. */
export type Prompt = string | readonly ChatMessage[] | ArrayLike<number>;

/** What a decoder is made of. */
export interface DecoderParts {
  readonly driver: Driver;
  readonly tokenizer: Tokenizer;
  readonly templates: ChatTemplates;
  /** `generation_config.json`. */
  readonly generation: JsonObject | undefined;
  /** Ends what was made for this model alone. */
  readonly end?: () => void;
}

/** Options of calls that give numbers. */
export interface RowsOptions {
  readonly signal?: Signal;
}

const ROWS: Readers<RowsOptions> = { signal: (where, name, value) => checkSignal(where, value, name) as Signal };

/** What both kinds of models have that write text. */
abstract class Writer extends Disposing {
  protected readonly parts: DecoderParts;
  readonly #name: string;
  #disposed = false;

  protected constructor(parts: DecoderParts, name: string) {
    super();
    this.parts = parts;
    this.#name = name;
  }

  /** What it computes, from which tensors. */
  get blueprint(): Blueprint {
    return this.parts.driver.blueprint;
  }

  get tokenizer(): Tokenizer {
    return this.parts.tokenizer;
  }

  /** Tokens that a text may have, its continuation included. */
  get context(): number {
    return this.parts.driver.longest;
  }

  /** Gives the memory back; ends the engine too if it was made for this model. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.parts.driver.dispose(this.parts.end);
  }

  protected alive(where: string): DecoderParts {
    if (this.#disposed) throw disposed(where, this.#name);
    return this.parts;
  }

  /** The tokens that end a text. @throws RelposError `bad-checkpoint` if generation_config.json names what is none */
  protected ends(where: string): ReadonlySet<number> {
    const { generation, tokenizer } = this.parts;
    const own = generation?.eos_token_id ?? [];
    const listed: readonly unknown[] = Array.isArray(own) ? own : [own];
    const { tokens, vocabulary } = this.blueprint;
    for (const id of listed) {
      if (!isToken(id as number, vocabulary))
        throw ofFile(wrongValue(where, 'eos_token_id', `tokens in 0 … ${vocabulary - 1}`, describe(id)));
    }
    if (listed.length > 0) return new Set(listed as readonly number[]);
    const { ends } = tokens;
    const { eos } = tokenizer.special;
    return new Set(ends.length > 0 || !eos ? ends : [eos.id]);
  }
}

/** A model that continues text. Made by `loadDecoder`; ended by `dispose()` or `using`. */
export class Decoder extends Writer {
  /** @internal */
  constructor(parts: DecoderParts) {
    super(parts, 'decoder');
  }

  /**
   * Continues a text, or answers in a chat, piece by piece. A piece is text that no token to come can change. The generator's return value
   * says why it ended.
   *
   * @throws TypeError, RangeError if an argument is wrong; the signal's reason if it is aborted
   * @example
   * for await (const piece of decoder.generate('In the beginning', { maxTokens: 64 })) process.stdout.write(piece);
   */
  generate(prompt: Prompt, options?: GenerateOptions): AsyncGenerator<string, Finish, void> {
    const where = 'generate';
    const { generation } = this.alive(where);
    return this.#generate(where, prompt, readGeneration(where, options, generation));
  }

  async *#generate(where: string, prompt: Prompt, generation: Generation): AsyncGenerator<string, Finish, void> {
    const session = await this.#open(where, 'prompt', prompt, generation);
    try {
      return yield* session.continue(generation);
    } finally {
      session.dispose();
    }
  }

  /**
   * Continues several texts side by side, which is faster than one after the other. Each gets the tokens that it would get alone as number
   * `index` of the batch.
   *
   * @example
   * const texts = ['', ''];
   * for await (const { index, text } of decoder.generateAll(['One', 'Two'])) texts[index] += text;
   */
  generateAll(prompts: readonly Prompt[], options?: GenerateOptions): AsyncGenerator<IndexedPiece, readonly Finish[], void> {
    const where = 'generateAll';
    const { generation } = this.alive(where);
    if (!Array.isArray(prompts)) throw wrongType(where, 'prompts', 'an array', prompts);
    return this.#generateAll(where, prompts, readGeneration(where, options, generation));
  }

  async *#generateAll(
    where: string,
    prompts: readonly Prompt[],
    generation: Generation,
  ): AsyncGenerator<IndexedPiece, readonly Finish[], void> {
    const sequences: Sequence[] = [];
    try {
      const { driver, tokenizer } = this.alive(where);
      const writings: Writing[] = [];
      for (const [index, prompt] of prompts.entries()) {
        const tokens = await this.#tokens(where, `prompts[${index}]`, prompt);
        checkFits(where, `prompts[${index}]`, tokens, generation, driver);
        const sequence = await driver.sequence({ capacity: roomFor(tokens, generation, driver), signal: generation.signal });
        sequences.push(sequence);
        writings.push(new Writing(index, sequence, tokens, tokenizer, generation));
      }
      return yield* write(driver, writings, generation, this.ends(where));
    } finally {
      for (const sequence of sequences) sequence.dispose();
    }
  }

  /**
   * A text that is kept, so that it can be continued more than once, and from where it ends: a chat, or a beginning that many have in common.
   *
   * @example
   * using chat = await decoder.session([{ role: 'system', content: 'Be brief.' }]);
   * using copy = await chat.fork();
   */
  async session(prompt: Prompt = ''): Promise<Session> {
    this.alive('session');
    return this.#open('session', 'prompt', prompt);
  }

  /** The text of a chat, as the checkpoint's template has it. */
  chat(messages: readonly ChatMessage[], options?: ChatOptions): Promise<string> {
    return this.alive('chat').templates.render('chat', messages, options);
  }

  /**
   * The scores of the token after each one: as many rows as there are tokens, each as long as the vocabulary.
   *
   * @param ids numbers of tokens, or a text
   */
  async logits(ids: string | ArrayLike<number>, options: RowsOptions = {}): Promise<Float32Array[]> {
    const where = 'logits';
    const { driver } = this.alive(where);
    const { signal } = readRecord<RowsOptions>(where, options, ROWS);
    const tokens = await this.#fitting(where, ids);
    return alone(driver, () => driver.logits({ ids: tokens }, [...tokens.keys()], { signal }));
  }

  /** The last hidden state: one row for each token. */
  async hidden(ids: string | ArrayLike<number>, options: RowsOptions = {}): Promise<Float32Array[]> {
    const where = 'hidden';
    const { driver } = this.alive(where);
    const { signal } = readRecord<RowsOptions>(where, options, ROWS);
    const tokens = await this.#fitting(where, ids);
    const [all] = (await alone(driver, () => driver.hidden([{ ids: tokens }], { signal }))) as [Float32Array];
    const { width } = this.blueprint;
    return tokens.map((_, n) => all.slice(n * width, (n + 1) * width));
  }

  /** A session; of the tokens that a generation takes at most, if it is for that alone. */
  async #open(where: string, name: string, prompt: Prompt, only?: Generation): Promise<Session> {
    const tokens = await this.#tokens(where, name, prompt);
    const { driver, tokenizer, generation } = this.alive(where);
    if (only) checkFits(where, name, tokens, only, driver);
    const sequence = await driver.sequence({ capacity: only && roomFor(tokens, only, driver), signal: only?.signal });
    return new Session({ driver, tokenizer, generation, ends: this.ends(where) }, sequence, tokens, 0);
  }

  /** Tokens of a text that is to be seen whole. */
  async #fitting(where: string, ids: unknown): Promise<number[]> {
    const tokens = await this.#tokens(where, 'ids', ids);
    checkFits(where, 'ids', tokens, {}, this.alive(where).driver);
    return tokens;
  }

  async #tokens(where: string, name: string, prompt: unknown): Promise<number[]> {
    const { tokenizer, templates, driver } = this.alive(where);
    const { vocabulary } = driver.blueprint;
    const tokensOf = (text: string, specialTokens = true): readonly number[] =>
      known(where, [...tokenizer.encode(text, { specialTokens, maxLength: Infinity }).ids], vocabulary);
    if (typeof prompt === 'string') return atLeastOne(where, name, tokensOf(prompt), tokenizer, vocabulary);
    if (!isList(where, name, prompt)) throw wrongType(where, name, 'a text, messages or numbers of tokens', prompt);
    if (isChat(prompt)) return [...tokensOf(await templates.render(where, prompt), false)];
    const ids = readList(where, name, prompt, (id, n) => {
      if (typeof id !== 'number') throw wrongType(where, `${name}[${n}]`, 'the number of a token', id);
      if (!isToken(id, vocabulary)) throw wrongValue(where, `${name}[${n}]`, `a token in 0 … ${vocabulary - 1}`, id);
      return id;
    });
    return atLeastOne(where, name, ids, tokenizer, vocabulary);
  }
}

/** What has a length and elements. */
function isList(where: string, name: string, given: unknown): given is readonly unknown[] {
  if (typeof given !== 'object' || given === null) return false;
  const length = reading(where, name, () => (given as ArrayLike<unknown>).length);
  return Number.isInteger(length) && length >= 0;
}

/** Messages come in an array. */
const isChat = (list: readonly unknown[]): list is readonly ChatMessage[] =>
  Array.isArray(list) && list.length > 0 && Array.from(list).every((one) => typeof one === 'object' && one !== null);

const isToken = (id: number, vocabulary: number): boolean => Number.isInteger(id) && id >= 0 && id < vocabulary;

/** A text without tokens begins with the token that texts begin with. */
function atLeastOne(
  where: string,
  name: string,
  tokens: readonly number[],
  { special: { bos, eos } }: Tokenizer,
  vocabulary: number,
): number[] {
  if (tokens.length > 0) return [...tokens];
  const begin = bos ?? eos;
  if (begin === undefined) throw wrongValue(where, name, 'at least one token', 'none');
  return [...known(where, [begin.id], vocabulary)];
}

/** Tokens that a sequence needs room for. */
function roomFor({ length }: readonly number[], { maxTokens, contextShift }: Generation, { longest }: Driver): number {
  return contextShift ? longest : Math.min(longest, length + maxTokens);
}

/** @throws RangeError if a text does not fit and must not be cut */
function checkFits(
  where: string,
  name: string,
  { length }: readonly number[],
  { contextShift }: Partial<Generation>,
  { longest }: Driver,
): void {
  if (length <= longest || contextShift) return;
  const how = contextShift === undefined ? undefined : 'with "contextShift" the older half of them is forgotten';
  throw wrongValue(where, name, `at most ${longest} tokens`, `${length}`, how);
}

/** The pieces of one text alone, and `check` after each. Broken off, it ends what they come from. */
async function* single(
  pieces: AsyncGenerator<IndexedPiece, readonly Finish[], void>,
  check?: () => void,
): AsyncGenerator<string, Finish, void> {
  try {
    for (;;) {
      const { done, value } = await pieces.next();
      if (done) return value[0] as Finish;
      yield value.text;
      check?.();
    }
  } finally {
    await pieces.return([]);
  }
}

/** @throws RelposError `bad-checkpoint` if the tokenizer has a token that the model has not */
function known(where: string, tokens: readonly number[], vocabulary: number): readonly number[] {
  const strange = tokens.find((id) => id >= vocabulary);
  if (strange === undefined) return tokens;
  throw new RelposError('bad-checkpoint', `${where}: tokenizer.json has a token ${strange}, and the model has ${vocabulary}`);
}

interface SessionParts {
  readonly driver: Driver;
  readonly tokenizer: Tokenizer;
  readonly generation: JsonObject | undefined;
  readonly ends: ReadonlySet<number>;
}

/** A text that is kept while it grows. Made by `decoder.session`; ended by `dispose()` or `using`. */
export class Session extends Disposing {
  readonly #parts: SessionParts;
  readonly #sequence: Sequence;
  readonly #tokens: number[];
  readonly #index: number;
  #forks = 0;
  #state: 'idle' | 'writing' | 'disposed' = 'idle';

  /** @internal */
  constructor(parts: SessionParts, sequence: Sequence, tokens: number[], index: number) {
    super();
    this.#parts = parts;
    this.#sequence = sequence;
    this.#tokens = tokens;
    this.#index = index;
  }

  /** The numbers of its tokens. */
  get tokens(): readonly number[] {
    return [...this.#tokens];
  }

  /** Its text. */
  get text(): string {
    return this.#parts.tokenizer.decode(this.#tokens);
  }

  /** Appends a text, without tokens that frame it. It may become longer than the context: then it is continued with `contextShift` alone. */
  append(text: string): void {
    this.#idle('append');
    if (typeof text !== 'string') throw wrongType('append', 'text', 'a string', text);
    const { tokenizer, driver } = this.#parts;
    const { ids } = tokenizer.encode(text, { specialTokens: false, maxLength: Infinity });
    this.#tokens.push(...known('append', [...ids], driver.blueprint.vocabulary));
  }

  /**
   * Continues it, and keeps what is generated.
   *
   * @throws RangeError if it has more tokens than the context, as it has when an earlier generation filled that, unless `contextShift` is given
   */
  generate(options?: GenerateOptions): AsyncGenerator<string, Finish, void> {
    this.#idle('generate');
    return this.continue(readGeneration('generate', options, this.#parts.generation));
  }

  /** @internal */
  async *continue(generation: Generation): AsyncGenerator<string, Finish, void> {
    this.#idle('generate');
    const { driver, tokenizer, ends } = this.#parts;
    checkFits('generate', 'session', this.#tokens, generation, driver);
    this.#state = 'writing';
    try {
      const writing = new Writing(this.#index, this.#sequence, this.#tokens, tokenizer, generation);
      return yield* single(write(driver, [writing], generation, ends), () => {
        if ((this.#state as string) === 'disposed') throw disposed('generate', 'session');
      });
    } finally {
      if (this.#state === 'writing') this.#state = 'idle';
    }
  }

  /** Another text that begins with this one, whose tokens are not computed again; it draws other tokens with the same seed. */
  async fork(): Promise<Session> {
    this.#idle('fork');
    this.#forks++;
    const [tokens, index] = [[...this.#tokens], this.#index + this.#forks];
    return new Session(this.#parts, await this.#sequence.fork(), tokens, index);
  }

  /** Gives its memory back. */
  dispose(): void {
    if (this.#state === 'disposed') return;
    this.#state = 'disposed';
    this.#sequence.dispose();
  }

  #idle(where: string): void {
    if (this.#state === 'disposed') throw disposed(where, 'session');
    if (this.#state === 'writing') throw new RelposError('busy', `${where}: the session is being continued`);
  }
}

/** A model that reads a text and writes another. Made by `loadSeq2Seq`; ended by `dispose()` or `using`. */
export class Seq2Seq extends Writer {
  /** @internal */
  constructor(parts: DecoderParts) {
    super(parts, 'model');
  }

  /**
   * Writes what the model makes of a text, piece by piece.
   *
   * @example
   * for await (const piece of model.generate('nd gd sd')) process.stdout.write(piece);
   */
  generate(text: string, options?: GenerateOptions): AsyncGenerator<string, Finish, void> {
    const where = 'generate';
    const { generation } = this.alive(where);
    if (typeof text !== 'string') throw wrongType(where, 'text', 'a string', text);
    return this.#generate(where, text, readGeneration(where, options, generation));
  }

  #generate(where: string, text: string, generation: Generation): AsyncGenerator<string, Finish, void> {
    return single(this.#generateAll(where, [text], generation));
  }

  /** The same for several texts side by side. */
  generateAll(texts: readonly string[], options?: GenerateOptions): AsyncGenerator<IndexedPiece, readonly Finish[], void> {
    const where = 'generateAll';
    const { generation } = this.alive(where);
    if (typeof texts === 'string') throw wrongType(where, 'texts', 'an array', texts);
    return this.#generateAll(where, textsOf(where, 'texts', texts), readGeneration(where, options, generation));
  }

  async *#generateAll(
    where: string,
    texts: readonly string[],
    generation: Generation,
  ): AsyncGenerator<IndexedPiece, readonly Finish[], void> {
    const { driver, tokenizer } = this.alive(where);
    const sequences: Sequence[] = [];
    try {
      const writings: Writing[] = [];
      for (const [index, text] of texts.entries()) {
        const { ids } = tokenizer.encode(text, { maxLength: Math.min(tokenizer.maxLength, driver.longest) }, where);
        const tokens = [this.#start(where)];
        const capacity = roomFor(tokens, { ...generation, contextShift: false }, driver);
        const sequence = await alone(driver, () => driver.sequence({ source: { ids }, capacity, signal: generation.signal }));
        sequences.push(sequence);
        writings.push(new Writing(index, sequence, tokens, tokenizer, { ...generation, contextShift: false }));
      }
      return yield* write(driver, writings, { ...generation, contextShift: false }, this.ends(where));
    } finally {
      for (const sequence of sequences) sequence.dispose();
    }
  }

  /** The token with which the decoder starts. */
  #start(where: string): number {
    const { generation, tokenizer } = this.parts;
    const { tokens, vocabulary } = this.blueprint;
    const own = generation?.decoder_start_token_id;
    const start = Number.isInteger(own) ? (own as number) : (tokens.start ?? tokenizer.special.pad?.id ?? 0);
    if (isToken(start, vocabulary)) return start;
    throw new RelposError('bad-checkpoint', `${where}: "decoder_start_token_id" expected a token in 0 … ${vocabulary - 1}, got ${start}`);
  }
}
