// Reading configs of both generations, and what models do to the scale of their scores.

import { describe, expect, it } from 'vitest';
import { logarithm } from '../../src/huggingface/logarithm.ts';
import { attentionScale, type RotaryFromConfigOptions, rotaryFromConfig } from '../../src/index.ts';
import { MATH } from './rotary-help.ts';

type Config = Record<string, unknown>;
const SMALL = { hidden_size: 64, num_attention_heads: 4, max_position_embeddings: 256 };

function lowered(config: Config, given: RotaryFromConfigOptions = {}, sizes: { D?: number; S?: number; L?: number } = {}) {
  const { D = 16, S = 8, L = S } = sizes;
  return rotaryFromConfig(config, given).lower({ shape: { B: 1, H: 4, G: 4, L, S, D, E: D }, math: MATH }).rotation;
}

const plain = (width: number, theta: number, length = width / 2): number[] => Array.from({ length }, (_, i) => theta ** ((-2 * i) / width));

function expectFrequencies(got: Float64Array | undefined, expected: readonly number[]): void {
  expect(got?.length).toBe(expected.length);
  expected.forEach((f, i) => {
    expect(Math.abs((got?.[i] as number) - f)).toBeLessThanOrEqual(1e-13 * Math.abs(f));
  });
}

describe('both generations of keys', () => {
  const parameters = { rope_type: 'linear', factor: 4, rope_theta: 5000 };
  const older = { rope_scaling: { type: 'linear', factor: 4 }, rope_theta: 5000 };
  it('say the same', () => {
    const wanted = plain(16, 5000).map((f) => f / 4);
    expectFrequencies(lowered({ model_type: 'llama', ...SMALL, rope_parameters: parameters })?.frequencies, wanted);
    expectFrequencies(lowered({ model_type: 'llama', ...SMALL, ...older })?.frequencies, wanted);
    expectFrequencies(lowered({ model_type: 'llama', ...SMALL, rope_theta: 5000, rope_scaling: null })?.frequencies, plain(16, 5000));
  });

  it('have defaults', () => {
    expectFrequencies(lowered({ model_type: 'llama', ...SMALL })?.frequencies, plain(16, 10000));
    expectFrequencies(lowered({ model_type: 'cohere', ...SMALL })?.frequencies, plain(16, 500000));
    expectFrequencies(lowered({ model_type: 'gpt_neox', ...SMALL, rotary_emb_base: 20000 })?.frequencies, plain(4, 20000));
    expectFrequencies(lowered({ model_type: 'gpt_neox', ...SMALL, rotary_pct: 0.5 })?.frequencies, plain(8, 10000));
    expectFrequencies(lowered({ model_type: 'stablelm', ...SMALL, partial_rotary_factor: 0.5 })?.frequencies, plain(8, 10000));
    expectFrequencies(lowered({ model_type: 'gptj', n_embd: 64, n_head: 4, rotary_dim: 8 })?.frequencies, plain(8, 10000));
    expectFrequencies(lowered({ model_type: 'llama', ...SMALL, head_dim: 12 })?.frequencies, plain(12, 10000));
  });

  it('take text_config and refuse what is no config', () => {
    expectFrequencies(lowered({ model_type: 'llava', text_config: { model_type: 'llama', ...SMALL } })?.frequencies, plain(16, 10000));
    expect(() => rotaryFromConfig(null as unknown as Config)).toThrow('"config" expected the object of a config.json, got null');
  });

  it("HunYuan's alpha raises the base to theta · alpha^(R/(R − 2))", () => {
    const config = { model_type: 'hunyuan_v1_dense', ...SMALL, head_dim: 16, rope_theta: 1e4 };
    const rope_scaling = { type: 'dynamic', factor: 1, alpha: 1000 };
    expectFrequencies(lowered({ ...config, rope_scaling })?.frequencies, plain(16, 1e4 * 1000 ** (16 / 14)));
  });

  it('an odd width turns one channel more, with the odd width as divisor', () => {
    const rotation = lowered({ model_type: 'phi', hidden_size: 40, num_attention_heads: 4, partial_rotary_factor: 0.5 }, {}, { D: 10 });
    expect(rotation?.dim).toBe(6);
    expectFrequencies(rotation?.frequencies, plain(5, 10000, 3));
  });

  it('a default rope is partial only where the model is', () => {
    const config = { ...SMALL, partial_rotary_factor: 0.5 };
    expect(lowered({ model_type: 'llama', ...config })?.dim).toBe(16);
    expect(lowered({ model_type: 'llama', ...config, rope_scaling: { type: 'linear', factor: 2 } })?.dim).toBe(8);
    expect(lowered({ model_type: 'phi', ...config })?.dim).toBe(8);
    expect(lowered({ model_type: 'mine', ...config }, { layout: 'pairs', dim: 8, theta: 500 })?.dim).toBe(8);
  });

  it('original_max_position_embeddings: beside the parameters first, then within, then all positions', () => {
    const rope = { type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    const of = (config: Config) => [...(lowered({ model_type: 'llama', ...SMALL, ...config })?.frequencies ?? [])];
    const within = of({ rope_scaling: { ...rope, original_max_position_embeddings: 64 } });
    expect(of({ rope_scaling: { ...rope, original_max_position_embeddings: 32 }, original_max_position_embeddings: 64 })).toEqual(within);
    expect(of({ rope_scaling: rope })).toEqual(of({ rope_scaling: { ...rope, original_max_position_embeddings: 256 } }));
  });

  it('older names of types', () => {
    const factors = { short_factor: Array(8).fill(2), long_factor: Array(8).fill(4), original_max_position_embeddings: 8 };
    const of = (model_type: string, type: string, S: number) =>
      lowered({ model_type, ...SMALL, original_max_position_embeddings: 8, rope_scaling: { type, ...factors } }, {}, { S })?.frequencies;
    expectFrequencies(
      of('phi3', 'su', 8),
      plain(16, 10000).map((f) => f / 2),
    );
    expectFrequencies(
      of('phi3', 'yarn', 9),
      plain(16, 10000).map((f) => f / 4),
    );
    expectFrequencies(
      of('llama', 'longrope', 9),
      plain(16, 10000).map((f) => f / 4),
    );
  });
});

describe('layers', () => {
  const nested = {
    model_type: 'gemma3_text',
    ...SMALL,
    head_dim: 16,
    layer_types: ['sliding_attention', 'full_attention'],
    rope_parameters: {
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 1e6 },
      sliding_attention: { rope_type: 'default', rope_theta: 1e4 },
    },
  };
  const first = {
    model_type: 'gemma3_text',
    ...SMALL,
    head_dim: 16,
    rope_theta: 1e6,
    rope_local_base_freq: 1e4,
    rope_scaling: { type: 'linear', factor: 8 },
  };

  it.each([nested, first])('of two kinds', (config) => {
    expectFrequencies(
      lowered(config, { layerType: 'full_attention' })?.frequencies,
      plain(16, 1e6).map((f) => f / 8),
    );
    expectFrequencies(lowered(config, { layerType: 'sliding_attention' })?.frequencies, plain(16, 1e4));
    expect(() => rotaryFromConfig(config)).toThrow('"layer" expected the layer\'s number, or layerType: the rope parameters differ');
    expect(() => rotaryFromConfig(config, { layerType: 'other' })).toThrow('got "other"');
  });

  it('by number', () => {
    expectFrequencies(lowered(nested, { layer: 0 })?.frequencies, plain(16, 1e4));
    expect(() => rotaryFromConfig(nested, { layer: 2 })).toThrow('"layer" expected a layer of the 2 in layer_types, got 2');
  });

  it('ModernBERT and Gemma 4', () => {
    const bert = { model_type: 'modernbert', ...SMALL, global_rope_theta: 160000, local_rope_theta: 10000 };
    expectFrequencies(lowered(bert, { layerType: 'full_attention' })?.frequencies, plain(16, 160000));
    const rope = {
      full_attention: { rope_type: 'proportional', partial_rotary_factor: 0.25, rope_theta: 1e6 },
      sliding_attention: { rope_theta: 1e4 },
    };
    const gemma = { model_type: 'gemma4_text', head_dim: 8, global_head_dim: 16, rope_parameters: rope };
    expectFrequencies(lowered(gemma, { layerType: 'full_attention' })?.frequencies, [1, 1e6 ** (-2 / 16), 0, 0, 0, 0, 0, 0]);
    expect(lowered(gemma, { layerType: 'sliding_attention' })?.dim).toBe(8);
  });

  it('without rotation', () => {
    expect(lowered({ ...nested, rope_parameters: { full_attention: null, sliding_attention: {} } }, { layer: 1 })).toBeUndefined();
    expect(lowered({ model_type: 'cohere2', ...SMALL }, { layerType: 'full_attention' })).toBeUndefined();
    expect(lowered({ model_type: 'cohere2', ...SMALL }, { layerType: 'sliding_attention' })?.layout).toBe('pairs');
    const turns = (config: Config) => [0, 1, 2, 3, 4].map((layer) => Boolean(lowered({ ...SMALL, ...config }, { layer })));
    expect(turns({ model_type: 'smollm3' })).toEqual([true, true, true, false, true]);
    expect(turns({ model_type: 'llama4_text', no_rope_layers: [0, 1, 0, 1, 1] })).toEqual([false, true, false, true, true]);
    // Three dense layers with a period of two, the others with one of three of their own; the last of each is full and does not turn.
    const dense = { first_k_dense_replace: 3, prefix_dense_sliding_window_pattern: 2, sliding_window_pattern: 3, num_hidden_layers: 8 };
    const cohere = { model_type: 'cohere2_moe', ...SMALL, ...dense };
    expect([0, 1, 2, 3, 4, 5, 6, 7].filter((layer) => !lowered(cohere, { layer }))).toEqual([1, 5]);
  });
});

