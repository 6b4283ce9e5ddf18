/** Contextual positions against their formula in f64, and what must not show in their bits: tiles, threads, splits, caches, hidden keys. */
import { afterAll, describe, expect, test } from 'vitest';
import { type AttentionOptions, cope, createEngine, createEngineSync, documents, type Engine, rotary, shaw } from '../../src/index.ts';
import { attend, expectSameBits, upload } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import type { Inputs, ReferenceOptions, Sizes } from '../reference/attention.ts';
import { turn } from '../reference/rotation.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const H = 4;
const at = (list: ArrayLike<number>, n: number): number => list[n] as number;

interface Case {
  readonly name: string;
  readonly sizes: Sizes;
  /** Rows and heads of the table. */
  readonly rows: number;
  readonly heads: number;
  readonly options?: (sizes: Sizes) => { ours: AttentionOptions; formula: ReferenceOptions };
  readonly amplitude?: number;
}

const causal = ({ L, S }: Sizes): { ours: AttentionOptions; formula: ReferenceOptions } => ({
  ours: { causal: true },
  formula: { visible: ({ i, j }) => j <= i + S - L },
});

const CASES: readonly Case[] = [
  { name: 'all keys', sizes: { B: 2, H, G: 2, L: 19, S: 19, D: 20, E: 12 }, rows: 9, heads: 1 },
  { name: 'causal, a table for each head', sizes: { B: 2, H, G: 4, L: 23, S: 47, D: 24, E: 8 }, rows: 13, heads: H, options: causal },
  { name: 'one row of the table', sizes: { B: 1, H, G: 1, L: 3, S: 30, D: 16, E: 5 }, rows: 1, heads: 1 },
  { name: 'more rows than keys', sizes: { B: 1, H, G: 2, L: 7, S: 31, D: 8, E: 8 }, rows: 64, heads: 1, options: causal },
  // Gates of 0.5 and thereabouts: the count runs over three blocks of keys, and over a split.
  { name: 'over blocks and splits', sizes: { B: 1, H, G: 2, L: 6, S: 1000, D: 8, E: 8 }, rows: 300, heads: 1 },
  { name: 'large scores', sizes: { B: 1, H, G: 2, L: 33, S: 33, D: 16, E: 8 }, rows: 17, heads: H, options: causal, amplitude: 4 },
  {
    name: 'a window',
    sizes: { B: 1, H, G: 2, L: 40, S: 230, D: 8, E: 8 },
    rows: 20,
    heads: 1,
    options: ({ L, S }) => ({
      ours: { causal: true, window: { left: 50 } },
      formula: { visible: ({ i, j }) => j <= i + S - L && j >= i + S - L - 50 },
    }),
  },
  {
    name: 'softcap: gates see the capped score',
    sizes: { B: 1, H, G: 2, L: 21, S: 21, D: 16, E: 8 },
    rows: 8,
    heads: 1,
    options: () => ({ ours: { softcap: 2, scale: 1 }, formula: { softcap: 2, scale: 1 } }),
  },
  {
    name: 'softcap over blocks',
    sizes: { B: 1, H, G: 2, L: 6, S: 500, D: 16, E: 8 },
    rows: 220,
    heads: 1,
    options: () => ({ ours: { softcap: 2, scale: 1 }, formula: { softcap: 2, scale: 1 } }),
  },
];

describe('the formula', () => {
  test.each(CASES)('$name', async ({ sizes, rows, heads, options, amplitude = 1 }) => {
    const table = numbers(heads * rows * sizes.D, 50);
    const { ours, formula } = options?.(sizes) ?? { ours: {}, formula: {} };
    const inputs = draw(sizes, 1, amplitude);
    const result = await attend(engine, inputs, sizes, {
      encoding: cope({ maxPositions: rows, table, ...(heads > 1 && { heads }) }),
      ...ours,
    });
    expectAccurate({ inputs, sizes, options: { context: { table, heads, rows }, ...formula }, amplitude, ...result });
  });

  test('beside a rotation and a bias: the table meets q as it is, gates see the rotated score', async () => {
    const sizes: Sizes = { B: 1, H, G: 2, L: 26, S: 26, D: 16, E: 8 };
    const inputs = draw(sizes, 2);
    const table = numbers(11 * 16, 51);
    const rotation = { dim: 8, theta: 100, layout: 'halves' } as const;
    const encoding = [cope({ maxPositions: 11, table }), rotary(rotation)];
    const dense = numbers(26 * 26, 52);
    const mask = engine.tensor([26, 26], dense);
    const formula: ReferenceOptions = {
      context: { table, heads: 1, rows: 11 },
      rotate: turn(rotation),
      bias: ({ i, j }) => at(dense, i * 26 + j),
    };
    expectAccurate({ inputs, sizes, options: formula, ...(await attend(engine, inputs, sizes, { encoding, mask })) });
  });

  test('documents and key lengths: only what a row sees is counted', async () => {
    const sizes: Sizes = { B: 2, H, G: 2, L: 205, S: 205, D: 8, E: 8 };
    const inputs = draw(sizes, 3);
    const table = numbers(40 * 8, 53);
    const ids = Int32Array.from({ length: 205 }, (_, j) => (j >> 4) % 3);
    const keyLengths = [205, 150];
    const formula: ReferenceOptions = {
      context: { table, heads: 1, rows: 40 },
      visible: ({ b, i, j }) => ids[i] === ids[j] && j < at(keyLengths, b),
    };
    const ours = { encoding: cope({ maxPositions: 40, table }), mask: documents({ keys: ids }), keyLengths };
    expectAccurate({ inputs, sizes, options: formula, ...(await attend(engine, inputs, sizes, ours)) });
  });
});

