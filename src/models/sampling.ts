// Which token comes next. The steps and their order are those of transformers' logits processors: repetition penalty, temperature, top-k, top-p,
// min-p, and then a draw. What is computed here are products, quotients and sums of fixed order, which have the same bits on every host; the
// exponentials are a kernel's.

import { RelposError } from '../arguments/errors.ts';
import { uniform } from './random.ts';

/** How tokens are chosen. */
export interface Sampling {
  /** 0: the likeliest token. Else scores are divided by it. */
  readonly temperature: number;
  /** Only this many of the likeliest tokens, and those as likely as the last of them; 0: all. */
  readonly topK: number;
  /** The fewest of the likeliest tokens whose probabilities come to this; 1: all. */
  readonly topP: number;
  /** Only tokens this fraction as likely as the likeliest; 0: all. */
  readonly minP: number;
  /** Scores of tokens that were there before are divided by it, or multiplied where they are negative; 1: nothing. */
  readonly repetitionPenalty: number;
  readonly seed: number;
}

/** The scores of all tokens for one place, in memory that kernels work on. */
export interface Scores {
  /** A live view: what is written there, kernels see. */
  readonly values: Float32Array;
  /** The tokens with the largest scores, by falling score and then by rising number; NaN counts as the largest. At most as many as there are. */
  largest(count: number): ArrayLike<number>;
  /** Puts in place of each score its probability: exp(score / temperature), over the sum of all. */
  softmax(temperature: number): void;
}

/** Tokens that are asked for at first to find those of top-p; four times as many each time that they are too few. */
const NUCLEUS = 64;

/** Chooses the tokens of one sequence, one after the other. */
export class Sampler {
  readonly #sampling: Sampling;
  readonly #sequence: number;
  readonly #seen: Set<number>;
  #step: number;

  /**
   * @param sequence which of a batch it is: another one draws other numbers
   * @param seen tokens that are there before the first choice
   */
  constructor(sampling: Sampling, sequence = 0, seen: Iterable<number> = [], step = 0) {
    this.#sampling = sampling;
    this.#sequence = sequence;
    this.#seen = new Set(seen);
    this.#step = step;
  }

  /** The next token. Writes over the scores. @throws RelposError `bad-checkpoint` if they are no numbers */
  next(scores: Scores): number {
    const token = this.#choose(scores);
    this.#seen.add(token);
    this.#step++;
    return token;
  }

  /** One that goes on from here by itself. */
  fork(sequence: number = this.#sequence): Sampler {
    return new Sampler(this.#sampling, sequence, this.#seen, this.#step);
  }

  #choose(scores: Scores): number {
    const { temperature, topK, topP, minP, repetitionPenalty, seed } = this.#sampling;
    penalise(scores.values, this.#seen, repetitionPenalty);
    const best = scores.largest(1)[0] as number;
    if (!(Math.abs(scores.values[best] as number) < Infinity)) {
      throw new RelposError('bad-checkpoint', `the model's scores are not numbers: ${scores.values[best]} for token ${best}`);
    }
    if (temperature === 0) return best;
    let kept: ArrayLike<number> | undefined = topK > 0 && topK < scores.values.length ? likeliest(scores, topK) : undefined;
    scores.softmax(temperature);
    if (topP < 1) kept = nucleus(scores, kept, topP);
    if (minP > 0) kept = above(scores.values, kept, Math.fround(Math.fround(minP) * (scores.values[best] as number)));
    return draw(scores.values, kept, uniform(seed, this.#sequence, this.#step));
  }
}

/** Makes tokens that were there less likely. */
function penalise(values: Float32Array, seen: Iterable<number>, penalty: number): void {
  if (penalty === 1) return;
  const factor = Math.fround(penalty);
  for (const token of seen) {
    const score = values[token] as number;
    values[token] = score < 0 ? score * factor : score / factor;
  }
}

/** The `count` likeliest tokens and those that are as likely as the last of them. */
function likeliest(scores: Scores, count: number): ArrayLike<number> {
  const { values } = scores;
  const first = scores.largest(count + 1);
  const least = values[first[count - 1] as number] as number;
  if ((values[first[count] as number] as number) < least) return Array.prototype.slice.call(first, 0, count);
  const kept = Array.prototype.filter.call(first, (token: number) => (values[token] as number) > least) as number[];
  for (let token = 0; token < values.length; token++) if (values[token] === least) kept.push(token);
  return kept;
}

/** Of tokens by falling probability, the fewest whose probabilities come to the fraction `part` of all. */
function nucleus(scores: Scores, kept: ArrayLike<number> | undefined, part: number): number[] {
  const { values } = scores;
  const wanted = part * (kept ? sumOf(values, kept) : sumOfAll(values));
  const most = kept?.length ?? values.length;
  for (let count = Math.min(NUCLEUS, most); ; count = Math.min(count * 4, most)) {
    const tokens = kept ?? scores.largest(count);
    const found: number[] = [];
    let sum = 0;
    for (let n = 0; n < tokens.length && (n === 0 || sum < wanted); n++) {
      found.push(tokens[n] as number);
      sum += values[tokens[n] as number] as number;
    }
    if (sum >= wanted || count === most || kept) return found;
  }
}

function sumOf(values: Float32Array, tokens: ArrayLike<number>): number {
  let sum = 0;
  for (let n = 0; n < tokens.length; n++) sum += values[tokens[n] as number] as number;
  return sum;
}

function sumOfAll(values: Float32Array): number {
  let sum = 0;
  for (let n = 0; n < values.length; n++) sum += values[n] as number;
  return sum;
}

/** Those of the tokens, or of all, that are at least this likely. */
function above(values: Float32Array, kept: ArrayLike<number> | undefined, least: number): number[] {
  const found: number[] = [];
  const count = kept?.length ?? values.length;
  for (let n = 0; n < count; n++) {
    const token = kept ? (kept[n] as number) : n;
    if ((values[token] as number) >= least) found.push(token);
  }
  return found;
}

/** The token at which the sum of the probabilities passes the part `u` of all of it. */
function draw(values: Float32Array, kept: ArrayLike<number> | undefined, u: number): number {
  const target = u * (kept ? sumOf(values, kept) : sumOfAll(values));
  const count = kept?.length ?? values.length;
  let sum = 0;
  let last = -1;
  for (let n = 0; n < count; n++) {
    const token = kept ? (kept[n] as number) : n;
    const probability = values[token] as number;
    if (!(probability > 0)) continue;
    last = token;
    sum += probability;
    if (sum > target) return token;
  }
  return last; // A sum in the same order cannot fall short, but for u so near to 1 that the product was rounded up.
}
