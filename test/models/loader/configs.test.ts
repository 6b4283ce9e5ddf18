/**
 * Configurations that no model has. Every key that a family reads is given what it must not be: it is refused by name before any weight is read,
 * or it is a model that runs. Files that nest too deep are refused before anyone walks them.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Blueprint } from '../../../src/models/blueprint.ts';
import { findBlueprint } from '../../../src/models/families/find.ts';
import { loadDecoder, loadEncoder } from '../../../src/models/index.ts';
import { VERSION } from '../../../src/models/packed-format.ts';
import { PACKED } from '../../../src/models/packing.ts';
import type { TensorIndex } from '../../../src/models/tensors.ts';
import { readSafetensors, type SafeTensor, writeSafetensors } from '../../../src/safetensors/index.ts';
import { checkpoint, checkpointNames } from '../checkpoints.ts';
import { Reference } from '../reference.ts';
import { BERT_CONFIG, WORD_PIECES } from './vocabularies.ts';

type Json = Readonly<Record<string, unknown>>;

/** Images: test/models/vision.test.ts. */
const REFUSED = ['swin'];
const names = checkpointNames.filter((name) => !REFUSED.some((start) => name.startsWith(start)));
const tensorsOf = (name: string): ReadonlyMap<string, SafeTensor> =>
  readSafetensors(readFileSync(`${checkpoint(name).folder}model.safetensors`)).tensors;

/** What no key is in any model; of every kind, so that one of them is wrong for each key. */
const HOSTILE: readonly unknown[] = [-1, -0.5, 0, 0.5, 1, 2 ** 31, 1e300, Infinity, Number.NaN, '7', true, [], [-1, 'x'], {}];

/** The keys that are read of a config. */
async function keysOf(config: Json, index: TensorIndex): Promise<string[]> {
  const keys = new Set<string>();
  const watched = new Proxy(config, {
    get(target, key) {
      if (typeof key === 'string') keys.add(key);
      return target[key as string];
    },
  });
  await findBlueprint(watched, index);
  return [...keys].filter((key) => key !== 'model_type' && key !== 'text_config');
}

/** What bounds the numbers of a blueprint, by what they are called there. */
const BOUNDS: Readonly<Record<string, readonly [least: number, most: number, whole: boolean]>> = {
  epsilon: [Number.MIN_VALUE, Number.MAX_VALUE, false],
  scale: [-(2 ** 100), 2 ** 100, false],
  multiplier: [-(2 ** 100), 2 ** 100, false],
  softcap: [2 ** -100, 2 ** 100, false],
  left: [0, 2 ** 30, true],
  right: [0, 2 ** 30, true],
  longest: [1, 2 ** 31 - 1, true],
  memory: [0, 65536, true],
  clamp: [-1, 2 ** 31 - 1, true],
};

function expectSane(part: unknown, name: string): void {
  if (typeof part === 'number') {
    const [least, most, whole] = BOUNDS[name] ?? [-(2 ** 100), 2 ** 100, false];
    expect(part >= least && part <= most && (!whole || Number.isInteger(part)), `${name}: ${part}`).toBe(true);
  } else if (typeof part === 'object' && part !== null) {
    for (const [key, value] of Object.entries(part)) expectSane(value, key);
  }
}

/** Runs a few tokens through a model. */
function run(blueprint: Blueprint, tensors: ReadonlyMap<string, SafeTensor>): void {
  const reference = new Reference(blueprint, tensors, { longest: 64 });
  const ids = [1, 2, 3];
  const memory = blueprint.encoder && reference.encode(ids);
  const rows = blueprint.decoder ? reference.decode(ids, undefined, memory) : (memory as ReturnType<Reference['encode']>);
  for (const row of rows) expect(Array.from(row).every(Number.isFinite)).toBe(true);
}

