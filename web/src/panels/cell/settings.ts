// The panel's settings, as the address has them.
import type { Asked } from './problem.ts';

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

const DEFAULTS: Settings = { L: 16, head: 0, causal: true, window: 0, softcap: 0, sink: undefined, i: 10, j: 6, block: 4, halves: false };

/** A number of the address between two others; what is none becomes the default. */
function number(words: Words, name: string, least: number, most: number, otherwise: number): number {
  const x = words[name] === undefined || words[name] === '' ? Number.NaN : Number(words[name]);
  return Number.isFinite(x) ? Math.min(most, Math.max(least, x)) : otherwise;
}

export function readSettings(words: Words): Settings {
  const whole = (name: string, least: number, most: number, otherwise: number): number =>
    Math.round(number(words, name, least, most, otherwise));
  const L = whole('L', 4, 32, DEFAULTS.L);
  return {
    L,
    head: whole('head', 0, 3, DEFAULTS.head),
    causal: words.causal === undefined ? DEFAULTS.causal : words.causal === '1',
    window: whole('window', 0, 16, 0),
    softcap: number(words, 'softcap', 0, 50, 0),
    sink: words.sink === undefined ? undefined : number(words, 'sink', -5, 5, 0),
    i: whole('i', 0, L - 1, Math.min(L - 1, DEFAULTS.i)),
    j: whole('j', 0, L - 1, Math.min(L - 1, DEFAULTS.j)),
    block: whole('block', 1, 16, DEFAULTS.block),
    halves: words.halves === '1',
  };
}

export function writeSettings(settings: Settings): Readonly<Record<string, string | undefined>> {
  const word = (name: 'L' | 'head' | 'window' | 'softcap' | 'i' | 'j' | 'block'): string | undefined =>
    settings[name] === DEFAULTS[name] ? undefined : String(settings[name]);
  return {
    L: word('L'),
    head: word('head'),
    causal: settings.causal === DEFAULTS.causal ? undefined : String(Number(settings.causal)),
    window: word('window'),
    softcap: word('softcap'),
    sink: settings.sink === undefined ? undefined : String(settings.sink),
    i: word('i'),
    j: word('j'),
    block: word('block'),
    halves: settings.halves ? '1' : undefined,
  };
}
