/** Pooling, products of pairs, softmax and the largest of a row, kernel by kernel, against their definitions. */
import { describe, expect, test } from 'vitest';
import * as field from '../../src/wasm/generated/layers.ts';
import { numbers } from '../conformance/numbers.ts';
import { distance, halfUnit } from '../reference/tolerance.ts';
import { gathered, Lab, SETS, spread } from './lab.ts';

const exact = (x: number): number => x;
type Round = (x: number) => number;

describe('pooling', () => {
  const { POOL_FIRST, POOL_LAST, POOL_MAX, POOL_MEAN, POOL_MEAN_ROOT, POOL_SUM, POOL_WEIGHTED } = field;
  const KINDS = {
    cls: POOL_FIRST,
    last: POOL_LAST,
    sum: POOL_SUM,
    mean: POOL_MEAN,
    mean_sqrt_len: POOL_MEAN_ROOT,
    weighted: POOL_WEIGHTED,
    max: POOL_MAX,
  };

  /** One channel of one text. */
  function formula(kind: number, list: readonly number[], round: Round = exact): number {
    const n = list.length;
    if (!n) return 0;
    if (kind === POOL_FIRST) return list[0] as number;
    if (kind === POOL_LAST) return list.at(-1) as number;
    if (kind === POOL_MAX) return Math.max(...list);
    const sum = list.reduce((total, x, i) => round(total + round(x * (kind === POOL_WEIGHTED ? i + 1 : 1))), 0);
    if (kind === POOL_SUM) return sum;
    return round(sum / (kind === POOL_WEIGHTED ? (n * (n + 1)) / 2 : kind === POOL_MEAN_ROOT ? round(Math.sqrt(n)) : n));
  }

  const evaluate = (kind: number, x: Float32Array, width: number, starts: Int32Array, round?: Round): Float64Array =>
    Float64Array.from({ length: width * (starts.length - 1) }, (_, n) => {
      const text = Math.floor(n / width);
      const rows = Array.from({ length: (starts[text + 1] as number) - (starts[text] as number) }, (_, i) => i + (starts[text] as number));
      return formula(
        kind,
        rows.map((r) => x[r * width + (n % width)] as number),
        round,
      );
    });

  function pool(
    kind: number,
    x: Float32Array,
    width: number,
    starts: Int32Array,
    { set = 'nn', row = width, tile = 2 } = {},
  ): Float32Array {
    const lab = new Lab(set);
    const texts = starts.length - 1;
    const out = lab.output(spread(new Float32Array(texts * width).fill(7), width, row));
    const job = lab.block(field.POOL_SIZE, [
      [field.POOL_KIND, kind],
      [field.POOL_TEXTS, texts],
      [field.POOL_WIDTH, width],
      [field.POOL_TILE, tile],
      [field.POOL_X, lab.input(spread(x, width, row))],
      [field.POOL_X_ROW, 4 * row],
      [field.POOL_STARTS, lab.input(starts)],
      [field.POOL_OUT, out],
      [field.POOL_OUT_ROW, 4 * row],
    ]);
    lab.run('pool', job, Math.ceil(texts / tile));
    return gathered(lab.floats(out, texts * row), width, row);
  }

  const STARTS = Int32Array.of(0, 5, 5, 6, 40, 43);

  test.each(Object.entries(KINDS))('%s: texts of 5, 0, 1, 34 and 3 rows', (_, kind) => {
    for (const width of [1, 7, 16, 20, 33, 100]) {
      const x = numbers(43 * width, width);
      const truth = evaluate(kind, x, width, STARTS);
      const bound = Math.max(halfUnit(truth), distance(evaluate(kind, x, width, STARTS, Math.fround), truth));
      const out = pool(kind, x, width, STARTS);
      expect(distance(out, truth)).toBeLessThanOrEqual(2 * bound);
      for (const set of SETS)
        for (const tile of [1, 3, 9]) expect(pool(kind, x, width, STARTS, { set, tile, row: width + tile })).toEqual(out);
    }
  });

  test('a NaN reaches its text and channel alone, by every kind but those that do not read it', () => {
    const x = numbers(43 * 7, 1);
    x[7 * 7 + 3] = Number.NaN; // row 7, of text 3
    for (const [name, kind] of Object.entries(KINDS)) {
      const out = pool(kind, x, 7, STARTS);
      const found = [...out.keys()].filter((n) => Number.isNaN(out[n] as number));
      expect(found, name).toEqual(name === 'cls' || name === 'last' ? [] : [3 * 7 + 3]);
    }
  });
});

