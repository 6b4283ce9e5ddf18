/** The caller's part in a job: its share of the tiles, and waiting for the workers that joined. */
import { RelposError } from '../arguments/errors.ts';
import { mayBlock } from '../platform/host.ts';
import { now } from '../platform/time.ts';
import { BELL, DONE, readTrap, STOPPED } from './control.ts';
import { askForMessage, blockUntilEmpty, inside, shut } from './gate.ts';
import { type Share, type ShareOptions, stopTiles, type TileTrap } from './tiles.ts';
import type { Job, RunStage } from './types.ts';
import type { WorkerGroup } from './worker-group.ts';

/** How a job failed: in words, and what was thrown if it was thrown on this thread. */
export interface Trap {
  readonly why: string;
  readonly cause?: unknown;
}

/** Milliseconds that the caller spins for the last workers before it sleeps. */
const SPIN_MS = 0.03;

/** Milliseconds after which a waiting caller looks around. */
const LOOK_MS = 500;
/** Looks that the caller takes at an earlier stage before it sleeps or pauses: some tens of microseconds. */
const STAGE_LOOKS = 2000;

/** The error with which a call of `job` rejects that failed in a kernel of this name. */
const failure = (kernel: string | undefined, { why, ...detail }: Trap): RelposError =>
  new RelposError('kernel-trap', `kernel "${kernel}" failed: ${why}`, detail);

/**
 * The error with which a call of `job` on `words` rejects. A tile that failed is none of those done, and none of a later stage is: so these
 * say in which stage it was.
 */
export function trapError({ stages }: Job, words: Int32Array, trap: Trap): RelposError {
  let left = Atomics.load(words, DONE);
  const stage = stages.find(({ tiles }) => {
    left -= tiles;
    return left < 0;
  });
  return failure((stage ?? stages.at(-1))?.kernel, trap);
}

/** Runs the caller's tiles until there are none left (`true`) or `pause()` says so (`false`); one that traps stops the job for everybody. */
export function runShare(words: Int32Array, share: Share, pause: () => boolean): boolean | Trap {
  try {
    return share.run(pause);
  } catch (error) {
    const { tile, cause } = error as TileTrap;
    stopTiles(words);
    return ownTrap(tile, cause);
  }
}

/** A trap on the caller's own thread. */
const ownTrap = (tile: number, cause: unknown): Trap => ({ why: `tile ${tile} on the caller's thread: ${String(cause)}`, cause });

/** Runs a stage on the caller's thread alone, which needs no control block. @throws RelposError `kernel-trap` */
export function runAlone(name: string | undefined, { kernel, job, tiles, steps }: RunStage, scratch: number): void {
  let tile = 0;
  try {
    for (; tile < tiles; tile++) {
      for (let step = 0; step < steps; step++) kernel(job, tile, scratch, step);
    }
  } catch (cause) {
    throw failure(name, ownTrap(tile, cause));
  }
}

/**
 * How the caller waits for an earlier stage: it turns for a while, then sleeps up to `ms` milliseconds at a time where it may block, and asks
 * `then` whether to pause its share.
 */
export function restOf(words: Int32Array, ms: number, then: () => boolean): ShareOptions['rest'] {
  return (bell, looks) => {
    if (looks < STAGE_LOOKS || (mayBlock() && Atomics.wait(words, BELL, bell, ms) !== 'timed-out')) return false;
    return then();
  };
}

/** How a caller that blocks waits for an earlier stage of a job of the group: it looks around now and then. */
export function restSync(group: WorkerGroup): ShareOptions['rest'] {
  const look = watch(group);
  return restOf(group.words, LOOK_MS, () => {
    look();
    return false;
  });
}

/** Shuts the gate and awaits the workers inside, or their loss; how one of them failed, if one did. */
export async function drain(group: WorkerGroup): Promise<Trap | undefined> {
  const { words } = group;
  shut(words);
  if (!spinUntilEmpty(words) && askForMessage(words)) await group.untilEmpty(LOOK_MS, watch(group));
  return trapOf(group);
}

/** Shuts the gate and blocks until the workers inside have left or are lost; how one of them failed, if one did. */
export function drainSync(group: WorkerGroup): Trap | undefined {
  const { words } = group;
  shut(words);
  if (!spinUntilEmpty(words)) {
    const look = watch(group);
    while (group.lost === undefined && !blockUntilEmpty(words, LOOK_MS)) look();
  }
  return trapOf(group);
}

/**
 * What a waiting caller looks for: a worker that the host says was ended; workers that do not leave a stopped job. Looks are counted, not
 * seconds: a process that was suspended has looked no more often.
 */
function watch(group: WorkerGroup): () => void {
  let stopped = 0;
  return () => {
    group.askHost();
    if (Atomics.load(group.words, STOPPED) !== 0 && ++stopped === 2) group.lose('a stopped job was not left');
  };
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
