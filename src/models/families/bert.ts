// BERT (Devlin et al. 2018) and what has its shape: MiniLM, BGE, E5, GTE, and RoBERTa and XLM-R, whose positions start behind the padding.

import type { Classifier, Dense, Embeddings, LogitsHead, Stack } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { bertEmbeddings, bertLayer, classifierOf, type Family, maskedHead, type Parts, rowsOf, type Sizes } from './parts.ts';

/** The keys that BERT, RoBERTa, MPNet and DeBERTa share. @param headKeys the width of a head, where the class has a key for it */
export function bertSizes(config: Config, epsilon = 1e-12, headKeys = ''): Sizes {
  const width = config.count('hidden_size', 768);
  const heads = config.count('num_attention_heads', 12);
  return {
    width,
    heads,
    headWidth: config.headWidth(width, heads, headKeys),
    inner: config.count('intermediate_size', 3072),
    epsilon: config.factor('layer_norm_eps', epsilon),
  };
}

/** What no encoder of this package does. */
export function refuseDecoder(config: Config): void {
  config.only('is_decoder', false);
  config.only('add_cross_attention', false);
}

/** Heads that stand on the row of the first token, with BERT's names or RoBERTa's. */
function bertClassifier(config: Config, head: Tensors, width: number, pooler: Dense | undefined): Classifier | undefined {
  const labels = rowsOf(head, 'classifier.weight');
  if (!labels || !pooler) return undefined;
  return classifierOf(config, 'first', [pooler, { linear: head.linear('classifier', width, labels, { bias: true }) }]);
}

/** RoBERTa's: dense, tanh, out_proj. */
export function robertaClassifier(config: Config, head: Tensors, width: number): Classifier | undefined {
  const labels = rowsOf(head, 'classifier.out_proj.weight');
  if (!labels) return undefined;
  return classifierOf(config, 'first', [
    { linear: head.linear('classifier.dense', width, width, { bias: true }), activation: 'tanh' },
    { linear: head.linear('classifier.out_proj', width, labels, { bias: true }) },
  ]);
}

/** Dense and tanh on the first row, if the checkpoint has it. */
export function tanhPooler(weights: Tensors, width: number): Dense | undefined {
  if (!weights.has('pooler.dense.weight')) return undefined;
  return { linear: weights.linear('pooler.dense', width, width, { bias: true }), activation: 'tanh' };
}

/** RoBERTa's masked language model. */
export const robertaHead = (head: Tensors, embeddings: Embeddings, epsilon: number): LogitsHead | undefined =>
  maskedHead(
    head,
    { dense: 'lm_head.dense', norm: 'lm_head.layer_norm', decoder: 'lm_head.decoder', bias: ['lm_head.bias', 'lm_head.decoder.bias'] },
    embeddings,
    'gelu',
    epsilon,
  );

function encoder(config: Config, weights: Tensors, sizes: Sizes, first: number): { embeddings: Embeddings; stack: Stack } {
  const activation = config.activation('hidden_act', 'gelu');
  const embeddings = bertEmbeddings(weights.at('embeddings'), sizes.width, sizes.epsilon, {
    vocabulary: config.count('vocab_size'),
    types: config.count('type_vocab_size', first ? 1 : 2),
    positions: { rows: config.count('max_position_embeddings', 512, first + 1), offset: first },
  });
  const layers = Array.from({ length: config.count('num_hidden_layers', 12) }, (_, n) =>
    bertLayer(weights.at(`encoder.layer.${n}`), sizes, activation),
  );
  return { embeddings, stack: { embeddings, layers } };
}

const PROBE = 'embeddings.word_embeddings.weight';

function bert(config: Config, index: TensorIndex): Parts {
  refuseDecoder(config);
  config.only('position_embedding_type', 'absolute');
  const sizes = bertSizes(config);
  const weights = new Tensors(index).under(['', 'bert.', 'model.'], PROBE);
  const head = new Tensors(index);
  const { embeddings, stack } = encoder(config, weights, sizes, 0);
  const pooler = tanhPooler(weights, sizes.width);
  const names = {
    dense: 'cls.predictions.transform.dense',
    norm: 'cls.predictions.transform.LayerNorm',
    decoder: 'cls.predictions.decoder',
    bias: ['cls.predictions.bias', 'cls.predictions.decoder.bias'],
  };
  return {
    kind: 'encoder',
    width: sizes.width,
    vocabulary: config.count('vocab_size'),
    tokens: config.tokens({ pad: 0 }),
    encoder: stack,
    logits: maskedHead(head, names, embeddings, config.activation('hidden_act', 'gelu'), sizes.epsilon),
    pooler,
    classifier: bertClassifier(config, head, sizes.width, pooler),
    longest: config.count('max_position_embeddings', 512),
  };
}

function roberta(config: Config, index: TensorIndex): Parts {
  refuseDecoder(config);
  config.only('position_embedding_type', 'absolute');
  const sizes = bertSizes(config, 1e-5);
  const weights = new Tensors(index).under(['', 'roberta.', 'model.'], PROBE);
  const head = new Tensors(index);
  const tokens = config.tokens({ begin: 0, end: 2, pad: 1 });
  // Position 0 has the row behind that of the padding token's number.
  const first = (tokens.pad as number) + 1;
  const { embeddings, stack } = encoder(config, weights, sizes, first);
  return {
    kind: 'encoder',
    width: sizes.width,
    vocabulary: config.count('vocab_size'),
    tokens,
    encoder: stack,
    logits: robertaHead(head, embeddings, sizes.epsilon),
    pooler: tanhPooler(weights, sizes.width),
    classifier: robertaClassifier(config, head, sizes.width),
    longest: config.count('max_position_embeddings', 512) - first,
  };
}

export const families: readonly Family[] = [
  { name: 'bert', types: ['bert'], read: bert },
  { name: 'roberta', types: ['roberta', 'xlm-roberta', 'camembert'], read: roberta },
];
