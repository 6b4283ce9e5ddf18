/** Runs a node on the engine, by its operator's name. */
import type { Engine } from '../../src/index.ts';
import {
  groupQueryAttention,
  multiHeadAttention,
  type OnnxOutput,
  type OnnxValue,
  onnxAttention,
  onnxRotaryEmbedding,
  rotaryEmbedding,
} from '../../src/onnx/index.ts';
import type { Node } from './operators.ts';

const ATTENTION_OUTPUTS = ['Y', 'present_key', 'present_value'] as const;

/** The outputs, by name. */
export async function runNode(
  engine: Engine,
  { operator, opset, inputs, attributes }: Node,
  outputs: readonly string[] = ATTENTION_OUTPUTS,
): Promise<Record<string, OnnxOutput<OnnxValue>>> {
  // biome-ignore lint/suspicious/noExplicitAny: a node's names are data here; the operators check them.
  const [given, how] = [inputs as any, attributes as any];
  const named = (result: unknown): Record<string, OnnxOutput<OnnxValue>> => result as Record<string, OnnxOutput<OnnxValue>>;
  if (operator === 'Attention') return named(await onnxAttention<OnnxValue>(engine, given, how, opset, outputs as ['Y']));
  if (operator === 'GroupQueryAttention') return named(await groupQueryAttention<OnnxValue>(engine, given, how));
  if (operator === 'MultiHeadAttention') return named(await multiHeadAttention<OnnxValue>(engine, given, how));
  if (operator === 'RotaryEmbedding') return { output: await rotaryEmbedding<OnnxValue>(engine, given, how) };
  const { input: X, ...rest } = given;
  return { output: await onnxRotaryEmbedding<OnnxValue>(engine, { X, ...rest }, how) };
}
