// MultiHeadAttention of com.microsoft.

import { finite, integer, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import type { Engine } from '../engine.ts';
import type { Tensor } from '../memory/tensor.ts';
import { checkEngine, flag, headCount, inNamesOf, named, scaleOf, unsupported } from './attributes.ts';
import { byHeads, concatenated, PAST, pastOf, resultByHeads } from './heads.ts';
import { attentionBias, boundsMask } from './masks.ts';
import { checkOperands, checkPair, checkShape, fits } from './shapes.ts';
import { describeInput, FLOATS, isGiven, type OnnxInput, type OnnxOutput, Workspace } from './values.ts';

/** Inputs of `MultiHeadAttention`, by their names. */
export interface MultiHeadAttentionInputs<T extends OnnxInput = OnnxInput> {
  /** [B, L, H·D]. */
  readonly query: T;
  /** [B, S, H·D], or [B, H, S, D]. */
  readonly key: OnnxInput;
  /** [B, S, H·E], or [B, H, S, E]. */
  readonly value: OnnxInput;
  /** [H·D + H·D + H·E]: added to query, key and value of 3 dimensions. */
  readonly bias?: OnnxInput;
  /** int32: [B] lengths, 0 to T; or > 0 for a visible key, [B, T] or [B, L, T], T the keys with the past. */
  readonly key_padding_mask?: OnnxInput;
  /** [1|B, 1|H, L, T], added. */
  readonly attention_bias?: OnnxInput;
  /** [B, H, P, D]. */
  readonly past_key?: OnnxInput;
  readonly past_value?: OnnxInput;
}

/** Attributes of `MultiHeadAttention`, by their names. */
export interface MultiHeadAttentionAttributes {
  readonly num_heads: number;
  /** Default (and 0) 1/√D. */
  readonly scale?: number;
  /** 1: key j is visible to query i when j ≤ i + P. Default 0. */
  readonly unidirectional?: number;
  /** −1000 or less: hidden keys are hidden, whatever it is. */
  readonly mask_filter_value?: number;
}

/** Outputs of `MultiHeadAttention`, by their names. */
export interface MultiHeadAttentionOutputs<T> {
  /** [B, L, H·E]. */
  readonly output: OnnxOutput<T>;
  /** [B, H, P + S, D]. */
  readonly present_key: OnnxOutput<T>;
  readonly present_value: OnnxOutput<T>;
}

const INPUTS = ['query', 'key', 'value', 'bias', 'key_padding_mask', 'attention_bias', 'past_key', 'past_value'];
const ATTRIBUTES = ['num_heads', 'scale', 'unidirectional', 'mask_filter_value'];
const FOREIGN_INPUTS = ['past_sequence_length', 'cache_indirection'];
/** What the engine calls its inputs. */
const NAMES = { q: 'query', k: 'key', v: 'value', mask: 'attention_bias' };
type Operand = 'query' | 'key' | 'value';

/** The tensor plus its part of the bias, as one of `heads`. */
function biased(work: Workspace, name: Operand, input: OnnxInput, heads: number, bias: Float32Array | undefined): Tensor {
  const tensor = work.tensor(name, input);
  if (!bias || tensor.shape.length !== 3) return byHeads(work, name, tensor, 'num_heads', heads);
  const values = tensor.toArray();
  for (let n = 0; n < values.length; n++) values[n] = (values[n] as number) + (bias[n % bias.length] as number);
  return byHeads(work, name, work.own(work.engine.tensor(tensor.shape, values, tensor.dtype)), 'num_heads', heads);
}

/** The bias in its three parts. */
function biasParts(work: Workspace, bias: OnnxInput, hidden: readonly number[]): (Float32Array | undefined)[] {
  if (!isGiven(bias)) return [];
  const total = hidden.reduce((sum, n) => sum + n, 0);
  checkShape(work.where, 'bias', describeInput(work.where, 'bias', bias, FLOATS).dims, [total], `[${hidden.join(' + ')}]`);
  const all = work.numbers('bias', bias);
  let at = 0;
  return hidden.map((n) => {
    at += n;
    return all.subarray(at - n, at);
  });
}

/** query, key and value by heads, with their bias. */
function operands(work: Workspace, inputs: MultiHeadAttentionInputs, H: number): [Tensor, Tensor, Tensor] {
  const { where } = work;
  const names = ['query', 'key', 'value'] as const;
  const shapes = names.map((name) => describeInput(where, name, inputs[name], FLOATS).dims) as [number[], number[], number[]];
  const [query, key, value] = shapes;
  if (query.length !== 3) throw wrongValue(where, 'query', 'shape [B, L, H·D]', shapeText(query), 'packed QKV is not supported');
  if (key.length !== 3 && key.length !== 4)
    throw wrongValue(where, 'key', 'shape [B, S, H·D] or [B, H, S, D]', shapeText(key), 'packed KV is not supported');
  if (value.length !== key.length) throw wrongValue(where, 'value', `${key.length} dimensions, as key has`, shapeText(value));
  const hidden = shapes.map((dims) => (dims.length === 4 ? (dims[1] as number) * (dims[3] as number) : (dims[2] as number)));
  const parts = biasParts(work, inputs.bias, hidden);
  const [q, k, v] = names.map((name, n) => biased(work, name, inputs[name], H, parts[n])) as [Tensor, Tensor, Tensor];
  checkOperands(where, { q: 'query', k: 'key', v: 'value' }, q.shape, k.shape, v.shape);
  return [q, k, v];
}

/** The padding as lengths or as a boolean tensor. */
function padding(work: Workspace, given: OnnxInput, B: number, L: number, T: number): { lengths?: number[]; mask?: Tensor } {
  if (!isGiven(given)) return {};
  const { where } = work;
  const name = 'key_padding_mask';
  const { dims } = describeInput(where, name, given, ['int32']);
  const shape = fits(dims, [B, T]) ? [B, 1, 1, T] : fits(dims, [B, L, T]) ? [B, 1, L, T] : undefined;
  if (!shape) checkShape(where, name, dims, [B], `[B=${B}], [B, T=${T}] or [B, L=${L}, T]; packed lengths [3B + 2] are not supported`);
  const numbers = work.integers(name, given);
  if (!shape) return { lengths: numbers.map((n, b) => integer(where, `${name}[${b}]`, n, 0, T)) };
  const visible = Int8Array.from(numbers, (x) => (x > 0 ? 1 : 0));
  return { mask: work.make(shape, visible, 'bool') };
}

/**
 * com.microsoft `MultiHeadAttention`. Where onnxruntime adds `mask_filter_value` to the scores of hidden keys, they are hidden here: the
 * same, but for rows that see nothing, which are 0 here and the mean of all values there.
 *
 * @throws TypeError, RangeError naming an input or attribute that is wrong or not supported: packed QKV and KV, cache_indirection,
 *   past_sequence_length
 * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`
 * @example
 * ```ts
 * import { multiHeadAttention } from 'relpos/onnx';
 *
 * const engine = await createEngine({ threads: 1 });
 * const x = { data: new Float32Array(2 * 5 * 32), dims: [2, 5, 32] };
 * const key_padding_mask = { data: Int32Array.of(5, 3), dims: [2] };
 * const { output } = await multiHeadAttention(engine, { query: x, key: x, value: x, key_padding_mask }, { num_heads: 4 });
 * output.dims; // [2, 5, 32]
 * engine.dispose();
 * ```
 */
export async function multiHeadAttention<T extends OnnxInput>(
  engine: Engine,
  inputs: MultiHeadAttentionInputs<T>,
  attributes: MultiHeadAttentionAttributes,
): Promise<MultiHeadAttentionOutputs<T>> {
  const where = 'multiHeadAttention';
  checkEngine(where, engine);
  const given = named<MultiHeadAttentionInputs<T>>(where, 'inputs', inputs, [...INPUTS, ...FOREIGN_INPUTS]);
  const how = named<MultiHeadAttentionAttributes>(where, 'attributes', attributes, ATTRIBUTES);
  for (const name of FOREIGN_INPUTS) {
    if (isGiven((given as unknown as Record<string, unknown>)[name]))
      throw unsupported(where, name, 'a tensor', 'beams and shared buffers are not');
  }
  for (const name of ['key', 'value'] as const) {
    if (!isGiven(given[name])) throw wrongType(where, name, 'a tensor: packed QKV and KV are not supported', given[name]);
  }
  const filter = finite(where, 'mask_filter_value', how.mask_filter_value ?? -10000);
  if (filter > -1000) throw unsupported(where, 'mask_filter_value', filter, 'masks hide');
  const work = new Workspace(engine, where);
  try {
    return await inNamesOf(where, NAMES, () => run(work, given, how));
  } finally {
    work.release();
  }
}

async function run<T extends OnnxInput>(
  work: Workspace,
  inputs: MultiHeadAttentionInputs<T>,
  attributes: MultiHeadAttentionAttributes,
): Promise<MultiHeadAttentionOutputs<T>> {
  const { engine, where } = work;
  const H = headCount(where, 'num_heads', attributes.num_heads);
  const causal = flag(where, 'unidirectional', attributes.unidirectional);
  checkPair(where, inputs, PAST);
  const [q, freshK, freshV] = operands(work, inputs, H);
  const past = pastOf(work, inputs, [freshK, freshV]);
  const [k, v] = past ? [concatenated(work, past[0], freshK), concatenated(work, past[1], freshV)] : [freshK, freshV];
  const [B, , L, D] = q.shape as [number, number, number, number];
  const T = k.shape[2] as number;
  const scale = scaleOf(where, attributes.scale, D);
  const { lengths, mask } = padding(work, inputs.key_padding_mask, B, L, T);
  const offset = past?.[0].shape[2] ?? 0;
  const bound = boundsMask({ causal, left: -1, right: -1, offset, ...(lengths && { lengths }) });
  const bias = attentionBias(work, inputs.attention_bias, [B, H, L, T]);
  const { whole, view } = resultByHeads(work, [B, H, L, v.shape[3] as number], true, q.dtype);
  await engine.attention(q, k, v, {
    mask: [...(bias ? [bias] : []), ...(mask ? [mask] : []), ...(bound ? [bound] : [])],
    scale,
    out: view,
  });
  const present = (tensor: Tensor): OnnxOutput<T> => {
    const own = past ? tensor : work.own(engine.tensor(tensor.shape, tensor.toArray(), tensor.dtype));
    return work.output(own, inputs.query);
  };
  return { output: work.output(whole, inputs.query), present_key: present(k), present_value: present(v) };
}
