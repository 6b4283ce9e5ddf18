/** Files that somebody drops on the panel Models: configs in words and curves of the kernels, and headers of safetensors, good and hostile. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type ConfigReport, describeConfig } from '../../src/panels/models/config.ts';
import { inspectFolder } from '../../src/panels/models/folder.ts';
import { schemeAddress } from '../../src/panels/models/link.ts';
import { readTensorList } from '../../src/panels/models/tensors.ts';

const root = new URL('../../../', import.meta.url);
const tiny = (name: string): Promise<ConfigReport> =>
  describeConfig(readFileSync(new URL(`test/models/checkpoints/${name}/config.json`, root), 'utf8'));
const told = (config: unknown): Promise<ConfigReport> => describeConfig(JSON.stringify(config));

const LLAMA = { model_type: 'llama', hidden_size: 4096, num_attention_heads: 32, max_position_embeddings: 8192, rope_theta: 500000 };

/** The mean cosine over the pairs of a rotation, plain. */
const meanCosine = (distance: number, dim: number, D: number, theta: number): number => {
  let sum = D - dim;
  for (let i = 0; i < dim / 2; i++) sum += 2 * Math.cos(distance * theta ** ((-2 * i) / dim));
  return sum / D;
};

describe('configs', () => {
  test('a rotation: words, and the mean cosine of its pairs', async () => {
    const { model, words, distances, curves, link } = await told(LLAMA);
    expect(model).toBe('llama');
    expect(words[0]).toBe(
      'Rotary positions: all 128 channels of a head turn, each of the first half with one of the second. The base θ is 500,000.',
    );
    expect(words[1]).toBe('Scores are q·k times 0.0884.');
    expect(link).toEqual({ scheme: 'rotary', values: { layout: 'halves', part: 1, theta: 500000 } });
    expect(link && schemeAddress(link)).toEqual({ hash: '#/schemes?a=rotary&a.theta=500000', exact: true });
    expect([distances[0], distances.at(-1)]).toEqual([1, 8192]);
    const [curve] = curves;
    for (const [n, distance] of distances.entries()) {
      expect(Math.abs((curve?.values[n] as number) - meanCosine(distance, 128, 128, 500000))).toBeLessThan(2e-6);
    }
  });

  test('half of the channels, in pairs', async () => {
    const { words, distances, curves } = await tiny('gptj');
    expect(words[0]).toContain('8 of the 12 channels of a head turn, neighbours in pairs');
    for (const [n, distance] of distances.entries()) {
      expect(Math.abs((curves[0]?.values[n] as number) - meanCosine(distance, 8, 12, 10000))).toBeLessThan(2e-6);
    }
  });

  test('a longer context by a scaling', async () => {
    const scaling = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 8192 };
    const { words, link } = await told({ ...LLAMA, max_position_embeddings: 32768, rope_scaling: scaling });
    expect(words[0]).toContain('The context is made longer by a factor of 4, beyond the 8,192 tokens of the training: yarn.');
    expect(link && schemeAddress(link)).toEqual({
      hash: '#/schemes?a=rotary&a.theta=500000&a.scaling=yarn&a.trained=8192',
      exact: true,
    });
    const far = await told({ ...LLAMA, rope_scaling: { ...scaling, factor: 40 } });
    expect(far.link && schemeAddress(far.link)).toEqual({
      hash: '#/schemes?a=rotary&a.theta=500000&a.scaling=yarn&a.factor=32&a.trained=8192',
      exact: false,
    });
  });

  test('layers that differ have a curve each, and their own base', async () => {
    const { words, curves } = await tiny('modernbert-biases');
    expect(curves.map(({ label }) => label)).toEqual(['full_attention', 'sliding_attention']);
    expect(words[0]).toContain('In layers of full attention, rotary positions: all 16 channels');
    const flat = await told({ ...LLAMA, model_type: 'gemma3_text', head_dim: 128, rope_local_base_freq: 10000, sliding_window: 512 });
    expect(flat.words.find((one) => one.includes('full attention'))).toContain('The base θ is 500,000.');
    expect(flat.words.find((one) => one.includes('sliding attention'))).toContain('The base θ is 10,000.');
    expect(flat.words).toContain('Some layers, or all, see a window of 512 tokens alone.');
  });

  test('layers that do not turn are counted', async () => {
    expect((await tiny('smollm3')).words[0]).toMatch(/^In \d of the \d layers \(the others know of no positions\), rotary positions: all/);
  });

  test('DeepSeek reads pairs and writes halves', async () => {
    const { words } = await told({
      ...{ model_type: 'deepseek_v3', hidden_size: 7168, num_attention_heads: 128, qk_nope_head_dim: 128, qk_rope_head_dim: 64 },
      max_position_embeddings: 4096,
    });
    expect(words[0]).toContain('64 of the 192 channels of a head turn, neighbours in pairs, written as two halves.');
  });

  test('the lines of ALiBi are those of the kernels', async () => {
    const { curves, distances, link } = await told({ model_type: 'bloom', hidden_size: 64, n_head: 8 });
    expect(link).toEqual({ scheme: 'alibi', values: {} });
    expect(curves.map(({ label }) => label)).toEqual(['head 1 of 8', 'head 5 of 8', 'head 8 of 8']);
    for (const [n, distance] of distances.entries()) {
      if (distance < 1024) expect(curves[0]?.values[n]).toBeCloseTo(-0.5 * distance, 4);
      else expect(curves[0]?.values[n]).toBeNaN();
    }
  });

  test.each([
    ['bert', 'A vector of the place in the text is added to each embedding, one for each of 80 places', undefined],
    ['t5', 'one of 12 buckets', '#/schemes?a=t5&a.buckets=12&a.maxDistance=33'],
    ['mpnet', 'one of 32 buckets', '#/schemes?a=mpnet'],
    ['deberta-v3', 'in 8 logarithmic buckets to each side (p2c and c2p)', '#/schemes?a=deberta'],
    ['xlnet', 'sinusoids of the distance', '#/schemes?a=xlnet'],
    ['swin', 'Windows of 4 × 4 cells', '#/schemes?a=swin'],
    ['jina-v2', 'ALiBi', '#/schemes?a=alibi'],
  ])('%s in words', async (name, words, link) => {
    const report = await tiny(name);
    expect(report.words.join(' ')).toContain(words);
    expect(report.link && schemeAddress(report.link).hash).toBe(link);
  });

  test.each([
    ['{', 'This file is not JSON:'],
    ['[]', 'A config.json is an object, and this JSON is none.'],
    ['null', 'A config.json is an object, and this JSON is none.'],
    ['{"name":"x"}', 'This JSON is no config of a model: it has neither “model_type” nor “hidden_size”.'],
    ['{"model_type":"unheard","hidden_size":10}', '“unheard” is no model type of transformers 5.18'],
    ['{"model_type":"llama","hidden_size":"x"}', '"hidden_size" expected an integer, got "x"'],
    ['{"model_type":"llama","hidden_size":64,"num_attention_heads":0}', '"num_attention_heads" expected an integer ≥ 1, got 0'],
    ['{"model_type":"llama","hidden_size":64,"num_attention_heads":8,"rope_scaling":{"type":"zoom"}}', 'zoom'],
    [JSON.stringify({ ...LLAMA, rope_theta: -1 }), 'rope_theta'],
    ['{"model_type":{"a":1},"hidden_size":64}', 'The “model_type” of a config is a word'],
    ['{"model_type":"bloom","hidden_size":64,"n_head":-3}', '“n_head” expected a whole number'],
    ['{"model_type":"bloom","hidden_size":64,"n_head":1e12}', '“n_head” expected a whole number'],
    ['{"model_type":"bloom","hidden_size":64,"n_head":2.5}', '“n_head” expected a whole number'],
  ])('%s is refused in a sentence', async (text, message) => {
    const error = (await describeConfig(text).catch((wrong: Error) => wrong)) as Error;
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('\n');
  });
});

