/** What a host's clock is good for: some are coarse, and some stand still while code runs. */

/** How a clock behaves. */
export interface Clock {
  /** Milliseconds. */
  now(): number;
  /** The smallest step seen, in milliseconds; 0 where it never moved. */
  readonly resolution: number;
  /** `'runs'`; `'between events'`: it moves only when the host delivers one, as on Cloudflare's network; or `'stands still'`. */
  readonly kind: 'runs' | 'between events' | 'stands still';
}

/** Calls of the clock before it counts as standing still: some 50 ms of them at least. */
const PATIENCE = 2_000_000;
/** Steps to see. */
const STEPS = 3;

/** Waits for an event, so that a clock that moves between events can move. */
export const event = (ms = 0): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Watches a clock until it has moved a few times. */
export async function watch(now: () => number): Promise<Clock> {
  let last = now();
  let resolution = Number.POSITIVE_INFINITY;
  for (let call = 0, steps = 0; call < PATIENCE && steps < STEPS; call++) {
    const time = now();
    if (time === last) continue;
    resolution = Math.min(resolution, time - last);
    last = time;
    steps++;
  }
  if (resolution < Number.POSITIVE_INFINITY) return { now, resolution, kind: 'runs' };
  const before = now();
  await event(5);
  const moved = now() - before;
  return moved > 0 ? { now, resolution: moved, kind: 'between events' } : { now, resolution: 0, kind: 'stands still' };
}
