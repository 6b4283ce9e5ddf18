/** Any split of the keys into shards, each attended on its own and merged, is the whole. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  alibi,
  bias,
  createEngine,
  defineEncoding,
  type Encoding,
  type Engine,
  planShards,
  rotary,
  type Tensor,
  t5,
} from '../../src/index.ts';
import { type Answer, attention, bits, distance, exact, granted, magnitude, noise, type Scheme, type Sizes } from './reference.ts';

let engines: Engine[];
beforeAll(async () => {
  engines = [await createEngine({ threads: 1 }), await createEngine({ threads: 2 }), await createEngine({ threads: 4 })];
});
afterAll(() => {
  for (const engine of engines) engine.dispose();
});

const BUCKETS = 8;
const FAR = 32;

/** T5's bucket of the offset j − p in an encoder. */
function bucketOf(offset: number): number {
  const half = BUCKETS / 2;
  const distance = Math.abs(offset);
  const exactBelow = half / 2;
  const side = offset > 0 ? half : 0;
  if (distance < exactBelow) return side + distance;
  const far = exactBelow + Math.floor((Math.log(distance / exactBelow) / Math.log(FAR / exactBelow)) * (half - exactBelow));
  return side + Math.min(far, half - 1);
}

/** Missing two times of three. */
const rarely = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });

/** A call: sizes, options, and where the keys are cut. */
const someCase = fc.record({
  seed: fc.nat(1e6),
  B: fc.integer({ min: 1, max: 2 }),
  G: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 3 }),
  L: fc.integer({ min: 1, max: 9 }),
  S: fc.integer({ min: 1, max: 260 }),
  D: fc.constantFrom(2, 4, 6, 16),
  E: fc.integer({ min: 1, max: 19 }),
  cuts: fc.array(fc.nat(260), { maxLength: 5 }),
  layout: fc.constantFrom('bhld' as const, 'blhd' as const),
  causal: fc.boolean(),
  left: rarely(fc.nat(120)),
  right: rarely(fc.nat(120)),
  softcap: rarely(fc.constantFrom(0.5, 3, 30)),
  scheme: fc.constantFrom('none', 'alibi', 't5', 'dense', 'dense of the shard', 'rotary', 'rotary, far', 'alibi, rotary'),
  pairs: fc.constantFrom('halves' as const, 'pairs' as const),
  sinks: fc.boolean(),
  lengths: rarely(fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 }))),
  elsewhere: rarely(fc.integer({ min: -40, max: 300 })),
});
type Case = typeof someCase extends fc.Arbitrary<infer T> ? T : never;

/** [B, H, L, D] to [B, L, H, D]. */
function swapped(x: Float32Array, [, heads, rows, width]: readonly [number, number, number, number]): Float32Array {
  const to = new Float32Array(x.length);
  for (let n = 0; n < x.length / width; n++) {
    const [b, h, l] = [Math.floor(n / (heads * rows)), Math.floor(n / rows) % heads, n % rows];
    to.set(x.subarray(n * width, (n + 1) * width), ((b * rows + l) * heads + h) * width);
  }
  return to;
}

interface Problem {
  sizes: Sizes;
  data: { q: Float32Array; k: Float32Array; v: Float32Array };
  scheme: Scheme;
  /** The encoding for the keys from … to − 1. */
  encoding: (engine: Engine, from: number, to: number) => { encoding: Encoding[]; made: Tensor[] };
  options: Record<string, unknown>;
  sinks: Float32Array | undefined;
}

