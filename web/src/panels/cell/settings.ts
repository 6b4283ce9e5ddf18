// The panel's settings, as the address has them; the scheme, queries and keys in the words of the panel Schemes.
import { descriptionOf, readScheme, type SchemeChoice, writeScheme } from '../../schemes/describe.ts';
import { readInputs, writeInputs } from '../../schemes/inputs.ts';
import { type Asked, sizesOf } from './asked.ts';

/** What is asked, which cell is looked at, and how. */
export interface Settings extends Asked {
  readonly i: number;
  readonly j: number;
  /** Keys of a block. */
  readonly block: number;
  /** Whether the keys are also taken in two halves. */
  readonly halves: boolean;
}

type Words = Readonly<Record<string, string>>;

/** Numbers: least, most, default. */
const NUMBERS = {
  H: [1, 16, 8],
  D: [16, 64, 16],
  L: [2, 32, 16],
  S: [2, 32, 16],
  head: [0, 15, 0],
  window: [0, 32, 32],
  softcap: [0, 60, 0],
  i: [0, 31, 10],
  j: [0, 31, 6],
  block: [1, 16, 4],
} as const;

type NumberName = keyof typeof NUMBERS;

const NAMES = Object.keys(NUMBERS) as NumberName[];
const [PREFIX, FALLBACK] = ['a', 'rotary'];

/** The ends of a number's slider. */
export const ends = (name: NumberName): { readonly least: number; readonly most: number } => ({
  least: NUMBERS[name][0],
  most: NUMBERS[name][1],
});

/** The window's slider stands here where there is none. */
export const NO_WINDOW = NUMBERS.window[2];

/** A number of the address; one that is too small or large, as those of the larger pictures of Schemes, comes to the end, and what is none becomes the default. */
function number(words: Words, name: string, [least, most, otherwise]: readonly [number, number, number]): number {
  const word = words[name]?.trim();
  const x = word ? Number(word) : Number.NaN;
  return Number.isNaN(x) ? otherwise : Math.min(most, Math.max(least, x));
}

/** Whether the scheme is made for attention to the left. */
export const causalBy = (scheme: SchemeChoice): boolean => descriptionOf(scheme).causal ?? false;

/** The same with the cell and the head inside the call. */
export function within(settings: Settings): Settings {
  const { L, S } = sizesOf(settings);
  const { i, j, head, H } = settings;
  return { ...settings, i: Math.min(i, L - 1), j: Math.min(j, S - 1), head: Math.min(head, H - 1) };
}

export function readSettings(words: Words): Settings {
  const numbers = Object.fromEntries(NAMES.map((name) => [name, number(words, name, NUMBERS[name])])) as Record<NumberName, number>;
  // A softcap of next to nothing is none: the engine knows no such numbers.
  for (const name of NAMES) numbers[name] = name === 'softcap' ? Math.round(100 * numbers[name]) / 100 : Math.round(numbers[name]);
  const scheme = readScheme(words, PREFIX, FALLBACK);
  return within({
    ...numbers,
    scheme,
    inputs: readInputs(words),
    D: 16 * Math.round(numbers.D / 16),
    S: words.S === undefined ? numbers.L : Math.max(numbers.L, numbers.S),
    causal: words.causal === undefined ? causalBy(scheme) : words.causal === 'yes',
    sink: words.sink === undefined ? undefined : number(words, 'sink', [-10, 10, 0]),
    halves: words.halves === '1',
  });
}

export function writeSettings(settings: Settings): Readonly<Record<string, string | undefined>> {
  const { scheme, inputs, L, S, causal, sink, halves } = settings;
  const numbers = NAMES.map((name) => [name, settings[name] === NUMBERS[name][2] ? undefined : String(settings[name])]);
  return {
    ...writeScheme(scheme, PREFIX, FALLBACK),
    ...writeInputs(inputs),
    ...Object.fromEntries(numbers),
    S: S === L ? undefined : String(S),
    causal: causal === causalBy(scheme) ? undefined : causal ? 'yes' : 'no',
    sink: sink === undefined ? undefined : String(sink),
    halves: halves ? '1' : undefined,
  };
}
