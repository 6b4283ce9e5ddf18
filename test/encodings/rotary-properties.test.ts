// What must hold of any rotation, and how exact its angles are.

import { afterAll, describe, expect, it } from 'vitest';
import { permuteForPairs, type RotaryOptions, rotary } from '../../src/index.ts';
import { noise, testEngine } from './rotary-help.ts';

const engine = testEngine();
afterAll(() => engine.dispose());

const [H, G, L, S, D] = [4, 2, 5, 9, 24];
const q = noise(H * L * D, 1);
const k = noise(G * S * D, 2);
const v = noise(G * S * D, 3);

function attend(options: RotaryOptions, given = { q, k, v }): Float32Array {
  const tensors = [
    engine.tensor([1, H, L, D], given.q),
    engine.tensor([1, G, S, D], given.k),
    engine.tensor([1, G, S, D], given.v),
  ] as const;
  const out = engine.attentionSync(...tensors, { encoding: rotary(options), causal: true });
  const data = out.toArray();
  for (const tensor of [...tensors, out]) tensor.dispose();
  return data;
}

const far = (a: Float32Array, b: Float32Array): number => a.reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] as number))), 0);

const BASE = { dim: 16, theta: 10000, layout: 'halves' } as const;

describe('rotary', () => {
  it.each(['halves', 'pairs'] as const)('%s: scores depend on differences of positions', (layout) => {
    const near = attend({ ...BASE, layout });
    for (const offset of [1, -3, 1000, 100000]) expect(far(attend({ ...BASE, layout, offset }), near)).toBeLessThanOrEqual(1e-6);
  });

  it('linear scaling at f·p is none at p', () => {
    const positions = Array.from({ length: S }, (_, j) => 3 * j);
    expect(far(attend({ ...BASE, scaling: { type: 'linear', factor: 3 }, positions }), attend(BASE))).toBeLessThanOrEqual(1e-6);
  });

  it('explicit positions that are the standard ones change nothing, shared or by batch row', () => {
    const positions = Float64Array.from({ length: S }, (_, j) => j);
    expect(attend({ ...BASE, positions })).toEqual(attend(BASE));
    expect(attend({ ...BASE, positions: engine.tensor([S], positions) })).toEqual(attend(BASE));
    expect(attend({ ...BASE, positions, offset: 7 })).toEqual(attend({ ...BASE, offset: 7 }));
  });

  it('pairs in, halves out: the same scores, other channels', () => {
    expect(far(attend({ ...BASE, layout: 'pairs', layoutOut: 'halves' }), attend({ ...BASE, layout: 'pairs' }))).toBeLessThanOrEqual(1e-6);
    const x = engine.tensor([1, 1, 4, 16], noise(64, 9));
    const paired = engine.rotateSync(x, rotary({ ...BASE, layout: 'pairs' })).toArray();
    const halved = engine.rotateSync(x, rotary({ ...BASE, layout: 'pairs', layoutOut: 'halves' })).toArray();
    for (let row = 0; row < 4; row++) {
      for (let i = 0; i < 8; i++) {
        expect([halved[16 * row + i], halved[16 * row + 8 + i]]).toEqual([paired[16 * row + 2 * i], paired[16 * row + 2 * i + 1]]);
      }
    }
  });

  it.each([
    [{ ...BASE }],
    [{ ...BASE, layout: 'pairs', layoutOut: 'halves', start: 'end' }],
    [{ ...BASE, layoutOut: 'pairs', start: 3 }],
    [{ ...BASE, scaling: { type: 'yarn', factor: 8, originalMaxPositionEmbeddings: 64 } }],
  ] as [RotaryOptions][])('the inverse restores: %j', (options) => {
    const data = noise(2 * L * D, 4);
    const x = engine.tensor([1, 2, L, D], data);
    const there = engine.rotateSync(x, rotary(options), { offset: 11 });
    expect(far(there.toArray(), data)).toBeGreaterThan(0.1);
    expect(far(engine.rotateSync(there, rotary(options), { offset: 11, inverse: true }).toArray(), data)).toBeLessThanOrEqual(4e-7);
  });

  it('backward is forward by the opposite angle, and its own inverse turned round', () => {
    const data = noise(2 * L * D, 9);
    const x = engine.tensor([1, 2, L, D], data);
    for (const layout of ['halves', 'pairs'] as const) {
      const [forward, backward] = (['forward', 'backward'] as const).map((sense) => rotary({ ...BASE, layout, sense }));
      const turned = (encoding: typeof forward, inverse = false) =>
        engine.rotateSync(x, encoding as NonNullable<typeof forward>, { offset: 11, inverse }).toArray();
      expect(turned(backward)).toEqual(turned(forward, true));
      expect(turned(forward)).toEqual(turned(rotary({ ...BASE, layout })));
      expect(far(turned(backward), turned(forward))).toBeGreaterThan(0.1);
    }
  });

  it('start: the channels before and after pass through', () => {
    const data = noise(D, 5);
    const x = engine.tensor([1, 1, 1, D], data);
    const out = engine.rotateSync(x, rotary({ ...BASE, start: 3 }), { offset: 5 }).toArray();
    const inner = engine.rotateSync(engine.tensor([1, 1, 1, 16], data.slice(3, 19)), rotary(BASE), { offset: 5 }).toArray();
    expect([...out]).toEqual([...data.slice(0, 3), ...inner, ...data.slice(19)]);
    expect([...engine.rotateSync(x, rotary({ ...BASE, start: 'end' }), { offset: 5 }).toArray()].slice(0, 8)).toEqual([
      ...data.slice(0, 8),
    ]);
  });

  it('dynamic scaling sees the length: S, an offset, the largest position', () => {
    const scaling = { type: 'dynamic', factor: 4, maxPositionEmbeddings: 8 } as const;
    const one = engine.tensor([1, 1, 1, 16], noise(16, 6));
    const turn = (options: RotaryOptions, position: number) => engine.rotateSync(one, rotary(options), { positions: [position] }).toArray();
    expect(turn({ ...BASE, scaling }, 7)).toEqual(turn(BASE, 7));
    expect(turn({ ...BASE, scaling }, 8)).not.toEqual(turn(BASE, 8));
    expect(engine.rotateSync(one, rotary({ ...BASE, scaling }), { offset: 20 }).toArray()).toEqual(turn({ ...BASE, scaling }, 20));
    expect(attend({ ...BASE, scaling: { ...scaling, maxPositionEmbeddings: 9 } })).toEqual(attend(BASE));
    expect(far(attend({ ...BASE, scaling }), attend(BASE))).toBeGreaterThan(1e-4);
  });

  it('a shard of the keys takes its part of positions of the whole', () => {
    const positions = Float64Array.from({ length: S }, (_, j) => 2 * j);
    const encoding = rotary({ ...BASE, positions });
    const whole = engine.attentionSync(engine.tensor([1, H, L, D], q), engine.tensor([1, G, S, D], k), engine.tensor([1, G, S, D], v), {
      encoding,
    });
    const parts = [0, 4].map((first) => {
      const cut = (x: Float32Array) => engine.tensor([1, G, S, D], x).slice(null, null, [first, first ? S : 4]);
      return engine.attentionPartialSync(engine.tensor([1, H, L, D], q), cut(k), cut(v), { encoding, keyOffset: first, totalKeys: S });
    });
    expect(far(engine.mergeStatesSync(parts).out.toArray(), whole.toArray())).toBeLessThanOrEqual(1e-6);
  });

  it('angles are within 1e-7 at positions up to 10^6', () => {
    const dim = 128;
    const data = Float32Array.from({ length: dim }, (_, i) => (i < dim / 2 ? 1 : 0));
    const positions = [1, 4095, 131071, 500000, 777777, 999999, 1000000];
    for (const theta of [10000, 500000, 1000003]) {
      const x = engine.tensor(
        [1, 1, positions.length, dim],
        Float32Array.from({ length: positions.length * dim }, (_, i) => data[i % dim] as number),
      );
      const out = engine.rotateSync(x, rotary({ dim, theta, layout: 'halves' }), { positions }).toArray();
      positions.forEach((p, row) => {
        for (let i = 0; i < dim / 2; i++) {
          const angle = p * theta ** ((-2 * i) / dim);
          const [c, s] = [out[row * dim + i] as number, out[row * dim + dim / 2 + i] as number];
          // sin of the difference of the angles.
          expect(Math.abs(s * Math.cos(angle) - c * Math.sin(angle))).toBeLessThan(1e-7);
        }
      });
    }
  });

  it('refuses what is no list of positions', () => {
    expect(() => rotary({ ...BASE, positions: 'abc' as unknown as number[] })).toThrow('rotary: "positions" expected an array of numbers');
    expect(() => rotary({ ...BASE, positions: [0, Number.NaN] })).toThrow('rotary: "positions[1]" expected a finite number, got NaN');
    expect(() => attend({ ...BASE, positions: [0, 1] })).toThrow('rotary: "positions" expected 9 or 1×9 positions, got 2');
    expect(() => attend({ ...BASE, queryPositions: [0, 1] })).toThrow('rotary: "queryPositions" expected 5 or 1×5 positions, got 2');
    expect(() => attend({ ...BASE, dim: 26, start: 'end' })).toThrow('rotary: "dim" expected at most D=24, got 26');
    expect(() => rotary({ ...BASE, start: -1 })).toThrow('rotary: "start" expected an integer in 0 … 510, got -1');
    expect(() => rotary({ ...BASE, layoutOut: 'both' as 'halves' })).toThrow(
      'rotary: "layoutOut" expected \'halves\' or \'pairs\', got "both"',
    );
  });
});

