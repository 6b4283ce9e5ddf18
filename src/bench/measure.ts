/**
 * Times a call. tinybench warms up, decides on the number of samples and does the statistics; what it lacks is ours: a sample is as many calls
 * as a coarse clock needs, where tinybench times each call and takes 0 and 1 ms for short ones.
 */
import { Bench } from 'tinybench';
import type { Signal } from '../platform/types.ts';
import { type Clock, event } from './clock.ts';

/** Times of one call, in milliseconds. */
export interface Times {
  readonly median: number;
  /** Median absolute deviation of the samples from it. */
  readonly mad: number;
  readonly best: number;
  readonly samples: number;
  /** Calls in a sample. */
  readonly calls: number;
}

/** Fewest samples. */
const SAMPLES = 5;
/** Shortest sample, in milliseconds; in steps of the clock, so that a step is 2 % of it; and where a timer's delay is part of it. */
const SHORTEST = { ms: 5, steps: 50, withEvent: 150 };

/** What measuring takes. */
export interface Measuring {
  readonly clock: Clock;
  /** Milliseconds to take samples in. */
  readonly budget: number;
  readonly signal: Signal;
  /** Shortest sample in milliseconds, where the clock's steps allow it; default 5. */
  readonly shortest?: number;
}

/** Times `run` by a clock that moves. @throws the signal's reason once it is aborted */
export async function measure(run: () => unknown, { clock, budget, signal, shortest: least = SHORTEST.ms }: Measuring): Promise<Times> {
  const waits = clock.kind === 'between events';
  const shortest = waits ? SHORTEST.withEvent : Math.max(least, SHORTEST.steps * clock.resolution);
  const before = async (): Promise<void> => {
    signal.throwIfAborted();
    if (waits) await event();
  };
  const sample = async (calls: number): Promise<void> => {
    for (let call = 0; call < calls; call++) await run();
    if (waits) await event();
  };
  const calls = await callsFor(shortest, clock, before, sample);
  const bench = new Bench({
    now: clock.now,
    time: budget,
    iterations: SAMPLES,
    warmupTime: budget / 4,
    warmupIterations: 1,
    throws: true,
  });
  bench.add('call', () => sample(calls), { async: true, beforeEach: before });
  await bench.run();
  signal.throwIfAborted();
  const result = bench.tasks[0]?.result;
  if (result === undefined || !('latency' in result)) throw new Error('nothing was measured');
  const { p50, mad, min, samplesCount } = result.latency;
  return { median: p50 / calls, mad: mad / calls, best: min / calls, samples: samplesCount, calls };
}

/** How many calls take at least `shortest` milliseconds. */
async function callsFor(
  shortest: number,
  { now }: Clock,
  before: () => Promise<void>,
  sample: (calls: number) => Promise<void>,
): Promise<number> {
  for (let calls = 1; ; ) {
    await before();
    const started = now();
    await sample(calls);
    const time = now() - started;
    if (time >= shortest) return calls;
    // The first calls compile: at most ten times as many at once.
    calls = Math.ceil(calls * Math.min(10, Math.max(1.2, (1.2 * shortest) / time)));
  }
}
