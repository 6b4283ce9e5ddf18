// Runs with real processes: whatever happens to them, the folder of results is that of one process, byte for byte.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Redis } from 'ioredis';
import { loadEncoder } from 'relpos/models';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { embedItems } from '../src/bulk/compute.ts';
import type { IndexEntry } from '../src/bulk/out-folder.ts';
import { QueueComputer } from '../src/bulk/queue-computer.ts';
import { queueName, readSettings } from '../src/bulk/settings.ts';
import { shardName } from '../src/bulk/texts.ts';
import { decodeVectors, encodeVectors } from '../src/bulk/vectors.ts';
import { startWorker } from '../src/bulk/worker.ts';
import { sha256 } from '../src/content.ts';
import { connect } from '../src/redis.ts';
import { redisStore } from '../src/store/redis-store.ts';
import { deposit, type Store } from '../src/store/store.ts';
import { contents, MODEL, removeAll, sentences, shardsOf, temporary, writeCorpus } from './kit/files.ts';
import { bulk, endAll, MAIN, startNode, startWork, wireTo } from './kit/processes.ts';
import { freePort, mayLeaveOut, startRedis, type TestRedis } from './kit/redis.ts';

// A damaged line, which has a row nonetheless, and two alike.
const texts = sentences(2000);
texts[7] = 'x'.repeat(2 ** 20 + 1);
const corpus = writeCorpus(texts);
/** Shards of 256 tokens: more than sixty of them. */
const SMALL = ['--shard-tokens', '256'];

let redis: TestRedis;
/** What one process makes of it. */
let alone: Record<string, string>;

