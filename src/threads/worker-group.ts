import type { WorkerFactory, WorkerHandle } from '../platform/handle.ts';
import { lifeName } from '../platform/life.ts';
import { after, nextTask, now } from '../platform/time.ts';
import { type WorkerStarter, workerStarters } from '../platform/workers.ts';
import { workerSource } from '../wasm/generated/worker-source.ts';
import { SharedJob } from './caller.ts';
import { controlView, READY, STAGE_WORDS } from './control.ts';
import { bar, enroll, inside, maybeInside, nextGeneration, shut } from './gate.ts';
import { isReport, type Start } from './messages.ts';
import { looksOf, stopTiles } from './tiles.ts';
import type { NamedStage } from './types.ts';

/** What a group is made from. */
export interface WorkerGroupPlan {
  /** Workers to start. */
  readonly size: number;
  /** What each worker is told, besides its number and generation. */
  readonly start: Omit<Start, 'relpos' | 'generation' | 'worker' | 'life'>;
  readonly factory: WorkerFactory | undefined;
  /** Milliseconds after which the group is of the workers that have answered by then. */
  readonly deadlineMs: number;
}

/** Milliseconds that `dismiss` gives running tiles before it ends their threads. */
const GRACE_MS = 200;
/** Milliseconds that a call which lost a worker waits for the end of its thread before it rejects. */
const SETTLE_MS = 1200;
/** Milliseconds between two looks whether a lost worker is over after all: twice as many each time. */
const POLL_MS = 10;
const MOST_POLL_MS = 2000;

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
      void group.dismiss();
      await group.over;
    }
  }
  throw new Error(failures.join('; ') || 'this host has no workers');
}

/** A worker of a group. */
interface Member {
  readonly worker: number;
  readonly handle: WorkerHandle;
  readonly life: string | undefined;
  ready: boolean;
  /** The host says that its thread has ended. */
  ended: boolean;
  /** How it failed, in words. */
  failed?: string;
}

/** The workers of a pool: started together and, as soon as one is lost, dismissed together. */
export class WorkerGroup {
  /** The control block. */
  readonly words: Int32Array;
  /** Settles when no thread of the group can write to memory any more; gate.ts says how that is known. */
  readonly over: Promise<void>;
  readonly plan: WorkerGroupPlan;
  /** The last job. */
  job: SharedJob | undefined;
  #generation = -1;
  #members: Member[] = [];
  #lost: string | undefined;
  #worn = false;
  #started = false;
  #shortage: string | undefined;
  #dismissed = false;
  #abandoned = false;
  #isOver = false;
  #settleOver!: () => void;
  /** Called at each event that somebody may be waiting for: a worker ready, ended or lost, the gate empty, the group lost. */
  #event: () => void = () => {};
  #onLost: (why: string) => void = () => {};

  constructor(plan: WorkerGroupPlan) {
    this.words = controlView(plan.start.memory, plan.start.control);
    this.plan = plan;
    this.over = new Promise((resolve) => {
      this.#settleOver = resolve;
    });
  }

  /** Lets the workers in on a job of so many threads, with `stride` bytes of scratch for each from `at` on and the list of stages behind. */
  open(stages: readonly NamedStage[], threads: number, at: number, stride: number): SharedJob {
    const listAt = at + threads * stride;
    const more = stages.length - 1;
    const list = more > 0 ? new Int32Array(this.plan.start.memory.buffer, listAt, STAGE_WORDS * more) : this.words;
    this.job = new SharedJob(this, stages, { threads, at, stride, listAt, list });
    return this.job;
  }

  get looks(): number {
    return looksOf(this.plan.start.spins);
  }

  /** Workers that answered. */
  get size(): number {
    return this.#members.length;
  }

  /** Why the job that the group works on cannot be finished, in words. */
  get lost(): string | undefined {
    return this.#lost;
  }

  /** A worker ended that had no part in a job: the group can finish the one it works on, but should be replaced. */
  get worn(): boolean {
    return this.#worn;
  }

  /** Why there are fewer workers than planned, in words. */
  get shortage(): string | undefined {
    return this.#shortage;
  }

