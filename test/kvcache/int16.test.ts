/** Caches under precision 'int16': the bits of the whole pass for every type, and integers that are taken as they are stored. */
import { afterAll, describe, expect, test } from 'vitest';
import { alibi, createEngine, deberta, type Encoding, type Engine, type KVCache, rotary, type Tensor } from '../../src/index.ts';
import { CACHE_DTYPES } from '../../src/memory/dtypes.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { expectWhole, ones, rowsOf, sequence } from './support.ts';

const engines = await Promise.all([1, 2].map((threads) => createEngine({ threads, precision: 'int16' })));
const [engine] = engines as [Engine];
const exact = await createEngine({ threads: 1 });
afterAll(() => {
  for (const each of [...engines, exact]) each.dispose();
});

const sizes = { B: 2, H: 4, G: 2, T: 331, D: 13, E: 22 };
const { B, G, H, T, D, E } = sizes;
const turning = rotary({ dim: 12, theta: 10000, layout: 'halves' });
const SCHEMES: Readonly<Record<string, Encoding>> = {
  rotary: turning,
  alibi: alibi({ heads: H }),
  'deberta, which reads keys in f32': deberta({
    maxRelativePositions: 64,
    positionBuckets: 16,
    posAttType: ['c2p', 'p2c'],
    posKey: numbers(32 * H * D, 1),
    posQuery: numbers(32 * H * D, 2),
  }),
};
const cacheOf = (on: Engine, options: object) =>
  on.kvCache({ batch: B, heads: G, headDim: D, valueDim: E, capacity: T, pageSize: 32, ...options });
/** Odd numbers of keys, so that pairs of values are begun and ended by other steps. */
const STEPS = [1, 7, ...ones(5), 64, 65, 3, 129, 57];

describe.each(CACHE_DTYPES)('%s', (dtype) => {
  const operands = sequence(engine, sizes, 5);

  test.each(Object.entries(SCHEMES))('%s: in steps as in one', async (_, encoding) => {
    for (const rotate of encoding === turning ? (['on-append', 'on-read'] as const) : [undefined]) {
      const options = rotate ? { dtype, rotate, encoding } : { dtype };
      const call = { causal: true, ...(rotate ? {} : { encoding }) };
      using once = cacheOf(engine, options);
      using whole = await engine.attention(operands.q, operands.k, operands.v, { ...call, cache: once });
      for (const each of engines) {
        using cache = cacheOf(each, options);
        await expectWhole(each, whole, each === engine ? operands : sequence(each, sizes, 5), cache, STEPS, call);
      }
    }
  });

  test('near what another precision makes of the same cache', async () => {
    const call = { causal: true };
    using own = cacheOf(engine, { dtype, encoding: turning });
    using other = cacheOf(exact, { dtype, encoding: turning });
    const { q, k, v } = sequence(exact, sizes, 5);
    using got = await engine.attention(operands.q, operands.k, operands.v, { ...call, cache: own });
    using expected = await exact.attention(q, k, v, { ...call, cache: other });
    const list = expected.toArray();
    // Weights have 15 bits, values 12 of a size of 1.5, scores are off by some 1e-4.
    for (const [n, x] of got.toArray().entries()) expect(Math.abs(x - (list[n] as number))).toBeLessThan(2e-3);
  });

  test('hidden rows that are not finite change no bit', async () => {
    const poisoned = (x: Tensor, width: number): Tensor => {
      const list = x.toArray();
      for (let head = 0; head < B * G; head++) list.fill(Number.NaN, (head * T + 200) * width, (head * T + 203) * width);
      return engine.tensor(x.shape, list);
    };
    using cache = cacheOf(engine, { dtype }).append(poisoned(operands.k, D), poisoned(operands.v, E));
    using clean = cacheOf(engine, { dtype }).append(operands.k, operands.v);
    const q = operands.q.slice(null, null, [150, 220]);
    const options = { causal: true, queryOffset: 150 };
    const [a, b] = [cache, clean].map((one) => engine.attentionSync(q, null, null, { ...options, cache: one })) as [Tensor, Tensor];
    expectSameBits(rowsOf(a, 0, 50), rowsOf(b, 0, 50));
    expect(rowsOf(a, 50, 51).every(Number.isNaN)).toBe(true);
  });
});