function problemOf(c: Case): Problem {
  const { B, G, L, S, D, E, seed } = c;
  const H = G * c.group;
  const sizes = { B, H, G, L, S, D, E };
  const data = { q: noise(B * H * L * D, seed), k: noise(B * G * S * D, seed + 1), v: noise(B * G * S * E, seed + 2) };
  for (let n = 0; n < data.q.length; n++) data.q[n] = (data.q[n] as number) * 4;
  const table = noise(BUCKETS * H, seed + 3);
  const dense = noise(H * L * S, seed + 4);
  const sinks = c.sinks ? noise(H, seed + 5) : undefined;
  const theta = c.scheme === 'rotary, far' ? 3 : 10000;
  const keyLengths = c.lengths?.slice(0, B).map((percent) => Math.round((percent * S) / 100));
  const window = c.left === undefined && c.right === undefined ? undefined : { left: c.left, right: c.right };
  const shared = {
    ...(c.causal && { causal: true }),
    ...(window && { window: { ...(c.left !== undefined && { left: c.left }), ...(c.right !== undefined && { right: c.right }) } }),
    ...(c.softcap && { softcap: c.softcap }),
    ...(c.elsewhere !== undefined && { queryOffset: c.elsewhere }),
  };
  const slopes = Array.from({ length: H }, (_, h) => {
    const n = 2 ** Math.floor(Math.log2(H));
    return h < n ? 2 ** ((-8 * (h + 1)) / n) : 2 ** ((-4 * (2 * (h - n) + 1)) / n);
  });
  const uses = (name: string): boolean => c.scheme.split(',')[0] === name || c.scheme.endsWith(` ${name}`);
  const added = (_b: number, h: number, p: number, i: number, j: number): number =>
    (uses('alibi') ? -(slopes[h] as number) * Math.abs(j - p) : 0) +
    (uses('t5') ? (table[bucketOf(j - p) * H + h] as number) : 0) +
    (c.scheme.startsWith('dense') ? (dense[(h * L + i) * S + j] as number) : 0);
  const scheme: Scheme = {
    ...shared,
    ...(sinks && { sinks: [...sinks] }),
    ...(keyLengths && { keyLengths }),
    ...(c.scheme !== 'none' && !c.scheme.startsWith('rotary') && { bias: added }),
    ...(uses('rotary') && { rotary: { dim: D, theta, layout: c.pairs } }),
  };
  return {
    sizes,
    data,
    scheme,
    sinks,
    options: { ...shared, ...(keyLengths && { keyLengths }), layout: c.layout },
    encoding(engine, from, to) {
      const encoding: Encoding[] = [];
      const made: Tensor[] = [];
      if (uses('alibi')) encoding.push(alibi({ heads: H }));
      if (uses('t5')) encoding.push(t5({ heads: H, buckets: BUCKETS, maxDistance: FAR, bidirectional: true, table }));
      if (uses('rotary')) encoding.push(rotary({ dim: D, theta, layout: c.pairs }));
      if (c.scheme.startsWith('dense')) {
        const whole = engine.tensor([1, H, L, S], dense);
        made.push(whole);
        if (c.scheme === 'dense') encoding.push(bias(whole));
        else {
          const part = whole.slice(null, null, null, [from, to]);
          made.push(part);
          encoding.push(bias(part));
        }
      }
      return { encoding, made };
    },
  };
}

interface Result {
  out: Float32Array;
  lse: Float32Array;
}

