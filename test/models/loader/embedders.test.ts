/** Decoders that embed, against what sentence-transformers computes of the same folder. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { estimate, loadDecoder, loadEncoder, pack } from '../../../src/models/index.ts';
import { readSafetensors } from '../../../src/safetensors/index.ts';
import { numbersOf } from '../../conformance/golden.ts';
import { checkpoint, type ReferenceTensor } from '../checkpoints.ts';

const { folder, cases } = checkpoint('qwen3-embedding');
const texts = cases.map(({ text }) => text as string);
const golden = readSafetensors(readFileSync(`${folder}vectors.safetensors`));
const vector = (n: number, name: 'plain' | 'query') => numbersOf(golden, `${n}.${name}`) as Float32Array;
const far = (a: Float32Array, b: Float32Array): number => a.reduce((most, x, n) => Math.max(most, Math.abs(x - (b[n] as number))), 0);
const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, n) => sum + x * (b[n] as number), 0);
/** Twice the original's own distance, in f32, from its f64 run. */
const WITHIN = 2 * Number(golden.metadata.error);

const work = mkdtempSync(join(tmpdir(), 'relpos-embedders-'));
afterAll(() => rmSync(work, { recursive: true }));

/** The files by name, some of them left out or of other content. */
function files(changes: Readonly<Record<string, unknown>>): Record<string, Uint8Array> {
  const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'modules.json', '1_Pooling/config.json'];
  const all = names.map((name) => [name, new Uint8Array(readFileSync(folder + name))] as const);
  const made = Object.entries(changes).map(([name, value]) => [name, new TextEncoder().encode(JSON.stringify(value))] as const);
  return Object.fromEntries([...all, ...made].filter(([name]) => changes[name] !== null));
}
const config = (more: object): object => ({ ...JSON.parse(readFileSync(`${folder}config.json`, 'utf8')), ...more });

