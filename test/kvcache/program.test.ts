/** Random programs over a cache and its forks, against arrays of arrays. */
import { afterAll, expect, test } from 'vitest';
import { createEngine, type KVCache, rotary, type Tensor } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { generator } from './support.ts';

const engine = await createEngine({ threads: 2 });
afterAll(() => engine.dispose());

const [B, H, G, D] = [2, 2, 1, 8];
const CAPACITY = 40;
const MOST_CACHES = 5;
const encoding = rotary({ dim: 8, theta: 100, layout: 'halves' });

/** A cache and what it should hold: per batch row the keys and values of its tokens, D numbers each. */
interface Pair {
  readonly cache: KVCache;
  rows: { k: number[]; v: number[] }[][];
}

const next = generator(2024);
const below = (n: number): number => Math.floor(((next() + 1) / 2) * n) % n;
const token = (): { k: number[]; v: number[] } => ({ k: Array.from({ length: D }, next), v: Array.from({ length: D }, next) });
const fresh = (): Pair => ({
  cache: engine.kvCache({ batch: B, heads: G, headDim: D, capacity: CAPACITY, pageSize: 8, encoding }),
  rows: Array.from({ length: B }, () => []),
});

/** n new tokens for every row as tensors; row b takes the first counts[b]. */
function drawTokens(n: number): { tokens: Pair['rows']; k: Tensor; v: Tensor } {
  const tokens = Array.from({ length: B }, () => Array.from({ length: n }, token));
  const flat = (name: 'k' | 'v'): number[] => tokens.flat().flatMap((one) => one[name]);
  return { tokens, k: engine.tensor([B, G, n, D], flat('k')), v: engine.tensor([B, G, n, D], flat('v')) };
}

const queries = (n: number): Tensor => engine.tensor([B, H, n, D], Array.from({ length: B * H * n * D }, next));

/** The bits that one row of the model gives, by a call without a cache. */
function expected(row: Pair['rows'][0], q: Tensor, b: number): Float32Array {
  const [n, L] = [row.length, q.shape[2] as number];
  const own = q.slice([b, b + 1]);
  const k = engine.tensor(
    [1, G, n, D],
    row.flatMap((one) => one.k),
  );
  const v = engine.tensor(
    [1, G, n, D],
    row.flatMap((one) => one.v),
  );
  const out = engine.attentionSync(own, k, v, { encoding, causal: true, queryOffset: n - L });
  const numbers = out.toArray();
  for (const tensor of [own, k, v, out]) tensor.dispose();
  return numbers;
}

function expectRows(pair: Pair, out: Tensor, q: Tensor): void {
  pair.rows.forEach((row, b) => {
    using own = out.slice([b, b + 1]);
    expectSameBits(own.toArray(), expected(row, q, b));
  });
}

const STEPS: readonly [string, number, (pairs: Pair[], pair: Pair) => Promise<void> | void][] = [
  [
    'append',
    8,
    (_, pair) => {
      const n = 1 + below(6);
      const { tokens, k, v } = drawTokens(n);
      const counts = pair.rows.map(() => (below(3) ? n : below(n + 1)));
      const lengths = pair.rows.map((row, b) => row.length + (counts[b] as number));
      const fits = lengths.every((length) => length <= CAPACITY);
      const run = (): unknown => pair.cache.append(k, v, { lengths });
      if (fits) {
        run();
        pair.rows = pair.rows.map((row, b) => [...row, ...(tokens[b] ?? []).slice(0, counts[b])]);
      } else expect(run).toThrow(RangeError);
      k.dispose();
      v.dispose();
    },
  ],
  [
    'append and attend',
    8,
    async (_, pair) => {
      const n = 1 + below(3);
      const { tokens, k, v } = drawTokens(n);
      const q = queries(n);
      const call = engine.attention(q, k, v, { cache: pair.cache, causal: true });
      if (pair.rows.every((row) => row.length + n <= CAPACITY)) {
        const out = await call;
        pair.rows = pair.rows.map((row, b) => [...row, ...(tokens[b] ?? [])]);
        expectRows(pair, out, q);
        out.dispose();
      } else await expect(call).rejects.toThrow(RangeError);
      for (const tensor of [q, k, v]) tensor.dispose();
    },
  ],
  [
    'attend',
    3,
    (_, pair) => {
      const q = queries(1 + below(2));
      const out = engine.attentionSync(q, null, null, { cache: pair.cache, causal: true });
      expectRows(pair, out, q);
      out.dispose();
      q.dispose();
    },
  ],
  [
    'truncate',
    3,
    (_, pair) => {
      const lengths = pair.rows.map(() => below(CAPACITY + 4));
      const same = below(2) === 0;
      pair.cache.truncate(same ? (lengths[0] as number) : lengths);
      pair.rows = pair.rows.map((row, b) => row.slice(0, same ? lengths[0] : lengths[b]));
    },
  ],
  [
    'reset',
    1,
    (_, pair) => {
      pair.cache.reset();
      pair.rows = pair.rows.map(() => []);
    },
  ],
  [
    'fork',
    2,
    (pairs, pair) => {
      if (pairs.length < MOST_CACHES) pairs.push({ cache: pair.cache.fork(), rows: [...pair.rows] });
    },
  ],
  [
    'new',
    1,
    (pairs) => {
      if (pairs.length < MOST_CACHES) pairs.push(fresh());
    },
  ],
  [
    'dispose',
    2,
    (pairs, pair) => {
      if (pairs.length === 1) return;
      pairs.splice(pairs.indexOf(pair), 1);
      pair.cache.dispose();
    },
  ],
  [
    'abort',
    2,
    async (_, pair) => {
      const { k, v } = drawTokens(1);
      const q = queries(1);
      const fits = pair.rows.every((row) => row.length < CAPACITY);
      const controller = new AbortController();
      const call = engine.attention(q, k, v, { cache: pair.cache, signal: controller.signal });
      controller.abort(new Error('stop'));
      await expect(call).rejects.toThrow(fits ? 'stop' : RangeError);
      for (const tensor of [q, k, v]) tensor.dispose();
    },
  ],
];

test('10,000 steps differ in nothing, and give all memory back', { timeout: 60_000 }, async () => {
  // The table of positions stays with the engine: it grows to its full length first, from the queries of an empty cache on.
  const warm = fresh();
  const { k, v } = drawTokens(CAPACITY);
  using q = queries(CAPACITY);
  for (const append of [() => warm.cache, () => warm.cache.append(k, v)])
    engine.attentionSync(q, null, null, { cache: append() }).dispose();
  for (const one of [k, v, warm.cache]) one.dispose();
  const { used } = engine.memoryUsage();
  const pairs = [fresh()];
  const bag = STEPS.flatMap(([, weight, step]) => Array.from({ length: weight }, () => step));
  for (let n = 0; n < 10_000; n++) {
    const pair = pairs[below(pairs.length)] as Pair;
    await (bag[below(bag.length)] as (typeof bag)[0])(pairs, pair);
    for (const { cache, rows } of pairs) expect(cache.lengths).toEqual(rows.map((row) => row.length));
  }
  for (const { cache } of pairs) cache.dispose();
  expect(engine.memoryUsage().used).toBe(used);
});
