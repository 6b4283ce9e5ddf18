// The public names. Importing does nothing: no memory, no worker, no compilation.

export type { AttentionOptions, Layout } from './attention.ts';
export { type AlibiOptions, alibi } from './encodings/alibi.ts';
export { type AxialRotaryOptions, axialRotary } from './encodings/axial-rotary.ts';
export { type BeitOptions, beit } from './encodings/beit.ts';
export { bias } from './encodings/bias.ts';
export { type CpmAntOptions, cpmAnt } from './encodings/cpmant.ts';
export { type DebertaOptions, deberta } from './encodings/deberta.ts';
export { type DecomposedOptions, decomposed } from './encodings/decomposed.ts';
export { defineEncoding } from './encodings/define.ts';
export { type DistanceOptions, direction, distance } from './encodings/distance.ts';
export {
  lowRank,
  type SinusoidalOptions,
  type SinusoidLayout,
  type SinusoidOptions,
  sinusoidal,
  sinusoids,
} from './encodings/sinusoidal.ts';
export { type FireOptions, fire } from './encodings/fire.ts';
export { type KerpleOptions, kerple } from './encodings/kerple.ts';
export { type LayoutLMv3Options, layoutLMv3 } from './encodings/layoutlmv3.ts';
export { type LevitOptions, levit } from './encodings/levit.ts';
export type { Integers, Numbers } from './encodings/lists.ts';
export { type MaxvitOptions, maxvit } from './encodings/maxvit.ts';
export { type MPNetOptions, mpnet } from './encodings/mpnet.ts';
export { type MropeArrangement, type MropeOptions, mrope } from './encodings/mrope.ts';
export type { PositionList } from './encodings/positions.ts';
export { type CoordinateMlpOptions, type RelPosMlpOptions, relPosMlp } from './encodings/relposmlp.ts';
export type { LongRopeScaling, RopeScaling, YarnScaling } from './encodings/rope-scaling.ts';
export { type RotaryOptions, rotary } from './encodings/rotary.ts';
export { type SandwichOptions, sandwich } from './encodings/sandwich.ts';
export { type MusicTransformerOptions, musicTransformer, type ShawOptions, shaw } from './encodings/shaw.ts';
export { type ShiftedWindows, type SwinOptions, swin } from './encodings/swin.ts';
export { type SwinV2Options, swinV2 } from './encodings/swinv2.ts';
export { type T5Options, t5 } from './encodings/t5.ts';
export type { Table } from './encodings/tables.ts';
export {
  type ConformerOptions,
  conformer,
  type TransformerXLOptions,
  transformerXL,
  type XlnetOptions,
  xlnet,
} from './encodings/transformer-xl.ts';
export { type WavLMOptions, wavlm } from './encodings/wavlm.ts';
export { type XposOptions, xpos } from './encodings/xpos.ts';
export { type Capabilities, createEngine, createEngineSync, type Engine, type EngineOptions, type Precision } from './engine.ts';
export { RelposError, type RelposErrorCode } from './errors.ts';
export { type AttentionScale, attentionScale } from './hf/attention-scale.ts';
export { type PermuteOptions, permuteForPairs } from './hf/permute.ts';
export { type RotaryFromConfigOptions, rotaryFromConfig } from './hf/rotary-from-config.ts';
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
