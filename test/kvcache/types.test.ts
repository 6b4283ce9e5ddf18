/** What the types of a cache cost: the very bits of rounded operands, and the bounds that the documentation states. */
import { afterAll, describe, expect, test } from 'vitest';
import { type CacheDType, createEngine, rotary, type Tensor } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { generator, ones, rowsOf, type Sequence, sequence, stepwise } from './support.ts';

const engine = await createEngine({ threads: 1 });
afterAll(() => engine.dispose());

const sizes = { B: 2, H: 4, G: 2, T: 70, D: 13, E: 22 };
const { B, G, H, T, D, E } = sizes;
const encoding = rotary({ dim: 12, theta: 10000, layout: 'pairs' });

const even = (y: number): number => {
  const low = Math.floor(y);
  const rest = y - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
};
const sizeOf = (row: Float32Array): number => row.reduce((top, y) => Math.max(top, Math.abs(y)), 0);
type Rows = (x: Float32Array, n: number, values: boolean) => Float32Array;
/** Each row of n numbers by itself. */
const byRow =
  (stored: (row: Float32Array, values: boolean) => Float32Array): Rows =>
  (x, n, values) =>
    Float32Array.from({ length: x.length / n }, (_, r) => r).reduce((all, r) => {
      all.set(stored(x.subarray(r * n, (r + 1) * n), values), r * n);
      return all;
    }, new Float32Array(x.length));

/** As one scale and 8-bit numbers would hold them. */
const inBytes = byRow((row) => {
  const scale = Math.fround(sizeOf(row) / 127);
  return row.map((x) => (scale === 0 ? 0 : scale * Math.max(-127, Math.min(127, even(Math.fround(x * Math.fround(1 / scale)))))));
});

/** As one scale and 16-bit numbers: keys have at most 32767 and a norm of 46300, values 4095. Squares are summed in f32, by four lanes. */
const inShorts = byRow((row, values) => {
  const m = sizeOf(row);
  const lanes = [0, 0, 0, 0];
  row.forEach((x, d) => {
    lanes[d % 4] = Math.fround((lanes[d % 4] as number) + Math.fround(x * x));
  });
  const [a, b, c, d] = lanes as [number, number, number, number];
  const norm = Math.fround(Math.sqrt(Math.fround(Math.fround(a + c) + Math.fround(b + d))));
  const by = values ? Math.fround(4095 / m) : Math.min(Math.fround(32767 / m), Math.fround(46300 / norm));
  const scale = values ? Math.fround(m / 4095) : Math.fround(1 / by);
  return row.map((x) => scale * even(Math.fround(x * by)));
});

const rounded: Record<CacheDType, Rows> = {
  f32: (x) => x,
  f16: (x) => engine.tensor([x.length], x, 'f16').toArray(),
  bf16: (x) => engine.tensor([x.length], x, 'bf16').toArray(),
  i8: inBytes,
  i16: inShorts,
};

/** Largest change of a number of a row when it is stored, in units of the row's largest one. */
const STEP: Record<CacheDType, number> = { f32: 0, f16: 2 ** -11, bf16: 2 ** -8, i8: 1 / 254, i16: 1 / 8190 };

const types = Object.keys(rounded) as CacheDType[];

