/** Prepared steps with a cache: token by token the bits of `attention` with a cache of the same history, whatever happens to it between. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  type AttentionOptions,
  alibi,
  createEngine,
  defineEncoding,
  type Encoding,
  type Engine,
  type KVCache,
  type KVCacheOptions,
  kerple,
  mpnet,
  type PreparedAttention,
  rotary,
  rotaryFromConfig,
  type Tensor,
  t5,
} from '../../src/index.ts';
import { Tables } from '../../src/plan/table-cache.ts';
import { KIT } from '../../src/prepared/kit.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { generator } from '../kvcache/support.ts';

const engines = [await createEngine({ threads: 1 }), await createEngine({ threads: 2 })];
afterAll(() => {
  for (const engine of engines) engine.dispose();
});

const [H, G, D] = [4, 2, 16];
const halves = rotary({ dim: D, theta: 10000, layout: 'halves' });

interface Rig {
  readonly engine: Engine;
  readonly step: PreparedAttention & { readonly lse: Tensor };
  /** The cache of the prepared step, and one of the same history. */
  readonly caches: readonly [KVCache, KVCache];
  /** One step of both, compared. */
  go(async?: boolean): Promise<void>;
  dispose(): void;
}

async function rig(
  engine: Engine,
  { n = 1, L = n, B = 1, ...cache }: Partial<KVCacheOptions> & { n?: number; L?: number; B?: number },
  more: AttentionOptions = {},
): Promise<Rig> {
  const make = (): KVCache => engine.kvCache({ batch: B, heads: G, headDim: D, capacity: 5000, ...cache });
  const caches = [make(), make()] as const;
  const { layout = 'bhld' } = cache;
  const tensor = (heads: number, rows: number): Tensor => engine.tensor(layout === 'bhld' ? [B, heads, rows, D] : [B, rows, heads, D]);
  const [q, k, v] = [tensor(H, L), tensor(G, n), tensor(G, n)];
  const options = { causal: true, ...more };
  const step = await engine.preparePartial(q, k, v, { ...options, cache: caches[0] });
  const next = generator(11);
  const go = async (async = false): Promise<void> => {
    for (const x of [q, k, v]) x.set(Float32Array.from({ length: x.size }, () => 1.5 * next()));
    const { out, lse } = engine.attentionPartialSync(q, k, v, { ...options, cache: caches[1] });
    if (async) await step.run();
    else step.runSync();
    expectSameBits(step.out.toArray(), out.toArray());
    expectSameBits(step.lse.toArray(), lse.toArray());
    for (const x of [out, lse]) x.dispose();
    expect(caches[0].lengths).toEqual(caches[1].lengths);
  };
  const dispose = (): void => {
    for (const x of [step, ...caches, q, k, v]) x.dispose();
  };
  return { engine, step, caches, go, dispose };
}

const dynamic = rotary({ dim: D, theta: 10000, layout: 'pairs', scaling: { type: 'dynamic', factor: 2, maxPositionEmbeddings: 100 } });

/** A bias that grows with the number of keys: what it says is another thing in every step. */
const growing: Encoding = defineEncoding({
  name: 'growing',
  lower: ({ shape: { S } }) => ({
    biases: [
      {
        kind: 'offset',
        heads: 1,
        fill(out, first, count) {
          for (let n = 0; n < count; n++) out[n] = (first + n) / S;
        },
      },
    ],
  }),
});

/** A bias that is the same in every step, and has no name by which it would be kept: each plan has columns of its own. */
const anonymous: Encoding = defineEncoding({
  name: 'anonymous',
  steady: true,
  lower: () => ({
    biases: [
      {
        kind: 'offset',
        heads: 1,
        fill(out, first, count) {
          for (let n = 0; n < count; n++) out[n] = (first + n) / 7;
        },
      },
    ],
  }),
});

