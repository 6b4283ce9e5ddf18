/** Rows as integers: what they are by their definition, that no product of two can overflow, and that groups, panels and single rows agree. */
import { describe, expect, test } from 'vitest';
import { numbers } from '../conformance/numbers.ts';
import { compileKernels } from './compile.ts';

const kernels = await compileKernels<Kernels>(
  `
export { quantiseQueries, quantisePanel, quantiseRow, quantiseValues, quantiseValue } from './quantise';
export const room: usize = memory.data(1, 16);
export function more(): void { memory.grow(4); }
`,
  ['quantise', 'simd', 'job', 'target'],
);

interface Kernels {
  readonly memory: WebAssembly.Memory;
  readonly room: { readonly value: number } | number;
  more(): void;
  quantiseQueries(from: number, D: number, to: number, scales: number): number;
  quantisePanel(from: number, D: number, to: number, scales: number): number;
  quantiseRow(row: number, D: number, to: number, step: number): number;
  quantiseValues(a: number, b: number, E: number, to: number, column: number, scales: number): number;
  quantiseValue(row: number, E: number, to: number, column: number, scale: number): number;
}

kernels.more();
const FROM = 65536;
const TO = 2 * 65536;
const SCALES = 3 * 65536;
const f32 = Math.fround;
const floats = (at: number, n: number): Float32Array => new Float32Array(kernels.memory.buffer, at, n);
const shorts = (at: number, n: number): Int16Array => new Int16Array(kernels.memory.buffer, at, n);
const even = (n: number): number => n + (n % 2);
/** round to nearest, ties to even. */
const round = (x: number): number => {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + (low & 1) : Math.round(x);
};

/** The largest size in a row; NaN if there is one. */
const sizeOf = (row: Float32Array): number => Math.max(...row.map(Math.abs));

/** The definition, each step rounded to f32; undefined if the row is odd. */
function expected(row: Float32Array): { c: number; integers: number[] } | undefined {
  const m = sizeOf(row);
  if (m === 0) return { c: 0, integers: [...row].map(() => 0) };
  if (!(m >= 2 ** -50 && m <= 2 ** 50)) return undefined;
  const sums = [0, 0, 0, 0];
  row.forEach((x, d) => {
    sums[d % 4] = f32((sums[d % 4] as number) + f32(x * x));
  });
  const [a, b, c, d] = sums as [number, number, number, number];
  const norm = f32(Math.sqrt(f32(f32(a + c) + f32(b + d))));
  const by = Math.min(f32(32767 / m), f32(46300 / norm));
  return { c: by, integers: [...row].map((x) => round(f32(x * by))) };
}

/** Row r of four queries or eight keys, and its scale. */
function inGroup(rows: readonly Float32Array[]): { odd: boolean; scales: number[]; integers: number[][] } {
  const D = (rows[0] as Float32Array).length;
  const lanes = rows.length;
  const packed = floats(FROM, D * lanes);
  rows.forEach((row, r) => {
    row.forEach((x, d) => {
      packed[d * lanes + r] = x;
    });
  });
  shorts(TO, even(D) * lanes + 2).fill(77);
  const kernel = lanes === 4 ? kernels.quantiseQueries : kernels.quantisePanel;
  const odd = kernel(FROM, D, TO, SCALES) !== 0;
  const pairs = shorts(TO, even(D) * lanes + 2);
  expect([...pairs.slice(-2)]).toEqual([77, 77]);
  const integers = rows.map((_, r) => Array.from({ length: even(D) }, (_, d) => pairs[(d >> 1) * 2 * lanes + 2 * r + (d & 1)] as number));
  return { odd, scales: [...floats(SCALES, lanes)], integers };
}

function alone(row: Float32Array): { scale: number; integers: number[] } {
  const D = row.length;
  floats(FROM, D).set(row);
  const scale = kernels.quantiseRow(FROM, D, TO, 32);
  const pairs = shorts(TO, 16 * even(D));
  return { scale, integers: Array.from({ length: even(D) }, (_, d) => pairs[(d >> 1) * 16 + (d & 1)] as number) };
}

const WIDTHS = [1, 2, 3, 4, 5, 7, 8, 40, 64, 127, 128, 1023, 1024];
const KINDS: readonly [string, (x: number, d: number) => number][] = [
  ['plain', (x) => x],
  ['small', (x) => x * 2 ** -40],
  ['large', (x) => x * 2 ** 50],
  ['all equal', () => 3],
  ['one channel', (x, d) => (d === 0 ? 9 : x * 1e-3)],
  ['steps of sizes', (x, d) => x * 2 ** -(d % 40)],
  ['zero', () => 0],
];
const ODD: readonly [string, (x: number, d: number) => number][] = [
  ['NaN', (x, d) => (d === 0 ? Number.NaN : x)],
  ['a NaN of the other sign at the end', (x, d) => (d >= 0 ? -Number.NaN : x)],
  ['Infinity', (x, d) => (d === 0 ? Number.NEGATIVE_INFINITY : x)],
  ['too large', (_, d) => (d === 0 ? 2 ** 50.5 : 1)],
  ['too small', () => 2 ** -50.5],
  ['subnormal', () => 1e-42],
];

