// Frequencies of the rope types against the snapshots of transformers' own tests (LLaMA's defaults: 128 channels, base 10000, 2048
// positions), to the five digits given there.

import { describe, expect, it } from 'vitest';
import { type RopeScaling, type Rotation, rotary } from '../../src/index.ts';
import { MATH } from './rotary-help.ts';

const PLAIN = { type: 'default' } as const;
const TRAINED = { originalMaxPositionEmbeddings: 2048 } as const;

function frequencies(scaling: RopeScaling, length = 1, dim = 128, theta = 10000) {
  const shape = { B: 1, H: 1, G: 1, L: 1, S: length, D: dim, E: dim };
  const rotation = rotary({ dim, theta, layout: 'halves', scaling }).lower({ shape, math: MATH }).rotation as Rotation;
  return { values: [...rotation.frequencies], factor: rotation.factor as number };
}

const plain = frequencies(PLAIN).values;
const at = (values: readonly number[], i: number): string => (values[i] as number).toExponential(4);

/** Every value within the rounding of the formula itself. */
function expectClose(got: readonly number[], expected: readonly number[]): void {
  expect(got.length).toBe(expected.length);
  got.forEach((x, i) => {
    expect(Math.abs(x - (expected[i] as number))).toBeLessThanOrEqual(1e-14 * (expected[i] as number));
  });
}

describe('rope types, transformers snapshots', () => {
  it('default', () => {
    expect([0, 1, 2, 63].map((i) => at(plain, i))).toEqual(['1.0000e+0', '8.6596e-1', '7.4989e-1', '1.1548e-4']);
  });

  it.each([2, 10, 20])('linear by %i', (factor) => {
    const { values, factor: a } = frequencies({ type: 'linear', factor });
    expectClose(
      values,
      plain.map((f) => f / factor),
    );
    expect(a).toBe(1);
  });

  it('dynamic', () => {
    const scaling = { type: 'dynamic', factor: 10, maxPositionEmbeddings: 2048 } as const;
    const long = frequencies(scaling, 16384).values;
    expect([0, 1, 63].map((i) => at(long, i))).toEqual(['1.0000e+0', '8.0931e-1', '1.6265e-6']);
    for (const length of [1, 2047, 2048]) expect(frequencies(scaling, length).values).toEqual(plain);
    expect(frequencies(scaling, 2049).values).not.toEqual(plain);
  });

  it('yarn', () => {
    const scaling = { type: 'yarn', factor: 10, betaFast: 32, betaSlow: 1, ...TRAINED } as const;
    const { values } = frequencies(scaling);
    expectClose(values.slice(0, 17), plain.slice(0, 17));
    expect([16, 17, 40].map((i) => at(values, i))).toEqual(['1.0000e-1', '8.3479e-2', '4.3007e-4']);
    expectClose(
      values.slice(41),
      plain.slice(41).map((f) => f / 10),
    );
    const untruncated = frequencies({ ...scaling, truncate: false }).values;
    expect(at(untruncated, 17)).toBe('8.3774e-2');
    const steep = frequencies({ ...scaling, betaFast: 1000 }).values;
    expectClose(
      steep.slice(-20),
      plain.slice(-20).map((f) => f / 10),
    );
  });

  it('yarn: the attention factor', () => {
    const factorOf = (more: object): number => frequencies({ type: 'yarn', ...TRAINED, ...more } as RopeScaling).factor;
    for (const factor of [2, 10, 20]) expect(factorOf({ factor })).toBeCloseTo(0.1 * Math.log(factor) + 1, 14);
    expect(factorOf({ factor: 10, attentionFactor: 0.5 })).toBe(0.5);
    expect(factorOf({ factor: 0.5 })).toBe(1);
    const g = (m: number): number => 0.1 * m * Math.log(4) + 1;
    expect(factorOf({ factor: 4, mscale: 1, mscaleAllDim: 0.5 })).toBeCloseTo(g(1) / g(0.5), 14);
    expect(factorOf({ factor: 4, mscale: 1, mscaleAllDim: 0 })).toBeCloseTo(g(1), 14);
    expect(factorOf({ factor: null, maxPositionEmbeddings: 8192 })).toBeCloseTo(g(1), 14);
  });

  it('yarn: absent and zero betas are 32 and 1', () => {
    const of = (betas: object): number[] => frequencies({ type: 'yarn', factor: 10, ...TRAINED, ...betas }).values;
    expect(of({})).toEqual(of({ betaFast: 32, betaSlow: 1 }));
    expect(of({ betaFast: 0, betaSlow: null })).toEqual(of({}));
  });

  it('longrope', () => {
    const shortFactor = plain.map(() => 2);
    const longFactor = plain.map((_, i) => i + 1);
    const scaling = { type: 'longrope', shortFactor, longFactor, ...TRAINED } as const;
    expectClose(
      frequencies({ ...scaling, factor: 2 }, 2048).values,
      plain.map((f) => f / 2),
    );
    expectClose(
      frequencies({ ...scaling, factor: 2 }, 2049).values,
      plain.map((f, i) => f / (i + 1)),
    );
    for (const factor of [2, 10, 20]) {
      expect(frequencies({ ...scaling, factor }).factor).toBeCloseTo(Math.sqrt(1 + Math.log(factor) / Math.log(2048)), 14);
    }
    expect(frequencies({ ...scaling, factor: 1 }).factor).toBe(1);
    expect(frequencies({ ...scaling, factor: 2, attentionFactor: 0.5 }).factor).toBe(0.5);
    expect(frequencies({ ...scaling, maxPositionEmbeddings: 20480 }).factor).toBeCloseTo(
      frequencies({ ...scaling, factor: 10 }).factor,
      14,
    );
  });

  it('llama3', () => {
    const scaling = { type: 'llama3', factor: 10, lowFreqFactor: 1, highFreqFactor: 4, ...TRAINED } as const;
    const { values, factor } = frequencies(scaling);
    expectClose(values.slice(0, 31), plain.slice(0, 31));
    expect([31, 32, 40].map((i) => at(values, i))).toEqual(['1.0730e-2', '7.7785e-3', '3.4539e-4']);
    expectClose(
      values.slice(41),
      plain.slice(41).map((f) => f / 10),
    );
    expect(factor).toBe(1);
    const all = frequencies({ ...scaling, highFreqFactor: 1000 }).values;
    for (const [i, f] of all.entries()) expect(f).toBeLessThan(plain[i] as number);
  });

  it('proportional', () => {
    const { values } = frequencies({ type: 'proportional', partialRotaryFactor: 0.25, factor: 2 });
    expectClose(
      values.slice(0, 16),
      plain.slice(0, 16).map((f) => f / 2),
    );
    expect(values.slice(16)).toEqual(Array.from({ length: 48 }, () => 0));
    expect(frequencies({ type: 'proportional' }).values).toEqual(plain);
  });
});

