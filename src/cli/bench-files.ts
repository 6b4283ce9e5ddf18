// Reads results: those of `relpos bench`, several of them in one file (`npm run bench:runtimes`), and those of `npm run bench:peers`.

import type { BenchHost, BenchPrecision, BenchResult } from '../bench/index.ts';
import { hostText } from './bench-table.ts';
import { readWhole } from './files.ts';
import { InputError, shownPath } from './io.ts';
import { oneLine } from './text.ts';

/** One time of one case. */
export interface Point {
  readonly case: string;
  readonly threads: number;
  readonly unit: string;
  readonly ms: number | null;
  readonly rate: number | null;
  readonly share: number | null;
  /** Of the output's bits; missing if the program does not say. */
  readonly hash?: string;
}

/** The results of one program on one host. */
export interface Series {
  /** `Node 24.21.0`, or a peer's name and version. */
  readonly name: string;
  readonly peer: boolean;
  readonly file: string;
  readonly date: string;
  readonly host: string;
  readonly precision: string;
  readonly peak?: BenchResult['peak'];
  readonly hash?: string;
  readonly notes: readonly string[];
  readonly points: readonly Point[];
}

/** A file that can be read and holds no result. */
class NoResult extends InputError {}

/**
 * Reads the files; series of the same name get their file's name too.
 *
 * @param leaveOut is told of each file that is no result, which is then left out; without it such a file is an error.
 */
export async function readSeries(paths: readonly string[], signal: AbortSignal, leaveOut?: (message: string) => void): Promise<Series[]> {
  const all: Series[] = [];
  for (const path of paths) {
    try {
      all.push(...parsed(path, new TextDecoder().decode(await readWhole(path, signal))));
    } catch (error) {
      if (leaveOut === undefined || !(error instanceof NoResult)) throw error;
      leaveOut(error.message);
    }
  }
  return all.map((one, n) => {
    const twins = all.filter(({ name }) => name === one.name);
    if (twins.length === 1) return one;
    const files = new Set(twins.map(({ file }) => file)).size === twins.length;
    return { ...one, name: `${one.name}, ${files ? one.file : `#${1 + all.slice(0, n).filter(({ name }) => name === one.name).length}`}` };
  });
}

function parsed(path: string, text: string): Series[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new NoResult(`${shownPath(path)}: no JSON`, { cause });
  }
  try {
    const series = seriesOf(path, value as Record<string, unknown>);
    if (series.length > 0) return series;
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
  }
  throw new NoResult(
    `${shownPath(path)}: not a result of relpos bench --json, nor of npm run bench:runtimes or bench:peers of the repository`,
  );
}

function seriesOf(path: string, value: Record<string, unknown>): Series[] {
  const file = (path.split(/[\\/]/).at(-1) as string).replace(/\.json$/, '');
  if (value.format === 'relpos-bench') return [own(file, value as unknown as BenchResult)];
  if (value.format === 'relpos-bench-runtimes') return (value.results as BenchResult[]).map((result) => own(file, result));
  if (value.format === 'relpos-bench-peers')
    return (value.runs as PeersRun[]).flatMap((run) => peersOf(file, { ...value, ...run } as PeersFile));
  if (typeof value.peers === 'object' && Array.isArray(value.results)) return peersOf(file, value as unknown as PeersFile);
  return [];
}

/** A number that is none of these is no measurement. @throws TypeError for anything else than a finite one from 0 on, or nothing */
function amount(value: unknown): number | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new TypeError('not an amount');
}

/** A count of threads or cores. */
function count(value: unknown): number {
  if (Number.isInteger(value) && (value as number) > 0) return value as number;
  throw new TypeError('not a count');
}

/** A text of a line: it goes to a terminal, too. */
function word(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('not a text');
  return oneLine(value);
}

/** One of these texts. */
function one(value: unknown, ...texts: readonly string[]): string {
  if (!texts.includes(value as string)) throw new TypeError(`not one of ${texts.join(', ')}`);
  return value as string;
}

