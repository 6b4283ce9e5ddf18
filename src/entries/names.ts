// The names that every entry has, besides what makes engines.

export type { Table } from '../arguments/checkpoint-tables.ts';
export { RelposError, type RelposErrorCode } from '../arguments/errors.ts';
export type { Integers, Numbers } from '../arguments/lists.ts';
export type { SafeTensorLike } from '../arguments/numbers.ts';
export type { PositionList } from '../arguments/positions.ts';
export type { EngineOptions } from '../assemble.ts';
export type { EstimateRequest, MemoryEstimate } from '../attention/estimate.ts';
export type { AttentionOptions } from '../attention/options.ts';
export type { QKNorm } from '../attention/qk-norm.ts';
export type { RotateOptions } from '../attention/rotate.ts';
export type { SelfTestReport } from '../attention/selftest.ts';
export type { WeightsOptions } from '../attention/weights.ts';
export type { Capabilities } from '../core.ts';
export { type ConcatPositionsOptions, concatPositions, type PositionChannels } from '../encodings/concat-positions.ts';
export { defineEncoding } from '../encodings/define.ts';
export * from '../encodings/generated/schemes.ts';
export type { Engine } from '../engine.ts';
export { type AttentionScale, attentionScale } from '../huggingface/attention-scale.ts';
export { type PermuteOptions, permuteForPairs } from '../huggingface/permute.ts';
export type { AppendOptions, KVCache, KVCacheOptions, RemoveOptions } from '../kvcache/kvcache.ts';
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
} from '../masks/bands.ts';
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
} from '../masks/mask.ts';
export type { MaskOption } from '../masks/option.ts';
export { type DocumentsOptions, documents, type KeyPaddingOptions, keyPadding } from '../masks/sequences.ts';
export type { MemoryUsage } from '../memory/arena.ts';
export type { CacheDType, DType } from '../memory/dtypes.ts';
export type { Layout } from '../memory/layout.ts';
export type { SliceRange, Tensor, TensorData, TensorLike } from '../memory/tensor.ts';
export type { GivenState, MergeOptions, PartialState } from '../partial/merge.ts';
export { collectStates, planShards, type Shard, type ShardOptions } from '../partial/shards.ts';
export {
  type DecodedState,
  decodeState,
  encodeState,
  type Json,
  loadState,
  type StateArrays,
  type StateDType,
  type StateLabel,
} from '../partial/wire.ts';
export type {
  Arithmetic,
  Bias,
  ContextTable,
  CurveBias,
  DenseBias,
  Encoding,
  IndexBias,
  LowerContext,
  Normalization,
  OffsetBias,
  OffsetFactor,
  Place,
  Plan,
  Positions,
  Rotation,
  RowMap,
  Shape,
  SumBias,
  SumIndex,
  Term,
  ValueTable,
  Variant,
} from '../plan/plan.ts';
export type { PreparedAttention, PrepareOptions, RunOptions } from '../prepared/types.ts';
export type { RotaryLayout, RotarySense } from '../rope/rope.ts';
export type { LongRopeScaling, RopeScaling, YarnScaling } from '../rope/rope-scaling.ts';
export {
  type HunyuanPositionsOptions,
  hunyuanPositions,
  mropePositions,
  type TokenPositions,
  type TokenPositionsOptions,
  type TokenRun,
  type VisionGrid,
  type VisionPositionsOptions,
  visionPositions,
} from '../rope/token-positions.ts';
export type { WasmSource } from '../wasm/kernels.ts';
export type { Precision } from '../wasm/variants.ts';
