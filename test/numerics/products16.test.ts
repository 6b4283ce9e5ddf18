/** Both forms of the products of integers, by dots and by wide products, against plain sums: the same bits, whichever a host runs. */
import { describe, expect, test } from 'vitest';
import { KEY_BLOCK, R_FROM, R_SCALE, R_SIZE, R_TO, R_WEIGHT, SCORES_ROW } from '../../src/wasm/generated/job.ts';
import { numbers } from '../conformance/numbers.ts';
import { compileKernels } from './compile.ts';

interface Kernels {
  readonly memory: WebAssembly.Memory;
  grow(): void;
  widens(size: number): number;
  scores16(...given: number[]): void;
  scores16OfRow(...given: number[]): void;
  values16(...given: number[]): void;
  values16OfRow(...given: number[]): void;
  values16OfRuns(...given: number[]): void;
  values8OfRuns(...given: number[]): void;
}

const kernels = await compileKernels<Kernels>(
  `
import { widens as ask } from './simd';
export { scores16, scores16OfRow } from './scores16';
export { values16, values16OfRow, values16OfRuns, values8OfRuns } from './values16';
export function widens(size: f32): bool { return ask(size); }
export function grow(): void { memory.grow(16); }
`,
  ['scores16', 'values16', 'rows', 'simd', 'job', 'target'],
);
kernels.grow();

const f32 = Math.fround;
const floats = (at: number, n: number): Float32Array => new Float32Array(kernels.memory.buffer, at, n);
const shorts = (at: number, n: number): Int16Array => new Int16Array(kernels.memory.buffer, at, n);
const [GROUP, QUERIES, KEYS, SCORES, A, B, OUT, RUNS] = [0x10000, 0x20000, 0x30000, 0x80000, 0x90000, 0x91000, 0x92000, 0x94000];
/** Integers of up to 15 bits. */
const integers = (count: number, seed: number, size = 32767): Int16Array =>
  Int16Array.from(numbers(count, seed), (x) => Math.round((x as number) * size));

/** Groups of four rows that see these keys. */
function groups(ranges: readonly (readonly [number, number])[]): void {
  ranges.forEach(([from, to], n) => {
    new Int32Array(kernels.memory.buffer, GROUP + n * R_SIZE + R_FROM, 1)[0] = from;
    new Int32Array(kernels.memory.buffer, GROUP + n * R_SIZE + R_TO, 1)[0] = to;
  });
}

test('this host, of x86 or ARM64, is known by its NaN', () => {
  for (let n = 0; n < 10_000; n++) kernels.widens(n + 1); // whichever compiler it is by then
  expect(kernels.widens(3) !== 0).toBe(process.arch.startsWith('arm'));
});

/** Forms of a tile, by dots and by wide products; over i8 dots alone. */
const FORMS = [
  [0, 0],
  [1, 0],
  [0, 1],
] as const;

/** Integers as a panel or column has them: of 16 bits or of 8. */
function put(at: number, list: Int16Array, narrow: number): void {
  if (narrow) new Int8Array(kernels.memory.buffer, at, list.length).set(list);
  else shorts(at, list.length).set(list);
}

describe.each(FORMS)('scores, wide %d, narrow %d', (wide, narrow) => {
  test.each([1, 2, 7, 8, 9, 16, 31, 64])('%d pairs of channels', (pairs) => {
    const block = 384;
    const ranges = [
      [384, 427],
      [400, 401],
      [500, 400],
    ] as const;
    groups(ranges);
    // Rows and keys that add up to at most 31 bits: half of 2^15 in 64 channels, 2^29.
    const size = Math.min(32767, Math.floor(46300 / Math.sqrt(2 * pairs)));
    const q = integers(12 * 2 * pairs, 1, size);
    const k = integers(48 * 2 * pairs, 2, narrow ? 127 : size);
    shorts(QUERIES, q.length).set(q);
    put(KEYS, k, narrow);
    const a = floats(A, 12);
    const b = floats(B, 48);
    a.set(numbers(12, 3));
    b.set(numbers(48, 4));
    const expected = (r: number, j: number): number => {
      let sum = 0;
      for (let d = 0; d < 2 * pairs; d++) {
        const x = q[((r >> 2) * pairs + (d >> 1)) * 8 + 2 * (r & 3) + (d & 1)] as number;
        sum += x * (k[((j >> 3) * pairs + (d >> 1)) * 16 + 2 * (j & 7) + (d & 1)] as number);
      }
      return f32(f32(f32(sum) * (b[j] as number)) * (a[r] as number));
    };
    const check = (rows: number): void => {
      for (let r = 0; r < rows; r++) {
        const row = floats(SCORES + r * SCORES_ROW, KEY_BLOCK);
        const [from, to] = ranges[r >> 2] as readonly [number, number];
        const end = Math.max(from, Math.ceil(to / 8) * 8);
        for (let j = from - block; j < end - block; j++) expect([r, j, row[j]]).toEqual([r, j, expected(r, j)]);
        expect(row.subarray(end - block, 100).every((x) => x === 7)).toBe(true);
      }
    };
    floats(SCORES, (12 * SCORES_ROW) / 4).fill(7);
    kernels.scores16(GROUP, 3, QUERIES, KEYS, SCORES, A, B, block, block, block + KEY_BLOCK, pairs, wide, narrow);
    check(8);
    floats(SCORES, SCORES_ROW / 4).fill(7);
    kernels.scores16OfRow(GROUP, QUERIES, KEYS, SCORES, A, B, block, block, block + KEY_BLOCK, pairs, wide, narrow);
    check(1);
  });
});