describe.skipIf(mayLeaveOut)('a corpus by workers', () => {
  beforeAll(async () => {
    redis = await startRedis();
    const out = temporary();
    expect(await bulk('embed', corpus, '--model', MODEL, '--out', out, '--local', ...SMALL).ended).toBe(0);
    alone = contents(out);
  });
  afterEach(async () => {
    await endAll();
    await redis.clear();
  });
  afterAll(() => {
    redis?.stop();
    removeAll();
  });

  const work = (...words: string[]) => startWork('--model', MODEL, '--redis', redis.url, '--lock', '2', ...words);
  const run = (out: string, ...words: string[]) =>
    bulk('embed', corpus, '--model', MODEL, '--out', out, '--redis', redis.url, ...SMALL, ...words);
  /** Nothing of a run stays in Redis: no job, no text, no vector. */
  const expectNothingLeft = async (): Promise<void> => {
    const client = connect({ url: redis.url });
    try {
      expect(await client.keys('relpos-store:*')).toEqual([]);
      expect((await client.keys('bull:*')).filter((key) => key.length > 80)).toEqual([]);
    } finally {
      client.disconnect();
    }
  };
  const untilShards = async (out: string, count: number): Promise<void> => {
    while (!existsSync(join(out, 'shards')) || shardsOf(out) < count) await sleep(20);
  };

  test('two workers give what one process gives', async () => {
    const workers = await Promise.all([work(), work()]);
    const out = temporary();
    const embed = run(out);
    expect([await embed.ended, embed.printed()]).toEqual([0, expect.stringContaining('2000 texts of width')]);
    expect(contents(out)).toEqual(alone);
    expect(Object.keys(alone).length).toBeGreaterThan(60);
    expect(readFileSync(join(out, 'set-aside.jsonl'), 'utf8')).toBe('{"row":7,"reason":"the line is too long"}\n');
    await expectNothingLeft();
    for (const { child, ended } of workers) {
      child.kill('SIGTERM');
      expect(await ended).toBe(0);
    }
  });

  test('a worker that is killed in the middle is made up for', async () => {
    const [first] = await Promise.all([work(), work()]);
    const out = temporary();
    const embed = run(out);
    await untilShards(out, 20);
    first.child.kill('SIGKILL');
    expect(await embed.ended).toBe(0);
    expect(contents(out)).toEqual(alone);
    await expectNothingLeft();
  });

  test('a worker that stands still past its lock, and goes on then, changes nothing', async () => {
    const [first] = await Promise.all([work(), work()]);
    const out = temporary();
    const embed = run(out);
    await untilShards(out, 20);
    first.child.kill('SIGSTOP');
    await sleep(6000);
    first.child.kill('SIGCONT');
    expect(await embed.ended).toBe(0);
    expect(contents(out)).toEqual(alone);
    await expectNothingLeft();
  });

  test('Redis is killed and comes back with its append-only file', async () => {
    await work();
    const out = temporary();
    const embed = run(out);
    await untilShards(out, 20);
    await redis.restart(1000);
    expect(await embed.ended).toBe(0);
    expect(embed.printed()).toMatch(/no connection to Redis/);
    expect(contents(out)).toEqual(alone);
    await expectNothingLeft();
  });

  test('what is put while its owner is swept is not kept', async () => {
    const client = connect({ url: redis.url });
    const store = redisStore(client);
    const owner = 'c0ffee00-0000-4000-8000-000000000000';
    await store.begin(owner);
    await deposit(store, 'texts', Uint8Array.of(1), owner);
    const swept = store.sweep(owner);
    await expect(deposit(store, 'texts', Uint8Array.of(2), owner)).rejects.toThrow(/what it was for is over/);
    await swept;
    await expectNothingLeft();
    client.disconnect();
  });

  test('Redis loses all that it holds', async () => {
    await work();
    const out = temporary();
    const embed = run(out);
    await untilShards(out, 20);
    const client = connect({ url: redis.url });
    await client.flushall();
    client.disconnect();
    expect([await embed.ended, embed.printed()]).toEqual([0, expect.stringContaining('2000 texts of width')]);
    expect(contents(out)).toEqual(alone);
    await expectNothingLeft();
  });

  test.each(['before', 'after'] as const)('Redis loses all that it holds just %s a shard’s texts are put', async (when) => {
    await work();
    const settings = readSettings({ model: await digestOf(), weights: 'default' }, 'test');
    let losses = 1;
    const forgetful = (client: Redis): Store => {
      const store = redisStore(client);
      const lose = async (now: typeof when): Promise<void> => {
        if (now === when && losses-- > 0) await client.flushall();
      };
      const put = async (name: string, bytes: Uint8Array): Promise<void> => {
        await lose('before');
        await store.put(name, bytes);
        await lose('after');
      };
      return { ...store, put };
    };
    const warned: string[] = [];
    const computer = new QueueComputer({
      redis: { url: redis.url },
      settings,
      run: randomUUID(),
      ahead: 1,
      store: forgetful,
      warn: (text) => warned.push(text),
    });
    const encoder = await loadEncoder(MODEL);
    const [items, signal] = [sentences(5), new AbortController().signal];
    const name = shardName(items, settings);
    const expected = encodeVectors(name, await embedItems(encoder, items, settings, signal));
    expect(sha256(await computer.compute({ name, items }, signal))).toBe(sha256(expected));
    expect(losses).toBeLessThanOrEqual(0);
    expect(warned).toEqual([]);
    await computer.finish();
    await computer.close();
    encoder.dispose();
    await expectNothingLeft();
  });

  test('a run and a worker end at SIGTERM where Redis is gone', async () => {
    const own = await startRedis();
    const worker = await startWork('--model', MODEL, '--redis', own.url);
    const out = temporary();
    const embed = bulk('embed', corpus, '--model', MODEL, '--out', out, '--redis', own.url, ...SMALL);
    await untilShards(out, 5);
    own.stop();
    await Promise.all([embed, worker].map(({ until }) => until(/no connection to Redis/)));
    for (const { child } of [embed, worker]) child.kill('SIGTERM');
    const late = sleep(15_000).then(() => 'late');
    expect(await Promise.all([embed, worker].map(({ ended }) => Promise.race([ended, late])))).toEqual([143, 0]);
    expect(contents(out)).not.toHaveProperty('.lock');
  });

  test('a run ends at SIGTERM while it waits for texts', async () => {
    const out = temporary();
    const embed = startNode([MAIN, 'embed', '-', '--model', MODEL, '--out', out, '--local'], {}, 'pipe');
    embed.child.stdin?.write('one\n');
    await untilShards(out, 0);
    await sleep(500);
    embed.child.kill('SIGTERM');
    expect(await Promise.race([embed.ended, sleep(10_000).then(() => 'late')])).toBe(143);
  });

  test('a worker that is cut off for 20 seconds', async () => {
    const wire = await wireTo(redis.port);
    const far = await startWork('--model', MODEL, '--redis', `redis://127.0.0.1:${wire.port}`, '--lock', '2');
    const out = temporary();
    const embed = run(out);
    await untilShards(out, 20);
    wire.cut();
    await sleep(10_000);
    await work();
    await sleep(10_000);
    wire.mend();
    expect(await embed.ended).toBe(0);
    expect(contents(out)).toEqual(alone);
    far.child.kill('SIGTERM');
    expect(await far.ended).toBe(0);
    wire.close();
  });

  test('the run itself is killed, and the same command goes on', async () => {
    await work();
    const out = temporary();
    const first = run(out);
    await untilShards(out, 20);
    first.child.kill('SIGKILL');
    await first.ended;
    const second = run(out);
    expect(await second.ended).toBe(0);
    expect(contents(out)).toEqual(alone);
    await expectNothingLeft();
    // A third finds all of it, and needs no worker.
    await endAll();
    const third = run(out);
    expect(await third.ended).toBe(0);
    expect(contents(out)).toEqual(alone);
  });

  test('SIGTERM stops a run with its exit code, and the same command goes on', async () => {
    await work();
    const out = temporary();
    const first = run(out);
    await untilShards(out, 20);
    first.child.kill('SIGTERM');
    expect([await first.ended, first.printed()]).toEqual([143, expect.stringContaining('the same command goes on from here')]);
    expect(contents(out)).not.toHaveProperty('index.json');
    expect(await run(out).ended).toBe(0);
    expect(contents(out)).toEqual(alone);
  });

  test('a shard that was damaged on the disk is computed again', async () => {
    await work();
    const out = temporary();
    expect(await run(out).ended).toBe(0);
    const [name] = Object.keys(alone).filter((path) => path.startsWith('shards/')) as [string];
    const bytes = readFileSync(join(out, name));
    bytes[bytes.length - 5] = (bytes.at(-5) as number) ^ 1;
    writeFileSync(join(out, name), bytes);
    expect(await run(out).ended).toBe(0);
    expect(contents(out)).toEqual(alone);
  });

  test('two runs of one corpus at a time', async () => {
    await work();
    const [one, other] = [temporary(), temporary()];
    const runs = [run(one), run(other)];
    expect(await Promise.all(runs.map(({ ended }) => ended))).toEqual([0, 0]);
    expect(contents(one)).toEqual(alone);
    expect(contents(other)).toEqual(alone);
  });

  test('texts and vectors by a shared folder', async () => {
    const store = temporary();
    await work('--store', store);
    const out = temporary();
    expect(await run(out, '--store', store).ended).toBe(0);
    expect(contents(out)).toEqual(alone);
    expect(contents(store)).toEqual({});
  });

  test('jobs that somebody else put into the queue are refused, and the worker goes on', async () => {
    const worker = await work();
    const { Queue } = await import('bullmq');
    const digest = await digestOf();
    const connection = connect({ url: redis.url });
    const queue = new Queue(queueName({ model: digest, weights: 'default' }), { connection, skipVersionCheck: true });
    const settings = readSettings({ model: digest, weights: 'default' }, 'test');
    const claim = { name: 'texts-0', bytes: 10, sha256: '0'.repeat(64) };
    const uuid = 'c0ffee00-0000-4000-8000-000000000000';
    const hostile: unknown[] = [
      null,
      'eval',
      {},
      { version: 2, run: uuid, shard: '0'.repeat(64), texts: claim, count: 1, settings },
      { version: 1, run: '*', shard: '0'.repeat(64), texts: claim, count: 1, settings },
      { version: 1, run: uuid, shard: '../../etc', texts: claim, count: 1, settings },
      { version: 1, run: uuid, shard: '0'.repeat(64), texts: { ...claim, name: '../secret' }, count: 1, settings },
      { version: 1, run: uuid, shard: '0'.repeat(64), texts: { ...claim, bytes: 1e15 }, count: 1, settings },
      { version: 1, run: uuid, shard: '0'.repeat(64), texts: claim, count: 1e9, settings },
      { version: 1, run: uuid, shard: '0'.repeat(64), texts: claim, count: 1, settings: { ...settings, pooling: 'constructor' } },
      { version: 1, run: uuid, shard: '0'.repeat(64), texts: claim, count: 1, settings, code: 'process.exit()' },
      { version: 1, run: uuid, shard: '0'.repeat(64), texts: claim, count: 1, settings: { ...settings, model: '1'.repeat(64) } },
    ];
    for (const [n, data] of hostile.entries()) await queue.add('embed', data, { jobId: `hostile-${n}`, attempts: 3 });
    while ((await queue.getFailedCount()) < hostile.length) await sleep(50);
    for (const job of await queue.getFailed()) {
      expect(job.attemptsMade, job.failedReason).toBe(1);
      expect(job.failedReason).toMatch(/expected|another model/);
      await job.remove();
    }
    connection.disconnect();
    const out = temporary();
    expect(await run(out).ended).toBe(0);
    expect(contents(out)).toEqual(alone);
    expect(worker.child.exitCode).toBeNull();
  });

  test('options that the model cannot have end a run with the reason, and set no text aside', async () => {
    await work();
    const words = ['embed', corpus, '--model', MODEL, '--prompt', 'other', ...SMALL];
    for (const how of [['--local'], ['--redis', redis.url]]) {
      const out = temporary();
      const embed = bulk(...words, '--out', out, ...how);
      expect([await embed.ended, embed.printed()]).toEqual([1, expect.stringContaining('"prompt" expected one of none, got "other"')]);
      expect(contents(out)).not.toHaveProperty('index.json');
    }
  });

  test('a folder of another run is refused, with the difference', async () => {
    const out = temporary();
    expect(await bulk('embed', corpus, '--model', MODEL, '--out', out, '--local', ...SMALL).ended).toBe(0);
    const other = bulk('embed', corpus, '--model', MODEL, '--out', out, '--local', '--pooling', 'cls');
    expect([await other.ended, other.printed()]).toEqual([
      1,
      expect.stringMatching(/was begun with pooling nothing for "cls", shards of 256 tokens for 16384/),
    ]);
    expect(contents(out)).toEqual(alone);
  });

  test('status and metrics tell of a run', async () => {
    const ports = [await freePort(), await freePort()] as const;
    const worker = await work('--metrics', `${ports[0]}`);
    const out = temporary();
    const embed = run(out, '--metrics', `${ports[1]}`);
    await untilShards(out, 20);
    const [ofWorker, ofRun] = await Promise.all(ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()));
    // However fast the machine is, the run goes on until it is looked at.
    worker.child.kill('SIGSTOP');
    await sleep(2500);
    const status = bulk('status', '--redis', redis.url);
    expect(await status.ended).toBe(0);
    expect(status.printed()).toMatch(/^relpos-embed-[0-9a-f]{16}: 1 workers; shards: /m);
    expect(status.printed()).toContain(`run of ${out}: `);
    worker.child.kill('SIGCONT');
    expect(ofWorker).toMatch(/^relpos_bulk_texts_total\{role="work"\} [1-9]/m);
    expect(ofRun).toMatch(/^relpos_bulk_texts\{role="embed"\} [1-9]/m);
    expect(await embed.ended).toBe(0);
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
  });

  test('status shows nothing that somebody else made to look like a run', async () => {
    const client = connect({ url: redis.url });
    const run = { queue: 'q', began: 'b', written: 'w', out: '/o\u001b[2Jut', texts: 1, found: 0, setAside: 0, shards: 0, underWay: 0 };
    const states = [run, { ...run, share: 'all' }, { ...run, out: 5 }, null, 5].map((state) => JSON.stringify(state));
    for (const [n, state] of [...states, '{'].entries()) await client.set(`relpos-bulk-run:${n}`, state);
    await client.lpush('relpos-bulk-run:list', 'x');
    await client.hset('bull:relpos-embed-\u001b[2J:meta', 'a', 'b');
    const status = bulk('status', '--redis', redis.url);
    expect(await status.ended).toBe(0);
    expect(status.printed().match(/^run of .*/gm)).toEqual(['run of /o [2Jut: 1 texts, 0 set aside, 0 shards under way, since b, q']);
    expect(status.printed()).not.toContain('\u001b');
    await client.flushall();
    client.disconnect();
  });

  test('a password is passed on and never printed', async () => {
    const locked = await startRedis({ password: 'se/cret:1@' });
    try {
      const out = temporary();
      const worker = await startWork('--model', MODEL, '--redis', locked.url);
      const embed = bulk('embed', corpus, '--model', MODEL, '--out', out, '--redis', locked.url, ...SMALL);
      expect(await embed.ended).toBe(0);
      expect(contents(out)).toEqual(alone);
      const wrong = bulk('status', '--redis', locked.url.replace('1%40', 'wrong'));
      expect(await wrong.ended).toBe(1);
      for (const { printed } of [worker, embed, wrong]) expect(printed()).not.toMatch(/cret/);
    } finally {
      locked.stop();
    }
  });

  test('TLS by a certificate that is named, and by no other', async () => {
    const secure = await startRedis({ tls: true });
    try {
      const certificate = ['--redis-ca', secure.certificate ?? ''];
      await startWork('--model', MODEL, '--redis', secure.url, ...certificate);
      const out = temporary();
      expect(await bulk('embed', corpus, '--model', MODEL, '--out', out, '--redis', secure.url, ...certificate, ...SMALL).ended).toBe(0);
      expect(contents(out)).toEqual(alone);
      const stranger = bulk('status', '--redis', secure.url);
      expect([await stranger.ended, stranger.printed()]).toEqual([
        1,
        expect.stringMatching(/cannot be reached: .*self-signed certificate/),
      ]);
    } finally {
      secure.stop();
    }
  });

  test('a worker whose disk is full gives its shard back and takes no other one', async () => {
    const encoder = await loadEncoder(MODEL);
    const model = { model: await digestOf(), weights: 'default' };
    // What Linux answers to every write there: no space left on the device.
    const store = (redis: Redis): Store => ({ ...redisStore(redis), put: (_, bytes) => writeFile('/dev/full', bytes) });
    const full = await startWorker({ redis: { url: redis.url }, encoder, model, store, lockMs: 2000, warn: () => {} });
    const out = temporary();
    const embed = run(out);
    expect(await full.broken).toMatchObject({ code: 'ENOSPC' });
    await work();
    expect(await embed.ended).toBe(0);
    expect(contents(out)).toEqual(alone);
    await full.close();
    encoder.dispose();
  });

  test('a text that ends its workers is found by halves and set aside; all others have their vectors', async () => {
    const few = sentences(40);
    few[23] = 'POISON';
    const file = writeCorpus(few);
    const words = ['embed', file, '--model', MODEL, '--shard-tokens', '128'];
    const [out, other] = [temporary(), temporary()];
    // A supervisor, which starts a worker anew whenever it ends.
    let over = false;
    const supervisor = (async () => {
      while (!over)
        await startNode([fileURLToPath(new URL('kit/fragile-worker.mjs', import.meta.url)), redis.url, MODEL, await digestOf()]).ended;
    })();
    const embed = bulk(...words, '--out', out, '--redis', redis.url);
    expect([await embed.ended, embed.printed()]).toEqual([0, expect.stringContaining('its halves are tried')]);
    over = true;
    await endAll();
    await supervisor;
    expect(readFileSync(join(out, 'set-aside.jsonl'), 'utf8')).toBe(
      '{"row":23,"reason":"its worker ended, or stood still, each time that it was tried"}\n',
    );
    // Where the text is harmless the others have the same vectors.
    expect(await bulk(...words, '--out', other, '--local').ended).toBe(0);
    const [found, expected] = [await rowsOf(out), await rowsOf(other)];
    expect(found.length).toBe(40);
    for (const [row, vector] of found.entries())
      expect(vector, `row ${row}`).toEqual(row === 23 ? new Float32Array(vector.length) : expected[row]);
  });
});

async function digestOf(): Promise<string> {
  const digest = bulk('digest', MODEL);
  await digest.ended;
  return digest.printed().trim();
}

/** All vectors of a folder of results, in the order of its index. */
async function rowsOf(folder: string): Promise<Float32Array[]> {
  const { shards, width } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as { shards: IndexEntry[]; width: number };
  return shards.flatMap(({ file, rows }) => {
    const bytes = new Uint8Array(readFileSync(join(folder, file)));
    const { data } = decodeVectors(bytes, file.replace(/^.*\/|\..*$/g, ''), rows);
    return Array.from({ length: rows }, (_, row) => data.slice(row * width, (row + 1) * width));
  });
}
