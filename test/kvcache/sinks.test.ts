/**
 * A window with sinks far along a sequence: tables of positions are as long as the window and the sinks, not as what lies between, and the bits
 * are those of one call with all keys and a mask.
 */
import { afterEach, describe, expect, test } from 'vitest';
import {
  type AttentionOptions,
  alibi,
  conformer,
  cope,
  createEngineSync,
  deberta,
  defineEncoding,
  defineMask,
  type Encoding,
  type Engine,
  fire,
  type KVCacheOptions,
  kerple,
  musicTransformer,
  rotary,
  sandwich,
  shaw,
  t5,
  xpos,
} from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { ones, sequence } from './support.ts';

const sizes = { B: 1, H: 2, G: 1, T: 21000, D: 8, E: 8 };
const { B, H, G, T, D, E } = sizes;

const engines: Engine[] = [];
const fresh = (threads = 1): Engine => {
  const engine = createEngineSync({ threads });
  engines.push(engine);
  return engine;
};
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
});

const table = (seed: number, ...shape: number[]): Float32Array =>
  numbers(
    shape.reduce((a, n) => a * n, 1),
    5000 + seed,
  );

/** Fills a table by the offset and the head. */
const by =
  (f: (offset: number, h: number) => number) =>
  (out: Float32Array, first: number, count: number): void => {
    for (let i = 0; i < out.length; i++) out[i] = f(first + (i % count), Math.floor(i / count));
  };

/** Hides every ninth offset, so that numbers of −Infinity are in either part of the table. */
const holes = defineEncoding({
  name: 'holes',
  lower: () => ({
    biases: [
      {
        kind: 'offset',
        heads: 1,
        variant: '',
        fill: by((offset) => (offset % 9 === -4 ? -Infinity : offset / 30000)),
      },
    ],
  }),
});

/** Multiplies the scores by a number of the offset. */
const factors = defineEncoding({
  name: 'factors',
  lower: () => ({
    factors: [{ heads: H, variant: '', fill: by((offset, h) => 1 / (1 + Math.abs(offset) / 9000 + h)) }],
  }),
});

const SCHEMES: Readonly<Record<string, Encoding>> = {
  rotary: rotary({ dim: D, theta: 10000, layout: 'halves', offset: 5 }),
  xpos: xpos({ dim: D, theta: 10000, layout: 'pairs', scaleBase: 4096, center: 10000 }),
  alibi: alibi({ heads: H }),
  t5: t5({ heads: H, buckets: 32, maxDistance: 20000, bidirectional: false, table: table(1, 32, H) }),
  kerple: kerple({ heads: H, kind: 'log', biasP: [1.2, 0.4], biasA: [0.5, 0.9] }),
  sandwich: sandwich({ heads: H, width: 16 }),
  fire: fire({ weight1: table(2, 8), bias1: table(3, 8), weight2: table(4, H, 8), bias2: table(5, H), c: 0.1, threshold: 100 }),
  shaw: shaw({ left: 30, right: 5, keys: table(6, 36, D), queries: table(7, 36, D), values: table(8, 36, E) }),
  'shaw of many rows': shaw({ left: 900, right: 5, keys: table(9, 906, D) }),
  deberta: deberta({
    maxRelativePositions: 20000,
    positionBuckets: 64,
    posAttType: ['c2p', 'p2c'],
    posKey: table(10, 128, H, D),
    posQuery: table(11, 128, H, D),
  }),
  musicTransformer: musicTransformer({ table: table(12, T, D) }),
  conformer: conformer({ posBiasU: table(13, H, D), posBiasV: table(14, H, D), r: table(15, 2 * T - 1, H, D) }),
  cope: cope({ maxPositions: 40, table: table(16, 40, D) }),
  holes,
  factors,
};

interface Kind {
  readonly window: { readonly left: number; readonly sinks: number };
  readonly cache?: Partial<KVCacheOptions>;
  /** Tokens of a step, and how many single ones come at the end. */
  readonly chunk: number;
  readonly singles: number;
}

const KINDS: Readonly<Record<string, Kind>> = {
  'pages of 64, chunks of 500': { window: { left: 100, sinks: 4 }, chunk: 500, singles: 300 },
  'sinks of two key blocks, odd chunks': { window: { left: 333, sinks: 200 }, cache: { pageSize: 8 }, chunk: 331, singles: 5 },
};

/** Bytes of tables that a window and its sinks need, at the most: all borders of either part rounded out, of H heads and D channels. */
const enough = ({ window, chunk }: Kind): number => {
  const columns = 2 * (Math.ceil(window.sinks / 192) * 192 + window.left + 6 * chunk + 4 * 192 + 512);
  // DeBERTa keeps two tables of D floats a head and offset, Shaw three maps and a packed table.
  return columns * H * (2 * 4 * D + 16) + 64 * 1024;
};