test('a cache of i16 holds what int16 makes of f32: the scores are the same, and so are outputs that no key outweighs', async () => {
  const operands = sequence(engine, sizes, 5);
  const states = (['f32', 'i16'] as const).map((dtype) =>
    engine.attentionPartialSync(operands.q, operands.k, operands.v, {
      cache: cacheOf(engine, { dtype, encoding: turning }),
      causal: true,
      scale: 0.05,
    }),
  );
  const [f32, i16] = states as [(typeof states)[0], (typeof states)[0]];
  expectSameBits(i16.lse.toArray(), f32.lse.toArray());
  // With so small a scale no key among ten of a block of 192 holds four fifths of a weight.
  for (const [from, to] of [
    [10, 192],
    [202, T],
  ] as const) {
    expectSameBits(rowsOf(i16.out, from, to), rowsOf(f32.out, from, to));
  }
});

test('rows beyond 16 bits: what is tiny is 0, what is huge is NaN', async () => {
  const k = new Float32Array(3 * 4).fill(1);
  const v = Float32Array.from({ length: 12 }, (_, n) => (n < 4 ? 2 ** -60 : n < 8 ? 3 : 2 ** 60));
  const q = new Float32Array(4).fill(1);
  for (const on of [engine, exact]) {
    using cache = on.kvCache({ batch: 1, heads: 1, headDim: 4, capacity: 3, dtype: 'i16' });
    cache.append(on.tensor([1, 1, 3, 4], k), on.tensor([1, 1, 3, 4], v));
    const at = (n: number): number[] => [
      ...on.attentionSync(on.tensor([1, 1, 1, 4], q), null, null, { cache, keyLengths: [n], queryOffset: n - 1 }).toArray(),
    ];
    expect(at(1)).toEqual([0, 0, 0, 0]);
    for (const x of at(2)) expect(Math.abs(x - 1.5)).toBeLessThan(1e-3);
    expect(at(3).every(Number.isNaN)).toBe(true);
  }
});

/** Tiles of few rows read a cache of integers where it lies, others pack it first; what a row sees and yields is the same. */
describe.each(['i16', 'i8'] as const)('few rows and many of a cache of %s', (dtype) => {
  /** The last of some queries, by itself, beside another one, and beside all of them. */
  const compare = (cache: KVCache, q: Tensor, options: object = {}): void => {
    const L = q.shape[2] as number;
    const call = { ...options, cache, causal: true };
    const last = (n: number): Float32Array => {
      using part = q.slice(null, null, [L - n, L]);
      using out = engine.attentionSync(part, null, null, call);
      return rowsOf(out, n - 1, n);
    };
    const all = last(L);
    expectSameBits(last(1), all);
    expectSameBits(last(2), all);
  };
  const filled = (heads: number, rows: number, width: number, seed: number): Tensor =>
    engine.tensor([1, heads, rows, width], numbers(heads * rows * width, seed));

  test.each([
    [1, 1, 1],
    [20, 3, 2],
    [40, 1, 2],
    [64, 4, 1],
    [80, 5, 1],
    [128, 4, 2],
    [13, 8, 1],
    [160, 1, 1],
  ])('%d channels, %d query heads on each of %d', (width, share, heads) => {
    const valueDim = width === 40 ? 22 : width;
    const q = filled(share * heads, 25, width, 1);
    for (const pageSize of [8, 64, 256]) {
      using cache = engine.kvCache({ batch: 1, heads, headDim: width, valueDim, capacity: 769, pageSize, dtype });
      let length = 0;
      for (const S of [1, 63, 64, 65, 191, 192, 193, 767, 768, 769]) {
        cache.append(filled(heads, S - length, width, S), filled(heads, S - length, valueDim, S + 1));
        length = S;
        compare(cache, q);
      }
    }
  });

  test('what a fork, a cut and a window leave', () => {
    const q = filled(8, 25, 20, 1);
    const options = { batch: 1, heads: 2, headDim: 20, capacity: 400, pageSize: 16, dtype } as const;
    using cache = engine.kvCache(options);
    cache.append(filled(2, 300, 20, 2), filled(2, 300, 20, 3));
    using fork = cache.fork();
    cache.truncate(251).append(filled(2, 60, 20, 4), filled(2, 60, 20, 5));
    fork.append(filled(2, 7, 20, 6), filled(2, 7, 20, 7)).remove(40, 57);
    for (const one of [cache, fork]) {
      compare(one, q);
      compare(one, q, { window: { left: 70, right: 0 } });
      compare(one, q, { softcap: 3, encoding: alibi({ heads: 8 }) });
    }
    using sliding = engine.kvCache({ ...options, window: { left: 100 } });
    for (let n = 0; n < 6; n++) sliding.append(filled(2, 67, 20, 8 + n), filled(2, 67, 20, 18 + n));
    compare(sliding, q);
  });

  test('rows that are NaN, huge or tiny', () => {
    const [S, width] = [200, 24];
    const k = numbers(2 * S * width, 2);
    const v = numbers(2 * S * width, 3);
    for (const [n, x] of [Number.NaN, 1e30, 1e-30, Number.POSITIVE_INFINITY].entries()) {
      k.fill(x, (20 + 40 * n) * width, (21 + 40 * n) * width);
      v.fill(x, (S + 31 + 40 * n) * width, (S + 32 + 40 * n) * width);
    }
    using cache = engine.kvCache({ batch: 1, heads: 2, headDim: width, capacity: S, dtype });
    cache.append(engine.tensor([1, 2, S, width], k), engine.tensor([1, 2, S, width], v));
    const q = filled(8, 25, width, 1);
    for (const length of [S, 182, 151, 143, 120, 112, 75, 71, 40]) {
      cache.truncate(length);
      compare(cache, q, { window: { left: 20, right: 0 } });
      compare(cache, q, { window: { left: 3, right: 0 } });
      compare(cache, q);
    }
  });
});

