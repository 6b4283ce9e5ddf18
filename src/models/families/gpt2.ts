// GPT-2 (Radford et al. 2019): learned positions, pre-norm, projections stored [in, out].

import type { Layer, Linear } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { scoreScale } from './facts.ts';
import { attention, causalHead, type Family, type Parts } from './parts.ts';

function read(config: Config, index: TensorIndex): Parts {
  config.only('add_cross_attention', false);
  const width = config.count('n_embd|hidden_size', 768);
  const heads = config.count('n_head|num_attention_heads', 12);
  const headWidth = config.headWidth(width, heads);
  const inner = config.count('n_inner', 4 * width);
  const epsilon = config.factor('layer_norm_epsilon', 1e-5);
  const longest = config.count('n_positions|max_position_embeddings', 1024);
  const activation = config.activation('activation_function', 'gelu_new');
  const head = new Tensors(index);
  const weights = head.under(['transformer.', ''], 'wte.weight');
  const layers = Array.from({ length: config.count('n_layer|num_hidden_layers', 12) }, (_, n): Layer => {
    const layer = weights.at(`h.${n}`);
    const of = (name: string, input: number, output: number): Linear => layer.linear(name, input, output, { bias: true, transposed: true });
    const [query, key, value] = layer.split('attn.c_attn', width, [width, width, width], { bias: true, transposed: true });
    return {
      attention: {
        ...attention({ heads, headWidth, query, key, value, output: of('attn.c_proj', width, width) }),
        before: layer.layerNorm('ln_1', width, epsilon),
        scale: scoreScale(config, n),
        causal: true,
      },
      mlp: {
        before: layer.layerNorm('ln_2', width, epsilon),
        activation,
        up: of('mlp.c_fc', width, inner),
        down: of('mlp.c_proj', inner, width),
      },
      parallel: false,
    };
  });
  const vocabulary = config.count('vocab_size', 50257);
  const embeddings = {
    token: weights.tensor('wte.weight', [vocabulary, width]),
    position: { table: weights.tensor('wpe.weight', [longest, width]), offset: 0 },
  };
  return {
    kind: 'decoder',
    width,
    vocabulary,
    tokens: config.tokens({ begin: 50256, end: 50256 }),
    decoder: { embeddings, layers, norm: weights.layerNorm('ln_f', width, epsilon) },
    logits: causalHead(head, 'lm_head', embeddings, config.flag('tie_word_embeddings', true)),
    longest,
  };
}

export const families: readonly Family[] = [{ name: 'gpt2', types: ['gpt2'], read }];
