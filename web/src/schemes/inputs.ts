// Queries and keys that the page computes with: what all tokens share, and what each has of its own, by a seed.
import type { Sizes } from './description.ts';
import { forHeads, tokens } from './numbers.ts';
import { type Made, made } from './written.ts';

/** What queries and keys are. */
export interface InputSettings {
  /** What all tokens share. */
  readonly shared: 'ones' | 'seeded' | 'slow';
  /** How much each token has of its own; 0: all are the same. */
  readonly spread: number;
  /** What q is multiplied by. */
  readonly size: number;
  readonly seed: number;
}

export const INPUTS: InputSettings = { shared: 'ones', spread: 0.3, size: 1, seed: 1 };

export const SHARED: readonly (readonly [InputSettings['shared'], string])[] = [
  ['ones', 'ones'],
  ['seeded', 'a seeded vector'],
  ['slow', 'strong slow channels, as in trained models'],
];

type Tokens = Parameters<typeof tokens>;

/** Queries stand at the last L of S positions; queries and keys share what they share, and differ in what is their own. */
const queryTokens = ({ D, L, S }: Sizes, { shared, spread, size, seed }: InputSettings): Tokens => [
  S - L,
  L,
  D,
  shared,
  spread,
  size,
  2 * seed,
];
const keyTokens = ({ D, S }: Sizes, { shared, spread, seed }: InputSettings): Tokens => [0, S, D, shared, spread, 1, 2 * seed + 1];

/** q, [1, H, L, D]: the same for all heads. */
export const queries = (sizes: Sizes, inputs: InputSettings): Float32Array => forHeads(sizes.H, tokens(...queryTokens(sizes, inputs)));

/** k, [1, 1, S, D]: all heads share it. */
export const keys = (sizes: Sizes, inputs: InputSettings): Float32Array => tokens(...keyTokens(sizes, inputs));

/** The same as a program has them. */
export const writtenQueries = (sizes: Sizes, inputs: InputSettings): Made =>
  made('forHeads', sizes.H, made('tokens', ...queryTokens(sizes, inputs)));
export const writtenKeys = (sizes: Sizes, inputs: InputSettings): Made => made('tokens', ...keyTokens(sizes, inputs));

/** The settings as an address holds them. */
export function readInputs(words: Readonly<Record<string, string>>): InputSettings {
  const within = (word: string | undefined, least: number, most: number, otherwise: number): number => {
    const x = word === undefined || word.trim() === '' ? Number.NaN : Number(word);
    return x >= least && x <= most ? x : otherwise;
  };
  return {
    shared: SHARED.find(([one]) => one === words.shared)?.[0] ?? INPUTS.shared,
    spread: within(words.spread, 0, 3, INPUTS.spread),
    size: within(words.size, 0, 4, INPUTS.size),
    seed: Math.round(within(words.seed, 1, 50, INPUTS.seed)),
  };
}

/** Their words; undefined for defaults. */
export function writeInputs(inputs: InputSettings): Record<string, string | undefined> {
  const word = (key: keyof InputSettings): string | undefined => (inputs[key] === INPUTS[key] ? undefined : String(inputs[key]));
  return { shared: word('shared'), spread: word('spread'), size: word('size'), seed: word('seed') };
}