describe('rows of i8 that are too large or too small for 16 bits are met in f32', () => {
  const S = 192;
  /** An output over an i8 cache, of either engine. */
  const over = (on: Engine, k: Float32Array, v: Float32Array, q: readonly number[], options: object = {}): Float32Array => {
    const [keys, width] = [k.length / 4, (4 * v.length) / k.length];
    using cache = on.kvCache({ batch: 1, heads: 1, headDim: 4, valueDim: width, capacity: keys, dtype: 'i8' });
    cache.append(on.tensor([1, 1, keys, 4], k), on.tensor([1, 1, keys, width], v));
    return on.attentionSync(on.tensor([1, 1, 1, 4], Float32Array.from(q)), null, null, { cache, scale: 1, ...options }).toArray();
  };
  const zeros = [0, 0, 0, 0];

  test.each([3e38, 2 ** 52, 1e-18, 1e-31, 1e-37])('values of %d', (size) => {
    const k = new Float32Array(4 * S);
    const v = new Float32Array(S * S);
    for (let j = 0; j < S; j++) v[j * S + j] = size;
    const [got, expected] = [over(engine, k, v, zeros), over(exact, k, v, zeros)];
    for (const [n, x] of got.entries()) {
      expect(Math.abs(x / size - 1 / S)).toBeLessThan(1e-7);
      expect(x).toBe(expected[n]);
    }
  });

  test.each([
    [3e38, 1e-38],
    [2 ** -60, 2 ** 60],
    [1e-37, 1e37],
  ])('keys of %d, queries of %d', (size, inverse) => {
    const k = Float32Array.of(size, 0, 0, 0, size, -size, size / 4, 0, 1, 1, 1, 1);
    const v = Float32Array.of(1, 2, 3, 4, 5, 6);
    const q = [inverse, -inverse / 3, 0, 0];
    const [got, expected] = [engine, exact].map((on) => over(on, k, v, q, { keyLengths: [2], queryOffset: 0 })) as [
      Float32Array,
      Float32Array,
    ];
    for (const [n, x] of got.entries()) expect(Math.abs(x - (expected[n] as number))).toBeLessThan(1e-3);
    expect(expected[0]).toBeGreaterThan(2);
  });

  test('where they are hidden, they change no bit', () => {
    const k = numbers(4 * S, 3);
    const v = numbers(8 * S, 4);
    const call = { keyLengths: [S - 3], queryOffset: 0 };
    const q = [1, -1, 0.5, 2];
    const clean = over(engine, k, v, q, call);
    k.fill(1e30, 4 * (S - 3));
    v.fill(1e-30, 8 * (S - 3));
    expectSameBits(over(engine, k, v, q, call), clean);
  });
});
