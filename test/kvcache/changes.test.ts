/** What happens to a cache: growth row by row, cuts, forks, windows, shifts, failures. */
import { afterAll, describe, expect, test } from 'vitest';
import { alibi, bias, createEngine, defineEncoding, fire, type KVCache, rotary, type Tensor } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { expectWhole, generator, ones, rowsOf, sequence } from './support.ts';

const engine = await createEngine({ threads: 2 });
afterAll(() => engine.dispose());

const sizes = { B: 2, H: 4, G: 2, T: 120, D: 16, E: 16 };
const { B, H, G, T, D } = sizes;
const operands = sequence(engine, sizes, 5);
const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
const cacheOf = (options: object = {}): KVCache =>
  engine.kvCache({ batch: B, heads: G, headDim: D, capacity: T, pageSize: 16, ...options });
const part = (x: Tensor, from: number, to: number): Tensor => x.slice(null, null, [from, to]);
const append = (cache: KVCache, from: number, to: number): KVCache => cache.append(part(operands.k, from, to), part(operands.v, from, to));
const whole = await engine.attention(operands.q, operands.k, operands.v, { encoding, causal: true });

test('a cache that rotates on append refuses an encoding that does anything else', () => {
  const more = defineEncoding({
    name: 'more',
    lower: (context) => ({ ...encoding.lower(context), rowScale: new Float32Array(context.shape.L).fill(2) }),
  });
  const cache = cacheOf({ encoding: more, rotate: 'on-append' });
  expect(() => append(cache, 0, 4)).toThrow("and nothing else with rotate: 'on-append'");
  expect(cache.length).toBe(0);
  cache.dispose();
});

describe('rows at different lengths', () => {
  const far = fire({
    weight1: [0.1, -0.2, 0.3, 1],
    bias1: [0, 0.1, -0.1, 0.2],
    weight2: Float32Array.from({ length: 4 * H }, generator(3)),
    bias2: new Float32Array(H),
    c: 0.1,
    threshold: 0.5,
  });

  test.each([
    ['none', undefined],
    ['rotary', encoding],
    ['alibi', alibi({ heads: H })],
    ['fire, whose rows depend on their positions', far],
  ])('each gives the bits of its own call: %s', async (_, scheme) => {
    const options = { causal: true, softcap: 9, ...(scheme && { encoding: scheme }) };
    const single = await Promise.all(
      [0, 1].map((b) => {
        const [q, k, v] = [operands.q, operands.k, operands.v].map((x) => x.slice([b, b + 1])) as [Tensor, Tensor, Tensor];
        return engine.attention(q, k, v, options);
      }),
    );
    using cache = cacheOf();
    let lengths = [0, 0];
    for (const counts of [[70, 33], ...ones(5).map(() => [1, 1]), [0, 9], [3, 0], [12, 12]]) {
      const n = Math.max(...counts);
      // Rows at different places of the sequence, side by side, padded on the right.
      const stacked = [operands.q, operands.k, operands.v].map((x) => {
        const rows = lengths.map((from, b) => {
          const padded = new Float32Array((x.shape[1] as number) * n * D).fill(Number.NaN);
          const own = rowsOf(x.slice([b, b + 1]), from, from + (counts[b] as number));
          for (let h = 0; h < (x.shape[1] as number); h++) {
            padded.set(own.subarray(h * (counts[b] as number) * D, (h + 1) * (counts[b] as number) * D), h * n * D);
          }
          return [...padded];
        });
        return engine.tensor([B, x.shape[1] as number, n, D], rows.flat());
      }) as [Tensor, Tensor, Tensor];
      const after = lengths.map((from, b) => from + (counts[b] as number));
      const out = await engine.attention(...stacked, { ...options, cache, keyLengths: after });
      expect(cache.lengths).toEqual(after);
      lengths.forEach((from, b) => {
        const got = out.slice([b, b + 1], null, [0, counts[b] as number]).toArray();
        expectSameBits(got, rowsOf(single[b] as Tensor, from, after[b] as number));
      });
      lengths = after;
    }
    expect(cache.length).toBe(90);
  });

  test('some rows only', async () => {
    using cache = cacheOf({ encoding });
    const row = (x: Tensor, b: number, from: number, to: number): Tensor => x.slice([b, b + 1], null, [from, to]);
    cache.append(row(operands.k, 1, 0, 40), row(operands.v, 1, 0, 40), { rows: [1] });
    cache.append(row(operands.k, 0, 0, 50), row(operands.v, 0, 0, 50), { rows: [0], lengths: [40] });
    expect(cache.lengths).toEqual([40, 40]);
    await expectWhole(engine, whole, operands, cache, [1, 20], { causal: true });
  });

  test('a length without new keys shows no more than a row has', async () => {
    using cache = cacheOf({ encoding });
    cache.append(part(operands.k, 0, 40), part(operands.v, 0, 40), { lengths: [40, 21] });
    const q = part(operands.q, 40, 43);
    const all = await engine.attention(q, null, null, { cache });
    expectSameBits((await engine.attention(q, null, null, { cache, keyLengths: [40, 40] })).toArray(), all.toArray());
  });
});

