/** Layer norm, RMS norm and rows of length 1, against f64: at most twice the error of a naive f32 evaluation. */
import { describe, expect, test } from 'vitest';
import * as field from '../../src/wasm/generated/layers.ts';
import { numbers } from '../conformance/numbers.ts';
import { distance, halfUnit } from '../reference/tolerance.ts';
import { type Field, gathered, Lab, SETS, spread } from './lab.ts';

const { NORM_LAYER, NORM_RMS, NORM_UNIT } = field;

interface Row {
  readonly x: Float32Array;
  readonly residual?: Float32Array;
  readonly weight?: Float32Array;
  readonly bias?: Float32Array;
  readonly offset?: number;
  readonly epsilon: number;
}

const exact = (x: number): number => x;

/** One row by the formula: in f64, or with every operation rounded. */
function formula(kind: number, { x, residual, weight, bias, offset = 0, epsilon }: Row, round = exact): number[] {
  const rows = [...x].map((v, d) => (residual ? Math.fround(v + (residual[d] as number)) : v));
  const n = rows.length;
  const sum = (list: number[]): number => list.reduce((total, v) => round(total + v), 0);
  const mean = kind === NORM_LAYER ? round(sum(rows) / n) : 0;
  const apart = rows.map((v) => round(v - mean));
  const squares = sum(apart.map((v) => round(v * v)));
  const unit = kind === NORM_UNIT;
  const size = unit ? Math.max(round(Math.sqrt(squares)), epsilon) : round(Math.sqrt(round(round(squares / n) + epsilon)));
  const factor = round(1 / size);
  return apart.map((v, d) => {
    const y = round(v * factor);
    const weighted = weight ? round(y * round((weight[d] as number) + offset)) : y;
    return bias ? round(weighted + (bias[d] as number)) : weighted;
  });
}

interface Setting {
  readonly set?: string;
  readonly kind: number;
  readonly width: number;
  readonly heads?: number;
  /** Numbers from row to row, of x and all else. */
  readonly row?: number;
  readonly tile?: number;
  /** Where the sum with the residual goes, and the result. */
  readonly sum?: 'x' | 'residual' | 'own';
  readonly inPlace?: boolean;
}

type Given = Omit<Row, 'x'> & { readonly x: Float32Array };

/** Runs the kernel on rows without gaps, spread out. */
function norm(given: Given, { set = 'nn', kind, width, heads = 1, row = width * heads, tile = 2, sum, inPlace = false }: Setting) {
  const lab = new Lab(set);
  const whole = width * heads;
  const rows = given.x.length / whole;
  const { residual, weight, bias, offset = 0, epsilon } = given;
  const spare = spread(new Float32Array(given.x.length), whole, row);
  const put = (data: Float32Array, changes: boolean): number =>
    changes ? lab.output(spread(data, whole, row)) : lab.input(spread(data, whole, row));
  const x = put(given.x, inPlace || sum === 'x');
  const out = inPlace ? x : lab.output(spare);
  const fields: Field[] = [
    [field.NORM_KIND, kind],
    [field.NORM_ROWS, rows],
    [field.NORM_HEADS, heads],
    [field.NORM_WIDTH, width],
    [field.NORM_TILE, tile],
    [field.NORM_X, x],
    [field.NORM_X_ROW, 4 * row],
    [field.NORM_X_HEAD, 4 * width],
    [field.NORM_OUT, out],
    [field.NORM_OUT_ROW, 4 * row],
    [field.NORM_OUT_HEAD, 4 * width],
    [field.NORM_OFFSET, offset, 'f32'],
    [field.NORM_EPSILON, epsilon, 'f64'],
  ];
  if (weight) fields.push([field.NORM_WEIGHT, lab.input(weight)]);
  if (bias) fields.push([field.NORM_BIAS, lab.input(bias)]);
  let total = 0;
  if (residual) {
    const r = put(residual, sum === 'residual');
    total = sum === 'x' ? x : sum === 'residual' ? r : sum === 'own' ? lab.output(spare) : 0;
    fields.push([field.NORM_RESIDUAL, r], [field.NORM_RESIDUAL_ROW, 4 * row], [field.NORM_SUM, total], [field.NORM_SUM_ROW, 4 * row]);
  }
  lab.run('norm', lab.block(field.NORM_SIZE, fields), Math.ceil(rows / tile), 4 * width);
  const read = (at: number): Float32Array => gathered(lab.floats(at, rows * row), whole, row);
  return { out: read(out), ...(total && { sum: read(total) }) };
}

const WIDTHS = [1, 2, 3, 7, 16, 20, 96, 160, 384, 576, 1000, 4096];
const kinds = { layer: NORM_LAYER, RMS: NORM_RMS, unit: NORM_UNIT };

/** Rows of numbers at `mean` ± 1, with whatever a norm can have. */
function draw(width: number, rows: number, mean: number, seed: number, residual: boolean): Given {
  const at = (n: number, count: number): Float32Array => numbers(count, 97 * seed + n);
  return {
    x: at(1, width * rows).map((x) => x + mean),
    ...(residual && { residual: at(2, width * rows) }),
    weight: at(3, width).map((x) => x + 1),
    bias: at(4, width),
    epsilon: 1e-5,
  };
}

/** All rows by the formula. */
function evaluate(kind: number, given: Given, width: number, round = exact): Float64Array {
  const part = (data: Float32Array, r: number): Float32Array => data.subarray(r * width, (r + 1) * width);
  const rows = Array.from({ length: given.x.length / width }, (_, r) =>
    formula(kind, { ...given, x: part(given.x, r), ...(given.residual && { residual: part(given.residual, r) }) }, round),
  );
  return Float64Array.from(rows.flat());
}