/** Attends undivided, or shard by shard and merges; sinks then go to the merge. */
async function attend(engine: Engine, c: Case, problem: Problem, way: 'whole' | 'shards'): Promise<Result> {
  const { B, H, G, L, S, D, E } = problem.sizes;
  const { layout } = c;
  const place = ([B, H, L, D]: readonly [number, number, number, number], x: Float32Array): Tensor =>
    layout === 'bhld' ? engine.tensor([B, H, L, D], x) : engine.tensor([B, L, H, D], swapped(x, [B, H, L, D]));
  const q = place([B, H, L, D], problem.data.q);
  const k = place([B, G, S, D], problem.data.k);
  const v = place([B, G, S, E], problem.data.v);
  const sinks = problem.sinks && { sinks: problem.sinks };
  const used: Tensor[] = [q, k, v];
  const part = async (from: number, to: number, options: object): Promise<{ out: Tensor; lse: Tensor }> => {
    const { encoding, made } = problem.encoding(engine, from, to);
    const [shardK, shardV] = [k, v].map((x) => (layout === 'bhld' ? x.slice(null, null, [from, to]) : x.slice(null, [from, to])));
    used.push(...made, shardK as Tensor, shardV as Tensor);
    const state = await engine.attentionPartial(q, shardK as Tensor, shardV as Tensor, { ...problem.options, encoding, ...options });
    used.push(state.out, state.lse);
    return state;
  };
  let result: { out: Tensor; lse: Tensor };
  if (way === 'whole') result = await part(0, S, { ...sinks });
  else {
    const bounds = [0, ...c.cuts.map((cut) => Math.min(cut, S)).sort((a, b) => a - b), S];
    const states = [];
    for (let n = 0; n + 1 < bounds.length; n++) {
      const keyOffset = bounds[n] as number;
      states.push(await part(keyOffset, bounds[n + 1] as number, { keyOffset, totalKeys: S }));
    }
    // Where a shard is the whole, sinks could go to either; here they always go to the merge.
    result = await engine.mergeStates(states, { layout, ...sinks });
    used.push(result.out, result.lse);
  }
  const raw = result.out.toArray();
  const lse = result.lse.toArray();
  for (const tensor of used) tensor.dispose();
  return { out: layout === 'bhld' ? raw : swapped(raw, [B, L, H, E]), lse };
}

/** The truth, a naive f32 evaluation, and the engine's two ways. */
async function fourWays(c: Case) {
  const problem = problemOf(c);
  const { q, k, v } = problem.data;
  const truth = attention(q, k, v, problem.sizes, problem.scheme, exact);
  const naive = attention(q, k, v, problem.sizes, problem.scheme, Math.fround);
  const whole = await attend(engines[0] as Engine, c, problem, 'whole');
  const merged = await attend(engines[0] as Engine, c, problem, 'shards');
  return { truth, naive, whole, merged };
}

test('shards merge to the whole, whatever the cut, the options and the scheme', async () => {
  await fc.assert(
    fc.asyncProperty(someCase, async (c) => {
      const { truth, naive, whole, merged } = await fourWays(c);
      for (const key of ['out', 'lse'] as const) {
        const most = granted(truth, key, [naive[key], whole[key]]);
        expect(distance(merged[key], truth[key])).toBeLessThanOrEqual(most);
      }
    }),
    { numRuns: 300 },
  );
});

test('over many cases the error is at most twice that of a naive f32 evaluation, and hardly above that of the undivided call', async () => {
  const squares = { out: { naive: 0, whole: 0, merged: 0 }, lse: { naive: 0, whole: 0, merged: 0 } };
  const worst = { out: { naive: 0, whole: 0, merged: 0 }, lse: { naive: 0, whole: 0, merged: 0 } };
  for (const c of fc.sample(someCase, { numRuns: 300, seed: 11 })) {
    const { truth, ...ways } = await fourWays(c);
    for (const key of ['out', 'lse'] as const) {
      const size = magnitude(truth[key]);
      for (const way of ['naive', 'whole', 'merged'] as const) {
        const error = distance(ways[way][key], truth[key]) / size;
        squares[key][way] += error ** 2;
        worst[key][way] = Math.max(worst[key][way], error);
      }
    }
  }
  for (const errors of [squares.out, squares.lse].map(({ naive, whole, merged }) => [naive, whole, merged].map(Math.sqrt))) {
    const [naive, whole, merged] = errors as [number, number, number];
    expect(merged).toBeLessThanOrEqual(2 * naive);
    expect(merged).toBeLessThanOrEqual(1.25 * whole);
  }
  for (const { naive, merged } of [worst.out, worst.lse]) expect(merged).toBeLessThanOrEqual(2 * naive);
});

test('the bits are the same on one, two and four threads', async () => {
  await fc.assert(
    fc.asyncProperty(someCase, async (c) => {
      const problem = problemOf({ ...c, B: 2, S: c.S + 300, L: c.L + 60 });
      const all = await Promise.all(engines.map((engine) => attend(engine, c, problem, 'shards')));
      for (const other of all.slice(1)) {
        expect(bits(other.out)).toBe(bits((all[0] as Result).out));
        expect(bits(other.lse)).toBe(bits((all[0] as Result).lse));
      }
    }),
    { numRuns: 20 },
  );
});

