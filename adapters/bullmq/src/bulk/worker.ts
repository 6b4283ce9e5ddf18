// A worker: takes jobs of its model from the queue, one after another.
import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Encoder } from 'relpos/models';
import { workAt } from '../one-at-a-time.ts';
import { closeWorker, connect, type RedisAddress } from '../redis.ts';
import { deposit, redeem, type Store } from '../store/store.ts';
import { embedItems } from './compute.ts';
import { type EmbedAnswer, type EmbedJob, readJob } from './job.ts';
import { queueName, type Settings } from './settings.ts';
import { decodeTexts, shardName } from './texts.ts';
import { encodeVectors } from './vectors.ts';

export interface WorkerOptions {
  readonly redis: RedisAddress;
  readonly encoder: Encoder;
  /** What the encoder is: jobs for another one are refused. */
  readonly model: Pick<Settings, 'model' | 'weights'>;
  readonly store: (redis: Redis) => Store;
  /** Milliseconds after which a worker that gives no sign counts as gone; default 30,000. */
  readonly lockMs?: number;
  readonly onShard?: (shard: { readonly texts: number; readonly setAside: number; readonly seconds: number }) => void;
  /** Told of jobs that failed here and of lost connections. */
  readonly warn: (text: string) => void;
}

/** Faults of a disk that the next shard would meet too. */
const DISK: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO', 'EFBIG']);
/** How often a job may lose its worker before it is given up: its texts are then tried by halves. */
const MOST_STALLS = 2;

/** Work that goes on until it is closed. */
export interface Working {
  /** Resolves, with what is wrong, if this worker is of no use any more: it cannot keep what it computes. It takes no more jobs then. */
  readonly broken: Promise<Error>;
  /** Finishes the shard that is under way, then ends. */
  close(): Promise<void>;
}

/** Starts to work. */
export async function startWorker({ redis, encoder, model, store: makeStore, lockMs, onShard, warn }: WorkerOptions): Promise<Working> {
  const connection = connect(redis, (why) => warn(`no connection to Redis (${why}); waiting for it`));
  const store = makeStore(connection);
  let tellBroken: (error: Error) => void = () => {};
  const broken = new Promise<Error>((resolve) => {
    tellBroken = resolve;
  });
  /** A full disk stays full: the job goes to another worker, and this one does not take all the others' as well. */
  const breakDown = (error: unknown): never => {
    if (DISK.has((error as NodeJS.ErrnoException).code ?? '')) {
      tellBroken(error as Error);
      void worker.close();
    }
    throw error;
  };
  const embed = async (job: Job, token: string, lock: number): Promise<EmbedAnswer> => {
    const began = performance.now();
    const work = checked(job.data, model);
    const items = await decodeTexts(await redeem(store, work.texts));
    if (items.length !== work.count || shardName(items, work.settings) !== work.shard)
      throw new RangeError('job: its texts are not those that its shard is named by');
    const vectors = await embedItems(encoder, items, work.settings);
    // A worker that stood still may have lost its job meanwhile: then somebody else answers, and this answer would lie in the store for nobody.
    if (!(await job.extendLock(token, lock))) throw new Error('the job was given to another worker meanwhile');
    const claim = await deposit(store, 'vectors', encodeVectors(work.shard, vectors), work.run).catch((error: unknown) => breakDown(error));
    const setAside = vectors.setAside.length;
    onShard?.({ texts: items.length, setAside, seconds: (performance.now() - began) / 1000 });
    return { version: 1, shard: work.shard, vectors: claim, setAside };
  };
  const worker = workAt(queueName(model), embed, { connection, lockMs, mostStalls: MOST_STALLS, what: 'shard', warn });
  return {
    broken,
    async close() {
      await closeWorker(worker, connection);
      await store.close();
    },
  };
}

function checked(data: unknown, model: Pick<Settings, 'model' | 'weights'>): EmbedJob {
  const job = readJob(data);
  if (queueName(job.settings) !== queueName(model)) throw new RangeError('job: it is for another model than this worker has');
  return job;
}
