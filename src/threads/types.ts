/**
 * A kernel the pool can spread over threads: pointers, a tile's number and the number of one of its steps in, nothing out. Most tiles have
 * one step; a kernel of such takes no fourth argument.
 */
import type { Signal, WasmModule } from '../platform/types.ts';

export type TileKernel = (job: number, tile: number, scratch: number, step: number) => void;

/** A module whose kernels a pool runs: the workers make instances of their own. */
export interface KernelModule {
  readonly module: WasmModule;
  /** Exports of the caller's instance. What is no function is passed over; no two modules of a pool have functions of one name. */
  readonly kernels: Readonly<Record<string, unknown>>;
}

/** A stage of a job: `tiles` independent calls of one kernel. Which thread runs which tile never changes a bit of the result. */
export interface Stage {
  /** Name of the exported kernel. */
  readonly kernel: string;
  /** Pointer of the parameter block. */
  readonly job: number;
  readonly tiles: number;
  /** Steps of a tile, 1 unless given. They run in order, on one thread and one scratch, which holds the tile in between. */
  readonly steps?: number;
  /** Bytes of scratch that each thread needs, which holds nothing from one stage to the next. */
  readonly scratch: number;
  /** The most threads that the stage is worth, were it alone; in a job of several all threads of the job take part. */
  readonly threads: number;
  /** What the stage writes, besides memory of its call alone. */
  readonly outputs?: readonly Output[];
}

/** A stage as a thread runs it. */
export interface RunStage {
  readonly kernel: TileKernel;
  readonly job: number;
  readonly tiles: number;
  /** Steps of a tile. */
  readonly steps: number;
}

/** A stage as the caller knows it. */
export interface NamedStage extends RunStage {
  readonly name: string;
  /** Its kernel's number among those of all modules. */
  readonly number: number;
}

/** How a job failed: in which kernel, in words, and what was thrown if it was thrown on this thread. */
export interface Trap {
  readonly name: string | undefined;
  readonly why: string;
  readonly cause?: unknown;
}

/** A job under way, as its caller sees it. */
export interface Course {
  /** Tiles done. */
  readonly done: number;
  /** Lets nobody take another tile, and leaves those that run at their next step. */
  stop(): void;
  /**
   * The caller's share: runs tiles until there are none left or the job is stopped (`true`), or until `pause()`, asked after each step, says so
   * (`false`). A tile that traps stops the job.
   */
  advance(pause: () => boolean): boolean | Trap;
  /** After the share, where other threads have one: awaits those at work, or their loss; how one of them failed, if one did. */
  drain?(): Promise<Trap | undefined>;
}

/** Stages that run in order: all tiles of one are done before any of the next begins. Made by `jobOf`. */
export interface Job {
  readonly stages: readonly Stage[];
  /** Bytes of scratch that each thread needs: the most of a stage. They are taken when the job runs, unless its call holds them. */
  readonly scratch: number;
  /** Where the memory lies that the call holds for it: `memoryOf` says how much. */
  readonly at?: number;
  /** The most threads that may take part; 1 keeps the job on the caller. */
  readonly threads: number;
}

/** The memory that jobs run on, as its pool uses it. */
export interface Reserve {
  /**
   * Takes `bytes` for each of so many threads, one after another, and `more` behind them.
   *
   * @throws RelposError `out-of-memory`, having changed nothing
   */
  scratch(bytes: number, threads: number, more: number): number;
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
  /** Called at most about 20 times a second while a job runs and once at its end, with tiles done and tiles in all, of all stages. */
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
  /**
   * Adds the kernels of another module. Workers that sleep hear no message, so they are dismissed when the calls before this one are done, and
   * others are started that have all modules; meanwhile synchronous calls run on the caller's thread. Resolves when they are there.
   *
   * @throws Error if a kernel of the same name is there already; RelposError `disposed`
   */
  extend(module: KernelModule): Promise<void>;
  /** Ends the workers; a pending job rejects with a `disposed` RelposError. */
  dispose(): void;
}

/** Where the library says what a user should know and no result can tell; `console` is one. */
export interface Logger {
  warn(message: string): void;
}
