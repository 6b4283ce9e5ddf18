/** Activations in f32 against their formulas in f64, over all of f32. */
import { describe, expect, test } from 'vitest';
import {
  ACT_NONE,
  ACT_TANH,
  MAP_A,
  MAP_A_ROW,
  MAP_ACTIVATION,
  MAP_ADD,
  MAP_B,
  MAP_B_ROW,
  MAP_DIVISOR,
  MAP_FACTOR,
  MAP_LIMIT,
  MAP_OUT,
  MAP_OUT_ROW,
  MAP_ROWS,
  MAP_SIZE,
  MAP_TILE,
  MAP_WIDTH,
} from '../../src/wasm/generated/layers.ts';
import { numbers } from '../conformance/numbers.ts';
import { compileKernels } from '../numerics/compile.ts';
import { ACTIVATIONS } from './formulas.ts';
import { type Field, gathered, Lab, SETS, spread } from './lab.ts';

/** 4096 numbers of scratch, as MAP_PIECE wants. */
const SCRATCH = 4096;

interface Sum {
  readonly b: Float32Array;
  readonly adds: boolean;
}

/** factor · act(x/divisor), held within ± limit, and that · b or + b. */
function map(
  x: Float32Array,
  activation: number,
  width = x.length,
  more: { set?: string; sum?: Sum; row?: number; tile?: number; limit?: number } = {},
) {
  const { set = 'nn', sum, row = width, tile = 1, limit = 0 } = more;
  const lab = new Lab(set);
  const rows = x.length / width;
  const out = lab.output(spread(new Float32Array(x.length), width, row));
  const fields: Field[] = [
    [MAP_ROWS, rows],
    [MAP_WIDTH, width],
    [MAP_TILE, tile],
    [MAP_A, lab.input(spread(x, width, row))],
    [MAP_A_ROW, 4 * row],
    [MAP_DIVISOR, 1, 'f32'],
    [MAP_FACTOR, 1, 'f32'],
    [MAP_LIMIT, limit, 'f32'],
    [MAP_ACTIVATION, activation],
    [MAP_OUT, out],
    [MAP_OUT_ROW, 4 * row],
  ];
  if (sum) fields.push([MAP_B, lab.input(spread(sum.b, width, row))], [MAP_B_ROW, 4 * row], [MAP_ADD, Number(sum.adds)]);
  lab.run('map', lab.block(MAP_SIZE, fields), Math.ceil(rows / tile), SCRATCH);
  return gathered(lab.floats(out, rows * row), width, row);
}

/** Every exponent of f32, many significands, both signs; and what lies where activations turn. */
const everywhere = ((): Float32Array => {
  const bits = new Uint32Array(120_000);
  for (let n = 0; n < bits.length; n++) bits[n] = n < 60_000 ? (n * 71_581) % 0xff000000 : 0;
  const points = new Float32Array(bits.buffer);
  const near = numbers(60_000, 3);
  for (let n = 0; n < 60_000; n++) points[60_000 + n] = (near[n] as number) * (n % 2 ? 8 : 100);
  return points.filter((x) => Number.isFinite(x));
})();

const ulp = (x: number): number => 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(x)))) - 23);

/** Largest error over the points for which `counts`: in units of the last place, or absolute. */
function worst(name: string, got: Float32Array, absolute: boolean, counts: (x: number, truth: number) => boolean): number {
  const formula = ACTIVATIONS[name] as (x: number) => number;
  let most = 0;
  everywhere.forEach((x, n) => {
    const truth = formula(x);
    if (!Number.isFinite(Math.fround(truth)) || !counts(x, truth)) return;
    const error = Math.abs((got[n] as number) - truth);
    most = Math.max(most, absolute ? error : error / ulp(truth));
    if (Number.isNaN(error)) most = Number.NaN;
  });
  return most;
}

const kinds = Object.keys(ACTIVATIONS);
const results = kinds.map((_, kind) => map(everywhere, kind));
const resultOf = (name: string): Float32Array => results[kinds.indexOf(name)] as Float32Array;
/** Above the subnormals, with what x multiplies. */
const normal = (_: number, truth: number): boolean => Math.abs(truth) > 2 ** -119;

describe('a limit', () => {
  test('holds what has one within it, before b is added or multiplied; NaN stays', () => {
    const x = Float32Array.of(-Infinity, -3, -1.5, -1, -0, 0, 1, 1.5, 3, Infinity, Number.NaN);
    const b = numbers(x.length, 5);
    for (const limit of [1.5, 0.1, 1e30]) {
      const [most, held] = [Math.fround(limit), (value: number) => Math.max(-Math.fround(limit), Math.min(Math.fround(limit), value))];
      expect(most).toBeGreaterThan(0);
      for (const set of SETS) {
        for (const width of [11, 1]) expect(map(x, 0, width, { set, limit, row: width + 2 })).toEqual(x.map(held));
        for (const adds of [true, false]) {
          const expected = x.map((value, n) => (adds ? held(value) + (b[n] as number) : held(value) * (b[n] as number)));
          expect(map(x, 0, x.length, { set, limit, sum: { b, adds } })).toEqual(expected);
        }
      }
    }
    expect(map(x, 0)).toEqual(x);
  });
});

