/** Prepared calls without a cache: every run gives the bits of `attention` on what the tensors hold then. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  type AttentionOptions,
  alibi,
  bias,
  cope,
  createEngine,
  type DType,
  documents,
  type Engine,
  fire,
  rotary,
  shaw,
  swin,
  type Tensor,
  t5,
} from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { generator } from '../kvcache/support.ts';

const engines = [await createEngine({ threads: 1 }), await createEngine({ threads: 2 })];
afterAll(() => {
  for (const engine of engines) engine.dispose();
});

const numbers = (count: number, seed: number): Float32Array => {
  const next = generator(seed);
  return Float32Array.from({ length: count }, () => 1.5 * next());
};
const filled = (engine: Engine, shape: readonly number[], seed: number, dtype: DType = 'f32'): Tensor =>
  engine.tensor(
    shape,
    numbers(
      shape.reduce((a, n) => a * n, 1),
      seed,
    ),
    dtype,
  );

const [B, H, G, L, S, D] = [2, 4, 2, 16, 25, 8];
const halves = rotary({ dim: D, theta: 100, layout: 'halves' });

/** Options by what they try; some need an engine's tensors. */
const CASES: Readonly<Record<string, (engine: Engine) => AttentionOptions>> = {
  nothing: () => ({}),
  'causal rotary, sinks, softcap': () => ({ encoding: halves, causal: true, softcap: 3, sinks: [0.1, 0.2, -1, 2] }),
  'a window, alibi': () => ({ encoding: alibi({ heads: H }), causal: true, window: { left: 5 } }),
  'two encodings, lengths': () => ({
    encoding: [halves, t5({ heads: H, buckets: 8, maxDistance: 20, bidirectional: true, table: numbers(8 * H, 7) })],
    keyLengths: [11, 25],
  }),
  'tables of keys and values': () => ({
    encoding: shaw({ left: 4, right: 4, keys: numbers(9 * D, 3), values: numbers(9 * D, 4) }),
  }),
  'contextual positions': () => ({ encoding: cope({ heads: 1, maxPositions: 6, table: numbers(6 * D, 8) }), causal: true }),
  'a curve': () => ({
    encoding: fire({
      weight1: [0.1, -0.2, 0.3, 1],
      bias1: [0, 0.1, -0.1, 0.2],
      weight2: numbers(4 * H, 3),
      bias2: new Float32Array(H),
      c: 0.1,
      threshold: 0.5,
    }),
    causal: true,
  }),
  'a bias given whole, a norm': (engine) => ({
    encoding: bias(filled(engine, [1, H, L, S], 9)),
    qkNorm: { kind: 'rms', queryWeight: numbers(D, 4) },
  }),
  'masks of both kinds': (engine) => ({
    mask: [
      documents({ queries: Array.from({ length: L }, (_, i) => i >> 3), keys: Array.from({ length: S }, (_, j) => j >> 4) }),
      filled(engine, [L, S], 6),
    ],
  }),
};

