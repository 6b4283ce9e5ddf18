// Vectors, labels and words for texts: what an encoder is used for.

import { boolean, checkFunction, checkSignal, describe, integer, oneOf, wrongType, wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { type Readers, readRecord } from '../arguments/record.ts';
import { Disposing } from '../memory/dispose.ts';
import type { Signal } from '../platform/types.ts';
import type { AttentionMap, AttentionMapOptions } from './attention-map.ts';
import type { Blueprint } from './blueprint.ts';
import type { JsonObject } from './checkpoint.ts';
import type { Driver, TokenText } from './driver-types.ts';
import { type Label, labelsOf, sigmoid, softmax } from './labels.ts';
import type { Pooling, SentenceSettings } from './sentence-files.ts';
import { pausing } from './slices.ts';
import { type EncodeOptions, expectKnown, type Tokenizer } from './tokenizer.ts';

/** Options of every call. */
export interface CallOptions {
  readonly signal?: Signal;
  /** Told after each group of texts, of some 2048 tokens together; `done` and `total` are numbers of texts. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
  /** Tokens of a text at most, with those that frame it, for which there has to be room; what is more is cut off. Default as many as the model takes. */
  readonly maxLength?: number;
}

/** Options of `embed`. What is left out is as the folder's sentence-transformers files say, else as stated. */
export interface EmbedOptions extends CallOptions {
  /** What is made of the tokens' vectors: their mean, the first one, the last one, or the largest number of each channel. Default `'mean'`. */
  readonly pooling?: Pooling;
  /** Whether vectors have length 1. Default true. */
  readonly normalize?: boolean;
  /** The name of a text to put before each text, such as `'query'`; `''` for none. */
  readonly prompt?: string;
}

/** A word for a mask. */
export interface Filling {
  readonly token: string;
  readonly id: number;
  /** Its probability. */
  readonly score: number;
}

/** Two texts that are read together. */
export type TextPair = readonly [string, string];

/** What an encoder is made of. */
export interface EncoderParts {
  readonly driver: Driver;
  readonly tokenizer: Tokenizer;
  readonly config: JsonObject;
  readonly sentences: SentenceSettings | undefined;
  /** Ends what was made for this model alone. */
  readonly end?: () => void;
}

/** Tokens of the texts that run together. */
const GROUP = 2048;

const CALL: Readers<CallOptions> = {
  signal: (where, name, value) => checkSignal(where, value, name) as Signal,
  onProgress: checkFunction as never,
  maxLength: (where, name, value) => integer(where, name, value, 1),
};
const EMBED: Readers<EmbedOptions> = {
  ...CALL,
  pooling: (where, name, value) => oneOf(where, name, value, ['mean', 'cls', 'last', 'max']),
  normalize: boolean,
  prompt: (where, name, value) => {
    if (typeof value !== 'string') throw wrongType(where, name, 'a string', value);
    return value;
  },
};

/** A model that reads a text as a whole. Made by `loadEncoder`; ended by `dispose()` or `using`. */
export class Encoder extends Disposing {
  readonly #parts: EncoderParts;
  #disposed = false;

  /** @internal */
  constructor(parts: EncoderParts) {
    super();
    this.#parts = parts;
  }

  /** What it computes, from which tensors. */
  get blueprint(): Blueprint {
    return this.#parts.driver.blueprint;
  }

  get tokenizer(): Tokenizer {
    return this.#parts.tokenizer;
  }

  /** Tokens that a text may have, special ones included. */
  get maxLength(): number {
    const { tokenizer, sentences, driver } = this.#parts;
    return Math.min(tokenizer.maxLength, sentences?.maxLength ?? Infinity, driver.longest);
  }

  /**
   * A vector for a text, or for each of several.
   *
   * @returns of each text a Float32Array of its own, as long as the model is wide, or as the last layer behind the pooling gives
   * @throws TypeError, RangeError if an argument is wrong; the signal's reason if it is aborted
   * @example
   * const [question, other] = await encoder.embed(['How old are you?', 'What is your age?']);
   */
  embed(text: string, options?: EmbedOptions): Promise<Float32Array>;
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
  async embed(given: string | readonly string[], options: EmbedOptions = {}): Promise<Float32Array | Float32Array[]> {
    const { driver, sentences } = this.#alive('embed');
    const where = 'embed';
    const texts = textsOf(where, 'texts', given);
    const {
      pooling = sentences?.pooling ?? 'mean',
      normalize = sentences?.normalize ?? true,
      prompt,
      ...call
    } = readRecord<EmbedOptions>(where, options, EMBED);
    const before = this.#prompt(where, prompt);
    const tokens = (text: string): TokenText => this.#tokens(where, before + text, undefined, call);
    const vectors = await this.#grouped(texts, call, tokens, (group, run) => driver.vectors(group, { ...run, pooling, normalize }));
    return typeof given === 'string' ? (vectors[0] as Float32Array) : vectors;
  }

  /**
   * The cosine of each text, or vector, of the first list with each of the second: `[first][second]`. Without a second list, of the first with
   * itself.
   *
   * @example
   * const [cosines] = await encoder.similarity('How old are you?', ['What is your age?', 'It rains.']);
   */
  async similarity(
    first: string | readonly string[] | readonly Float32Array[],
    second: string | readonly string[] | readonly Float32Array[] = first,
    options: EmbedOptions = {},
  ): Promise<number[][]> {
    if (!isVectors(second)) textsOf('similarity', 'second', second);
    const a = await this.#vectors('first', first, options);
    const b = second === first ? a : await this.#vectors('second', second, options);
    const pause = pausing(options.signal);
    const cosines: number[][] = [];
    for (const x of a) {
      cosines.push(b.map((y) => cosine(x, y)));
      const turn = pause();
      if (turn) await turn;
    }
    return cosines;
  }

  /**
   * The labels of a text, the surest first; of a list of texts, or pairs of texts, a list for each. For models with a classifier.
   *
   * @throws TypeError if the model has none
   * @example
   * const [best] = await encoder.classify('What a fine day!');
   */
  classify(text: string, options?: CallOptions): Promise<Label[]>;
  classify(texts: readonly (string | TextPair)[], options?: CallOptions): Promise<Label[][]>;
  async classify(given: string | readonly (string | TextPair)[], options: CallOptions = {}): Promise<Label[] | Label[][]> {
    const where = 'classify';
    const { driver } = this.#alive(where);
    const { classifier, modelType } = this.blueprint;
    if (!classifier) throw new TypeError(`${where}: the model has no classifier (it is a ${modelType})`);
    const call = readRecord<CallOptions>(where, options, CALL);
    const isOne = typeof given === 'string';
    const texts = (isOne ? [given] : listOf(where, 'texts', given)).map((text, n) => either(where, `texts[${n}]`, text));
    const tokens = (text: Either): TokenText => this.#tokens(where, ...text, call);
    const labels = await this.#grouped(texts, call, tokens, async (group, run) => {
      return (await driver.labels(group, run)).map((row) => labelsOf(classifier, row, driver.math));
    });
    return isOne ? (labels[0] as Label[]) : labels;
  }

  /**
   * How well texts fit a query: one number for each pair, of a cross-encoder, which has one label. Higher is better; between 0 and 1 unless
   * the checkpoint says that its numbers are to be taken as they are.
   *
   * @example
   * const scores = await reranker.scorePairs([['what is a cat?', 'an animal'], ['what is a cat?', 'a tax']]);
   */
  async scorePairs(pairs: readonly TextPair[], options: CallOptions = {}): Promise<number[]> {
    const where = 'scorePairs';
    const { driver, config } = this.#alive(where);
    const { classifier } = this.blueprint;
    if (classifier?.labels.length !== 1) {
      throw new TypeError(`${where}: the model is no cross-encoder: it has ${classifier?.labels.length ?? 'no'} labels, not one`);
    }
    const call = readRecord<CallOptions>(where, options, CALL);
    const texts = listOf(where, 'pairs', pairs).map((pair, n) => {
      if (!isPair(pair)) throw wrongType(where, `pairs[${n}]`, 'two strings', pair);
      return either(where, `pairs[${n}]`, pair);
    });
    const tokens = (pair: Either): TokenText => this.#tokens(where, ...pair, call);
    const logits = await this.#grouped(texts, call, tokens, (group, run) => driver.labels(group, run));
    const own = (config.sentence_transformers as JsonObject | undefined)?.activation_fn ?? config.sbert_ce_default_activation_function;
    const plain = typeof own === 'string' && own.endsWith('Identity');
    return logits.map(([logit]) => (plain ? (logit as number) : sigmoid(logit as number, driver.math)));
  }

  /**
   * The likeliest words for each mask of a text: `[mask][rank]`. For masked language models.
   *
   * @param text with the tokenizer's mask token in it, such as `[MASK]`
   * @example
   * const [[best]] = await encoder.fillMask('Paris is the [MASK] of France.');
   */
  async fillMask(text: string, options: CallOptions & { readonly count?: number } = {}): Promise<Filling[][]> {
    const where = 'fillMask';
    const { driver, tokenizer } = this.#alive(where);
    const { mask } = tokenizer.special;
    if (!this.blueprint.logits) throw new TypeError(`${where}: the model fills no masks (it is a ${this.blueprint.modelType})`);
    if (!mask) throw new TypeError(`${where}: the checkpoint names no mask token: "mask_token" in tokenizer_config.json does`);
    if (typeof text !== 'string') throw wrongType(where, 'text', 'a string', text);
    const { count = 5, ...call } = readRecord<CallOptions & { readonly count?: number }>(where, options, {
      ...CALL,
      count: (_, name, value) => integer(where, name, value, 1),
    });
    const tokens = this.#tokens(where, text, undefined, call);
    const places = [...(tokens.ids as Int32Array).keys()].filter((n) => tokens.ids[n] === mask.id);
    if (places.length === 0) throw wrongValue(where, 'text', `a text with ${mask.token} in it`, describe(text));
    const rows = await driver.logits(tokens, places, { signal: call.signal });
    return rows.map((row) => this.#likeliest(row, count));
  }

  /** The last hidden state of a text: one row of numbers for each of its tokens. */
  async hidden(text: string, options: CallOptions = {}): Promise<{ readonly ids: Int32Array; readonly rows: Float32Array[] }> {
    const where = 'hidden';
    const { driver } = this.#alive(where);
    if (typeof text !== 'string') throw wrongType(where, 'text', 'a string', text);
    const call = readRecord<CallOptions>(where, options, CALL);
    const tokens = this.#tokens(where, text, undefined, call);
    const [all] = (await driver.hidden([tokens], { signal: call.signal })) as [Float32Array];
    const { width } = this.blueprint;
    const rows = Array.from({ length: tokens.ids.length }, (_, n) => all.slice(n * width, (n + 1) * width));
    return { ids: tokens.ids as Int32Array, rows };
  }

  /**
   * Where each token of a text looks: the weights that a layer's attention gives to the keys, in each head. They are computed as the layer computes
   * them, by the same plan and kernels from the same queries and keys, so all that its scores have is in them: positions, windows, segments. The code is
   * fetched with the first call; a result has H · T · T numbers.
   *
   * @param text of no more tokens than `maxLength`: nothing is cut off
   * @param options `layer` is an integer in 0 … layers − 1, of `blueprint.encoder.layers`
   * @returns the T tokens and `probabilities`, a Float32Array [H, T, T]
   * @throws TypeError, RangeError if an argument is wrong or the text is too long; RelposError `out-of-memory`; the signal's reason if it is aborted
   * @example
   * const { tokens, length, probabilities } = await encoder.attention('The cat sleeps.', { layer: 0 });
   * const ofSecondToken = probabilities.subarray(length, 2 * length); // in head 0
   */
  async attention(text: string, options: AttentionMapOptions): Promise<AttentionMap> {
    const where = 'attention';
    const { driver, tokenizer } = this.#alive(where);
    const { attentionMap } = await import('./attention-map.ts');
    const tokensOf = (given: string): TokenText => this.#tokens(where, given, undefined, {}, Infinity);
    return attentionMap(where, { driver, tokenizer, maxLength: this.maxLength, tokensOf }, text, options);
  }

  /** Gives the memory back; ends the engine too if it was made for this model. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#parts.driver.dispose(this.#parts.end);
  }

  #alive(where: string): EncoderParts {
    if (this.#disposed) throw disposed(where, 'encoder');
    return this.#parts;
  }

  #prompt(where: string, name: string | undefined): string {
    const { prompts = {}, defaultPrompt } = this.#parts.sentences ?? {};
    const wanted = name ?? defaultPrompt ?? '';
    if (wanted === '') return '';
    if (Object.hasOwn(prompts, wanted)) return prompts[wanted] as string;
    if (name === undefined) return '';
    throw wrongValue(where, 'prompt', `one of ${Object.keys(prompts).map(describe).join(', ') || 'none'}`, describe(name));
  }

  #tokens(where: string, text: string, pair: string | undefined, { maxLength = Infinity }: CallOptions, most = this.maxLength): TokenText {
    const { tokenizer, sentences } = this.#parts;
    const lower = (given: string): string => (sentences?.lowerCase ? given.toLowerCase() : given);
    const options: EncodeOptions = { maxLength: Math.min(maxLength, most), pair: pair === undefined ? undefined : lower(pair) };
    const { ids, types } = tokenizer.encode(lower(text), options, where);
    expectKnown(where, tokenizer, ids, this.blueprint.vocabulary);
    return this.#hasTypes() ? { ids, types } : { ids };
  }

  /** Whether the model tells the two parts of a pair apart: tables of one row are those of models that do not. */
  #hasTypes(): boolean {
    const { encoder } = this.blueprint;
    const rows = encoder?.embeddings.type?.shape[0] ?? 0;
    return rows > 1 || Boolean(encoder?.layers.some(({ attention }) => attention.positions.some(({ segments }) => segments)));
  }

  /**
   * Runs texts in groups of so many tokens, in their order. A group becomes tokens when its turn comes, in slices: those of a long list take seconds, in
   * which others have their turn.
   */
  async #grouped<Given, T>(
    given: readonly Given[],
    { signal, onProgress }: CallOptions,
    tokensOf: (text: Given) => TokenText,
    run: (group: readonly TokenText[], options: { signal: Signal | undefined }) => Promise<T[]>,
  ): Promise<T[]> {
    // What the caller does with the list meanwhile is of no matter.
    const texts = [...given];
    const pause = pausing(signal);
    const results: T[] = [];
    let next: TokenText | undefined;
    while (results.length < texts.length) {
      if (signal?.aborted) throw signal.reason;
      const group: TokenText[] = [];
      for (let tokens = 0; results.length + group.length < texts.length; ) {
        const turn = pause();
        if (turn) await turn;
        next ??= tokensOf(texts[results.length + group.length] as Given);
        // One without tokens counts too: a group ends.
        tokens += Math.max(1, next.ids.length);
        if (tokens > GROUP && group.length) break;
        group.push(next);
        next = undefined;
      }
      for (const result of await run(group, { signal })) results.push(result);
      onProgress?.({ done: results.length, total: texts.length });
    }
    return results;
  }

  async #vectors(name: string, given: unknown, options: EmbedOptions): Promise<readonly Float32Array[]> {
    return isVectors(given) ? given : this.embed(textsOf('similarity', name, given), options);
  }

  #likeliest(logits: Float32Array, count: number): Filling[] {
    const { tokenizer, driver } = this.#parts;
    const scores = softmax(logits, driver.math);
    const ranked = [...scores.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b).slice(0, count);
    return ranked.map((id) => ({ token: tokenizer.decode([id]).trim() || (tokenizer.tokenOf(id) ?? ''), id, score: scores[id] as number }));
  }
}

