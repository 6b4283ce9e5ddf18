/** The life of a prepared call: what is refused, what may be disposed when, aborts, traps, and what is given back. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  bias,
  createEngine,
  createEngineSync,
  type Engine,
  type KVCache,
  type PreparedAttention,
  RelposError,
  rotary,
  type Tensor,
} from '../../src/index.ts';
import { TilePool } from '../../src/threads/tile-pool.ts';
import type { Job } from '../../src/threads/types.ts';
import { expectSameBits } from '../attention/call.ts';
import { generator } from '../kvcache/support.ts';

const engines: Engine[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const engine of engines.splice(0)) engine.dispose();
});

const [H, G, D] = [4, 2, 8];
const encoding = rotary({ dim: D, theta: 100, layout: 'halves' });
const coded = (code: string): unknown => expect.objectContaining({ code });

interface Rig {
  readonly engine: Engine;
  readonly cache: KVCache;
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly used: number;
}

async function rig(threads = 1, capacity = 100): Promise<Rig> {
  const engine = threads > 1 ? await createEngine({ threads }) : createEngineSync();
  engines.push(engine);
  const next = generator(5);
  const tensor = (heads: number): Tensor =>
    engine.tensor(
      [1, heads, 1, D],
      Float32Array.from({ length: heads * D }, () => next()),
    );
  const [q, k, v] = [tensor(H), tensor(G), tensor(G)];
  const cache = engine.kvCache({ batch: 1, heads: G, headDim: D, capacity, encoding, pageSize: 8 });
  return { engine, cache, q, k, v, used: engine.memoryUsage().used };
}

const prepare = ({ engine, cache, q, k, v }: Rig, more: object = {}): Promise<PreparedAttention> =>
  engine.prepare(q, k, v, { cache, causal: true, ...more });

describe('arguments', () => {
  test('errors name what is wrong, and nothing is changed', async () => {
    const one = await rig();
    const { engine, q, k, v, cache, used } = one;
    await expect(prepare(one, { signal: new AbortController().signal })).rejects.toThrow('prepare: "signal" expected none');
    await expect(prepare(one, { onProgress: () => {} })).rejects.toThrow('prepare: "onProgress" expected none');
    await expect(prepare(one, { casual: true })).rejects.toThrow('prepare: "options" has no "casual"');
    for (const name of ['q', 'k', 'v'] as const) {
      const given = { q, k, v, [name]: { dtype: 'F32', shape: one[name].shape, data: new Uint8Array(4 * one[name].size) } };
      for (const options of [{}, { cache }]) {
        await expect(engine.prepare(given.q, given.k, given.v, options)).rejects.toThrow(
          new TypeError(`prepare: "${name}" expected a tensor of engine.tensor, which each run reads anew, got Object`),
        );
      }
    }
    await expect(prepare(one, { queryOffsets: [0, 1] })).rejects.toThrow('prepare: "cache" expected nothing beside "queryOffsets"');
    await expect(engine.prepare(q, k, q, { cache })).rejects.toThrow('prepare: "v" expected shape');
    await expect(engine.preparePartial(q, k, q)).rejects.toThrow('preparePartial: "v" expected shape');
    await expect(engine.prepare(q, 3 as never, v)).rejects.toThrow('prepare: "k" expected a tensor, got 3');
    await expect(engine.prepare(q, k, v, { out: q })).rejects.toThrow('prepare: "out" expected memory of its own, got an overlap with "q"');
    expect(engine.memoryUsage().used).toBe(used);
    expect(cache.length).toBe(0);
    using step = await prepare(one);
    await expect(step.run({ sginal: 1 } as never)).rejects.toThrow('run: "options" has no "sginal"');
    await expect(step.run({ signal: 1 as never })).rejects.toThrow('run: "signal" expected an AbortSignal, got 1');
    await expect(step.run({ onProgress: 1 as never })).rejects.toThrow('run: "onProgress" expected a function, got 1');
    await expect(step.run({ signal: AbortSignal.abort(new Error('early')) })).rejects.toThrow('early');
    expect(cache.length).toBe(0);
    step.runSync();
    expect(cache.length).toBe(1);
  });

  test('a full cache refuses a step, and takes one when there is room', async () => {
    const one = await rig(1, 20);
    using step = await prepare(one);
    for (let n = 0; n < 20; n++) step.runSync();
    const before = step.out.toArray();
    expect(() => step.runSync()).toThrow('runSync: "k" expected room for n=1 more keys, got capacity 20 with 20 keys in batch row 0');
    await expect(step.run()).rejects.toThrow('run: "k" expected room');
    expectSameBits(step.out.toArray(), before);
    one.cache.truncate(19);
    step.runSync();
    expectSameBits(step.out.toArray(), before);
  });
});

describe('ends', () => {
  test('everything is given back', async () => {
    const one = await rig();
    const out = one.engine.tensor([1, H, 1, D]);
    const used = one.engine.memoryUsage().used;
    for (const more of [{}, { out }]) {
      const step = await prepare(one, more);
      const call = await one.engine.preparePartial(one.q, one.k, one.v, { ...more, encoding });
      for (let n = 0; n < 20; n++) {
        step.runSync();
        call.runSync();
      }
      step.dispose();
      call.dispose();
      step.dispose();
      expect(step.disposed).toBe(true);
      one.engine.releaseTables();
      expect(one.engine.memoryUsage().used).toBe(used);
      expect(() => step.runSync()).toThrow(coded('disposed'));
      await expect(call.run()).rejects.toThrow('the prepared call was disposed');
    }
    expect(out.disposed).toBe(false);
  });

  test.each(['q', 'k', 'v', 'cache', 'out', 'engine'] as const)('%s, at every point', async (name) => {
    for (const steps of [0, 1, 2, 9]) {
      const one = await rig();
      using step = await prepare(one);
      for (let n = 0; n < steps; n++) step.runSync();
      if (name === 'out') step.out.dispose();
      else one[name].dispose();
      expect(() => step.runSync()).toThrow(coded('disposed'));
      await expect(step.run()).rejects.toThrow(coded('disposed'));
    }
  });

  test.each(['q', 'k', 'v', 'out', 'lse', 'mask', 'mask of f16', 'encoding', 'sinks'] as const)('errors name %s', async (name) => {
    const { engine, ...one } = await rig();
    const [bytes, halves] = [engine.tensor([1, 1], new Int8Array([1]), 'i8'), engine.tensor([1, 1], [0.5], 'f16')];
    const table = engine.tensor([1, H, 1, 1], new Float32Array(H).fill(1));
    const sinks = engine.tensor([H], new Float32Array(H));
    using call = await engine.preparePartial(one.q, one.k, one.v, { mask: [bytes, halves], encoding: bias(table), sinks });
    const all = { ...one, out: call.out, lse: call.lse, mask: bytes, 'mask of f16': halves, encoding: table, sinks };
    call.runSync();
    all[name].dispose();
    const message = `the tensor "${name.split(' ')[0]}" was disposed`;
    expect(() => call.runSync()).toThrow(new RelposError('disposed', `runSync: ${message}`));
    await expect(call.run()).rejects.toThrow(new RelposError('disposed', `run: ${message}`));
  });

  test('results that are disposed while a run is under way keep their memory until it is over', async () => {
    const { engine, q, k, v } = await rig();
    const call = await engine.preparePartial(q, k, v);
    const run = call.run();
    call.out.dispose();
    call.lse.dispose();
    const others = Array.from({ length: 4 }, () => [engine.tensor([1, H, 1, D]), engine.tensor([1, H, 1])]).flat();
    await expect(run).resolves.toBe(call.out);
    for (const other of others) expect(other.toArray().every((x) => x === 0)).toBe(true);
    const { used } = engine.memoryUsage();
    call.dispose();
    expect(engine.memoryUsage().used).toBeLessThan(used);
  });

  test('the call itself, while a run is under way', async () => {
    const one = await rig(2);
    const out = one.engine.tensor([1, H, 1, D]);
    const { used } = one.engine.memoryUsage();
    const step = await prepare(one, { out });
    for (const _ of [0, 1]) step.runSync();
    const expected = out.toArray();
    one.cache.truncate(1);
    const run = step.run();
    step.dispose();
    expect(await run).toBe(out);
    expectSameBits(out.toArray(), expected);
    expect(one.cache.length).toBe(2);
    one.engine.releaseTables();
    expect(one.engine.memoryUsage().used).toBe(used);
  });

  test('the engine, while a run is under way', async () => {
    for (const steps of [0, 3]) {
      const one = await rig(2);
      const step = await prepare(one);
      for (let n = 0; n < steps; n++) step.runSync();
      const run = step.run();
      one.engine.dispose();
      await expect(run).rejects.toThrow(coded('disposed'));
      step.dispose();
    }
  });

  test('a cache, while a run is under way', async () => {
    for (const steps of [0, 3]) {
      const one = await rig();
      const step = await prepare(one);
      for (let n = 0; n < steps; n++) step.runSync();
      const run = step.run();
      one.cache.dispose();
      await run;
      expect(() => step.runSync()).toThrow(coded('disposed'));
      step.dispose();
    }
  });
});

describe('one run at a time', () => {
  test('a second one is busy, and so is the cache', async () => {
    const one = await rig();
    using step = await prepare(one);
    using other = await prepare(one);
    for (const fresh of [true, false]) {
      const run = step.run();
      expect(() => step.runSync()).toThrow('runSync: a run of this prepared call is under way; await it first');
      const second = expect(step.run()).rejects.toThrow(coded('busy'));
      expect(() => other.runSync()).toThrow(coded('busy'));
      expect(() => one.cache.truncate(0)).toThrow(coded('busy'));
      await second;
      await run;
      expect(one.cache.length).toBe(fresh ? 1 : 2);
    }
    other.runSync();
    expect(one.cache.length).toBe(3);
  });

  test('a signal that comes in the middle leaves out and the cache as they were', async () => {
    const one = await rig();
    using step = (await one.engine.preparePartial(one.q, one.k, one.v, { cache: one.cache, causal: true })) as PreparedAttention & {
      lse: Tensor;
    };
    for (const steps of [0, 5]) {
      for (let n = 0; n < steps; n++) step.runSync();
      const [out, lse, length] = [step.out.toArray(), step.lse.toArray(), one.cache.length];
      const controller = new AbortController();
      const run = step.run({ signal: controller.signal });
      controller.abort(new Error('enough'));
      await expect(run).rejects.toThrow('enough');
      expectSameBits(step.out.toArray(), out);
      expectSameBits(step.lse.toArray(), lse);
      expect(one.cache.length).toBe(length);
    }
    // All tiles are done when this fails the run.
    const before = step.out.toArray();
    one.q.set(new Float32Array(H * D).fill(3));
    one.v.set(new Float32Array(G * D).fill(7));
    const onProgress = (): void => {
      throw new Error('too far');
    };
    for (const options of [{ signal: new AbortController().signal, onProgress }, { onProgress }]) {
      await expect(step.run(options)).rejects.toThrow('too far');
      expectSameBits(step.out.toArray(), before);
      expect(one.cache.length).toBe(5);
    }
    const seen: number[] = [];
    await step.run({ signal: new AbortController().signal, onProgress: ({ done, total }) => seen.push(done / total) });
    expect(seen.at(-1)).toBe(1);
    expect(one.cache.length).toBe(6);
  });
});

test.each(['f32', 'f16', 'bf16'] as const)('a run that is stopped leaves every bit of an %s out that lies scattered', async (dtype) => {
  const { engine, q, k, v } = await rig();
  const wide = engine.tensor([1, D, H, 3], undefined, dtype);
  const out = wide.permute(0, 2, 3, 1).slice(null, null, [1, 2]);
  const view = wide.view();
  const words = dtype === 'f32' ? new Uint32Array(view.buffer, view.byteOffset, view.length) : (view as Uint16Array);
  // Signalling NaN with payloads, which no number stands for.
  words.forEach((_, n) => {
    words[n] = (dtype === 'f32' ? 0x7f800001 : dtype === 'f16' ? 0x7c01 : 0x7f81) + n;
  });
  const before = words.slice();
  using call = await engine.prepare(q, k, v, { out });
  const onProgress = (): void => {
    throw new Error('too far');
  };
  await expect(call.run({ onProgress })).rejects.toThrow('too far');
  expect(words).toEqual(before);
  await call.run();
  expect(words.filter((x, n) => x !== before[n]).length).toBe(H * D);
});

test('results that cannot be kept leave nothing busy', async () => {
  const one = await rig();
  using step = await prepare(one);
  const { signal } = new AbortController();
  const size = vi.spyOn(step.out, 'size', 'get').mockImplementation(() => {
    throw new RangeError('Array buffer allocation failed');
  });
  await expect(step.run({ signal })).rejects.toThrow('allocation failed');
  size.mockRestore();
  expect(one.cache.length).toBe(0);
  await step.run({ signal });
  expect(one.cache.length).toBe(1);
});

test.each(['append', 'attend'])('a trap in %s leaves the cache as it was, and the next run is right', async (kernel) => {
  const one = await rig();
  const twin = one.engine.kvCache({ batch: 1, heads: G, headDim: D, capacity: 100, encoding, pageSize: 8 });
  using step = await prepare(one);
  const { runSync } = TilePool.prototype;
  let armed = false;
  vi.spyOn(TilePool.prototype, 'runSync').mockImplementation(function (this: TilePool, job: Job) {
    const end = armed ? job.stages.findIndex((stage) => stage.kernel === kernel) + 1 : job.stages.length;
    runSync.call(this, { ...job, stages: job.stages.slice(0, end) });
    if (armed) throw new RelposError('kernel-trap', 'injected');
  });
  for (let n = 0; n < 20; n++) {
    armed = n % 3 === 2;
    if (armed) {
      expect(() => step.runSync()).toThrow('injected');
      expect(one.cache.length).toBe(n);
    }
    armed = false;
    using expected = one.engine.attentionSync(one.q, one.k, one.v, { cache: twin, causal: true });
    expectSameBits(step.runSync().toArray(), expected.toArray());
  }
});

test('a trap of a call without a cache: the next run is planned anew', async () => {
  const one = await rig();
  using call = await one.engine.prepare(one.q, one.k, one.v, { encoding });
  const expected = call.runSync().toArray();
  const held = one.engine.memoryUsage().used;
  const spy = vi.spyOn(TilePool.prototype, 'runSync').mockImplementation(() => {
    throw new RelposError('kernel-trap', 'injected');
  });
  expect(() => call.runSync()).toThrow('injected');
  spy.mockRestore();
  // What a lost thread may still write to is not kept for the next run.
  expect(one.engine.memoryUsage().used).toBeLessThan(held);
  one.engine.releaseTables();
  expectSameBits(call.runSync().toArray(), expected);
});

test('tables that are released stay as long as a prepared call reads them', async () => {
  const one = await rig();
  using step = await prepare(one);
  using call = await one.engine.prepare(one.q, one.k, one.v, { encoding });
  for (let n = 0; n < 3; n++) {
    step.runSync();
    call.runSync();
    one.engine.releaseTables();
    one.engine.tensor([2000]).dispose();
  }
  using expected = await one.engine.attention(one.q, one.k, one.v, { encoding });
  expectSameBits(call.runSync().toArray(), expected.toArray());
});
