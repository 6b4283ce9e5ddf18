import { now } from '../platform/time.ts';
import type { Course, Job, JobOptions } from './types.ts';

/** Milliseconds between two progress reports. */
const REPORT_MS = 50;

/** One asynchronous call, from `run()` until its promise settles. */
export class Task {
  readonly job: Job;
  readonly promise: Promise<void>;
  #settled = false;
  #failure: { readonly error: unknown } | undefined;
  #course: Course | undefined;
  #reported: number = now();
  /** Tiles in all. */
  readonly #tiles: number;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;
  readonly #options: JobOptions;
  readonly #abort: () => void = () => {
    try {
      this.fail(this.#options.signal?.reason);
    } catch (error) {
      this.fail(error);
    }
  };

  constructor(job: Job, options: JobOptions) {
    this.job = job;
    this.#options = options;
    this.#tiles = job.stages.reduce((sum, { tiles }) => sum + tiles, 0);
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    options.signal?.addEventListener('abort', this.#abort);
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Whether the call has failed, though threads may still work on it. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** The job under way, once it has begun and as long as it is not settled. */
  get course(): Course | undefined {
    return this.#settled ? undefined : this.#course;
  }

  /** From here on a failure stops the job and waits for `finish`. */
  begin(course: Course): void {
    this.#course = course;
  }

  /** Fails the call: at once if it has not begun, else as soon as no thread runs a tile of it. The first failure stands. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    if (this.#course === undefined) this.#settle();
    else this.#course.stop();
  }

  /** Between slices: tells `onProgress` how far the job is, if it is time to. */
  progress(): void {
    if (this.#failure || now() - this.#reported < REPORT_MS || this.#course === undefined) return;
    this.#reported = now();
    this.#report(this.#course.done);
  }

  /** No thread runs a tile any more: reports the end of a job that came to its end, and settles the promise. */
  finish(): void {
    if (!this.#failure) this.#report(this.#tiles);
    this.#settle();
  }

  #report(done: number): void {
    try {
      this.#options.onProgress?.(done, this.#tiles);
    } catch (error) {
      this.fail(error);
    }
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    try {
      this.#options.signal?.removeEventListener('abort', this.#abort);
    } catch {
      // Whatever a signal of the user's own making does, the call settles.
    }
    if (this.#failure) this.#reject(this.#failure.error);
    else this.#resolve();
  }
}
