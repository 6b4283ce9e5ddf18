// MPNet (Song et al. 2020): RoBERTa's shape with one table of relative positions for all layers beside the learned ones.

import { mpnet } from '../../encodings/mpnet.ts';
import type { Linear, Position } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { bertSizes, robertaClassifier, robertaHead, tanhPooler } from './bert.ts';
import { attention, bertEmbeddings, type Family, type Parts, postNormLayer } from './parts.ts';

/** Fixed in the model's code. */
const BUCKETS = 32;

function read(config: Config, index: TensorIndex): Parts {
  const { width, heads, headWidth, inner, epsilon } = bertSizes(config);
  config.only('relative_attention_num_buckets', BUCKETS);
  const activation = config.activation('hidden_act', 'gelu');
  const head = new Tensors(index);
  const weights = head.under(['', 'mpnet.'], 'embeddings.word_embeddings.weight');
  const tokens = config.tokens({ begin: 0, end: 2, pad: 1 });
  // The code has 1 for the padding token, whatever the config says.
  const offset = 2;
  const rows = config.count('max_position_embeddings', 512, offset + 1);
  const embeddings = bertEmbeddings(weights.at('embeddings'), width, epsilon, {
    vocabulary: config.count('vocab_size', 30527),
    types: 0,
    positions: { rows, offset },
  });
  const position: Position = {
    name: 'mpnet',
    options: { heads },
    tables: { table: weights.tensor('encoder.relative_attention_bias.weight', [BUCKETS, heads]) },
    make: ({ table }) => mpnet({ heads, table: table as Float32Array }),
  };
  const layers = Array.from({ length: config.count('num_hidden_layers', 12) }, (_, n) => {
    const layer = weights.at(`encoder.layer.${n}`);
    const of = (name: string, output = width, input = width): Linear => layer.linear(name, input, output, { bias: true });
    const [query, key, value, output] = ['q', 'k', 'v', 'o'].map((name) => of(`attention.attn.${name}`)) as [
      Linear,
      Linear,
      Linear,
      Linear,
    ];
    return postNormLayer(
      attention({ heads, headWidth, query, key, value, output, positions: [position] }),
      layer.layerNorm('attention.LayerNorm', width, epsilon),
      { activation, up: of('intermediate.dense', inner), down: of('output.dense', width, inner) },
      layer.layerNorm('output.LayerNorm', width, epsilon),
    );
  });
  return {
    kind: 'encoder',
    width,
    vocabulary: config.count('vocab_size', 30527),
    tokens,
    encoder: { embeddings, layers },
    logits: robertaHead(head, embeddings, epsilon),
    pooler: tanhPooler(weights, width),
    classifier: robertaClassifier(config, head, width),
    longest: rows - offset,
  };
}

export const families: readonly Family[] = [{ name: 'mpnet', types: ['mpnet'], read }];
