// Work of this thread in slices, between which timers, input and aborts have their turn, as the pool gives it to them.

import { nextTask, now } from '../platform/time.ts';
import type { Signal } from '../platform/types.ts';

/** Asked between two pieces of work: what is to be awaited first, if anything is. It rejects with the signal's reason. */
export type Pause = () => Promise<void> | undefined;

/** Milliseconds of a slice. */
const SLICE_MS = 8;

/** Gives a turn after every slice, in which the signal may end the work. */
export function pausing(signal: Signal | undefined): Pause {
  let end = now() + SLICE_MS;
  return () => {
    if (now() < end) return undefined;
    return nextTask().then(() => {
      end = now() + SLICE_MS;
      if (signal?.aborted) throw signal.reason;
    });
  };
}
