/** The trained encoder from npm: a plain f64 forward pass and the kernels give the vectors of its own runtime, which rank what says the same first. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import { type Encoder, loadEncoder, pack } from '../../../src/models/index.ts';
import type { WeightType } from '../../../src/nn/weights.ts';
import { readSafetensors } from '../../../src/safetensors/index.ts';
import { numbersOf, shapeOf } from '../../conformance/golden.ts';
import { installed, readVocabulary, readWeights, writeCheckpoint } from './checkpoint.mjs';
import { forward, tokenize } from './encoder.ts';

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

  const folder = installed ? writeCheckpoint(mkdtempSync(join(tmpdir(), 'relpos-trained-'))) : '';
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function embedded(weights: WeightType, threads = 1): Promise<{ readonly encoder: Encoder; readonly vectors: Float32Array[] }> {
    const encoder = await loadEncoder(folder, { weights, threads });
    const vectors = await encoder.embed(cases.map(({ text }) => text));
    return { encoder, vectors };
  }

  test('as a folder has the same ids, the first 128 of a long text', async () => {
    const encoder = await loadEncoder(folder);
    for (const { text, ids } of cases) {
      expect([...encoder.tokenizer.encode(text, { maxLength: 1e6 }).ids], text).toEqual(ids);
      expect((await encoder.hidden(text)).ids.length).toBe(Math.min(128, ids.length));
    }
    // What is never found in a text is not found there by its name either.
    for (const text of ['<s> a', '</s>', 'extra_token_id_1', '<reserved 1>', '  two  blanks ', '\ufffd\ufffd']) {
      expect([...encoder.tokenizer.encode(text).ids], text).toEqual(tokenize(vocabulary, text));
    }
    expect(encoder.tokenizer.encode('').ids.length).toBe(0);
    expect(await encoder.embed('')).toEqual(new Float32Array(width));
    encoder.dispose();
  });

  // Measured: 5.3e-7 in f32 of numbers up to 0.2; tfjs itself is within 4.7e-7 of f64.
  test('by the kernels in f32 gives the vectors that its own runtime gives', async () => {
    const { encoder, vectors } = await embedded('f32');
    for (const [i, ours] of vectors.entries()) {
      const far = ours.reduce((most, value, c) => Math.max(most, Math.abs(value - (vector(i)[c] as number))), 0);
      expect(far, cases[i]?.text).toBeLessThan(1e-6);
      expect(Math.abs(dot(ours, ours) - 1)).toBeLessThan(1e-6);
    }
    encoder.dispose();
  });

  // Cosine to the recorded vectors, measured: of a sentence on average 0.99953 in i8 and 0.9858 in i4; of any text at least 0.99916 and
  // 0.9589, of that of one token.
  test.each([
    ['f16', 1 - 2e-6, 1 - 2e-6],
    ['bf16', 1 - 5e-5, 1 - 5e-5],
    ['i8', 0.9995, 0.999],
    ['i4', 0.985, 0.95],
  ] as const)('in %s has vectors like these, and ranks what says the same first', async (weights, onAverage, atLeast) => {
    const { encoder, vectors } = await embedded(weights);
    const cosines = vectors.map((ours, i) => dot(ours, vector(i)));
    expect(cosines.slice(0, 2 * paraphrases).reduce((a, b) => a + b, 0) / (2 * paraphrases)).toBeGreaterThan(onAverage);
    expect(Math.min(...cosines)).toBeGreaterThan(atLeast);
    const among = await encoder.similarity(vectors.slice(0, 2 * paraphrases));
    for (const [i, row] of among.entries()) {
      const [, nearest] = [...row.keys()].sort((a, b) => (row[b] as number) - (row[a] as number));
      expect(nearest, cases[i]?.text).toBe(i ^ 1);
    }
    encoder.dispose();
  });

  test.each(['i8', 'i4'] as const)('in %s what reads the rows of the embeddings is of f16', async (weights) => {
    const to = join(folder, weights);
    await pack(folder, to, { weights });
    const { tensors } = readSafetensors(readFileSync(join(to, 'model.safetensors')));
    const floats = [...tensors].filter(([, { dtype }]) => dtype === 'F16').map(([name]) => name);
    expect(floats).toEqual(['embeddings.projection.weight', 'layers.0.attention.qkv.weight', '2_Dense/linear.weight']);
  });

  test('has the same bits on three threads', async () => {
    for (const weights of ['f32', 'i8'] as const) {
      const [one, three] = [await embedded(weights), await embedded(weights, 3)];
      expect(three.vectors).toEqual(one.vectors);
      for (const { encoder } of [one, three]) encoder.dispose();
    }
  });
});