describe('layouts', () => {
  it.each([
    ['llama', 'halves', undefined],
    ['gptj', 'pairs', undefined],
    ['cohere', 'pairs', undefined],
    ['glm', 'pairs', undefined],
    ['ernie4_5', 'pairs', undefined],
    ['deepseek_v2', 'pairs', undefined],
    ['deepseek_v3', 'pairs', 'halves'],
    ['minicpm3', 'halves', undefined],
  ])('%s', (model_type, layout, layoutOut) => {
    const rotation = lowered({ model_type, ...SMALL, qk_rope_head_dim: 8, rotary_dim: 8 }, {}, { D: 24 });
    expect([rotation?.layout, rotation?.layoutOut]).toEqual([layout, layoutOut]);
  });

  it('latent attention turns the last channels, whatever the width', () => {
    const config = { model_type: 'deepseek_v3', ...SMALL, qk_rope_head_dim: 8, qk_nope_head_dim: 16 };
    expect(lowered(config, {}, { D: 24 })).toMatchObject({ dim: 8, start: 16 });
    expect(lowered(config, {}, { D: 8 })).toMatchObject({ dim: 8, start: 0 });
    expect(() => lowered(config, {}, { D: 6 })).toThrow('"dim" expected at most D=6, got 8');
    expect(lowered({ ...config, rope_interleave: false }, {}, { D: 24 })?.layout).toBe('halves');
  });

  it('nanochat turns the other way', () => {
    const other = lowered({ model_type: 'llama', ...SMALL })?.frequencies as Float64Array;
    expectFrequencies(
      lowered({ model_type: 'nanochat', ...SMALL })?.frequencies,
      [...other].map((f) => -f),
    );
  });
});