describe('cuts and forks', () => {
  test('after a cut the same tokens give the same bits', async () => {
    using cache = cacheOf({ encoding });
    for (const [length, steps] of [
      [0, [100]],
      [70, [1, 20]],
      [16, [5, 99]],
      [0, [T]],
    ] as const) {
      cache.truncate(length);
      await expectWhole(engine, whole, operands, cache, steps, { causal: true });
    }
    cache.truncate(500).truncate([20, 70]);
    expect(cache.lengths).toEqual([20, 70]);
    expect(cache.reset().length).toBe(0);
  });

  test('forks share what was there and part afterwards, in any order of disposal', async () => {
    const other = sequence(engine, sizes, 77);
    const start = engine.memoryUsage().used;
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
    ]) {
      const prompt = append(cacheOf({ encoding }), 0, 50);
      const used = engine.memoryUsage().used;
      const same = prompt.fork();
      const apart = prompt.fork();
      expect(engine.memoryUsage().used).toBe(used);
      const mixed = async (): Promise<void> => {
        const k = engine.tensor([B, G, 60, D], new Float32Array(B * G * 60 * D));
        apart.append(part(other.k, 50, 60), part(other.v, 50, 60));
        apart.truncate(50).append(k, k);
        k.dispose();
      };
      await mixed();
      expect([prompt.length, same.length, apart.length]).toEqual([50, 50, 110]);
      await expectWhole(engine, whole, operands, same, [1, 1, 40], { causal: true });
      await expectWhole(engine, whole, operands, prompt, [30, 1], { causal: true });
      const caches = [prompt, same, apart];
      for (const n of order) caches[n]?.dispose();
      expect(engine.memoryUsage().used).toBe(start);
    }
    for (const tensor of Object.values(other)) (tensor as Tensor).dispose();
  });
});

describe('window', () => {
  const [left, sinks] = [30, 3];

  test('a cache as large as the window gives the bits of the whole pass with that window', async () => {
    const expected = await engine.attention(operands.q, operands.k, operands.v, { encoding, causal: true, window: { left } });
    for (const [capacity, steps] of [
      [left + 2, ones(T)],
      [left + 20, [20, ...ones(8), 10, 10, 10, ...ones(T - 58)]],
    ] as const) {
      for (const rotate of ['on-append', 'on-read'] as const) {
        using cache = cacheOf({ encoding, rotate, capacity, pageSize: 8, window: { left } });
        await expectWhole(engine, expected, operands, cache, steps, { causal: true });
        expect(cache.length).toBe(T);
      }
    }
  });

  test('sinks stay', async () => {
    const hidden = Float32Array.from({ length: T * T }, (_, n) => {
      const [i, j] = [Math.floor(n / T), n % T];
      return j < sinks || j >= i - left ? 0 : Number.NEGATIVE_INFINITY;
    });
    const mask = bias(engine.tensor([1, 1, T, T], hidden));
    const expected = await engine.attention(operands.q, operands.k, operands.v, { encoding: [encoding, mask], causal: true });
    using cache = cacheOf({ encoding, capacity: left + sinks + 20, pageSize: 8, window: { left, sinks } });
    await expectWhole(engine, expected, operands, cache, [20, ...ones(18), 10, 10, ...ones(T - 58)], { causal: true });
  });

  test('a call may narrow it, and keys that are gone are asked for in vain', async () => {
    const expected = await engine.attention(operands.q, operands.k, operands.v, { encoding, causal: true, window: { left: 11 } });
    using cache = cacheOf({ encoding, capacity: left + 2, pageSize: 8, window: { left } });
    await expectWhole(engine, expected, operands, cache, ones(100), { causal: true, window: { left: 11 } });
    expect(() => cache.truncate(98)).toThrow(
      'truncate: "length" expected 0 or at least 99, got 98: the keys before it have left the window',
    );
    await expect(engine.attention(part(operands.q, 0, 2), null, null, { cache })).rejects.toThrow('queries whose window begins at 69');
    await expectWhole(engine, expected, operands, cache.truncate(99), ones(10), { causal: true, window: { left: 11 } });
    expect(cache.reset().length).toBe(0);
    await expectWhole(engine, expected, operands, cache, [5], { causal: true, window: { left: 11 } });
  });

  test('no more pages are in use than at the start', async () => {
    using cache = cacheOf({ capacity: left + 2, pageSize: 8, window: { left } });
    const { used } = engine.memoryUsage();
    for (let n = 0; n < T; n++) append(cache, n, n + 1);
    expect(engine.memoryUsage().used).toBe(used);
  });
});

