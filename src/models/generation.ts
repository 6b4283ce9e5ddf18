// Text from scores: options, and the loop that chooses tokens for one or several sequences until each has ended.

import { boolean, checkSignal, finite, integer, wrongType, wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { type Reader, type Readers, readRecord } from '../arguments/record.ts';
import type { Signal } from '../platform/types.ts';
import type { Blueprint } from './blueprint.ts';
import type { JsonObject } from './checkpoint.ts';
import type { Driver, Sequence } from './driver-types.ts';
import { Sampler, type Sampling, type Scores } from './sampling.ts';
import { StopFilter } from './stop.ts';
import type { TextStream } from './text-stream.ts';
import type { Tokenizer } from './tokenizer.ts';
import { alone } from './turns.ts';

/** How text is continued. What is left out is as the checkpoint's generation_config.json says, else as stated. */
export interface GenerateOptions {
  /** Tokens at most. Default 256. */
  readonly maxTokens?: number;
  /** 0 takes the likeliest token each time; the higher, the more even the chances. Default 0, or 1 if the checkpoint says that tokens are drawn. */
  readonly temperature?: number;
  /** Only this many of the likeliest tokens; 0 for all. Default 0. */
  readonly topK?: number;
  /** The fewest of the likeliest tokens whose probabilities come to this. Default 1. */
  readonly topP?: number;
  /** Only tokens this fraction as likely as the likeliest. Default 0. */
  readonly minP?: number;
  /** Above 1, tokens that are there already are less likely. Default 1. */
  readonly repetitionPenalty?: number;
  /**
   * Another seed draws other tokens; the same one the same, on every host. A whole number below 2^53. Default 0: a call that is repeated draws
   * the same text.
   */
  readonly seed?: number;
  /** Texts that end the generation; they are not given. */
  readonly stop?: string | readonly string[];
  /** Whether, when the context is full, the older half of it is forgotten and the generation goes on. Default false: it ends. */
  readonly contextShift?: boolean;
  /** Ends the generation; its reason is thrown. */
  readonly signal?: Signal;
}

/**
 * Why a generation ended: the model ended its text, a stop string came, or there were enough tokens or no room for more. It is what the generator
 * returns, which `for await` does not show: `const { done, value } = await pieces.next()`.
 */
export interface Finish {
  readonly reason: 'end' | 'stop' | 'length';
  /** Tokens that were chosen. */
  readonly tokens: number;
}

/** A piece of one of several texts. */
export interface IndexedPiece {
  readonly index: number;
  readonly text: string;
}

/** Options as the loop takes them. */
export interface Generation extends Sampling {
  readonly maxTokens: number;
  readonly stops: readonly string[];
  readonly contextShift: boolean;
  readonly signal: Signal | undefined;
}

const DEFAULT_TOKENS = 256;

const within =
  (expected: string, fits: (x: number) => boolean): Reader<number> =>
  (where, name, value) => {
    const number = finite(where, name, value);
    if (!fits(number)) throw wrongValue(where, name, expected, value);
    return number;
  };

/** Scores that are divided by it stay numbers. */
const isModerate = (x: number): boolean => x >= 2 ** -100 && x <= 2 ** 100;

function readStop(where: string, name: string, value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  for (const [n, stop] of list.entries()) {
    const own = Array.isArray(value) ? `${name}[${n}]` : name;
    if (typeof stop !== 'string') throw wrongType(where, own, 'a string', stop);
    if (stop === '') throw wrongValue(where, own, 'a string that is not empty', '""');
  }
  return list as readonly string[];
}

const READERS: Readers<GenerateOptions> = {
  maxTokens: (where, name, value) => integer(where, name, value, 1),
  temperature: within('0, or a number in 2^-100 … 2^100', (x) => x === 0 || isModerate(x)),
  topK: (where, name, value) => integer(where, name, value, 0),
  topP: within('a number in 0 … 1, not 0', (x) => x > 0 && x <= 1),
  minP: within('a number in 0 … 1', (x) => x >= 0 && x <= 1),
  repetitionPenalty: within('a number in 2^-100 … 2^100', isModerate),
  seed: (where, name, value) => integer(where, name, value, 0, Number.MAX_SAFE_INTEGER),
  stop: readStop,
  contextShift: boolean,
  signal: (where, name, value) => checkSignal(where, value, name) as Signal,
};

/** What generation_config.json calls options of numbers. */
const CONFIG_KEYS = {
  temperature: 'temperature',
  topK: 'top_k',
  topP: 'top_p',
  minP: 'min_p',
  repetitionPenalty: 'repetition_penalty',
} as const;

/** The error of what generation_config.json says. */
export const ofFile = (cause: Error): RelposError =>
  new RelposError('bad-checkpoint', `generation_config.json: ${cause.message}`, { cause });

/** @throws RelposError `bad-checkpoint` if generation_config.json has no such number */
function readOwn(where: string, name: keyof typeof CONFIG_KEYS, value: unknown): number {
  try {
    return (READERS[name] as Reader<number>)(where, CONFIG_KEYS[name], value);
  } catch (cause) {
    throw ofFile(cause as Error);
  }
}

/** The options, over what the checkpoint says. @throws TypeError, RangeError that names the option */
export function readGeneration(where: string, options: unknown, config: JsonObject | undefined): Generation {
  const given = readRecord<GenerateOptions>(where, options ?? {}, READERS);
  const sample = config?.do_sample ?? false;
  if (typeof sample !== 'boolean') throw ofFile(wrongType(where, 'do_sample', 'true or false', sample));
  const draws = sample || given.temperature !== undefined;
  const own = (name: keyof typeof CONFIG_KEYS, otherwise: number, counts = draws): number => {
    if (given[name] !== undefined) return given[name];
    const value = counts ? config?.[CONFIG_KEYS[name]] : undefined;
    return value === undefined || value === null ? otherwise : readOwn(where, name, value);
  };
  return {
    maxTokens: given.maxTokens ?? DEFAULT_TOKENS,
    temperature: own('temperature', draws ? 1 : 0),
    topK: own('topK', 0),
    topP: own('topP', 1),
    minP: own('minP', 0),
    repetitionPenalty: own('repetitionPenalty', 1, true),
    seed: given.seed ?? 0,
    stops: (given.stop as readonly string[] | undefined) ?? [],
    contextShift: given.contextShift ?? false,
    signal: given.signal,
  };
}

/** One text that is being written. */
export class Writing {
  readonly index: number;
  readonly sequence: Sequence;
  /** All tokens, those too that the sequence has not seen yet. */
  readonly tokens: number[];
  readonly #stream: TextStream;
  readonly #filter: StopFilter;
  readonly #sampler: Sampler;
  #chosen = 0;
  finish: Finish | undefined;

  constructor(index: number, sequence: Sequence, tokens: number[], tokenizer: Tokenizer, generation: Generation) {
    this.index = index;
    this.sequence = sequence;
    this.tokens = tokens;
    this.#stream = tokenizer.decodeStream(tokens);
    this.#filter = new StopFilter(generation.stops);
    this.#sampler = new Sampler(generation, index, tokens);
  }

  /** Takes the next token from its scores; the text that can be given on. */
  choose(scores: Scores, { maxTokens }: Generation, ends: ReadonlySet<number>): string {
    const token = this.#sampler.next(scores);
    this.#chosen++;
    if (ends.has(token)) return this.#end('end');
    this.tokens.push(token);
    const text = this.#filter.push(this.#stream.push(token));
    if (this.#filter.stopped) {
      this.finish = { reason: 'stop', tokens: this.#chosen };
      return text;
    }
    return this.#chosen < maxTokens ? text : text + this.#end('length');
  }

  /** What still waits, when the text is at its end. */
  #end(reason: 'end' | 'length'): string {
    const rest = this.#filter.push(this.#stream.end());
    const held = this.#filter.end();
    this.finish = { reason: this.#filter.stopped ? 'stop' : reason, tokens: this.#chosen };
    return rest + held;
  }

  /** Ends it, since there is no room for another token. */
  full(): string {
    return this.#end('length');
  }
}

/** Continues texts side by side: in each step one token for each text that has not ended. Pieces come as they are complete. */
export async function* write(
  driver: Driver,
  writings: readonly Writing[],
  generation: Generation,
  ends: ReadonlySet<number>,
): AsyncGenerator<IndexedPiece, readonly Finish[], void> {
  const { signal } = generation;
  const changes = changesOf(driver.blueprint);
  for (;;) {
    const active: Writing[] = [];
    for (const writing of writings) {
      if (writing.finish !== undefined) continue;
      if (!makeRoom(writing, driver.longest, generation)) {
        const text = writing.full();
        if (text !== '') yield { index: writing.index, text };
      } else active.push(writing);
    }
    if (active.length === 0) return writings.map(({ finish }) => finish as Finish);
    if (signal?.aborted) throw signal.reason;
    // Scores hold until the next call: all are read before another generation has its turn.
    const pieces = await alone(driver, async () => {
      const scores = await driver.extend(
        active.map(({ sequence }) => sequence),
        active.map((writing) => unseen(writing, changes)),
        { signal },
      );
      return active.map((writing, n) => ({ index: writing.index, text: writing.choose(scores[n] as Scores, generation, ends) }));
    });
    for (const piece of pieces) if (piece.text !== '') yield piece;
  }
}

/** Lengths of a text beyond which its rotations are others. */
const changesOf = ({ decoder }: Blueprint): ReadonlySet<number> =>
  new Set(decoder?.layers.flatMap(({ attention }) => attention.positions.flatMap(({ until }) => until ?? [])));

/** The tokens that the sequence has not seen: at least the last one, whose scores are wanted; all of them when what it has does not hold any more. */
function unseen({ sequence, tokens }: Writing, changes: ReadonlySet<number>): readonly number[] {
  const [before, after] = [sequence.length, tokens.length];
  for (const length of changes) if (before > length !== after > length) sequence.truncate(0);
  if (before >= after) sequence.truncate(after - 1);
  return tokens.slice(sequence.length);
}

/** Whether another token fits, after the older half was forgotten if that is wanted. */
function makeRoom({ sequence, tokens }: Writing, longest: number, { contextShift }: Generation): boolean {
  if (tokens.length <= longest) return true;
  if (!contextShift) return false;
  // The first token stays: models lean on it. Positions begin anew, so what is kept is computed again.
  tokens.splice(1, tokens.length - Math.floor(longest / 2));
  sequence.truncate(0);
  return true;
}
