import { RelposError } from '../arguments/errors.ts';
import { mayBlock } from '../platform/host.ts';
import { after, nextTask, now } from '../platform/time.ts';
import { drain, drainSync, runAlone, runShare, type Trap, trapError } from './caller.ts';
import { CONTROL_WORDS, writeJob } from './control.ts';
import { open } from './gate.ts';
import { Task } from './task.ts';
import { Share } from './tiles.ts';
import type { Job, JobOptions, Logger, Pool, Reserve, TileKernel } from './types.ts';
import type { WorkerGroup, WorkerGroupPlan } from './worker-group.ts';

/** Milliseconds of steps that the caller runs between two turns of the event loop. */
const SLICE_MS = 8;
/** Milliseconds that a call which lost a worker waits for the end of its thread before it rejects. */
const SETTLE_MS = 1200;

const IN_DOUBT = 'a thread of the last workers may still run';

/** What a pool has beside the caller's thread. */
interface TilePoolOptions {
  /** How to start workers, if there are to be any. */
  readonly plan?: WorkerGroupPlan;
  /** Why there are none. */
  readonly reason?: string | undefined;
  readonly logger?: Logger | undefined;
}

/** A job under way: its threads, its control block and its scratch. */
interface Opened {
  readonly words: Int32Array;
  readonly share: Share;
  readonly group: WorkerGroup | undefined;
  readonly scratch: number;
}

/** A queue of calls, and a group of workers that is started anew after it was lost. How threads share a job: gate.ts. */
export class TilePool implements Pool {
  #kernels: ReadonlyMap<string, TileKernel>;
  readonly #names: readonly string[];
  readonly #reserve: Reserve;
  readonly #logger: Logger | undefined;
  /** How to start workers; unset for good once there can be none. */
  #plan: WorkerGroupPlan | undefined;
  #group: WorkerGroup | undefined;
  /** A group that was dismissed and is not over: no other one may start. */
  #ending: WorkerGroup | undefined;
  #reason: string | undefined;
  readonly #waiting: Task[] = [];
  /** The control block of asynchronous jobs that no worker has a part in. */
  readonly #own: Int32Array = new Int32Array(CONTROL_WORDS);
  #current: Task | undefined;
  #disposed = false;

  constructor(kernels: ReadonlyMap<string, TileKernel>, reserve: Reserve, { plan, reason, logger }: TilePoolOptions) {
    this.#kernels = kernels;
    this.#names = [...kernels.keys()];
    this.#reserve = reserve;
    this.#plan = plan;
    this.#reason = reason;
    this.#logger = logger;
  }

