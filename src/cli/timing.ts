/**
 * Milliseconds of each call within a budget of milliseconds, after a warm-up of a quarter of it: compilers get better at code that has run.
 *
 * @throws the signal's reason once it is aborted
 */
export async function timed(budget: number, signal: AbortSignal, call: () => void | Promise<void>): Promise<number[]> {
  const times: number[] = [];
  const started = performance.now();
  let now = started;
  while (now - started < 1.25 * budget || times.length === 0) {
    signal.throwIfAborted();
    const before = performance.now();
    await call();
    now = performance.now();
    if (before - started > 0.25 * budget) times.push(now - before);
  }
  return times;
}
