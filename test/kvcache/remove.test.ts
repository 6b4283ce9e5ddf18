/** Keys that go from the middle of a cache, and keys that turn where they lie: what is left is as if it had been appended so. */
import { afterAll, describe, expect, test } from 'vitest';
import { type CacheDType, createEngine, type KVCache, mrope, rotary, type Tensor, xpos } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { generator, rowsOf, sequence } from './support.ts';

const engine = await createEngine({ threads: 2 });
afterAll(() => engine.dispose());

const sizes = { B: 2, H: 4, G: 2, T: 100, D: 8, E: 12 };
const { B, G, T, D, E } = sizes;
const operands = sequence(engine, sizes, 21);
const encoding = rotary({ dim: 6, theta: 1000, layout: 'halves' });
const cacheOf = (options: object = {}): KVCache =>
  engine.kvCache({ batch: B, heads: G, headDim: D, valueDim: E, capacity: T, pageSize: 8, ...options });
const part = (x: Tensor, from: number, to: number): Tensor => x.slice(null, null, [from, to]);
const append = (cache: KVCache, from: number, to: number): KVCache => cache.append(part(operands.k, from, to), part(operands.v, from, to));
const query = part(operands.q, 0, 5);
const attend = (cache: KVCache, options: object = {}): Float32Array =>
  engine.attentionSync(query, null, null, { cache, causal: true, ...options }).toArray();
const worst = (a: Float32Array, b: Float32Array): number => a.reduce((most, x, n) => Math.max(most, Math.abs(x - (b[n] as number))), 0);

/** What each type adds to an output when a row is stored once more. */
const TOLERANCE: Record<CacheDType, number> = { f32: 2e-6, f16: 4e-3, bf16: 3e-2, i8: 3e-2, i16: 1e-3 };

/** [from, to): within a page, whole pages, across pages, at the start, at the end, nothing, all. */
const GAPS: readonly (readonly [number, number])[] = [
  [3, 5],
  [8, 24],
  [16, 40],
  [5, 50],
  [0, 8],
  [0, 13],
  [80, 100],
  [30, 30],
  [0, 100],
  [97, 99],
];

describe.each(['f32', 'f16', 'bf16', 'i8', 'i16'] as const)('%s', (dtype) => {
  test.each(GAPS)('without the keys %d … %d − 1: as a cache that never had them', (from, to) => {
    for (const rotate of ['on-append', 'on-read'] as const) {
      using cache = append(cacheOf({ encoding, rotate, dtype }), 0, 100).remove(from, to);
      using fresh = append(append(cacheOf({ encoding, rotate, dtype }), 0, from), to, 100);
      expect(cache.lengths).toEqual(fresh.lengths);
      // On read, and where nothing turned, the very bits.
      if (rotate === 'on-read' || to === 100 || from === to) expectSameBits(attend(cache), attend(fresh));
      else expect(worst(attend(cache), attend(fresh))).toBeLessThan(TOLERANCE[dtype]);
      if (from === to) continue;
      // The next key stands behind those that are left.
      const [one, other] = [attend(append(cache, 0, 1)), attend(append(fresh, 0, 1))];
      expect(worst(one, other)).toBeLessThan(TOLERANCE[dtype]);
    }
  });
});

test('values move to the bit, and keys of another rotation turn by what is asked', () => {
  using plain = append(cacheOf(), 0, 60).remove(10, 23);
  using expected = append(append(cacheOf(), 0, 10), 23, 60);
  expectSameBits(attend(plain), attend(expected));
  const options = { encoding: xpos({ dim: 8, theta: 100, layout: 'pairs', scaleBase: 64, center: 20 }) };
  using grown = append(cacheOf(options), 0, 60).remove(10, 23);
  using whole = append(append(cacheOf(options), 0, 10), 23, 60);
  expect(worst(attend(grown), attend(whole))).toBeLessThan(5e-6);
  // Without the turn the keys are those of their old places.
  using still = append(cacheOf({ encoding }), 0, 60).remove(10, 23, { shift: false });
  using turned = append(cacheOf({ encoding }), 0, 60).remove(10, 23, { shift: -13 });
  using standard = append(cacheOf({ encoding }), 0, 60).remove(10, 23);
  expectSameBits(attend(turned), attend(standard));
  expect(worst(attend(still), attend(standard))).toBeGreaterThan(1e-3);
});