const MODEL = readFileSync(new URL('examples/models/story-llama/model.safetensors', root));
const header = (text: string, length = BigInt(new TextEncoder().encode(text).length)): Blob =>
  new Blob([new Uint8Array(new BigUint64Array([length]).buffer), text]);

describe('what a config says at length', () => {
  test('a model type of 5 MB, and layers of such types, are shortened', async () => {
    const error = (await told({ model_type: 'x'.repeat(5e6), hidden_size: 8 }).catch((wrong: Error) => wrong)) as Error;
    expect(error.message.length).toBeLessThan(200);
    const long = `sliding_${'é'.repeat(1e5)}`;
    const { words, curves } = await told({ ...LLAMA, model_type: 'gemma3_text', head_dim: 128, layer_types: [long, 'full_attention'] });
    expect(words.length).toBeGreaterThan(0);
    for (const text of [...words, ...curves.map(({ label }) => label)]) expect(text.length).toBeLessThan(300);
  });

  test('a depth of 100,000 is read, or refused in a sentence', async () => {
    const deep = `${'['.repeat(1e5)}${']'.repeat(1e5)}`;
    const found = await describeConfig(`{"model_type":"bert","hidden_size":8,"extra":${deep}}`).catch((wrong: Error) => wrong);
    expect('words' in found ? found.model : found.message).toMatch(/^bert$|^This file is not JSON/);
    const error = (await describeConfig(`{"model_type":${deep},"hidden_size":8}`).catch((wrong: Error) => wrong)) as Error;
    expect(error.message).toMatch(/model_type/);
    expect(error.message.length).toBeLessThan(300);
  });
});