describe('every key of a config', () => {
  test.each(names)('%s', async (name) => {
    const { config } = checkpoint(name);
    const tensors = tensorsOf(name);
    const plain = JSON.stringify(await findBlueprint(config, tensors));
    for (const key of await keysOf(config, tensors)) {
      for (const value of HOSTILE) {
        const what = `${key}: ${JSON.stringify(value) ?? value}`;
        const made = await findBlueprint({ ...config, [key]: value }, tensors).catch((error: Error) => error);
        if (made instanceof Error) {
          expect(made instanceof TypeError || made instanceof RangeError, `${what}: ${made.stack}`).toBe(true);
          expect(made.message, what).toMatch(/^[\w.]+: ("[\w.[\]]+" |no tensor |"[\w.]+" expected shape)/);
          continue;
        }
        expectSane(made, what);
        if (JSON.stringify(made) !== plain) expect(() => run(made as Blueprint, tensors), what).not.toThrow();
      }
    }
  });
});

describe('numbers that would fail only when the model runs', () => {
  const factor = 'a number in 2^-100 … 2^100';

  test.each<[name: string, more: Json, message: string]>([
    ['mistral', { sliding_window: 0 }, '"sliding_window" expected an integer ≥ 1, got 0'],
    ['mistral', { sliding_window: -5 }, '"sliding_window" expected an integer ≥ 1, got -5'],
    ['mistral', { sliding_window: 1.5 }, '"sliding_window" expected an integer ≥ 1, got 1.5'],
    ['phi3', { sliding_window: 0 }, '"sliding_window" expected an integer ≥ 1, got 0'],
    ['qwen2-window', { max_window_layers: -1 }, '"max_window_layers" expected an integer ≥ 0, got -1'],
    ['gemma2', { query_pre_attn_scalar: 0 }, '"query_pre_attn_scalar" expected a finite number > 0, got 0'],
    ['gemma2', { query_pre_attn_scalar: -16 }, '"query_pre_attn_scalar" expected a finite number > 0, got -16'],
    ['gemma2', { query_pre_attn_scalar: 1e300 }, `"query_pre_attn_scalar" expected ${factor}, got 1e+300`],
    ['gemma2', { attn_logit_softcapping: 0 }, '"attn_logit_softcapping" expected a finite number > 0, got 0'],
    ['gemma2', { final_logit_softcapping: -30 }, '"final_logit_softcapping" expected a finite number > 0, got -30'],
    [
      'gemma2',
      { layer_types: ['chunked_attention'] },
      '"layer_types[0]" expected full_attention or sliding_attention, got "chunked_attention"',
    ],
    ['granite', { logits_scaling: 0 }, '"logits_scaling" expected a finite number > 0, got 0'],
    ['granite', { attention_multiplier: 1e300 }, `"attention_multiplier" expected ${factor}, got 1e+300`],
    ['granite', { embedding_multiplier: Infinity }, '"embedding_multiplier" expected a finite number > 0, got Infinity'],
    ['granite', { residual_multiplier: 1e-300 }, `"residual_multiplier" expected ${factor}, got 1e-300`],
    ['cohere', { logit_scale: 1e300 }, `"logit_scale" expected ${factor}, got 1e+300`],
    ['mpt', { attn_config: { softmax_scale: 1e300 } }, `"softmax_scale" expected ${factor}, got 1e+300`],
    ['llama', { rms_norm_eps: -1e-6 }, '"rms_norm_eps" expected a finite number > 0, got -0.000001'],
    ['llama', { rms_norm_eps: 0 }, '"rms_norm_eps" expected a finite number > 0, got 0'],
    ['llama', { rms_norm_eps: Number.NaN }, '"rms_norm_eps" expected a finite number > 0, got NaN'],
    ['llama', { rms_norm_eps: 1e300 }, `"rms_norm_eps" expected ${factor}, got 1e+300`],
    ['bert', { layer_norm_eps: 1e300 }, `"layer_norm_eps" expected ${factor}, got 1e+300`],
    ['gpt2', { layer_norm_epsilon: 1e-300 }, `"layer_norm_epsilon" expected ${factor}, got 1e-300`],
    ['bert-classify', { id2label: { 0: 7 } }, '"id2label.0" expected a string, got 7'],
    ['bert-classify', { id2label: ['a', 'b'] }, '"id2label" expected an object, got an array'],
    ['modernbert-mask', { norm_eps: -1 }, '"norm_eps" expected a finite number > 0, got -1'],
    ['xlnet', { layer_norm_eps: -1 }, '"layer_norm_eps" expected a finite number > 0, got -1'],
    ['xlnet', { clamp_len: 0.5 }, '"clamp_len" expected an integer ≥ -1, got 0.5'],
    ['transformer-xl', { clamp_len: 2.5 }, '"clamp_len" expected an integer ≥ -1, got 2.5'],
    ['transformer-xl-memory', { mem_len: -1 }, '"mem_len" expected an integer in 0 … 65536, got -1'],
    ['transformer-xl-memory', { mem_len: 0.5 }, '"mem_len" expected an integer in 0 … 65536, got 0.5'],
    ['transformer-xl-memory', { mem_len: 1e9 }, '"mem_len" expected an integer in 0 … 65536, got 1000000000'],
    ['deberta-v3', { max_relative_positions: 0.5 }, '"max_relative_positions" expected an integer ≥ -1, got 0.5'],
    ['deberta-v3', { max_relative_positions: 2 }, '"max_relative_positions" expected at least'],
    ['deberta-v3', { position_buckets: 1 }, '"position_buckets" expected 2 or more, or none, got 1'],
    ['deberta-v3', { type_vocab_size: -1 }, '"type_vocab_size" expected an integer ≥ 0, got -1'],
    ['nomic-bert', { rotary_emb_base: 1000, rotary_emb_fraction: 0.3 }, '"rotary_emb_fraction" expected a part of the'],
    ['nomic-bert', { rotary_emb_base: 0 }, '"rotary_emb_base" expected a finite number > 0, got 0'],
    ['nomic-bert', { rotary_emb_base: 1e-29 }, '"rotary_emb_base" expected a number ≥ 1, got 1e-29'],
    ['llama', { rope_parameters: undefined, rope_theta: 1e-29 }, '"rope_theta" expected a number ≥ 1, got 1e-29'],
    ['falcon-7b', { num_ln_in_parallel_attn: 3 }, '"num_ln_in_parallel_attn" expected 1 or 2, got 3'],
    ['t5', { relative_attention_num_buckets: 3 }, '"relative_attention_num_buckets" expected an integer in 4 … 65536, got 3'],
    ['t5', { relative_attention_max_distance: 2 }, '"relative_attention_max_distance" expected an integer ≥ '],
    ['longt5-local', { local_radius: 2 ** 31 - 1 }, '"local_radius" expected an integer in 1 … 1073741824, got 2147483647'],
    ['roberta-mask', { pad_token_id: 1e6 }, '"max_position_embeddings" expected an integer ≥ 1000002, got '],
  ])('%s with %o', async (name, more, message) => {
    const { config } = checkpoint(name);
    const error: Error = await findBlueprint({ ...config, ...more }, tensorsOf(name)).then(
      () => new Error('it was taken'),
      (thrown: Error) => thrown,
    );
    expect(error.message).toContain(`config.json: ${message}`);
  });

  test('a rotation of Nomic BERT that is the default turns heads of the width that the config has', async () => {
    const { config } = checkpoint('nomic-bert');
    const tensors = tensorsOf('nomic-bert');
    run((await findBlueprint({ ...config, rotary_emb_base: null }, tensors)) as Blueprint, tensors);
  });

  test("labels are those that are named, each at its number, and transformers' own names for the others", async () => {
    const { config } = checkpoint('bert-classify');
    const labels = async (id2label: unknown) =>
      ((await findBlueprint({ ...config, id2label }, tensorsOf('bert-classify'))) as Blueprint).classifier?.labels;
    expect(Object.values(config.id2label as Json)).toHaveLength(3);
    expect(await labels({ 0: 'a' })).toEqual(['a', 'LABEL_1', 'LABEL_2']);
    expect(await labels({ 2: 'c', 1: null })).toEqual(['LABEL_0', 'LABEL_1', 'c']);
    expect(await labels({ 0: 'a', 1: 'b', 2: 'c', 3: 'd' })).toEqual(['a', 'b', 'c']);
    expect(await labels(null)).toEqual(['LABEL_0', 'LABEL_1', 'LABEL_2']);
  });

  test('a window of more keys than any text has is taken', async () => {
    const { config } = checkpoint('mistral');
    const { decoder } = (await findBlueprint({ ...config, sliding_window: 2 ** 31 - 1 }, tensorsOf('mistral'))) as Blueprint;
    expect(decoder?.layers[0]?.attention.window).toEqual({ left: 2 ** 30 });
  });
});