describe.each([0, 1])('on %i more threads', (n) => {
  const engine = engines[n] as Engine;

  test.each(Object.entries(CASES))('%s', async (_, make) => {
    const used = engine.memoryUsage().used;
    const options = make(engine);
    const [q, k, v] = [filled(engine, [B, H, L, D], 1), filled(engine, [B, G, S, D], 2), filled(engine, [B, G, S, D], 3)];
    using call = await engine.prepare(q, k, v, options);
    using partial = await engine.preparePartial(q, k, v, options);
    for (let run = 0; run < 4; run++) {
      q.set(numbers(B * H * L * D, 10 + run));
      v.set(numbers(B * G * S * D, 20 + run));
      const { out, lse } = await engine.attentionPartial(q, k, v, options);
      expect(run % 2 ? call.runSync() : await call.run()).toBe(call.out);
      expectSameBits(call.out.toArray(), out.toArray());
      partial.runSync();
      expectSameBits(partial.out.toArray(), out.toArray());
      expectSameBits(partial.lse.toArray(), lse.toArray());
      for (const tensor of [out, lse]) tensor.dispose();
    }
    expect(engine.memoryUsage().used).toBeGreaterThan(used);
  });

  test('operands and an out of any type and order', async () => {
    const shape = (heads: number, rows: number): number[] => [B, rows, heads, D];
    for (const dtype of ['f16', 'bf16'] as const) {
      const [q, k, v] = [
        filled(engine, shape(H, L), 1, dtype),
        filled(engine, shape(G, S), 2, dtype),
        filled(engine, shape(G, S), 3, dtype),
      ];
      const wide = engine.tensor([B, L, H, 2 * D], undefined, dtype);
      const out = wide.slice(null, null, null, [D, 2 * D]);
      using call = await engine.prepare(q, k, v, { layout: 'blhd', encoding: halves, causal: true, out });
      using expected = await engine.attention(q, k, v, {
        layout: 'blhd',
        encoding: halves,
        causal: true,
        out: engine.tensor([B, L, H, D], undefined, dtype),
      });
      for (let run = 0; run < 2; run++) {
        expect(call.runSync()).toBe(out);
        expectSameBits(out.toArray(), expected.toArray());
      }
      // What lies beside the slice is as it was.
      expect(
        wide
          .slice(null, null, null, [0, D])
          .toArray()
          .every((x) => x === 0),
      ).toBe(true);
      for (const tensor of [q, k, v, wide, out]) tensor.dispose();
    }
  });

  test('packed sequences, with their log-sum-exp', async () => {
    const options = { queryOffsets: [0, 4, 4, 6, 9, 40], encoding: halves, causal: true } as const;
    const [q, k] = [filled(engine, [40, H, D], 1), filled(engine, [40, G, D], 2)];
    using call = await engine.preparePartial(q, k, k, options);
    for (let run = 0; run < 3; run++) {
      q.set(numbers(40 * H * D, 30 + run));
      const { out, lse } = await engine.attentionPartial(q, k, k, options);
      await call.run();
      expectSameBits(call.out.toArray(), out.toArray());
      expectSameBits(call.lse.toArray(), lse.toArray());
    }
  });

  test('many keys and few rows, whose splits are folded', async () => {
    const [q, k] = [filled(engine, [1, 2, 1, 16], 1), filled(engine, [1, 1, 3000, 16], 2)];
    using call = await engine.preparePartial(q, k, k);
    for (let run = 0; run < 3; run++) {
      q.set(numbers(32, 40 + run));
      const { out, lse } = await engine.attentionPartial(q, k, k);
      expectSameBits(call.runSync().toArray(), out.toArray());
      expectSameBits(call.lse.toArray(), lse.toArray());
    }
  });
});

test('an image model: relative positions on a grid', async () => {
  const engine = engines[0] as Engine;
  const encoding = swin({ windowSize: [3, 3], table: numbers(25 * H, 5) });
  const x = filled(engine, [B, H, 9, D], 1);
  using call = await engine.prepare(x, x, x, { encoding });
  using expected = await engine.attention(x, x, x, { encoding });
  expectSameBits(call.runSync().toArray(), expected.toArray());
});

test('shards that are prepared merge as their states do', async () => {
  const engine = engines[1] as Engine;
  const [q, k] = [filled(engine, [1, H, 3, D], 1), filled(engine, [1, G, 40, D], 2)];
  const part = (from: number, to: number): Tensor => k.slice(null, null, [from, to]);
  const at = (from: number, to: number) =>
    engine.preparePartial(q, part(from, to), part(from, to), { encoding: halves, causal: true, totalKeys: 40, keyOffset: from });
  const shards = [await at(0, 16), await at(16, 40)];
  for (let run = 0; run < 2; run++) {
    q.set(numbers(H * 3 * D, 50 + run));
    for (const shard of shards) shard.runSync();
    const merged = await engine.mergeStates(shards);
    const states = await Promise.all(
      [
        [0, 16],
        [16, 40],
      ].map(([from, to]) => {
        const options = { encoding: halves, causal: true, totalKeys: 40, keyOffset: from as number };
        return engine.attentionPartial(q, part(from as number, to as number), part(from as number, to as number), options);
      }),
    );
    const { out } = await engine.mergeStates(states);
    expectSameBits(merged.out.toArray(), out.toArray());
  }
});