test('a call that names the whole as its shard has the bits of one that names none', async () => {
  const [engine] = engines as [Engine];
  const q = engine.tensor([1, 2, 5, 8], noise(80, 1));
  const k = engine.tensor([1, 2, 40, 8], noise(640, 2));
  const encoding = [rotary({ dim: 8, theta: 10000, layout: 'halves' }), alibi({ heads: 2 })];
  const options = { encoding, causal: true, window: { left: 9 }, sinks: [0.5, -1] };
  const plain = await engine.attentionPartial(q, k, k, options);
  const named = await engine.attentionPartial(q, k, k, { ...options, keyOffset: 0, totalKeys: 40, queryOffset: 35 });
  expect(bits(named.out.toArray())).toBe(bits(plain.out.toArray()));
  expect(bits(named.lse.toArray())).toBe(bits(plain.lse.toArray()));
});

test('a shard that the planner calls invisible is the identity', async () => {
  const [engine] = engines as [Engine];
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: -20, max: 70 }),
      fc.boolean(),
      fc.option(fc.nat(20), { nil: undefined }),
      async (S, shards, L, start, causal, left) => {
        const q = engine.tensor([1, 1, L, 4], noise(4 * L, S));
        const k = engine.tensor([1, 1, S, 4], noise(4 * S, L));
        const options = { causal, ...(left !== undefined && { window: { left } }) };
        for (const { keyOffset, keys, visible } of planShards({ totalKeys: S, shards, queries: { start, end: start + L }, ...options })) {
          const part = k.slice(null, null, [keyOffset, keyOffset + keys]);
          const { out, lse } = engine.attentionPartialSync(q, part, part, { ...options, keyOffset, totalKeys: S, queryOffset: start });
          const unseen = lse.toArray().every((l) => l === -Infinity);
          expect(unseen).toBe(visible === 'none');
          if (unseen) expect(out.toArray().every((x) => Object.is(x, 0))).toBe(true);
          for (const tensor of [part, out, lse]) tensor.dispose();
        }
        q.dispose();
        k.dispose();
      },
    ),
  );
});

test('a far shard costs no table over the gap', async () => {
  const engine = await createEngine({ threads: 1 });
  const q = engine.tensor([1, 1, 1, 64], noise(64, 1));
  const k = engine.tensor([1, 1, 128, 64], noise(8192, 2));
  const before = engine.memoryUsage().used;
  const encoding = [rotary({ dim: 64, theta: 10000, layout: 'halves' }), alibi({ heads: 1 })];
  for (const keyOffset of [0, 2 ** 29, 2 ** 20]) {
    await engine.attentionPartial(q, k, k, { encoding, causal: true, keyOffset, totalKeys: 2 ** 30 });
  }
  expect(engine.memoryUsage().used - before).toBeLessThan(2 ** 20);
  engine.dispose();
});

test('wrong places are refused before anything changes', async () => {
  const [engine] = engines as [Engine];
  const q = engine.tensor([1, 2, 3, 4]);
  const k = engine.tensor([1, 2, 5, 4]);
  const used = engine.memoryUsage().used;
  const attempt = (options: object) => engine.attentionPartial(q, k, k, options);
  await expect(attempt({ keyOffset: 3 })).rejects.toThrow(
    new TypeError('attentionPartial: "totalKeys" expected a number beside "keyOffset", got undefined'),
  );
  await expect(attempt({ keyOffset: 3, totalKeys: 7 })).rejects.toThrow(RangeError);
  await expect(attempt({ keyOffset: -1, totalKeys: 7 })).rejects.toThrow(RangeError);
  await expect(attempt({ totalKeys: 4 })).rejects.toThrow(RangeError);
  await expect(attempt({ totalKeys: '9' })).rejects.toThrow(TypeError);
  await expect(attempt({ queryOffset: 1.5 })).rejects.toThrow(RangeError);
  await expect(attempt({ totalKeys: 9, sinks: [1, 1] })).rejects.toThrow(/give them to mergeStates/);
  await expect(attempt({ totalKeys: 9, keyLengths: [10] })).rejects.toThrow(RangeError);
  const shard = { encoding: bias(engine.tensor([1, 1, 3, 6])), totalKeys: 9 };
  await expect(attempt(shard)).rejects.toThrow(/S=5\|9/);
  const positions = rotary({ dim: 4, theta: 100, layout: 'halves', positions: [0, 1, 2, 3, 4] });
  await expect(attempt({ encoding: positions, totalKeys: 9 })).rejects.toThrow(RangeError);
  expect(engine.memoryUsage().used).toBe(used + 4 * 18 + (64 - 8) + 64);
});