describe('activations', () => {
  test.each([
    ['none', 0],
    ['relu', 0],
    ['relu2', 0.5],
    ['silu', 2.3],
    ['sigmoid', 2.3],
    ['tanh', 2.5],
  ])('%s: at most %d units in the last place, wherever the result is normal', (name, most) => {
    expect(worst(name, resultOf(name), false, normal)).toBeLessThanOrEqual(most);
  });

  test.each([
    ['gelu', 2.1, 3.3, 4.5e-8],
    ['gelu_new', 1.7, 2.3, 4.3e-8],
    ['quick_gelu', 1.7, 2.3, 3.3e-8],
  ])('%s: above 0 %d units, %d down to −1, below that %d at most', (name, above, near, below) => {
    const got = resultOf(name);
    expect(worst(name, got, false, (x, truth) => x > 0 && normal(x, truth))).toBeLessThanOrEqual(above);
    expect(worst(name, got, false, (x, truth) => x > -1 && normal(x, truth))).toBeLessThanOrEqual(near);
    expect(worst(name, got, true, (x) => x < 0)).toBeLessThanOrEqual(below);
  });

  test('gelu of what comes of products of integers: 2.3e-6 at most', async () => {
    const kernels = await compileKernels<{ memory: WebAssembly.Memory; near(at: number, n: number): void }>(
      "import { geluNear } from './nn/activations';\nexport function near(at: usize, n: i32): void {\n" +
        '  for (; n > 0; n -= 4, at += 16) v128.store(at, geluNear(v128.load(at), n >> 31));\n}\nmemory.grow(16);',
      ['nn/activations', 'nn/job', 'simd', 'job', 'target'],
    );
    const odd = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.4e38, -3.4e38, 1e-45];
    const x = Float32Array.from([...odd, ...everywhere.subarray(0, everywhere.length & ~7)]);
    const numbersAt = (): Float32Array => new Float32Array(kernels.memory.buffer, 65536, x.length);
    numbersAt().set(x);
    kernels.near(65536, x.length);
    const got = numbersAt();
    expect([...got.subarray(0, 4)]).toEqual([0, -0, Number.NaN, Number.POSITIVE_INFINITY]);
    expect(got[4]).toBeCloseTo(0, 20);
    const exact = ACTIVATIONS.gelu as (x: number) => number;
    let most = 0;
    for (let n = 5; n < x.length; n++) {
      const truth = exact(x[n] as number);
      // Above 12 it is x itself.
      if ((x[n] as number) > 12) expect(got[n]).toBe(x[n]);
      else most = Math.max(most, Math.abs((got[n] as number) - truth));
    }
    expect(most).toBeLessThanOrEqual(2.3e-6);
    expect(most).toBeGreaterThan(1e-6);
  });

  test('what is small for negative x has the right sign and its first four digits, as long as it counts', () => {
    for (const name of ['gelu', 'gelu_new', 'quick_gelu', 'silu']) {
      const formula = ACTIVATIONS[name] as (x: number) => number;
      const far = everywhere.map((x, n) => {
        const truth = formula(x);
        return x > 0 || x < -5.5 || truth > -1e-30 ? 0 : Math.abs((resultOf(name)[n] as number) / truth - 1);
      });
      expect(far.reduce((most, x) => Math.max(most, x), 0)).toBeLessThan(1e-4);
    }
  });

  test('ends: Infinity, −Infinity, NaN, 0 and −0', () => {
    const ends = Float32Array.of(Infinity, -Infinity, Number.NaN, 0, -0, 3e38, -3e38);
    const expected: Record<string, number[]> = {
      gelu: [Infinity, 0, Number.NaN, 0, -0, 3e38, 0],
      gelu_new: [Infinity, -0, Number.NaN, 0, -0, 3e38, -0],
      quick_gelu: [Infinity, -0, Number.NaN, 0, -0, 3e38, -0],
      silu: [Infinity, -0, Number.NaN, 0, -0, 3e38, -0],
      relu: [Infinity, 0, Number.NaN, 0, -0, 3e38, 0],
      relu2: [Infinity, 0, Number.NaN, 0, 0, Infinity, 0],
      tanh: [1, -1, Number.NaN, 0, -0, 1, -1],
      sigmoid: [1, 0, Number.NaN, 0.5, 0.5, 1, 0],
    };
    for (const [name, values] of Object.entries(expected)) {
      expect([...map(ends, kinds.indexOf(name))], name).toEqual(values.map((x) => Math.fround(x)));
    }
  });

  test('gelu and tanh run up to where nothing changes any more, tanh is odd', () => {
    const tail = Float32Array.from({ length: 4001 }, (_, n) => -4 - n / 400);
    expect(map(tail, kinds.indexOf('gelu')).every((x) => x <= 0 && x > -2e-4)).toBe(true);
    const [there, back] = [tail, tail.map((x) => -x)].map((x) => map(x, ACT_TANH)) as [Float32Array, Float32Array];
    expect(there.every((x, n) => x === -(back[n] as number) && x >= -1)).toBe(true);
  });

  test.each(SETS)('%s: the same bits in every lane, at every width, with gaps between rows', (set) => {
    for (const width of [1, 3, 4, 7, 20, 1023, 1024, 1025, 2051]) {
      const x = numbers(width * 3, width).map((y) => 5 * y);
      kinds.forEach((name, kind) => {
        const alone = map(x, kind, 1, { row: 4, tile: x.length });
        expect(map(x, kind, width, { set, row: width + 3, tile: 2 }), name).toEqual(alone);
      });
    }
  });

  test('sums and products of two', () => {
    const [a, b] = [numbers(60, 1), numbers(60, 2)];
    expect(map(a, ACT_NONE, 20, { sum: { b, adds: true }, row: 21 })).toEqual(a.map((x, n) => x + (b[n] as number)));
    expect(map(a, ACT_NONE, 20, { sum: { b, adds: false }, row: 21 })).toEqual(a.map((x, n) => x * (b[n] as number)));
    const wide = { a: numbers(2050, 4), b: numbers(2050, 5) };
    expect(map(wide.a, ACT_NONE, 2050, { sum: { b: wide.b, adds: true } })).toEqual(wide.a.map((x, n) => x + (wide.b[n] as number)));
  });
});
