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
/** A sequence in a window begins anew before it is so long. */
const LONGEST = 200;
const encoding = rotary({ dim: 8, theta: 100, layout: 'halves' });

/** A cache and what it should hold: per batch row the keys and values of its tokens, D numbers each. */
interface Pair {
  readonly cache: KVCache;
  rows: { k: number[]; v: number[] }[][];
  /** Keys before a query that it sees. */
  readonly left: number;
  /** First keys that every query sees. */
  readonly sinks: number;
  /** Keys that turn again after a removal differ by a rounding; read and then turned they do not. */
  readonly rotate: 'on-append' | 'on-read';
  /** First key of each row that the cache still has. */
  kept: number[];
}

const next = generator(2024);
const below = (n: number): number => Math.floor(((next() + 1) / 2) * n) % n;
const token = (): { k: number[]; v: number[] } => ({ k: Array.from({ length: D }, next), v: Array.from({ length: D }, next) });
const fresh = (left: number, sinks: number, rotate: Pair['rotate']): Pair => ({
  cache: engine.kvCache({
    batch: B,
    heads: G,
    headDim: D,
    capacity: CAPACITY,
    pageSize: 8,
    encoding,
    rotate,
    ...(left < CAPACITY && { window: { left, sinks } }),
  }),
  rows: Array.from({ length: B }, () => []),
  left,
  sinks,
  rotate,
  kept: Array.from({ length: B }, () => 0),
});

/** Whether every row has room for counts[b] more keys. */
const fits = ({ rows, kept, sinks }: Pair, counts: readonly number[]): boolean =>
  rows.every((row, b) => {
    const first = kept[b] as number;
    return Math.min(sinks, first) + row.length - first + (counts[b] as number) <= CAPACITY;
  });

/** Whether no query that stands n keys before a row's end, or at a length, sees a key that is gone. */
const sees = ({ kept, left }: Pair, b: number, position: number): boolean =>
  !kept[b] || Math.max(0, position - left) >= (kept[b] as number);

function grow(pair: Pair, tokens: Pair['rows'], counts: readonly number[]): void {
  // What the first of two appends saw is held until the next one, so that it can be taken back.
  pair.kept = pair.kept.map((first, b) => (counts[b] ? Math.max(first, (pair.rows[b]?.length ?? 0) - pair.left) : first));
  pair.rows = pair.rows.map((row, b) => [...row, ...(tokens[b] ?? []).slice(0, counts[b])]);
}

function reset(pair: Pair): void {
  pair.cache.reset();
  pair.rows = pair.rows.map(() => []);
  pair.kept = pair.kept.map(() => 0);
}

/** n new tokens for every row as tensors; row b takes the first counts[b]. */
function drawTokens(n: number): { tokens: Pair['rows']; k: Tensor; v: Tensor } {
  const tokens = Array.from({ length: B }, () => Array.from({ length: n }, token));
  const flat = (name: 'k' | 'v'): number[] => tokens.flat().flatMap((one) => one[name]);
  return { tokens, k: engine.tensor([B, G, n, D], flat('k')), v: engine.tensor([B, G, n, D], flat('v')) };
}

const queries = (n: number): Tensor => engine.tensor([B, H, n, D], Array.from({ length: B * H * n * D }, next));

/** The bits that one row of the model gives, by a call without a cache. */
function expected(row: Pair['rows'][0], q: Tensor, b: number, { left, sinks }: Pair): Float32Array {
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
  // A query at p sees the first keys and those from p − left on; the mask is written out here.
  const seen = Float32Array.from({ length: L * n }, (_, at) => {
    const [p, j] = [n - L + Math.floor(at / n), at % n];
    return j < sinks || j >= p - left ? 0 : Number.NEGATIVE_INFINITY;
  });
  const mask = engine.tensor([1, 1, L, n], seen);
  const out = engine.attentionSync(own, k, v, { encoding, causal: true, mask, queryOffset: n - L });
  mask.dispose();
  const numbers = out.toArray();
  for (const tensor of [own, k, v, out]) tensor.dispose();
  return numbers;
}

