// relpos/onnx: the operators of ONNX and onnxruntime that this library can do, under their own names.

export {
  type OnnxAttentionAttributes,
  type OnnxAttentionInputs,
  type OnnxAttentionOutputs,
  onnxAttention,
} from './attention.ts';
export {
  type GroupQueryAttentionAttributes,
  type GroupQueryAttentionInputs,
  type GroupQueryAttentionOutputs,
  groupQueryAttention,
} from './gqa.ts';
export {
  type MultiHeadAttentionAttributes,
  type MultiHeadAttentionInputs,
  type MultiHeadAttentionOutputs,
  multiHeadAttention,
} from './mha.ts';
export {
  type MicrosoftRotaryAttributes,
  type MicrosoftRotaryInputs,
  type OnnxRotaryAttributes,
  type OnnxRotaryInputs,
  onnxRotaryEmbedding,
  rotaryEmbedding,
} from './rotary.ts';
export type { OnnxInput, OnnxOutput, OnnxType, OnnxValue } from './values.ts';
