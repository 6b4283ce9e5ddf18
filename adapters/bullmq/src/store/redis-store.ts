import type { Redis } from 'ioredis';
import { OverError, ownerOf, type Store } from './store.ts';

/** Seconds that bytes are kept if nobody deletes them: what a run leaves behind does not stay for ever. */
const KEEP_S = 7 * 24 * 3600;

/** Of an owner's set, which is there as long as things can be put for it. */
const MARK = '.';

/** In one step each, whose error is the server's own: that of a transaction only says that it was discarded. */
const BEGIN = `
redis.call('SADD', KEYS[1], ARGV[1])
return redis.call('EXPIRE', KEYS[1], ARGV[2])`;
const DELETE = `
redis.call('SREM', KEYS[1], ARGV[1])
return redis.call('UNLINK', KEYS[2])`;

/** In one step, so that nothing is put between the look at what there is and its end. */
const SWEEP = `
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do redis.call('UNLINK', ARGV[1] .. name) end
return redis.call('UNLINK', KEYS[1])`;

/** Bytes are there if, and only if, their owner is and knows of them. */
const PUT = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1`;

/** Bytes in Redis itself, under `prefix:name`, and the names of each owner in a set. The connection stays the caller's. */
export function redisStore(redis: Redis, prefix = 'relpos-store'): Store {
  const key = (name: string): string => `${prefix}:${name}`;
  const owned = (owner: string): string => `${prefix}:of:${owner}`;
  return {
    async begin(owner) {
      await redis.eval(BEGIN, 1, owned(owner), MARK, KEEP_S);
    },
    async put(name, bytes) {
      const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (!(await redis.eval(PUT, 2, owned(ownerOf(name)), key(name), name, body, KEEP_S))) throw new OverError(name);
    },
    async get(name, most) {
      const length = await redis.strlen(key(name));
      if (length > most) throw new RangeError(`${name} expected ${most} bytes at most, got ${length}`);
      return (await redis.getBuffer(key(name))) ?? undefined;
    },
    async delete(name) {
      await redis.eval(DELETE, 2, owned(ownerOf(name)), key(name), name);
    },
    async sweep(owner) {
      await redis.eval(SWEEP, 1, owned(owner), key(''));
    },
    async close() {},
  };
}
