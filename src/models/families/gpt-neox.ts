// GPT-NeoX (Black et al. 2022; Pythia) and GPT-J (Wang and Komatsuzaki 2021): attention and MLP side by side, rotary positions.

import type { Layer, Linear } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { attention, causalHead, type Family, interleaved, type Parts } from './parts.ts';
import { rotations } from './rotations.ts';

function neox(config: Config, index: TensorIndex): Parts {
  const width = config.count('hidden_size', 6144);
  const heads = config.count('num_attention_heads', 64);
  const headWidth = config.headWidth(width, heads);
  const inner = config.count('intermediate_size', 24576);
  const epsilon = config.factor('layer_norm_eps', 1e-5);
  const bias = config.flag('attention_bias', true);
  const parallel = config.flag('use_parallel_residual', true);
  const activation = config.activation('hidden_act', 'gelu');
  const head = new Tensors(index);
  const weights = head.under(['gpt_neox.', ''], 'embed_in.weight');
  const turned = rotations(config);
  const layers = Array.from({ length: config.count('num_hidden_layers', 44) }, (_, n): Layer => {
    const layer = weights.at(`layers.${n}`);
    const of = (name: string, input: number, output: number): Linear => layer.linear(name, input, output, { bias: true });
    const [query, key, value] = interleaved(layer, 'attention.query_key_value', { width, heads, headWidth }, bias);
    return {
      attention: {
        ...attention({ heads, headWidth, query, key, value, output: layer.linear('attention.dense', width, width, { bias }) }),
        before: layer.layerNorm('input_layernorm', width, epsilon),
        causal: true,
        positions: [turned(n)],
      },
      mlp: {
        before: layer.layerNorm('post_attention_layernorm', width, epsilon),
        activation,
        up: of('mlp.dense_h_to_4h', width, inner),
        down: of('mlp.dense_4h_to_h', inner, width),
      },
      parallel,
    };
  });
  const vocabulary = config.count('vocab_size', 50432);
  const embeddings = { token: weights.tensor('embed_in.weight', [vocabulary, width]) };
  return {
    kind: 'decoder',
    width,
    vocabulary,
    tokens: config.tokens({ begin: 0, end: 2 }),
    decoder: { embeddings, layers, norm: weights.layerNorm('final_layer_norm', width, epsilon) },
    logits: causalHead(head, 'embed_out', embeddings, config.flag('tie_word_embeddings', false)),
    longest: config.count('max_position_embeddings', 2048),
  };
}

function gptj(config: Config, index: TensorIndex): Parts {
  const width = config.count('n_embd|hidden_size', 4096);
  const heads = config.count('n_head|num_attention_heads', 16);
  const headWidth = config.headWidth(width, heads);
  const inner = config.count('n_inner', 4 * width);
  const epsilon = config.factor('layer_norm_epsilon', 1e-5);
  const activation = config.activation('activation_function', 'gelu_new');
  const head = new Tensors(index);
  const weights = head.under(['transformer.', ''], 'wte.weight');
  const turned = rotations(config);
  const layers = Array.from({ length: config.count('n_layer|num_hidden_layers', 28) }, (_, n): Layer => {
    const layer = weights.at(`h.${n}`);
    const [query, key, value, output] = ['q', 'k', 'v', 'out'].map((name) => layer.linear(`attn.${name}_proj`, width, width)) as [
      Linear,
      Linear,
      Linear,
      Linear,
    ];
    const before = layer.layerNorm('ln_1', width, epsilon);
    return {
      attention: { ...attention({ heads, headWidth, query, key, value, output }), before, causal: true, positions: [turned(n)] },
      mlp: {
        before,
        activation,
        up: layer.linear('mlp.fc_in', width, inner, { bias: true }),
        down: layer.linear('mlp.fc_out', inner, width, { bias: true }),
      },
      parallel: true,
    };
  });
  const vocabulary = config.count('vocab_size', 50400);
  const embeddings = { token: weights.tensor('wte.weight', [vocabulary, width]) };
  return {
    kind: 'decoder',
    width,
    vocabulary,
    tokens: config.tokens({ begin: 50256, end: 50256 }),
    decoder: { embeddings, layers, norm: weights.layerNorm('ln_f', width, epsilon) },
    logits: causalHead(head, 'lm_head', embeddings, config.flag('tie_word_embeddings', false), { bias: 'found' }),
    longest: config.count('n_positions|max_position_embeddings', 2048),
  };
}

export const families: readonly Family[] = [
  { name: 'gpt-neox', types: ['gpt_neox'], read: neox },
  { name: 'gpt-j', types: ['gptj'], read: gptj },
];