const CASES: Readonly<Record<string, [Parameters<typeof rig>[1], AttentionOptions?]>> = {
  rotary: [{ encoding: halves }],
  'rotary, f16': [{ encoding: halves, dtype: 'f16' }],
  'rotary, i8, three batch rows': [{ encoding: halves, dtype: 'i8', B: 3 }],
  'rotary, i16': [{ encoding: halves, dtype: 'i16', B: 2 }],
  'rotary, bf16, blhd': [{ encoding: halves, dtype: 'bf16', layout: 'blhd', B: 2 }],
  'rotated when read': [{ encoding: halves, rotate: 'on-read' }],
  'no encoding': [{}, { softcap: 4, sinks: [0, 1, 2, 3], qkNorm: { kind: 'rms' } }],
  'pages longer than tables': [{ encoding: halves, pageSize: 512 }],
  'a window that is all that fits': [{ encoding: halves, window: { left: 40 }, capacity: 42, pageSize: 16 }],
  'pages of eight keys': [{ encoding: halves, pageSize: 8 }],
  'three tokens a step': [{ encoding: halves, n: 3, B: 2 }],
  'five tokens a step, of which two ask': [{ encoding: halves, n: 5, L: 2 }],
  'a window of the cache': [{ encoding: halves, window: { left: 40 }, capacity: 64, pageSize: 16 }],
  'a window of the cache, four tokens a step': [{ encoding: halves, window: { left: 40 }, capacity: 64, pageSize: 8, n: 4 }],
  'a window with sinks': [{ encoding: halves, window: { left: 40, sinks: 3 }, capacity: 64, pageSize: 16 }],
  'a window of the call': [{ encoding: halves }, { window: { left: 33, right: 0 } }],
  'causal by an offset': [{ encoding: halves }, { causal: { offset: 30 } }],
  alibi: [{}, { encoding: alibi({ heads: H }) }],
  'alibi, three batch rows, blhd': [{ B: 3, layout: 'blhd', dtype: 'f16' }, { encoding: alibi({ heads: H }) }],
  'alibi, five tokens a step, of which two ask': [{ n: 5, L: 2 }, { encoding: alibi({ heads: H }) }],
  'alibi in a window of the cache': [{ window: { left: 40 }, capacity: 64, pageSize: 16 }, { encoding: alibi({ heads: H }) }],
  'alibi in a window with sinks': [{ window: { left: 40, sinks: 3 }, capacity: 64, pageSize: 16 }, { encoding: alibi({ heads: H }) }],
  'alibi in a window of the call': [{}, { encoding: alibi({ heads: H }), window: { left: 33, right: 0 } }],
  'alibi without a causal mask': [{ n: 3 }, { encoding: alibi({ heads: H }), causal: false }],
  t5: [{}, { encoding: t5({ heads: H, buckets: 8, maxDistance: 30, bidirectional: false, table: numbers(8 * H, 4) }) }],
  'biases of two kinds': [{}, { encoding: [alibi({ heads: H }), mpnet({ heads: H, table: numbers(32 * H, 5) })] }],
  'a factor and a bias': [
    {},
    {
      encoding: kerple({
        heads: H,
        kind: 'power',
        biasP: [1, 2, 0.5, 1],
        biasA: [0.1, 0.01, 1, 0.5],
        weightP: [1, 1, 1, 1],
        weightA: [0.1, 0.2, 0.3, 0.4],
      }),
    },
  ],
  'rotary and alibi': [{ encoding: halves }, { encoding: alibi({ heads: H }) }],
  'a bias of every step alone': [{}, { encoding: anonymous }],
  'frequencies that change with the length': [{ encoding: dynamic, rotate: 'on-read' }],
  'a bias that changes with the length': [{}, { encoding: growing }],
  'a layer that does not turn': [
    {},
    {
      encoding: rotaryFromConfig(
        { model_type: 'smollm3', hidden_size: 64, num_attention_heads: 4, no_rope_layers: [0], rope_theta: 10000 },
        { layer: 0 },
      ),
    },
  ],
};

describe.each([0, 1])('on %i more threads', (more) => {
  test.each(Object.entries(CASES))('%s', async (_, [cache, options]) => {
    const one = await rig(engines[more] as Engine, cache, options);
    for (let n = 0; n < 180; n++) await one.go(n % 5 === 3);
    one.dispose();
  });
});

test.each(['f32', 'i16', 'i8'] as const)('integer products over a cache of %s', async (dtype) => {
  const engine = await createEngine({ threads: 1, precision: 'int16' });
  const one = await rig(engine, { encoding: halves, dtype });
  for (let n = 0; n < 150; n++) await one.go(n % 7 === 3);
  engine.dispose();
});

