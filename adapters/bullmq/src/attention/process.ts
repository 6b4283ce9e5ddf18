// What every process of a context begins with: a connection, a store, an engine and the context itself.
import type { Redis } from 'ioredis';
import { createEngine, type Engine, type EngineOptions } from 'relpos';
import { orEnded } from '../abort.ts';
import { connect, type RedisAddress } from '../redis.ts';
import type { Store } from '../store/store.ts';
import { type Context, lookUp } from './context.ts';

export interface ProcessOptions {
  readonly redis: RedisAddress;
  readonly store: (redis: Redis) => Store;
  /** The context's name. */
  readonly context: string;
  /** Bytes that the engine may take. */
  readonly maxMemory?: number;
  readonly lockMs?: number;
  readonly warn: (text: string) => void;
}

/** What it has, until `end`. */
export interface Begun {
  readonly connection: Redis;
  readonly store: Store;
  readonly engine: Engine;
  readonly context: Context;
  end(): Promise<void>;
}

/** Begins; where something fails, what there is of it ends. */
export async function begin(
  { redis, store: makeStore, context: id, maxMemory, warn }: ProcessOptions,
  engineOptions: Pick<EngineOptions, 'threads' | 'precision'>,
): Promise<Begun> {
  const connection = connect(redis, (why) => warn(`no connection to Redis (${why}); waiting for it`));
  const store = makeStore(connection);
  let engine: Engine | undefined;
  const end = async (): Promise<void> => {
    connection.disconnect();
    engine?.dispose();
    await store.close();
  };
  const start = async (): Promise<Begun> => {
    engine = await createEngine({ ...engineOptions, ...(maxMemory !== undefined && { maxMemory }) });
    return { connection, store, engine, context: await lookUp(connection, id), end };
  };
  return orEnded(start(), end);
}
