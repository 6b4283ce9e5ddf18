// Rotations of several axes and xPos, against the formula in f64.

import { afterAll, describe, expect, it } from 'vitest';
import { mropeAxes } from '../../src/encodings/mrope.ts';
import {
  type AxialRotaryOptions,
  axialRotary,
  defineEncoding,
  type Encoding,
  mrope,
  rotary,
  rotaryFromConfig,
  xpos,
} from '../../src/index.ts';
import type { Plan, Rotation } from '../../src/plan/plan.ts';
import { MATH, noise, testEngine } from './rotary-help.ts';

const engine = testEngine();
afterAll(() => engine.dispose());

const lowered = (encoding: Encoding, L: number, D: number, S = L): Plan =>
  encoding.lower({ shape: { B: 1, H: 1, G: 1, L, S, D, E: D }, math: MATH });

/** A row turned by its angles, one for each pair. */
function turned(
  row: ArrayLike<number>,
  angles: readonly number[],
  layout: 'halves' | 'pairs',
  size: (i: number) => number = () => 1,
): number[] {
  const out = Array.from(row);
  angles.forEach((angle, i) => {
    const [a, b] = layout === 'halves' ? [i, i + angles.length] : [2 * i, 2 * i + 1];
    const [x, y] = [row[a] as number, row[b] as number];
    out[a] = size(i) * (x * Math.cos(angle) - y * Math.sin(angle));
    out[b] = size(i) * (x * Math.sin(angle) + y * Math.cos(angle));
  });
  return out;
}

/** Rows of `rotate` against those of the formula. */
function expectTurned(encoding: Encoding, D: number, rows: readonly (readonly number[])[], layout: 'halves' | 'pairs'): void {
  const data = noise(rows.length * D, 3);
  const x = engine.tensor([1, 1, rows.length, D], data);
  const out = engine.rotateSync(x, encoding);
  const wanted = rows.flatMap((angles, i) => turned(data.subarray(i * D, (i + 1) * D), angles, layout));
  for (const [i, value] of out.toArray().entries()) expect(Math.abs(value - (wanted[i] as number))).toBeLessThanOrEqual(2.4e-7);
  out.dispose();
  x.dispose();
}

const frequency = (k: number, width: number, theta: number): number => theta ** ((-2 * k) / width);

