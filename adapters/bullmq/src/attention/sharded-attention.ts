// The asking end: publishes keys and values once, then sends queries. What it asks is a BullMQ flow: a job for each host that the queries see, and a parent
// that merges their states.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FlowJob, FlowProducer, Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import { decodeState } from 'relpos';
import { orAborted } from '../abort.ts';
import { type Claim, integer, MOST_BYTES, readClaim, record, show } from '../content.ts';
import { JobEndings } from '../job-endings.ts';
import { closeAll, connect, FAREWELL_MS, keysOf, type RedisAddress, reach } from '../redis.ts';
import { deposit, redeem, type Store } from '../store/store.ts';
import { Absences } from './absences.ts';
import {
  type Chunk,
  type Context,
  floatBytes,
  hostQueue,
  hostQueues,
  lookUp,
  mergeQueue,
  planChunks,
  publish,
  seenChunks,
  withdraw,
} from './context.ts';
import { type Request, readShardedOptions, type ShardedOptions } from './request.ts';

/** Keys and values of some positions: [B, G, keys, D] and [B, G, keys, E]. */
export interface KeysAndValues {
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/** Where a context is. */
export interface ContextAddress {
  readonly redis: RedisAddress;
  readonly store: (redis: Redis) => Store;
  /** Told, once a minute, which hosts a request waits for that are not running, or that the merger is not; default `console.warn`. */
  readonly warn?: (text: string) => void;
}

export interface PublishOptions extends ContextAddress {
  readonly batch: number;
  readonly keyHeads: number;
  readonly headDim: number;
  /** Default `headDim`. */
  readonly valueDim?: number;
  readonly totalKeys: number;
  /** Processes that will hold the keys. */
  readonly hosts: number;
  /** Whether queries will see the keys before them alone: the chunks are then dealt out so that all hosts have the same work. Default true. */
  readonly causal?: boolean;
  /** Gives the keys of some positions, when their turn comes: the whole need not fit here either. */
  readonly keys: (first: number, count: number) => KeysAndValues | Promise<KeysAndValues>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** What a call gives: [B, H, L, E] and [B, H, L]. */
export interface ShardedResult {
  readonly out: Float32Array;
  readonly lse: Float32Array;
}

const ATTEMPTS = 8;
/** Seconds after which a request that nobody asks for any more goes from the queue. */
const KEEP_S = 3600;

function expectFloats(given: unknown, what: string): void {
  if (!(given instanceof Float32Array)) throw new TypeError(`${what} expected a Float32Array, got ${show(given)}`);
}

/** Attention over keys that lie with hosts. */
export class ShardedAttention {
  readonly context: Context;
  readonly #connections: Redis[];
  readonly #store: Store;
  readonly #flows: FlowProducer;
  readonly #merges: Queue;
  readonly #events: QueueEvents;
  readonly #endings: JobEndings;
  readonly #absences: Absences;

  private constructor(context: Context, { redis, store, warn = console.warn }: ContextAddress) {
    this.context = context;
    const [own, events] = [connect(redis), connect(redis)];
    this.#connections = [own, events];
    this.#store = store(own);
    this.#absences = new Absences(context.id, own, warn);
    this.#flows = new FlowProducer({ connection: own, skipVersionCheck: true });
    this.#merges = new Queue(mergeQueue(context.id), { connection: own, skipVersionCheck: true });
    this.#events = new QueueEvents(mergeQueue(context.id), { connection: events, skipVersionCheck: true });
    // The connections come back by themselves.
    this.#flows.on('error', () => {});
    this.#merges.on('error', () => {});
    this.#events.on('error', () => {});
    this.#endings = new JobEndings(this.#merges, this.#events);
  }

  /** Publishes keys and values, chunk by chunk; hosts that are started with its name then hold them. */
  static async publish(options: PublishOptions): Promise<ShardedAttention> {
    const { redis, batch, keyHeads, headDim, valueDim = headDim, totalKeys, hosts, causal = true, keys, signal, onProgress } = options;
    integer(totalKeys, 'publish: "totalKeys"', 1, 2 ** 31);
    integer(hosts, 'publish: "hosts"', 1, 2048);
    for (const [name, size] of Object.entries({ batch, keyHeads, headDim, valueDim })) integer(size, `publish: "${name}"`, 1, 65_536);
    const plan = planChunks(totalKeys, hosts, causal);
    const most = 4 * batch * keyHeads * Math.max(headDim, valueDim) * Math.max(...plan.map((chunk) => chunk.keys));
    if (most > MOST_BYTES)
      throw new RangeError(
        `publish: "hosts" expected so many that a chunk takes ${MOST_BYTES} bytes at most, got ${hosts}, which makes it ${most}`,
      );
    const client = await reach(redis);
    const store = options.store(client);
    const id = randomUUID();
    const chunks: Chunk[] = [];
    try {
      await store.begin(id);
      for (const [n, { first, keys: count, host }] of plan.entries()) {
        signal?.throwIfAborted();
        const { k, v } = await keys(first, count);
        const rows = batch * keyHeads * count;
        expectFloats(k, 'publish: "k"');
        expectFloats(v, 'publish: "v"');
        if (k.length !== rows * headDim)
          throw new RangeError(`publish: "k" expected B·G·keys·D = ${rows * headDim} numbers, got ${k.length}`);
        if (v.length !== rows * valueDim)
          throw new RangeError(`publish: "v" expected B·G·keys·E = ${rows * valueDim} numbers, got ${v.length}`);
        chunks.push({
          first,
          keys: count,
          host,
          k: await orAborted(deposit(store, 'keys', floatBytes(k), id), signal),
          v: await orAborted(deposit(store, 'values', floatBytes(v), id), signal),
        });
        onProgress?.({ done: n + 1, total: plan.length });
      }
      const context: Context = { version: 1, id, batch, keyHeads, headDim, valueDim, totalKeys, hosts, chunks };
      await publish(client, context);
      return new ShardedAttention(context, options);
    } catch (error) {
      await Promise.race([store.sweep(id).catch(() => {}), sleep(FAREWELL_MS)]);
      throw error;
    } finally {
      client.disconnect();
    }
  }

