/** The trained encoder from npm: a plain f64 forward pass gives the vectors of its own runtime, and they rank what says the same first. */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { readSafetensors } from '../../../src/safetensors/index.ts';
import { numbersOf, shapeOf } from '../../conformance/golden.ts';
import { forward, installed, readVocabulary, readWeights, tokenize } from './encoder.ts';

const beside = (name: string) => readFileSync(new URL(name, import.meta.url));
const { cases, paraphrases } = JSON.parse(beside('reference.json').toString()) as {
  cases: { text: string; ids: number[] }[];
  paraphrases: number;
};
const file = readSafetensors(beside('reference.safetensors'));
const [count, width] = shapeOf(file, 'vectors') as [number, number];
const recorded = numbersOf(file, 'vectors') as Float32Array;
const vector = (i: number) => recorded.subarray(i * width, (i + 1) * width);
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((total, value, i) => total + value * (b[i] as number), 0);

test('the recorded vectors have length 1, and what says the same is closer than anything that does not', () => {
  expect([count, width]).toEqual([cases.length, 512]);
  for (let i = 0; i < count; i++) expect(Math.abs(dot(vector(i), vector(i)) - 1)).toBeLessThan(1e-5);
  const same: number[] = [];
  const other: number[] = [];
  for (let i = 0; i < 2 * paraphrases; i++) for (let j = 0; j < i; j++) (j === (i ^ 1) ? same : other).push(dot(vector(i), vector(j)));
  expect(same.length).toBe(paraphrases);
  // 0.568 and more against 0.308 and less.
  expect(Math.min(...same)).toBeGreaterThan(Math.max(...other) + 0.2);
});

describe.skipIf(!installed && process.env.CI !== 'true')('the package that is installed', () => {
  const vocabulary = installed ? readVocabulary() : [];
  const weights = installed ? readWeights() : new Map();

  test('has 8,000 pieces and 7 million weights', () => {
    expect(vocabulary.length).toBe(8000);
    expect([...weights.values()].reduce((total, { data }) => total + data.length, 0)).toBe(6_975_877);
  });

  test.each(cases)('has these ids for "$text"', ({ text, ids }) => {
    expect(tokenize(vocabulary, text)).toEqual(ids);
  });

  test('has no ids for nothing', () => {
    expect(tokenize(vocabulary, '')).toEqual([]);
  });

  // Its runtime computes in f32: the largest difference of any text is 4.7e-7.
  test.each(cases.map((each, i) => ({ ...each, i })))('gives this vector for "$text"', ({ ids, i }) => {
    const ours = forward(weights, ids);
    const far = ours.reduce((most, value, c) => Math.max(most, Math.abs(value - (vector(i)[c] as number))), 0);
    expect(far).toBeLessThan(1e-6);
  });
});