test.each([
  ['rotary', { encoding: halves }, {}],
  ['alibi', {}, { encoding: alibi({ heads: H }) }],
  [
    't5 in a window of the call',
    {},
    { encoding: t5({ heads: H, buckets: 32, maxDistance: 900, bidirectional: false, table: numbers(32 * H, 6) }), window: { left: 1000 } },
  ],
] as const)('thousands of steps, past splits and tables, with memory that grows: %s', async (_, cache, options) => {
  const engine = await createEngine({ threads: 1 });
  const one = await rig(engine, cache, options);
  const ballast: Tensor[] = [];
  for (let n = 0; n < 4500; n++) {
    await one.go(n % 97 === 0);
    if (n % 500 === 123) ballast.push(engine.tensor([1 << 18]));
  }
  expect(one.caches[0].length).toBe(4500);
  engine.dispose();
});

test('a cache that others change between the steps', async () => {
  const engine = engines[1] as Engine;
  const one = await rig(engine, { encoding: halves, B: 2, pageSize: 16 });
  const next = generator(3);
  const rows = (n: number): Tensor =>
    engine.tensor(
      [2, G, n, D],
      Float32Array.from({ length: 2 * G * n * D }, () => next()),
    );
  const forks: (readonly [KVCache, KVCache])[] = [];
  const changes: ((cache: KVCache) => unknown)[] = [
    (cache) => cache.truncate(Math.max(0, cache.length - 7)),
    (cache) => cache.truncate(cache.lengths.map((n, b) => Math.max(0, n - b))),
    (cache) => cache.remove(0, 3),
    (cache) => cache.shift(2),
    (cache) => cache.reset(),
  ];
  for (let round = 0; round < 60; round++) {
    for (let n = 0; n < 1 + (round % 23); n++) await one.go();
    const what = round % 8;
    const change = changes[what];
    if (change) for (const cache of one.caches) change(cache);
    if (what === 5) {
      const k = rows(5);
      for (const cache of one.caches) cache.append(k, k, { lengths: cache.lengths.map((n, b) => n + 5 - 2 * b) });
    }
    if (what === 6) forks.push([one.caches[0].fork(), one.caches[1].fork()]);
    if (what === 7) {
      // A fork goes its own way and is let go: no step writes to what it shares.
      const k = rows(2);
      for (const pair of forks) for (const cache of pair) cache.append(k, k);
      const q = engine.tensor(
        [2, H, 1, D],
        Float32Array.from({ length: 2 * H * D }, () => next()),
      );
      for (const [a, b] of forks) {
        const [x, y] = [a, b].map((cache) => engine.attentionSync(q, null, null, { cache, causal: true }).toArray());
        expectSameBits(x as Float32Array, y as Float32Array);
      }
      if (round % 16 === 15) for (const cache of forks.splice(0).flat()) cache.dispose();
    }
  }
  one.dispose();
});

test('a fork that a call is prepared for shares pages until it writes', async () => {
  const engine = engines[0] as Engine;
  const one = await rig(engine, { encoding: halves });
  for (let n = 0; n < 20; n++) await one.go();
  const child = one.caches[0].fork();
  const [q, k] = [
    engine.tensor([1, H, 1, D], new Float32Array(H * D).fill(1)),
    engine.tensor([1, G, 1, D], new Float32Array(G * D).fill(2)),
  ];
  const twin = one.caches[1].fork();
  using other = await engine.prepare(q, k, k, { cache: child, causal: true });
  for (let n = 0; n < 20; n++) {
    using expected = engine.attentionSync(q, k, k, { cache: twin, causal: true });
    expectSameBits(other.runSync().toArray(), expected.toArray());
    await one.go();
  }
  for (const cache of [child, twin]) cache.dispose();
  one.dispose();
});

test('layers of a model share the tables of their encoding, also when it ends and they go on', async () => {
  const engine = await createEngine({ threads: 1 });
  const layers = await Promise.all(Array.from({ length: 6 }, () => rig(engine, { encoding: halves })));
  for (const layer of layers) await layer.go();
  const { used } = engine.memoryUsage();
  for (let n = 0; n < 300; n++) for (const layer of layers) await layer.go();
  // 301 rows of 64 bytes, which grow by an eighth or 64 rows, and what is left of before: were they each layer's own, six times as much.
  expect(engine.memoryUsage().used - used).toBeLessThan(60_000);
  engine.dispose();
});