describe('mrope', () => {
  it('deals the pairs out', () => {
    expect(mropeAxes('', 6, [1, 2, 3], 'chunked', [0, 1, 2])).toEqual([0, 1, 1, 2, 2, 2]);
    expect(mropeAxes('', 8, [4, 2, 2], 'interleaved', [0, 1, 2])).toEqual([0, 1, 2, 0, 1, 2, 0, 0]);
    // Where sections are larger than the pairs allow, they end with them.
    expect(mropeAxes('', 4, [24, 20, 20], 'interleaved', [0, 1, 2])).toEqual([0, 1, 2, 0]);
    expect(mropeAxes('', 7, [2, 2, 3], 'alternating', [1, 2, 0])).toEqual([1, 2, 1, 2, 0, 0, 0]);
    expect(() => mropeAxes('mrope', 7, [2, 2, 2], 'chunked', [0, 1, 2])).toThrow(
      'mrope: "sections" expected 7 pairs in all, got [2, 2, 2], 6 pairs',
    );
    expect(() => mropeAxes('mrope', 6, [1, 2, 3], 'alternating', [0, 1, 2])).toThrow('two sections of one size');
  });

  const positions = [0, 1, 1, 1, 1, 3, 0, 1, 1, 2, 2, 3, 0, 1, 2, 1, 2, 3];
  it.each([
    ['chunked', 'halves', [0, 0, 1, 1, 1, 2, 2]],
    ['chunked', 'pairs', [0, 0, 1, 1, 1, 2, 2]],
    ['interleaved', 'halves', [0, 1, 2, 0, 1, 2, 0]],
  ] as const)('%s, %s', (arrangement, layout, axes) => {
    const encoding = mrope({ dim: 14, theta: 1e4, layout, sections: [2, 3, 2], arrangement, positions });
    const rows = Array.from({ length: 6 }, (_, i) => axes.map((axis, k) => (positions[6 * axis + i] as number) * frequency(k, 14, 1e4)));
    expectTurned(encoding, 18, rows, layout);
  });

  it('ERNIE 4.5-VL from its config', () => {
    const config = {
      model_type: 'ernie4_5_vl_moe_text',
      hidden_size: 14,
      num_attention_heads: 1,
      rope_parameters: { rope_theta: 1e4, mrope_section: [2, 2, 3] },
    };
    const axes = [1, 2, 1, 2, 0, 0, 0];
    const rows = Array.from({ length: 6 }, (_, i) => axes.map((axis, k) => (positions[6 * axis + i] as number) * frequency(k, 14, 1e4)));
    expectTurned(rotaryFromConfig(config, { positions }), 14, rows, 'pairs');
  });

  it('text turns as with one axis, with and without positions', () => {
    const options = { dim: 12, theta: 1e4, layout: 'halves' } as const;
    const alone = mrope({ ...options, sections: [2, 2, 2] });
    expect(lowered(alone, 5, 12)).toEqual(lowered(rotary(options), 5, 12));
    const line = [0, 1, 2, 3, 4];
    const rows = line.map((p) => Array.from({ length: 6 }, (_, k) => p * frequency(k, 12, 1e4)));
    expectTurned(mrope({ ...options, sections: [2, 2, 2], positions: [...line, ...line, ...line] }), 12, rows, 'halves');
    expectTurned(alone, 12, rows, 'halves');
  });

  it('positions of each batch row, and queries that take the last', () => {
    const encoding = mrope({
      dim: 6,
      theta: 1e4,
      layout: 'halves',
      sections: [1, 1, 1],
      positions: Float64Array.from({ length: 18 }, (_, i) => i),
    });
    const { rotation } = encoding.lower({ shape: { B: 2, H: 1, G: 1, L: 1, S: 3, D: 6, E: 6 }, math: MATH });
    expect(rotation?.keyPositions).toEqual({
      batched: true,
      values: Float64Array.of(0, 1, 2, 6, 7, 8, 12, 13, 14, 3, 4, 5, 9, 10, 11, 15, 16, 17),
    });
    expect(rotation?.queryPositions).toEqual({ batched: true, values: Float64Array.of(2, 8, 14, 5, 11, 17) });
  });

  it('refuses what does not fit', () => {
    const options = { dim: 12, theta: 1e4, layout: 'halves', sections: [2, 2, 2] } as const;
    expect(() => lowered(mrope({ ...options, positions: [1, 2] }), 2, 12)).toThrow(
      'mrope: "positions" expected 3×2 or 3×1×2 positions, got 2',
    );
    expect(() => mrope({ ...options, queryPositions: [1] })).toThrow('"positions" expected the positions of the keys');
    expect(() => mrope({ ...options, axisOrder: [0, 1] })).toThrow('"axisOrder" expected 3 axes, one for each section, got [0, 1]');
    const x = engine.tensor([1, 1, 2, 12]);
    const several = mrope({ ...options, positions: [0, 0, 0, 0, 0, 0] });
    expect(() => engine.rotateSync(x, several, { positions: [1, 2] })).toThrow(
      'rotateSync: "positions" expected 3×2 or 3×1×2 positions, got 2',
    );
    x.dispose();
  });
});