  /** A context that was published elsewhere. */
  static async open(options: ContextAddress & { readonly context: string }): Promise<ShardedAttention> {
    const client = await reach(options.redis);
    try {
      return new ShardedAttention(await lookUp(client, options.context), options);
    } finally {
      client.disconnect();
    }
  }

  /**
   * Attention of queries at positions `start` … over all keys. The bits are those of `attentionPartial` over the same chunks and `mergeStates` of them in
   * order, on one machine.
   *
   * @param q [B, heads, L, D]
   */
  async attend(
    q: Float32Array,
    { start, heads, signal, ...given }: ShardedOptions & { readonly start: number; readonly heads: number; readonly signal?: AbortSignal },
  ): Promise<ShardedResult> {
    const { batch, keyHeads, headDim, totalKeys } = this.context;
    const options = readShardedOptions(given, 'attend');
    integer(heads, 'attend: "heads"', 1, 65_536);
    if (heads % keyHeads !== 0)
      throw new RangeError(`attend: "heads" expected a multiple of the context's ${keyHeads} heads of keys, got ${heads}`);
    expectFloats(q, 'attend: "q"');
    const queries = q.length / (batch * heads * headDim);
    if (!Number.isInteger(queries) || queries < 1)
      throw new RangeError(`attend: "q" expected a multiple of B·H·D = ${batch * heads * headDim} numbers, got ${q.length}`);
    integer(start, 'attend: "start"', 0, totalKeys - queries);
    signal?.throwIfAborted();
    const request = { version: 1, id: randomUUID(), start, heads, queries, options } as const;
    return orAborted(this.#asked(request, q, signal), signal, FAREWELL_MS);
  }

  async #asked(about: Omit<Request, 'q'>, q: Float32Array, signal?: AbortSignal): Promise<ShardedResult> {
    const { id } = about;
    await this.#store.begin(id);
    try {
      return await this.#ask({ ...about, q: await deposit(this.#store, 'queries', floatBytes(q), id) }, signal);
    } finally {
      // Queries, states and the whole: also those of a host that answered late.
      await this.#store.sweep(id).catch(() => {});
    }
  }

  async #ask(request: Request, signal?: AbortSignal): Promise<ShardedResult> {
    const { context } = this;
    const seen = seenChunks(context, { start: request.start, end: request.start + request.queries }, request.options);
    const hosts = new Set(context.chunks.filter((_, index) => seen[index]).map(({ host }) => host));
    const opts = { attempts: ATTEMPTS, backoff: { type: 'exponential', delay: 500 } };
    const child = (host: number): FlowJob => ({
      name: 'attend',
      queueName: hostQueue(context.id, host),
      data: { request },
      // The parent hears of a failure with its reason.
      opts: { ...opts, ignoreDependencyOnFailure: true, removeOnComplete: true, removeOnFail: true },
    });
    await this.#flows.add({
      name: 'merge',
      queueName: mergeQueue(context.id),
      data: { request },
      opts: { ...opts, jobId: request.id, removeOnComplete: { age: KEEP_S }, removeOnFail: { age: KEEP_S } },
      children: [...hosts].map(child),
    });
    const whole = await this.#end(request.id, hosts, signal);
    const { out, lse } = decodeState(await redeem(this.#store, whole));
    return { out: out as Float32Array, lse };
  }

  /** What the merger answered. */
  async #end(id: string, hosts: ReadonlySet<number>, signal?: AbortSignal): Promise<Claim> {
    try {
      const ending = await this.#endings.of(id, signal, this.#absences.watch(hosts));
      if (!ending) throw new Error('attend: the request failed: its job is gone');
      if ('failure' in ending) throw new Error(`attend: the request failed: ${ending.failure}`);
      return readClaim(record(ending.answer, 'answer', ['whole']).whole, 'answer.whole');
    } finally {
      // Of one that was stopped, what has not begun is not begun any more; what has ends, and nobody asks for it.
      await (await this.#merges.getJob(id))?.remove({ removeChildren: true }).catch(() => {});
    }
  }

  /** Takes the context back: its tensors go from the store, and its queues from Redis. Hosts that still run are of no use any more. */
  async withdraw(): Promise<void> {
    const { id } = this.context;
    const [own] = this.#connections as [Redis];
    await withdraw(own, id);
    await this.#store.sweep(id);
    // Whatever BullMQ keeps: it has no command that takes parents which wait for their children.
    const prefix = this.#merges.toKey('').slice(0, -mergeQueue(id).length - 1);
    for (const pattern of [`${prefix}${mergeQueue(id)}:*`, `${prefix}${hostQueues(id)}*`]) {
      const keys = await keysOf(own, pattern);
      for (let n = 0; n < keys.length; n += 1000) await own.unlink(...keys.slice(n, n + 1000));
    }
  }

  async close(): Promise<void> {
    await closeAll([this.#flows, this.#merges, this.#events, this.#absences], this.#connections);
    await this.#store.close();
  }
}
