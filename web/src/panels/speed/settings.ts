import { cases, MEASURES, type Measure } from './cases.ts';

export type Precision = 'reproducible' | 'int16' | 'relaxed';

export const PRECISIONS: readonly (readonly [Precision, string])[] = [
  ['reproducible', 'reproducible'],
  ['int16', 'int16'],
  ['relaxed', 'relaxed'],
];

/** What the panel runs and shows. */
export interface Settings {
  readonly threads: number;
  /** One thread beside the others. */
  readonly one: boolean;
  readonly precision: Precision;
  /** `quick`, `all`, or the id of a case. */
  readonly cases: string;
  readonly measure: Measure;
  /** The case that is put beside published runs. */
  readonly beside: string;
}

/** Cores that the browser tells of; one that says nothing has one. */
export const coresOf = (hardware: number | undefined): number => Math.max(1, Math.floor(hardware ?? 1));

const CASES = ['quick', 'all', ...cases.map(({ id }) => id)];
/** The published runs have the quick cases. */
export const PUBLISHED = cases.filter(({ quick }) => quick).map(({ id }) => id);

/** What a choice of cases is put beside: itself, if it is published. */
export const besideOf = (chosen: string): string => PUBLISHED.find((id) => id === chosen) ?? PUBLISHED[0] ?? '';

const oneOf = <T extends string>(word: string | undefined, words: readonly T[], fallback: T): T =>
  words.find((one) => one === word) ?? fallback;

/** Reads and writes the address, on a device of so many cores: the page keeps one of them to itself unless it is told not to. */
export function settingsFor(cores: number) {
  const usual = Math.max(1, cores - 1);
  return {
    read(words: Readonly<Record<string, string>>): Settings {
      const threads = Number(words.threads);
      const chosen = oneOf(words.cases, CASES, 'quick');
      return {
        threads: Number.isInteger(threads) && threads >= 1 ? Math.min(threads, cores) : usual,
        one: words.one !== 'no',
        precision: oneOf(
          words.precision,
          PRECISIONS.map(([name]) => name),
          'reproducible',
        ),
        cases: chosen,
        measure: oneOf(
          words.measure,
          MEASURES.map(([name]) => name),
          'rate',
        ),
        beside: oneOf(words.beside, PUBLISHED, besideOf(chosen)),
      };
    },
    write({ threads, one, precision, cases: chosen, measure, beside }: Settings): Readonly<Record<string, string | undefined>> {
      return {
        threads: threads === usual ? undefined : String(threads),
        one: one ? undefined : 'no',
        precision: precision === 'reproducible' ? undefined : precision,
        cases: chosen === 'quick' ? undefined : chosen,
        measure: measure === 'rate' ? undefined : measure,
        beside: beside === besideOf(chosen) ? undefined : beside,
      };
    },
  };
}

/** What a run is of. */
export interface Run {
  readonly threads: readonly number[];
  readonly precision: Precision;
  readonly quick: boolean;
  /** The case that is run alone. */
  readonly only?: string | undefined;
}

/** The run that settings describe. */
export const runOf = ({ threads, one, precision, cases: chosen }: Settings): Run => ({
  threads: one && threads > 1 ? [1, threads] : [threads],
  precision,
  quick: chosen !== 'all',
  ...(chosen !== 'all' && chosen !== 'quick' && { only: chosen }),
});

/** The cases that a setting names. */
export const chosenCases = (chosen: string): readonly string[] =>
  cases.filter(({ id, quick }) => chosen === 'all' || (chosen === 'quick' ? quick : chosen === id)).map(({ id }) => id);
