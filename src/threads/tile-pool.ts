import { RelposError } from '../arguments/errors.ts';
import { mayBlock } from '../platform/host.ts';
import { nextTask, now } from '../platform/time.ts';
import { drain, drainSync, type Trap, takeShare, trapError } from './caller.ts';
import { CONTROL_WORDS, writeJob } from './control.ts';
import { open } from './gate.ts';
import { Task } from './task.ts';
import type { Job, JobOptions, Logger, Pool, TileKernel } from './types.ts';
import { startWorkerGroup, type WorkerGroup, type WorkerGroupPlan } from './worker-group.ts';

/** Milliseconds of tiles that the caller runs between two turns of the event loop. */
const SLICE_MS = 8;

/** A queue of calls, and a group of workers that is started anew after it was lost. How threads share a job: gate.ts. */
export class TilePool implements Pool {
  readonly #kernels: ReadonlyMap<string, TileKernel>;
  readonly #names: readonly string[];
  readonly #logger: Logger | undefined;
  /** How to start workers; unset for good once there can be none. */
  #plan: WorkerGroupPlan | undefined;
  #group: WorkerGroup | undefined;
  /** Settles when the last group is gone, to whether none of its threads can still run. */
  #dismissal: Promise<boolean> = Promise.resolve(true);
  readonly #waiting: Task[] = [];
  #current: Task | undefined;
  #disposed = false;

  constructor(kernels: ReadonlyMap<string, TileKernel>, plan?: WorkerGroupPlan, logger?: Logger) {
    this.#kernels = kernels;
    this.#names = [...kernels.keys()];
    this.#plan = plan;
    this.#logger = logger;
  }

  get threads(): number {
    return (this.#plan?.size ?? 0) + 1;
  }

  /** Starts the workers. If that fails the pool is the caller's thread alone from here on; resolves to the reason in words. */
  async start(): Promise<string | undefined> {
    if (!this.#plan) return undefined;
    try {
      if (!(await this.#dismissal)) throw new Error('a thread of the last workers may still run');
      const group = await startWorkerGroup(this.#plan);
      group.onLost((why) => this.#lose(group, why));
      this.#group = group;
      if (this.#disposed) this.#dismiss(group);
      return undefined;
    } catch (error) {
      this.#plan = undefined;
      return (error as Error).message;
    }
  }

  run(job: Job, options: JobOptions = {}): Promise<void> {
    if (this.#disposed) return Promise.reject(disposedError());
    if (options.signal?.aborted) return Promise.reject(options.signal.reason);
    const task = new Task(job, options);
    this.#waiting.push(task);
    if (!this.#current) void this.#serve();
    return task.promise;
  }

  /** Performs the waiting calls in turn. */
  async #serve(): Promise<void> {
    this.#current = this.#waiting.shift();
    await undefined; // `run` returns before anything is called back.
    for (; this.#current; this.#current = this.#waiting.shift()) await this.#perform(this.#current);
  }

  async #perform(task: Task): Promise<void> {
    const group = task.settled ? undefined : await this.#crewFor(task.job);
    if (task.settled) return;
    const words = this.#open(task.job, group);
    task.begin(words);
    const own = await this.#slices(task, words);
    const theirs = group && (await drain(group));
    const trap = own ?? theirs;
    if (trap) task.fail(trapError(task.job, trap));
    if (trap && group) await this.#dismiss(group);
    task.finish();
    if (trap) for (const later of this.#waiting.splice(0)) later.fail(trapError(task.job, trap));
  }

  /** The workers, started anew if they were lost; none for a job that one thread does. */
  async #crewFor(job: Job): Promise<WorkerGroup | undefined> {
    if (this.#sharers(job) < 2) return undefined;
    if (!this.#group) {
      const reason = await this.start();
      if (reason !== undefined) this.#logger?.warn(`relpos: one thread from here on: ${reason}`);
    }
    return this.#group;
  }

  #sharers(job: Job): number {
    return Math.min(job.threads, job.tiles, this.threads);
  }

  /** Writes the job down and lets the group in; without a group the job has words of its own. */
  #open(job: Job, group: WorkerGroup | undefined): Int32Array {
    const words = group?.words ?? new Int32Array(CONTROL_WORDS);
    const threads = group ? this.#sharers(job) : 1;
    writeJob(words, { ...job, kernel: this.#names.indexOf(job.kernel), threads });
    if (group) open(words, threads - 1);
    return words;
  }

  /** The caller's share, with a turn of the event loop between slices. */
  async #slices(task: Task, words: Int32Array): Promise<Trap | undefined> {
    const kernel = this.#kernel(task.job);
    for (;;) {
      const end = now() + SLICE_MS;
      const done = takeShare(words, task.job, kernel, () => now() >= end);
      if (typeof done === 'object') return done;
      if (done) return undefined;
      await nextTask();
      task.progress();
    }
  }

  #kernel(job: Job): TileKernel {
    return this.#kernels.get(job.kernel) as TileKernel;
  }

  runSync(job: Job): void {
    if (this.#disposed) throw disposedError();
    const group = this.#sharers(job) > 1 && mayBlock() ? this.#freeCrew() : undefined;
    const words = this.#open(job, group);
    const own = takeShare(words, job, this.#kernel(job), () => false);
    const theirs = group && drainSync(group);
    const trap = typeof own === 'object' ? own : theirs;
    if (!trap) return;
    if (group) void this.#dismiss(group);
    throw trapError(job, trap);
  }

  /** The group, unless it works on an asynchronous call. */
  #freeCrew(): WorkerGroup | undefined {
    return this.#group && !this.#current?.runsOn(this.#group.words) ? this.#group : undefined;
  }

  /** The group lost a worker: the call that it works on stops, and the next one starts a new group. */
  #lose(group: WorkerGroup, why: string): void {
    const task = this.#current;
    if (task?.runsOn(group.words)) task.fail(trapError(task.job, { why }));
    else void this.#dismiss(group);
  }

  #dismiss(group: WorkerGroup): Promise<boolean> {
    if (this.#group === group) this.#group = undefined;
    this.#dismissal = group.dismiss();
    return this.#dismissal;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const task of [this.#current, ...this.#waiting.splice(0)]) task?.fail(disposedError());
    if (this.#group) void this.#dismiss(this.#group);
  }
}

function disposedError(): RelposError {
  return new RelposError('disposed', 'the engine was disposed of');
}