const rowOf = (D: number, kind: (x: number, d: number) => number, seed: number): Float32Array =>
  Float32Array.from(numbers(D, seed), (x, d) => kind(x as number, d));

describe.each(WIDTHS)('%d channels', (D) => {
  test.each(KINDS)('%s', (_, kind) => {
    const rows = Array.from({ length: 8 }, (_, r) => rowOf(D, kind, 100 * D + r));
    const panel = inGroup(rows);
    const group = inGroup(rows.slice(0, 4));
    expect([panel.odd, group.odd]).toEqual([false, false]);
    rows.forEach((row, r) => {
      const { c, integers } = expected(row) as NonNullable<ReturnType<typeof expected>>;
      const padded = D % 2 ? [...integers, 0] : integers;
      const own = alone(row);
      const scale = c === 0 ? 0 : f32(1 / c);
      expect(panel.integers[r]).toEqual(padded.map((n) => n + 0));
      expect(own.integers).toEqual(panel.integers[r]);
      expect([panel.scales[r], own.scale]).toEqual([scale, scale]);
      if (r < 4) expect([group.integers[r], group.scales[r]]).toEqual([panel.integers[r], scale]);
    });
  });

  test.each(ODD)('%s makes its row odd, and no other', (_, kind) => {
    const rows = Array.from({ length: 8 }, (_, r) => rowOf(D, r === 5 ? kind : (x) => x + 0.1, 10 * D + r));
    const { odd, scales, integers } = inGroup(rows);
    expect(odd).toBe(true);
    expect(scales.map(Number.isNaN)).toEqual(rows.map((_, r) => r === 5));
    expect(integers[5]).toEqual(Array(even(D)).fill(0));
    const own = alone(rows[5] as Float32Array);
    expect([own.scale, own.integers]).toEqual([Number.NaN, integers[5]]);
    rows.forEach((row, r) => {
      if (r !== 5) expect(integers[r]?.slice(0, D)).toEqual(expected(row)?.integers.map((n) => n + 0));
    });
  });
});

test('no sum of products of two rows leaves 32 bits, whatever the channels that it runs over', () => {
  // The largest by Cauchy and Schwarz is that of a row with itself, and the sum over all its channels the largest of those.
  const worst = WIDTHS.flatMap((D) => KINDS.map(([, kind]) => rowOf(D, kind, D))).map((row) =>
    alone(row).integers.reduce((sum, n) => sum + n * n, 0),
  );
  // Every channel just above a half after scaling: rounding makes the row as long as it can.
  for (let D = 2; D <= 1024; D += 73) {
    for (let size = 1446; size < 1449; size += 0.25) {
      const row = Float32Array.from({ length: D }, (_, d) => (d === 0 ? 32767 : size / 10 + d / D));
      worst.push(alone(row).integers.reduce((sum, n) => sum + n * n, 0));
    }
  }
  const most = Math.max(...worst);
  expect(most).toBeLessThan(46317 ** 2);
  expect(most).toBeGreaterThan(46250 ** 2);
});

describe.each([1, 7, 8, 9, 24, 65])('values of %d channels', (E) => {
  const column = 512;
  const width = Math.ceil(E / 8) * 8;
  const read = (key: number): number[] =>
    Array.from({ length: width }, (_, e) => shorts(TO, (column / 2) * (width / 8))[(column / 2) * (e >> 3) + 2 * (e & 7) + key] as number);
  const clear = (): void => void shorts(TO, (column / 2) * (width / 8)).fill(77);

  test.each([...KINDS, ...ODD])('%s', (_, kind) => {
    for (const place of [0, 1]) {
      const rows = [0, 1].map((r) => rowOf(E, r === place ? kind : (x) => x + 0.1, 10 * E + r));
      floats(FROM, E).set(rows[0] as Float32Array);
      floats(FROM + 8192, E).set(rows[1] as Float32Array);
      clear();
      const odd = kernels.quantiseValues(FROM, FROM + 8192, E, TO, column, SCALES) !== 0;
      const both = rows.map((row, r) => {
        const m = sizeOf(row);
        const isOdd = m !== 0 && !(m >= 2 ** -50 && m <= 2 ** 50);
        const scale = isOdd ? -0 : f32(m / 4095);
        const c = f32(4095 / m);
        const integers = Array.from({ length: width }, (_, e) => (isOdd || m === 0 || e >= E ? 0 : round(f32((row[e] as number) * c)) + 0));
        expect(read(r)).toEqual(integers);
        expect(floats(SCALES, 2)[r]).toBe(scale);
        return { isOdd, integers, scale };
      });
      expect(odd).toBe(both.some(({ isOdd }) => isOdd));
      clear();
      both.forEach(({ isOdd, integers, scale }, r) => {
        expect(kernels.quantiseValue(FROM + 8192 * r, E, TO + 2 * r, column, SCALES) !== 0).toBe(isOdd);
        expect(read(r)).toEqual(integers);
        expect(floats(SCALES, 1)[0]).toBe(scale);
      });
    }
  });
});
