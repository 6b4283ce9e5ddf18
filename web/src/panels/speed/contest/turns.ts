// Times calls in turns, A B C A B C, so that what else the machine does hits all alike.

/** How long to measure, in milliseconds: to warm up, a sample at least, all samples of one. */
export interface Budget {
  readonly warm: number;
  readonly sample: number;
  readonly time: number;
}

export const BUDGET: Budget = { warm: 150, sample: 10, time: 900 };
const QUICKEST: readonly [number, number] = [5, 25];
/** Threads that wait for work may turn for a while: a pause keeps them from slowing who comes next. */
const SETTLE = 15;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function timed(run: () => Promise<unknown>, calls: number): Promise<number> {
  const start = performance.now();
  for (let call = 0; call < calls; call++) await run();
  return performance.now() - start;
}

/** Calls until the time is up, and how many of them a sample takes. */
async function callsFor(run: () => Promise<unknown>, { warm, sample }: Budget): Promise<{ calls: number; ms: number }> {
  const start = performance.now();
  let [calls, passed] = [0, 0];
  do {
    await run();
    calls++;
    passed = performance.now() - start;
  } while (passed < warm);
  const ms = passed / calls;
  return { calls: Math.max(1, Math.ceil(sample / ms)), ms };
}

/** The middle of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The median time of a call of each, in milliseconds. */
export async function inTurns(runs: readonly (() => Promise<unknown>)[], budget: Budget = BUDGET): Promise<number[]> {
  const plans = [];
  for (const run of runs) plans.push({ run, ...(await callsFor(run, budget)), times: [] as number[] });
  const slowest = Math.max(...plans.map(({ calls, ms }) => calls * ms));
  const [fewest, most] = QUICKEST;
  const rounds = Math.min(most, Math.max(fewest, Math.floor(budget.time / slowest)));
  for (let round = 0; round < rounds; round++) {
    for (const { run, calls, times } of plans) {
      await pause(SETTLE);
      times.push((await timed(run, calls)) / calls);
    }
  }
  return plans.map(({ times }) => median(times));
}
