// All schemes of the page, and a choice of one of them: its name and the values of its parameters, which the address holds.
import { biases } from './biases.ts';
import type { Param, SchemeDescription, Sizes, Values } from './description.ts';
import { rotations } from './rotations.ts';
import { tables } from './tables.ts';
import { windows } from './windows.ts';

const NONE: SchemeDescription = {
  name: 'none',
  title: 'no positions',
  group: 'others',
  look: 'Without positions order does not count: a score depends on what the two tokens are alone.',
  params: [],
  make: () => [],
};

/** Every scheme, those that most people look for first within its group. */
export const descriptions: readonly SchemeDescription[] = [...rotations, ...biases, ...tables, ...windows, NONE];

/** The groups in their order. */
export const groups: readonly SchemeDescription['group'][] = [
  'rotations',
  'biases by distance',
  'tables met by queries',
  'windows and pages',
  'others',
];

const byName = new Map(descriptions.map((one) => [one.name, one]));

/** A scheme and the values of its parameters. */
export interface SchemeChoice {
  readonly name: string;
  readonly values: Values;
}

/** The description of a scheme; `undefined` if there is none of that name. */
export const findDescription = (name: string): SchemeDescription | undefined => byName.get(name);

/** The description of a choice. */
export function descriptionOf({ name }: SchemeChoice): SchemeDescription {
  return byName.get(name) ?? NONE;
}

/** A scheme as it is before anybody moves a slider, but for the values that are given. */
export function choose(name: string, values: Values = {}): SchemeChoice {
  const { params } = byName.get(name) ?? NONE;
  return { name, values: { ...Object.fromEntries(params.map((param) => [param.key, param.default])), ...values } };
}

/** A value read from a word; the default where it is none. */
function readValue(param: Param, word: string | undefined): number | string {
  if (word === undefined) return param.default;
  if ('words' in param) return param.words.some(([one]) => one === word) ? word : param.default;
  const x = Number(word);
  if (word.trim() === '' || !(x >= param.least && x <= param.most)) return param.default;
  // Where its slider can stand: buckets and rows are whole numbers.
  return Math.min(param.most, Math.max(param.least, Number((Math.round(x / param.step) * param.step).toPrecision(12))));
}

/** A choice as an address holds it: `a=t5&a.buckets=16`, with the prefix `a`. */
export function readScheme(words: Readonly<Record<string, string>>, prefix: string, fallback: string): SchemeChoice {
  const name = words[prefix] ?? fallback;
  const known = byName.has(name) ? name : fallback;
  const { params } = byName.get(known) ?? NONE;
  return { name: known, values: Object.fromEntries(params.map((param) => [param.key, readValue(param, words[`${prefix}.${param.key}`])])) };
}

/** Its words; undefined for what is as it would be anyway. */
export function writeScheme(choice: SchemeChoice, prefix: string, fallback: string): Record<string, string | undefined> {
  const own = descriptionOf(choice).params.map((param) => {
    const value = choice.values[param.key];
    return [`${prefix}.${param.key}`, value === param.default ? undefined : String(value)];
  });
  return { [prefix]: choice.name === fallback ? undefined : choice.name, ...Object.fromEntries(own) };
}

/** Whether its bias does not depend on queries and keys. */
export function isBias(choice: SchemeChoice): boolean {
  const { bias = false } = descriptionOf(choice);
  return typeof bias === 'function' ? bias(choice.values) : bias;
}

/** Sizes that people set, before a scheme has its say. */
export type AskedSizes = Omit<Sizes, 'side'>;

/** The sizes that these schemes can share with one another: windows take the greatest square that fits, with a class token where one needs it. */
export function sizesFor(asked: AskedSizes, choices: readonly SchemeChoice[]): Sizes {
  const forms = choices.map((choice) => descriptionOf(choice).form);
  const more = forms.includes('class') ? 1 : 0;
  const side = Math.max(2, Math.floor(Math.sqrt(asked.L - more)));
  if (forms.every((form) => form === undefined)) return { ...asked, S: Math.max(asked.L, asked.S), side };
  const tokens = side * side + more;
  return { ...asked, L: tokens, S: tokens, side };
}

/** Whether two schemes can have the same queries and keys: a window with a class token has one token more than one without. */
export const shareSizes = (choices: readonly SchemeChoice[]): boolean =>
  !['square', 'class'].every((form) => choices.some((choice) => descriptionOf(choice).form === form));

export type { NumberParam, Param, SchemeDescription, Sizes, Values, WordParam } from './description.ts';
