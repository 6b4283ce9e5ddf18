// DistilBERT (Sanh et al. 2019): BERT without segments, under names of its own.

import type { Linear } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { attention, bertEmbeddings, classifierOf, type Family, maskedHead, type Parts, postNormLayer, rowsOf } from './parts.ts';

const EPSILON = 1e-12;

function read(config: Config, index: TensorIndex): Parts {
  const width = config.count('dim|hidden_size', 768);
  const heads = config.count('n_heads|num_attention_heads', 12);
  const inner = config.count('hidden_dim', 4 * 768);
  const headWidth = config.headWidth(width, heads);
  const activation = config.activation('activation', 'gelu');
  const longest = config.count('max_position_embeddings', 512);
  const head = new Tensors(index);
  const weights = head.under(['', 'distilbert.'], 'embeddings.word_embeddings.weight');
  // Sinusoidal positions are stored as a table like any other.
  const embeddings = bertEmbeddings(weights.at('embeddings'), width, EPSILON, {
    vocabulary: config.count('vocab_size', 30522),
    types: 0,
    positions: { rows: longest, offset: 0 },
  });
  const layers = Array.from({ length: config.count('n_layers|num_hidden_layers', 6) }, (_, n) => {
    const layer = weights.at(`transformer.layer.${n}`);
    const of = (name: string, output = width, input = width): Linear => layer.linear(name, input, output, { bias: true });
    const [query, key, value, output] = ['q', 'k', 'v', 'out'].map((name) => of(`attention.${name}_lin`)) as [
      Linear,
      Linear,
      Linear,
      Linear,
    ];
    return postNormLayer(
      attention({ heads, headWidth, query, key, value, output }),
      layer.layerNorm('sa_layer_norm', width, EPSILON),
      { activation, up: of('ffn.lin1', inner), down: of('ffn.lin2', width, inner) },
      layer.layerNorm('output_layer_norm', width, EPSILON),
    );
  });
  const names = { dense: 'vocab_transform', norm: 'vocab_layer_norm', decoder: 'vocab_projector', bias: ['vocab_projector.bias'] };
  const labels = rowsOf(head, 'classifier.weight');
  const classifies = labels > 0 && head.has('pre_classifier.weight');
  return {
    kind: 'encoder',
    width,
    vocabulary: config.count('vocab_size', 30522),
    tokens: config.tokens({ pad: 0 }),
    encoder: { embeddings, layers },
    logits: maskedHead(head, names, embeddings, activation, EPSILON),
    classifier: classifies
      ? classifierOf(config, 'first', [
          { linear: head.linear('pre_classifier', width, width, { bias: true }), activation: 'relu' },
          { linear: head.linear('classifier', width, labels, { bias: true }) },
        ])
      : undefined,
    longest,
  };
}

export const families: readonly Family[] = [{ name: 'distilbert', types: ['distilbert'], read }];
