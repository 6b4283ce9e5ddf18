/** Schemes that scale the query or the score, or add a sum of a row and a column, against their formulas in f64. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync, defineEncoding, type Encoding, fire, forgetting, kerple, queryScale, rotary } from '../../src/index.ts';
import { attend, expectSameBits, upload } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import type { ReferenceOptions, Sizes } from '../reference/attention.ts';
import { turn } from '../reference/rotation.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const H = 4;
const SIZES: readonly Sizes[] = [
  { B: 2, H, G: 2, L: 19, S: 19, D: 20, E: 12 },
  { B: 2, H, G: 4, L: 3, S: 47, D: 24, E: 8 },
  { B: 1, H, G: 1, L: 1, S: 210, D: 16, E: 5 },
  { B: 1, H, G: 2, L: 131, S: 131, D: 8, E: 8 },
];
const at = (list: ArrayLike<number>, n: number): number => list[n] as number;
const causal =
  ({ L, S }: Sizes): NonNullable<ReferenceOptions['visible']> =>
  (point) =>
    point.j <= point.i + S - L;

/** ln f of every token, [B or 1][H][T], and their sums over j + 1 … p in the order of the formula. */
function gates(batch: number, T: number, size: number, seed: number) {
  const logGates = Float64Array.from(numbers(batch * H * T, seed), (x) => -size * Math.abs(x));
  const sum = (b: number, h: number, p: number, j: number): number => {
    const run = ((batch > 1 ? b : 0) * H + h) * T;
    let total = 0;
    for (let t = j + 1; t <= p; t++) total += at(logGates, run + t);
    return total;
  };
  return { logGates, sum };
}

describe('queryScale', () => {
  test.each(SIZES)('steps, B $B, L $L, S $S', async (sizes) => {
    const encoding = queryScale({ kind: 'steps', interval: 8, factor: 0.7, start: 1 });
    const inputs = draw(sizes, 1);
    const options: ReferenceOptions = { queryScale: ({ i }) => 1 + 0.7 * Math.log(1 + Math.floor((i + sizes.S - sizes.L + 1) / 8)) };
    expectAccurate({ inputs, sizes, options, ...(await attend(engine, inputs, sizes, { encoding })) });
  });

  test.each(SIZES)('log, with positions by batch row and a rotation, B $B, L $L, S $S', async (sizes) => {
    const { B, L, S } = sizes;
    const positions = Float64Array.from({ length: B * S }, (_, n) => (n % S) * (1 + Math.floor(n / S)));
    const encoding = [queryScale({ kind: 'log', length: 10, positions }), rotary({ dim: 8, theta: 100, layout: 'halves' })];
    const inputs = draw(sizes, 2);
    const scaleAt = (p: number): number => Math.max(1, Math.log(p + 1) / Math.log(10));
    const options: ReferenceOptions = {
      queryScale: ({ b, i }) => scaleAt(at(positions, b * S + i + S - L)),
      rotate: turn({ dim: 8, theta: 100, layout: 'halves' }),
    };
    expectAccurate({ inputs, sizes, options, ...(await attend(engine, inputs, sizes, { encoding })) });
  });

  test('it multiplies q in tables of relative positions too', async () => {
    const sizes = SIZES[0] as Sizes;
    const { B, L, D } = sizes;
    const inputs = draw(sizes, 3);
    const table = numbers(5 * D, 4);
    const rowScale = numbers(B * L, 5).map((x) => 1.5 + x);
    const rows = { kind: 'offset', row: (offset: number) => Math.max(-2, Math.min(2, offset)) + 2 } as const;
    const terms = defineEncoding({ name: 'terms', lower: () => ({ terms: [{ kind: 'query', table, heads: 1, rows }] }) });
    const scaled = defineEncoding({ name: 'scaled', lower: () => ({ rowScale }) });
    const q = inputs.q.map((x, n) => x * at(rowScale, Math.floor(n / D / H / L) * L + (Math.floor(n / D) % L)));
    const whole = await attend(engine, { ...inputs, q }, sizes, { encoding: terms });
    const ours = await attend(engine, inputs, sizes, { encoding: [terms, scaled] });
    expectSameBits(ours.out, whole.out);
  });

  test('wrong options', () => {
    expect(() => queryScale({ kind: 'steps', factor: 1 } as never)).toThrow('"interval" expected a number, got undefined');
    expect(() => queryScale({ kind: 'log', length: 1 })).toThrow('"length" expected a finite number > 1, got 1');
    expect(() => queryScale({ kind: 'log', length: 9, factor: 1 })).toThrow(`"factor" expected nothing beside kind 'log', got 1`);
    const encoding = defineEncoding({ name: 'own', lower: () => ({ rowScale: new Float32Array(7) }) });
    const x = engine.tensor([1, 1, 3, 4]);
    expect(() => engine.attentionSync(x, x, x, { encoding })).toThrow('a row scale of [L=3] or [B=1, L=3], got Float32Array(7)');
  });
});