describe.each(Object.entries(KINDS))('%s', (_, kind) => {
  test.each(Object.entries(SCHEMES))('%s', (__, encoding) => {
    const engine = fresh();
    const { window, chunk, singles } = kind;
    const { q, k, v } = sequence(engine, sizes, 21);
    using cache = engine.kvCache({
      ...{ batch: B, heads: G, headDim: D, valueDim: E, capacity: window.left + window.sinks + 2 * chunk + 2, window, encoding },
      rotate: 'on-read',
      ...kind.cache,
    });
    const mask = defineMask({
      name: 'window and sinks',
      intervals: (query) => [
        [0, window.sinks],
        [query - window.left, query + 1],
      ],
    });
    const before = engine.memoryUsage().used;
    const reference = fresh();
    const all = sequence(reference, sizes, 21);
    const count = Math.ceil((T - singles) / chunk);
    const steps = [...Array.from({ length: count }, (___, n) => Math.min(chunk, T - singles - n * chunk)), ...ones(singles)];
    let from = 0;
    let most = 0;
    const lately = new Set<number>();
    steps.forEach((n, step) => {
      const to = from + n;
      const parts = [q, k, v].map((x) => x.slice(null, null, [from, to])) as [typeof q, typeof k, typeof v];
      const out = engine.attentionSync(...parts, { cache, causal: true });
      // Where the two parts of a table come apart, in the middle, and at the end.
      if (step < 3 || step === 20 || step >= steps.length - 3) {
        const [queries, keys, values] = [all.q.slice(null, null, [from, to]), ...[all.k, all.v].map((x) => x.slice(null, null, [0, to]))];
        const options: AttentionOptions = { mask, causal: true, encoding };
        const expected = reference.attentionSync(queries as typeof q, keys as typeof q, values as typeof q, options);
        expectSameBits(out.toArray(), expected.toArray());
        for (const tensor of [queries, keys, values, expected]) tensor?.dispose();
      }
      for (const tensor of [...parts, out]) tensor.dispose();
      const used = engine.memoryUsage().used - before;
      most = Math.max(most, used);
      if (to > T - singles + chunk) lately.add(used);
      from = to;
    });
    expect(most).toBeLessThanOrEqual(enough(kind));
    if (singles > chunk) expect(lately.size).toBe(1);
  });
});

test('two threads, which take the splits of the keys apart', () => {
  const engine = fresh(2);
  const one = fresh();
  const encoding = [SCHEMES.rotary, SCHEMES.alibi, SCHEMES.deberta] as Encoding[];
  const [a, b] = [engine, one].map((each) => {
    const { q, k, v } = sequence(each, { ...sizes, T: 6000 }, 22);
    const window = { left: 900, sinks: 5 };
    const cache = each.kvCache({ batch: B, heads: G, headDim: D, valueDim: E, capacity: 7000, window });
    cache.append(k.slice(null, null, [0, 5999]), v.slice(null, null, [0, 5999]));
    const parts = [q, k, v].map((x) => x.slice(null, null, [5999, 6000])) as [typeof q, typeof k, typeof v];
    return each.attentionSync(...parts, { cache, causal: true, encoding }).toArray();
  }) as [Float32Array, Float32Array];
  expectSameBits(a, b);
});

test('batch rows at different places have parts of their own', () => {
  const engine = fresh();
  const encoding = [SCHEMES.rotary, SCHEMES.t5, SCHEMES.conformer] as Encoding[];
  const window = { left: 70, sinks: 6 };
  const lengths = [9000, 90, 2500];
  const { q, k, v } = sequence(engine, { ...sizes, B: 3, T: 9003 }, 23);
  const make = (batch: number) => engine.kvCache({ batch, heads: G, headDim: D, valueDim: E, capacity: 9100, window });
  const cache = make(3);
  cache.append(k.slice(null, null, [0, 9000]), v.slice(null, null, [0, 9000]), { lengths });
  const last = [q, k, v].map((x) => x.slice(null, null, [9000, 9003])) as [typeof q, typeof k, typeof v];
  const out = engine.attentionSync(...last, { cache, causal: true, encoding });
  lengths.forEach((length, row) => {
    const alone = make(1);
    alone.append(k.slice([row, row + 1], null, [0, length]), v.slice([row, row + 1], null, [0, length]));
    const parts = last.map((x) => x.slice([row, row + 1])) as typeof last;
    const expected = engine.attentionSync(...parts, { cache: alone, causal: true, encoding });
    expectSameBits(out.slice([row, row + 1]).toArray(), expected.toArray());
  });
});

test('a call may have a window of its own, narrower or wider than that of the cache', () => {
  const engine = fresh();
  const encoding = [SCHEMES.rotary, SCHEMES.alibi, SCHEMES.shaw] as Encoding[];
  const { q, k, v } = sequence(engine, { ...sizes, T: 3000 }, 24);
  for (const left of [10, 60, 2200, 2990, 5000]) {
    const cache = engine.kvCache({ batch: B, heads: G, headDim: D, valueDim: E, capacity: 3100, window: { left: 60, sinks: 300 } });
    cache.append(k.slice(null, null, [0, 2990]), v.slice(null, null, [0, 2990]));
    const parts = [q, k, v].map((x) => x.slice(null, null, [2990, 3000])) as [typeof q, typeof k, typeof v];
    const out = engine.attentionSync(...parts, { cache, causal: true, window: { left }, encoding });
    const mask = defineMask({
      name: 'both',
      intervals: (query) => [
        [Math.max(0, query - left), 300],
        [query - Math.min(60, left), query + 1],
      ],
    });
    const expected = fresh();
    const all = sequence(expected, { ...sizes, T: 3000 }, 24);
    const options = { mask, causal: true, encoding } as const;
    expectSameBits(out.toArray(), expected.attentionSync(all.q.slice(null, null, [2990, 3000]), all.k, all.v, options).toArray());
    cache.dispose();
  }
});
