/** The schemes of a clipped window against their formulas, and the tables they are made from. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEngine, direction, distance, type Encoding, type Engine, lowRank, shaw, sinusoidal, sinusoids } from '../../src/index.ts';
import { attend } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import type { Sizes } from '../reference/attention.ts';
import { draw } from '../reference/tolerance.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
});
afterAll(() => engine.dispose());

const SIZES: Sizes = { B: 1, H: 2, G: 1, L: 13, S: 36, D: 20, E: 7 };
const K = 9;

/** The scheme equals Shaw's keys with the rows that the formula gives, x = i − j from −K to K, bit for bit: both are one query term. */
async function expectRows(encoding: Encoding, row: (x: number) => ArrayLike<number>): Promise<void> {
  const inputs = draw(SIZES, 3);
  const keys = new Float32Array((2 * K + 1) * SIZES.D);
  // Shaw's rows run over j − i.
  for (let x = -K; x <= K; x++) keys.set(Float32Array.from(row(x)), (K - x) * SIZES.D);
  const expected = await attend(engine, inputs, SIZES, { encoding: shaw({ left: K, right: K, keys }) });
  expect(await attend(engine, inputs, SIZES, { encoding })).toEqual(expected);
}

describe('sinusoids', () => {
  it('are sin and cos of position · base^(−2i/width), rounded from f64', () => {
    for (const width of [8, 7]) {
      for (const layout of ['interleaved', 'halves'] as const) {
        const table = sinusoids(engine.math, 50, width, { layout, base: 5000, offset: 3 });
        const half = Math.ceil(width / 2);
        for (let n = 0; n < table.length; n++) {
          const [p, c] = [Math.floor(n / width) + 3, n % width];
          const [i, isSine] = layout === 'interleaved' ? [Math.floor(c / 2), c % 2 === 0] : [c % half, c < half];
          const angle = p * 5000 ** ((-2 * i) / width);
          expect(Math.abs((table[n] as number) - (isSine ? Math.sin(angle) : Math.cos(angle)))).toBeLessThan(6e-8);
        }
      }
    }
  });
});

describe('schemes', () => {
  it('sinusoidal reads row clip(i − j) + k', async () => {
    const table = sinusoids(engine.math, 2 * K + 1, SIZES.D);
    await expectRows(sinusoidal({ maxDistance: K }), (x) => table.subarray((x + K) * SIZES.D, (x + K + 1) * SIZES.D));
  });

  const weight = numbers(SIZES.D * 2, 5);
  const bias = numbers(SIZES.D, 6);
  const affine = (first: number, second: number): number[] =>
    Array.from(bias, (b, d) => (weight[2 * d] as number) * first + (weight[2 * d + 1] as number) * second + b);

  it('distance is W·[cos(πx/K), sin(πx/K)] + b', async () => {
    await expectRows(distance({ window: K, weight, bias }), (x) =>
      affine(engine.math.cos((Math.PI * x) / K), engine.math.sin((Math.PI * x) / K)),
    );
  });

  it('direction is W·[sgn(row step), sgn(r)]·r + b on a grid of side √S', async () => {
    await expectRows(direction({ window: K, weight, bias }), (r) => affine(Math.abs(r) >= 6 ? Math.abs(r) : 0, Math.abs(r)));
  });

  it('refuse tables of another width', async () => {
    const call = attend(engine, draw(SIZES, 1), SIZES, { encoding: distance({ window: 3, weight: new Float32Array(4), bias }) });
    await expect(call).rejects.toThrow('distance: "weight" expected [20, 2], 40 numbers, got 4');
  });
});

describe('lowRank', () => {
  it('is the product of its factors', () => {
    expect(lowRank(Float32Array.of(1, 2, 3, 4), Float32Array.of(1, 0, 2, 0, 1, 3), 2)).toEqual(Float32Array.of(1, 2, 8, 3, 4, 18));
    expect(() => lowRank(new Float32Array(5), new Float32Array(4), 2)).toThrow(RangeError);
  });
});
