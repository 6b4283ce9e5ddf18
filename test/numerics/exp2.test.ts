/** exp2 and tanh of the kernels in f32, through a wrapper that is compiled here. */
import { describe, expect, test } from 'vitest';
import { SCORES_ROW } from '../../src/wasm/generated/job.ts';
import { numbers } from '../conformance/numbers.ts';
import { compileKernels } from './compile.ts';

const WRAPPER = `
import { exp, exp2, exp2x4, exponentials, markedExponentials, softcap } from './exp';
export function scalar(x: f32): f32 { return exp2(x); }
export function natural(x: f32): f32 { return exp(x); }
export function lane0(x: f32): f32 { return f32x4.extract_lane(exp2x4(f32x4.splat(x)), 0); }
export function lane3(x: f32): f32 { return f32x4.extract_lane(exp2x4(f32x4.replace_lane(f32x4.splat(0), 3, x)), 3); }
const rows = memory.data(4096, 16);
const state = memory.data(16, 16);
export function tanh(x: f32): f32 { store<f32>(rows, x); softcap(rows, 4, 1); return load<f32>(rows); }
/** The exponential of x − m in column j of row r of two rows of 8, everything else hidden. */
export function inRow(x: f32, m: f32, r: i32, j: i32, marked: bool): f32 {
  for (let at = 0; at < 4096; at += 4) store<f32>(rows + at, -Infinity);
  const at = rows + r * ${SCORES_ROW} + 4 * j;
  store<f32>(at, x);
  store<f32>(state, m);
  store<f32>(state, m, 4);
  if (marked) markedExponentials(rows, 8, state, 2);
  else exponentials(rows, 8, state, 2);
  return load<f32>(at);
}
/** The sum that is left of row r after inRow. */
export function sum(r: i32): f32 { return load<f32>(state + 4 * r); }
/** Entry j of row r after inRow. */
export function entry(r: i32, j: i32): f32 { return load<f32>(rows + r * ${SCORES_ROW} + 4 * j); }
`;

type Unary = (x: number) => number;

interface Wrapper extends Record<'scalar' | 'natural' | 'lane0' | 'lane3' | 'tanh' | 'sum', Unary> {
  inRow(x: number, m: number, r: number, j: number, marked: boolean): number;
  entry(r: number, j: number): number;
}

const { scalar, natural, lane0, lane3, tanh, inRow, sum, entry } = await compileKernels<Wrapper>(WRAPPER, ['exp', 'job', 'simd', 'target']);

/** Distance of an f32 from the truth, in units of the last place of the truth. */
const ulps = (got: number, truth: number): number =>
  Math.abs(got - truth) / 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(truth)))) - 23);
/** f32 numbers in [−reach, reach). */
const points = (count: number, reach: number, seed: number): number[] => [...numbers(count, seed)].map((x) => Math.fround(x * reach));

describe('exp2', () => {
  const xs = [...points(100_000, 0.5, 1), ...points(50_000, 30, 2), ...points(50_000, 99.5, 3)];

  test('within 1.2 ulp', () => {
    expect(xs.reduce((most, x) => Math.max(most, ulps(lane0(x), 2 ** x)), 0)).toBeLessThan(1.2);
  });

  test('every lane and the scalar twin give the same bits', () => {
    expect(xs.every((x) => lane0(x) === lane3(x) && lane0(x) === scalar(x))).toBe(true);
  });

  test('whole numbers are exact', () => {
    for (let n = -99; n <= 127; n++) expect(lane0(n)).toBe(2 ** n);
  });

  test('special points', () => {
    const pairs: [number, number][] = [
      [0, 1],
      [-0, 1],
      [-99.5, 0],
      [-127, 0],
      [-1e30, 0],
      [Number.NEGATIVE_INFINITY, 0],
    ];
    for (const [x, y] of pairs) expect([scalar(x), lane0(x)]).toEqual([y, y]);
    expect([scalar(Number.NaN), lane0(Number.NaN)]).toEqual([Number.NaN, Number.NaN]);
  });

  test('never exceeds 1 at or below 0, so that probabilities do not', () => {
    expect(xs.every((x) => lane0(-Math.abs(x)) <= 1)).toBe(true);
  });
});

describe('exponentials of rows', () => {
  const places = Array.from({ length: 16 }, (_, n): [number, number] => [n >> 3, n & 7]);
  const xs = [...points(200, 1, 7), ...points(200, 60, 8), Number.NEGATIVE_INFINITY, Number.NaN, 0];

  test.each([false, true])('every place of every row gives the bits of the scalar form, and its sum (marked: %s)', (marked) => {
    for (const x of xs) {
      for (const [r, j] of places) {
        const truth = natural(Math.fround(x - 0.75));
        expect([inRow(x, 0.75, r, j, marked), sum(r), sum(1 - r)]).toEqual([truth === 0 && marked ? -0 : truth, truth, 0]);
      }
    }
  });

  test('hidden places become 0, marked ones −0', () => {
    inRow(1, 1, 0, 3, false);
    expect([entry(0, 3), entry(0, 4), entry(1, 0)]).toEqual([1, 0, 0]);
    inRow(1, 1, 0, 3, true);
    expect([entry(0, 3), entry(0, 4), entry(1, 0)]).toEqual([1, -0, -0]);
  });
});

describe('tanh', () => {
  const xs = [...points(50_000, 0.625, 4), ...points(50_000, 2, 5), ...points(50_000, 20, 6)];

  test('within 1.5 ulp', () => {
    expect(xs.reduce((most, x) => (x === 0 ? most : Math.max(most, ulps(tanh(x), Math.tanh(x)))), 0)).toBeLessThan(1.5);
  });

  test('is odd, and never exceeds 1', () => {
    expect(xs.every((x) => tanh(-x) === -tanh(x) && Math.abs(tanh(x)) <= 1)).toBe(true);
  });

  test('special points', () => {
    const pairs: [number, number][] = [
      [0, 0],
      [100, 1],
      [Number.POSITIVE_INFINITY, 1],
      [Number.NEGATIVE_INFINITY, -1],
      [1e-30, Math.fround(1e-30)],
    ];
    for (const [x, y] of pairs) expect(tanh(x)).toBe(y);
    expect(tanh(Number.NaN)).toBeNaN();
  });
});
