// MultiHeadAttention of com.microsoft.

import { integer, wrongType, wrongValue } from '../arguments/check.ts';
import type { Engine } from '../engine.ts';
import type { Tensor } from '../memory/tensor.ts';
import { byHeads, concatenated, resultByHeads } from './heads.ts';
import { boundsMask } from './masks.ts';
import {
  checkAttributes,
  checkInputs,
  describeInput,
  FLOATS,
  isGiven,
  type OnnxInput,
  type OnnxOutput,
  shown,
  unsupported,
  Workspace,
} from './values.ts';

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
  /** int32: [B] lengths; or 1 for a visible key, [B, T] or [B, L, T], T the keys with the past. */
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
  /** 1: key j is visible to query i when j ≤ i + P. */
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
const FOREIGN_INPUTS = ['past_sequence_length', 'cache_indirection'];

/** The tensor plus its part of the bias, as one of `heads`. */
function biased(work: Workspace, name: string, input: OnnxInput, heads: number, bias: Float32Array | undefined): Tensor {
  const tensor = work.tensor(name, input);
  if (!bias || tensor.shape.length !== 3) return byHeads(work, name, tensor, heads);
  const values = tensor.toArray();
  for (let n = 0; n < values.length; n++) values[n] = (values[n] as number) + (bias[n % bias.length] as number);
  return byHeads(work, name, work.own(work.engine.tensor(tensor.shape, values, tensor.dtype)), heads);
}

/** The bias in its three parts. */
function biasParts(work: Workspace, bias: OnnxInput, hidden: readonly number[]): (Float32Array | undefined)[] {
  if (!isGiven(bias)) return [];
  const all = work.numbers('bias', bias);
  const total = hidden.reduce((sum, n) => sum + n, 0);
  if (all.length !== total) throw wrongValue(work.where, 'bias', `${hidden.join(' + ')} numbers`, `${all.length}`);
  let at = 0;
  return hidden.map((n) => {
    at += n;
    return all.subarray(at - n, at);
  });
}

/** The padding as lengths or as a boolean tensor. */
function padding(work: Workspace, given: OnnxInput, B: number, L: number, T: number): { lengths?: number[]; mask?: Tensor } {
  if (!isGiven(given)) return {};
  const { where } = work;
  const { dims } = describeInput(where, 'key_padding_mask', given, ['int32']);
  const numbers = work.integers('key_padding_mask', given);
  const flags = (shape: number[]): { mask: Tensor } => ({
    mask: work.make(
      shape,
      Int8Array.from(numbers, (x) => (x ? 1 : 0)),
      'bool',
    ),
  });
  if (shown(dims) === shown([B])) return { lengths: numbers };
  if (shown(dims) === shown([B, T])) return flags([B, 1, 1, T]);
  if (shown(dims) === shown([B, L, T])) return flags([B, 1, L, T]);
  throw wrongValue(
    where,
    'key_padding_mask',
    `shape [B=${B}], [B, T=${T}] or [B, L=${L}, T]`,
    shown(dims),
    'packed lengths [3B + 2] are not supported',
  );
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
  checkInputs(where, inputs, [...INPUTS, ...FOREIGN_INPUTS]);
  checkAttributes(where, attributes, ['num_heads', 'scale', 'unidirectional', 'mask_filter_value']);
  for (const name of FOREIGN_INPUTS) {
    if (isGiven((inputs as unknown as Record<string, unknown>)[name]))
      throw unsupported(where, name, 'a tensor', 'beams and shared buffers are not');
  }
  for (const name of ['key', 'value'] as const) {
    if (!isGiven(inputs[name])) throw wrongType(where, name, 'a tensor: packed QKV and KV are not supported', inputs[name]);
  }
  if ((attributes.mask_filter_value ?? -10000) > -1000)
    throw unsupported(where, 'mask_filter_value', attributes.mask_filter_value, 'masks hide');
  const work = new Workspace(engine, where);
  try {
    return await run(work, inputs, attributes);
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
  const H = integer(where, 'num_heads', attributes.num_heads, 1, 65536);
  const { query, key, value, past_key, past_value, attention_bias } = inputs;
  const widthOf = (name: string, input: OnnxInput): number => {
    const { dims } = describeInput(where, name, input, FLOATS);
    return dims.length === 4 ? H * (dims[3] as number) : (dims[2] ?? 0);
  };
  if (describeInput(where, 'query', query, FLOATS).dims.length !== 3)
    throw unsupported(where, 'query', 'another shape', 'it is [B, L, H·D]');
  const parts = biasParts(work, inputs.bias, [widthOf('query', query), widthOf('key', key), widthOf('value', value)]);
  const q = biased(work, 'query', query, H, parts[0]);
  let k = biased(work, 'key', key, H, parts[1]);
  let v = biased(work, 'value', value, H, parts[2]);
  if (isGiven(past_key) !== isGiven(past_value)) throw wrongType(where, 'past_value', 'a tensor beside past_key', undefined);
  const past = isGiven(past_key) ? work.tensor('past_key', past_key) : undefined;
  if (past) {
    k = concatenated(work, 'past_key', past, k);
    v = concatenated(work, 'past_value', work.tensor('past_value', past_value), v);
  }
  const [B, , L, D] = q.shape as [number, number, number, number];
  const { lengths, mask } = padding(work, inputs.key_padding_mask, B, L, k.shape[2] as number);
  const offset = past?.shape[2] ?? 0;
  const bound = boundsMask({ causal: Boolean(attributes.unidirectional), left: -1, right: -1, offset, ...(lengths && { lengths }) });
  const bias = isGiven(attention_bias) ? work.tensor('attention_bias', attention_bias) : undefined;
  const { whole, view } = resultByHeads(work, [B, H, L, v.shape[3] as number], true, q.dtype);
  await engine.attention(q, k, v, {
    mask: [...(bias ? [bias] : []), ...(mask ? [mask] : []), ...(bound ? [bound] : [])],
    scale: attributes.scale || 1 / Math.sqrt(D),
    out: view,
  });
  const present = (tensor: Tensor): OnnxOutput<T> => {
    const own = past ? tensor : work.own(engine.tensor(tensor.shape, tensor.toArray(), tensor.dtype));
    return work.output(own, query);
  };
  return { output: work.output(whole, query), present_key: present(k), present_value: present(v) };
}
