/** Layers behind the pooling, against what sentence-transformers computes of the same folder. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { RelposError } from '../../../src/index.ts';
import { estimate, loadEncoder, pack } from '../../../src/models/index.ts';
import { readSafetensors } from '../../../src/safetensors/index.ts';
import { numbersOf } from '../../conformance/golden.ts';
import { checkpoint } from '../checkpoints.ts';

const { folder, cases } = checkpoint('bert-dense');
const texts = cases.map(({ text }) => text as string);
const golden = readSafetensors(readFileSync(`${folder}vectors.safetensors`));
const vector = (n: number, name: 'plain' | 'normalized') => numbersOf(golden, `${n}.${name}`) as Float32Array;
const far = (a: Float32Array, b: Float32Array): number => a.reduce((most, x, n) => Math.max(most, Math.abs(x - (b[n] as number))), 0);

const work = mkdtempSync(join(tmpdir(), 'relpos-dense-'));
afterAll(() => rmSync(work, { recursive: true }));

/** The files by name; `changes` are made to the JSON of some. */
function files(changes: Readonly<Record<string, unknown>> = {}): Record<string, Uint8Array> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const all = names.map((entry) => {
    const path = `${entry.parentPath}/${entry.name}`.replaceAll('//', '/');
    return [path.slice(folder.length), new Uint8Array(readFileSync(path))] as const;
  });
  const made = Object.entries(changes).map(([name, value]) => [name, new TextEncoder().encode(JSON.stringify(value))] as const);
  return Object.fromEntries([...all, ...made].filter(([name]) => changes[name] !== null));
}

const config = (name: string, more: object): object => ({ ...JSON.parse(readFileSync(`${folder}${name}`, 'utf8')), ...more });

describe('vectors of a folder with layers behind its pooling', () => {
  test('are those of sentence-transformers, of length 1 and as they come', async () => {
    const encoder = await loadEncoder(folder, { weights: 'f32', threads: 1 });
    // Its f32 run is 1.7e-7 from its f64 run; rows before the pooling are 8.3e-7 off.
    for (const [n, text] of texts.entries()) {
      expect(far(await encoder.embed(text), vector(n, 'normalized'))).toBeLessThan(8e-7);
      expect(far(await encoder.embed(text, { normalize: false }), vector(n, 'plain'))).toBeLessThan(8e-7);
    }
    const both = await encoder.embed(texts);
    expect(both.map(({ length }) => length)).toEqual([24, 24]);
    expect(both).toEqual([await encoder.embed(texts[0] as string), await encoder.embed(texts[1] as string)]);
    expect((await encoder.hidden('a')).rows[0]).toHaveLength(36);
    encoder.dispose();
  });

  test.each(['f16', 'bf16', 'i8', 'i4'] as const)(
    'in %s are near, the same on any number of threads, and what is estimated',
    async (weights) => {
      const [one, three] = [await loadEncoder(folder, { weights, threads: 1 }), await loadEncoder(folder, { weights, threads: 3 })];
      const vectors = await one.embed(texts);
      expect(await three.embed(texts)).toEqual(vectors);
      const least = { f16: 0.999999, bf16: 0.9999, i8: 0.999, i4: 0.95 }[weights];
      for (const [n, ours] of vectors.entries()) {
        expect(ours.reduce((sum, x, c) => sum + x * (vector(n, 'normalized')[c] as number), 0)).toBeGreaterThan(least);
      }
      const without = files({ 'modules.json': null });
      const [whole, less] = [await estimate(folder, { weights }), await estimate(without, { weights })];
      // Eight rows of numbers make a panel, and these are never integers: 24 · 36 and 24 · 20 of them, 24 biases.
      expect(whole.weights - less.weights).toBeGreaterThanOrEqual(2 * 24 * (36 + 20) + 4 * 24);
      expect(whole.stored - less.stored).toBe(2 * (20 * 36 + 20 + 24 * 20));
      one.dispose();
      three.dispose();
    },
  );

  test.each(['f32', 'i8'] as const)('of a packed folder in %s are the same', async (weights) => {
    const to = join(work, weights);
    const { files: written } = await pack(folder, to, { weights, threads: 1 });
    // The layers are among the model's own.
    expect(written.map(({ name }) => name).filter((name) => name.includes('Dense'))).toEqual([
      '2_Dense/config.json',
      '3_Dense/config.json',
    ]);
    const [packed, plain] = [await loadEncoder(to, { threads: 1 }), await loadEncoder(folder, { weights, threads: 1 })];
    expect(await packed.embed(texts)).toEqual(await plain.embed(texts));
    packed.dispose();
    plain.dispose();
  });

  test('are plain where no module says otherwise', async () => {
    const modules = JSON.parse(readFileSync(`${folder}modules.json`, 'utf8')).slice(0, 4);
    const encoder = await loadEncoder(files({ 'modules.json': modules }), { weights: 'f32', threads: 1 });
    expect(far(await encoder.embed(texts[0] as string), vector(0, 'plain'))).toBeLessThan(8e-7);
    encoder.dispose();
  });
});

describe('what cannot be computed is refused before weights are fetched', () => {
  const modules = JSON.parse(readFileSync(`${folder}modules.json`, 'utf8')) as { readonly path: string }[];
  test.each<[string, Record<string, unknown>, string]>([
    ['a missing config', { '2_Dense/config.json': null }, '"2_Dense/config.json": there is none, and modules.json names it'],
    ['missing weights', { '3_Dense/model.safetensors': null }, '"3_Dense/model.safetensors"'],
    [
      'a width that does not fit',
      { '2_Dense/config.json': config('2_Dense/config.json', { in_features: 35 }) },
      '"in_features" expected 36, the width',
    ],
    [
      'another shape',
      { '2_Dense/config.json': config('2_Dense/config.json', { out_features: 21 }) },
      '"2_Dense/linear.weight" expected shape [21, 36]',
    ],
    ['no bias', { '3_Dense/config.json': config('3_Dense/config.json', { bias: true }) }, 'no tensor "3_Dense/linear.bias"'],
    [
      'an activation',
      { '2_Dense/config.json': config('2_Dense/config.json', { activation_function: 'torch.nn.modules.activation.Mish' }) },
      '"2_Dense/config.json": "activation_function" expected one of Identity, Tanh',
    ],
    [
      'other rows',
      { '2_Dense/config.json': config('2_Dense/config.json', { module_input_name: 'token_embeddings' }) },
      '"module_input_name" expected',
    ],
    [
      'a residual',
      { '2_Dense/config.json': config('2_Dense/config.json', { use_residual: true }) },
      '"use_residual" expected false, got true',
    ],
    ['length 1 before', { 'modules.json': [0, 1, 4, 2].map((n) => modules[n]) }, '"2_Dense" stands behind a Normalize'],
  ])('%s', async (_, changes, message) => {
    const loading = loadEncoder(files(changes), { threads: 1 });
    await expect(loading).rejects.toThrow(RelposError);
    await expect(loading).rejects.toThrow(message);
  });
});