describe('mrope by channels', () => {
  it('deals twice the sections out to the first channels of all pairs, then to the second', () => {
    expect(mropeAxes('', 5, [2, 1, 2], 'channels', [0, 1, 2])).toEqual([0, 0, 0, 0, 1, 1, 2, 2, 2, 2]);
    expect(() => mropeAxes('mrope', 5, [2, 1, 1], 'channels', [0, 1, 2])).toThrow('"sections" expected 5 pairs in all');
  });

  it('is a plain rotation where all axes stand at one position, and without positions', () => {
    const options = { dim: 12, theta: 1e4, layout: 'halves', sections: [2, 1, 3], arrangement: 'channels' } as const;
    const x = engine.tensor([1, 1, 4, 12], noise(48, 6));
    const text = [0, 1, 2, 3];
    const plain = engine.rotateSync(x, rotary({ dim: 12, theta: 1e4, layout: 'halves' })).toArray();
    expect(engine.rotateSync(x, mrope(options)).toArray()).toEqual(plain);
    expect(engine.rotateSync(x, mrope({ ...options, positions: [...text, ...text, ...text] })).toArray()).toEqual(plain);
    x.dispose();
  });

  it('is what a config of HunYuan-VL says', () => {
    const positions = [0, 1, 2, 0, 0, 1, 0, 3, 5, 1, 1, 1];
    const rope_parameters = { rope_type: 'default', rope_theta: 1e4, mrope_section: [2, 1, 2, 1] };
    const config = { model_type: 'hunyuan_vl_text', head_dim: 12, hidden_size: 24, num_attention_heads: 2, rope_parameters };
    const x = engine.tensor([1, 1, 3, 12], noise(36, 7));
    const by = mrope({ dim: 12, theta: 1e4, layout: 'halves', sections: [2, 1, 2, 1], arrangement: 'channels', positions });
    expect(engine.rotateSync(x, rotaryFromConfig(config, { positions })).toArray()).toEqual(engine.rotateSync(x, by).toArray());
    x.dispose();
  });
});

