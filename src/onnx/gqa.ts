// GroupQueryAttention of com.microsoft.

import { integer, wrongType, wrongValue } from '../arguments/check.ts';
import type { Engine } from '../engine.ts';
import type { Tensor } from '../memory/tensor.ts';
import { byHeads, copyInto, resultByHeads } from './heads.ts';
import { boundsMask, fullMask } from './masks.ts';
import { caches, gatherRows, turn } from './rotary.ts';
import { checkAttributes, checkInputs, FLOATS, isGiven, type OnnxInput, type OnnxOutput, shown, unsupported, Workspace } from './values.ts';

/** Inputs of `GroupQueryAttention`, by their names. */
export interface GroupQueryAttentionInputs<T extends OnnxInput = OnnxInput> {
  /** [B, L, H·D]; without key and value the three packed, [B, L, (H + 2G)·D]. */
  readonly query: T;
  /** [B, L, G·D]. */
  readonly key?: OnnxInput;
  readonly value?: OnnxInput;
  /** [B, G, P, D]. The rows beyond a batch row's length do not count. */
  readonly past_key?: OnnxInput;
  readonly past_value?: OnnxInput;
  /** int32 [B]: keys of each batch row after this call, minus 1. */
  readonly seqlens_k: OnnxInput;
  /** int32 [1]: the largest number of keys after this call, T. It is a first prompt if that is L. */
  readonly total_sequence_length: OnnxInput;
  /** [rows, R/2]; with do_rotary. */
  readonly cos_cache?: OnnxInput;
  readonly sin_cache?: OnnxInput;
  /** int64 [B, L]; default where the queries stand. */
  readonly position_ids?: OnnxInput;
  /** [1|B, 1|H, L, T], added. */
  readonly attention_bias?: OnnxInput;
  /** [H]: one extra logit per head. */
  readonly head_sink?: OnnxInput;
}

/** Attributes of `GroupQueryAttention`, by their names. */
export interface GroupQueryAttentionAttributes {
  readonly num_heads: number;
  readonly kv_num_heads: number;
  /** Default (and 0) 1/√D. */
  readonly scale?: number;
  readonly softcap?: number;
  /** Default 1. */
  readonly causal?: number;
  /** Keys that a query sees, its own included; −1 (default): all. */
  readonly local_window_size?: number;
  readonly do_rotary?: number;
  readonly rotary_interleaved?: number;
  /** 1: a sink of 0 for every head. */
  readonly smooth_softmax?: number;
}

/** Outputs of `GroupQueryAttention`, by their names. */
export interface GroupQueryAttentionOutputs<T> {
  /** [B, L, H·D]. */
  readonly output: OnnxOutput<T>;
  /** [B, G, max(P, T), D]: the past with the new rows of each batch row behind its own; zeros beyond. */
  readonly present_key: OnnxOutput<T>;
  readonly present_value: OnnxOutput<T>;
}

const INPUTS = [
  'query',
  'key',
  'value',
  'past_key',
  'past_value',
  'seqlens_k',
  'total_sequence_length',
  'cos_cache',
  'sin_cache',
  'position_ids',
  'attention_bias',
  'head_sink',
];
const ATTRIBUTES = [
  'num_heads',
  'kv_num_heads',
  'scale',
  'softcap',
  'causal',
  'local_window_size',
  'do_rotary',
  'rotary_interleaved',
  'smooth_softmax',
];
/** Known, but beyond what is implemented. */
const FOREIGN_INPUTS = ['k_scale', 'v_scale', 'q_norm_weight', 'k_norm_weight'];
const FOREIGN_ATTRIBUTES = ['qk_output', 'kv_cache_bit_width', 'k_quant_type', 'v_quant_type', 'qk_norm_epsilon', 'sliding_window_cache'];

function refuseForeign(where: string, inputs: object, attributes: object): void {
  for (const name of FOREIGN_INPUTS) {
    if (isGiven((inputs as Record<string, unknown>)[name]))
      throw unsupported(where, name, 'a tensor', 'quantised caches and norms of heads are not');
  }
  for (const name of FOREIGN_ATTRIBUTES) {
    const value = (attributes as Record<string, unknown>)[name];
    if (value && value !== 'NONE') throw unsupported(where, name, value, 'quantised caches, norms of heads and score outputs are not');
  }
}

