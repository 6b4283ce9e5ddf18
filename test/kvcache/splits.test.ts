/** Long sequences of few heads: the splits of the keys show in no bit, whoever takes them. */
import { afterAll, expect, test } from 'vitest';
import { type AttentionOptions, alibi, createEngine, rotary, shaw } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { generator, rowsOf, sequence } from './support.ts';

const engines = await Promise.all([1, 2, 3, 5].map((threads) => createEngine({ threads })));
afterAll(() => {
  for (const each of engines) each.dispose();
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

test.each(OPTIONS)('%s', async (_, options) => {
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
});
