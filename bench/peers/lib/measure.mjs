/** Timing: warm-up, then samples of all contenders interleaved, so that a drift of the machine hits all of them alike. */

/**
 * Per contender and case: the time its samples may take, the time to warm up, the most samples worth taking, and how long a
 * first run (with all its compiling and allocating) may take before the contender is left out. For the table of aims, everyone takes at least
 * nine samples, however slow it is.
 */
export const BUDGETS = {
  full: { timeMs: 4000, warmUpMs: 400, minSamples: 1, maxSamples: 50, maxFirstRunMs: 8000 },
  quick: { timeMs: 600, warmUpMs: 100, minSamples: 1, maxSamples: 15, maxFirstRunMs: 2000 },
  table: { timeMs: 1200, warmUpMs: 150, minSamples: 9, maxSamples: 25, maxFirstRunMs: 8000 },
  'quick-table': { timeMs: 300, warmUpMs: 50, minSamples: 3, maxSamples: 9, maxFirstRunMs: 8000 },
};

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A sample repeats a short run until it takes this long, well above the clock's resolution. */
const MIN_SAMPLE_MS = 8;

/** Idle threads of some peers spin for a while after a run; a pause keeps them from slowing the next contender. */
const SETTLE_MS = 15;

async function timeRuns(run, count) {
  const start = performance.now();
  for (let n = 0; n < count; n++) await run();
  return performance.now() - start;
}

/** Runs until the time is up, at least once, and returns the last run's time. */
async function warmUp(run, warmUpMs) {
  const end = performance.now() + warmUpMs;
  let last;
  do last = await timeRuns(run, 1);
  while (performance.now() < end);
  return last;
}

async function schedule(entry, budget) {
  const runMs = await warmUp(entry.run, budget.warmUpMs);
  const runs = Math.max(1, Math.ceil(MIN_SAMPLE_MS / runMs));
  const affordable = Math.floor(budget.timeMs / (runs * runMs));
  return { entry, runs, samples: Math.max(budget.minSamples, Math.min(budget.maxSamples, affordable)), times: [] };
}

/** Spreads the samples of a slow contender evenly over the rounds of the fastest. */
const takesPart = (samples, round, rounds) => Math.floor(((round + 1) * samples) / rounds) > Math.floor((round * samples) / rounds);

/**
 * @param entries `{ run, repeat }`, each run once before; `repeat` is how many units of work one run holds
 * @returns per entry, in order, `{ times, runs }`: milliseconds per unit of work, and runs averaged in each
 */
export async function measure(entries, budget) {
  const plans = [];
  for (const entry of entries) plans.push(await schedule(entry, budget));
  const rounds = Math.max(...plans.map(({ samples }) => samples));
  for (let round = 0; round < rounds; round++) {
    for (const { entry, runs, samples, times } of plans) {
      if (!takesPart(samples, round, rounds)) continue;
      await sleep(SETTLE_MS);
      times.push((await timeRuns(entry.run, runs)) / (runs * entry.repeat));
    }
  }
  return plans.map(({ times, runs }) => ({ times, runs }));
}