/** Q, K and V by heads, from one tensor or three. */
function operands(work: Workspace, { query, key, value }: GroupQueryAttentionInputs, H: number, G: number): [Tensor, Tensor, Tensor] {
  const { where } = work;
  const whole = work.tensor('query', query);
  if (whole.shape.length !== 3) throw wrongValue(where, 'query', 'shape [B, L, hidden]', shown(whole.shape));
  if (isGiven(key) !== isGiven(value))
    throw wrongType(where, isGiven(key) ? 'value' : 'key', 'a tensor beside the other of the two', undefined);
  if (isGiven(key)) {
    return [
      byHeads(work, 'query', whole, H),
      byHeads(work, 'key', work.tensor('key', key), G),
      byHeads(work, 'value', work.tensor('value', value), G),
    ];
  }
  const packed = byHeads(work, 'query', whole, H + 2 * G);
  const part = (from: number, count: number): Tensor => work.own(packed.slice(null, [from, from + count]));
  return [part(0, H), part(H, G), part(H + G, G)];
}

/** Turns q and k, new tensors. */
async function rotated(
  work: Workspace,
  inputs: GroupQueryAttentionInputs,
  interleaved: boolean,
  pasts: readonly number[],
  [q, k]: readonly [Tensor, Tensor],
): Promise<[Tensor, Tensor]> {
  const { where } = work;
  const [B, , L, D] = q.shape as [number, number, number, number];
  const columns = (isGiven(inputs.cos_cache) ? work.tensor('cos_cache', inputs.cos_cache).shape.at(-1) : undefined) ?? 0;
  const dim = 2 * columns;
  if (!dim || dim > D) throw wrongValue(where, 'cos_cache', `shape [rows, R/2] with R ≤ D=${D}, as do_rotary is set`, String(columns));
  const { cos, sin } = caches(work, inputs.cos_cache, inputs.sin_cache, dim);
  const given = isGiven(inputs.position_ids) ? work.integers('position_ids', inputs.position_ids) : undefined;
  if (given && given.length !== B * L) throw wrongValue(where, 'position_ids', `[B=${B}, L=${L}] positions`, `${given.length}`);
  const rows = given ?? Array.from({ length: B * L }, (_, n) => (pasts[Math.floor(n / L)] as number) + (n % L));
  const table = { table: gatherRows(where, 'position_ids', cos, sin, rows), batched: true, dim, interleaved };
  const make = async (x: Tensor): Promise<Tensor> => {
    const to = work.own(work.engine.tensor(x.shape, undefined, x.dtype));
    await turn(work, x, table, to);
    return to;
  };
  return [await make(q), await make(k)];
}

/** The past with each batch row's new rows behind its own; zeros beyond. */
function presentOf(
  work: Workspace,
  name: string,
  past: Tensor | undefined,
  fresh: Tensor,
  pasts: readonly number[],
  lengths: readonly number[],
  rows: number,
): Tensor {
  const [B, G, , D] = fresh.shape as [number, number, number, number];
  if (
    past &&
    (past.dtype !== fresh.dtype || past.shape.length !== 4 || [B, G, past.shape[2], D].some((n, axis) => n !== past.shape[axis]))
  ) {
    throw wrongValue(work.where, name, `${fresh.dtype} of [${B}, ${G}, P, ${D}]`, `${past.dtype} of ${shown(past.shape)}`);
  }
  const all = work.own(work.engine.tensor([B, G, rows, D], undefined, fresh.dtype));
  const part = (tensor: Tensor, b: number, from: number, to: number): Tensor => work.own(tensor.slice(b, null, [from, to]));
  pasts.forEach((before, b) => {
    if (before > (past?.shape[2] ?? 0))
      throw wrongValue(work.where, name, `at least the ${before} rows that seqlens_k[${b}] counts before`, shown(past?.shape ?? []));
    if (past && before) copyInto(work, part(all, b, 0, before), part(past, b, 0, before));
    const count = (lengths[b] as number) - before;
    copyInto(work, part(all, b, before, before + count), part(fresh, b, 0, count));
  });
  return all;
}

/**
 * com.microsoft `GroupQueryAttention`, as onnxruntime 1.30 computes it on the CPU: `seqlens_k` is the length after the call minus 1, a
 * window of W is W keys with the query's own. The present is new tensors; nothing is written in place. Queries of a first prompt beyond
 * their row's length are padding: they yield 0, and their keys are not kept.
 *
 * @throws TypeError, RangeError naming an input or attribute that is wrong or not supported: quantised caches, norms of heads, score outputs
 * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`
 * @example
 * ```ts
 * import { groupQueryAttention } from 'relpos/onnx';
 *
 * const engine = await createEngine({ threads: 1 });
 * const floats = (...dims: number[]) => ({ data: new Float32Array(dims.reduce((a, n) => a * n)), dims });
 * const one = (x: number) => ({ data: Int32Array.of(x), dims: [1] });
 * const inputs = { query: floats(1, 3, 32), key: floats(1, 3, 16), value: floats(1, 3, 16), seqlens_k: one(2), total_sequence_length: one(3) };
 * const { output, present_key } = await groupQueryAttention(engine, inputs, { num_heads: 4, kv_num_heads: 2 });
 * present_key.dims; // [1, 2, 3, 8]
 * engine.dispose();
 * ```
 */