/** The error of a call on what was disposed. */
export function disposed(where: string, what: string): RelposError {
  return new RelposError('disposed', `${where}: the ${what} was disposed`);
}

/** One text, or two that are read together. */
type Either = readonly [text: string, pair: string | undefined];

/** A text or two, which nobody changes. */
function either(where: string, name: string, given: unknown): Either {
  if (typeof given === 'string') return [given, undefined];
  if (isPair(given)) return [given[0], given[1]];
  throw wrongType(where, name, 'a string or two of them', given);
}

const isVectors = (given: unknown): given is readonly Float32Array[] =>
  Array.isArray(given) && given.length > 0 && given.every((each) => each instanceof Float32Array);

const isPair = (given: unknown): given is TextPair =>
  Array.isArray(given) && given.length === 2 && given.every((text) => typeof text === 'string');

/** A list, or what is one list alone. */
function listOf(where: string, name: string, given: unknown, expected = 'an array'): readonly unknown[] {
  if (!Array.isArray(given)) throw wrongType(where, name, expected, given);
  return given;
}

/** Texts, of one or several. */
export function textsOf(where: string, name: string, given: unknown): readonly string[] {
  if (typeof given === 'string') return [given];
  for (const [n, text] of listOf(where, name, given, 'a string or an array of strings').entries()) {
    if (typeof text !== 'string') throw wrongType(where, `${name}[${n}]`, 'a string', text);
  }
  return given as readonly string[];
}

/** The cosine of the angle between two vectors; 0 if one of them is zero. */
function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw wrongValue('similarity', 'second', `vectors of ${a.length} numbers`, `${b.length}`);
  let [dot, aa, bb] = [0, 0, 0];
  for (let n = 0; n < a.length; n++) {
    const [x, y] = [a[n] as number, b[n] as number];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return dot === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
