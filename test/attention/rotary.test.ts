/** Rotation: alone, fused, inverted, shifted, and as exact as f64 angles make it. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync, rotary, type Tensor } from '../../src/index.ts';
import { numbers } from '../conformance/numbers.ts';
import type { Round } from '../reference/attention.ts';
import * as mask from '../reference/masks.ts';
import { type RotationOptions, turn } from '../reference/rotation.ts';
import { distance, draw, expectAccurate } from '../reference/tolerance.ts';
import { attend, expectSameBits, upload } from './call.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const exact: Round = (x) => x;
const LAYOUTS = ['halves', 'pairs'] as const;

/** x [1, H, L, D] turned by the reference, row l at position `at(l)`. */
function turned(x: Float32Array, L: number, D: number, options: RotationOptions, at: (l: number) => number, round: Round): number[] {
  const rotate = turn(options);
  return Array.from({ length: x.length / D }, (_, row) => rotate([...x.subarray(row * D, (row + 1) * D)], at(row % L), round)).flat();
}

describe('rotate', () => {
  const [H, L] = [3, 70];
  const shapes = LAYOUTS.flatMap((layout) =>
    [
      [2, 2],
      [6, 9],
      [20, 20],
      [22, 40],
      [64, 64],
      [128, 512],
    ].map(([dim, D]) => ({ layout, dim: dim as number, D: D as number })),
  );

  test.each(shapes)('$layout, dim $dim of $D: twice a naive f32 evaluation', async ({ layout, dim, D }) => {
    const x = numbers(H * L * D, D);
    const options = { dim, theta: 10000, layout, offset: 17 };
    const out = (await engine.rotate(engine.tensor([1, H, L, D], x), rotary(options))).toArray();
    const truth = turned(x, L, D, options, (l) => l, exact);
    expect(distance(out, truth)).toBeLessThanOrEqual(
      2 *
        distance(
          turned(x, L, D, options, (l) => l, Math.fround),
          truth,
        ),
    );
  });

  test.each(LAYOUTS)('%s: fused into attention, the same bits as rotating q and k first', async (layout) => {
    const sizes = { B: 2, H: 4, G: 2, L: 50, S: 133, D: 24, E: 8 };
    const [q, k, v] = upload(engine, draw(sizes, 1), sizes);
    const encoding = rotary({ dim: 22, theta: 10000, layout, offset: 3 });
    const fused = await engine.attention(q, k, v, { encoding, causal: true });
    const [turnedQ, turnedK] = [await engine.rotate(q, encoding, { offset: 133 - 50 }), await engine.rotate(k, encoding)];
    expectSameBits(fused.toArray(), (await engine.attention(turnedQ, turnedK, v, { causal: true })).toArray());
  });

  test.each(LAYOUTS)('%s: the inverse restores, within two roundings', async (layout) => {
    const x = numbers(4 * 60 * 32, 3);
    const encoding = rotary({ dim: 32, theta: 10000, layout });
    const there = await engine.rotate(engine.tensor([1, 4, 60, 32], x), encoding, { offset: 1000 });
    const back = await engine.rotate(there, encoding, { offset: 1000, inverse: true });
    const naive = (values: Float32Array, inverse: boolean): Float32Array =>
      Float32Array.from(turned(values, 60, 32, { dim: 32, theta: 10000, layout, inverse, offset: 1000 }, (l) => l, Math.fround));
    expect(distance(back.toArray(), x)).toBeLessThanOrEqual(2 * distance(naive(naive(x, false), true), x));
  });

  test('in place gives the same bits', async () => {
    const x = numbers(2 * 30 * 16, 5);
    const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
    const expected = (await engine.rotate(engine.tensor([1, 2, 30, 16], x), encoding)).toArray();
    const own = engine.tensor([1, 2, 30, 16], x);
    expect(await engine.rotate(own, encoding, { out: own })).toBe(own);
    expectSameBits(own.toArray(), expected);
  });

  test('positions, one list or one per batch row, are those rows of the standard table', async () => {
    const encoding = rotary({ dim: 16, theta: 10000, layout: 'pairs' });
    const [first, second] = [numbers(5 * 16, 1), numbers(5 * 16, 2)];
    const x = engine.tensor([2, 1, 5, 16], [...first, ...second]);
    const [a, b] = [
      [7, 0, 3, 3, 900],
      [1, 2, 3, 4, 5],
    ] as const;
    const out = (await engine.rotate(x, encoding, { positions: [...a, ...b] })).toArray();
    for (const [n, position] of [...a, ...b].entries()) {
      const row = engine.tensor([1, 1, 1, 16], (n < 5 ? first : second).slice((n % 5) * 16, (n % 5) * 16 + 16));
      expectSameBits(out.slice(n * 16, n * 16 + 16), (await engine.rotate(row, encoding, { offset: position })).toArray());
    }
    const shared = (await engine.rotate(x, encoding, { positions: Float64Array.from(a) })).toArray();
    expectSameBits(shared.slice(0, 80), out.slice(0, 80));
  });

  test('blhd and strided rows give the same bits', async () => {
    const x = engine.tensor([2, 3, 40, 16], numbers(2 * 3 * 40 * 16, 6));
    const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
    const expected = (await engine.rotate(x, encoding)).toArray();
    const swapped = await engine.rotate(x.permute(0, 2, 1, 3), encoding, { layout: 'blhd' });
    expectSameBits(swapped.permute(0, 2, 1, 3).toArray(), expected);
  });
});

