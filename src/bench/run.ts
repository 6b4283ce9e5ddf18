/** Runs one case: verified first, then timed. */
import type { Engine } from '../engine.ts';
import type { Signal } from '../platform/types.ts';
import type { Clock } from './clock.ts';
import type { Case, Prepared } from './making.ts';
import { measure } from './measure.ts';
import { hashOf } from './numbers.ts';
import type { Peak } from './peak.ts';
import { wrongness } from './reference.ts';
import type { BenchPrecision, BenchRow } from './result.ts';

/** Milliseconds of samples: for a case, and for each peak. */
export interface Budget {
  readonly time: number;
  readonly peak: number;
}

/** What a case runs with. */
export interface Running {
  /** Undefined: nothing is timed. */
  readonly clock: Clock | undefined;
  readonly budget: number;
  readonly signal: Signal;
  /** Calls, where nothing is timed; default one. */
  readonly calls: number | undefined;
  readonly peak: Peak | undefined;
  readonly precision: BenchPrecision;
}

const UNTIMED = { ms: null, mad: null, samples: 0, rate: null, share: null } as const;

/** Runs a case on an engine. */
export async function runCase(one: Case, engine: Engine, running: Running): Promise<BenchRow> {
  running.signal.throwIfAborted();
  const prepared = await one.prepare(engine);
  try {
    await prepared.run();
    const deviation = prepared.error();
    const failure = wrongness(running.precision, deviation);
    const { threads } = engine.capabilities;
    const row = { case: one.id, threads, unit: one.unit, work: one.work, error: deviation.error, hash: hashOf(prepared.output()) };
    if (failure !== undefined) return { ...row, ...UNTIMED, calls: 1, failure };
    return { ...row, ...(await times(one, prepared, threads, running)) };
  } finally {
    prepared.dispose();
  }
}

type Timed = Pick<BenchRow, 'ms' | 'mad' | 'samples' | 'calls' | 'rate' | 'share'>;

async function times(one: Case, { run }: Prepared, threads: number, running: Running): Promise<Timed> {
  const { clock, budget, signal, calls = 1 } = running;
  if (clock === undefined) {
    // The first call was the verified one.
    for (let call = 1; call < calls; call++) {
      signal.throwIfAborted();
      await run();
    }
    return { ...UNTIMED, calls };
  }
  const { median, mad, samples, calls: perSample } = await measure(run, { clock, budget, signal });
  const rate = one.work / median / 1e6;
  return { ms: median, mad, samples, calls: perSample, rate, share: await shareOf(one, rate, threads, running) };
}

/** Bytes against what one thread's memory gives on as many; what several get together is not their number times that. */
async function shareOf({ traffic, work }: Case, rate: number, threads: number, { peak }: Running): Promise<number | null> {
  const most = traffic !== undefined && threads === 1 ? await peak?.memory(traffic, work) : undefined;
  return most ? rate / most : null;
}

/** Operations of visible pairs against arithmetic alone, on as many threads. */
export function shareOfArithmetic({ part }: Case, { rate, threads, unit }: BenchRow, arithmetic: number | null): number | null {
  return unit === 'GFLOP/s' && rate !== null && arithmetic !== null ? (rate * part) / (arithmetic * threads) : null;
}
