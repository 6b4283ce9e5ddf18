import type { Redis } from 'ioredis';
import type { Store } from './store.ts';

/** Seconds that bytes are kept if nobody deletes them: what a run leaves behind does not stay for ever. */
const KEEP_S = 7 * 24 * 3600;

/** Bytes in Redis itself, under `prefix:name`. The connection stays the caller's. */
export function redisStore(redis: Redis, prefix = 'relpos-store'): Store {
  const key = (name: string): string => `${prefix}:${name}`;
  return {
    async put(name, bytes) {
      await redis.set(key(name), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 'EX', KEEP_S);
    },
    async get(name, most) {
      const length = await redis.strlen(key(name));
      if (length > most) throw new RangeError(`${name} expected ${most} bytes at most, got ${length}`);
      return (await redis.getBuffer(key(name))) ?? undefined;
    },
    async delete(name) {
      await redis.unlink(key(name));
    },
    async close() {},
  };
}
