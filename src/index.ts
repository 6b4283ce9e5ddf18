// The public names. Importing does nothing: no memory, no worker, no compilation.

export type { AttentionOptions, Layout } from './attention.ts';
export { type AlibiOptions, alibi } from './encodings/alibi.ts';
export { bias } from './encodings/bias.ts';
export { defineEncoding } from './encodings/define.ts';
export { type PositionList, type RotaryOptions, rotary } from './encodings/rotary.ts';
export { type T5Options, type Table, t5 } from './encodings/t5.ts';
export { type Capabilities, createEngine, createEngineSync, type Engine, type EngineOptions, type Precision } from './engine.ts';
export { RelposError, type RelposErrorCode } from './errors.ts';
export type {
  Arithmetic,
  Bias,
  DenseBias,
  Encoding,
  IndexBias,
  LowerContext,
  OffsetBias,
  Plan,
  Positions,
  Rotation,
  Shape,
} from './plan.ts';
export type { RotateOptions } from './rotation.ts';
export type { SelfTestReport } from './selftest.ts';
export type { DType, SliceRange, Tensor, TensorData } from './tensor.ts';
export type { WasmSource } from './wasm/kernels.ts';
export type { MemoryUsage } from './wasm/memory.ts';