describe.each(types)('%s', (dtype) => {
  const operands = sequence(engine, sizes, 3);
  const cacheOf = (options: object = {}) =>
    engine.kvCache({ batch: B, heads: G, headDim: D, valueDim: E, capacity: T, dtype, pageSize: 32, ...options });

  test.each(['on-read', 'on-append'] as const)('the bits of rounded operands, rotated %s', async (rotate) => {
    const turned = await engine.rotate(operands.k, encoding, { role: 'key' });
    const stored = rotate === 'on-append' ? turned : operands.k;
    const k = engine.tensor([B, G, T, D], rounded[dtype](stored.toArray(), D, false));
    const v = engine.tensor([B, G, T, E], rounded[dtype](operands.v.toArray(), E, true));
    const q = await engine.rotate(operands.q, encoding);
    const whole =
      rotate === 'on-append'
        ? await engine.attention(q, k, v, { causal: true })
        : await engine.attention(operands.q, k, v, { causal: true, encoding });
    using cache = cacheOf({ encoding, rotate });
    await stepwise(engine, operands, cache, [20, ...ones(10), 40], { causal: true }, (out, from, to) => {
      expectSameBits(out.toArray(), rowsOf(whole, from, to));
    });
  });

  test('within the bound', async () => {
    const next = generator(8);
    const scale = 1 / Math.sqrt(D);
    for (let round = 0; round < 20; round++) {
      const spread = 10 ** (2 * next());
      const x: Sequence = sequence(engine, sizes, 100 + round);
      const grown = (tensor: Tensor): Tensor =>
        engine.tensor(
          tensor.shape,
          tensor.toArray().map((y) => y * spread),
        );
      const [k, v] = [grown(x.k), grown(x.v)];
      const whole = await engine.attention(x.q, k, v, {});
      using cache = cacheOf().append(k, v);
      const out = await engine.attention(x.q, null, null, { cache });
      const top = (y: Float32Array): number => y.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const [topK, topV] = [top(k.toArray()), top(v.toArray())];
      const queries = x.q.toArray();
      const [got, exact] = [out.toArray(), whole.toArray()];
      let worst = 0;
      for (let row = 0; row < B * H * T; row++) {
        const norm = queries.subarray(row * D, (row + 1) * D).reduce((sum, y) => sum + Math.abs(y), 0);
        // A score moves by e at most, so a weight by a factor e^(2e), so an output by (e^(2e) − 1)·max|v|, beside what v itself moves by.
        const e = scale * norm * STEP[dtype] * topK;
        const bound = (Math.expm1(2 * e) + STEP[dtype] + 1e-5) * topV;
        for (let n = row * E; n < (row + 1) * E; n++) worst = Math.max(worst, Math.abs((got[n] as number) - (exact[n] as number)) / bound);
      }
      expect(worst).toBeLessThanOrEqual(1);
      for (const tensor of [x.q, x.k, x.v, k, v, whole, out]) tensor.dispose();
    }
  });

  test('takes f16 and bf16 operands, and what is not finite stays in its row', async () => {
    for (const type of ['f16', 'bf16'] as const) {
      const k = engine.tensor([B, G, 9, D], rowsOf(operands.k, 0, 9), type);
      const v = engine.tensor([B, G, 9, E], rowsOf(operands.v, 0, 9), type);
      using cache = cacheOf().append(k, v);
      using plain = cacheOf().append(engine.tensor(k.shape, k.toArray()), engine.tensor(v.shape, v.toArray()));
      const q = operands.q.slice(null, null, [0, 3]);
      const [one, other] = [await engine.attention(q, null, null, { cache }), await engine.attention(q, null, null, { cache: plain })];
      expectSameBits(one.toArray(), other.toArray());
    }
    const poisoned = operands.v.toArray();
    poisoned[5 * E + 2] = Number.POSITIVE_INFINITY;
    using cache = cacheOf().append(operands.k, engine.tensor(operands.v.shape, poisoned));
    const out = await engine.attention(operands.q, null, null, { cache, causal: true });
    const clean = await engine.attention(operands.q, null, null, { cache: cacheOf().append(operands.k, operands.v), causal: true });
    expectSameBits(rowsOf(out, 0, 5), rowsOf(clean, 0, 5));
    expect(Number.isFinite(out.toArray()[6 * E + 2] as number)).toBe(false);
  });
});

describe('i8 rows of every size', () => {
  const UNIT = 2 ** -149;
  /** Of f32: a 127th of it is rounded up. */
  const LARGEST = 2 ** 128 - 2 ** 104;
  const PARTS = [1, -0.1, 0.01, 0];
  const sizes = [
    UNIT,
    7 * UNIT,
    63 * UNIT,
    64 * UNIT,
    190 * UNIT,
    1e-40,
    2e-38,
    1e-37,
    3e-37,
    5e-37,
    1e-36,
    1e-30,
    1,
    1e30,
    3e38,
    3.40282e38,
    LARGEST,
  ];
  const cacheOf = () => engine.kvCache({ batch: 1, heads: 1, headDim: 4, capacity: 1, dtype: 'i8' });

  test.each(sizes)('values of %d: off by half a step at most', (size) => {
    const row = Float32Array.from(PARTS, (part) => part * size);
    using cache = cacheOf().append(engine.tensor([1, 1, 1, 4]), engine.tensor([1, 1, 1, 4], row));
    const got = engine.attentionSync(engine.tensor([1, 1, 1, 4]), null, null, { cache }).toArray();
    const step = sizeOf(row) / 127;
    for (const [n, x] of row.entries()) expect(Math.abs((got[n] as number) - x)).toBeLessThanOrEqual((step / 2) * (1 + 1e-6) + UNIT / 2);
  });

  test.each(sizes.filter((size) => size > 1e-38))('keys of %d: as near', (size) => {
    const row = Float32Array.from(PARTS, (part) => part * size);
    using cache = cacheOf().append(engine.tensor([1, 1, 1, 4], row), engine.tensor([1, 1, 1, 4]));
    for (const [n, x] of row.entries()) {
      const q = new Float32Array(4);
      q[n] = 0.5 / size;
      const { lse } = engine.attentionPartialSync(engine.tensor([1, 1, 1, 4], q), null, null, { cache, scale: 2 });
      expect(Math.abs((lse.toArray()[0] as number) - x / size)).toBeLessThanOrEqual(1 / 254 + 1e-6);
    }
  });
});
