// Attention over keys that lie with several processes: the bits are those of the same chunks on one machine.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createEngine, planShards, rotary } from 'relpos';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { planChunks, readContext, seenChunks } from '../src/attention/context.ts';
import { startShardHost } from '../src/attention/host.ts';
import { startMerger } from '../src/attention/merger.ts';
import { readRequest, readShardedOptions } from '../src/attention/request.ts';
import { ShardedAttention, type ShardedResult } from '../src/attention/sharded-attention.ts';
import { connect } from '../src/redis.ts';
import { redisStore } from '../src/store/redis-store.ts';
import { endAll, type Running, startNode } from './kit/processes.ts';
import { freePort, mayLeaveOut, startRedis, type TestRedis } from './kit/redis.ts';

const [B, H, G, D, E, S] = [1, 4, 2, 32, 32, 3000];
const SHARDS = fileURLToPath(new URL('../dist/cli/shards.js', import.meta.url));

/** Numbers that hang on their place alone: [B, heads, rows, width] of the rows from `first`. */
function made(heads: number, first: number, rows: number, width: number, seed: number): Float32Array {
  const data = new Float32Array(B * heads * rows * width);
  let at = 0;
  for (let h = 0; h < B * heads; h++)
    for (let row = 0; row < rows; row++)
      for (let c = 0; c < width; c++) data[at++] = Math.sin(seed * (1 + c) * 0.37 + (first + row) * 0.113 + h * 1.7);
  return data;
}

const keys = (first: number, count: number) => ({ k: made(G, first, count, D, 1), v: made(G, first, count, E, 2) });

describe('plans', () => {
  test('chunks cover all keys, and under a causal mask every host has the same work', () => {
    for (const [total, hosts, causal] of [
      [1000, 4, true],
      [1001, 3, true],
      [7, 3, true],
      [2, 5, true],
      [1000, 4, false],
      [3, 8, false],
    ] as const) {
      const chunks = planChunks(total, hosts, causal);
      let next = 0;
      for (const { first, keys: count, host } of chunks) {
        expect(first).toBe(next);
        expect(host).toBeGreaterThanOrEqual(0);
        expect(host).toBeLessThan(hosts);
        next += count;
      }
      expect(next).toBe(total);
    }
    const work = new Map<number, number>();
    // A key at position j is seen by total − j queries.
    for (const { first, keys: count, host } of planChunks(4096, 4, true)) {
      for (let j = first; j < first + count; j++) work.set(host, (work.get(host) ?? 0) + 4096 - j);
    }
    const sizes = [...work.values()];
    expect(sizes.length).toBe(4);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBe(0);
  });
  test('who sees a range is what planShards says', () => {
    const chunks = planChunks(1000, 2, true).map((chunk) => ({ ...chunk, k: claim, v: claim }));
    expect(seenChunks({ totalKeys: 1000, chunks }, { start: 300, end: 400 }, { causal: true })).toEqual([true, true, false, false]);
    expect(seenChunks({ totalKeys: 1000, chunks }, { start: 900, end: 1000 }, { causal: true, window: { left: 100 } })).toEqual(
      [false, false, false, true].map((_, n) => n >= 3),
    );
    expect(
      planShards({ totalKeys: 1000, shards: 4, queries: { start: 900, end: 1000 }, causal: true, window: { left: 100 } }).map(
        ({ visible }) => visible !== 'none',
      ),
    ).toEqual(seenChunks({ totalKeys: 1000, chunks }, { start: 900, end: 1000 }, { causal: true, window: { left: 100 } }));
  });
});

const claim = { name: 'a', bytes: 4, sha256: '0'.repeat(64) };

