import { RelposError } from '../arguments/errors.ts';
import { mayBlock } from '../platform/host.ts';
import { after, nextTask, now } from '../platform/time.ts';
import { drain, drainSync, restOf, restSync, runAlone, runShare, type Trap, trapError } from './caller.ts';
import { CONTROL_WORDS, type NumberedStage, resetJob, STAGE_WORDS, writeJob } from './control.ts';
import { open } from './gate.ts';
import { jobOf, listOf } from './job.ts';
import { Task } from './task.ts';
import { Share, type ShareOptions } from './tiles.ts';
import type { Job, JobOptions, KernelModule, Logger, Output, Pool, Reserve, RunStage, TileKernel } from './types.ts';
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

/** A job under way: its threads, its control block and the memory that was taken for it. */
interface Opened {
  readonly words: Int32Array;
  readonly group: WorkerGroup | undefined;
  readonly stages: readonly NumberedStage[];
  readonly at: number;
}

/** A queue of calls, and a group of workers that is started anew after it was lost. How threads share a job: gate.ts. */
export class TilePool implements Pool {
  /** The caller's own kernels by name, and their numbers. */
  #kernels: Map<string, Pick<NumberedStage, 'kernel' | 'number'>> = new Map();
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

  constructor(modules: readonly KernelModule[], reserve: Reserve, { plan, reason, logger }: TilePoolOptions) {
    this.#reserve = reserve;
    this.#plan = plan;
    this.#reason = reason;
    this.#logger = logger;
    for (const one of modules) this.#add(one);
  }

  /** Makes the kernels of a module known, to the next group of workers too. @throws Error if one of the same name is known */
  #add({ module, kernels }: KernelModule): void {
    const names = Object.keys(kernels).filter((name) => typeof kernels[name] === 'function');
    const known = names.find((name) => this.#kernels.has(name));
    if (known !== undefined) throw new Error(`relpos: two kernels are called "${known}"`);
    for (const name of names) this.#kernels.set(name, { kernel: kernels[name] as TileKernel, number: this.#kernels.size });
    const plan = this.#plan;
    if (!plan) return;
    this.#plan = { ...plan, start: { ...plan.start, modules: [...plan.start.modules, { module, kernels: names }] } };
  }

  extend(module: KernelModule): Promise<void> {
    if (this.#disposed) return Promise.reject(disposedError());
    try {
      this.#add(module);
    } catch (error) {
      return Promise.reject(error);
    }
    // The turn of a job that has nothing to do is the turn of the new workers.
    return this.run(jobOf([]));
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
      if (this.#disposed) group.abandon();
      else this.#group = group;
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
      if (trap) task.fail(trapError(job, opened.words, trap));
      if (group?.lost !== undefined || group?.worn) await this.#dismiss(group);
    } catch (error) {
      // Nothing here throws that is known of. Whatever it is, nobody may be left at work on what is given back.
      task.fail(error);
      if (group) await this.#dismiss(group);
    } finally {
      this.#close(job, opened);
    }
  }

  /**
   * The workers, started anew if they were lost or lack a module; none for a job that one thread does, or as long as some of the last ones may
   * run.
   */
  async #workersFor(job: Job): Promise<WorkerGroup | undefined> {
    const old = this.#group;
    const lacking = old !== undefined && old.plan !== this.#plan;
    if (lacking) await this.#dismiss(old);
    if (!this.#group && !this.#ending && (lacking || this.#sharers(job) > 1)) {
      await this.start();
      if (!this.#group && !this.#disposed) this.#warn(`relpos: one thread from here on: ${this.#reason}`);
    }
    return this.#sharers(job) > 1 ? this.#group : undefined;
  }

  /** A logger that throws says nothing about the call. */
  #warn(message: string): void {
    try {
      this.#logger?.warn(message);
    } catch {}
  }

