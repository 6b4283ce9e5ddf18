// Who is not there that a request waits for.
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { hostQueue, mergeQueue } from './context.ts';

/** Milliseconds that a request waits before it is asked who is there, and between two such questions. */
const FIRST_MS = 5000;
const AGAIN_MS = 60_000;

/** Jobs that are not over. */
const UNDER_WAY = ['wait', 'active', 'delayed', 'prioritized', 'waiting-children'] as const;

/** Looks, now and then, whether the processes of a context that have something to do are there, and says which are not. */
export class Absences {
  readonly #context: string;
  readonly #connection: Redis;
  readonly #warn: (text: string) => void;
  readonly #queues = new Map<string, Queue>();
  #next = 0;

  constructor(context: string, connection: Redis, warn: (text: string) => void) {
    this.#context = context;
    this.#connection = connection;
    this.#warn = warn;
  }

  /** For one request that begins now and needs some hosts: to be called as long as it waits. */
  watch(hosts: Iterable<number>): () => Promise<void> {
    const first = Date.now() + FIRST_MS;
    return async () => {
      if (Date.now() < Math.max(first, this.#next)) return;
      this.#next = Date.now() + AGAIN_MS;
      const absent: string[] = [];
      for (const host of [...hosts].sort((a, b) => a - b))
        if (await this.#isAbsent(hostQueue(this.#context, host))) absent.push(`host ${host}`);
      if (await this.#isAbsent(mergeQueue(this.#context))) absent.push('the merger');
      if (absent.length > 0) this.#warn(`attend: context ${this.#context} waits for ${absent.join(', ')}: start what is not running`);
    };
  }

  async #isAbsent(name: string): Promise<boolean> {
    const queue = this.#queues.get(name) ?? new Queue(name, { connection: this.#connection, skipVersionCheck: true });
    if (!this.#queues.has(name)) queue.on('error', () => {});
    this.#queues.set(name, queue);
    // A server that does not list its clients says nothing about them.
    const workers = await queue.getWorkersCount().catch(() => undefined);
    return workers === 0 && (await queue.getJobCountByTypes(...UNDER_WAY)) > 0;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
  }
}