describe('softmax', () => {
  interface Setting {
    readonly set?: string;
    readonly log?: boolean;
    readonly divisor?: number;
    readonly gap?: number;
    readonly inPlace?: boolean;
  }

  function softmax(
    x: Float32Array,
    width: number,
    { set = 'nn', log = false, divisor = 1, gap = 0, inPlace = false }: Setting = {},
  ): Float32Array {
    const lab = new Lab(set);
    const row = width + gap;
    const rows = x.length / width;
    const given = spread(x, width, row);
    const from = inPlace ? lab.output(given) : lab.input(given);
    const out = inPlace ? from : lab.output(spread(new Float32Array(x.length), width, row));
    const job = lab.block(field.SOFTMAX_SIZE, [
      [field.SOFTMAX_WIDTH, width],
      [field.SOFTMAX_LOG, Number(log)],
      [field.SOFTMAX_X, from],
      [field.SOFTMAX_X_ROW, 4 * row],
      [field.SOFTMAX_OUT, out],
      [field.SOFTMAX_OUT_ROW, 4 * row],
      [field.SOFTMAX_DIVISOR, divisor, 'f32'],
    ]);
    lab.run('softmax', job, rows);
    return gathered(lab.floats(out, rows * row), width, row);
  }

  function evaluate(x: Float32Array, log: boolean, divisor: number, round: Round = exact): Float64Array {
    const scaled = Array.from(x, (v) => round(v / divisor));
    const most = scaled.reduce((m, v) => Math.max(m, v), -Infinity);
    const weights = scaled.map((v) => round(Math.exp(round(v - most))));
    const sum = weights.reduce((total, v) => round(total + v), 0);
    return Float64Array.from(scaled, (v, n) => (log ? round(round(v - most) - round(Math.log(sum))) : round((weights[n] as number) / sum)));
  }

  test.each([1, 2, 3, 7, 20, 511, 512, 513, 1000, 4099])('width %d, with temperatures, of probabilities and logarithms', (width) => {
    for (const divisor of [1, 0.7, 3, 0.02]) {
      for (const log of [false, true]) {
        const x = numbers(width, width).map((v) => 10 * v);
        const given = Math.fround(divisor);
        const truth = evaluate(x, log, given);
        let bound = halfUnit(truth);
        for (let seed = 0; seed * width < 3000; seed++) {
          const fresh = numbers(width, 1000 + seed).map((v) => 10 * v);
          bound = Math.max(bound, distance(evaluate(fresh, log, given, Math.fround), evaluate(fresh, log, given)));
        }
        const out = softmax(x, width, { log, divisor });
        expect(distance(out, truth)).toBeLessThanOrEqual(2 * bound);
        for (const set of SETS) expect(softmax(x, width, { set, log, divisor, gap: 5, inPlace: true })).toEqual(out);
      }
    }
  });

  test('probabilities of a quarter of a million have their digits, and come to 1', () => {
    const x = numbers(262_144, 1).map((v) => 2 * v);
    const out = softmax(x, x.length);
    const truth = evaluate(x, false, 1);
    const errors = out.map((p, n) => Math.abs(p / (truth[n] as number) - 1));
    expect(errors.reduce((most, e) => Math.max(most, e), 0)).toBeLessThan(5e-7);
    expect(Math.abs(out.reduce((sum, p) => sum + p, 0) - 1)).toBeLessThan(1e-4);
    expect(Math.abs(Array.from(out).reduce((sum, p) => sum + p, 0) - 1)).toBeLessThan(3e-7);
  });

  test('rows are apart; −Infinity is never chosen; what is no number makes its row none', () => {
    const x = Float32Array.of(1, -Infinity, 1, 2, Number.NaN, 0, 5, Infinity, 0, -Infinity, -Infinity, -Infinity, 3e38, -3e38, 3e38);
    const out = softmax(x, 3);
    expect([...out.subarray(0, 3)]).toEqual([0.5, 0, 0.5]);
    expect(out.subarray(3, 12).every(Number.isNaN)).toBe(true);
    expect([...out.subarray(12)]).toEqual([0.5, 0, 0.5]);
    expect([...softmax(x.subarray(0, 3), 3, { log: true })]).toEqual([Math.fround(-Math.LN2), -Infinity, Math.fround(-Math.LN2)]);
  });
});

