// A host: holds the keys and values of its chunks, and answers requests with partial states. One that starts anew finds its chunks in the store.
import type { Job } from 'bullmq';
import { type Engine, encodeState, type Tensor } from 'relpos';
import { orEnded } from '../abort.ts';
import { type Claim, integer, record } from '../content.ts';
import { workAt } from '../one-at-a-time.ts';
import { closeWorker } from '../redis.ts';
import { deposit, redeem, type Store } from '../store/store.ts';
import { type Context, floatsOf, hostQueue, seenChunks } from './context.ts';
import { begin, type ProcessOptions } from './process.ts';
import { attentionOptions, type Request, readRequest } from './request.ts';

/** `maxMemory`: the chunks of this host, a request and its answer have to fit. */
export interface ShardHostOptions extends ProcessOptions {
  /** Which of its hosts this is, from 0. */
  readonly host: number;
  readonly threads?: number;
  /** The same for all hosts of a context. Default reproducible. */
  readonly precision?: Precision;
}

/** What a host answers: a state for each of its chunks that the queries see. */
export interface HostAnswer {
  readonly states: readonly Claim[];
  /** What the states were computed in: states of several precisions have the bits of none. */
  readonly precision: Precision;
}

export const PRECISIONS = ['reproducible', 'int16'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** How often a job may lose its host: one that was killed is started again by whoever watches over it. */
export const MOST_STALLS = 10;

interface Held {
  readonly index: number;
  readonly first: number;
  readonly k: Tensor;
  readonly v: Tensor;
}

async function hold(engine: Engine, store: Store, context: Context, host: number): Promise<Held[]> {
  const { batch, keyHeads, headDim, valueDim } = context;
  const held: Held[] = [];
  for (const [index, chunk] of context.chunks.entries()) {
    if (chunk.host !== host) continue;
    const tensor = async (claim: Claim, width: number): Promise<Tensor> =>
      engine.tensor([batch, keyHeads, chunk.keys, width], floatsOf(await redeem(store, claim)));
    held.push({ index, first: chunk.first, k: await tensor(chunk.k, headDim), v: await tensor(chunk.v, valueDim) });
  }
  return held;
}

/** Starts a host: its chunks are in memory when it resolves. */
export async function startShardHost(options: ShardHostOptions): Promise<{ readonly memory: () => number; close(): Promise<void> }> {
  const { context: id, host, threads = 1, precision = 'reproducible', lockMs, warn } = options;
  const { connection, store, engine, context, end } = await begin(options, { threads, precision });
  const start = async (): Promise<Held[]> => {
    integer(host, 'host: "host"', 0, context.hosts - 1);
    return hold(engine, store, context, host);
  };
  const held = await orEnded(start(), end);

  const answer = async (request: Request): Promise<HostAnswer> => {
    const { batch, headDim, totalKeys, chunks } = context;
    if (request.start + request.queries > totalKeys) throw new RangeError(`request: expected queries within ${totalKeys} positions`);
    const q = engine.tensor([batch, request.heads, request.queries, headDim], floatsOf(await redeem(store, request.q)));
    const seen = seenChunks(context, { start: request.start, end: request.start + request.queries }, request.options);
    const states: Claim[] = [];
    try {
      for (const { index, first, k, v } of held) {
        if (!seen[index]) continue;
        const state = await engine.attentionPartial(q, k, v, {
          ...attentionOptions(request.options),
          keyOffset: first,
          totalKeys,
          queryOffset: request.start,
        });
        const bytes = encodeState(state, { shard: { index, count: chunks.length }, id: request.id });
        state.out.dispose();
        state.lse.dispose();
        states.push(await deposit(store, 'state', bytes, request.id));
      }
    } finally {
      q.dispose();
    }
    return { states, precision };
  };
  const attend = (job: Job): Promise<HostAnswer> => answer(readRequest(record(job.data, 'job', ['request']).request));
  const worker = workAt(hostQueue(id, host), async (job) => attend(job), {
    connection,
    lockMs,
    mostStalls: MOST_STALLS,
    what: 'request',
    warn,
  });
  return {
    memory: () => engine.memoryUsage().reserved,
    async close() {
      await closeWorker(worker, connection);
      await end();
    },
  };
}
