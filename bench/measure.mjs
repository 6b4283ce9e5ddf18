// The one place that knows the library `benchmark`: it decides how often to repeat a call and when the samples suffice. What is reported is
// ours: median and median absolute deviation, which one slow sample on a busy machine does not move.
import Benchmark from 'benchmark';

/** Seconds that the samples of one case may take, and the fewest samples. */
export const FULL = { maxTime: 2, minSamples: 7, rounds: 11 };
export const QUICK = { maxTime: 0.2, minSamples: 3, rounds: 3 };

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** Median, median absolute deviation and number of samples. */
export function summarize(values) {
  const middle = median(values);
  return { median: middle, mad: median(values.map((x) => Math.abs(x - middle))), samples: values.length };
}

/** Milliseconds of each sample of `run`, which may return a promise. */
export function samplesOf(run, { maxTime, minSamples }) {
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark({
      defer: true,
      maxTime,
      minSamples,
      fn: (deferred) => {
        Promise.resolve(run()).then(
          () => deferred.resolve(),
          // The library knows no failing deferred: it is left behind, and the whole measurement fails.
          reject,
        );
      },
      onComplete: () => resolve(benchmark.stats.sample.map((seconds) => seconds * 1000)),
      onError: () => reject(benchmark.error),
    });
    benchmark.run({ async: true });
  });
}

/** The same for a function that returns at once and takes far less than a microsecond's promise. */
export function samplesOfSync(run, { maxTime, minSamples }) {
  const benchmark = new Benchmark({ maxTime, minSamples, fn: run });
  benchmark.run();
  if (benchmark.error) throw benchmark.error;
  return benchmark.stats.sample.map((seconds) => seconds * 1000);
}

/**
 * Compares by turns, A B A B, so that a drift of the machine hits all alike.
 *
 * @param runs functions; the first is the base
 * @returns for each, in order: `{ median, mad, samples }` in milliseconds, and `ratio`, the median over the rounds of its time over the base's
 */
export async function compare(runs, { rounds }) {
  const short = { maxTime: 0.05, minSamples: 1 };
  for (const run of runs) await run();
  const times = runs.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [n, run] of runs.entries()) times[n].push(median(await samplesOf(run, short)));
  }
  return times.map((own) => ({ ...summarize(own), ratio: median(own.map((time, round) => time / times[0][round])) }));
}
