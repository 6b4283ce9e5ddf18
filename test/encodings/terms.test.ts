/** Tables of relative positions against the f64 formula: both ways in which the kernels read them, at awkward sizes, grouped heads and steps. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEngine, defineEncoding, type Encoding, type Engine, musicTransformer, type Plan, shaw } from '../../src/index.ts';
import { attend } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { attention, type Inputs, type Outputs, type ReferenceOptions, type Round, type Sizes } from '../reference/attention.ts';
import { distance, draw, expectAccurate } from '../reference/tolerance.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 2 });
});
afterAll(() => engine.dispose());

/** A plan's terms and value table as plain functions. */
interface Formula {
  /** Added to the scaled content score, before the softcap: given q row, k row, head, standard offset. */
  readonly term: (q: number[], k: number[], h: number, offset: number, round: Round) => number;
  /** Added to the value. */
  readonly value?: (h: number, offset: number, e: number) => number;
}

/** Attention with terms, from the formula: softmax(softcap(scale·q·k + terms))·(v + values). */
function withTerms({ q, k, v }: Inputs, sizes: Sizes, { term, value }: Formula, options: ReferenceOptions, round: Round): Outputs {
  const { B, H, G, L, S, D, E } = sizes;
  const scale = round(options.scale ?? 1 / Math.sqrt(D));
  const out = new Float64Array(B * H * L * E);
  const lse = new Float64Array(B * H * L);
  const row = (x: ArrayLike<number>, n: number, width: number): number[] =>
    Array.from({ length: width }, (_, d) => x[n * width + d] as number);
  for (let r = 0; r < B * H * L; r++) {
    const [b, h, i] = [Math.floor(r / H / L), Math.floor(r / L) % H, r % L];
    const g = b * G + Math.floor(h / (H / G));
    const query = row(q, r, D);
    const scores: number[] = [];
    const seen: number[] = [];
    for (let j = 0; j < S; j++) {
      if (options.visible && !options.visible({ b, h, i, j })) continue;
      const key = row(k, g * S + j, D);
      let s = round(scale * query.reduce((sum, x, d) => round(sum + round(x * (key[d] as number))), 0));
      s = round(s + term(query, key, h, j - i - (S - L), round));
      if (options.softcap) s = round(options.softcap * round(Math.tanh(round(s / options.softcap))));
      seen.push(j);
      scores.push(s);
    }
    const top = Math.max(...scores);
    const p = scores.map((s) => round(Math.exp(round(s - top))));
    const sum = p.reduce((total, x) => round(total + x), 0);
    lse[r] = round(top + round(Math.log(sum)));
    for (let e = 0; e < E; e++) {
      const total = p.reduce((t, x, n) => {
        const j = seen[n] as number;
        const y = round((v[(g * S + j) * E + e] as number) + (value ? value(h, j - i - (S - L), e) : 0));
        return round(t + round(x * y));
      }, 0);
      out[r * E + e] = round(total / sum);
    }
  }
  return { out, lse };
}

const dot = (x: readonly number[], y: ArrayLike<number>, at: number, round: Round): number =>
  x.reduce((sum, value, d) => round(sum + round(value * (y[at + d] as number))), 0);

/** Asserts that ours is at most twice as far from f64 as a naive f32 evaluation is, over enough scores for that to mean something. */
async function check(
  sizes: Sizes,
  encoding: Encoding,
  formula: Formula,
  options: ReferenceOptions & { causal?: boolean } = {},
): Promise<void> {
  const { causal = false, softcap, scale } = options;
  const visible = causal ? ({ i, j }: { i: number; j: number }) => j <= i + sizes.S - sizes.L : undefined;
  const full: ReferenceOptions = { ...options, ...(visible && { visible }) };
  let worst = 0;
  let naive = 0;
  for (let seed = 1; seed <= Math.max(1, Math.ceil(4000 / (sizes.B * sizes.H * sizes.L * sizes.S + 1))); seed++) {
    const inputs = draw(sizes, seed);
    const truth = withTerms(inputs, sizes, formula, full, (x) => x);
    naive = Math.max(naive, distance(withTerms(inputs, sizes, formula, full, Math.fround).out, truth.out));
    const ours = await attend(engine, inputs, sizes, { encoding, causal, ...(softcap && { softcap }), ...(scale && { scale }) });
    worst = Math.max(worst, distance(ours.out, truth.out));
  }
  expect(worst).toBeLessThanOrEqual(2 * naive);
}

const SIZES: readonly Sizes[] = [
  { B: 1, H: 2, G: 2, L: 7, S: 7, D: 64, E: 64 },
  { B: 2, H: 4, G: 2, L: 5, S: 131, D: 64, E: 20 },
  { B: 1, H: 6, G: 2, L: 1, S: 65, D: 40, E: 7 },
  { B: 1, H: 3, G: 1, L: 37, S: 37, D: 33, E: 33 },
  { B: 1, H: 1, G: 1, L: 130, S: 41, D: 3, E: 1 },
  { B: 1, H: 2, G: 1, L: 21, S: 103, D: 128, E: 8 },
];

