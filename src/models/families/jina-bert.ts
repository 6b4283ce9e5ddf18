// Jina-BERT v2 (Günther et al. 2023): BERT with symmetric ALiBi for positions and a gated MLP; its configs say model_type "bert".

import type { Linear } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { bertSizes, refuseDecoder, tanhPooler } from './bert.ts';
import { alibiPosition, attention, bertEmbeddings, type Family, type Parts, postNormLayer } from './parts.ts';

/** The gate's activation by `feed_forward_type`. */
const GATES = { geglu: 'gelu', reglu: 'relu' } as const;

function read(config: Config, index: TensorIndex): Parts {
  refuseDecoder(config);
  config.only('feed_forward_type', ...Object.keys(GATES));
  config.only('attn_implementation', 'torch');
  const activation = GATES[config.text('feed_forward_type', 'geglu') as keyof typeof GATES];
  const { width, heads, headWidth, inner, epsilon } = bertSizes(config);
  const weights = new Tensors(index).under(['', 'bert.'], 'embeddings.word_embeddings.weight');
  const vocabulary = config.count('vocab_size', 30528);
  const embeddings = bertEmbeddings(weights.at('embeddings'), width, epsilon, { vocabulary, types: config.count('type_vocab_size', 2) });
  const position = alibiPosition(heads);
  const layers = Array.from({ length: config.count('num_hidden_layers', 12) }, (_, n) => {
    const layer = weights.at(`encoder.layer.${n}`);
    const of = (name: string): Linear => layer.linear(name, width, width, { bias: true });
    const [gate, up] = layer.split('mlp.gated_layers', width, [inner, inner]);
    return postNormLayer(
      attention({
        heads,
        headWidth,
        query: of('attention.self.query'),
        key: of('attention.self.key'),
        value: of('attention.self.value'),
        output: of('attention.output.dense'),
        positions: [position],
      }),
      layer.layerNorm('attention.output.LayerNorm', width, epsilon),
      { activation, gate, up, down: layer.linear('mlp.wo', inner, width, { bias: true }) },
      layer.layerNorm('mlp.layernorm', width, epsilon),
    );
  });
  return {
    kind: 'encoder',
    width,
    vocabulary,
    tokens: config.tokens({ pad: 0 }),
    encoder: { embeddings, layers },
    pooler: tanhPooler(weights, width),
    longest: config.count('max_position_embeddings', 8192),
  };
}

export const families: readonly Family[] = [
  { name: 'jina-bert', types: ['bert', 'jina_bert'], fits: (config) => config.raw.position_embedding_type === 'alibi', read },
];