describe('shift', () => {
  test('turns stored keys as if they stood elsewhere, without the factor', async () => {
    const scaling = { type: 'yarn', factor: 4, originalMaxPositionEmbeddings: 32 } as const;
    const scaled = rotary({ dim: 16, theta: 10000, layout: 'pairs', layoutOut: 'halves', scaling });
    const moved = rotary({ dim: 16, theta: 10000, layout: 'pairs', layoutOut: 'halves', scaling, offset: -7 });
    const fork = append(cacheOf({ encoding: scaled }), 0, 60).fork();
    using shifted = fork.fork().shift(-7);
    const q = part(operands.q, 60, 64);
    const turned = await engine.rotate(q, scaled, { offset: 56 });
    const keys = await engine.rotate(part(operands.k, 0, 60), moved, { role: 'key' });
    const expected = (await engine.attention(turned, keys, part(operands.v, 0, 60))).toArray();
    const got = (await engine.attention(q, null, null, { cache: shifted })).toArray();
    expect(Math.max(...got.map((x, n) => Math.abs(x - (expected[n] as number))))).toBeLessThan(1e-5);
    const before = (await engine.attention(q, null, null, { cache: fork })).toArray();
    expect(Math.max(...before.map((x, n) => Math.abs(x - (expected[n] as number))))).toBeGreaterThan(1e-3);
  });

  test('there and back is the same up to a rounding, in a window with sinks too', async () => {
    using cache = cacheOf({ encoding, capacity: 40, pageSize: 8, window: { left: 20, sinks: 2 } });
    for (let n = 0; n < 100; n++) append(cache, n, n + 1);
    const q = part(operands.q, 99, 100);
    const before = (await engine.attention(q, null, null, { cache })).toArray();
    cache.shift(1000).shift(-1000);
    const after = (await engine.attention(q, null, null, { cache })).toArray();
    expect(Math.max(...after.map((x, n) => Math.abs(x - (before[n] as number))))).toBeLessThan(1e-5);
  });
});