function expectRows(pair: Pair, out: Tensor, q: Tensor): void {
  pair.rows.forEach((row, b) => {
    using own = out.slice([b, b + 1]);
    expectSameBits(own.toArray(), expected(row, q, b, pair));
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
      const run = (): unknown => pair.cache.append(k, v, { lengths });
      if (fits(pair, counts)) {
        run();
        grow(pair, tokens, counts);
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
      const counts = pair.rows.map(() => n);
      if (fits(pair, counts)) {
        const out = await call;
        grow(pair, tokens, counts);
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
      const n = 1 + below(2);
      const q = queries(n);
      const run = (): Tensor => engine.attentionSync(q, null, null, { cache: pair.cache, causal: true });
      if (pair.rows.every((row, b) => sees(pair, b, row.length - n))) {
        const out = run();
        expectRows(pair, out, q);
        out.dispose();
      } else expect(run).toThrow(RangeError);
      q.dispose();
    },
  ],
  [
    'truncate',
    3,
    (_, pair) => {
      const longest = Math.max(...pair.rows.map((row) => row.length));
      const one = below(longest + 4);
      const lengths = below(2) ? pair.rows.map(() => one) : pair.rows.map((row) => Math.max(0, row.length - below(6)));
      const run = (): unknown => pair.cache.truncate(lengths);
      const fine = pair.rows.every((row, b) => {
        const n = lengths[b] as number;
        return n >= row.length || n === 0 || sees(pair, b, n);
      });
      if (fine) {
        run();
        pair.kept = pair.kept.map((first, b) => (lengths[b] === 0 ? 0 : first));
        pair.rows = pair.rows.map((row, b) => row.slice(0, lengths[b]));
      } else expect(run).toThrow(RangeError);
    },
  ],
  [
    'remove',
    3,
    (_, pair) => {
      if (pair.rotate === 'on-append') return;
      const starts = pair.rows.map((row) => below(row.length + 1));
      const ends = pair.rows.map((row, b) => (starts[b] as number) + below(Math.min(12, row.length - (starts[b] as number)) + 1));
      const run = (): unknown => pair.cache.remove(starts, ends);
      if (pair.rows.some((_, b) => pair.kept[b] && ends[b] !== starts[b])) {
        expect(run).toThrow(RangeError);
        return;
      }
      run();
      pair.rows = pair.rows.map((row, b) => row.filter((_, n) => n < (starts[b] as number) || n >= (ends[b] as number)));
    },
  ],
  [
    'reset',
    1,
    (_, pair) => {
      reset(pair);
    },
  ],
  [
    'fork',
    2,
    (pairs, pair) => {
      if (pairs.length < MOST_CACHES) pairs.push({ ...pair, cache: pair.cache.fork() });
    },
  ],
  [
    'new',
    1,
    (pairs, pair) => {
      if (pairs.length < MOST_CACHES) pairs.push(fresh(pair.left, pair.sinks, pair.rotate));
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
      const room = fits(
        pair,
        pair.rows.map(() => 1),
      );
      const controller = new AbortController();
      const call = engine.attention(q, k, v, { cache: pair.cache, signal: controller.signal });
      controller.abort(new Error('stop'));
      await expect(call).rejects.toThrow(room ? 'stop' : RangeError);
      for (const tensor of [q, k, v]) tensor.dispose();
    },
  ],
];

test.each([
  ['', CAPACITY, 0, 'on-append'],
  [' with removals', CAPACITY, 0, 'on-read'],
  [' in a window', 12, 0, 'on-append'],
  [' in a window with sinks', 12, 3, 'on-append'],
] as const)('steps%s differ in nothing, and give all memory back', { timeout: 60_000 }, async (_, left, sinks, rotate) => {
  engine.releaseTables();
  const { used } = engine.memoryUsage();
  const pairs = [fresh(left, sinks, rotate)];
  const bag = STEPS.flatMap(([, weight, step]) => Array.from({ length: weight }, () => step));
  for (let n = 0; n < 5000; n++) {
    const pair = pairs[below(pairs.length)] as Pair;
    await (bag[below(bag.length)] as (typeof bag)[0])(pairs, pair);
    for (const { cache, rows } of pairs) expect(cache.lengths).toEqual(rows.map((row) => row.length));
    // In a window a sequence would never end.
    for (const one of pairs) if (one.rows.some((row) => row.length > LONGEST - 8)) reset(one);
  }
  for (const { cache } of pairs) cache.dispose();
  engine.releaseTables();
  expect(engine.memoryUsage().used).toBe(used);
});
