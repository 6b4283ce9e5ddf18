// BLOOM (Le Scao et al. 2022): ALiBi, a norm on the embeddings, q, k and v head by head in one projection.

import type { Layer, Linear } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { alibiPosition, attention, causalHead, type Family, interleaved, type Parts } from './parts.ts';

function read(config: Config, index: TensorIndex): Parts {
  config.only('apply_residual_connection_post_layernorm', false);
  const width = config.count('hidden_size|n_embed', 64);
  const heads = config.count('n_head|num_attention_heads', 8);
  const headWidth = config.headWidth(width, heads);
  const epsilon = config.factor('layer_norm_epsilon', 1e-5);
  const head = new Tensors(index);
  const weights = head.under(['transformer.', ''], 'word_embeddings.weight');
  const position = alibiPosition(heads);
  const layers = Array.from({ length: config.count('n_layer|num_hidden_layers', 2) }, (_, n): Layer => {
    const layer = weights.at(`h.${n}`);
    const of = (name: string, input: number, output: number): Linear => layer.linear(name, input, output, { bias: true });
    const [query, key, value] = interleaved(layer, 'self_attention.query_key_value', { width, heads, headWidth }, true);
    return {
      attention: {
        ...attention({ heads, headWidth, query, key, value, output: of('self_attention.dense', width, width) }),
        before: layer.layerNorm('input_layernorm', width, epsilon),
        causal: true,
        positions: [position],
      },
      mlp: {
        before: layer.layerNorm('post_attention_layernorm', width, epsilon),
        activation: 'gelu_new',
        up: of('mlp.dense_h_to_4h', width, 4 * width),
        down: of('mlp.dense_4h_to_h', 4 * width, width),
      },
      parallel: false,
    };
  });
  const vocabulary = config.count('vocab_size', 250880);
  const embeddings = {
    token: weights.tensor('word_embeddings.weight', [vocabulary, width]),
    norm: weights.layerNorm('word_embeddings_layernorm', width, epsilon),
  };
  return {
    kind: 'decoder',
    width,
    vocabulary,
    tokens: config.tokens({ begin: 1, end: 2 }),
    decoder: { embeddings, layers, norm: weights.layerNorm('ln_f', width, epsilon) },
    logits: causalHead(head, 'lm_head', embeddings, config.flag('tie_word_embeddings', true)),
  };
}

export const families: readonly Family[] = [{ name: 'bloom', types: ['bloom'], read }];