describe('failures change nothing', () => {
  test('no room', () => {
    using cache = append(cacheOf(), 0, 100);
    const { used } = engine.memoryUsage();
    expect(() => append(cache, 0, 30)).toThrow(
      new RangeError('append: "k" expected room for n=30 more keys, got capacity 120 with 100 keys in batch row 0'),
    );
    expect(cache.length).toBe(100);
    expect(engine.memoryUsage().used).toBe(used);
  });

  test('wrong arguments', async () => {
    using cache = append(cacheOf({ encoding }), 0, 10);
    const { q, k, v } = operands;
    const wrong: [() => unknown, string][] = [
      [() => cache.append(q, v), '"k" expected shape [B=2, G=2, n, D=16], got [2, 4, 120, 16]'],
      [() => cache.append(k, q), '"v" expected shape [B=2, G=2, n=120, E=16], got [2, 4, 120, 16]'],
      [() => cache.append(part(k, 0, 3), part(v, 0, 3), { lengths: [14, 10] }), '"lengths[0]" expected an integer in 10 … 13, got 14'],
      [() => cache.append(part(k, 0, 3), part(v, 0, 3), { rows: [0, 0] }), '"rows" expected some rows, none of them twice'],
      [() => cache.truncate(-1), '"length" expected an integer ≥ 0, got -1'],
      [() => cache.truncate([1]), '"length" expected a number or B=2 of them, got 1'],
      [() => cacheOf().shift(1), '"cache" expected a cache with rotate'],
      [() => cacheOf({ pageSize: 24 }), '"pageSize" expected a power of two, got 24'],
      [() => cacheOf({ window: { left: 119 } }), '"capacity" expected at least window.left + window.sinks + 2 = 121, got 120'],
      [() => cacheOf({ rotate: 'on-append' }), '"encoding" expected an encoding beside rotate'],
      [() => cacheOf({ encoding: alibi({ heads: 2 }) }).append(k, v), '"encoding" expected a rotation at standard positions'],
      [() => engine.attentionSync(k, k, v, { cache: {} as never }), '"cache" expected a cache from engine.kvCache, got Object'],
      [() => engine.attentionSync(k, null, null), '"k" expected a tensor, got null'],
      [() => engine.attentionSync(k, k, undefined, { cache }), '"v" expected a tensor, got undefined'],
      [() => engine.attentionSync(q, k, v, { cache, totalKeys: 5 }), '"totalKeys" expected nothing beside "cache"'],
    ];
    for (const [call, text] of wrong) expect(call).toThrow(text);
    expect(cache.length).toBe(10);
    cache.truncate(0);
    await expectWhole(engine, whole, operands, cache, [30], { causal: true });
  });

  test('a rotation that changes with the length is refused where keys are stored rotated', async () => {
    const scaling = { type: 'dynamic', factor: 2, maxPositionEmbeddings: 32 } as const;
    const dynamic = rotary({ dim: 16, theta: 10000, layout: 'halves', scaling: scaling as never });
    using cache = append(cacheOf({ encoding: dynamic }), 0, 32);
    expect(() => append(cache, 32, 33)).toThrow("rotate: 'on-read' stores them as they come");
    // An empty cache has no rotation: the next keys bring theirs.
    append(cache.reset(), 0, 40);
    const [q, k, v] = [part(operands.q, 39, 40), part(operands.k, 0, 40), part(operands.v, 0, 40)];
    const all = await engine.attention(q, k, v, { encoding: dynamic });
    expectSameBits((await engine.attention(q, null, null, { cache })).toArray(), all.toArray());
    using raw = append(cacheOf({ encoding: dynamic, rotate: 'on-read' }), 0, 40);
    const expected = await engine.attention(part(operands.q, 40, 50), part(operands.k, 0, 50), part(operands.v, 0, 50), {
      encoding: dynamic,
    });
    await expect(
      engine.attention(part(operands.q, 40, 50), part(operands.k, 40, 50), part(operands.v, 40, 50), { cache: raw }),
    ).resolves.toSatisfy((out: Tensor) => [...out.toArray()].join() === [...expected.toArray()].join());
  });

  test('an aborted call', async () => {
    using cache = append(cacheOf({ encoding }), 0, 40);
    const controller = new AbortController();
    const call = engine.attention(part(operands.q, 40, 41), part(operands.k, 40, 41), part(operands.v, 40, 41), {
      cache,
      signal: controller.signal,
    });
    expect(() => cache.truncate(3)).toThrow(expect.objectContaining({ code: 'busy' }));
    expect(cache.length).toBe(40);
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(cache.length).toBe(40);
    await expectWhole(engine, whole, operands, cache, [1, 10], { causal: true });
  });

  test('a cache that is disposed while a call is under way lives until its end', async () => {
    const start = engine.memoryUsage().used;
    const cache = append(cacheOf({ encoding }), 0, 40);
    const [q, k, v] = [part(operands.q, 40, 50), part(operands.k, 40, 50), part(operands.v, 40, 50)];
    const call = engine.attention(q, k, v, { cache, causal: true });
    cache.dispose();
    cache.dispose();
    const out = await call;
    expectSameBits(out.toArray(), rowsOf(whole, 40, 50));
    out.dispose();
    expect(() => cache.length).toThrow('the cache was disposed');
    expect(engine.memoryUsage().used).toBe(start);
  });

  test('no memory for a page of a fork', async () => {
    using small = await createEngine({ threads: 1, maxMemory: 2 ** 20 });
    const k = small.tensor([1, 1, 1024, 64]);
    const cache = small.kvCache({ batch: 1, heads: 1, headDim: 64, capacity: 1024 });
    cache.append(k, k);
    const fork = cache.fork().truncate(1000);
    const row = k.slice(null, null, [0, 24]);
    const blocks: Tensor[] = [];
    const fill = (): void => {
      for (;;) blocks.push(small.tensor([16384], undefined, 'i8'));
    };
    expect(fill).toThrow('out of memory');
    expect(() => fork.append(row, row)).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
    expect(fork.length).toBe(1000);
    for (const block of blocks) block.dispose();
    expect(fork.append(row, row).length).toBe(1024);
  });
});
