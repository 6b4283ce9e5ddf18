// The public names. Importing does nothing: no memory, no worker, no compilation.

export type { AttentionOptions, Layout } from './attention.ts';
export { type AlibiOptions, alibi } from './encodings/alibi.ts';
export { bias } from './encodings/bias.ts';
export { defineEncoding } from './encodings/define.ts';
export { type PositionList, type RotaryOptions, rotary } from './encodings/rotary.ts';
export { type DebertaOptions, deberta } from './encodings/deberta.ts';
export { type DecomposedOptions, decomposed } from './encodings/decomposed.ts';
export { type MusicTransformerOptions, musicTransformer, type ShawOptions, shaw } from './encodings/shaw.ts';
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
export { type Capabilities, createEngine, createEngineSync, type Engine, type EngineOptions, type Precision } from './engine.ts';
export { RelposError, type RelposErrorCode } from './errors.ts';
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
  DenseBias,
  Encoding,
  IndexBias,
  LowerContext,
  OffsetBias,
  Place,
  Plan,
  Positions,
  Rotation,
  RowMap,
  Shape,
  Term,
  ValueTable,
} from './plan.ts';
export type { RotateOptions } from './rotation.ts';
export type { SelfTestReport } from './selftest.ts';
export type { DType, SliceRange, Tensor, TensorData } from './tensor.ts';
export type { WasmSource } from './wasm/kernels.ts';
export type { MemoryUsage } from './wasm/memory.ts';
