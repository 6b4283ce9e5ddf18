/** Long sequences of few heads: the splits of the keys show in no bit, whoever takes them. */
import { afterAll, expect, test } from 'vitest';
import { type AttentionOptions, alibi, createEngine, defineMask, rotary, shaw } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { attention, distance, exact, granted, noise } from '../partial/reference.ts';
import { generator, rowsOf, sequence } from './support.ts';

const engines = await Promise.all([1, 2, 3, 5].map((threads) => createEngine({ threads })));
const integers = await Promise.all([1, 5].map((threads) => createEngine({ threads, precision: 'int16' })));
afterAll(() => {
  for (const each of [...engines, ...integers]) each.dispose();
});

const sizes = { B: 1, H: 2, G: 1, T: 2500, D: 24, E: 40 };
const next = generator(17);
const table = (n: number): Float32Array => Float32Array.from({ length: n }, () => next());

const OPTIONS: readonly [string, AttentionOptions][] = [
  ['nothing', {}],
  ['causal and rotary', { causal: true, encoding: rotary({ dim: 24, theta: 10000, layout: 'halves' }) }],
  ['a window, alibi and sinks', { causal: true, window: { left: 900 }, encoding: alibi({ heads: 2 }), sinks: [1, -1] }],
  ['tables of keys and values', { encoding: shaw({ left: 9, right: 5, keys: table(15 * 24), values: table(15 * 40) }), softcap: 10 }],
  ['few keys', { keyLengths: [800] }],
];

test.each(OPTIONS.flatMap(([name, options]) => [[name, options, engines] as const, [`${name}, int16`, options, integers] as const]))(
  '%s',
  async (_, options, engines) => {
    const [first] = engines as [(typeof engines)[0]];
    const operands = sequence(first, sizes, 4);
    const { out: whole, lse } = await first.attentionPartial(operands.q, operands.k, operands.v, options);
    for (const engine of engines) {
      const { q, k, v } = sequence(engine, sizes, 4);
      for (const [from, to] of [
        [2499, 2500],
        [2440, 2445],
        [1200, 1201],
      ] as const) {
        const part = q.slice(null, null, [from, to]);
        const state = await engine.attentionPartial(part, k, v, { ...options, queryOffset: from });
        expectSameBits(state.out.toArray(), rowsOf(whole, from, to));
        expectSameBits(state.lse.toArray(), lse.slice(null, null, [from, to]).toArray());
        using cache = engine.kvCache({ batch: 1, heads: 1, headDim: 24, valueDim: 40, capacity: 2500 }).append(k, v);
        const again = engine.attentionSync(part, null, null, { ...options, cache, queryOffset: from });
        expectSameBits(again.toArray(), rowsOf(whole, from, to));
        for (const tensor of [part, state.out, state.lse, again]) tensor.dispose();
      }
      for (const tensor of [q, k, v]) tensor.dispose();
    }
    expect(whole.disposed).toBe(false);
  },
);

test.each([1, 5])('%d queries of tables of keys and values, against the formula', async (L) => {
  const [H, S, D, E, clip] = [2, 2500, 8, 6, 20];
  // Scores that grow and fall along the keys, so that the largest of a split is above and below those before it.
  const k = noise(S * D, 2).map((x, n) => x * (1 + 3 * Math.abs(Math.sin(n / D / 500))));
  const [q, v] = [noise(H * L * D, 1), noise(S * E, 3)];
  const [keys, values] = [noise((2 * clip + 1) * D, 4), noise((2 * clip + 1) * E, 5)];
  const rowOf = (table: Float32Array, width: number) => (_: number, offset: number) => {
    const row = Math.max(-clip, Math.min(clip, offset)) + clip;
    return table.subarray(row * width, (row + 1) * width);
  };
  const none = new Float32Array(D);
  const tables = { query: rowOf(keys, D), key: () => none, value: rowOf(values, E) };
  const [truth, naive] = [exact, Math.fround].map((round) => attention(q, k, v, { B: 1, H, G: 1, L, S, D, E }, { tables }, round)) as [
    ReturnType<typeof attention>,
    ReturnType<typeof attention>,
  ];
  for (const engine of engines) {
    const operands = [engine.tensor([1, H, L, D], q), engine.tensor([1, 1, S, D], k), engine.tensor([1, 1, S, E], v)] as const;
    const state = await engine.attentionPartial(...operands, { encoding: shaw({ left: clip, right: clip, keys, values }) });
    for (const key of ['out', 'lse'] as const) {
      expect(distance(state[key].toArray(), truth[key])).toBeLessThanOrEqual(granted(truth, key, [naive[key]]));
    }
  }
});

test('a row that sees nothing among others that see all', async () => {
  const mask = defineMask({ name: 'all but one', intervals: (query) => (query === 2498 ? [] : [[0, 2500]]) });
  for (const engine of engines) {
    const { q, k, v } = sequence(engine, sizes, 4);
    const last = q.slice(null, null, [2497, 2500]);
    const options = { encoding: OPTIONS[3]?.[1].encoding as NonNullable<AttentionOptions['encoding']> };
    const { out, lse } = await engine.attentionPartial(last, k, v, { ...options, mask });
    const all = await engine.attentionPartial(last, k, v, options);
    for (const row of [0, 2]) expectSameBits(rowsOf(out, row, row + 1), rowsOf(all.out, row, row + 1));
    expect(new Set(rowsOf(out, 1, 2))).toEqual(new Set([0]));
    expect([...lse.slice(null, null, 1).toArray()]).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    for (const tensor of [q, k, v, last, out, lse, all.out, all.lse]) tensor.dispose();
  }
});