describe('forgetting', () => {
  test.each(SIZES)('B $B, L $L, S $S', async (sizes) => {
    const { B, L, S } = sizes;
    const { logGates, sum } = gates(B, S, 0.4, 11);
    const inputs = draw(sizes, 4);
    const options: ReferenceOptions = { visible: causal(sizes), bias: ({ b, h, i, j }) => sum(b, h, i + S - L, j) };
    expectAccurate({
      inputs,
      sizes,
      options,
      ...(await attend(engine, inputs, sizes, { encoding: forgetting({ heads: H, logGates }), causal: true })),
    });
  });

  test('far from the start, where one f32 for each running sum would be off by thousands of units', async () => {
    const T = 60_000;
    const sizes: Sizes = { B: 1, H, G: 4, L: 3, S: 40, D: 16, E: 8 };
    const { logGates, sum } = gates(1, T, 0.4, 12);
    const first = T - sizes.S;
    const inputs = draw(sizes, 5);
    const [q, k, v] = upload(engine, inputs, sizes);
    const place = { queryOffset: T - sizes.L, keyOffset: first, totalKeys: T };
    const { out, lse } = await engine.attentionPartial(q, k, v, { encoding: forgetting({ heads: H, logGates }), causal: true, ...place });
    const options: ReferenceOptions = { visible: causal(sizes), bias: ({ b, h, i, j }) => sum(b, h, T - sizes.L + i, first + j) };
    expectAccurate({ inputs, sizes, options, out: out.toArray(), lse: lse.toArray() });
  });

  test('steps with a cache have the bits of the whole', async () => {
    const sizes: Sizes = { B: 1, H, G: 2, L: 24, S: 24, D: 16, E: 16 };
    const inputs = draw(sizes, 6);
    const { logGates } = gates(1, 24, 0.4, 13);
    const [q, k, v] = upload(engine, inputs, sizes);
    const whole = (await engine.attention(q, k, v, { encoding: forgetting({ heads: H, logGates }), causal: true })).toArray();
    const cache = engine.kvCache({ batch: 1, heads: 2, headDim: 16, capacity: 24 });
    for (let t = 0; t < 24; t++) {
      const seen = Float64Array.from({ length: H * (t + 1) }, (_, n) => at(logGates, Math.floor(n / (t + 1)) * 24 + (n % (t + 1))));
      const [a, b, c] = [q, k, v].map((x) => x.slice(null, null, [t, t + 1])) as [typeof q, typeof k, typeof v];
      const step = await engine.attention(a, b, c, { cache, encoding: forgetting({ heads: H, logGates: seen }) });
      const row = Float32Array.from({ length: H * 16 }, (_, n) => at(whole, (Math.floor(n / 16) * 24 + t) * 16 + (n % 16)));
      expectSameBits(step.toArray(), row);
    }
  });

  test('wrong options', () => {
    expect(() => forgetting({ heads: 1, logGates: [0, 0.1] })).toThrow('"logGates[1]" expected the logarithm of a gate, ≤ 0, got 0.1');
    expect(() => forgetting({ heads: 1, logGates: [-Infinity] })).toThrow('"logGates[0]" expected a finite number, got -Infinity');
    const x = engine.tensor([1, 2, 3, 4]);
    const run = (heads: number, count: number) => () =>
      engine.attentionSync(x, x, x, { encoding: forgetting({ heads, logGates: new Float32Array(count) }) });
    expect(run(2, 5)).toThrow('"logGates" expected [heads=2, T=3] or [B=1, heads=2, T=3] numbers, got 5');
    expect(run(1, 3)).toThrow('"heads" expected H=2, got 1');
  });
});

