/** Token by token or in chunks, a cache gives the bits of the whole pass: every scheme, layout and way to store rotations. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  alibi,
  conformer,
  createEngine,
  deberta,
  defineEncoding,
  type Encoding,
  fire,
  kerple,
  mpnet,
  musicTransformer,
  rotary,
  sandwich,
  shaw,
  t5,
  transformerXL,
  xlnet,
  xpos,
} from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { expectWhole, generator, ones, sequence } from './support.ts';

const engines = await Promise.all([1, 2, 3, 5].map((threads) => createEngine({ threads })));
const [engine] = engines as [(typeof engines)[0]];
afterAll(() => {
  for (const each of engines) each.dispose();
});

const sizes = { B: 2, H: 4, G: 2, T: 131, D: 16, E: 12 };
const { H, T, D, E } = sizes;
const operands = sequence(engine, sizes, 1);
const next = generator(99);
const table = (...shape: number[]): Float32Array => Float32Array.from({ length: shape.reduce((a, n) => a * n, 1) }, () => next());

const SCHEMES: readonly [string, Encoding | readonly Encoding[]][] = [
  ['none', []],
  ['rotary, halves', rotary({ dim: 12, theta: 10000, layout: 'halves' })],
  ['rotary, pairs out as halves, with an offset', rotary({ dim: 16, theta: 500, layout: 'pairs', layoutOut: 'halves', offset: 3 })],
  [
    'rotary in two blocks',
    defineEncoding({
      name: 'blocks',
      lower: () => ({ rotation: { dim: 12, blocks: 2, layout: 'halves', frequencies: Float64Array.of(1, 0.5, 0.1, 0.9, 0.2, 0.05) } }),
    }),
  ],
  ['xpos', xpos({ dim: 16, theta: 10000, layout: 'pairs', scaleBase: 64, center: 50 })],
  ['alibi', alibi({ heads: H })],
  ['t5', t5({ heads: H, buckets: 32, maxDistance: 64, bidirectional: false, table: table(32, H) })],
  ['mpnet', mpnet({ heads: H, table: table(32, H) })],
  ['kerple', kerple({ heads: H, kind: 'log', biasP: [1, 2, 3, 4], biasA: [0.1, 0.2, 0.3, 0.4] })],
  ['sandwich', sandwich({ heads: H, width: 32 })],
  // FIRE has one way for queries below the threshold and one for those beyond, which differ by a rounding: each by itself here.
  ['fire, near', fire({ weight1: table(8), bias1: table(8), weight2: table(H, 8), bias2: table(H), c: 0.1, threshold: T })],
  ['fire, far', fire({ weight1: table(8), bias1: table(8), weight2: table(H, 8), bias2: table(H), c: 0.1, threshold: 0.5 })],
  ['shaw with values', shaw({ left: 9, right: 5, keys: table(15, D), values: table(15, E) })],
  ['musicTransformer', musicTransformer({ table: table(T, D) })],
  ['transformerXL', transformerXL({ u: table(H, D), v: table(H, D), r: table(T, H, D) })],
  ['conformer', conformer({ posBiasU: table(H, D), posBiasV: table(H, D), r: table(2 * T - 1, H, D) })],
  [
    'deberta',
    deberta({
      maxRelativePositions: 64,
      positionBuckets: 16,
      posAttType: ['c2p', 'p2c'],
      posKey: table(H, 32, D),
      posQuery: table(H, 32, D),
    }),
  ],
  ['rotary and alibi', [rotary({ dim: 16, theta: 10000, layout: 'halves' }), alibi({ heads: H })]],
];

const cacheOf = (options: object = {}) =>
  engine.kvCache({ batch: 2, heads: 2, headDim: D, valueDim: E, capacity: T, pageSize: 16, ...options });

describe('every scheme', () => {
  test.each(SCHEMES)('%s: token by token and in chunks', async (_, encoding) => {
    const options = { encoding, causal: true, softcap: 20 };
    using whole = await engine.attention(operands.q, operands.k, operands.v, options);
    for (const steps of [ones(T), [50, 1, 1, 30, 7, 42], [T]]) {
      using cache = cacheOf();
      await expectWhole(engine, whole, operands, cache, steps, options);
      expect(cache.length).toBe(T);
    }
  });

  test('xlnet, whose table is as long as the call', async () => {
    const [rWBias, rRBias, r] = [table(H, D), table(H, D), table(2 * T, H, D)];
    // Row x of a call with L queries and S keys is distance S − x.
    const encoding = (L: number, S: number): Encoding =>
      xlnet({ attnType: 'bi', rWBias, rRBias, r: r.subarray((T - S) * H * D, (T + L) * H * D) });
    using whole = await engine.attention(operands.q, operands.k, operands.v, { encoding: encoding(T, T), causal: true });
    using cache = cacheOf();
    for (const n of [50, 1, 1, 30, 7, 42]) {
      const options = { encoding: encoding(n, cache.length + n), causal: true };
      await expectWhole(engine, whole, operands, cache, [n], options);
    }
  });

  test.each(SCHEMES.slice(1, 4))('%s: keys stored rotated', async (_, encoding) => {
    using whole = await engine.attention(operands.q, operands.k, operands.v, { encoding, causal: true });
    for (const rotate of ['on-append', 'on-read'] as const) {
      using cache = cacheOf({ encoding, rotate });
      await expectWhole(engine, whole, operands, cache, [40, ...ones(20), 71], { causal: true });
    }
    using cache = cacheOf({ encoding });
    await expectWhole(engine, whole, operands, cache, [40, ...ones(20), 71], { encoding, causal: true });
  });
});

describe('forms of the call', () => {
  const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
  const options = { causal: true, window: { left: 60 } };

  test('blhd, page sizes, synchronous and partial calls', async () => {
    const { out: whole, lse } = await engine.attentionPartial(operands.q, operands.k, operands.v, { ...options, encoding });
    const turned = {
      q: operands.q.permute(0, 2, 1, 3),
      k: operands.k.permute(0, 2, 1, 3),
      v: operands.v.permute(0, 2, 1, 3),
    };
    for (const pageSize of [8, 64, 128, 256]) {
      using cache = cacheOf({ encoding, pageSize, layout: 'blhd' });
      cache.append(turned.k.slice(null, [0, 100]), turned.v.slice(null, [0, 100]));
      const [q, k, v] = [turned.q, turned.k, turned.v].map((x) => x.slice(null, [100, T]));
      const state = engine.attentionPartialSync(q as never, k, v, { ...options, cache });
      expectSameBits(state.out.permute(0, 2, 1, 3).toArray(), whole.slice(null, null, [100, T]).toArray());
      expectSameBits(state.lse.toArray(), lse.slice(null, null, [100, T]).toArray());
    }
  });

  test('threads 1, 2, 3 and 5 give the same bits', async () => {
    using whole = await engine.attention(operands.q, operands.k, operands.v, { ...options, encoding });
    for (const each of engines) {
      const own = sequence(each, sizes, 1);
      using cache = each.kvCache({ batch: 2, heads: 2, headDim: D, valueDim: E, capacity: T, encoding });
      await expectWhole(each, whole, own, cache, [64, ...ones(10), 57], options);
    }
  });

  test('keys appended once serve many calls: cross-attention', async () => {
    using cache = cacheOf();
    cache.append(operands.k, operands.v);
    for (const [from, to] of [
      [0, 5],
      [5, 6],
      [6, 80],
    ] as const) {
      using q = operands.q.slice(null, null, [from, to]);
      using whole = await engine.attention(q, operands.k, operands.v, { encoding: alibi({ heads: H }), queryOffset: from });
      using out = await engine.attention(q, null, undefined, { cache, encoding: alibi({ heads: H }), queryOffset: from });
      expectSameBits(out.toArray(), whole.toArray());
    }
    expect(cache.length).toBe(T);
  });

  test('fewer queries than new keys are the last of them', async () => {
    using whole = await engine.attention(operands.q, operands.k, operands.v, { ...options, encoding });
    using cache = cacheOf({ encoding });
    using out = await engine.attention(operands.q.slice(null, null, [T - 1, T]), operands.k, operands.v, { ...options, cache });
    expectSameBits(out.toArray(), whole.slice(null, null, [T - 1, T]).toArray());
  });

  test('an empty cache without new keys shows nothing', async () => {
    using cache = cacheOf();
    const { out, lse } = await engine.attentionPartial(operands.q.slice(null, null, [0, 2]), null, null, { cache, causal: true });
    expect(new Set(out.toArray())).toEqual(new Set([0]));
    expect(new Set(lse.toArray())).toEqual(new Set([-Infinity]));
  });
});