  /** Whether `over` has settled. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Starts all workers at once and resolves when each has answered or failed, or at the deadline if some have answered. From then on they
   * do not keep the process alive; waiting does. Rejects if none can be had.
   */
  async begin(starter: WorkerStarter): Promise<void> {
    const { size, deadlineMs } = this.plan;
    this.#generation = nextGeneration(this.words);
    Atomics.store(this.words, READY, 0);
    enroll(this.words, this.#generation, size);
    for (let worker = 1; worker <= size && this.#start(starter, worker); worker++);
    const failure = await this.#answers(deadlineMs);
    const ready = this.#members.filter((member) => member.ready && member.failed === undefined);
    this.#letGo(this.#members.filter((member) => !ready.includes(member)));
    this.#members = ready;
    if (this.#lost !== undefined) throw new Error(this.#lost);
    if (!ready.length) throw new Error(failure);
    if (Atomics.load(this.words, READY) < ready.length) throw new Error('the host gave the workers a copy of the memory');
    if (ready.length < size) this.#shortage = failure;
    this.#started = true;
    for (const { handle } of ready) handle.release();
  }

  /** Starts one worker. If the host starts no more, the first one throws; a later one makes the group smaller. */
  #start(starter: WorkerStarter, worker: number): boolean {
    const events = {
      message: (data: unknown) => this.#hear(data, member),
      lost: (why: string) => this.#losing(member, why),
      ended: (why: string) => {
        member.ended = true;
        this.#losing(member, why);
      },
    };
    let handle: WorkerHandle;
    try {
      handle = starter.start(events);
    } catch (error) {
      if (worker === 1) throw error;
      this.#shortage = `worker ${worker}: ${error instanceof Error ? error.message : String(error)}`;
      return false;
    }
    const life = lifeName();
    const member: Member = { worker, handle, life, ready: false, ended: false };
    this.#members.push(member);
    handle.post({ ...this.plan.start, relpos: 'start', generation: this.#generation, worker, life } satisfies Start);
    return true;
  }

  /** Waits for the workers' answers; resolves to why some are missing, if they are. */
  #answers(deadlineMs: number): Promise<string> {
    const { size } = this.plan;
    const missing = (): string => {
      const failed = this.#members.find((member) => member.failed !== undefined);
      if (failed) return `worker ${failed.worker}: ${failed.failed}`;
      const ready = this.#members.filter((member) => member.ready).length;
      return this.#shortage ?? `${size - ready} of ${size} workers were not ready within ${deadlineMs} ms`;
    };
    return new Promise((resolve) => {
      const settle = (): void => {
        cancel();
        this.#event = () => {};
        resolve(missing());
      };
      const cancel = after(deadlineMs, settle);
      this.#event = () => {
        if (this.#lost !== undefined || this.#members.every((member) => member.ready || member.failed !== undefined)) settle();
      };
      this.#event();
    });
  }

  /** Workers that answered too late or not at all: barred from joining, and ended. */
  #letGo(members: readonly Member[]): void {
    for (const { worker, handle } of members) {
      bar(this.words, worker);
      handle.end();
    }
  }

  #hear(data: unknown, member: Member): void {
    if (!isReport(data)) return;
    if (data.relpos === 'ready') {
      member.ready = true;
      if (data.held && member.life !== undefined) member.handle.watch(member.life);
    }
    if (data.relpos === 'failed') member.failed ??= data.why;
    this.#event();
  }

  /** A worker failed or ended. While the group starts, the others go on without it; later it is missed. */
  #losing(member: Member, why: string): void {
    member.failed ??= why;
    if (this.#dismissed) this.#settle();
    else if (!this.#started) this.#event();
    else if (!this.#members.includes(member)) return;
    else if (member.ended && !this.#inside(member)) this.#wear(why, member);
    else this.lose(`worker ${member.worker}: ${why}`);
  }

  #wear(why: string, { worker }: Member): void {
    if (this.#worn) return;
    this.#worn = true;
    if (this.#lost === undefined) this.#onLost(`worker ${worker}: ${why}`);
  }

  #inside({ worker }: Member): boolean {
    return maybeInside(this.words, worker, this.#generation);
  }

  /** Declares the group lost: the job that it works on stops, and whoever waits for it goes on. The first reason stands. */
  lose(why: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = why;
    stopTiles(this.words);
    this.#event();
    this.#onLost(why);
  }

  /** Calls `listener` when the group is lost or worn, unless it was dismissed before. */
  onLost(listener: (why: string) => void): void {
    this.#onLost = listener;
  }

  /** Asks the host, where it can be asked, whether a worker that may be inside was ended; the group is lost then. */
  askHost(): void {
    const ended = this.#members.find((member) => this.#inside(member) && member.handle.stopped());
    if (ended) this.lose(`worker ${ended.worker}: it was ended`);
  }

  /**
   * Resolves when nobody is inside or the group is lost. It hears of both; it looks for itself every `ms` milliseconds, since a browser drops the
   * message of a worker that was ended after it left, and calls `look`. That timer is also what keeps the process alive: on all runtimes alike, and
   * for exactly as long as somebody waits.
   */
  async untilEmpty(ms: number, look: () => void): Promise<void> {
    while (this.#lost === undefined && inside(this.words) !== 0) {
      const heard = await new Promise<boolean>((resolve) => {
        const cancel = after(ms, () => resolve(false));
        this.#event = () => {
          cancel();
          resolve(true);
        };
      });
      if (!heard) look();
    }
  }

  /**
   * Dismisses the workers; `over` settles when they are over. Those that have ended count as such at once. Resolves when they are over, or after a
   * while; where timers throw it waits for none.
   */
  async dismiss(): Promise<void> {
    if (this.#shutDown()) void this.#end();
    if (this.#isOver) return;
    let cancel = (): void => {};
    const late = new Promise<void>((resolve) => {
      cancel = after(SETTLE_MS, resolve);
    });
    await Promise.race([this.over, late]).catch(() => {});
    cancel();
  }

  /** Dismisses the workers without another thought, since nobody uses the memory any more. */
  abandon(): void {
    this.#abandoned = true;
    this.#shutDown();
    this.#endAll(this.#members);
    this.#members = [];
    this.#settle();
  }

  #shutDown(): boolean {
    if (this.#dismissed) return false;
    this.#dismissed = true;
    this.#onLost = () => {};
    this.lose('dismissed');
    shut(this.words);
    return true;
  }

  /**
   * Settles `over` if no worker can write any more. With the gate shut for good, a bit that is clear stays clear. From then on the control block
   * may be another group's: this one has changed its generation before.
   */
  #settle(): boolean {
    if (!this.#isOver && this.#members.every((member) => member.ended || !this.#inside(member))) {
      this.#isOver = true;
      nextGeneration(this.words);
      this.#settleOver();
    }
    return this.#isOver;
  }

  #endAll(members: readonly Member[]): void {
    if (!this.#isOver) nextGeneration(this.words);
    for (const { handle } of members) handle.end();
  }

  /**
   * Ends the workers: at once if none is inside. Those that may be: after a grace where the host says when a thread has ended; elsewhere each
   * when it has come out, since a thread that was ended in the middle of a tile would be in doubt for ever.
   */
  async #end(): Promise<void> {
    try {
      for (const end = now() + GRACE_MS; !this.#settle() && now() < end; ) await nextTask();
      let left = this.#members.filter((member) => this.#inside(member) && !member.handle.confirms);
      this.#endAll(this.#members.filter((member) => !left.includes(member)));
      for (let wait = POLL_MS; !this.#abandoned && (!this.#settle() || left.length); wait = Math.min(2 * wait, MOST_POLL_MS)) {
        await new Promise<void>((resolve) => {
          after(wait, resolve, false);
        });
        for (const member of left) if (!this.#inside(member)) member.handle.end();
        left = left.filter((member) => this.#inside(member));
      }
    } catch {
      // Where clock or timers throw there is no waiting.
      this.#endAll(this.#members);
    }
  }
}
