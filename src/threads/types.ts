/** A kernel the pool can spread over threads: `kernel(job, tile, scratch)`, pointers and a tile number in, nothing out. */
export type TileKernel = (job: number, tile: number, scratch: number) => void;

/** One job: `tiles` independent calls of one kernel. Which thread runs which tile never changes a bit of the result. */
export interface Job {
  /** Name of the exported kernel. */
  readonly kernel: string;
  /** Pointer of the parameter block. */
  readonly job: number;
  readonly tiles: number;
  /** Pointer of the first thread's scratch; thread t has `scratch + t * scratchStride`. */
  readonly scratch: number;
  readonly scratchStride: number;
  /** The most threads that may take part (scratch exists for that many); 1 keeps the job on the caller. */
  readonly threads: number;
}

/** How an asynchronous job is watched and stopped. */
export interface JobOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called at most about 20 times a second while a job runs and once at its end, with tiles done and tiles in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Runs jobs on the caller's thread and, where there are any, on workers. */
export interface Pool {
  /** Threads that take tiles, the caller included. */
  readonly threads: number;
  /** Runs a job without blocking the event loop for longer than a slice; jobs run one after another in call order. */
  run(job: Job, options?: JobOptions): Promise<void>;
  /** Runs a job before returning. Uses the workers only where the calling thread may block and no asynchronous job is running. */
  runSync(job: Job): void;
  /** Ends the workers; a pending job rejects with a `disposed` RelposError. */
  dispose(): void;
}

/** Where the library says what a user should know and no result can tell; `console` is one. */
export interface Logger {
  warn(message: string): void;
}