describe('bits', () => {
  const sizes: Sizes = { B: 1, H, G: 2, L: 30, S: 1700, D: 8, E: 8 };
  const inputs = draw(sizes, 4);
  const table = numbers(500 * 8, 54);
  const encoding = [cope({ maxPositions: 500, table }), shaw({ left: 4, right: 4, keys: numbers(9 * 8, 55) })];

  test('any number of threads, and splits as tiles of their own', async () => {
    const whole = await attend(engine, inputs, sizes, { encoding, causal: true });
    for (const [threads, L] of [
      [2, 30],
      [3, 30],
      [4, 1],
    ] as const) {
      const many: Engine = await createEngine({ threads });
      const few = { ...sizes, L };
      const q = inputs.q.filter((_, n) => Math.floor(n / 8) % 30 >= 30 - L);
      const got = await attend(many, { ...inputs, q }, few, { encoding, causal: true });
      const rows = whole.out.filter((_, n) => Math.floor(n / 8) % 30 >= 30 - L);
      expectSameBits(got.out, rows);
      many.dispose();
    }
  });

  test('token by token with a cache', async () => {
    const short: Sizes = { B: 1, H, G: 2, L: 210, S: 210, D: 8, E: 8 };
    const few = cope({ maxPositions: 60, table: table.subarray(0, 60 * 8) });
    const own = draw(short, 5);
    const whole = (await attend(engine, own, short, { encoding: few, causal: true })).out;
    const [q, k, v] = upload(engine, own, short);
    const cache = engine.kvCache({ batch: 1, heads: 2, headDim: 8, capacity: 210 });
    for (let from = 0, n = 1; from < 210; from += n, n = from % 7 ? 1 : 31) {
      const to = Math.min(210, from + n);
      const [a, b, c] = [q, k, v].map((x) => x.slice(null, null, [from, to])) as [typeof q, typeof k, typeof v];
      const step = await engine.attention(a, b, c, { cache, encoding: few, causal: true });
      expectSameBits(
        step.toArray(),
        whole.filter((_, m) => Math.floor(m / 8) % 210 >= from && Math.floor(m / 8) % 210 < to),
      );
    }
  });

  test('hidden keys show nowhere, NaN or not, however they are hidden', async () => {
    const S = 400;
    const small: Sizes = { B: 1, H, G: 2, L: 9, S, D: 8, E: 8 };
    const own = draw(small, 6);
    const hidden = (j: number): boolean => j % 5 === 2 || (j > 200 && j < 290);
    const spoilt: Inputs = {
      q: own.q,
      k: own.k.map((x, n) => (hidden(Math.floor(n / 8) % S) ? Number.NaN : x)),
      v: own.v.map((x, n) => (hidden(Math.floor(n / 8) % S) ? Number.POSITIVE_INFINITY : x)),
    };
    const few = cope({ maxPositions: 90, table: table.subarray(0, 90 * 8) });
    const visible = Array.from({ length: S }, (_, j) => Number(!hidden(j)));
    const bytes = engine.tensor([S], Int8Array.from(visible), 'i8');
    const floats = engine.tensor(
      [1, 1, 1, S],
      Float32Array.from(visible, (x) => (x ? 0 : -Infinity)),
    );
    const formula: ReferenceOptions = { context: { table, heads: 1, rows: 90 }, visible: ({ j }) => !hidden(j) };
    const first = await attend(engine, spoilt, small, { encoding: few, mask: bytes });
    expectAccurate({ inputs: own, sizes: small, options: formula, ...first });
    expectSameBits((await attend(engine, own, small, { encoding: few, mask: bytes })).out, first.out);
    expectSameBits((await attend(engine, spoilt, small, { encoding: few, mask: floats })).out, first.out);
  });
});

test('a NaN in a query stays in its row, though the table ends where that of the next begins', async () => {
  const sizes: Sizes = { B: 1, H, G: 2, L: 6, S: 40, D: 16, E: 8 };
  const inputs = draw(sizes, 12);
  const encoding = cope({ maxPositions: 8, table: numbers(8 * 16, 54) });
  const { out: clean } = await attend(engine, inputs, sizes, { encoding });
  const q = inputs.q.slice();
  q.fill(Number.NaN, 2 * 16, 3 * 16);
  const { out } = await attend(engine, { ...inputs, q }, sizes, { encoding });
  expect([...out.slice(2 * 8, 3 * 8)].every(Number.isNaN)).toBe(true);
  expectSameBits(out.slice(0, 2 * 8), clean.slice(0, 2 * 8));
  expectSameBits(out.slice(3 * 8), clean.slice(3 * 8));
});

test('what is refused', () => {
  expect(() => cope({ maxPositions: 3, table: new Float32Array(8) })).toThrow(
    '"table" expected [heads=1, maxPositions=3, D] numbers, got 8',
  );
  const x = engine.tensor([1, 2, 3, 4]);
  const encoding = cope({ maxPositions: 3, table: new Float32Array(12) });
  const wide = engine.tensor([1, 2, 3, 6]);
  expect(() => engine.attentionSync(wide, wide, wide, { encoding })).toThrow('"table" expected rows of D=6 numbers, got 4');
  expect(() => engine.attentionSync(x, x, x, { encoding, keyOffset: 0, totalKeys: 9 })).toThrow('expected all keys, got 3 of 9');
  expect(() => engine.attentionSync(x, x, x, { encoding: [encoding, encoding] })).toThrow('at most one contextTable, got 2');
});
