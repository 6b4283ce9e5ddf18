/**
 * A kernel the pool can spread over threads: pointers, a tile's number and the number of one of its steps in, nothing out. Most tiles have
 * one step; a kernel of such takes no fourth argument.
 */
import type { Signal } from '../platform/types.ts';

export type TileKernel = (job: number, tile: number, scratch: number, step: number) => void;

/** One job: `tiles` independent calls of one kernel. Which thread runs which tile never changes a bit of the result. */
export interface Job {
  /** Name of the exported kernel. */
  readonly kernel: string;
  /** Pointer of the parameter block. */
  readonly job: number;
  readonly tiles: number;
  /** Steps of a tile, 1 unless given. They run in order, on one thread and one scratch, which holds the tile in between. */
  readonly steps?: number;
  /** Bytes of scratch that each thread needs. They are taken when the job runs, not while it waits, unless its call holds them. */
  readonly scratch: number;
  /** Where scratch for all of its threads lies that the call holds. */
  readonly at?: number;
  /** The most threads that may take part; 1 keeps the job on the caller. */
  readonly threads: number;
  /** What the job writes, besides memory of its call alone. */
  readonly outputs?: readonly Output[];
}

/** The memory that jobs run on, as its pool uses it. */
export interface Reserve {
  /** Takes `bytes` for each of so many threads, one after another. @throws RelposError `out-of-memory`, having changed nothing */
  scratch(bytes: number, threads: number): number;
  free(at: number): void;
  /** Hands out nothing again that is allocated now, until `over` settles. */
  quarantine(over: Promise<void>): void;
}

/** What a job writes that may be used after its call has failed: an `out`, a cache. */
export interface Output {
  /** A thread may go on writing to it until `over` settles. */
  lose(over: Promise<void>): void;
}

/** How an asynchronous job is watched and stopped. */
export interface JobOptions {
  readonly signal?: Signal | undefined;
  /** Called at most about 20 times a second while a job runs and once at its end, with tiles done and tiles in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Runs jobs on the caller's thread and, where there are any, on workers. */
export interface Pool {
  /** Threads that take tiles, the caller included: fewer once workers were lost and could not be replaced. */
  readonly threads: number;
  /** Why there are fewer threads than were asked for, in words. */
  readonly reason: string | undefined;
  /** Runs a job without blocking the event loop for longer than a slice; jobs run one after another in call order. */
  run(job: Job, options?: JobOptions): Promise<void>;
  /**
   * Runs a job before returning. Uses the workers only where the calling thread may block and no asynchronous job is running. A blocked
   * thread hears no event: that a worker ended meanwhile shows on Node alone. Elsewhere the call waits for it for ever, which takes a worker
   * of the user's own making that was ended in the moment before.
   */
  runSync(job: Job): void;
  /** Ends the workers; a pending job rejects with a `disposed` RelposError. */
  dispose(): void;
}

/** Where the library says what a user should know and no result can tell; `console` is one. */
export interface Logger {
  warn(message: string): void;
}
