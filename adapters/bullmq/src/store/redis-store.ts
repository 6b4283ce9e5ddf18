import type { Redis } from 'ioredis';
import type { Store } from './store.ts';

/** Seconds that bytes are kept if nobody deletes them: what a run leaves behind does not stay for ever. */
const KEEP_S = 7 * 24 * 3600;

/** The owner in a name: the UUID at its end. */
const ownerOf = (name: string): string | undefined => /-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(name)?.[1];

/** Bytes in Redis itself, under `prefix:name`, and the names of each owner in a set. The connection stays the caller's. */
export function redisStore(redis: Redis, prefix = 'relpos-store'): Store {
  const key = (name: string): string => `${prefix}:${name}`;
  const owned = (owner: string): string => `${prefix}:of:${owner}`;
  return {
    async put(name, bytes) {
      const owner = ownerOf(name);
      // The name first: bytes that nobody knows of would stay until their time is over.
      if (owner) await redis.multi().sadd(owned(owner), name).expire(owned(owner), KEEP_S).exec();
      await redis.set(key(name), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 'EX', KEEP_S);
    },
    async get(name, most) {
      const length = await redis.strlen(key(name));
      if (length > most) throw new RangeError(`${name} expected ${most} bytes at most, got ${length}`);
      return (await redis.getBuffer(key(name))) ?? undefined;
    },
    async delete(name) {
      const owner = ownerOf(name);
      await redis.unlink(key(name));
      if (owner) await redis.srem(owned(owner), name);
    },
    async sweep(owner) {
      const names = await redis.smembers(owned(owner));
      await redis.unlink(owned(owner), ...names.map(key));
    },
    async close() {},
  };
}
