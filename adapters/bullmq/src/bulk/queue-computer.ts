// Shards by workers: each is a job named by its run and its content, so that a run which goes on finds it again, done or under way.
import { type Job, Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import { orAborted } from '../abort.ts';
import { type Claim, isName, isSha256, show } from '../content.ts';
import { type Ending, JobEndings } from '../job-endings.ts';
import { closeAll, connect, keysOf, type RedisAddress } from '../redis.ts';
import { deposit, OverError, ownerOf, redeem, type Store } from '../store/store.ts';
import type { Computer, ShardWork } from './computer.ts';
import { type EmbedJob, readAnswer } from './job.ts';
import { queueName, type Settings } from './settings.ts';
import { encodeTexts, shardName } from './texts.ts';
import { decodeVectors, encodeVectors, gather, join, type Vectors } from './vectors.ts';

export interface QueueComputerOptions {
  readonly redis: RedisAddress;
  readonly settings: Settings;
  /** The run's name, see `OutFolder`. */
  readonly run: string;
  readonly ahead: number;
  readonly store: (redis: Redis) => Store;
  /** Told what goes wrong and goes on nonetheless. */
  readonly warn: (text: string) => void;
}

/** Why BullMQ gives a job up whose workers ended, or stood still past their lock, again and again. */
const STALLED = /stalled more than allowable limit/;
/** How often a job is tried whose worker says that something failed, and the first pause between two tries. */
const ATTEMPTS = 8;
const BACKOFF_MS = 1000;

/** How often a shard is put into store and queue that came to no good end there: what lay in them may have been damaged or lost. */
const TRIES = 3;
/** Seconds after which jobs that are over go by themselves: their run was given up. */
const KEEP_S = 7 * 24 * 3600;

export class QueueComputer implements Computer {
  readonly ahead: number;
  readonly #settings: Settings;
  readonly #connections: Redis[];
  readonly #queue: Queue;
  readonly #events: QueueEvents;
  readonly #store: Store;
  readonly #warn: (text: string) => void;
  readonly #run: string;
  readonly #endings: JobEndings;

  constructor({ redis, settings, run, ahead, store, warn }: QueueComputerOptions) {
    this.ahead = ahead;
    this.#settings = settings;
    this.#run = run;
    this.#warn = warn;
    const open = (): Redis => connect(redis, (why) => warn(`no connection to Redis (${why}); waiting for it`));
    const [own, events] = [open(), open()];
    this.#connections = [own, events];
    this.#queue = new Queue(queueName(settings), { connection: own, skipVersionCheck: true });
    this.#events = new QueueEvents(queueName(settings), { connection: events, skipVersionCheck: true });
    this.#queue.on('error', () => {}); // The connection's own report is enough.
    this.#events.on('error', () => {});
    this.#endings = new JobEndings(this.#queue, this.#events);
    this.#store = store(own);
  }

  /** The workers that listen now. */
  workers(): Promise<number> {
    return this.#queue.getWorkersCount();
  }

  compute(work: ShardWork, signal: AbortSignal): Promise<Uint8Array> {
    return orAborted(this.#computed(work, signal), signal).catch((error: Error) => {
      throw error.name === 'ReplyError' ? new Error(`Redis refuses: ${error.message.replace(/ script: [0-9a-f]{40}.*$/s, '')}`) : error;
    });
  }

  async #computed({ name, items }: ShardWork, signal: AbortSignal): Promise<Uint8Array> {
    let failure = '';
    for (let tries = 0; tries < TRIES; tries++) {
      const ending = await this.#queued(name, items, signal);
      if (!ending) {
        failure = 'its job is gone from the queue';
      } else if ('answer' in ending) {
        const bytes = await this.#taken(name, items.length, ending.job, ending.answer);
        if (bytes) return bytes;
        failure = 'its answers cannot be read';
      } else if (STALLED.test(ending.failure)) {
        await this.#forget(ending.job);
        return encodeVectors(name, await this.#divided(items, signal));
      } else {
        failure = ending.failure;
        this.#warn(`a shard of ${items.length} texts failed: ${failure}`);
      }
    }
    throw new Error(`a shard of ${items.length} texts failed ${TRIES} times, the last time: ${failure}`);
  }

  /** A shard whose workers ended, by halves: the text that ends them is found, and is set aside. */
  async #divided(items: ShardWork['items'], signal: AbortSignal): Promise<Vectors> {
    if (items.length === 1) return gather([{ reason: 'its worker ended, or stood still, each time that it was tried' }], 0);
    this.#warn(`the workers of a shard of ${items.length} texts ended; its halves are tried`);
    const half = items.length >> 1;
    const parts: Vectors[] = [];
    for (const part of [items.slice(0, half), items.slice(half)]) {
      const name = shardName(part, this.#settings);
      parts.push(decodeVectors(await this.compute({ name, items: part }, signal), name, part.length));
    }
    return join(parts);
  }

  #id(name: string): string {
    return `${this.#run}-${name}`;
  }

  /** Puts a job into the queue unless it is there, and waits for its end. */
  async #queued(name: string, items: ShardWork['items'], signal: AbortSignal): Promise<Ending | undefined> {
    const id = this.#id(name);
    const old = await this.#queue.getJob(id);
    // What failed before the run was stopped is tried anew.
    if (old && (await old.getState()) === 'failed') await this.#forget(old);
    const bytes = await encodeTexts(items);
    const texts = await this.#deposited(bytes);
    const job: EmbedJob = { version: 1, run: this.#run, shard: name, texts, count: items.length, settings: this.#settings };
    const keep = { removeOnComplete: { age: KEEP_S }, removeOnFail: { age: KEEP_S } };
    await this.#queue.add('embed', job, { jobId: id, attempts: ATTEMPTS, backoff: { type: 'exponential', delay: BACKOFF_MS }, ...keep });
    // A server may lose all that it holds before it is given the job, and then has a job without texts, whose attempts fail.
    return this.#endings.of(id, signal, async (state) => state === 'delayed' && this.#deposited(bytes));
  }

  /** Puts texts into the store. What it knew of the run goes with a server that loses what it holds, also between the two steps. */
  async #deposited(bytes: Uint8Array): Promise<Claim> {
    for (let tries = 1; ; tries++) {
      await this.#store.begin(this.#run);
      try {
        return await deposit(this.#store, 'texts', bytes, this.#run);
      } catch (error) {
        if (!(error instanceof OverError) || tries === TRIES) throw error;
      }
    }
  }

  /** The vectors that an answer stands for, checked; what is behind the job goes from queue and store. Undefined if they are gone or wrong: the shard is computed again. */
  async #taken(name: string, rows: number, job: Job, given: unknown): Promise<Uint8Array | undefined> {
    try {
      const { shard, vectors } = readAnswer(given);
      if (shard !== name) throw new RangeError(`answer: "shard" expected ${name}, got ${show(shard)}`);
      if (ownerOf(vectors.name) !== this.#run)
        throw new RangeError(`answer: "vectors" expected what is put for ${this.#run}, got ${show(vectors.name)}`);
      const bytes = await redeem(this.#store, vectors);
      decodeVectors(bytes, name, rows);
      await this.#forget(job, vectors.name);
      return bytes;
    } catch (error) {
      this.#warn(`a shard is computed again: ${(error as Error).message}`);
      await this.#forget(job);
      return undefined;
    }
  }

  async #forget(job: Job, vectors?: string): Promise<void> {
    await job.remove().catch(() => {});
    for (const name of [(job.data as Partial<EmbedJob> | null)?.texts?.name, vectors])
      if (isName(name) && name.endsWith(this.#run)) await this.#store.delete(name);
  }

  /**
   * What the run has left behind: a second answer of a shard that was computed twice, since its worker was thought to be gone; halves of a shard that
   * were computed before it was whole.
   */
  async finish(): Promise<void> {
    const prefix = this.#queue.toKey(`${this.#run}-`);
    const [own] = this.#connections as [Redis, Redis];
    for (const key of await keysOf(own, `${prefix}*`)) {
      const name = key.slice(prefix.length);
      const job: Job | undefined = isSha256(name) ? await this.#queue.getJob(this.#id(name)) : undefined;
      if (job) await this.#forget(job);
    }
    await this.#store.sweep(this.#run);
  }

  async close(): Promise<void> {
    await closeAll([this.#queue, this.#events], this.#connections);
    await this.#store.close();
  }
}