describe.each(Object.entries(kinds))('%s', (_, kind) => {
  test.each(WIDTHS.flatMap((width) => [0, 3, 1000].map((mean): [number, number] => [width, mean])))('width %d, mean %d', (width, mean) => {
    for (const residual of [false, true]) {
      const rows = 3;
      const given = draw(width, rows, mean, width, residual);
      const truth = evaluate(kind, given, width);
      let bound = halfUnit(truth);
      for (let seed = 0; seed * width * rows < 4000; seed++) {
        const fresh = draw(width, rows, mean, 1000 + seed, residual);
        bound = Math.max(bound, distance(evaluate(kind, fresh, width, Math.fround), evaluate(kind, fresh, width)));
      }
      const { out } = norm(given, { kind, width, row: width + 5, tile: 2 });
      expect(distance(out, truth)).toBeLessThanOrEqual(2 * bound);
    }
  });
});

describe('norm', () => {
  const given = draw(20, 5, 1, 9, true);

  test('a mean that dwarfs the deviation costs nothing: 4096 numbers at 1000 ± 1', () => {
    const far = draw(4096, 2, 1000, 5, false);
    expect(distance(norm(far, { kind: NORM_LAYER, width: 4096 }).out, evaluate(NORM_LAYER, far, 4096))).toBeLessThan(1e-6);
  });

  test('nor does one that f32 hardly holds: 1000 numbers at 10 million ± 8, whose mean is off by a half', () => {
    const x = numbers(1000, 5).map((v) => 1e7 + Math.round(8 * v));
    const far = { x, epsilon: 1e-5 };
    expect(distance(norm(far, { kind: NORM_LAYER, width: 1000 }).out, evaluate(NORM_LAYER, far, 1000))).toBeLessThan(1e-6);
  });

  test('the sum with the residual is written where it is asked for, and nowhere else', () => {
    const expected = given.x.map((x, n) => x + ((given.residual as Float32Array)[n] as number));
    const plain = norm(given, { kind: NORM_RMS, width: 20, row: 23 });
    expect(plain.sum).toBeUndefined();
    for (const sum of ['x', 'residual', 'own'] as const) {
      expect(norm(given, { kind: NORM_RMS, width: 20, row: 23, sum })).toEqual({ out: plain.out, sum: expected });
    }
  });

  test('in place', () => {
    for (const kind of Object.values(kinds)) {
      const { out } = norm(given, { kind, width: 20 });
      expect(norm(given, { kind, width: 20, inPlace: true }).out).toEqual(out);
    }
  });

  test('heads of a row are rows of their own', () => {
    const { residual, ...alone } = draw(20, 12, 1, 3, false);
    for (const kind of Object.values(kinds)) {
      const { out } = norm(alone, { kind, width: 20, tile: 5 });
      expect(norm(alone, { kind, width: 20, heads: 4, row: 90, tile: 1 }).out).toEqual(out);
      expect(norm(alone, { kind, width: 20, heads: 4, row: 90, tile: 1, inPlace: true }).out).toEqual(out);
    }
  });

  test.each(SETS)('%s: the same bits whatever the tiles and gaps, and set of kernels', (set) => {
    for (const width of [1, 7, 20, 385]) {
      const rows = draw(width, 5, 2, width, true);
      for (const kind of Object.values(kinds)) {
        const { out } = norm(rows, { kind, width });
        for (const tile of [1, 3, 9]) expect(norm(rows, { set, kind, width, tile, row: width + tile }).out).toEqual(out);
      }
    }
  });

  test('without weights, without a bias, with an offset to the weights', () => {
    const { weight, bias, ...bare } = given;
    const w = weight as Float32Array;
    const { out } = norm(bare, { kind: NORM_LAYER, width: 20 });
    expect(distance(out, evaluate(NORM_LAYER, bare, 20))).toBeLessThan(1e-6);
    const ones = new Float32Array(20).fill(1);
    expect(norm({ ...bare, weight: ones }, { kind: NORM_LAYER, width: 20 }).out).toEqual(out);
    const moved = norm({ ...bare, weight: w, offset: 1 }, { kind: NORM_RMS, width: 20 }).out;
    expect(moved).toEqual(norm({ ...bare, weight: w.map((x) => x + 1) }, { kind: NORM_RMS, width: 20 }).out);
  });

  test('zeros stay zeros, or become the bias', () => {
    const zeros = { x: new Float32Array(7), epsilon: 1e-12 };
    for (const kind of Object.values(kinds)) expect(norm(zeros, { kind, width: 7 }).out).toEqual(new Float32Array(7));
    const bias = numbers(7, 1);
    expect(norm({ ...zeros, bias }, { kind: NORM_LAYER, width: 7 }).out).toEqual(bias);
  });

  test('what is not finite stays in its row, and NaN is the canonical one', () => {
    for (const bad of [Number.NaN, Infinity, -Infinity]) {
      const x = numbers(21, 4);
      const clean = norm({ x, epsilon: 1e-5 }, { kind: NORM_LAYER, width: 7 }).out;
      x[9] = bad;
      for (const kind of Object.values(kinds)) {
        const { out } = norm({ x, epsilon: 1e-5 }, { kind, width: 7 });
        expect([...out.subarray(0, 7), ...out.subarray(14)].every(Number.isFinite)).toBe(true);
        expect(out[9]).toBeNaN();
        const bits = new Uint32Array(out.buffer);
        expect(out.every((y, n) => !Number.isNaN(y) || bits[n] === 0x7fc00000)).toBe(true);
        if (kind === NORM_LAYER) expect([...out.subarray(0, 7)]).toEqual([...clean.subarray(0, 7)]);
      }
    }
  });
});