test('each row by itself', () => {
  using cache = append(cacheOf({ encoding }), 0, 60).remove([10, 0], [10, 33]);
  expect(cache.lengths).toEqual([60, 27]);
  using other = append(cacheOf({ encoding }), 33, 60);
  using same = append(cacheOf({ encoding }), 0, 60);
  const rows = attend(cache);
  const half = rows.length / B;
  expectSameBits(rows.subarray(0, half), attend(same).subarray(0, half));
  expect(worst(rows.subarray(half), attend(other).subarray(half))).toBeLessThan(2e-6);
  // Gaps of two widths: the keys behind each turn by its own.
  using both = append(cacheOf({ encoding }), 0, 60).remove([10, 0], [23, 33]);
  using fresh = append(append(cacheOf({ encoding }), 0, 10), 23, 60);
  expect(worst(attend(both).subarray(0, half), attend(fresh).subarray(0, half))).toBeLessThan(2e-6);
  expect(worst(attend(both).subarray(half), attend(other).subarray(half))).toBeLessThan(2e-6);
});

test('forks keep what they have, and pages that stay as they are are still shared', () => {
  const { used } = engine.memoryUsage();
  const prompt = append(cacheOf({ encoding, rotate: 'on-read' }), 0, 96);
  const held = engine.memoryUsage().used;
  const fork = prompt.fork().remove(8, 40);
  expect(engine.memoryUsage().used).toBe(held); // whole pages, nothing turned
  const before = attend(prompt);
  const third = prompt.fork().remove(3, 40);
  expectSameBits(attend(prompt), before);
  using expected = append(append(cacheOf({ encoding, rotate: 'on-read' }), 0, 3), 40, 96);
  expectSameBits(attend(third), attend(expected));
  for (const cache of [prompt, fork, third]) cache.dispose();
  expected.dispose();
  engine.releaseTables();
  expect(engine.memoryUsage().used).toBeLessThanOrEqual(used);
});

test('forks keep what they have where whole pages turn', () => {
  using prompt = append(cacheOf({ encoding }), 0, 96);
  const before = attend(prompt);
  using fork = prompt.fork().remove(8, 40);
  expectSameBits(attend(prompt), before);
  using expected = append(append(cacheOf({ encoding }), 0, 8), 40, 96);
  expect(worst(attend(fork), attend(expected))).toBeLessThan(2e-6);
});

test('a full cache goes on: a head stays, the oldest behind it go', async () => {
  const next = generator(5);
  using cache = cacheOf({ encoding, capacity: 40 });
  const kept: number[] = [];
  for (let n = 0; n < T; n++) {
    if (cache.length === cache.capacity) {
      const drop = 1 + Math.floor(((next() + 1) / 2) * 20);
      cache.remove(4, 4 + drop);
      kept.splice(4, drop);
    }
    append(cache, n, n + 1);
    kept.push(n);
  }
  using fresh = cacheOf({ encoding, capacity: 40 });
  for (const n of kept) append(fresh, n, n + 1);
  expect(cache.lengths).toEqual(fresh.lengths);
  expect(worst(attend(cache), attend(fresh))).toBeLessThan(1e-5);
});

