/** The kernels' f64 functions against hundreds of digits, held to what their comments in assembly/math.ts say. */
import { describe, expect, test } from 'vitest';
import { baseline } from '../../src/wasm/generated/baseline.ts';
import { compileSync, instantiate } from '../../src/wasm/kernels.ts';
import { unpack } from '../../src/wasm/unpack.ts';
import { numbers } from '../conformance/numbers.ts';
import * as precise from '../reference/precise.ts';
import { absoluteError, fixed, relativeError, ulpError } from '../reference/precise.ts';

const kernels = instantiate(compileSync(unpack(baseline)), new WebAssembly.Memory({ initial: 1, maximum: 65536 }));

/** Points that fill [−reach, reach), with more f64 bits than an f32 has. */
const points = (count: number, reach: number, seed: number): number[] =>
  [...numbers(count, seed)].map((x, n) => (x + 2 ** -30 * (n + 1)) * reach);

const largest = (errors: readonly number[]): number => Math.max(...errors);

describe('exp', () => {
  test('within an ulp', () => {
    const xs = [...points(300, 700, 1), ...points(200, 1, 2)];
    expect(largest(xs.map((x) => ulpError(kernels.exp(x), precise.exp(fixed(x)))))).toBeLessThan(1);
  });

  test('exact and special points', () => {
    const pairs: [number, number][] = [
      [0, 1],
      [-0, 1],
      [Number.NEGATIVE_INFINITY, 0],
      [-746, 0],
      [710, Number.POSITIVE_INFINITY],
    ];
    for (const [x, y] of pairs) expect(kernels.exp(x)).toBe(y);
    expect(kernels.exp(Number.NaN)).toBeNaN();
  });

  test('of subnormal results, within half a step', () => {
    for (const x of [-708.5, -720, -744]) expect(Math.abs(kernels.exp(x) - Math.exp(x))).toBeLessThanOrEqual(2 ** -1074);
  });
});

describe('log', () => {
  test('within an ulp', () => {
    const xs = [...points(300, 300, 3), ...points(300, 600, 4)].map((x) => 2 ** x).filter((x) => x > 4 || x < 0.25);
    expect(largest(xs.map((x) => ulpError(kernels.log(x), precise.log(x))))).toBeLessThan(1);
  });

  test('next to 1, within 2^−53', () => {
    const xs = points(300, 0.5, 5).map((x) => 1 + x);
    expect(largest(xs.map((x) => absoluteError(kernels.log(x), precise.log(x))))).toBeLessThan(2 ** -53);
  });

  test('exact and special points', () => {
    const pairs: [number, number][] = [
      [1, 0],
      [0, Number.NEGATIVE_INFINITY],
      [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    ];
    for (const [x, y] of pairs) expect(kernels.log(x)).toBe(y);
    for (const x of [-1, Number.NEGATIVE_INFINITY, Number.NaN]) expect(kernels.log(x)).toBeNaN();
    expect(kernels.log(2 ** -1074)).toBeCloseTo(-1074 * Math.LN2, 10);
  });
});

describe('pow', () => {
  test('within 2^−52 for each unit of the exponent y·ln x, and one more', () => {
    const ys = points(400, 3, 6);
    const errors = ys.map((y) => relativeError(kernels.pow(10000, y), precise.pow(10000, y)) / (1 + Math.abs(y * Math.log(10000))));
    expect(largest(errors)).toBeLessThan(2 ** -52);
  });

  test('exact and special points', () => {
    const triples: [number, number, number][] = [
      [7, 0, 1],
      [0, 0, 1],
      [0, 2, 0],
      [0, -1, Number.POSITIVE_INFINITY],
      [1, 123, 1],
    ];
    for (const [x, y, z] of triples) expect(kernels.pow(x, y)).toBe(z);
  });

  test('whole powers of two are exact in f32, so that the slopes of ALiBi are', () => {
    for (let n = -64; n <= 64; n++) expect(Math.fround(kernels.pow(2, n))).toBe(2 ** n);
  });
});

describe('sin and cos', () => {
  // 355/113, 710 and 103993/33102 · k lie next to multiples of π: there the reduction must not cancel.
  const near = [355, 710, 103993, 207986, 1.5 * 355, 312689].flatMap((x) => [x, -x, x / 2]);

  test.each([
    [1, 1.3],
    [100, 2.1],
    [1e4, 2.1],
    [1.5e6, 2.1],
  ])('up to %d rad within %d ulp', (reach, bound) => {
    const xs = [...points(200, reach, 7), ...near.filter((x) => Math.abs(x) <= reach)];
    expect(largest(xs.map((x) => ulpError(kernels.sin(x), precise.sin(fixed(x)))))).toBeLessThan(bound);
    expect(largest(xs.map((x) => ulpError(kernels.cos(x), precise.cos(fixed(x)))))).toBeLessThan(bound);
  });

  test('exact points', () => {
    expect([kernels.sin(0), kernels.cos(0), kernels.cos(-0)]).toEqual([0, 1, 1]);
    expect(kernels.sin(1e-300)).toBe(1e-300);
    expect(kernels.sin(Number.NaN)).toBeNaN();
  });
});

describe('tanh', () => {
  test('within two ulp', () => {
    const xs = [...points(200, 0.02, 8), ...points(200, 1, 9), ...points(200, 20, 10)];
    expect(largest(xs.map((x) => ulpError(kernels.tanh(x), precise.tanh(x))))).toBeLessThan(2);
  });

  test('exact and special points', () => {
    const pairs: [number, number][] = [
      [0, 0],
      [1e-200, 1e-200],
      [40, 1],
      [-40, -1],
      [Number.POSITIVE_INFINITY, 1],
      [Number.NEGATIVE_INFINITY, -1],
    ];
    for (const [x, y] of pairs) expect(kernels.tanh(x)).toBe(y);
    expect(kernels.tanh(Number.NaN)).toBeNaN();
  });
});
