import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { readAnswer, readJob } from '../src/bulk/job.ts';
import { readSettings } from '../src/bulk/settings.ts';
import { redisOptions, showAddress } from '../src/redis.ts';
import { removeAll } from './kit/files.ts';

afterAll(removeAll);

const settings = readSettings({ model: 'ab'.repeat(32), weights: 'i8' }, 'test');

describe('addresses of Redis', () => {
  test('become options', () => {
    expect(redisOptions({ url: 'redis://10.0.0.1' })).toMatchObject({ host: '10.0.0.1', port: 6379, db: 0 });
    expect(redisOptions({ url: 'rediss://me:p%40ss@[::1]:7000/3' })).toMatchObject({
      host: '::1',
      port: 7000,
      username: 'me',
      password: 'p@ss',
      db: 3,
      tls: {},
    });
    expect(showAddress({ url: 'redis://me:secret@host:1/2' })).toBe('redis://host:1/2');
  });
  test('wrong ones are refused without their password', () => {
    for (const url of ['http://x:secret@y', 'redis://:secret%zz@h', 'secret', 'redis://h/secret', 'redis://:secret@h:99999999']) {
      expect(() => redisOptions({ url }), url).toThrow(/^redis: "url" expected/);
      try {
        redisOptions({ url });
      } catch (error) {
        if (url.includes('@')) expect((error as Error).message).not.toContain('secret');
      }
    }
  });
});

describe('what travels', () => {
  const sum = createHash('sha256').update('x').digest('hex');
  const job = {
    version: 1,
    run: 'c0ffee00-0000-4000-8000-000000000000',
    shard: sum,
    texts: { name: 'a', bytes: 1, sha256: sum },
    count: 1,
    settings,
  };
  test('is read as it was written', () => {
    expect(readJob(JSON.parse(JSON.stringify(job)))).toEqual(job);
    const answer = { version: 1, shard: sum, vectors: job.texts, setAside: 0 };
    expect(readAnswer(answer)).toEqual(answer);
  });
  test('whatever else comes is an error with one line, and nothing worse', () => {
    fc.assert(
      fc.property(fc.anything(), fc.constantFrom(...Object.keys(job)), (value, key) => {
        for (const read of [() => readJob({ ...job, [key]: value }), () => readJob(value), () => readAnswer(value)]) {
          try {
            read();
          } catch (error) {
            expect(error instanceof RangeError || error instanceof TypeError).toBe(true);
            expect((error as Error).message).not.toContain('\n');
          }
        }
      }),
    );
  });
});