test('what is wrong changes nothing', async () => {
  using cache = append(cacheOf({ encoding }), 0, 50);
  const before = attend(cache);
  const wrong: [() => unknown, string][] = [
    [() => cache.remove(-1, 3), '"from" expected an integer in 0 … 50, got -1'],
    [() => cache.remove(5, 3), '"to" expected an integer in 5 … 50, got 3'],
    [() => cache.remove(0, 51), '"to" expected an integer in 0 … 50, got 51'],
    [() => cache.remove([1], 3), '"from" expected a number or B=2 of them, got 1'],
    [() => cache.remove('1' as never, 3), '"from" expected a number or one per row'],
    [() => cache.remove(1, 3, { shift: Number.NaN }), '"shift" expected a finite number'],
    [() => cache.remove(1, 3, { shifts: 1 } as never), '"shifts"'],
    [() => append(cacheOf({ encoding, rotate: 'on-read' }), 0, 9).remove(1, 3, { shift: false }), '"shift" expected true unless'],
  ];
  for (const [call, text] of wrong) expect(call).toThrow(text);
  const call = engine.attention(query, null, null, { cache });
  expect(() => cache.remove(0, 1)).toThrow(expect.objectContaining({ code: 'busy' }));
  await call;
  expectSameBits(attend(cache), before);
  using moved = cacheOf({ encoding, capacity: 30, window: { left: 20 } });
  for (let n = 0; n < 60; n++) append(moved, n, n + 1);
  expect(() => moved.remove(45, 50)).toThrow('"cache" expected a cache whose window has not moved');
});

test('no memory for the pages of a fork: as before', async () => {
  using small = await createEngine({ threads: 1, maxMemory: 2 ** 18 });
  const shape = [1, 1, 64, 8];
  const numbers = Float32Array.from({ length: 512 }, generator(2));
  const cache = small.kvCache({ batch: 1, heads: 1, headDim: 8, capacity: 64, pageSize: 8, encoding });
  cache.append(small.tensor(shape, numbers), small.tensor(shape, numbers));
  const fork = cache.fork();
  const q = small.tensor([1, 1, 1, 8], numbers.subarray(0, 8));
  const out = small.tensor([1, 1, 1, 8]);
  const outOf = (one: KVCache): Float32Array => small.attentionSync(q, null, null, { cache: one, out }).toArray();
  const before = outOf(fork);
  small.releaseTables();
  const filler: Tensor[] = [];
  for (const size of [65536, 8192, 1024, 64]) {
    try {
      for (;;) filler.push(small.tensor([size]));
    } catch {}
  }
  const { used } = small.memoryUsage();
  expect(() => fork.remove(3, 5)).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
  expect(small.memoryUsage().used).toBe(used);
  for (const tensor of filler) tensor.dispose();
  expect(fork.length).toBe(64);
  expectSameBits(outOf(fork), before);
});

describe('shift', () => {
  const window = { left: 30, sinks: 3 };

  test.each([
    ['before the window slides', 20, window],
    ['while it slides within a page', 36, window],
    ['after it has slid', 90, window],
    ['without sinks', 90, { left: 30 }],
    ['without a window', 60, undefined],
  ])('every key once, sinks and all: %s', (_, count, given) => {
    const [delta, offset] = [-7, rotary({ dim: 6, theta: 1000, layout: 'halves', offset: -7 })];
    const options = given ? { window: given } : {};
    using cache = cacheOf({ encoding, ...options });
    using moved = cacheOf({ encoding: offset, ...options });
    for (let n = 0; n < count; n++) {
      append(cache, n, n + 1);
      append(moved, n, n + 1);
    }
    cache.shift(delta);
    // The one turns its queries as the other does, so that only the stored keys are compared.
    const q = part(operands.q, count - 1, count);
    const plain = engine.attentionSync(q, null, null, { cache }).toArray();
    const expected = engine.attentionSync(engine.rotateSync(engine.rotateSync(q, offset, { inverse: true }), encoding), null, null, {
      cache: moved,
    });
    expect(worst(plain, expected.toArray())).toBeLessThan(3e-6);
  });
});