describe('a decoder with the files of sentence-transformers', () => {
  test('embeds as that does: the last row, of length 1, after the prompt that is named', async () => {
    using encoder = await loadEncoder(folder, { weights: 'f32', threads: 1 });
    expect([encoder.blueprint.kind, encoder.blueprint.logits, encoder.blueprint.decoder]).toEqual(['encoder', undefined, undefined]);
    expect(Object.isFrozen(encoder.blueprint.encoder)).toBe(true);
    for (const [n, text] of texts.entries()) {
      expect(far(await encoder.embed(text), vector(n, 'plain'))).toBeLessThan(WITHIN);
      expect(far(await encoder.embed(text, { prompt: 'query' }), vector(n, 'query'))).toBeLessThan(WITHIN);
      expect(await encoder.embed(text, { prompt: 'document' })).toEqual(await encoder.embed(text));
    }
    // Together as alone: rows of one text see none of another.
    expect(await encoder.embed(texts)).toEqual([await encoder.embed(texts[0] as string), await encoder.embed(texts[1] as string)]);
    // Its tokenizer appends the token whose row that is, to a text that was cut too.
    const { eos } = encoder.tokenizer.special;
    expect(encoder.tokenizer.encode(texts[0] as string).ids.at(-1)).toBe(eos?.id);
    const { ids } = encoder.tokenizer.encode(texts[1] as string, { maxLength: 9 });
    expect([ids.length, ids.at(-1)]).toEqual([9, eos?.id]);
    await expect(encoder.fillMask('a')).rejects.toThrow('the model fills no masks (it is a qwen3)');
  });

  test('has the rows of the original, by whatever pooling', async () => {
    using encoder = await loadEncoder(folder, { weights: 'f32', threads: 1 });
    for (const { text, tensors, errors } of cases) {
      const { data, shape } = tensors.hidden as ReferenceTensor;
      const [tokens, width] = shape as [number, number];
      const within = 2 * Math.max(...Object.values(errors));
      const { rows } = await encoder.hidden(text as string);
      expect(rows).toHaveLength(tokens);
      for (const [n, row] of rows.entries()) expect(far(row, data.slice(n * width, (n + 1) * width))).toBeLessThan(within);
      const mean = await encoder.embed(text as string, { pooling: 'mean', normalize: false });
      const exact = Float32Array.from(mean, (_, c) => {
        let sum = 0;
        for (let n = 0; n < tokens; n++) sum += data[n * width + c] as number;
        return sum / tokens;
      });
      expect(far(mean, exact)).toBeLessThan(within);
    }
  });

  test.each(['f16', 'i8', 'i4'] as const)('in %s: near, the same on any number of threads and in a packed folder', async (weights) => {
    using one = await loadEncoder(folder, { weights, threads: 1 });
    const vectors = await one.embed(texts);
    // Of random weights, a row of 36 numbers: 0.891 in i4.
    for (const [n, ours] of vectors.entries())
      expect(dot(ours, vector(n, 'plain'))).toBeGreaterThan({ f16: 0.99999, i8: 0.995, i4: 0.88 }[weights]);
    using three = await loadEncoder(folder, { weights, threads: 3 });
    expect(await three.embed(texts)).toEqual(vectors);
    const to = join(work, weights);
    await pack(folder, to, { weights, threads: 1 });
    expect(readdirSync(to)).toEqual(expect.arrayContaining(['modules.json', '1_Pooling', 'config_sentence_transformers.json']));
    using packed = await loadEncoder(to, { threads: 1 });
    expect(await packed.embed(texts, { prompt: 'query' })).toEqual(await one.embed(texts, { prompt: 'query' }));
  });

  test('goes on with texts all the same, as its packed folder does, and is estimated as an encoder', async () => {
    const said = async (from: string): Promise<string[]> => {
      using decoder = await loadDecoder(from, { weights: 'f32', threads: 1 });
      const pieces: string[] = [];
      for (const { ids } of cases) {
        let text = '';
        for await (const piece of decoder.generate(ids as number[], { maxTokens: 20 })) text += piece;
        pieces.push(text);
      }
      return pieces;
    };
    const to = join(work, 'f32');
    await pack(folder, to, { weights: 'f32', threads: 1 });
    const continued = cases.map(({ continuation }) => continuation);
    expect([await said(folder), await said(to)]).toEqual([continued, continued]);
    expect((await estimate(folder)).cache).toBe(0);
    expect((await estimate(files({ 'modules.json': null }))).cache).toBeGreaterThan(0);
  });

  test('with an output of its own: no encoder packs that, and no decoder misses it unnoticed', async () => {
    const { tensors } = readSafetensors(readFileSync(`${checkpoint('qwen3').folder}model.safetensors`));
    expect(tensors.has('lm_head.weight')).toBe(true);
    const own = checkpoint('qwen3').folder;
    const given = files({ 'config.json': null, 'model.safetensors': null });
    for (const name of ['config.json', 'model.safetensors', 'tokenizer.json']) given[name] = new Uint8Array(readFileSync(own + name));
    const to = join(work, 'own');
    const { files: written } = await pack(given, to, { weights: 'f16', threads: 1 });
    expect(written.find(({ name }) => name === 'model.safetensors')?.bytes).toBeLessThan(readFileSync(`${own}model.safetensors`).length);
    using encoder = await loadEncoder(to, { threads: 1 });
    using plain = await loadEncoder(given, { weights: 'f16', threads: 1 });
    expect(await encoder.embed(texts)).toEqual(await plain.embed(texts));
    await expect(loadDecoder(to, { threads: 1 })).rejects.toThrow('no tensor "lm_head.weight"');
  });
});

test('without these files it is a decoder', async () => {
  const loading = loadEncoder(files({ 'modules.json': null }), { threads: 1 });
  await expect(loading).rejects.toThrow('"model" expected an encoder, got qwen3, a decoder: use loadDecoder');
});

test('one that sees both ways, as its config says, is an encoder', async () => {
  const given = files({ 'config.json': config({ is_causal: false }), 'modules.json': null });
  using both = await loadEncoder(given, { weights: 'f32', threads: 1 });
  const rows = numbersOf(golden, '0.both') as Float32Array;
  const found = await both.hidden(texts[0] as string);
  const within = 2 * Number(golden.metadata.both);
  for (const [n, row] of found.rows.entries()) expect(far(row, rows.slice(n * row.length, (n + 1) * row.length))).toBeLessThan(within);
  await expect(loadDecoder(given, { threads: 1 })).rejects.toThrow('got qwen3, an encoder: use loadEncoder');
  const window = config({ is_causal: false, use_sliding_window: true, sliding_window: 4, max_window_layers: 0 });
  await expect(loadEncoder(files({ 'config.json': window, 'modules.json': null }), { threads: 1 })).rejects.toThrow(
    '"is_causal" expected true',
  );
});