describe('kerple with a weight', () => {
  const [p, a] = [
    [0.5, 1.5, 3, 0.001],
    [0.2, 0.05, 0.01, 0.5],
  ];
  const clamped = (h: number): [number, number] => [Math.min(2, Math.max(0.01, at(p as number[], h))), at(a as number[], h)];
  const factor: NonNullable<ReferenceOptions['factor']> = ({ h, i, j }) => {
    const [exponent, size] = clamped(h);
    return i === j ? 1 : Math.exp(-size * Math.abs(i - j) ** exponent);
  };

  test.each([undefined, 3])('softcap %s', async (softcap) => {
    const sizes: Sizes = { B: 2, H, G: 2, L: 33, S: 33, D: 12, E: 8 };
    const inputs = draw(sizes, 7, 3);
    const encoding = kerple({ heads: H, weightP: p as number[], weightA: a as number[] });
    const result = await attend(engine, inputs, sizes, { encoding, ...(softcap && { softcap }) });
    expectAccurate({ inputs, sizes, options: { factor, ...(softcap && { softcap }) }, amplitude: 3, ...result });
  });

  test('and a bias: the score is multiplied before anything is added', async () => {
    const sizes: Sizes = { B: 1, H, G: 2, L: 210, S: 210, D: 12, E: 8 };
    const inputs = draw(sizes, 8);
    const encoding = kerple({
      heads: H,
      kind: 'log',
      biasP: [1, 2, 0.5, 1],
      biasA: [0.5, 1, 2, 3],
      weightP: p as number[],
      weightA: a as number[],
    });
    const bias: NonNullable<ReferenceOptions['bias']> = ({ h, i, j }) =>
      -at([1, 2, 0.5, 1], h) * Math.log(1 + at([0.5, 1, 2, 3], h) * Math.abs(i - j));
    expectAccurate({ inputs, sizes, options: { factor, bias }, ...(await attend(engine, inputs, sizes, { encoding })) });
  });

  test('half a weight is refused, and no kernel at all', () => {
    expect(() => kerple({ heads: 1, weightP: [1] })).toThrow('"weightA" expected');
    expect(() => kerple({ heads: 1 })).toThrow(`"kind" expected 'log' or 'power', got undefined`);
    expect(() => kerple({ heads: 1, weightP: [1], weightA: [1], biasP: [1] })).toThrow(`"kind" expected 'log' or 'power', got undefined`);
  });
});

test('FIRE: rows on either side of the threshold have the bits that they have alone', async () => {
  const sizes: Sizes = { B: 1, H, G: 2, L: 40, S: 40, D: 16, E: 16 };
  const inputs = draw(sizes, 9);
  const mlp = { weight1: numbers(9, 25), bias1: numbers(9, 26), weight2: numbers(H * 9, 27), bias2: numbers(H, 28) };
  const encoding: Encoding = fire({ ...mlp, c: 0.3, threshold: 17.5 });
  const [q, k, v] = upload(engine, inputs, sizes);
  const whole = (await engine.attention(q, k, v, { encoding, causal: true })).toArray();
  for (const [from, to] of [
    [0, 1],
    [16, 17],
    [17, 18],
    [18, 19],
    [10, 18],
    [16, 21],
    [39, 40],
  ] as const) {
    const part = await engine.attention(
      q.slice(null, null, [from, to]),
      ...([k, v].map((x) => x.slice(null, null, [0, to])) as [typeof k, typeof v]),
      { encoding, causal: true },
    );
    const n = to - from;
    const rows = Float32Array.from({ length: H * n * 16 }, (_, m) =>
      at(whole, (Math.floor(m / 16 / n) * 40 + from + (Math.floor(m / 16) % n)) * 16 + (m % 16)),
    );
    expectSameBits(part.toArray(), rows);
  }
});