describe('what is refused', () => {
  const make = (scaling: unknown) => () => rotary({ dim: 8, theta: 10000, layout: 'halves', scaling: scaling as RopeScaling });
  it.each([
    [{ type: 'yarn ' }, "rotary: \"scaling.type\" expected 'default' or 'linear'"],
    [{}, 'rotary: "scaling.type" expected'],
    [7, 'rotary: "scaling" expected an object with a type, got 7'],
    [{ type: 'linear' }, 'rotary: "scaling.factor" expected a value: linear needs it, got undefined'],
    [{ type: 'linear', factor: 0 }, 'rotary: "scaling.factor" expected a finite number > 0, got 0'],
    [{ type: 'linear', factor: 1e-29 }, 'rotary: "scaling.factor" expected a number ≥ 1e-6, got 1e-29'],
    [{ type: 'linear', factor: 2, betaFast: 1 }, 'rotary: "scaling" has no "betaFast"; it knows type, factor'],
    [{ type: 'dynamic', factor: 2 }, 'rotary: "scaling.maxPositionEmbeddings" expected a value: dynamic needs it'],
    [{ type: 'yarn', originalMaxPositionEmbeddings: 64 }, '"scaling.factor" expected a number, or scaling.maxPositionEmbeddings instead'],
    [
      { type: 'yarn', factor: 2, originalMaxPositionEmbeddings: 64, betaFast: 1, betaSlow: 2 },
      'expected at least scaling.betaSlow 2, got 1',
    ],
    [{ type: 'yarn', factor: 2, originalMaxPositionEmbeddings: 64, truncate: 1 }, '"scaling.truncate" expected true or false, got 1'],
    [
      { type: 'longrope', factor: 2, originalMaxPositionEmbeddings: 64, shortFactor: [1, 1, 1, 1], longFactor: [1] },
      'rotary: "scaling.longFactor" expected 4 numbers, one for each pair, got 1',
    ],
    [
      { type: 'longrope', factor: 2, originalMaxPositionEmbeddings: 1, shortFactor: [1, 1, 1, 1], longFactor: [1, 1, 1, 1] },
      'rotary: "scaling.originalMaxPositionEmbeddings" expected an integer ≥ 2, got 1',
    ],
    [
      { type: 'llama3', factor: 2, lowFreqFactor: 4, highFreqFactor: 3, originalMaxPositionEmbeddings: 64 },
      'rotary: "scaling.highFreqFactor" expected at least scaling.lowFreqFactor 4, got 3',
    ],
    [{ type: 'proportional', partialRotaryFactor: 1.5 }, 'rotary: "scaling.partialRotaryFactor" expected a number in 0 … 1, got 1.5'],
  ])('%j', (scaling, message) => {
    expect(make(scaling)).toThrow(message);
  });
});