describe('axialRotary', () => {
  const cells = [0, 1, 2].flatMap((y) => [0, 1].map((x) => [y, x] as const));
  const base = { dim: 12, theta: 100, layout: 'halves', grid: [3, 2] } as const;
  const f = (k: number): number => frequency(k, 6, 100);
  const g = (k: number): number => frequency(k, 12, 100);

  it.each<[Partial<AxialRotaryOptions>, (y: number, x: number) => number[]]>([
    [{}, (y, x) => [y * f(0), y * f(1), y * f(2), x * f(0), x * f(1), x * f(2)]],
    [{ layout: 'pairs' }, (y, x) => [y * f(0), y * f(1), y * f(2), x * f(0), x * f(1), x * f(2)]],
    [{ arrangement: 'alternating', axisOrder: [1, 0] }, (y, x) => [x * f(0), y * f(0), x * f(1), y * f(1), x * f(2), y * f(2)]],
    [{ frequencies: 'split' }, (y, x) => [y * g(0), y * g(2), y * g(4), x * g(1), x * g(3), x * g(5)]],
    [{ frequencies: 'split', arrangement: 'alternating' }, (y, x) => [y * g(0), x * g(1), y * g(2), x * g(3), y * g(4), x * g(5)]],
    [
      { coordinates: 'centers', scale: 2 },
      (y, x) => [0, 1, 2, 0, 1, 2].map((k, i) => 2 * f(k) * (i < 3 ? (2 * y + 1) / 3 - 1 : (2 * x + 1) / 2 - 1)),
    ],
    [{ coordinates: 'ends' }, (y, x) => [0, 1, 2, 0, 1, 2].map((k, i) => f(k) * (i < 3 ? y - 1 : 2 * x - 1))],
    [{ referenceGrid: [6, 6], gridOffset: 1 }, (y, x) => [0, 1, 2, 0, 1, 2].map((k, i) => f(k) * (i < 3 ? (y + 1) * 2 : (x + 1) * 3))],
    [{ frequencies: { maxResolution: 32 } }, (y, x) => [1, 4, 16, 1, 4, 16].map((band, i) => Math.PI * band * (i < 3 ? y : x))],
    [
      { frequencies: { maxResolution: 32, linear: true } },
      (y, x) => [1, 8.5, 16, 1, 8.5, 16].map((band, i) => Math.PI * band * (i < 3 ? y : x)),
    ],
    [
      { frequencies: Float64Array.from({ length: 12 }, (_, i) => i / 7) },
      (y, x) => Array.from({ length: 6 }, (_, i) => (y * i) / 7 + (x * (6 + i)) / 7),
    ],
  ])('%j', (more, angles) => {
    const options = { ...base, ...more } as AxialRotaryOptions;
    expectTurned(
      axialRotary(options),
      14,
      cells.map(([y, x]) => angles(y, x)),
      options.layout,
    );
  });

  it('three axes', () => {
    const rows = Array.from({ length: 8 }, (_, n) => [n >> 2, (n >> 1) & 1, n & 1].flatMap((p) => [p, p * frequency(1, 4, 100)]));
    expectTurned(axialRotary({ dim: 12, theta: 100, layout: 'halves', grid: [2, 2, 2] }), 12, rows, 'halves');
  });

  it('tokens before the grid, grids of keys in a row, keys that do not turn', () => {
    const { rotation } = lowered(axialRotary({ ...base, prefix: 1, exclude: 2, repeatKeys: true }), 7, 12, 15);
    expect([...(rotation?.queryPositions?.values ?? [])]).toEqual([0, 0, 0, 1, 1, 2, 2, 0, 0, 1, 0, 1, 0, 1]);
    expect([...(rotation?.keyPositions?.values ?? [])].slice(0, 15)).toEqual([0, 0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2, 0, 0]);
  });

  it('turns queries or keys alone', () => {
    const encoding = axialRotary({ ...base, exclude: 2, repeatKeys: true });
    const x = engine.tensor([1, 1, 14, 12], noise(168, 5));
    const keys = engine.rotateSync(x, encoding, { role: 'key' }).toArray();
    expect([...keys.subarray(144)]).toEqual([...x.toArray().subarray(144)]);
    expect(() => engine.rotateSync(x, encoding)).toThrow('axialRotary: "grid" expected 6 queries, got 14');
    x.dispose();
  });

  it.each(['halves', 'pairs'] as const)('axes apart turn the channels of each by themselves, %s', (layout) => {
    const x = engine.tensor([1, 1, 6, 14], noise(84, 6));
    const apart = engine.rotateSync(x, axialRotary({ ...base, layout, arrangement: 'apart', start: 1 }));
    const rows = rotary({ dim: 6, theta: 100, layout, start: 1, positions: cells.map(([y]) => y) });
    const columns = rotary({ dim: 6, theta: 100, layout, start: 7, positions: cells.map(([, x]) => x) });
    expect(apart.toArray()).toEqual(engine.rotateSync(engine.rotateSync(x, rows), columns).toArray());
    expect(() => axialRotary({ ...base, layout, arrangement: 'apart', dim: 10, frequencies: new Float64Array(10) })).toThrow(
      '"dim" expected a multiple of 4 for 2 axes apart, got 10',
    );
    x.dispose();
  });

  it('refuses what does not fit', () => {
    expect(() => axialRotary({ ...base, dim: 10 })).toThrow('"dim" expected a multiple of 4 for 2 axes, got 10');
    expect(() => axialRotary({ dim: 12, theta: 100, layout: 'halves' })).toThrow(
      '"grid" expected either a grid or positions, got undefined',
    );
    expect(() => axialRotary({ dim: 12, layout: 'halves', grid: [2, 2] })).toThrow('"theta" expected a number, got undefined');
    expect(() => axialRotary({ ...base, frequencies: [1, 2] })).toThrow('"frequencies" expected [2, 6] numbers, got 2');
    expect(() => lowered(axialRotary(base), 7, 12)).toThrow('"grid" expected 6 queries, got 7');
    expect(() => lowered(axialRotary({ ...base, repeatKeys: true }), 6, 12, 7)).toThrow('"grid" expected n·6 keys, got 7');
  });
});

