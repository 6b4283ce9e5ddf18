// What people set on the panel, and how the address holds it.
import { type AskedSizes, choose, descriptionOf, readScheme, type SchemeChoice, writeScheme } from '../../schemes/describe.ts';
import { INPUTS, type InputSettings, readInputs, writeInputs } from '../../schemes/inputs.ts';

/** The most queries and keys. */
export const MOST = 256;
/** The window's slider stands here where there is none. */
export const NO_WINDOW = MOST;

export interface Settings {
  readonly first: SchemeChoice;
  /** Compared with the first; undefined: none. */
  readonly second: SchemeChoice | undefined;
  readonly view: 'beside' | 'difference';
  /** Name of a mistake, or `'none'`. */
  readonly mistake: string;
  readonly asked: AskedSizes;
  readonly head: number;
  readonly causal: boolean;
  /** Keys to the left that a query sees; NO_WINDOW: all. */
  readonly left: number;
  /** 0: none. */
  readonly softcap: number;
  readonly inputs: InputSettings;
  /** The query whose attention is shown as a row. */
  readonly query: number;
  /** The key whose values are said. */
  readonly key: number;
}

export const FIRST = 'rotary';

export const DEFAULTS: Settings = {
  first: choose(FIRST),
  second: undefined,
  view: 'beside',
  mistake: 'none',
  asked: { H: 8, D: 64, L: 128, S: 128 },
  head: 0,
  causal: false,
  left: NO_WINDOW,
  softcap: 0,
  inputs: INPUTS,
  query: 96,
  key: 0,
};

/** A whole number of a word, within its limits; else the default. */
function whole(word: string | undefined, least: number, most: number, otherwise: number): number {
  const x = word === undefined || word.trim() === '' ? Number.NaN : Math.round(Number(word));
  return x >= least && x <= most ? x : otherwise;
}

export function readSettings(words: Readonly<Record<string, string>>): Settings {
  const first = readScheme(words, 'a', FIRST);
  const { asked } = DEFAULTS;
  const H = whole(words.H, 1, 16, asked.H);
  const L = whole(words.L, 4, MOST, asked.L);
  const otherwise = descriptionOf(first).causal ?? false;
  return {
    first,
    second: words.b === undefined ? undefined : readScheme(words, 'b', 'none'),
    view: words.view === 'difference' ? 'difference' : 'beside',
    mistake: words.mistake ?? 'none',
    asked: { H, D: 16 * Math.round(whole(words.D, 16, 128, asked.D) / 16), L, S: whole(words.S, L, MOST, L) },
    head: whole(words.head, 0, H - 1, 0),
    causal: words.causal === undefined ? otherwise : words.causal === 'yes',
    left: whole(words.window, 0, NO_WINDOW, NO_WINDOW),
    softcap: whole(words.softcap, 0, 60, 0),
    inputs: readInputs(words),
    query: whole(words.query, 0, MOST - 1, Math.min(DEFAULTS.query, L - 1)),
    key: whole(words.key, 0, MOST - 1, 0),
  };
}

export function writeSettings(settings: Settings): Record<string, string | undefined> {
  const { first, second, view, mistake, asked, head, causal, left, softcap, inputs, query, key } = settings;
  const unless = (value: number | string, otherwise: number | string): string | undefined =>
    value === otherwise ? undefined : String(value);
  return {
    ...writeScheme(first, 'a', FIRST),
    ...(second && { ...writeScheme(second, 'b', ''), view: unless(view, 'beside') }),
    mistake: unless(mistake, 'none'),
    H: unless(asked.H, DEFAULTS.asked.H),
    D: unless(asked.D, DEFAULTS.asked.D),
    L: unless(asked.L, DEFAULTS.asked.L),
    S: unless(asked.S, asked.L),
    head: unless(head, 0),
    causal: causal === (descriptionOf(first).causal ?? false) ? undefined : causal ? 'yes' : 'no',
    window: unless(left, NO_WINDOW),
    softcap: unless(softcap, 0),
    ...writeInputs(inputs),
    query: unless(query, Math.min(DEFAULTS.query, asked.L - 1)),
    key: unless(key, 0),
  };
}

/** Another first scheme: causal as it is made for, and no mistake of another scheme. */
export function withFirst(settings: Settings, first: SchemeChoice): Settings {
  if (first.name === settings.first.name) return { ...settings, first };
  return { ...settings, first, mistake: 'none', causal: descriptionOf(first).causal ?? false };
}

/** Other sizes; head and query stay within them, and there are at least as many keys as queries. */
export function withSizes(settings: Settings, more: Partial<AskedSizes>): Settings {
  const together = settings.asked.L === settings.asked.S && more.L !== undefined && more.S === undefined;
  const asked = { ...settings.asked, ...more };
  const L = more.S !== undefined && more.L === undefined ? Math.min(asked.L, asked.S) : asked.L;
  const S = together ? L : Math.max(L, asked.S);
  return {
    ...settings,
    asked: { ...asked, L, S },
    head: Math.min(settings.head, asked.H - 1),
    query: Math.min(settings.query, L - 1),
  };
}
