import { type Measure, measured } from './cases.ts';
import published from './published.json';

/** A run of a runtime on the machine of the published results. */
interface Run {
  readonly label: string;
  readonly rows: readonly { readonly case: string; readonly threads: number; readonly ms: number | null }[];
}

/** Published runs of one day, machine and precision. */
export interface Published {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly precision: string;
  readonly runs: readonly Run[];
}

/** The published runs of a precision; there may be none. */
export const publishedOf = (precision: string, all: readonly Published[] = published): Published | undefined =>
  all.find((one) => one.precision === precision);

/** A bar: who, on how many threads, and the number. */
export interface Bar {
  readonly label: string;
  readonly threads: number;
  readonly value: number;
  readonly own: boolean;
}

/** The bars of a case: this browser's, then those that are published. */
export function barsOf(id: string, measure: Measure, own: Run | undefined, { runs }: Pick<Published, 'runs'>): Bar[] {
  const of = ({ label, rows }: Run, mine: boolean): Bar[] =>
    rows.flatMap(({ case: name, threads, ms }) => {
      const value = name === id ? measured(measure, id, ms) : undefined;
      return value === undefined ? [] : [{ label, threads, value, own: mine }];
    });
  return [...(own ? of(own, true) : []), ...runs.flatMap((run) => of(run, false))];
}
