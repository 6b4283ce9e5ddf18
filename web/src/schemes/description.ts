// What there is to say of a scheme on the page: its parameters with the papers' letters, and the options of its constructor that they give.
import type { Written } from './written.ts';

/** A parameter that is a number: a slider. */
export interface NumberParam {
  readonly key: string;
  /** The paper's letter, or undefined where papers have none. */
  readonly letter?: string;
  readonly label: string;
  readonly least: number;
  readonly most: number;
  readonly step: number;
  readonly logarithmic?: boolean;
  readonly default: number;
  /** Whether it counts, with the others as they are. */
  readonly when?: (values: Values) => boolean;
}

/** A parameter that is one of some words. */
export interface WordParam {
  readonly key: string;
  readonly label: string;
  /** Words and what they are called. */
  readonly words: readonly (readonly [string, string])[];
  readonly default: string;
  readonly when?: (values: Values) => boolean;
}

export type Param = NumberParam | WordParam;

/** Values of a scheme's parameters by their keys. */
export type Values = Readonly<Record<string, number | string>>;

/** Sizes of the call: heads, head width, queries and keys; and of the square that the tokens fill in a scheme of windows. */
export interface Sizes {
  readonly H: number;
  readonly D: number;
  readonly L: number;
  readonly S: number;
  readonly side: number;
}

/** A scheme as the page has it. */
export interface SchemeDescription {
  /** The constructor's name, or `'none'`. */
  readonly name: string;
  readonly title: string;
  readonly group: 'rotations' | 'biases by distance' | 'tables met by queries' | 'windows and pages' | 'others';
  /** What to look at, in a sentence. */
  readonly look: string;
  readonly params: readonly Param[];
  /** Arguments of the constructor. */
  readonly make: (values: Values, sizes: Sizes) => readonly Written[];
  /** Queries and keys are the cells of a square window, or those and a class token. */
  readonly form?: 'square' | 'class';
  /** It is made for attention to the left. */
  readonly causal?: boolean;
  /** What the call's `scale` must be, where it is not 1/√D. */
  readonly scale?: (values: Values, sizes: Sizes) => number;
  /** Where its numbers come from, if the page made them up. */
  readonly tables?: string;
  /** Adds a bias that does not depend on queries and keys. */
  readonly bias?: boolean | ((values: Values) => boolean);
}

export const numberOf = (values: Values, key: string): number => Number(values[key]);

/** A seed for numbers that a model would have learned. */
export const SEED: NumberParam = { key: 'seed', label: 'seed of the table', least: 1, most: 50, step: 1, default: 1 };

/** How fast a table of the page falls. */
export const fallOf = (value: number, most = 1): NumberParam => ({
  key: 'fall',
  label: 'fall of the table with a step',
  least: 0,
  most,
  step: 0.01,
  default: value,
});

/** How much seeded noise it has. */
export const roughOf = (value: number, most = 2): NumberParam => ({
  key: 'rough',
  label: 'noise in the table',
  least: 0,
  most,
  step: 0.01,
  default: value,
});

export const MADE_UP = 'Learned tables belong to a checkpoint; this one is made up: it falls with the distance, with seeded noise.';
