/** An estimate is what a call or a cache takes, to the byte, and nothing of it is taken by the estimate. */
import { afterAll, describe, expect, test, vi } from 'vitest';
import { type AttentionOptions, alibi, bias, createEngine, type KVCacheOptions, rotary, shaw, t5 } from '../../src/index.ts';
import { Arena } from '../../src/memory/arena.ts';

const engines = await Promise.all([1, 3].map((threads) => createEngine({ threads })));
afterAll(() => {
  for (const engine of engines) engine.dispose();
});

const table = (n: number): Float32Array => new Float32Array(n);

describe.each(engines)('$capabilities.threads threads', (engine) => {
  const dense = bias(engine.tensor([1, 4, 50, 90], undefined, 'f16'));
  const CALLS: readonly [string, AttentionOptions][] = [
    ['nothing', {}],
    [
      'rotary and alibi',
      { causal: true, encoding: [rotary({ dim: 32, theta: 9000 + engine.capabilities.threads, layout: 'halves' }), alibi({ heads: 4 })] },
    ],
    ['a window, sinks and lengths', { window: { left: 9 }, sinks: [1, 2, 3, 4], keyLengths: [9, 90] }],
    ['t5', { encoding: t5({ heads: 4, buckets: 8, maxDistance: 20, bidirectional: true, table: table(32) }) }],
    ['tables', { encoding: shaw({ left: 3, right: 3, keys: table(7 * 32), values: table(7 * 24) }) }],
    ['a dense bias', { encoding: dense }],
  ];

  test.each(CALLS)('a call with %s', async (_, options) => {
    const [q, k, v] = [engine.tensor([2, 4, 50, 32]), engine.tensor([2, 2, 90, 32]), engine.tensor([2, 2, 90, 24])];
    const { used, reserved } = engine.memoryUsage();
    const request = { q: q.shape, k: k.shape, v: v.shape };
    const { out, scratch, tables, cache, total } = engine.estimate(request, options);
    expect(out + scratch + tables + cache).toBe(total);
    expect(engine.memoryUsage()).toMatchObject({ used, reserved });
    // The most that is in use at once, scratch included: it is taken when the job runs.
    let most = 0;
    const { allocate } = Arena.prototype;
    const watch = vi.spyOn(Arena.prototype, 'allocate').mockImplementation(function (this: Arena, bytes: number) {
      const at = allocate.call(this, bytes);
      most = Math.max(most, this.usage().used - used);
      return at;
    });
    const result = await engine.attention(q, k, v, options);
    watch.mockRestore();
    expect(most).toBe(total);
    expect(engine.memoryUsage().used - used).toBe(out + tables);
    result.dispose();
    expect(engine.memoryUsage().used - used).toBe(tables);
    const state = engine.attentionPartialSync(q, k, v, options);
    expect(engine.memoryUsage().used - used).toBe(engine.estimate({ ...request, lse: true }, options).out + tables);
    for (const tensor of [q, k, v, state.out, state.lse]) tensor.dispose();
  });

  test.each<Partial<KVCacheOptions>>([
    {},
    { dtype: 'i8', valueDim: 7 },
    { dtype: 'f16', pageSize: 16 },
    { window: { left: 20, sinks: 4 } },
  ])('a cache with %o', (more) => {
    const options = { batch: 3, heads: 2, headDim: 20, capacity: 100, ...more };
    const { used } = engine.memoryUsage();
    const { total } = engine.estimate({ cache: options });
    expect(engine.memoryUsage().used).toBe(used);
    const cache = engine.kvCache(options);
    expect(engine.memoryUsage().used - used).toBe(total);
    cache.dispose();
    expect(engine.memoryUsage().used).toBe(used);
  });

  test('of more than there can be', () => {
    const shape = [64, 64, 65536, 128];
    expect(engine.estimate({ q: shape, k: shape, v: shape }).total).toBeGreaterThan(2 ** 36);
    expect(engine.estimate({ cache: { batch: 64, heads: 64, headDim: 128, capacity: 2 ** 20 } }).cache).toBeGreaterThan(2 ** 40);
    expect(() => engine.estimate({ q: [1, 2, 3, 4], k: [1, 2, 3, 5], v: [1, 2, 3, 4] })).toThrow('estimate: "k" expected shape');
  });
});
