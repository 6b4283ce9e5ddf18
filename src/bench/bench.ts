/** What `relpos/bench` does, whichever kernels the entry brings. */
import { wrongType, wrongValue } from '../arguments/check.ts';
import { callback, flag, type Readers, readRecord, whole } from '../arguments/record.ts';
import type { EngineOptions } from '../assemble.ts';
import type { Engine } from '../engine.ts';
import type { Signal } from '../platform/types.ts';
import { cases, type Listed } from './cases.ts';
import { type Clock, watch } from './clock.ts';
import { packageVersion } from './generated/version.ts';
import { describeHost } from './host.ts';
import type { Measuring } from './measure.ts';
import { hashTogether } from './numbers.ts';
import { type Arithmetic, Peak, type PeakKernels } from './peak.ts';
import type { BenchPrecision, BenchResult, BenchRow } from './result.ts';
import { type Budget, runCase, shareOfArithmetic } from './run.ts';

/** What engines `bench` makes: the options of `createEngine`, and several numbers of threads. */
export interface BenchEngines extends Omit<EngineOptions, 'threads'> {
  /** Default `[1, 'auto']`: one thread, and all. */
  readonly threads?: number | 'auto' | readonly (number | 'auto')[];
}

/** How far a benchmark is. */
export interface BenchProgress {
  /** Rows that are done, and rows in all. */
  readonly done: number;
  readonly total: number;
  /** What comes next; missing at the end. */
  readonly next?: string;
  /** The row that was just done. */
  readonly row?: BenchRow;
}

/** Options of `bench`. */
export interface BenchOptions {
  /** Fewer cases and shorter samples: about 20 seconds. */
  readonly quick?: boolean;
  /** Only the cases whose id has this text in it, or fits this pattern; of all cases, also with `quick`. */
  readonly only?: string | RegExp;
  readonly onProgress?: (progress: BenchProgress) => void;
  readonly signal?: Signal;
  /** Milliseconds since some moment; default `performance.now`. */
  readonly now?: () => number;
  /** Run each case so many times and look at no clock: for hosts whose clock stands still, where whoever calls measures around the call. */
  readonly calls?: number;
}

/** Milliseconds of samples for a case, and for each peak. */
const FULL: Budget = { time: 2000, peak: 400 };
const QUICK: Budget = { time: 500, peak: 150 };

const READERS: Readers<BenchOptions> = {
  quick: flag,
  only(where, name, value) {
    if (typeof value === 'string' || value instanceof RegExp) return value;
    throw wrongType(where, name, 'a text or a regular expression', value);
  },
  onProgress: callback,
  signal(where, name, value) {
    if (typeof (value as Signal | null)?.throwIfAborted === 'function') return value as Signal;
    throw wrongType(where, name, 'an AbortSignal', value);
  },
  now: callback,
  calls: whole(1),
};

/** The ids of all cases, in their order. */
export const benchCases: readonly string[] = cases.map(({ id }) => id);

/** What an entry brings. */
export interface OwnBench {
  createEngine(options: EngineOptions): Promise<Engine>;
  readonly peak: PeakKernels;
}

/** `bench` of an entry. */
export async function benchWith(own: OwnBench, subject: Engine | BenchEngines, options: BenchOptions): Promise<BenchResult> {
  const read = readRecord<BenchOptions>('bench', options, READERS);
  const listed = chosen(read);
  const { engines, made } = await enginesOf(own, subject);
  try {
    return await runAll(engines, listed, read, own.peak);
  } finally {
    if (made) for (const { engine } of engines) engine.dispose();
  }
}

/** Cases that are asked for. */
function chosen({ quick = false, only }: BenchOptions): readonly Listed[] {
  if (only === undefined) return cases.filter((one) => one.quick || !quick);
  const found = cases.filter(({ id }) =>
    typeof only === 'string' ? id.includes(only) : new RegExp(only.source, only.flags.replace(/[gy]/g, '')).test(id),
  );
  if (found.length === 0) throw wrongValue('bench', 'only', `a part of ${benchCases.join(', ')}`, String(only));
  return found;
}

interface Used {
  readonly engine: Engine;
  readonly asked: number;
  readonly precision: BenchPrecision;
}

/** Relaxed kernels that do not fuse here give the reproducible bits. */
const precisionOf = ({ capabilities }: Engine, asked: BenchPrecision = 'reproducible'): BenchPrecision =>
  capabilities.relaxedSimd ? 'relaxed' : asked === 'relaxed' ? 'reproducible' : asked;

const isEngine = (subject: object): subject is Engine => typeof (subject as Partial<Engine>).attention === 'function';

