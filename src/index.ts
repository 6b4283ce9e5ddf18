// The public names. Importing does nothing: no memory, no worker, no compilation.

export type { AttentionOptions, Layout } from './attention/options.ts';
export type { CacheDType } from './cache/store.ts';
export { createEngine, createEngineSync, type EngineOptions } from './create.ts';
export { defineEncoding } from './encodings/define.ts';
export * from './encodings/generated/schemes.ts';
export type { Integers, Numbers } from './encodings/lists.ts';
export type { PositionList } from './encodings/positions.ts';
export type { LongRopeScaling, RopeScaling, YarnScaling } from './encodings/rope-scaling.ts';
export type { Table } from './encodings/tables.ts';
export type { Capabilities, Engine, Precision } from './engine.ts';
export { RelposError, type RelposErrorCode } from './errors.ts';
export type { EstimateRequest, MemoryEstimate } from './estimate.ts';
export { type AttentionScale, attentionScale } from './hf/attention-scale.ts';
export { type PermuteOptions, permuteForPairs } from './hf/permute.ts';
export type { AppendOptions, KVCache, KVCacheOptions } from './kvcache.ts';
export {
  type CausalMaskOptions,
  type ChunkedOptions,
  causalMask,
  chunked,
  type NeighbourhoodOptions,
  neighbourhood,
  type PrefixLMOptions,
  prefixLM,
  type SlidingWindowOptions,
  slidingWindow,
} from './masks/bands.ts';
export {
  and,
  defineMask,
  type IntervalContext,
  type Mask,
  type MaskDefinition,
  type MaskQuery,
  type MaskRows,
  type MaskScope,
  not,
  or,
} from './masks/mask.ts';
export type { MaskOption } from './masks/option.ts';
export { type DocumentsOptions, documents, type KeyPaddingOptions, keyPadding } from './masks/sequences.ts';
export type { MergeOptions, PartialState } from './partial/merge.ts';
export { collectStates, planShards, type Shard, type ShardOptions } from './partial/shards.ts';
export {
  type DecodedState,
  decodeState,
  encodeState,
  type Json,
  loadState,
  type StateArrays,
  type StateDType,
  type StateLabel,
} from './partial/wire.ts';
export type {
  Arithmetic,
  Bias,
  CurveBias,
  DenseBias,
  Encoding,
  IndexBias,
  LowerContext,
  Normalization,
  OffsetBias,
  Place,
  Plan,
  Positions,
  Rotation,
  RowMap,
  Shape,
  SumIndex,
  Term,
  ValueTable,
} from './plan.ts';
export type { QKNorm } from './qknorm.ts';
export type { RotateOptions } from './rotation.ts';
export type { SelfTestReport } from './selftest.ts';
export type { DType, SliceRange, Tensor, TensorData } from './tensor.ts';
export type { WasmSource } from './wasm/kernels.ts';
export type { MemoryUsage } from './wasm/memory.ts';
export type { WeightsOptions } from './weights.ts';
