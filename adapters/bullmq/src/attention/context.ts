// A context: keys and values in chunks, each held by one host, and what all ends must agree on. It is published once, under its name; tensors lie in the store.
import type { Redis } from 'ioredis';
import { planShards } from 'relpos';
import { type Claim, copied, integer, isRun, readClaim, record, show } from '../content.ts';

const VERSION = 1;
const PREFIX = 'relpos-context:';
/** Bytes of a context's description at most. */
const MOST_BYTES = 2 ** 22;
const MOST_CHUNKS = 4096;

/** Some consecutive keys with their values. */
export interface Chunk {
  /** Position of its first key in the whole. */
  readonly first: number;
  readonly keys: number;
  /** Which host holds it. */
  readonly host: number;
  /** [B, G, keys, D] and [B, G, keys, E] of f32, little endian. */
  readonly k: Claim;
  readonly v: Claim;
}

/** What is published. */
export interface Context {
  readonly version: 1;
  readonly id: string;
  readonly batch: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly totalKeys: number;
  readonly hosts: number;
  /** In the order of their keys, which is the order of merging. */
  readonly chunks: readonly Chunk[];
}

/**
 * Which keys lie in which chunk, and with which host. Under a causal mask early keys are seen by many queries and late ones by few, so host h of n has
 * chunks h and 2n − 1 − h of 2n: each pair has the same work. Otherwise a host has one chunk.
 */
export function planChunks(totalKeys: number, hosts: number, causal: boolean): { first: number; keys: number; host: number }[] {
  const shards = Math.min(totalKeys, causal ? 2 * hosts : hosts);
  const plan = planShards({ totalKeys, shards, queries: { start: 0, end: 0 } });
  return plan.map(({ index, keyOffset, keys }) => ({ first: keyOffset, keys, host: causal ? Math.min(index, shards - 1 - index) : index }));
}

/** Which chunks some query of a range sees. The others are not asked. */
export function seenChunks(
  { totalKeys, chunks }: Pick<Context, 'totalKeys' | 'chunks'>,
  queries: { readonly start: number; readonly end: number },
  { causal, window }: { readonly causal?: boolean; readonly window?: { readonly left?: number; readonly right?: number } },
): boolean[] {
  const plan = planShards({
    totalKeys,
    shards: chunks.length,
    queries,
    ...(causal !== undefined && { causal }),
    ...(window && { window }),
  });
  return plan.map(({ visible }) => visible !== 'none');
}

const chunkOf = (given: unknown, n: number, hosts: number): Chunk => {
  const what = `context.chunks[${n}]`;
  const { first, keys, host, k, v } = record(given, what, ['first', 'keys', 'host', 'k', 'v']);
  return {
    first: integer(first, `${what}: "first"`, 0, 2 ** 31),
    keys: integer(keys, `${what}: "keys"`, 1, 2 ** 31),
    host: integer(host, `${what}: "host"`, 0, hosts - 1),
    k: readClaim(k, `${what}.k`),
    v: readClaim(v, `${what}.v`),
  };
};

/** Reads what was published, as hostile as a file. */
export function readContext(given: unknown): Context {
  const keys = ['version', 'id', 'batch', 'keyHeads', 'headDim', 'valueDim', 'totalKeys', 'hosts', 'chunks'];
  const { version, id, chunks, ...rest } = record(given, 'context', keys);
  if (version !== VERSION) throw new RangeError(`context: "version" expected ${VERSION}, got ${show(version)}`);
  if (!isRun(id)) throw new RangeError(`context: "id" expected a UUID, got ${show(id)}`);
  if (!Array.isArray(chunks) || chunks.length < 1 || chunks.length > MOST_CHUNKS)
    throw new RangeError(`context: "chunks" expected a list of 1 to ${MOST_CHUNKS}`);
  const size = (name: string, most: number): number => integer(rest[name], `context: "${name}"`, 1, most);
  const hosts = size('hosts', MOST_CHUNKS);
  const sizes = {
    batch: size('batch', 65_536),
    keyHeads: size('keyHeads', 65_536),
    headDim: size('headDim', 65_536),
    valueDim: size('valueDim', 65_536),
  };
  const totalKeys = size('totalKeys', 2 ** 31);
  const read = chunks.map((chunk: unknown, n) => chunkOf(chunk, n, hosts));
  const plan = planShards({ totalKeys, shards: read.length, queries: { start: 0, end: 0 } });
  for (const [n, { first, keys, k, v }] of read.entries()) {
    const { keyOffset, keys: planned } = plan[n] as (typeof plan)[number];
    if (first !== keyOffset || keys !== planned)
      throw new RangeError(`context.chunks[${n}]: expected ${planned} keys from ${keyOffset}, got ${keys} from ${first}`);
    const rows = sizes.batch * sizes.keyHeads * keys * 4;
    if (k.bytes !== rows * sizes.headDim || v.bytes !== rows * sizes.valueDim)
      throw new RangeError(`context.chunks[${n}]: its claims do not have the bytes of its keys`);
  }
  return { version: VERSION, id, ...sizes, totalKeys, hosts, chunks: read };
}

export async function publish(redis: Redis, context: Context): Promise<void> {
  await redis.set(`${PREFIX}${context.id}`, JSON.stringify(context));
}

export async function lookUp(redis: Redis, id: string): Promise<Context> {
  if (!isRun(id)) throw new TypeError(`context: "id" expected a UUID, got ${show(id)}`);
  const key = `${PREFIX}${id}`;
  if ((await redis.strlen(key)) > MOST_BYTES) throw new RangeError(`context: expected ${MOST_BYTES} bytes at most`);
  const text = await redis.get(key);
  if (text === null) throw new Error(`there is no context ${id} in this Redis`);
  return readContext(JSON.parse(text));
}

export async function withdraw(redis: Redis, id: string): Promise<void> {
  await redis.unlink(`${PREFIX}${id}`);
}

/** Where the host of a context listens, and where states are merged. */
export const hostQueues = (id: string): string => `relpos-attend-${id}-`;
export const hostQueue = (id: string, host: number): string => `${hostQueues(id)}${host}`;
export const mergeQueue = (id: string): string => `relpos-merge-${id}`;

/** Bytes of f32 in the order of the store. */
export const floatBytes = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);

/** And back, wherever they lie. */
export const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(copied(bytes));
