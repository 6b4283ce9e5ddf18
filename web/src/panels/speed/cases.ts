// The cases of `relpos bench`, by their ids, in words and as work.
import reference from './reference.json';

/** A case, and what the reference knows of it. */
export interface Known {
  readonly id: string;
  readonly quick: boolean;
  readonly unit: string;
  /** Operations or bytes of a call. */
  readonly work: number;
  /** What Node computed, by precision. */
  readonly hashes: Readonly<Record<string, string>>;
}

export const cases: readonly Known[] = reference.cases;
const byId = new Map(cases.map((one) => [one.id, one]));

/** What is known of a case; a later version of the benchmark may have others. */
export const known = (id: string): Known | undefined => byId.get(id);

const KINDS: Readonly<Record<string, string>> = {
  attention: 'attention',
  causal: 'causal attention',
  prefill: 'prefill: rotary, causal',
  decode: 'a step of decoding',
  rotary: 'rotation alone',
  't5-bias': 'T5’s bias',
  alibi: 'ALiBi',
  deberta: 'DeBERTa v2',
  swin: 'Swin, windows of 7×7',
};

const kindOf = (id: string): string => id.slice(0, id.indexOf('/'));
const sizesOf = (id: string): number[] => (id.slice(id.indexOf('/')).match(/\d+/g) ?? []).map(Number);

/** A case in words: what is computed, and how much of it. */
export function inWords(id: string): string {
  const kind = kindOf(id);
  const [L = 0, H, D] = sizesOf(id);
  const name = KINDS[kind] ?? kind;
  const tokens = L.toLocaleString('en');
  if (kind === 'prefill' || kind === 'decode') {
    const [, , G, width] = sizesOf(id);
    return `${name}, ${tokens} ${kind === 'decode' ? 'tokens in the cache' : 'tokens'}, ${H} heads of ${width} on ${G} of keys`;
  }
  if (kind === 'swin') {
    const [windows, , , heads, width] = sizesOf(id);
    return `${name}: ${windows} of them, ${heads} heads of ${width}`;
  }
  return `${name}, ${tokens} tokens, ${H} heads of ${D}`;
}

/** The tokens of a call: those that ask, not those that are looked at. */
export function tokensOf(id: string): number {
  const kind = kindOf(id);
  const [first = 1, rows = 1, columns = 1] = sizesOf(id);
  if (kind === 'decode') return 1;
  return kind === 'swin' ? first * rows * columns : first;
}

/** How a time is shown. */
export type Measure = 'rate' | 'tokens' | 'ms';

export const MEASURES: readonly (readonly [Measure, string])[] = [
  ['rate', 'GFLOP/s, GB/s'],
  ['tokens', 'tokens/s'],
  ['ms', 'ms a call'],
];

/** A time of a case as a number of the measure; undefined if there is no time. */
export function measured(measure: Measure, id: string, ms: number | null): number | undefined {
  if (ms === null || !(ms > 0)) return undefined;
  if (measure === 'ms') return ms;
  if (measure === 'tokens') return (1000 * tokensOf(id)) / ms;
  const work = known(id)?.work;
  return work === undefined ? undefined : work / ms / 1e6;
}

/** The unit of a case in a measure. */
export const unitOf = (measure: Measure, id: string): string =>
  measure === 'ms' ? 'ms' : measure === 'tokens' ? 'tokens/s' : (known(id)?.unit ?? '');
