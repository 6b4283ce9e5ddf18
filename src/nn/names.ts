// What every entry of relpos/nn exports besides `createLayers`.

export type { Activation } from './activations.ts';
export type { Embedding, EmbeddingOptions, EmbeddingRunOptions } from './embedding.ts';
export type { Layers } from './layers.ts';
export type { Linear, LinearOptions, LinearRunOptions } from './linear.ts';
export type {
  MultiHeadAttention,
  MultiHeadAttentionOptions,
  MultiHeadAttentionRunOptions,
  ProjectionOptions,
} from './multi-head-attention.ts';
export type { LayerNormOptions, Norm, NormalizeOptions, NormRunOptions, RMSNormOptions } from './norm.ts';
export type { Pool, PoolOptions, PoolRunOptions } from './pool.ts';
export type { Pooling } from './row-stages.ts';
export type { Largest, Softmax, SoftmaxOptions, SoftmaxRunOptions, TopK, TopKOptions, TopKRunOptions } from './softmax.ts';
export type { WeightType } from './weights.ts';
