/** The caller's part in a job: its share of the tiles, and waiting for the workers that joined. */
import { RelposError } from '../arguments/errors.ts';
import { now } from '../platform/time.ts';
import { DONE, readTrap } from './control.ts';
import { askForMessage, blockUntilEmpty, inside, shut } from './gate.ts';
import { stopTiles, type TileTrap, takeTiles } from './tiles.ts';
import type { Job, TileKernel } from './types.ts';
import type { WorkerGroup } from './worker-group.ts';

/** How a job failed: in words, and what was thrown if it was thrown on this thread. */
export interface Trap {
  readonly why: string;
  readonly cause?: unknown;
}

/** Milliseconds that the caller spins for the last workers before it sleeps. */
const SPIN_MS = 0.03;

/** The error with which a call of `job` rejects. */
export function trapError(job: Job, { why, ...detail }: Trap): RelposError {
  return new RelposError('kernel-trap', `kernel "${job.kernel}" failed: ${why}`, detail);
}

/** Takes tiles until there are none left (`true`) or `pause()` says so (`false`); a tile that fails stops the job for everybody. */
export function takeShare(words: Int32Array, job: Job, kernel: TileKernel, pause: () => boolean): boolean | Trap {
  try {
    return takeTiles(words, { kernel, job: job.job, tiles: job.tiles, scratch: job.scratch }, pause);
  } catch (error) {
    const { tile, cause } = error as TileTrap;
    stopTiles(words, job.tiles);
    return { why: `tile ${tile} on the caller's thread: ${String(cause)}`, cause };
  }
}

/** Shuts the gate and awaits the workers inside; how one of them failed, if one did. */
export async function drain(group: WorkerGroup): Promise<Trap | undefined> {
  const { words } = group;
  shut(words);
  if (!spinUntilEmpty(words) && askForMessage(words)) await group.untilEmpty();
  return trapOf(group);
}

/** Shuts the gate and blocks until the workers inside have left; how one of them failed, if one did. */
export function drainSync(group: WorkerGroup): Trap | undefined {
  const { words } = group;
  shut(words);
  if (!spinUntilEmpty(words)) {
    let done = Atomics.load(words, DONE);
    while (group.lost === undefined && !blockUntilEmpty(words, group.stallMs)) done = group.checkStall(done);
  }
  return trapOf(group);
}

function trapOf(group: WorkerGroup): Trap | undefined {
  const why = group.lost ?? readTrap(group.words);
  return why === undefined ? undefined : { why };
}

/** A worker that finds no tile leaves within this time as a rule, and no event of the host is half as quick. */
function spinUntilEmpty(words: Int32Array): boolean {
  for (const end = now() + SPIN_MS; inside(words) > 0; ) if (now() >= end) return false;
  return true;
}