describe('what travels', () => {
  const context = {
    version: 1,
    id: 'c0ffee00-0000-4000-8000-000000000000',
    batch: 1,
    keyHeads: 1,
    headDim: 1,
    valueDim: 1,
    totalKeys: 2,
    hosts: 1,
    chunks: [0, 1].map((first) => ({ first, keys: 1, host: 0, k: claim, v: claim })),
  };
  test('contexts are read as they were written, others are refused', () => {
    expect(readContext(JSON.parse(JSON.stringify(context)))).toEqual(context);
    const [one, other] = context.chunks as [object, object];
    for (const wrong of [
      { ...context, version: 2 },
      { ...context, id: '../x' },
      { ...context, totalKeys: 3 },
      { ...context, hosts: 0 },
      { ...context, chunks: [] },
      { ...context, chunks: [other, one] },
      { ...context, chunks: [one, { ...other, host: 1 }] },
      { ...context, chunks: [one, { ...other, k: { ...claim, bytes: 8 } }] },
      { ...context, code: '1' },
      null,
      [],
    ]) {
      expect(() => readContext(wrong)).toThrow(/^context/);
    }
  });
  test('schemes come by name alone', () => {
    const options = { encoding: { name: 'alibi', options: { heads: 4 } }, causal: true, window: { left: 5 }, scale: 0.5, softcap: 30 };
    expect(readShardedOptions(options, 'test')).toEqual(options);
    for (const wrong of [
      { encoding: { name: 'constructor', options: {} } },
      { encoding: { name: 'defineEncoding', options: {} } },
      { encoding: { name: 'alibi', options: [] } },
      { encoding: 'alibi' },
      { causal: 1 },
      { window: { left: -1 } },
      { window: { up: 1 } },
      { scale: Number.NaN },
      { mask: {} },
    ]) {
      expect(() => readShardedOptions(wrong, 'test'), JSON.stringify(wrong)).toThrow(/^test/);
    }
    expect(() => readRequest({ version: 1, id: context.id, start: 0, heads: 1, queries: 2 ** 30, q: claim, options: {} })).toThrow(
      /"queries"/,
    );
  });
});

