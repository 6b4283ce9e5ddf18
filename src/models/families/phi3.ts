// Phi-3 (Abdin et al. 2024): LLaMA's layers with fused projections.

import type { Layer } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { scoreScale } from './facts.ts';
import { attention, backward, causalHead, type Family, type Parts } from './parts.ts';
import { rotations } from './rotations.ts';

function read(config: Config, index: TensorIndex): Parts {
  const width = config.count('hidden_size', 3072);
  const heads = config.count('num_attention_heads', 32);
  const keyHeads = config.keyHeads(heads);
  const headWidth = config.headWidth(width, heads, 'head_dim');
  const inner = config.count('intermediate_size', 8192);
  const epsilon = config.factor('rms_norm_eps', 1e-5);
  const head = new Tensors(index);
  const weights = head.under(['model.', ''], 'embed_tokens.weight');
  const turned = rotations(config);
  const window = config.limit('sliding_window', 'count');
  const layers = Array.from({ length: config.count('num_hidden_layers', 32) }, (_, n): Layer => {
    const layer = weights.at(`layers.${n}`);
    const [q, k] = [heads * headWidth, keyHeads * headWidth];
    const [query, key, value] = layer.split('self_attn.qkv_proj', width, [q, k, k]);
    const [gate, up] = layer.split('mlp.gate_up_proj', width, [inner, inner]);
    return {
      attention: {
        ...attention({
          heads,
          keyHeads,
          headWidth,
          query,
          key,
          value,
          output: layer.linear('self_attn.o_proj', q, width),
        }),
        before: layer.rmsNorm('input_layernorm', width, epsilon),
        scale: scoreScale(config, n),
        causal: true,
        positions: [turned(n)],
        ...(window !== undefined && { window: backward(window) }),
      },
      mlp: {
        before: layer.rmsNorm('post_attention_layernorm', width, epsilon),
        activation: config.activation('hidden_act', 'silu'),
        gate,
        up,
        down: layer.linear('mlp.down_proj', inner, width),
      },
      parallel: false,
    };
  });
  const vocabulary = config.count('vocab_size', 32064);
  const embeddings = { token: weights.tensor('embed_tokens.weight', [vocabulary, width]) };
  return {
    kind: 'decoder',
    width,
    vocabulary,
    tokens: config.tokens({ begin: 1, end: 32000, pad: 32000 }),
    decoder: { embeddings, layers, norm: weights.rmsNorm('norm', width, epsilon) },
    logits: causalHead(head, 'lm_head', embeddings, config.flag('tie_word_embeddings', false)),
    longest: config.count('max_position_embeddings', 4096),
  };
}

export const families: readonly Family[] = [{ name: 'phi3', types: ['phi3'], read }];