describe.each([0, 1])('values, form %d', (wide) => {
  test.each([
    [8, 1],
    [40, 43],
    [72, 192],
  ])('%d channels, %d keys', (E, keys) => {
    const block = 192;
    const column = KEY_BLOCK * 16;
    const ranges = [
      [block, block + keys],
      [block + 8, block + keys],
    ] as const;
    groups(ranges);
    const v = integers((E / 8) * KEY_BLOCK * 8, 1, 4095);
    shorts(KEYS, v.length).set(v);
    const weights = Array.from({ length: 8 }, (_, r) => integers(KEY_BLOCK, 10 + r, 2700).map((x, j) => (j < keys ? Math.abs(x) : 0)));
    weights.forEach((row, r) => {
      shorts(SCORES + r * SCORES_ROW, KEY_BLOCK).set(row);
    });
    const before = numbers(8 * E, 5);
    const [c, w] = [numbers(8, 6), numbers(8, 7)];
    for (let n = 0; n < 2; n++) {
      floats(GROUP + n * R_SIZE + R_SCALE, 4).set(c.subarray(4 * n, 4 * n + 4));
      floats(GROUP + n * R_SIZE + R_WEIGHT, 4).set(w.subarray(4 * n, 4 * n + 4));
    }
    const expected = (r: number, e: number): number => {
      const [from, to] = ranges[r >> 2] as readonly [number, number];
      const old = before[r * E + e] as number;
      if (from >= to) return old;
      let sum = 0;
      for (let j = from - block; j < to - block; j++) {
        sum += (weights[r]?.[j] as number) * (v[(e >> 3) * KEY_BLOCK * 8 + (j >> 1) * 16 + 2 * (e & 7) + (j & 1)] as number);
      }
      return f32(f32(old * (c[r] as number)) + f32(f32(sum) * (w[r] as number)));
    };
    const check = (rows: number): void => {
      const out = floats(OUT, 8 * E);
      for (let r = 0; r < rows; r++) for (let e = 0; e < E; e++) expect([r, e, out[r * E + e]]).toEqual([r, e, expected(r, e)]);
    };
    floats(OUT, 8 * E).set(before);
    kernels.values16(GROUP, 2, SCORES, KEYS, column, block, OUT, 4 * E, wide);
    check(8);
    floats(OUT, 8 * E).set(before);
    kernels.values16OfRow(GROUP, SCORES, KEYS, column, block, OUT, 4 * E, wide);
    check(1);
  });
});

describe.each([0, 1])('values in runs, narrow %d', (narrow) => {
  test.each([
    [8, 1, 8, 4],
    [8, 17, 8, 4],
    [40, 129, 64, 3],
    [64, 64, 64, 4],
    [72, 192, 64, 4],
    [136, 191, 32, 2],
    [8, 15, 16, 1],
    [40, 129, 64, 1],
    [136, 192, 64, 1],
    [160, 191, 8, 1],
  ])('%d channels, %d keys in runs of %d, %d rows', (E, keys, run, rows) => {
    const bytes = narrow ? 1 : 2;
    /** Runs lie apart from one another, the last one first. */
    const runs = Math.ceil(keys / run);
    const size = run * E + 64;
    const v = integers(runs * size, 1, narrow ? 127 : 4095);
    put(KEYS, v, narrow);
    const start = (n: number): number => (runs - 1 - n) * size;
    const placeOf = (j: number, e: number): number =>
      start(Math.floor(j / run)) + (e >> 3) * run * 8 + ((j % run) >> 1) * 16 + 2 * (e & 7) + (j & 1);
    const list = new Int32Array(kernels.memory.buffer, RUNS, 2 * runs);
    for (let n = 0; n < runs; n++) list.set([KEYS + bytes * start(n), (Math.min(run, keys - n * run) + 1) >> 1], 2 * n);
    const weights = Array.from({ length: 4 }, (_, r) => integers(KEY_BLOCK, 10 + r, 2700).map((x, j) => (j < keys ? Math.abs(x) : 0)));
    weights.forEach((row, r) => {
      shorts(SCORES + r * SCORES_ROW, KEY_BLOCK).set(row);
    });
    const before = numbers(4 * E, 5);
    const [c, w] = [numbers(4, 6), numbers(4, 7)];
    floats(GROUP + R_SCALE, 4).set(c);
    floats(GROUP + R_WEIGHT, 4).set(w);
    const out = floats(OUT, 4 * E + 8);
    out.fill(7).set(before);
    kernels[narrow ? 'values8OfRuns' : 'values16OfRuns'](GROUP, rows, SCORES, RUNS, RUNS + 8 * runs, run * 8 * bytes, OUT, 4 * E);
    for (let r = 0; r < rows; r++) {
      for (let e = 0; e < E; e++) {
        let sum = 0;
        for (let j = 0; j < keys; j++) sum += (weights[r]?.[j] as number) * (v[placeOf(j, e)] as number);
        const expected = f32(f32((before[r * E + e] as number) * (c[r] as number)) + f32(f32(sum) * (w[r] as number)));
        expect([r, e, out[r * E + e]]).toEqual([r, e, expected]);
      }
    }
    expect([...out.subarray(4 * E)]).toEqual(Array(8).fill(7));
  });
});