const text = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const DEEP = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;

/** A tiny BERT with words, and what sentence-transformers has beside it. */
function bertFiles(): Record<string, Uint8Array> {
  const { folder } = checkpoint('bert');
  const read = (name: string): Uint8Array => new Uint8Array(readFileSync(`${folder}${name}`));
  return {
    'config.json': read('config.json'),
    'model.safetensors': read('model.safetensors'),
    'tokenizer.json': text(WORD_PIECES),
    'tokenizer_config.json': text(BERT_CONFIG),
    'modules.json': text([
      { type: 'sentence_transformers.models.Transformer', path: '' },
      { type: 'sentence_transformers.models.Pooling', path: '1_Pooling' },
    ]),
    '1_Pooling/config.json': text({ pooling_mode: 'mean' }),
  };
}

describe('a hundred thousand brackets', () => {
  const error = async (files: Record<string, Uint8Array>): Promise<Error> =>
    loadEncoder({ ...bertFiles(), ...files }).then(
      () => new Error('it was loaded'),
      (thrown: Error) => thrown,
    );

  test.each([
    'config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'special_tokens_map.json',
    'modules.json',
    'sentence_bert_config.json',
    '1_Pooling/config.json',
    'config_sentence_transformers.json',
  ])('in %s', async (name) => {
    for (const whole of [DEEP, `{"a":${DEEP}}`, '['.repeat(100_000)]) {
      expect(await error({ [name]: text(whole) })).toMatchObject({
        code: 'bad-checkpoint',
        message: `loadEncoder: "${name}": it nests deeper than 16 levels`,
      });
    }
  });

  test('in an index, and in the metadata of packed files', async () => {
    const { 'model.safetensors': single, ...files } = bertFiles();
    expect(await loadEncoder({ ...files, 'model.safetensors.index.json': text(`{"weight_map":${DEEP}}`) }).catch(String)).toContain(
      '"model.safetensors.index.json": it nests deeper than 16 levels',
    );
    const { tensors } = readSafetensors(single as Uint8Array);
    const metadata = { format: PACKED, version: VERSION, weights: 'f32', tensors: `{"a":${DEEP}}` };
    const packed = writeSafetensors(tensors, metadata);
    expect((await error({ 'model.safetensors': packed })).message).toContain('"tensors" of its metadata expected');
  });

  test('in generation_config.json', async () => {
    const folder = new URL('../../../examples/models/story-llama/', import.meta.url);
    const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
    const files = Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(new URL(name, folder)))]));
    expect(await loadDecoder({ ...files, 'generation_config.json': text(`{"a":${DEEP}}`) }).catch(String)).toBe(
      'RelposError: loadDecoder: "generation_config.json": it nests deeper than 16 levels',
    );
  });

  test('in strings are no brackets', async () => {
    using encoder = await loadEncoder({ ...bertFiles(), 'special_tokens_map.json': text({ a: DEEP, b: `\\"${DEEP}` }) });
    expect(encoder.maxLength).toBeGreaterThan(1);
  });
});