describe('safetensors', () => {
  test('a good file is listed', async () => {
    const list = await readTensorList(new Blob([MODEL]));
    expect(list.count).toBe(list.tensors.length);
    expect(list.bytes).toBe(MODEL.length - 8 - Number(MODEL.readBigUInt64LE(0)));
    expect(list.types.reduce((sum, [, bytes]) => sum + bytes, 0)).toBe(list.bytes);
    expect(list.tensors.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(list.bytes);
    expect(list.tensors.every(({ dtype }) => list.types.some(([type]) => type === dtype))).toBe(true);
  });

  test('of very many tensors some are listed, and all are counted', async () => {
    const entries = Array.from({ length: 700 }, (_, n) => [`t${n}`, { dtype: 'U8', shape: [1], data_offsets: [n, n + 1] }]);
    const text = JSON.stringify(Object.fromEntries(entries));
    const list = await readTensorList(new Blob([header(text), new Uint8Array(700)]));
    expect([list.count, list.tensors.length, list.numbers]).toEqual([700, 500, 700]);
  });

  test.each([
    ['an empty file', new Blob([]), 'expected at least 8 bytes'],
    ['a truncated file', new Blob([MODEL.subarray(0, 4000)]), 'does not fit'],
    ['a file without its last bytes', new Blob([MODEL.subarray(0, MODEL.length - 4)]), 'data_offsets within'],
    ['a huge header', header('{}', 2n ** 62n), 'header expected at most 100000000 bytes'],
    ['a header that is no JSON', header('{"a":}'), 'header is not valid JSON'],
    ['a header that nests', header(`{"a":${'['.repeat(100_000)}`), 'nests deeper'],
    ['a key twice', header('{"a":1,"a":2}'), 'has the key "a" twice'],
    ['tensors that overlap', header('{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}'), 'shape of integers'],
  ])('%s is refused in a sentence', async (_, file, message) => {
    const error = (await readTensorList(file).catch((wrong: Error) => wrong)) as Error;
    expect(error.message).toMatch(/^safetensors: /);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('\n');
  });
});

test('a folder: what it would take, or what is wrong with it', async () => {
  const story = (name: string): Blob => new Blob([readFileSync(new URL(`examples/models/story-llama/${name}`, root))]);
  const config = story('config.json');
  const { stored, memory } = await inspectFolder(
    new Map([
      ['config.json', config],
      ['model.safetensors', new Blob([MODEL])],
    ]),
  );
  expect(stored).toBeGreaterThan(2.9e6);
  expect(memory.map(([weights]) => weights)).toEqual(['f32', 'i8', 'i4']);
  const [f32, i8, i4] = memory.map(([, bytes]) => bytes) as [number, number, number];
  expect(f32 > i8 && i8 > i4).toBe(true);
  const broken = new Map([
    ['config.json', config],
    ['model.safetensors', new Blob([MODEL.subarray(0, 100)])],
  ]);
  await expect(inspectFolder(broken)).rejects.toThrow(/model\.safetensors/);
  await expect(inspectFolder(new Map([['config.json', new Blob(['{'])]]))).rejects.toThrow(/config\.json/);
});
