// ModernBERT (Warner et al. 2024): pre-norm, rotary positions of two bases, two of three layers local, gated MLP.

import type { Layer, Norm } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { attention, classifierOf, type Family, layerType, maskedHead, type Parts, rowsOf } from './parts.ts';
import { rotations } from './rotations.ts';

function read(config: Config, index: TensorIndex): Parts {
  const width = config.count('hidden_size', 768);
  const heads = config.count('num_attention_heads', 12);
  const headWidth = config.headWidth(width, heads);
  const inner = config.count('intermediate_size', 1152);
  const epsilon = config.factor('norm_eps', 1e-5);
  const [attentionBias, mlpBias, normBias] = ['attention_bias', 'mlp_bias', 'norm_bias'].map((key) => config.flag(key, false)) as [
    boolean,
    boolean,
    boolean,
  ];
  const activation = config.activation('hidden_activation', 'gelu');
  const radius = Math.floor(config.count('local_attention', 128) / 2);
  const period = config.count('global_attn_every_n_layers', 3);
  const kindOf = (n: number): string => layerType(config, n, n % period > 0);
  const head = new Tensors(index);
  const weights = head.under(['model.', ''], 'embeddings.tok_embeddings.weight');
  const norm = (from: Tensors, name: string): Norm => from.layerNorm(name, width, epsilon, normBias);
  const turned = rotations(config);
  const layers = Array.from({ length: config.count('num_hidden_layers', 22) }, (_, n): Layer => {
    const layer = weights.at(`layers.${n}`);
    const [query, key, value] = layer.split('attn.Wqkv', width, [width, width, width], { bias: attentionBias });
    const [gate, up] = layer.split('mlp.Wi', width, [inner, inner], { bias: mlpBias });
    const kind = kindOf(n);
    return {
      attention: {
        ...attention({
          heads,
          headWidth,
          query,
          key,
          value,
          output: layer.linear('attn.Wo', width, width, { bias: attentionBias }),
        }),
        // The embeddings' norm is that of the first layer.
        ...(n > 0 && { before: norm(layer, 'attn_norm') }),
        positions: [turned(n, kind)],
        ...(kind === 'sliding_attention' && { window: { left: radius, right: radius } }),
      },
      mlp: {
        before: norm(layer, 'mlp_norm'),
        activation,
        gate,
        up,
        down: layer.linear('mlp.Wo', inner, width, { bias: mlpBias }),
      },
      parallel: false,
    };
  });
  const vocabulary = config.count('vocab_size', 50368);
  const embeddings = {
    token: weights.tensor('embeddings.tok_embeddings.weight', [vocabulary, width]),
    norm: norm(weights, 'embeddings.norm'),
  };
  const classifierBias = config.flag('classifier_bias', false);
  const classifying = config.activation('classifier_activation', 'gelu');
  const labels = rowsOf(head, 'classifier.weight');
  config.only('classifier_pooling', 'cls', 'mean');
  const names = { dense: 'head.dense', norm: 'head.norm', decoder: 'decoder', bias: ['decoder.bias'] };
  return {
    kind: 'encoder',
    width,
    vocabulary,
    tokens: config.tokens({ begin: 50281, end: 50282, pad: 50283 }),
    encoder: { embeddings, layers, norm: norm(weights, 'final_norm') },
    logits: labels ? undefined : maskedHead(head, names, embeddings, classifying, epsilon, classifierBias, normBias),
    classifier: labels
      ? classifierOf(config, config.text('classifier_pooling', 'cls') === 'mean' ? 'mean' : 'first', [
          {
            linear: head.linear('head.dense', width, width, { bias: classifierBias }),
            activation: classifying,
            norm: norm(head, 'head.norm'),
          },
          { linear: head.linear('classifier', width, labels, { bias: true }) },
        ])
      : undefined,
    longest: config.count('max_position_embeddings', 8192),
  };
}

export const families: readonly Family[] = [{ name: 'modernbert', types: ['modernbert'], read }];