test('tables of relative positions, keys, queries and values alike, stand where they stand in the whole', async () => {
  const [engine] = engines as [Engine];
  const [H, D, E, clip] = [2, 8, 6, 20];
  const rows = { kind: 'offset' as const, row: (offset: number) => Math.max(-clip, Math.min(clip, offset)) + clip };
  const shape = { heads: H, rows };
  const P = 2 * clip + 1;
  const [ofQueries, ofKeys, ofValues] = [noise(H * P * D, 5), noise(H * P * D, 6), noise(H * P * E, 7)];
  const encoding = defineEncoding({
    name: 'tables',
    lower: () => ({
      terms: [
        { kind: 'query', table: ofQueries, ...shape },
        { kind: 'key', table: ofKeys, ...shape },
      ],
      valueTable: { table: ofValues, ...shape },
    }),
  });
  const rowOf = (table: Float32Array, width: number) => (h: number, offset: number) => {
    const row = h * P + rows.row(offset);
    return table.subarray(row * width, (row + 1) * width);
  };
  const tables = { query: rowOf(ofQueries, D), key: rowOf(ofKeys, D), value: rowOf(ofValues, E) };
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 260 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 6 }),
      fc.oneof(fc.boolean(), fc.record({ offset: fc.integer({ min: -10, max: 300 }) })),
      rarely(fc.integer({ min: -10, max: 300 })),
      async (S, L, shards, causal, elsewhere) => {
        const data = [noise(H * L * D, S), noise(S * D, L), noise(S * E, L + S)] as const;
        const q = engine.tensor([1, H, L, D], data[0]);
        const k = engine.tensor([1, 1, S, D], data[1]);
        const v = engine.tensor([1, 1, S, E], data[2]);
        const where = { causal, ...(elsewhere !== undefined && { queryOffset: elsewhere }) };
        const options = { encoding, ...where };
        const whole = await engine.attentionPartial(q, k, v, options);
        const states = [];
        for (const { keyOffset, keys } of planShards({ totalKeys: S, shards, queries: { start: 0, end: 1 } })) {
          const [shardK, shardV] = [k, v].map((x) => x.slice(null, null, [keyOffset, keyOffset + keys])) as [Tensor, Tensor];
          states.push(await engine.attentionPartial(q, shardK, shardV, { ...options, keyOffset, totalKeys: S }));
        }
        const merged = await engine.mergeStates(states);
        const sizes = { B: 1, H, G: 1, L, S, D, E };
        const [truth, naive] = [exact, Math.fround].map((round) => attention(...data, sizes, { ...where, tables }, round)) as [
          Answer,
          Answer,
        ];
        for (const key of ['out', 'lse'] as const) {
          const undivided = whole[key].toArray();
          expect(distance(undivided, truth[key])).toBeLessThanOrEqual(granted(truth, key, [naive[key]]));
          expect(distance(merged[key].toArray(), truth[key])).toBeLessThanOrEqual(granted(truth, key, [naive[key], undivided]));
        }
        for (const { out, lse } of [...states, whole, merged]) {
          out.dispose();
          lse.dispose();
        }
        for (const tensor of [q, k, v]) tensor.dispose();
      },
    ),
  );
});
