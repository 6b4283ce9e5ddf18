/** The references of the tiny checkpoints are whole and in themselves right: what the tests of models compare with. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { type Checkpoint, checkpoint, checkpointNames, type ReferenceCase } from './checkpoints.ts';

const all = checkpointNames.map(checkpoint);
const cases = all.flatMap((of) => of.cases.map((each, number) => ({ name: `${of.name} ${number}`, of, each })));

/** The one number of the config that has one of these names. */
const size = (of: Checkpoint, ...keys: string[]) => keys.map((key) => of.config[key]).find((value) => typeof value === 'number') as number;
const width = (of: Checkpoint) => size(of, 'hidden_size', 'd_model', 'dim', 'n_embd');
const vocabulary = (of: Checkpoint) => size(of, 'vocab_size');

/** The highest number of a row and the next. */
const two = (row: Float32Array) => [...row].sort((a, b) => b - a).slice(0, 2) as [number, number];

describe.each(all)('$name', (of) => {
  test('is small, and its weights are finite', () => {
    expect(statSync(`${of.folder}model.safetensors`).size).toBeLessThan(150_000);
    const { tensors } = readSafetensors(readFileSync(`${of.folder}model.safetensors`));
    for (const [name, { dtype, data }] of tensors) {
      if (dtype !== 'F16') continue;
      const halves = new Uint16Array(data.slice().buffer);
      expect(halves.every((half) => (half & 0x7c00) !== 0x7c00)).toBe(true);
      // A parameter that is one number everywhere would hide what is done with it.
      expect(halves.length === 1 || new Set(halves).size > 1, name).toBe(true);
    }
  });

  test('has a source and cases', () => {
    expect(of.source).toMatch(/^transformers \d|^a module of our own/);
    expect(of.cases.length).toBeGreaterThan(0);
    expect(readdirSync(of.folder)).toContain('config.json');
  });
});

describe.each(cases)('$name', ({ of, each }: { of: Checkpoint; each: ReferenceCase }) => {
  test('has finite tensors, and an error of the original for each', () => {
    expect(Object.keys(each.errors).sort()).toEqual(Object.keys(each.tensors).sort());
    for (const [name, { shape, data }] of Object.entries(each.tensors)) {
      expect(data.length, name).toBe(shape.reduce((product, side) => product * side, 1));
      expect(data.every(Number.isFinite), name).toBe(true);
      const peak = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(peak, name).toBeGreaterThan(0);
      expect(each.errors[name], name).toBeLessThan(1e-4 * peak);
    }
  });

  test('has rows for its tokens, and tokens of the vocabulary', () => {
    const { ids, tensors } = each;
    if (!ids) return expect(tensors.pixels?.shape).toEqual([3, ...[of.config.image_size, of.config.image_size].flat().slice(-2)]);
    for (const id of [...ids, ...(each.tokens ?? [])]) expect(id >= 0 && id < vocabulary(of)).toBe(true);
    const side = each.start === undefined ? '' : 'encoder.';
    expect(tensors[`${side}embeddings`]?.shape).toEqual([ids.length, 8]);
    expect(tensors[`${side}hidden`]?.shape).toEqual([ids.length, width(of)]);
    if (each.start !== undefined) expect(tensors['decoder.hidden']?.shape).toEqual([each.tokens?.length, width(of)]);
  });
});

describe.each(cases.filter(({ each }) => each.tokens))('$name', ({ of, each }: { of: Checkpoint; each: ReferenceCase }) => {
  test('goes on with 20 tokens that lead clearly', () => {
    expect(each.tokens?.length).toBe(20);
    expect(each.smallestLead).toBeGreaterThan(1e-3);
    const { shape, data } = each.tensors.logits as { shape: readonly number[]; data: Float32Array };
    expect(shape).toEqual([vocabulary(of)]);
    const [highest, next] = two(data);
    expect(highest - next).toBeGreaterThan(each.start === undefined ? (each.smallestLead as number) * 0.99 : 1e-3);
    expect(data.indexOf(highest)).toBe(each.tokens?.[each.start === undefined ? 0 : 19]);
  });
});