describe('permuteForPairs', () => {
  /** x [rows, N] times weights [out, N], as heads [H, rows, D]. */
  function project(x: Float32Array, weights: Float32Array, rows: number, heads: number): Float32Array {
    const N = x.length / rows;
    return Float32Array.from({ length: heads * rows * D }, (_, n) => {
      const [h, row, c] = [Math.floor(n / (rows * D)), Math.floor(n / D) % rows, n % D];
      let sum = 0;
      for (let i = 0; i < N; i++) sum += (x[row * N + i] as number) * (weights[(h * D + c) * N + i] as number);
      return sum;
    });
  }

  const N = 10;
  const x = noise(S * N, 20);
  const weights = { q: noise(H * D * N, 21), k: noise(G * D * N, 22) };
  const queries = (w: Float32Array) => project(x.slice((S - L) * N), w, L, H);
  const keys = (w: Float32Array) => project(x, w, S, G);

  it.each([{}, { dim: 16 }, { dim: 16, start: 4 }])('both directions give the same scores: %j', (part) => {
    const { dim = D, start = 0 } = part as { dim?: number; start?: number };
    const base = { dim, start, theta: 10000 };
    const to = (inverse: boolean) => ({
      q: queries(permuteForPairs(weights.q, H, D, { ...part, inverse })),
      k: keys(permuteForPairs(weights.k, G, D, { ...part, inverse })),
      v,
    });
    const own = { q: queries(weights.q), k: keys(weights.k), v };
    expect(far(attend({ ...base, layout: 'pairs' }, to(false)), attend({ ...base, layout: 'halves' }, own))).toBeLessThanOrEqual(1e-6);
    expect(far(attend({ ...base, layout: 'halves' }, to(true)), attend({ ...base, layout: 'pairs' }, own))).toBeLessThanOrEqual(1e-6);
    expect(permuteForPairs(permuteForPairs(weights.q, H, D, part), H, D, { ...part, inverse: true })).toEqual(weights.q);
  });

  it('keeps the kind of array and refuses what does not fit', () => {
    expect(permuteForPairs(Uint16Array.of(0, 1, 2, 3, 4, 5), 1, 6)).toEqual(Uint16Array.of(0, 3, 1, 4, 2, 5));
    expect(() => permuteForPairs(weights.q, 7, D)).toThrow('"weights" expected a multiple of heads·headDim=168 numbers, got 960');
    expect(() => permuteForPairs(weights.q, H, D, { dim: 7 })).toThrow('"dim" expected an even number, got 7');
    expect(() => permuteForPairs([1] as unknown as Float32Array, 1, 1)).toThrow('"weights" expected a typed array, got [1]');
  });
});