export async function groupQueryAttention<T extends OnnxInput>(
  engine: Engine,
  inputs: GroupQueryAttentionInputs<T>,
  attributes: GroupQueryAttentionAttributes,
): Promise<GroupQueryAttentionOutputs<T>> {
  const where = 'groupQueryAttention';
  checkInputs(where, inputs, [...INPUTS, ...FOREIGN_INPUTS]);
  checkAttributes(where, attributes, [...ATTRIBUTES, ...FOREIGN_ATTRIBUTES]);
  refuseForeign(where, inputs, attributes);
  const work = new Workspace(engine, where);
  try {
    return await run(work, inputs, attributes);
  } finally {
    work.release();
  }
}

async function run<T extends OnnxInput>(
  work: Workspace,
  inputs: GroupQueryAttentionInputs<T>,
  attributes: GroupQueryAttentionAttributes,
): Promise<GroupQueryAttentionOutputs<T>> {
  const { engine, where } = work;
  const H = integer(where, 'num_heads', attributes.num_heads, 1, 65536);
  const G = integer(where, 'kv_num_heads', attributes.kv_num_heads, 1, 65536);
  let [q, k, v] = operands(work, inputs, H, G);
  const [B, , L, D] = q.shape as [number, number, number, number];
  for (const [name, tensor] of Object.entries({ key: k, value: v })) {
    if (tensor.shape[0] !== B || tensor.shape[2] !== L)
      throw wrongValue(where, name, `shape [B=${B}, L=${L}, hidden]`, shown(tensor.shape));
  }
  const lengths = work.integers('seqlens_k', inputs.seqlens_k).map((n) => n + 1);
  if (lengths.length !== B) throw wrongValue(where, 'seqlens_k', `[B=${B}] lengths`, `${lengths.length}`);
  const [total] = work.integers('total_sequence_length', inputs.total_sequence_length) as [number];
  const first = L === total;
  const pasts = lengths.map((n, b) => (first ? 0 : integer(where, `seqlens_k[${b}] + 1 − L`, n - L, 0, total - L)));
  lengths.forEach((n, b) => {
    integer(where, `seqlens_k[${b}]`, n - 1, 0, total - 1);
  });
  if (attributes.do_rotary) [q, k] = await rotated(work, inputs, Boolean(attributes.rotary_interleaved), pasts, [q, k]);
  const past = (name: 'past_key' | 'past_value'): Tensor | undefined =>
    isGiven(inputs[name]) ? work.tensor(name, inputs[name]) : undefined;
  const [pastKey, pastValue] = [past('past_key'), past('past_value')];
  const rows = Math.max(total, pastKey?.shape[2] ?? 0);
  const keys = presentOf(work, 'past_key', pastKey, k, pasts, lengths, rows);
  const values = presentOf(work, 'past_value', pastValue, v, pasts, lengths, rows);
  const window = integer(where, 'local_window_size', attributes.local_window_size ?? -1, -1);
  if (window === 0) throw wrongValue(where, 'local_window_size', '−1 or at least 1', 0);
  const queries = lengths.map((n, b) => n - (pasts[b] as number));
  const bounds = { causal: attributes.causal !== 0, left: window < 0 ? -1 : window - 1, right: -1 };
  const bound = boundsMask({ ...bounds, offset: pasts, lengths, queries });
  const { attention_bias, head_sink } = inputs;
  const bias = isGiven(attention_bias) ? fullMask(work, work.tensor('attention_bias', attention_bias), total, false) : undefined;
  const sinks = isGiven(head_sink) ? work.numbers('head_sink', head_sink, FLOATS) : attributes.smooth_softmax === 1 ? 'smooth' : undefined;
  const upTo = (tensor: Tensor): Tensor => work.own(tensor.slice(null, null, [0, total]));
  const { whole, view } = resultByHeads(work, [B, H, L, v.shape[3] as number], true, q.dtype);
  await engine.attention(q, upTo(keys), upTo(values), {
    mask: [...(bias ? [bias] : []), ...(bound ? [bound] : [])],
    scale: attributes.scale || 1 / Math.sqrt(D),
    ...(attributes.softcap && { softcap: attributes.softcap }),
    ...(sinks && { sinks }),
    out: view,
  });
  const result = <X extends Tensor>(tensor: X): OnnxOutput<T> => work.output(tensor, inputs.query);
  return { output: result(whole), present_key: result(keys), present_value: result(values) };
}