  #sharers(job: Job): number {
    return Math.min(job.threads, this.threads);
  }

  /**
   * Takes memory, writes the job down and lets the group in.
   * @throws RelposError `out-of-memory`
   */
  #open(job: Job, group: WorkerGroup | undefined): Opened {
    const threads = group ? this.#sharers(job) : 1;
    const stages = this.#stages(job);
    const at = this.#take(job, threads);
    const words = group?.words ?? this.#own;
    resetJob(words);
    if (group) {
      const listAt = at + job.scratch * threads;
      const list = stages.length > 1 ? group.integers(listAt, STAGE_WORDS * (stages.length - 1)) : words;
      writeJob(words, stages, { threads, at, stride: job.scratch, listAt, list });
      open(words, threads - 1);
    }
    return { words, group, stages, at };
  }

  /** The stages with their kernels. @throws Error if there is none of such a name */
  #stages({ stages }: Job): NumberedStage[] {
    return stages.map(({ kernel: name, job, tiles, steps = 1 }) => {
      const found = this.#kernels.get(name);
      if (!found) throw new Error(`relpos: no kernel is called "${name}"`);
      return { ...found, job, tiles, steps };
    });
  }

  /** @throws RelposError `out-of-memory` */
  #take(job: Job, threads: number): number {
    const more = listOf(job, threads);
    return job.at ?? (job.scratch || more ? this.#reserve.scratch(job.scratch, threads, more) : 0);
  }

  #free({ at }: Job, taken: number): void {
    if (taken && at === undefined) this.#reserve.free(taken);
  }

  /** Gives the memory back. What the job wrote is said to be lost if a thread may still write to it. */
  #close(job: Job, { group, at }: Opened): void {
    if (group && group === this.#ending) for (const output of outputsOf(job)) output.lose(group.over);
    this.#free(job, at);
  }

  /** The caller's share, with a turn of the event loop between slices. */
  async #slices(task: Task, opened: Opened): Promise<Trap | undefined> {
    const { words } = opened;
    let end = 0;
    const pause = (): boolean => now() >= end;
    const share = shareOf(opened, restOf(words, SLICE_MS, pause));
    for (;;) {
      end = now() + SLICE_MS;
      const done = runShare(words, share, pause);
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
      const own = runShare(opened.words, shareOf(opened, restSync(group)), never);
      const theirs = drainSync(group);
      const trap = typeof own === 'object' ? own : theirs;
      if (group.lost !== undefined) void this.#dismiss(group);
      if (trap) throw trapError(job, opened.words, trap);
    } finally {
      this.#close(job, opened);
    }
  }

  /** A job of the caller's thread alone needs no control block. */
  #alone(job: Job): void {
    const stages = this.#stages(job);
    const at = this.#take(job, 1);
    try {
      stages.forEach((stage, n) => {
        runAlone(job.stages[n]?.kernel, stage, at);
      });
    } finally {
      this.#free(job, at);
    }
  }

  /** The group, unless it works on an asynchronous call or lacks a module. */
  #freeGroup(): WorkerGroup | undefined {
    const group = this.#group;
    return group && group.plan === this.#plan && !this.#current?.runsOn(group.words) ? group : undefined;
  }

  /** The group lost a worker: the call that it had a part in stops, and the next one starts a new group. */
  #lose(group: WorkerGroup, why: string): void {
    const task = this.#current?.runsOn(group.words) ? this.#current : undefined;
    if (!task) void this.#dismiss(group);
    else if (group.lost !== undefined) task.fail(trapError(task.job, group.words, { why }));
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

/** The caller's share of a job. */
const shareOf = ({ words, stages, at }: Opened, rest: ShareOptions['rest']): Share =>
  new Share(words, { stages: stages.length, stage: (n) => stages[n] as RunStage, scratch: at, rest });

/** What a job writes, each once. */
const outputsOf = ({ stages }: Job): Set<Output> => new Set(stages.flatMap(({ outputs = [] }) => outputs));

function disposedError(): RelposError {
  return new RelposError('disposed', 'the engine was disposed of');
}
