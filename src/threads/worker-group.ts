import type { WorkerFactory, WorkerHandle } from '../platform/handle.ts';
import { after, nextTask, now } from '../platform/time.ts';
import { type WorkerStarter, workerStarters } from '../platform/workers.ts';
import { workerSource } from '../wasm/generated/worker-source.ts';
import { controlView, DONE, READY } from './control.ts';
import { inside, nextGeneration, shut } from './gate.ts';
import { isReport, type Start } from './messages.ts';

/** What a group is made from. */
export interface WorkerGroupPlan {
  /** Workers to start. */
  readonly size: number;
  /** What each worker is told, besides its number and generation. */
  readonly start: Omit<Start, 'relpos' | 'generation' | 'worker'>;
  readonly factory: WorkerFactory | undefined;
  /** Milliseconds within which every worker must have answered. */
  readonly deadlineMs: number;
  /** Milliseconds without a finished tile after which a worker is taken for dead. */
  readonly stallMs: number;
}

/** Milliseconds that `dismiss` gives running tiles before it ends their threads. */
const GRACE_MS = 200;

/** Starts a group by the first way that works on this host; rejects with an `Error` that says what was tried and how it failed. */
export async function startWorkerGroup(plan: WorkerGroupPlan): Promise<WorkerGroup> {
  const failures: string[] = [];
  for (const starter of workerStarters(workerSource, plan.factory)) {
    const group = new WorkerGroup(plan);
    try {
      await group.begin(starter);
      return group;
    } catch (error) {
      failures.push(`${starter.name}: ${error instanceof Error ? error.message : String(error)}`);
      await group.dismiss();
    }
  }
  throw new Error(failures.join('; ') || 'this host has no workers');
}

/** The workers of a pool: started together and, as soon as one is lost, dismissed together. */
export class WorkerGroup {
  /** The control block. */
  readonly words: Int32Array;
  readonly stallMs: number;
  readonly #plan: WorkerGroupPlan;
  readonly #workers: WorkerHandle[] = [];
  #lost: string | undefined;
  #ready = 0;
  /** Called at each event that somebody may be waiting for: a worker ready, the gate empty, the group lost. */
  #event: () => void = () => {};
  #onLost: (why: string) => void = () => {};
  #dismissal: Promise<boolean> | undefined;

  constructor(plan: WorkerGroupPlan) {
    this.words = controlView(plan.start.memory, plan.start.control);
    this.stallMs = plan.stallMs;
    this.#plan = plan;
  }

  /** Why the group can take no more jobs, in words. */
  get lost(): string | undefined {
    return this.#lost;
  }

  /** Starts all workers at once and resolves when each has answered. From then on they do not keep the process alive; waiting does. */
  async begin(starter: WorkerStarter): Promise<void> {
    const { size, start, deadlineMs } = this.#plan;
    const generation = nextGeneration(this.words);
    Atomics.store(this.words, READY, 0);
    for (let worker = 1; worker <= size; worker++) {
      const handle = starter.start({ message: (data) => this.#hear(data, worker), lost: (why) => this.lose(`worker ${worker}: ${why}`) });
      this.#workers.push(handle);
      handle.post({ ...start, relpos: 'start', generation, worker } satisfies Start);
    }
    await this.#allReady(size, deadlineMs);
    if (Atomics.load(this.words, READY) !== size) throw new Error('the host gave the workers a copy of the memory');
    for (const worker of this.#workers) worker.release();
  }

  #allReady(size: number, deadlineMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = (): void => this.lose(`${size - this.#ready} of ${size} workers were not ready within ${deadlineMs} ms`);
      const cancel = after(deadlineMs, late);
      this.#event = () => {
        if (this.#lost === undefined && this.#ready < size) return;
        cancel();
        if (this.#lost === undefined) resolve();
        else reject(new Error(this.#lost));
      };
      this.#event();
    });
  }

  #hear(data: unknown, worker: number): void {
    if (!isReport(data)) return;
    if (data.relpos === 'ready') this.#ready++;
    if (data.relpos === 'failed') this.lose(`worker ${worker}: ${data.why}`);
    else this.#event();
  }

  /** Declares the group lost; whoever waits for it goes on. The first reason stands. */
  lose(why: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = why;
    this.#event();
    this.#onLost(why);
  }

  /** Calls `listener` when the group is lost, unless it was dismissed before. */
  onLost(listener: (why: string) => void): void {
    this.#onLost = listener;
  }

  /**
   * Resolves when the gate's message comes or the group is lost, which it is when it finishes no tile for too long. The timer that sees to
   * that is also what keeps the process alive: on all runtimes alike, and for exactly as long as somebody waits.
   */
  untilEmpty(): Promise<void> {
    if (this.#lost !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      let cancel = (): void => {};
      const watch = (done: number): void => {
        cancel = after(this.stallMs, () => {
          const now = this.checkStall(done);
          if (this.#lost === undefined) watch(now);
        });
      };
      watch(Atomics.load(this.words, DONE));
      this.#event = () => {
        cancel();
        resolve();
      };
    });
  }

  /** After `stallMs`: the group is lost if the number of finished tiles is `done` still. Returns the number. */
  checkStall(done: number): number {
    const now = Atomics.load(this.words, DONE);
    if (now === done) this.lose(`no tile was finished in ${this.stallMs} ms`);
    return now;
  }

  /**
   * Ends the workers, after a grace for tiles that still run. Resolves, always to the same, to whether none can write to memory any
   * more: all were outside the gate, or the host confirms that their threads are over.
   */
  dismiss(): Promise<boolean> {
    this.#dismissal ??= this.#end();
    return this.#dismissal;
  }

  async #end(): Promise<boolean> {
    this.#onLost = () => {};
    this.lose('dismissed');
    shut(this.words);
    for (const end = now() + GRACE_MS; inside(this.words) > 0 && now() < end; ) await nextTask();
    const empty = inside(this.words) === 0;
    nextGeneration(this.words);
    const confirmed = await Promise.all(this.#workers.map((worker) => worker.end()));
    return empty || confirmed.every(Boolean);
  }
}
