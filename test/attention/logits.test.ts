/** What is done to the scores: scale, softcap, sinks, and their log-sum-exp; and that large ones overflow nothing. */
import { afterAll, describe, expect, test } from 'vitest';
import { type AttentionOptions, alibi, bias, createEngineSync } from '../../src/index.ts';
import { numbers } from '../conformance/numbers.ts';
import type { ReferenceOptions } from '../reference/attention.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';
import { attend, expectSameBits } from './call.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const sizes = { B: 2, H: 4, G: 2, L: 33, S: 130, D: 24, E: 16 };
const inputs = draw(sizes, 5);
const sinks = [0.5, -2, 4, Number.NEGATIVE_INFINITY];
const table = numbers(4 * 33 * 130, 9);
const dense = ({ h, i, j }: { h: number; i: number; j: number }): number => table[(h * 33 + i) * 130 + j] as number;

const CASES: readonly [string, AttentionOptions, ReferenceOptions][] = [
  ['scale 1', { scale: 1 }, { scale: 1 }],
  ['scale 0', { scale: 0 }, { scale: 0 }],
  ['a negative scale', { scale: -0.7 }, { scale: -0.7 }],
  ['softcap 50', { softcap: 50 }, { softcap: 50 }],
  ['softcap 0.5', { softcap: 0.5, scale: 2 }, { softcap: 0.5, scale: 2 }],
  ['sinks', { sinks }, { sinks }],
  ['sinks and softcap: a sink is not capped', { sinks: [9, 9, 9, 9], softcap: 2 }, { sinks: [9, 9, 9, 9], softcap: 2 }],
];

describe('against the reference', () => {
  test.each(CASES)('%s', async (_, options, reference) => {
    expectAccurate({ inputs, sizes, options: reference, ...(await attend(engine, inputs, sizes, options)) });
  });

  test('a bias comes after the softcap', async () => {
    const encoding = bias(engine.tensor([1, 4, 33, 130], table));
    const result = await attend(engine, inputs, sizes, { encoding, softcap: 0.3 });
    expectAccurate({ inputs, sizes, options: { bias: dense, softcap: 0.3 }, ...result });
  });

  test('many biases add up', async () => {
    const parts = [0, 1, 2].map(() => bias(engine.tensor([1, 4, 33, 130], table)));
    const result = await attend(engine, inputs, sizes, { encoding: parts });
    expectAccurate({ inputs, sizes, options: { bias: (at) => 3 * dense(at) }, ...result });
  });
});

describe('log-sum-exp', () => {
  test('of one far key under a large bias', async () => {
    const one = { B: 1, H: 4, G: 4, L: 120, S: 120, D: 24, E: 4 };
    const given = draw(one, 3);
    const result = await attend(engine, given, one, { encoding: alibi({ heads: 4 }), keyLengths: [1] });
    const slopes = ({ h, i, j }: { h: number; i: number; j: number }): number => -(4 ** -(h + 1)) * Math.abs(j - i);
    expectAccurate({ inputs: given, sizes: one, options: { bias: slopes, visible: ({ j }) => j === 0 }, ...result });
  });
});

describe('sinks', () => {
  test('of −Infinity change no bit', async () => {
    const options = { sinks: new Float32Array(4).fill(Number.NEGATIVE_INFINITY) };
    expectSameBits((await attend(engine, inputs, sizes, options)).out, (await attend(engine, inputs, sizes)).out);
  });

  test('alone, without any key, give 0 and their own log-sum-exp', async () => {
    const none = { ...sizes, S: 0 };
    const { out, lse } = await attend(engine, draw(none, 1), none, { sinks: [0.5, -2, 4, 0] });
    expect(new Set(out)).toEqual(new Set([0]));
    expect([...lse.slice(0, 4 * 33)].filter((_, n) => n % 33 === 0)).toEqual([0.5, -2, 4, 0]);
  });

  test('of −Infinity without any key: 0, and nothing in the denominator', async () => {
    const { out, lse } = await attend(engine, inputs, sizes, { sinks: [1, -Infinity, 1, -Infinity], keyLengths: [0, 5] });
    const rows = lse.length / 8;
    const heads = [1, -Infinity, 1, -Infinity].flatMap((sink) => Array.from({ length: rows }, () => sink));
    expect([...lse.slice(0, 4 * rows)]).toEqual(heads);
    expect(new Set(out.slice(0, out.length / 2))).toEqual(new Set([0]));
  });

  test('as a tensor, an array or a Float32Array are the same', async () => {
    const expected = (await attend(engine, inputs, sizes, { sinks })).out;
    expectSameBits((await attend(engine, inputs, sizes, { sinks: Float32Array.from(sinks) })).out, expected);
    expectSameBits((await attend(engine, inputs, sizes, { sinks: engine.tensor([4], sinks) })).out, expected);
  });
});

describe('large scores', () => {
  const amplitude = 300;
  const large = draw(sizes, 6, amplitude);

  test('of many thousands: as accurate as a naive evaluation, and finite', async () => {
    const result = await attend(engine, large, sizes);
    expectAccurate({ inputs: large, sizes, amplitude, ...result });
    expect(Math.max(...result.lse)).toBeGreaterThan(10000);
  });

  test('of 1e37: the output is the value of the largest', async () => {
    const one = { B: 1, H: 1, G: 1, L: 1, S: 100, D: 1, E: 1 };
    const k = Float32Array.from({ length: 100 }, (_, j) => j);
    const v = Float32Array.from({ length: 100 }, (_, j) => j * j);
    const { out, lse } = await attend(engine, { q: [1e35], k, v }, one);
    expect([...out]).toEqual([99 * 99]);
    expect(lse[0]).toBe(Math.fround(Math.fround(1e35) * 99));
  });

  test('with a softcap: no more than the cap', async () => {
    const { lse } = await attend(engine, large, sizes, { softcap: 3 });
    expect(Math.max(...lse)).toBeLessThanOrEqual(3 + Math.log(130) + 1e-5);
  });

  test('with a softcap so small that they would be beyond f32 before it is put on them: refused', async () => {
    const { out, lse } = await attend(engine, large, sizes, { scale: 2, softcap: 2 ** -99 });
    expect([...out, ...lse].every(Number.isFinite)).toBe(true);
    await expect(attend(engine, large, sizes, { scale: 4, softcap: 2 ** -99 })).rejects.toThrow('"softcap" expected at least |scale|');
  });
});