describe('xpos', () => {
  const [L, S, D] = [3, 7, 8];
  const zeta = (i: number): number => (2 * i + 0.4 * D) / (1.4 * D);
  const data = { q: noise(L * D, 1), k: noise(S * D, 2), v: noise(S * D, 3) };

  it.each([
    ['pairs', 0, 0],
    ['halves', 3, 40],
    ['pairs', -5, 1000],
  ] as const)('%s, center %i, offset %i', (layout, center, offset) => {
    const [q, k, v] = [engine.tensor([1, 1, L, D], data.q), engine.tensor([1, 1, S, D], data.k), engine.tensor([1, 1, S, D], data.v)];
    const encoding = xpos({ dim: D, theta: 1e4, layout, scaleBase: 8, center: center + offset, offset });
    const out = engine.attentionSync(q, k, v, { encoding, causal: true }).toArray();
    const at = (rows: Float32Array, i: number, p: number, sign: number): number[] =>
      turned(
        rows.subarray(i * D, (i + 1) * D),
        Array.from({ length: D / 2 }, (_, j) => p * frequency(j, D, 1e4)),
        layout,
        (j) => zeta(j) ** ((sign * p) / 8),
      );
    for (let i = 0; i < L; i++) {
      const scores = Array.from({ length: i + S - L + 1 }, (_, j) => {
        const [a, b] = [at(data.q, i, i + S - L, 1), at(data.k, j, j, -1)];
        return Math.exp(a.reduce((sum, x, c) => sum + x * (b[c] as number), 0) / Math.sqrt(D));
      });
      const total = scores.reduce((sum, x) => sum + x, 0);
      for (let c = 0; c < D; c++) {
        const wanted = scores.reduce((sum, x, j) => sum + (x / total) * (data.v[j * D + c] as number), 0);
        expect(Math.abs((out[i * D + c] as number) - wanted)).toBeLessThanOrEqual(2e-6);
      }
    }
    for (const tensor of [q, k, v]) tensor.dispose();
  });

  it('queries and keys turn and return', () => {
    const x = engine.tensor([1, 1, S, D], data.k);
    const encoding = xpos({ dim: D, theta: 1e4, layout: 'pairs', scaleBase: 8 });
    for (const role of ['query', 'key'] as const) {
      const there = engine.rotateSync(x, encoding, { role });
      const back = engine.rotateSync(there, encoding, { role, inverse: true }).toArray();
      for (const [i, y] of back.entries()) expect(Math.abs(y - (data.k[i] as number))).toBeLessThanOrEqual(3e-7);
    }
    x.dispose();
  });

  it('refuses positions whose factors leave f32', () => {
    const encoding = xpos({ dim: 64, theta: 1e4, layout: 'pairs' });
    expect(() => lowered(encoding, 1, 64, 40000)).toThrow(
      'xpos: "center" expected positions at most 32695 from it, got one 39999 away from 0',
    );
    expect(() => lowered(xpos({ dim: 64, theta: 1e4, layout: 'pairs', center: 20000 }), 1, 64, 40000)).not.toThrow();
  });
});

it('a rotation of several axes needs positions', () => {
  const rotation: Rotation = { dim: 4, layout: 'halves', frequencies: Float64Array.of(1, 2, 3, 4) };
  const x = engine.tensor([1, 1, 2, 4]);
  const run = (values: Rotation) => () =>
    engine.attentionSync(x, x, x, { encoding: defineEncoding({ name: 'mine', lower: () => ({ rotation: values }) }) });
  expect(run(rotation)).toThrow('"positions" expected positions on 2 axes, got none');
  const short = { values: Float64Array.of(1, 2, 3), batched: false };
  expect(run({ ...rotation, keyPositions: short, queryPositions: short })).toThrow('"positions" expected 1×2×2 positions, got 3');
  expect(run({ ...rotation, start: -1 })).toThrow('"encoding (mine) rotation.start" expected an integer ≥ 0, got -1');
  x.dispose();
});