const PRECISIONS: readonly BenchPrecision[] = ['reproducible', 'relaxed', 'int16'];

const unitOf = (value: unknown): string => one(value, 'GFLOP/s', 'GB/s');

/** Rows as there may be: a result has dozens. */
function few<T>(rows: readonly T[]): readonly T[] {
  if (!Array.isArray(rows) || rows.length > 10_000) throw new TypeError('not some rows');
  return rows;
}

function own(file: string, { host, date, precision, peak, hash, rows, engines, clock }: BenchResult): Series {
  const [cores, memory, load] = [amount(host.cores), amount(host.memory), amount(host.load)];
  const machine = oneLine(hostText({ ...host, cores, memory, load } as BenchHost));
  const reasons = engines.flatMap(({ reason, threads }) => (reason === undefined ? [] : [`${count(threads)} thread: ${word(reason)}`]));
  return {
    name:
      word(host.label) +
      (host.context === undefined || host.context === 'page' ? '' : `, ${word(host.context)}`) +
      (precision === 'reproducible' ? '' : `, ${one(precision, ...PRECISIONS)}`),
    peer: false,
    file,
    date: word(date),
    host: machine,
    precision: one(precision, ...PRECISIONS),
    peak: { mulAdd: amount(peak.mulAdd), fused: amount(peak.fused), int16: amount(peak.int16) },
    hash: word(hash),
    notes: [...reasons, ...(clock.why === undefined ? [] : [word(clock.why)])],
    points: few(rows).map((row) => ({
      case: word(row.case),
      threads: count(row.threads),
      unit: unitOf(row.unit),
      ms: amount(row.ms),
      rate: amount(row.rate),
      share: amount(row.share),
      hash: word(row.hash),
    })),
  };
}

/** One host's part of what `npm run bench:peers -- --table` writes; without it, the whole is of one host. */
interface PeersRun {
  /** `Node 24.21.0`. */
  readonly label?: string;
  readonly peak?: BenchResult['peak'];
  readonly peers: Readonly<Record<string, string>>;
  readonly results: readonly {
    readonly id: string;
    readonly rows: readonly {
      readonly peer: string;
      readonly threads: number;
      readonly medianMs: number;
      readonly rate: number;
      readonly unit: string;
      readonly share?: number | null;
      readonly sameWork: boolean;
    }[];
  }[];
}

/** What `npm run bench:peers` writes, as far as it is read here. */
interface PeersFile extends PeersRun {
  readonly date: string;
  readonly node: string;
  readonly cpu: string;
  readonly cpus: number;
}

/** One series a package: the fastest of its rows that do the same work. */
function peersOf(file: string, { date, node, cpu, cpus, label, peak, peers, results }: PeersFile): Series[] {
  const program = label === undefined ? `Node ${word(node).replace(/^v/, '')}` : word(label);
  return Object.entries(peers).map(([name, version]) => ({
    name: `${word(name)} ${word(version)}${label === undefined ? '' : `, ${program}`}`,
    peer: name.split(' ')[0] !== 'relpos',
    file,
    date: word(date),
    host: `${program}, ${word(cpu)}, ${count(cpus)} cores`,
    precision: '',
    ...(peak && { peak: { mulAdd: amount(peak.mulAdd), fused: amount(peak.fused), int16: amount(peak.int16) } }),
    notes: [],
    points: few(results).flatMap(({ id, rows }) => {
      const [best] = few(rows)
        .filter((row) => row.peer === name && row.sameWork)
        .sort((a, b) => a.medianMs - b.medianMs);
      if (best === undefined) return [];
      const { threads, unit, medianMs, rate, share } = best;
      return [
        { case: word(id), threads: count(threads), unit: unitOf(unit), ms: amount(medianMs), rate: amount(rate), share: amount(share) },
      ];
    }),
  }));
}