describe('attention with rotary', () => {
  const sizes = { B: 1, H: 4, G: 2, L: 61, S: 140, D: 24, E: 12 };
  const inputs = draw(sizes, 11);

  test.each(LAYOUTS)('%s against the reference', async (layout) => {
    const options = { dim: 20, theta: 500000, layout, offset: 9 };
    const result = await attend(engine, inputs, sizes, { encoding: rotary(options), causal: true });
    expectAccurate({ inputs, sizes, options: { rotate: turn(options), visible: mask.causal(sizes) }, ...result });
  });

  test.each([1, 1000, 123456])('moved by %d: the result depends on offsets alone, within a naive evaluation', async (offset) => {
    const options = { dim: 24, theta: 10000, layout: 'halves' as const };
    const result = await attend(engine, inputs, sizes, { encoding: rotary({ ...options, offset }) });
    expectAccurate({ inputs, sizes, options: { rotate: turn(options) }, ...result });
  });

  test('explicit positions that are the standard ones change no bit', async () => {
    const options = { dim: 24, theta: 10000, layout: 'halves' as const };
    const positions = Array.from({ length: 140 }, (_, j) => j);
    const explicit = await attend(engine, inputs, sizes, { encoding: rotary({ ...options, positions }), causal: true });
    expectSameBits(explicit.out, (await attend(engine, inputs, sizes, { encoding: rotary(options), causal: true })).out);
  });
});

describe('angles', () => {
  /** The angle by which a unit vector has turned, by position and frequency. */
  async function angles(position: number, dim: number, theta: number): Promise<Float64Array> {
    const x = engine.tensor(
      [1, 1, 1, dim],
      Float32Array.from({ length: dim }, (_, c) => (c % 2 ? 0 : 1)),
    );
    const out: Tensor = await engine.rotate(x, rotary({ dim, theta, layout: 'pairs' }), { positions: [position] });
    const values = out.toArray();
    return Float64Array.from({ length: dim / 2 }, (_, n) => Math.atan2(values[2 * n + 1] as number, values[2 * n] as number));
  }

  const TAU = 6.283185307179586;
  /** Distance of two angles on the circle. */
  const apart = (a: number, b: number): number => Math.abs(a - b - TAU * Math.round((a - b) / TAU));

  test.each([1, 4097, 65537, 131072, 524287, 999999, 1e6])('at position %d are within 1e-7 rad', async (position) => {
    const got = await angles(position, 128, 500000);
    got.forEach((angle, n) => {
      expect(apart(angle, position * 500000 ** (-n / 64))).toBeLessThan(1e-7);
    });
  });

  test('at whole turns come back to 0: exact where f32 angles would be off by 0.06 rad', async () => {
    // Frequency 1, position 710 is 113 turns plus 6.0288e-5; 999730 = 1408·710 + 50 checks the reduction over many turns.
    expect(apart((await angles(710, 2, 10000))[0] as number, 6.0288706691585265e-5)).toBeLessThan(1e-7);
    expect(apart((await angles(999680, 2, 10000))[0] as number, 1408 * 6.0288706691585265e-5)).toBeLessThan(1e-7);
  });
});