describe('what is refused', () => {
  const llama = { model_type: 'llama', ...SMALL };
  it.each<[Config, RotaryFromConfigOptions, string]>([
    [
      { ...SMALL },
      {},
      'rotaryFromConfig: "model_type" expected a type of the table made from transformers 5.18; or { layout, dim, theta }',
    ],
    [{ model_type: 'mine', ...SMALL }, {}, 'in the second argument say it all, got "mine"'],
    [{ model_type: 7 }, {}, '"model_type" expected a string, got 7'],
    [
      { ...llama, rope_scaling: { type: 'ntk' } },
      {},
      '"rope_type" expected one of default, linear, dynamic, yarn, longrope, llama3, proportional, got "ntk"',
    ],
    [{ ...llama, rope_scaling: { type: 'linear' } }, {}, '"rope_type" linear needs factor; missing: factor'],
    [{ model_type: 'lama', ...SMALL }, {}, 'Near it: '],
    [{ model_type: 'mine', ...SMALL }, { layout: 'halves', dim: 16 }, '"theta" expected a value: the model type is unknown'],
    [
      { model_type: 'mine', rope_scaling: { type: 'linear', factor: 2 } },
      { layout: 'halves', dim: 16, theta: 100 },
      '"scaling" expected a value: the config has rope_scaling',
    ],
    [llama, { dim: 16 }, '"dim" expected none: the config of llama says it'],
    [{ ...llama, rope_scaling: { type: 'linear', factor: 2, strange: 1 } }, {}, '"rope_scaling.strange" is unknown'],
    [{ model_type: 'smollm3' }, {}, '"layer" expected the layer\'s number, or layerType: some layers do not turn'],
    [{ model_type: 'cohere2' }, {}, '"layer" expected the layer\'s number, or layerType: only sliding layers turn'],
    [{ model_type: 'llama4_text' }, {}, '"layer" expected'],
    [{ model_type: 't5' }, {}, '"model_type" expected a model that turns q and k'],
    [{ ...llama, rope_scaling: { type: 'llama3', factor: 8 } }, {}, 'missing: low_freq_factor, high_freq_factor'],
    [{ ...llama, rope_scaling: { type: 'linear', factor: '4' } }, {}, '"rope_scaling.factor" expected a number, got "4"'],
    [
      { ...llama, rope_scaling: { type: 'longrope', short_factor: [1], long_factor: [1] } },
      {},
      '"rope_scaling.short_factor" expected 8 numbers',
    ],
    [{ ...llama, rope_scaling: 'linear' }, {}, '"rope_scaling" expected an object or null'],
    [{ ...llama, head_dim: 2048 }, {}, '"head_dim" expected at most 1024 channels that turn, got 2048'],
    [{ ...llama, rope_theta: 0 }, {}, '"rope_theta" expected a number ≥ 1, got 0'],
    [{ model_type: 'falcon', ...SMALL, alibi: true }, {}, '"alibi" expected a model with rotary embedding, got true: use alibi({ heads })'],
    [llama, { grid: [2, 2] }, '"grid" expected a vision model in config.model_type, got "llama"'],
    [llama, { layertype: 'x' } as RotaryFromConfigOptions, '"options" has no "layertype"'],
    [{ model_type: 'pixtral', ...SMALL }, {}, '"grid" expected the rows and columns of the image, or positions'],
  ])('%j %j', (config, given, message) => {
    expect(() => rotaryFromConfig(config, given)).toThrow(message);
  });
});

