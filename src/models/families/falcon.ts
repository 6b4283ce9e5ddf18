// Falcon (Almazrouei et al. 2023): one key head, or one for each group, or as many as heads; attention and MLP side by side or not; rotary
// positions or ALiBi.

import type { Layer, Linear, Norm } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { alibiPosition, attention, causalHead, type Family, type Parts } from './parts.ts';
import { rotations } from './rotations.ts';

interface Sizes {
  readonly width: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headWidth: number;
}

/** The fused projection: for every key head its query heads, then its key, then its value. */
function grouped(layer: Tensors, { width, heads, keyHeads, headWidth }: Sizes, bias: boolean): readonly [Linear, Linear, Linear] {
  const share = heads / keyHeads;
  const step = (share + 2) * headWidth;
  const of = (first: number, count: number): Linear =>
    layer.linear('self_attention.query_key_value', width, count * keyHeads, {
      bias,
      rows: { first, count, times: keyHeads, step },
      total: keyHeads * step,
    });
  return [of(0, share * headWidth), of(share * headWidth, headWidth), of((share + 1) * headWidth, headWidth)];
}

function read(config: Config, index: TensorIndex): Parts {
  const width = config.count('hidden_size|n_embed', 4544);
  const heads = config.count('num_attention_heads|n_head', 71);
  const newer = config.flag('new_decoder_architecture', false);
  const own = config.keyHeads(heads, 'num_kv_heads|n_head_kv');
  // One key head for all, or one for each head, is the same order of rows as one for each group.
  const keyHeads = newer ? own : config.flag('multi_query', true) ? 1 : heads;
  const headWidth = config.headWidth(width, heads);
  const inner = config.count('ffn_hidden_size', 4 * width);
  const bias = config.flag('bias', false);
  const epsilon = config.factor('layer_norm_epsilon', 1e-5);
  const parallel = newer || config.flag('parallel_attn', true);
  config.only('num_ln_in_parallel_attn', 1, 2);
  const norms = config.count('num_ln_in_parallel_attn', newer ? 2 : 1);
  const activation = config.activation('activation', 'gelu');
  const head = new Tensors(index);
  const weights = head.under(['transformer.', ''], 'word_embeddings.weight');
  const turned = rotations(config);
  // Its ALiBi is divided by √D together with q·k.
  const biasing = config.flag('alibi', false) ? alibiPosition(heads, Math.sqrt(headWidth)) : undefined;
  const layers = Array.from({ length: config.count('num_hidden_layers|n_layer', 32) }, (_, n): Layer => {
    const layer = weights.at(`h.${n}`);
    const norm = (name: string): Norm => layer.layerNorm(name, width, epsilon);
    const [query, key, value] = grouped(layer, { width, heads, keyHeads, headWidth }, bias);
    const twice = parallel && norms === 2;
    const before = norm(twice ? 'ln_attn' : 'input_layernorm');
    return {
      attention: {
        ...attention({
          heads,
          keyHeads,
          headWidth,
          query,
          key,
          value,
          output: layer.linear('self_attention.dense', width, width, { bias }),
        }),
        before,
        causal: true,
        positions: [biasing ?? turned(n)],
      },
      mlp: {
        before: twice ? norm('ln_mlp') : parallel ? before : norm('post_attention_layernorm'),
        activation,
        up: layer.linear('mlp.dense_h_to_4h', width, inner, { bias }),
        down: layer.linear('mlp.dense_4h_to_h', inner, width, { bias }),
      },
      parallel,
    };
  });
  const vocabulary = config.count('vocab_size', 65024);
  const embeddings = { token: weights.tensor('word_embeddings.weight', [vocabulary, width]) };
  return {
    kind: 'decoder',
    width,
    vocabulary,
    tokens: config.tokens({ begin: 11, end: 11 }),
    decoder: { embeddings, layers, norm: weights.layerNorm('ln_f', width, epsilon) },
    logits: causalHead(head, 'lm_head', embeddings, config.flag('tie_word_embeddings', true)),
    longest: config.count('max_position_embeddings', 2048),
  };
}

export const families: readonly Family[] = [{ name: 'falcon', types: ['falcon'], read }];
