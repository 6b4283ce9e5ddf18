// Workers of a queue as all of this package are: one job at a time, gone for others after `lockMs` without a sign.
import { type Job, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { RelposError } from 'relpos';

/** After so many milliseconds without a sign a worker counts as gone, unless it is told otherwise. */
const LOCK_MS = 30_000;

export interface OneAtATime {
  readonly connection: Redis;
  readonly lockMs?: number | undefined;
  /** How often a job may lose its worker before it is given up. */
  readonly mostStalls: number;
  /** What a job is, for those who read the warnings. */
  readonly what: string;
  readonly warn: (text: string) => void;
}

/** Starts a worker. What is wrong with a job, or too large for this machine, stays so: it is not tried again. */
export function workAt<T>(queue: string, run: (job: Job, token: string, lockMs: number) => Promise<T>, options: OneAtATime): Worker {
  const { connection, lockMs = LOCK_MS, mostStalls, what, warn } = options;
  const process = async (job: Job, token = ''): Promise<T> => {
    try {
      return await run(job, token, lockMs);
    } catch (error) {
      const full = error instanceof RelposError && error.code === 'out-of-memory';
      if (full || error instanceof RangeError || error instanceof TypeError) throw new UnrecoverableError(error.message);
      throw error;
    }
  };
  const worker = new Worker(queue, process, {
    connection,
    concurrency: 1,
    lockDuration: lockMs,
    stalledInterval: lockMs,
    maxStalledCount: mostStalls,
    skipVersionCheck: true,
  });
  // Of a connection that is gone it has been told.
  worker.on('error', (error) => connection.status === 'ready' && warn(error.message));
  worker.on('failed', (job, error) => warn(`a ${what} failed here${job ? `, attempt ${job.attemptsMade}` : ''}: ${error.message}`));
  return worker;
}