describe('the largest of a row', () => {
  function top(x: Float32Array, width: number, count: number, { set = 'nn', gap = 0 } = {}) {
    const lab = new Lab(set);
    const rows = x.length / width;
    const values = lab.output(new Float32Array(rows * count));
    const indices = lab.output(new Int32Array(rows * count));
    const job = lab.block(field.TOP_SIZE, [
      [field.TOP_WIDTH, width],
      [field.TOP_COUNT, count],
      [field.TOP_X, lab.input(spread(x, width, width + gap))],
      [field.TOP_X_ROW, 4 * (width + gap)],
      [field.TOP_VALUES, values],
      [field.TOP_INDICES, indices],
    ]);
    lab.run('top', job, rows);
    return { values: lab.floats(values, rows * count), indices: lab.integers(indices, rows * count) };
  }

  /** By sorting: NaN first, then by falling number, then by rising index. */
  function sorted(x: Float32Array, count: number) {
    const rank = (v: number): number => (Number.isNaN(v) ? Number.MAX_VALUE : v === Infinity ? 1e300 : v);
    const order = [...x.keys()].sort((a, b) => rank(x[b] as number) - rank(x[a] as number) || a - b);
    return order.slice(0, count);
  }

  test.each([1, 2, 3, 5, 64, 997])('of rows of %d, many of them equal', (width) => {
    const x = numbers(3 * width, width).map((v) => Math.round(20 * v) / 8);
    for (const count of [1, 2, 3, 7, 64, width].filter((count) => count <= width)) {
      const found = top(x, width, count);
      for (let r = 0; r < 3; r++) {
        const row = x.subarray(r * width, (r + 1) * width);
        const order = sorted(row, count);
        expect([...found.indices.subarray(r * count, (r + 1) * count)]).toEqual(order);
        expect([...found.values.subarray(r * count, (r + 1) * count)]).toEqual(order.map((n) => row[n]));
      }
      for (const set of SETS) expect(top(x, width, count, { set, gap: 3 })).toEqual(found);
    }
  });

  test('of rows that rise, fall, and are all the same', () => {
    for (const x of [(n: number) => n, (n: number) => -n, () => 1, () => -Infinity].map((f) =>
      Float32Array.from({ length: 500 }, (_, n) => f(n)),
    )) {
      for (const count of [1, 10, 500]) expect([...top(x, 500, count).indices]).toEqual(sorted(x, count));
    }
  });

  test('0 and −0 are equal, and stay what they are; NaN comes first, as the canonical one', () => {
    const x = Float32Array.of(-0, 0, Infinity, -1, 0, Number.NaN, -Infinity, -0);
    new Uint32Array(x.buffer)[5] = 0xffc00001;
    const { values, indices } = top(x, 8, 8);
    expect([...indices]).toEqual([5, 2, 0, 1, 4, 7, 3, 6]);
    expect([...values]).toEqual([Number.NaN, Infinity, -0, 0, 0, -0, -1, -Infinity]);
    expect(new Uint32Array(values.buffer)[0]).toBe(0x7fc00000);
  });
});