describe.skipIf(mayLeaveOut)('a context with several processes', () => {
  let redis: TestRedis;
  let sharded: ShardedAttention;

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    await endAll();
    await redis.clear();
  });
  afterAll(() => redis?.stop());

  const at = () => ({ redis: { url: redis.url }, store: redisStore });
  const start = async (ready: RegExp, ...words: string[]): Promise<Running> => {
    const running = startNode([SHARDS, ...words, '--redis', redis.url, '--lock', '2']);
    await running.until(ready);
    return running;
  };
  const hold = (host: number, ...words: string[]) =>
    start(/^holding:/m, 'hold', '--context', sharded.context.id, '--host', String(host), ...words);
  const merge = () => start(/^merging:/m, 'merge', '--context', sharded.context.id);
  const publishKeys = async (hosts: number, causal = true, totalKeys = S): Promise<void> => {
    sharded = await ShardedAttention.publish({
      redis: { url: redis.url },
      store: redisStore,
      batch: B,
      keyHeads: G,
      headDim: D,
      valueDim: E,
      totalKeys,
      hosts,
      causal,
      keys,
    });
  };
  const finish = async (): Promise<void> => {
    await endAll();
    await sharded.withdraw();
    await sharded.close();
    const client = connect({ url: redis.url });
    expect((await client.keys('*')).filter((key) => !/:(meta|id|events|stalled-check|marker)$/.test(key))).toEqual([]);
    client.disconnect();
  };

  /** The same chunks on one machine. */
  async function alone(
    first: number,
    rows: number,
    options: { causal?: boolean; window?: { left: number } },
  ): Promise<{ out: Float32Array; lse: Float32Array }> {
    const engine = await createEngine({ threads: 1 });
    const q = engine.tensor([B, H, rows, D], made(H, first, rows, D, 3));
    const states = [];
    const seen = seenChunks(sharded.context, { start: first, end: first + rows }, options);
    for (const [index, chunk] of sharded.context.chunks.entries()) {
      if (!seen[index]) continue;
      const { k, v } = keys(chunk.first, chunk.keys);
      const [kt, vt] = [engine.tensor([B, G, chunk.keys, D], k), engine.tensor([B, G, chunk.keys, E], v)];
      const encoding = rotary({ dim: D, theta: 10000, layout: 'halves' });
      states.push(
        await engine.attentionPartial(q, kt, vt, {
          ...options,
          encoding,
          keyOffset: chunk.first,
          totalKeys: sharded.context.totalKeys,
          queryOffset: first,
        }),
      );
    }
    const { out, lse } = await engine.mergeStates(states);
    const found = { out: out.toArray(), lse: lse.toArray() };
    engine.dispose();
    return found as { out: Float32Array; lse: Float32Array };
  }
  const encoding = { name: 'rotary', options: { dim: D, theta: 10000, layout: 'halves' } } as const;
  const ask = (first: number, rows: number, options: { causal?: boolean; window?: { left: number } }) =>
    sharded.attend(made(H, first, rows, D, 3), { start: first, heads: H, encoding, ...options });

  test('many ranges at a time, causal: the bits of one machine', async () => {
    await publishKeys(3);
    await Promise.all([hold(0), hold(1), hold(2), merge()]);
    const ranges = [
      [0, 1],
      [0, 64],
      [500, 100],
      [1499, 3],
      [2000, 257],
      [S - 1, 1],
      [S - 130, 130],
    ] as const;
    const found = await Promise.all(ranges.map(([first, rows]) => ask(first, rows, { causal: true })));
    for (const [n, [first, rows]] of ranges.entries())
      expect(found[n], `${rows} queries from ${first}`).toEqual(await alone(first, rows, { causal: true }));
    const whole = await createEngine({ threads: 1 });
    const tensors = keys(0, S);
    const out = await whole.attention(
      whole.tensor([B, H, 257, D], made(H, 2000, 257, D, 3)),
      whole.tensor([B, G, S, D], tensors.k),
      whole.tensor([B, G, S, E], tensors.v),
      {
        encoding: rotary({ dim: D, theta: 10000, layout: 'halves' }),
        causal: true,
        queryOffset: 2000,
      },
    );
    const unsplit = out.toArray();
    // One call over all keys sums in another order, no more.
    const merged = found[4] as ShardedResult;
    const worst = merged.out.reduce((most, x, n) => Math.max(most, Math.abs(x - (unsplit[n] as number))), 0);
    expect(worst).toBeLessThan(2e-6);
    whole.dispose();
    await finish();
  });

  test('without a mask, and with a window that leaves hosts out', async () => {
    await publishKeys(2, false);
    expect(sharded.context.chunks.length).toBe(2);
    const [, second] = await Promise.all([hold(0), hold(1), merge()]);
    expect(await ask(100, 10, {})).toEqual(await alone(100, 10, {}));
    // Nobody needs the second host for these.
    second.child.kill('SIGKILL');
    expect(await ask(100, 10, { causal: true, window: { left: 50 } })).toEqual(
      await alone(100, 10, { causal: true, window: { left: 50 } }),
    );
    await finish();
  });

  test('a server that is not there, or goes, is no reason to wait for ever', async () => {
    const given = { store: redisStore, batch: B, keyHeads: G, headDim: D, totalKeys: S, hosts: 2, keys };
    const port = await freePort();
    const nowhere = { url: `redis://:secret@127.0.0.1:${port}` };
    const told = expect.stringMatching(`^Redis cannot be reached: redis://127.0.0.1:${port}: connect ECONNREFUSED`);
    await expect(ShardedAttention.publish({ ...given, redis: nowhere })).rejects.toMatchObject({ message: told });
    await expect(ShardedAttention.open({ redis: nowhere, store: redisStore, context: randomUUID() })).rejects.toMatchObject({
      message: told,
    });
    const own = await startRedis();
    const context = await ShardedAttention.publish({ ...given, redis: { url: own.url } });
    own.stop();
    await sleep(200);
    await expect(context.attend(made(H, 0, 1, D, 3), { start: 0, heads: H, signal: AbortSignal.timeout(500) })).rejects.toThrow(/timeout/);
    await context.close();
  });

  test('keys that cannot be published are refused before any is sent', async () => {
    const given = { redis: { url: redis.url }, store: redisStore, batch: B, keyHeads: G, headDim: D, totalKeys: S, hosts: 2, keys };
    for (const [wrong, why] of [
      [{ batch: 0 }, /publish: "batch" expected an integer from 1/],
      [{ headDim: Number.NaN }, /publish: "headDim" expected an integer/],
      [
        { totalKeys: 2 ** 24, hosts: 1, causal: false },
        /publish: "hosts" expected so many that a chunk takes 536870912 bytes at most, got 1/,
      ],
      [{ keys: () => ({ k: [1], v: [1] }) as never }, /publish: "k" expected a Float32Array, got \[1\]/],
    ] as const) {
      await expect(ShardedAttention.publish({ ...given, ...wrong })).rejects.toThrow(why);
    }
    const client = connect({ url: redis.url });
    expect(await client.keys('relpos-*')).toEqual([]);
    client.disconnect();
  });

  test('a host that is killed in the middle, started again, gives the same bits', async () => {
    await publishKeys(2);
    const [first] = await Promise.all([hold(0), hold(1), merge()]);
    const ranges = Array.from({ length: 24 }, (_, n) => [n * 120, 120] as const);
    const asked = Promise.all(ranges.map(([at, rows]) => ask(at, rows, { causal: true })));
    await sleep(150);
    first.child.kill('SIGKILL');
    await first.ended;
    await sleep(500);
    await hold(0);
    const found = await asked;
    for (const [n, [at, rows]] of ranges.entries()) expect(found[n]).toEqual(await alone(at, rows, { causal: true }));
    await finish();
  });

  test('memory that holds a shard and not the whole', async () => {
    // Keys and values of the whole are 5.9 MiB, those of a host 1.5.
    await publishKeys(4, true, 12_000);
    await Promise.all([...[0, 1, 2, 3].map((host) => hold(host, '--max-memory', '5')), merge()]);
    for (const first of [0, 7000, 11_936]) expect(await ask(first, 64, { causal: true })).toEqual(await alone(first, 64, { causal: true }));
    // A request that does not fit is refused with the reason, at once.
    await expect(ask(0, 11_000, { causal: true })).rejects.toThrow(/memory/);
    await finish();
    await publishKeys(1, true, 12_000);
    const one = startNode([SHARDS, 'hold', '--context', sharded.context.id, '--host', '0', '--redis', redis.url, '--max-memory', '5']);
    expect([await one.ended, one.printed()]).toEqual([1, expect.stringMatching(/^relpos-shards: .*memory/)]);
    await finish();
  });

  test('what is stopped while a host is at it leaves nothing behind', async () => {
    await publishKeys(2);
    const [first] = await Promise.all([hold(0), hold(1), merge()]);
    const controller = new AbortController();
    const asked = Array.from({ length: 40 }, (_, n) =>
      sharded.attend(made(H, 50 * n, 50, D, 3), { start: 50 * n, heads: H, causal: true, signal: controller.signal }),
    );
    const ended = Promise.allSettled(asked);
    // The host takes requests one by one: the last is not its first.
    await asked[0];
    first.child.kill('SIGSTOP');
    await sleep(100);
    controller.abort(new Error('enough'));
    expect((await ended).at(-1)).toMatchObject({ status: 'rejected', reason: new Error('enough') });
    await finish();
  });

  test('a request too large for the merger leaves nothing in its memory', async () => {
    await publishKeys(2);
    const merger = await startMerger({ ...at(), context: sharded.context.id, maxMemory: 2 ** 21, warn: () => {} });
    await Promise.all([hold(0), hold(1)]);
    for (let n = 0; n < 3; n++) await expect(ask(1600, 1400, { causal: true })).rejects.toThrow(/memory/);
    expect(await ask(2500, 500, { causal: true })).toEqual(await alone(2500, 500, { causal: true }));
    await merger.close();
    await finish();
  });

  test('a start that fails leaves no connection', async () => {
    const client = connect({ url: redis.url });
    const clients = async () =>
      String(await client.client('LIST'))
        .trim()
        .split('\n').length;
    const before = await clients();
    const nowhere = { ...at(), context: randomUUID(), warn: () => {} };
    await expect(startShardHost({ ...nowhere, host: 0 })).rejects.toThrow(/there is no context/);
    await expect(startMerger(nowhere)).rejects.toThrow(/there is no context/);
    while ((await clients()) > before) await sleep(20);
    client.disconnect();
  });

  test('who is not running that a request waits for is said', async () => {
    const warned: string[] = [];
    await publishKeys(3);
    await sharded.close();
    sharded = await ShardedAttention.open({
      ...at(),
      context: sharded.context.id,
      warn: (text) => warned.push(text),
    });
    const second = await hold(1);
    const asked = ask(S - 2, 2, { causal: true });
    // It has answered, and is not missed.
    const client = connect({ url: redis.url });
    const events = `bull:relpos-attend-${sharded.context.id}-1:events`;
    while (!JSON.stringify(await client.xrange(events, '-', '+')).includes('"completed"')) await sleep(20);
    client.disconnect();
    second.child.kill('SIGTERM');
    while (warned.length === 0) await sleep(50);
    expect(warned).toEqual([`attend: context ${sharded.context.id} waits for host 0, host 2, the merger: start what is not running`]);
    await Promise.all([hold(0), hold(2), merge()]);
    expect(await asked).toEqual(await alone(S - 2, 2, { causal: true }));
    expect(warned.length).toBe(1);
    await finish();
  });

  test('hosts that compute in different precisions are refused', async () => {
    await publishKeys(2);
    await Promise.all([hold(0), hold(1, '--precision', 'int16'), merge()]);
    await expect(ask(S - 4, 4, { causal: true })).rejects.toThrow(/expected hosts of one precision, got int16 and reproducible/);
    await finish();
  });

  test('what is wrong with a request is an error at the asking end, and the hosts go on', async () => {
    await publishKeys(1);
    await Promise.all([hold(0), merge()]);
    const q = made(H, 0, 4, D, 3);
    await expect(sharded.attend(q, { start: 0, heads: 3 })).rejects.toThrow(
      /"heads" expected a multiple of the context's 2 heads of keys, got 3/,
    );
    await expect(sharded.attend(q.subarray(1), { start: 0, heads: H })).rejects.toThrow(/"q" expected a multiple/);
    await expect(sharded.attend([...q] as unknown as Float32Array, { start: 0, heads: H })).rejects.toThrow(/"q" expected a Float32Array/);
    await expect(sharded.attend(q, { start: S, heads: H })).rejects.toThrow(/"start" expected an integer from 0 to 2996, got 3000/);
    await expect(sharded.attend(q, { start: 0, heads: H, encoding: { name: 'bias' as 'alibi', options: {} } })).rejects.toThrow(
      /expected one of alibi/,
    );
    // Only the host's constructor knows that this is wrong.
    await expect(sharded.attend(q, { start: 0, heads: H, encoding: { name: 'alibi', options: { heads: 7 } } })).rejects.toThrow(
      /alibi|heads/,
    );
    expect(await ask(0, 4, { causal: true })).toEqual(await alone(0, 4, { causal: true }));
    await expect(sharded.attend(q, { start: 0, heads: H, signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    // Without a host nothing begins, and what is stopped then leaves nothing.
    await endAll();
    const controller = new AbortController();
    const asked = sharded.attend(q, { start: 0, heads: H, signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 300);
    await expect(asked).rejects.toThrow('enough');
    await finish();
  });
});