/** The engine that was given, or those that were described: no two with as many threads. */
async function enginesOf({ createEngine }: OwnBench, subject: Engine | BenchEngines): Promise<{ engines: readonly Used[]; made: boolean }> {
  if (typeof subject !== 'object' || subject === null) throw wrongType('bench', 'subject', 'an engine or options', subject);
  if (isEngine(subject)) {
    const asked = subject.capabilities.requestedThreads;
    return { engines: [{ engine: subject, asked, precision: precisionOf(subject) }], made: false };
  }
  const { threads = [1, 'auto'], ...rest } = subject;
  const engines: Used[] = [];
  try {
    for (const asked of [threads].flat() as readonly (number | 'auto')[]) {
      const engine = await createEngine({ logger: { warn() {} }, ...rest, threads: asked });
      const { threads: found, requestedThreads } = engine.capabilities;
      const used = { engine, asked: requestedThreads, precision: precisionOf(engine, rest.precision) };
      const known = engines.findIndex((other) => other.engine.capabilities.threads === found);
      // As many threads as another has: of the two, the one that was refused something has something to say.
      if (known < 0) engines.push(used);
      else if (requestedThreads > (engines[known] as Used).asked) engines.splice(known, 1, replaced(engines[known] as Used, used));
      else engine.dispose();
    }
  } catch (error) {
    for (const { engine } of engines) engine.dispose();
    throw error;
  }
  return { engines, made: true };
}

function replaced(old: Used, next: Used): Used {
  old.engine.dispose();
  return next;
}

async function runAll(
  engines: readonly Used[],
  listed: readonly Listed[],
  options: BenchOptions,
  peakKernels: PeakKernels,
): Promise<BenchResult> {
  const { quick = false, onProgress, signal = new AbortController().signal, now = () => performance.now(), calls } = options;
  const host = describeHost();
  const total = listed.length * engines.length;
  onProgress?.({ done: 0, total, next: 'the clock and the peak' });
  const clock = await watch(now);
  const timed = calls === undefined && clock.kind !== 'stands still';
  const budget = quick ? QUICK : FULL;
  const measuring = { clock, budget: budget.peak, signal };
  const { peak, why } = timed ? await makePeak(peakKernels, measuring) : { why: 'nothing is timed' };
  const before = await peak?.arithmetic();
  const rows: BenchRow[] = [];
  for (const one of listed) {
    for (const used of engines) {
      const { engine, precision } = used;
      const { threads } = engine.capabilities;
      onProgress?.({ done: rows.length, total, next: `${one.id}, ${threads} thread${threads > 1 ? 's' : ''}` });
      const row = await runCase(one, engine, { clock: timed ? clock : undefined, budget: budget.time, signal, calls, peak, precision });
      rows.push(sameBits(withShare(one, row, used, before), rows));
      onProgress?.({ done: rows.length, total, row: rows.at(-1) as BenchRow });
    }
  }
  // Once more: what else the machine does may have slowed the first.
  const rates = best(before, await peak?.arithmetic(), why);
  return {
    format: 'relpos-bench',
    relpos: packageVersion,
    date: new Date().toISOString(),
    host,
    precision: (engines[0] as Used).precision,
    quick,
    engines: engines.map(({ engine: { capabilities }, asked }) => ({
      asked,
      threads: capabilities.threads,
      ...(capabilities.reason !== undefined && { reason: capabilities.reason }),
    })),
    clock: { kind: clock.kind, resolution: clock.resolution, ...(!timed && { why: untimed(clock, calls) }) },
    peak: rates,
    rows: rows.map((row, n) =>
      withShare(listed[Math.floor(n / engines.length)] as Listed, row, engines[n % engines.length] as Used, rates),
    ),
    hash: hashTogether(new Map(rows.map(({ case: id, hash }) => [id, hash]))),
  };
}

/** A row whose bits differ from those on another number of threads is a failure. */
function sameBits(row: BenchRow, rows: readonly BenchRow[]): BenchRow {
  const other = rows.find((one) => one.case === row.case && one.hash !== row.hash);
  if (other === undefined || row.failure !== undefined) return row;
  return { ...row, failure: `other bits than on ${other.threads} thread(s): ${row.hash}, not ${other.hash}` };
}

const untimed = ({ kind }: Clock, calls: number | undefined): string =>
  calls === undefined
    ? 'the clock of this host stands still while code runs: outputs were checked and hashed, and nothing was timed; measure around the call (option "calls")'
    : `each case ran ${calls} times and no clock was looked at${kind === 'stands still' ? ', since it stands still here' : ''}`;

async function makePeak(kernels: PeakKernels, measuring: Measuring): Promise<{ peak?: Peak; why?: string }> {
  try {
    return { peak: await Peak.of(kernels, measuring) };
  } catch (error) {
    return { why: `the kernels that measure it cannot run here: ${String(error)}` };
  }
}

function best(a: Arithmetic | undefined, b: Arithmetic | undefined, why: string | undefined): BenchResult['peak'] {
  const larger = (x: number | null = null, y: number | null = null): number | null =>
    x === null || y === null ? (x ?? y) : Math.max(x, y);
  return {
    mulAdd: larger(a?.mulAdd, b?.mulAdd),
    fused: larger(a?.fused, b?.fused),
    int16: larger(a?.int16, b?.int16),
    ...(why !== undefined && { why }),
  };
}

/** Which peak a precision's rows are a share of. */
const PEAKS = { reproducible: 'mulAdd', relaxed: 'fused', int16: 'int16' } as const;

/** A row with its share of arithmetic, if that is what its rate is of. */
function withShare(one: Listed, row: BenchRow, { precision }: Used, rates: BenchResult['peak'] | undefined): BenchRow {
  const most = rates?.[PEAKS[precision]] ?? null;
  return { ...row, share: shareOfArithmetic(one, row, most) ?? row.share };
}
