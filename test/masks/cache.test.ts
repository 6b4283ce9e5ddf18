/** Masks in calls with a cache: a step shows what the whole shows. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  and,
  causalMask,
  chunked,
  createEngineSync,
  defineMask,
  keyPadding,
  type Mask,
  neighbourhood,
  not,
  or,
  prefixLM,
  slidingWindow,
} from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const [B, H, G, T, D] = [2, 4, 2, 250, 8];
const [q, k, v] = [H, G, G].map((heads, n) => engine.tensor([B, heads, T, D], numbers(B * heads * T * D, n + 1))) as [
  ReturnType<typeof engine.tensor>,
  ReturnType<typeof engine.tensor>,
  ReturnType<typeof engine.tensor>,
];

/** Masks that show the same keys to a query whatever keys come after it. */
const MASKS: readonly [string, Mask][] = [
  ['chunks', and(causalMask(), chunked({ size: 60 }))],
  ['a prefix', prefixLM({ lengths: [20, 3] })],
  ['the first keys and a window', or(keyPadding({ lengths: 4 }), slidingWindow({ left: 50, right: 0 }))],
  ['all but a window', and(causalMask(), or(not(slidingWindow({ left: 30 })), slidingWindow({ left: 0, right: 0 })))],
  ['a grid', and(causalMask(), neighbourhood({ grid: [10, 25], radius: [2, 4] }))],
];

describe('with a cache', () => {
  test.each(MASKS)('%s: a prompt and steps are the rows of the whole, bit for bit', (_, mask) => {
    const whole = engine.attentionSync(q, k, v, { mask, causal: true });
    const cache = engine.kvCache({ batch: B, heads: G, headDim: D, capacity: T });
    for (let from = 0; from < T; ) {
      const to = from === 0 ? 180 : Math.min(T, from + 1 + (from % 7));
      const [a, b, c] = [q, k, v].map((x) => x.slice(null, null, [from, to]));
      const out = engine.attentionSync(a as typeof q, b, c, { mask, causal: true, cache });
      expectSameBits(out.toArray(), whole.slice(null, null, [from, to]).toArray());
      from = to;
    }
    expect(cache.length).toBe(T);
    cache.dispose();
  });

  test('rows of different lengths: each by its own positions', () => {
    const mask = and(chunked({ size: 40 }), defineMask({ name: 'rows', batched: true, intervals: (p, { batch }) => [[batch, p + 1]] }));
    const cache = engine.kvCache({ batch: B, heads: G, headDim: D, capacity: T });
    const rows = (x: typeof q, from: number, to: number): typeof q => x.slice(null, null, [from, to]);
    cache.append(rows(k, 0, 100), rows(v, 0, 100), { lengths: [100, 73] });
    const step = engine.attentionSync(rows(q, 0, 1), rows(k, 100, 101), rows(v, 100, 101), { mask, cache });
    [100, 73].forEach((length, b) => {
      const alone = engine.kvCache({ batch: 1, heads: G, headDim: D, capacity: T });
      const one = (x: typeof q, from: number, to: number): typeof q => x.slice(b, null, [from, to]);
      alone.append(one(k, 0, length), one(v, 0, length));
      const own = and(chunked({ size: 40 }), defineMask({ name: 'row', intervals: (p) => [[b, p + 1]] }));
      const expected = engine.attentionSync(one(q, 0, 1), one(k, 100, 101), one(v, 100, 101), { mask: own, cache: alone });
      expectSameBits(step.slice(b).toArray(), expected.toArray());
      alone.dispose();
    });
    cache.dispose();
  });
});