test('keys that were taken back, or stored by others, cost no plan on the pages that there are', async () => {
  const engine = await createEngine({ threads: 1 });
  const one = await rig(engine, { encoding: halves, B: 2, pageSize: 512 });
  const next = generator(5);
  const k = engine.tensor(
    [2, G, 4, D],
    Float32Array.from({ length: 2 * G * 4 * D }, () => next()),
  );
  for (const cache of one.caches) cache.append(k, k);
  let planned = 0;
  const { prepareChecked } = KIT;
  const counts = (Kit: { prepareChecked: typeof prepareChecked }): void => {
    Kit.prepareChecked = (...given) => {
      planned++;
      return prepareChecked(...given);
    };
  };
  counts(KIT);
  try {
    await one.go();
    expect(planned).toBe(1);
    const changes: ((cache: KVCache) => unknown)[] = [
      (cache) => cache.truncate(cache.length - 1),
      (cache) => cache.append(k, k),
      (cache) => cache.truncate(cache.length - 3).append(k, k),
    ];
    for (let n = 0; n < 24; n++) {
      for (const cache of one.caches) changes[n % 4]?.(cache);
      await one.go(n % 7 === 3);
    }
    expect(planned).toBe(1);
    // Before the first key that the plan is for, and where rows are no longer alike, there is another one.
    for (const cache of one.caches) cache.truncate(2);
    await one.go();
    expect(planned).toBe(2);
    for (const cache of one.caches) cache.truncate([3, 2]);
    await one.go();
    for (const cache of one.caches) cache.truncate([4, 1]);
    await one.go();
    expect(planned).toBe(4);
    expect(one.caches[0].lengths).toEqual([5, 2]);
  } finally {
    (KIT as { prepareChecked: typeof prepareChecked }).prepareChecked = prepareChecked;
  }
  one.dispose();
  engine.dispose();
});

test('a step over keys that were taken back leaves those of a fork alone', async () => {
  const engine = engines[0] as Engine;
  const one = await rig(engine, { encoding: halves });
  for (let n = 0; n < 20; n++) await one.go();
  const forks = one.caches.map((cache) => cache.fork());
  for (const cache of one.caches) cache.truncate(10);
  for (let n = 0; n < 5; n++) await one.go();
  const q = engine.tensor([1, H, 1, D], new Float32Array(H * D).fill(1));
  const [got, expected] = forks.map((cache) => engine.attentionSync(q, null, null, { cache, causal: true }).toArray());
  expectSameBits(got as Float32Array, expected as Float32Array);
  for (const cache of forks) cache.dispose();
  one.dispose();
});

test('two prepared calls take turns with one cache', async () => {
  const engine = await createEngine({ threads: 1 });
  const one = await rig(engine, { encoding: halves });
  const [q, k] = [
    engine.tensor([1, H, 1, D], new Float32Array(H * D).fill(1)),
    engine.tensor([1, G, 1, D], new Float32Array(G * D).fill(2)),
  ];
  const [cache, twin] = one.caches;
  using other = await engine.prepare(q, k, k, { cache, causal: true });
  for (let n = 0; n < 150; n++) {
    await one.go();
    using expected = engine.attentionSync(q, k, k, { cache: twin, causal: true });
    expectSameBits(other.runSync().toArray(), expected.toArray());
  }
  engine.dispose();
});

test.each([
  ['rotary', { encoding: halves }, {}],
  ['alibi', {}, { encoding: alibi({ heads: H }) }],
  ['alibi in a window', {}, { encoding: alibi({ heads: H }), window: { left: 5 } }],
] as const)('a step like the one before plans nothing: %s', async (_, cache, options) => {
  const engine = await createEngine({ threads: 1 });
  const one = await rig(engine, cache, options);
  one.caches[1].dispose();
  for (let n = 0; n < 10; n++) one.step.runSync();
  let asked = 0;
  const { range } = Tables.prototype;
  Tables.prototype.range = function (...given) {
    asked++;
    return range.apply(this, given);
  };
  try {
    for (let n = 0; n < 50; n++) one.step.runSync();
    expect(asked).toBe(0);
    for (let n = 0; n < 10; n++) one.step.runSync();
    expect(asked).toBeGreaterThan(0);
  } finally {
    Tables.prototype.range = range;
  }
  expect(one.caches[0].length).toBe(70);
  engine.dispose();
});
