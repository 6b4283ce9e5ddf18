/** The f64 evaluation that every case is checked against, and what counts as wrong in which precision. */
import { describe, expect, it } from 'vitest';
import { attentionError, rotationError, wrongness } from '../../src/bench/reference.ts';

/** One query of one channel and two keys: weights 1/2 each, so the output is the mean of the values. */
const sizes = { B: 1, H: 1, G: 1, L: 1, S: 2, D: 1 };
const inputs = { q: Float32Array.of(0), k: Float32Array.of(1, -1), v: Float32Array.of(1, 3) };
const of = (...out: number[]) => attentionError(sizes, {}, inputs, Float32Array.from(out));

describe('the deviation', () => {
  it('is the largest difference, and the largest of a row over its root mean square', () => {
    expect(of(2)).toEqual({ error: 0, relative: 0 });
    expect(of(2.5)).toEqual({ error: 0.5, relative: 0.25 });
  });

  it('keeps a NaN', () => {
    expect(of(Number.NaN)).toEqual({ error: Number.NaN, relative: Number.NaN });
  });

  it('takes the two from the rows in which they are', () => {
    // Under a causal mask the first row is the first value, the second the mean: 10 and 0.
    const two = { ...sizes, L: 2 };
    const causal = { visible: ({ i, j }: { i: number; j: number }) => j <= i };
    const data = { q: Float32Array.of(0, 0), k: Float32Array.of(1, -1), v: Float32Array.of(10, -9) };
    const { error, relative } = attentionError(two, causal, data, Float32Array.of(10.5, 0.75));
    expect(error).toBeCloseTo(0.5, 12);
    expect(relative).toBeCloseTo(0.5, 12);
  });

  it('is of rotations too', () => {
    const x = Float32Array.of(3, 4);
    expect(rotationError({ H: 1, L: 1, D: 2 }, 10000, x, x)).toEqual({ error: 0, relative: 0 });
    expect(rotationError({ H: 1, L: 1, D: 2 }, 10000, x, Float32Array.of(3, 5)).error).toBe(1);
  });
});

describe('what is wrong', () => {
  it('is absolute in f32, and of a row in 16 bits, however small or large the row', () => {
    const far = { error: 2e-4, relative: 2e-3 };
    expect(wrongness('reproducible', far)).toBe('off by 0.0002 from the f64 evaluation, more than 0.0001');
    expect(wrongness('relaxed', far)).toMatch(/^off by 0\.0002 /);
    expect(wrongness('int16', far)).toBeUndefined();
    expect(wrongness('int16', { error: 2e-4, relative: 3e-3 })).toBe(
      "off by 0.003 of a row's root mean square from the f64 evaluation, more than 0.0025",
    );
    expect(wrongness('int16', { error: 9e-5, relative: 1 })).toBeUndefined();
    expect(wrongness('reproducible', { error: 9e-5, relative: 1 })).toBeUndefined();
  });

  it('is a NaN in every precision', () => {
    const none = { error: Number.NaN, relative: Number.NaN };
    for (const precision of ['reproducible', 'relaxed', 'int16'] as const) expect(wrongness(precision, none)).toMatch(/NaN/);
  });
});