describe('attentionScale', () => {
  it.each<[Config, number]>([
    [{ model_type: 'llama', ...SMALL }, 1 / 4],
    [{ model_type: 'gemma2', head_dim: 16, query_pre_attn_scalar: 144 }, 1 / 12],
    [{ model_type: 'gemma3_text', head_dim: 16 }, 1 / 16],
    [{ model_type: 'gemma4_text', head_dim: 16 }, 1],
    [{ model_type: 't5', d_kv: 64 }, 1],
    [{ model_type: 'granite', ...SMALL, attention_multiplier: 0.015625 }, 0.015625],
    [{ model_type: 'deepseek_v3', qk_nope_head_dim: 12, qk_rope_head_dim: 4, rope_theta: 10000 }, 1 / 4],
  ])('%j', (config, scale) => {
    expect(attentionScale(config)).toEqual({ scale });
  });

  it('DeepSeek: m² for YaRN with mscale_all_dim', () => {
    const rope_scaling = { type: 'yarn', factor: 40, mscale: 1, mscale_all_dim: 0.8, original_max_position_embeddings: 4096 };
    const m = 0.1 * 0.8 * Math.log(40) + 1;
    const config = { model_type: 'deepseek_v2', qk_nope_head_dim: 12, qk_rope_head_dim: 4, rope_theta: 10000, rope_scaling };
    expect(attentionScale(config).scale).toBeCloseTo((m * m) / 4, 14);
  });

  it.each([
    ['deberta', ['c2p', 'p2c'], 3],
    ['deberta', 'c2p|p2c', 3],
    ['deberta', null, 1],
    ['deberta-v2', 'p2c|c2p', 3],
    ['deberta-v2', ['p2c'], 2],
    ['deberta-v2', undefined, 1],
  ])('%s with pos_att_type %j shares the score among the content and its terms', (model_type, pos_att_type, shares) => {
    const config = { model_type, hidden_size: 768, num_attention_heads: 12, pos_att_type };
    expect(attentionScale(config).scale).toBeCloseTo(1 / Math.sqrt(64 * shares), 15);
  });

  it('Llama 4 scales the queries of layers that do not turn', () => {
    const config = { model_type: 'llama4_text', head_dim: 16 };
    expect(attentionScale(config, { layer: 0 }).queryScale).toBeUndefined();
    const { queryScale } = attentionScale(config, { layer: 3 });
    expect([0, 8190, 8191, 20000].map((p) => queryScale?.(p))).toEqual([1, 1, 1 + 0.1 * logarithm(2), 1 + 0.1 * logarithm(3)]);
    expect(attentionScale({ ...config, attn_temperature_tuning: false }, { layer: 3 }).queryScale).toBeUndefined();
    expect(() => attentionScale(config)).toThrow('"layer" expected the layer\'s number');
    expect(() => attentionScale({ model_type: 'mine', head_dim: 16 })).toThrow(
      '"model_type" expected a type of the table made from transformers 5.18',
    );
  });

  it('Ministral 3 scales the queries of all layers', () => {
    const rope_parameters = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 100, llama_4_scaling_beta: 0.2 };
    const { queryScale } = attentionScale({ model_type: 'ministral3', head_dim: 16, rope_parameters });
    expect([99, 100, 250].map((p) => queryScale?.(p))).toEqual([1, 1 + 0.2 * logarithm(2), 1 + 0.2 * logarithm(3)]);
  });

  it('the logarithm', () => {
    for (const x of [1, 2, 3, 40, 1e-3, 0.7, 1.3, 1e15])
      expect(Math.abs(logarithm(x) - Math.log(x))).toBeLessThanOrEqual(2 ** -51 * Math.max(1, Math.abs(Math.log(x))));
  });
});