describe('a term of the query', () => {
  for (const sizes of SIZES) {
    for (const rows of [5, 33, 301]) {
      for (const shared of [true, false]) {
        it(`${JSON.stringify(sizes)}, ${rows} rows, ${shared ? 'shared' : 'per head'}`, async () => {
          const { H, D } = sizes;
          const heads = shared ? 1 : H;
          const table = numbers(heads * rows * D, 11);
          const bias = numbers(H * D, 12);
          const half = (rows - 1) / 2;
          const row = (offset: number): number => Math.max(-half, Math.min(half, offset)) + half;
          const plan: Plan = { terms: [{ kind: 'query', table, heads, bias, scale: 0.3, rows: { kind: 'offset', row } }] };
          const encoding = defineEncoding({ name: 'clipped', lower: () => plan });
          const term: Formula['term'] = (q, _k, h, offset, round) => {
            const biased = q.map((x, d) => round(x + (bias[h * D + d] as number)));
            return round(0.3 * dot(biased, table, ((shared ? 0 : h) * rows + row(offset)) * D, round));
          };
          await check(sizes, encoding, { term });
          await check(sizes, encoding, { term }, { softcap: 3 });
        });
      }
    }
  }
});

describe('a term of the key', () => {
  for (const sizes of SIZES) {
    it(JSON.stringify(sizes), async () => {
      const { H, D } = sizes;
      const rows = 41;
      const table = numbers(H * rows * D, 13);
      const row = (offset: number): number => Math.max(0, Math.min(rows - 1, offset + 20));
      const encoding = defineEncoding({
        name: 'keys',
        lower: () => ({ terms: [{ kind: 'key', table, heads: H, scale: 0.2, rows: { kind: 'offset', row } }] }),
      });
      const term: Formula['term'] = (_q, k, h, offset, round) => round(0.2 * dot(k, table, (h * rows + row(offset)) * D, round));
      await check(sizes, encoding, { term });
      await check(sizes, encoding, { term }, { softcap: 2 });
    });
  }
});

describe('shaw', () => {
  for (const sizes of SIZES) {
    it(`keys, queries and values at ${JSON.stringify(sizes)}`, async () => {
      const { D, E } = sizes;
      const [left, right] = [9, 4];
      const height = left + right + 1;
      const tables = { keys: numbers(height * D, 21), queries: numbers(height * D, 22), values: numbers(height * E, 23) };
      const row = (offset: number): number => Math.max(-left, Math.min(right, offset)) + left;
      const scale = Math.fround(1 / Math.sqrt(D));
      await check(sizes, shaw({ left, right, ...tables }), {
        term: (q, k, _h, offset, round) =>
          round(round(scale * dot(q, tables.keys, row(offset) * D, round)) + round(scale * dot(k, tables.queries, row(offset) * D, round))),
        value: (_h, offset, e) => tables.values[row(offset) * E + e] as number,
      });
    });
  }

  it('with a table of zeros is attention without it, bit for bit', async () => {
    const sizes: Sizes = { B: 1, H: 2, G: 2, L: 37, S: 65, D: 64, E: 16 };
    const inputs = draw(sizes, 5);
    const plain = await attend(engine, inputs, sizes, { causal: true });
    const zero = shaw({ left: 3, right: 3, keys: new Float32Array(7 * 64), values: new Float32Array(7 * 16) });
    expect(await attend(engine, inputs, sizes, { causal: true, encoding: zero })).toEqual(plain);
    expectAccurate({ inputs, sizes, options: { visible: ({ i, j }) => j <= i + 28 }, ...plain });
  });
});

describe('musicTransformer', () => {
  it('reads row rows − 1 + j − i under a causal mask, and nothing beyond its reach', async () => {
    for (const rows of [8, 64]) {
      const sizes: Sizes = { B: 1, H: 2, G: 2, L: 37, S: 37, D: 20, E: 20 };
      const table = numbers(2 * rows * 20, 31);
      const scale = Math.fround(1 / Math.sqrt(20));
      await check(
        sizes,
        musicTransformer({ table, heads: 2 }),
        {
          term: (q, _k, h, offset, round) =>
            rows - 1 + offset < 0 ? 0 : round(scale * dot(q, table, (h * rows + rows - 1 + offset) * 20, round)),
        },
        { causal: true },
      );
    }
  });
});

describe('what has no row', () => {
  it.each([-1, 1, 9999])('counts as zero, and the reference agrees with plain attention: row %d of one', async (row) => {
    const sizes: Sizes = { B: 1, H: 2, G: 1, L: 9, S: 33, D: 64, E: 8 };
    const nothing = defineEncoding({
      name: 'nothing',
      lower: () => ({ terms: [{ kind: 'query', table: numbers(64, 1), heads: 1, rows: { kind: 'offset', row: () => row } }] }),
    });
    const inputs = draw(sizes, 9);
    const { out } = await attend(engine, inputs, sizes, { encoding: nothing });
    expect(out).toEqual((await attend(engine, inputs, sizes)).out);
    expectAccurate({ inputs, sizes, out });
    const { out: truth } = attention(inputs, sizes);
    expect(distance(truth, withTerms(inputs, sizes, { term: () => 0 }, {}, (x) => x).out)).toBeLessThan(1e-14);
  });
});