describe('positions on several axes', () => {
  const axes = [
    Array.from({ length: T }, (_, n) => n >> 2),
    Array.from({ length: T }, (_, n) => n % 7),
    Array.from({ length: T }, (_, n) => n),
  ];
  const options = { dim: 8, theta: 1000, layout: 'halves', sections: [2, 1, 1] } as const;
  const at = (from: number, to: number): number[] => axes.flatMap((list) => list.slice(from, to));

  test('of the new rows only, stored: the bits of the whole pass', () => {
    const whole = engine.attentionSync(operands.q, operands.k, operands.v, {
      causal: true,
      encoding: mrope({ ...options, positions: axes.flat() }),
    });
    using cache = cacheOf({ encoding: mrope(options) });
    let from = 0;
    for (const n of [1, 40, 1, 1, 7, 50]) {
      const to = from + n;
      const rows = [operands.q, operands.k, operands.v].map((x) => part(x, from, to)) as [Tensor, Tensor, Tensor];
      const out = engine.attentionSync(...rows, { cache, causal: true, positions: at(from, to) });
      expectSameBits(out.toArray(), rowsOf(whole, from, to));
      from = to;
    }
    const again = engine.attentionSync(part(operands.q, 90, 100), null, null, { cache, causal: true, positions: at(90, 100) });
    expectSameBits(again.toArray(), rowsOf(whole, 90, 100));
    // Fewer queries than new keys, and more: the queries are the last of the rows, the keys as well.
    for (const [query, key] of [
      [97, 90],
      [90, 95],
    ] as const) {
      cache.truncate(key);
      const [k, v] = [part(operands.k, key, 100), part(operands.v, key, 100)];
      const positions = at(Math.min(query, key), 100);
      const out = engine.attentionSync(part(operands.q, query, 100), k, v, { cache, causal: true, positions });
      expectSameBits(out.toArray(), rowsOf(whole, query, 100));
    }
  });

  test('for each batch row, appended alone, and what is refused', () => {
    using cache = cacheOf({ encoding: mrope(options) });
    const both = axes.flatMap((list) => [list.slice(0, 20), list.slice(5, 25)]).flat();
    cache.append(part(operands.k, 0, 20), part(operands.v, 0, 20), { positions: both });
    for (const [b, shift] of [0, 5].entries()) {
      using own = engine.kvCache({ batch: 1, heads: G, headDim: D, valueDim: E, capacity: T, pageSize: 8, encoding: mrope(options) });
      own.append(operands.k.slice([b, b + 1], null, [0, 20]), operands.v.slice([b, b + 1], null, [0, 20]), {
        positions: at(shift, shift + 20),
      });
      const one = engine.attentionSync(query.slice([b, b + 1]), null, null, { cache: own, positions: at(0, 5) }).toArray();
      const all = engine.attentionSync(query, null, null, { cache, positions: at(0, 5) });
      expectSameBits(all.slice([b, b + 1]).toArray(), one);
    }
    const k = part(operands.k, 20, 22);
    const v = part(operands.v, 20, 22);
    expect(() => cache.append(k, v, { positions: [1, 2, 3] })).toThrow('"positions" expected 3×2 or 3×2×2 positions, got 3');
    expect(() => engine.attentionSync(query, k, v, { positions: [1, 2] })).toThrow('"positions" expected none without "cache"');
    expect(() => cacheOf().append(k, v, { positions: [1, 2] })).toThrow('"positions" expected none beside a cache');
    expect(cache.length).toBe(20);
  });

  test('a line of positions for a rotation of one axis', () => {
    const positions = Array.from({ length: 30 }, (_, n) => 3 * n + 0.5);
    const scheme = rotary({ dim: 6, theta: 1000, layout: 'halves', positions });
    const [q, k, v] = [operands.q, operands.k, operands.v].map((x) => part(x, 0, 30)) as [Tensor, Tensor, Tensor];
    const whole = engine.attentionSync(q, k, v, { causal: true, encoding: scheme });
    using cache = cacheOf({ encoding });
    for (let n = 0; n < 30; n += 3) {
      const rows = [q, k, v].map((x) => part(x, n, n + 3)) as [Tensor, Tensor, Tensor];
      const out = engine.attentionSync(...rows, { cache, causal: true, positions: positions.slice(n, n + 3) });
      expectSameBits(out.toArray(), rowsOf(whole, n, n + 3));
    }
  });
});
