// MPT (MosaicML 2023): ALiBi or nothing, no biases anywhere.

import type { Layer, Norm } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { scoreScale } from './facts.ts';
import { alibiPosition, attention, causalHead, type Family, type Parts } from './parts.ts';

function read(config: Config, index: TensorIndex): Parts {
  const width = config.count('d_model|hidden_size', 2048);
  const heads = config.count('n_heads|num_attention_heads', 16);
  const headWidth = config.headWidth(width, heads);
  // Whatever expansion_ratio says.
  const inner = 4 * width;
  const epsilon = config.factor('layer_norm_epsilon', 1e-5);
  const inside = config.inner('attn_config');
  inside.only('attn_type', 'multihead_attention');
  // 0 is none, as is null.
  const clip = inside.raw.clip_qkv ? inside.factor('clip_qkv') : undefined;
  inside.only('prefix_lm', false);
  inside.only('qk_ln', false);
  config.only('no_bias', true);
  config.only('logit_scale');
  // The code of the model adds no learned positions, and has ALiBi whatever attn_config.alibi says.
  inside.only('alibi', true);
  const head = new Tensors(index);
  const weights = head.under(['transformer.', ''], 'wte.weight');
  const position = alibiPosition(heads);
  const layers = Array.from({ length: config.count('n_layers|num_hidden_layers', 24) }, (_, n): Layer => {
    const layer = weights.at(`blocks.${n}`);
    const norm = (name: string): Norm => layer.layerNorm(name, width, epsilon, false);
    const [query, key, value] = layer.split('attn.Wqkv', width, [width, width, width]);
    return {
      attention: {
        ...attention({
          heads,
          headWidth,
          query,
          key,
          value,
          output: layer.linear('attn.out_proj', width, width),
        }),
        before: norm('norm_1'),
        scale: scoreScale(config),
        causal: true,
        positions: [position],
        ...(clip && { clip }),
      },
      mlp: {
        before: norm('norm_2'),
        activation: 'gelu',
        up: layer.linear('ffn.up_proj', width, inner),
        down: layer.linear('ffn.down_proj', inner, width),
      },
      parallel: false,
    };
  });
  const vocabulary = config.count('vocab_size', 50368);
  const embeddings = { token: weights.tensor('wte.weight', [vocabulary, width]) };
  return {
    kind: 'decoder',
    width,
    vocabulary,
    tokens: config.tokens(),
    decoder: { embeddings, layers, norm: weights.layerNorm('norm_f', width, epsilon, false) },
    logits: causalHead(head, 'lm_head', embeddings, config.flag('tie_word_embeddings', true)),
    longest: config.count('max_seq_len', 2048),
  };
}

export const families: readonly Family[] = [{ name: 'mpt', types: ['mpt'], read }];