  get threads(): number {
    if (!this.#plan || this.#ending) return 1;
    return (this.#group?.size ?? this.#plan.size) + 1;
  }

  get reason(): string | undefined {
    return this.#ending ? IN_DOUBT : (this.#group?.shortage ?? this.#reason);
  }

  /** Starts the workers. If that fails the pool is the caller's thread alone from here on, and `reason` says why. */
  async start(): Promise<void> {
    if (!this.#plan || this.#disposed) return;
    try {
      // Loaded here, so that a page or a function that has one thread does without.
      const { startWorkerGroup } = await import('./worker-group.ts');
      if (!this.#plan) return;
      const group = await startWorkerGroup(this.#plan);
      group.onLost((why) => this.#lose(group, why));
      this.#group = group;
      if (this.#disposed) group.abandon();
    } catch (error) {
      this.#plan = undefined;
      this.#reason = (error as Error).message;
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

  /** Performs the waiting calls in turn. Whatever goes wrong in one fails that one alone. */
  async #serve(): Promise<void> {
    this.#current = this.#waiting.shift();
    await undefined; // `run` returns before anything is called back.
    for (; this.#current; this.#current = this.#waiting.shift()) {
      const task = this.#current;
      try {
        await this.#perform(task);
      } catch (error) {
        task.fail(error);
      }
      task.finish();
    }
  }

  async #perform(task: Task): Promise<void> {
    const { job } = task;
    const group = task.settled ? undefined : await this.#workersFor(job);
    if (task.settled) return;
    const opened = this.#open(job, group);
    try {
      task.begin(opened.words);
      const own = await this.#slices(task, opened);
      const theirs = group && (await drain(group));
      const trap = own ?? theirs;
      if (trap) task.fail(trapError(job, trap));
      if (group?.lost !== undefined || group?.worn) await this.#dismiss(group);
    } catch (error) {
      // Nothing here throws that is known of. Whatever it is, nobody may be left at work on what is given back.
      task.fail(error);
      if (group) await this.#dismiss(group);
    } finally {
      this.#close(job, opened);
    }
  }

  /** The workers, started anew if they were lost; none for a job that one thread does, or as long as some of the last ones may run. */
  async #workersFor(job: Job): Promise<WorkerGroup | undefined> {
    if (this.#sharers(job) < 2) return undefined;
    if (!this.#group) {
      await this.start();
      if (!this.#group && !this.#disposed) this.#warn(`relpos: one thread from here on: ${this.#reason}`);
    }
    return this.#group;
  }

  /** A logger that throws says nothing about the call. */
  #warn(message: string): void {
    try {
      this.#logger?.warn(message);
    } catch {}
  }

  #sharers(job: Job): number {
    return Math.min(job.threads, job.tiles, this.threads);
  }

  /**
   * Takes scratch, writes the job down and lets the group in.
   * @throws RelposError `out-of-memory`
   */
  #open(job: Job, group: WorkerGroup | undefined): Opened {
    const { steps = 1 } = job;
    const threads = group ? this.#sharers(job) : 1;
    const scratch = this.#scratch(job, threads);
    const words = group?.words ?? this.#own;
    writeJob(words, job, { kernel: this.#names.indexOf(job.kernel), threads, at: scratch });
    if (group) open(words, threads - 1);
    return {
      words,
      group,
      scratch,
      share: new Share(words, { kernel: this.#kernel(job), job: job.job, tiles: job.tiles, steps, scratch }),
    };
  }

  #kernel({ kernel }: Job): TileKernel {
    return this.#kernels.get(kernel) as TileKernel;
  }

  /** @throws RelposError `out-of-memory` */
  #scratch({ scratch, at }: Job, threads: number): number {
    return at ?? (scratch ? this.#reserve.scratch(scratch, threads) : 0);
  }

  #free({ at }: Job, scratch: number): void {
    if (scratch && at === undefined) this.#reserve.free(scratch);
  }

  /** Gives the scratch back. What the job wrote is said to be lost if a thread may still write to it. */
  #close(job: Job, { group, scratch }: Opened): void {
    if (group && group === this.#ending) for (const output of job.outputs ?? []) output.lose(group.over);
    this.#free(job, scratch);
  }

  /** The caller's share, with a turn of the event loop between slices. */
  async #slices(task: Task, { words, share }: Opened): Promise<Trap | undefined> {
    for (;;) {
      const end = now() + SLICE_MS;
      const done = runShare(words, share, task.job, () => now() >= end);
      if (typeof done === 'object') return done;
      if (done) return undefined;
      await nextTask();
      task.progress();
    }
  }

  runSync(job: Job): void {
    if (this.#disposed) throw disposedError();
    const group = this.#sharers(job) > 1 && mayBlock() ? this.#freeGroup() : undefined;
    if (!group) {
      this.#alone(job);
      return;
    }
    const opened = this.#open(job, group);
    try {
      const own = runShare(opened.words, opened.share, job, never);
      const theirs = drainSync(group);
      const trap = typeof own === 'object' ? own : theirs;
      if (group.lost !== undefined) void this.#dismiss(group);
      if (trap) throw trapError(job, trap);
    } finally {
      this.#close(job, opened);
    }
  }

  /** A job of the caller's thread alone needs no control block. */
  #alone(job: Job): void {
    const scratch = this.#scratch(job, 1);
    try {
      runAlone(this.#kernel(job), job, scratch);
    } finally {
      this.#free(job, scratch);
    }
  }

  /** The group, unless it works on an asynchronous call. */
  #freeGroup(): WorkerGroup | undefined {
    return this.#group && !this.#current?.runsOn(this.#group.words) ? this.#group : undefined;
  }

  /** The group lost a worker: the call that it had a part in stops, and the next one starts a new group. */
  #lose(group: WorkerGroup, why: string): void {
    const task = this.#current?.runsOn(group.words) ? this.#current : undefined;
    if (!task) void this.#dismiss(group);
    else if (group.lost !== undefined) task.fail(trapError(task.job, { why }));
  }

  /** Dismisses a group, its memory in quarantine until it is over; resolves when it is, or after a while. */
  #dismiss(group: WorkerGroup): Promise<void> {
    if (this.#group === group) this.#group = undefined;
    group.dismiss();
    if (group.isOver) return Promise.resolve();
    if (this.#ending !== group) {
      this.#ending = group;
      this.#reserve.quarantine(group.over);
      void group.over.then(() => {
        this.#ending = undefined;
      });
    }
    return new Promise((resolve) => {
      const cancel = after(SETTLE_MS, resolve);
      void group.over.then(() => {
        cancel();
        resolve();
      });
    });
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const task of [this.#current, ...this.#waiting.splice(0)]) task?.fail(disposedError());
    this.#group?.abandon();
    this.#ending?.abandon();
    // Nothing of a pool that somebody keeps shall keep the memory.
    this.#group = undefined;
    this.#ending = undefined;
    this.#plan = undefined;
    this.#kernels = new Map();
  }
}

const never = (): boolean => false;

function disposedError(): RelposError {
  return new RelposError('disposed', 'the engine was disposed of');
}
