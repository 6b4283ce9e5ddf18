// Text from text: what a decoder is used for.

import { checkSignal, reading, wrongType, wrongValue } from '../arguments/check.ts';
import { readList } from '../arguments/numbers.ts';
import { type Readers, readRecord } from '../arguments/record.ts';
import type { Signal } from '../platform/types.ts';
import { isObject } from '../safetensors/header.ts';
import type { ChatMessage, ChatOptions } from './chat.ts';
import { Session } from './decoder-session.ts';
import type { Sequence } from './driver-types.ts';
import { type Finish, type GenerateOptions, type Generation, type IndexedPiece, readGeneration, Writing, write } from './generation.ts';
import { pausing } from './slices.ts';
import { expectKnown, type Tokenizer } from './tokenizer.ts';
import { alone } from './turns.ts';
import { checkFits, type DecoderParts, isToken, roomFor, Writer } from './writer.ts';

/** What is continued: a text, the messages of a chat, or the numbers of tokens in whatever has a length and elements. */
export type Prompt = string | readonly ChatMessage[] | ArrayLike<number>;

/** Options of calls that give numbers. */
export interface RowsOptions {
  readonly signal?: Signal;
}

const ROWS: Readers<RowsOptions> = { signal: (where, name, value) => checkSignal(where, value, name) as Signal };

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
    } catch (error) {
      throw this.reasonOf(where, error);
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
      const pause = pausing(generation.signal);
      for (const [index, prompt] of prompts.entries()) {
        const turn = pause();
        if (turn) await turn;
        const tokens = await this.#tokens(where, `prompts[${index}]`, prompt);
        checkFits(where, `prompts[${index}]`, tokens, generation, driver);
        const room = { capacity: roomFor(tokens, generation, driver), signal: generation.signal };
        // What comes before some models' texts is computed in the rows of a run.
        const sequence = await alone(driver, () => driver.sequence(room));
        sequences.push(sequence);
        writings.push(new Writing(index, sequence, tokens, tokenizer, generation));
      }
      return yield* write(driver, writings, generation, this.ends(where));
    } catch (error) {
      throw this.reasonOf(where, error);
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
  async chat(messages: readonly ChatMessage[], options?: ChatOptions): Promise<string> {
    const where = 'chat';
    const { templates } = this.alive(where);
    if (!Array.isArray(messages)) throw wrongType(where, 'messages', 'an array of { role, content }', messages);
    for (const [n, message] of messages.entries()) {
      if (!isObject(message)) throw wrongType(where, `messages[${n}]`, '{ role, content }', message);
    }
    return templates.render(where, messages, options);
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
    const places = [...tokens.keys()];
    return this.#rows(where, () => driver.logits({ ids: tokens }, places, { signal }));
  }

  /** The last hidden state: one row for each token. */
  async hidden(ids: string | ArrayLike<number>, options: RowsOptions = {}): Promise<Float32Array[]> {
    const where = 'hidden';
    const { driver } = this.alive(where);
    const { signal } = readRecord<RowsOptions>(where, options, ROWS);
    const tokens = await this.#fitting(where, ids);
    const [all] = (await this.#rows(where, () => driver.hidden([{ ids: tokens }], { signal }))) as [Float32Array];
    const { width } = this.blueprint;
    return tokens.map((_, n) => all.slice(n * width, (n + 1) * width));
  }

  async #rows(where: string, work: () => Promise<Float32Array[]>): Promise<Float32Array[]> {
    try {
      return await alone(this.alive(where).driver, work);
    } catch (error) {
      throw this.reasonOf(where, error);
    }
  }

  /** A session; of the tokens that a generation takes at most, if it is for that alone. */
  async #open(where: string, name: string, prompt: Prompt, only?: Generation): Promise<Session> {
    const tokens = await this.#tokens(where, name, prompt);
    const { driver, tokenizer, generation } = this.alive(where);
    if (only) checkFits(where, name, tokens, only, driver);
    const room = { capacity: only && roomFor(tokens, only, driver), signal: only?.signal };
    const sequence = await alone(driver, () => driver.sequence(room));
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
    const tokensOf = (text: string, specialTokens = true): number[] => {
      const { ids } = tokenizer.encode(text, { specialTokens, maxLength: Infinity }, where);
      return [...expectKnown(where, tokenizer, ids, vocabulary)];
    };
    if (typeof prompt === 'string') return atLeastOne(where, name, tokensOf(prompt), tokenizer, vocabulary);
    if (!isList(where, name, prompt)) throw wrongType(where, name, 'a text, messages or numbers of tokens', prompt);
    if (isChat(prompt)) return tokensOf(await templates.render(where, prompt), false);
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

/** A text without tokens begins with the token that texts begin with. */
function atLeastOne(where: string, name: string, tokens: number[], tokenizer: Tokenizer, vocabulary: number): number[] {
  if (tokens.length > 0) return tokens;
  const { bos, eos } = tokenizer.special;
  const begin = bos ?? eos;
  if (begin === undefined) throw wrongValue(where, name, 'at least one token', 'none');
  return [...expectKnown(where, tokenizer, Int32Array.of(begin.id), vocabulary)];
}
