import { ended, RelposError } from '../arguments/errors.ts';
import { mayBlock } from '../platform/host.ts';
import { nextTask, now } from '../platform/time.ts';
import { Alone } from './alone.ts';
import type { SharedJob } from './caller.ts';
import { jobOf, listOf } from './job.ts';
import { Task } from './task.ts';
import type { Course, Job, JobOptions, KernelModule, Logger, NamedStage, Output, Pool, Reserve, TileKernel, Trap } from './types.ts';
import type { WorkerGroup, WorkerGroupPlan } from './worker-group.ts';

/** Milliseconds of steps that the caller runs between two turns of the event loop. */
const SLICE_MS = 8;

const IN_DOUBT = 'a thread of the last workers may still run';

interface Plan extends WorkerGroupPlan {
  readonly load: () => Promise<typeof import('./worker-group.ts')>;
}

/** What a pool has beside the caller's thread. */
interface TilePoolOptions {
  /** How to start workers, if there are to be any. */
  readonly plan?: Plan;
  /** Why there are none. */
  readonly reason?: string | undefined;
  readonly logger?: Logger | undefined;
}

/** A queue of calls, and a group of workers that is started anew after it was lost. How threads share a job: gate.ts. */
export class TilePool implements Pool {
  /** The caller's own kernels by name, and their numbers. */
  #kernels: Map<string, Pick<NamedStage, 'kernel' | 'number'>> = new Map();
  readonly #reserve: Reserve;
  readonly #logger: Logger | undefined;
  /** How to start workers; unset for good once there can be none. */
  #plan: Plan | undefined;
  #group: WorkerGroup | undefined;
  /** A group that was dismissed and is not over: no other one may start. */
  #ending: WorkerGroup | undefined;
  #reason: string | undefined;
  readonly #waiting: Task[] = [];
  #current: Task | undefined;
  /** When the event loop is to have its next turn. */
  #sliceEnd = 0;
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
    if (this.#disposed) return Promise.reject(ended());
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
      const { startWorkerGroup } = await this.#plan.load();
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
    if (this.#disposed) return Promise.reject(ended());
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
    const stages = this.#stages(job);
    const threads = group ? this.#sharers(job) : 1;
    const at = this.#take(job, threads);
    try {
      const course: Course = group ? group.open(stages, threads, at, job.scratch) : new Alone(stages, at);
      task.begin(course);
      const own = await this.#slices(task, course);
      const theirs = await course.drain?.();
      const trap = own ?? theirs;
      if (trap) task.fail(trapError(trap));
      if (group?.lost !== undefined || group?.worn) await this.#dismiss(group);
    } catch (error) {
      // Nothing here throws that is known of. Whatever it is, nobody may be left at work on what is given back.
      task.fail(error);
      if (group) await this.#dismiss(group);
    } finally {
      this.#close(job, at, group);
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

  /** The stages with their kernels. @throws Error if there is none of such a name */
  #stages({ stages }: Job): NamedStage[] {
    return stages.map(({ kernel: name, job, tiles, steps = 1 }) => {
      const found = this.#kernels.get(name);
      if (!found) throw new Error(`relpos: no kernel is called "${name}"`);
      const { kernel, number } = found; // no spread: on Node 20 one takes longer than all else here
      return { name, kernel, number, job, tiles, steps };
    });
  }

  /** @throws RelposError `out-of-memory` */
  #take(job: Job, threads: number): number {
    const more = listOf(job, threads);
    return job.at ?? (job.scratch || more ? this.#reserve.scratch(job.scratch, threads, more) : 0);
  }

  /** Gives the memory back. What the job wrote is said to be lost if a thread of the group may still write to it. */
  #close(job: Job, at: number, group: WorkerGroup | undefined): void {
    if (group && group === this.#ending) for (const output of outputsOf(job)) output.lose(group.over);
    if (at && job.at === undefined) this.#reserve.free(at);
  }

  /**
   * The caller's share, with a turn of the event loop between slices. A slice goes on from job to job: calls that are shorter, each made when the
   * last one has resolved, would keep the loop from its turn for as long as there are any.
   */
  async #slices(task: Task, course: Course): Promise<Trap | undefined> {
    for (;;) {
      if (now() >= this.#sliceEnd) {
        await nextTask();
        this.#sliceEnd = now() + SLICE_MS;
        task.progress();
      }
      const done = course.advance(() => now() >= this.#sliceEnd);
      if (typeof done === 'object') return done;
      if (done) return undefined;
    }
  }

  runSync(job: Job): void {
    if (this.#disposed) throw ended();
    const group = this.#sharers(job) > 1 && mayBlock() ? this.#freeGroup() : undefined;
    const stages = this.#stages(job);
    const threads = group ? this.#sharers(job) : 1;
    const at = this.#take(job, threads);
    try {
      const trap = group ? group.open(stages, threads, at, job.scratch).finish() : new Alone(stages, at).advance(never);
      if (group?.lost !== undefined) void this.#dismiss(group);
      if (typeof trap === 'object') throw trapError(trap);
    } finally {
      this.#close(job, at, group);
    }
  }

  /** The group, unless it works on an asynchronous call or lacks a module. */
  #freeGroup(): WorkerGroup | undefined {
    const group = this.#group;
    return group && group.plan === this.#plan && !this.#runsOn(group) ? group : undefined;
  }

  /** The asynchronous job that the group works on. */
  #runsOn(group: WorkerGroup): SharedJob | undefined {
    const course = this.#current?.course;
    return course && course === group.job ? group.job : undefined;
  }

  /** The group lost a worker: the call that it had a part in stops, and the next one starts a new group. */
  #lose(group: WorkerGroup, why: string): void {
    const course = this.#runsOn(group);
    if (!course) void this.#dismiss(group);
    else if (group.lost !== undefined) this.#current?.fail(trapError(course.failure(why)));
  }

  /** Dismisses a group, its memory in quarantine until it is over; resolves when it is, or after a while. */
  #dismiss(group: WorkerGroup): Promise<void> {
    if (this.#group === group) this.#group = undefined;
    const dismissed = group.dismiss();
    if (!group.isOver && this.#ending !== group) {
      this.#ending = group;
      this.#reserve.quarantine(group.over);
      void group.over.then(() => {
        this.#ending = undefined;
      });
    }
    return dismissed;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const task of [this.#current, ...this.#waiting.splice(0)]) task?.fail(ended());
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

/** The error with which a call rejects. */
const trapError = ({ name, why, ...detail }: Trap): RelposError =>
  new RelposError('kernel-trap', `kernel "${name}" failed: ${why}`, detail);

/** What a job writes, each once. */
const outputsOf = ({ stages }: Job): Set<Output> => new Set(stages.flatMap(({ outputs = [] }) => outputs));
