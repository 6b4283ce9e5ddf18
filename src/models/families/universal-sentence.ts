// The Universal Sentence Encoder Lite (Cer et al. 2018), a transformer of the tensor2tensor kind: pre-norm, without a norm at the end. Its
// embeddings are narrower than its stream; the first layer's attention reads them as they are, and is added to their projection.

import type { Embeddings, Layer } from '../blueprint.ts';
import type { Config } from '../config.ts';
import { type TensorIndex, Tensors } from '../tensors.ts';
import { attention, type Family, type Parts } from './parts.ts';

interface Sizes {
  /** Of what attention reads. */
  readonly input: number;
  readonly width: number;
  readonly heads: number;
  readonly inner: number;
  readonly epsilon: number;
}

function layerOf(weights: Tensors, { input, width, heads, inner, epsilon }: Sizes, config: Config): Layer {
  const [query, key, value] = weights.split('attention.qkv', input, [input, input, input], { bias: true });
  const attended = attention({
    heads,
    headWidth: config.headWidth(input, heads),
    query,
    key,
    value,
    output: weights.linear('attention.output', input, width, { bias: true }),
    before: weights.layerNorm('attention.norm', input, epsilon),
    ...(input !== width && { unprojected: true }),
  });
  return {
    attention: attended,
    mlp: {
      activation: config.activation('hidden_act', 'relu'),
      up: weights.linear('mlp.up', width, inner, { bias: true }),
      down: weights.linear('mlp.down', inner, width, { bias: true }),
      before: weights.layerNorm('mlp.norm', width, epsilon),
    },
    parallel: false,
  };
}

function universalSentence(config: Config, index: TensorIndex): Parts {
  const weights = new Tensors(index);
  const vocabulary = config.count('vocab_size');
  const width = config.count('hidden_size', 512);
  const narrow = config.count('embedding_size', 256);
  if (narrow > width) throw new RangeError(`config.json: "embedding_size" expected at most the hidden_size of ${width}, got ${narrow}`);
  const longest = config.count('max_position_embeddings', 128);
  const sizes = {
    width,
    heads: config.count('num_attention_heads', 4),
    inner: config.count('intermediate_size', 1536),
    epsilon: config.factor('layer_norm_eps', 1e-6),
  };
  const embeddings: Embeddings = {
    token: weights.tensor('embeddings.token.weight', [vocabulary, narrow]),
    scale: config.factor('embedding_multiplier', 1),
    position: { table: weights.tensor('embeddings.position.weight', [longest, narrow]), offset: 0 },
    ...(narrow !== width && { projection: weights.linear('embeddings.projection', narrow, width, { bias: true }) }),
  };
  const layers = Array.from({ length: config.count('num_hidden_layers', 2) }, (_, n) =>
    layerOf(weights.at(`layers.${n}`), { ...sizes, input: n ? width : narrow }, config),
  );
  return { kind: 'encoder', width, vocabulary, tokens: config.tokens(), encoder: { embeddings, layers }, longest };
}

export const families: readonly Family[] = [{ name: 'universal-sentence', types: ['universal-sentence-encoder'], read: universalSentence }];
