// GroupQueryAttention of com.microsoft.

import { integer, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import type { Engine } from '../engine.ts';
import type { Tensor } from '../memory/tensor.ts';
import { checkEngine, flag, headCount, inNamesOf, named, scaleOf, softcapOf, unsupported } from './attributes.ts';
import { byHeads, PAST, pastOf, resultByHeads } from './heads.ts';
import { attentionBias, boundsMask } from './masks.ts';
import { presentOf } from './present.ts';
import { caches, gatherRows, turn } from './rotary.ts';
import { checkOperands, checkPair, checkShape, fits } from './shapes.ts';
import { describeInput, FLOATS, isGiven, type OnnxInput, type OnnxOutput, Workspace } from './values.ts';

/** Inputs of `GroupQueryAttention`, by their names. */
export interface GroupQueryAttentionInputs<T extends OnnxInput = OnnxInput> {
  /** [B, L, H·D]; without key and value the three packed, [B, L, (H + 2G)·D]. */
  readonly query: T;
  /** [B, L, G·D]; or [B, 0, G·D], when the past holds all keys already (a layer that shares another's cache). */
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
  /** int64 [B, L]; default where the queries stand. In a first prompt the first of all counts, and every row goes on from it. */
  readonly position_ids?: OnnxInput;
  /** [1|B, 1|H, L, T], added. The least float32 hides, as −Infinity does. */
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
  /** 0 or 1 (default). */
  readonly causal?: number;
  /** Keys that a query sees, its own included, at least 1; −1 (default): all. Needs `causal`. */
  readonly local_window_size?: number;
  readonly do_rotary?: number;
  readonly rotary_interleaved?: number;
  /** 1: a sink of 0 for every head, if there is no head_sink. −1 (default) and 0: none. */
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
const CACHES = ['cos_cache', 'sin_cache'] as const;
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

/** What the engine calls its inputs. */
const NAMES = { q: 'query', k: 'key', v: 'value', mask: 'attention_bias', sinks: 'head_sink' };

/** Q, K and V by heads, from one tensor or three; K and V of no rows where the past holds them. */
function operands(work: Workspace, inputs: GroupQueryAttentionInputs, H: number, G: number): [Tensor, Tensor, Tensor] {
  const { where } = work;
  const { query, key, value } = inputs;
  const whole = work.tensor('query', query);
  if (whole.shape.length !== 3) throw wrongValue(where, 'query', 'shape [B, L, hidden]', shapeText(whole.shape));
  checkPair(where, inputs, ['key', 'value']);
  const [B, L] = whole.shape as [number, number];
  if (!isGiven(key)) {
    const packed = byHeads(work, 'query', whole, 'num_heads + 2 kv_num_heads', H + 2 * G);
    const part = (from: number, count: number): Tensor => work.own(packed.slice(null, [from, from + count]));
    const [q, k, v] = [part(0, H), part(H, G), part(H + G, G)];
    checkOperands(where, { q: 'query', k: 'query', v: 'query' }, q.shape, k.shape, v.shape);
    return [q, k, v];
  }
  const q = byHeads(work, 'query', whole, 'num_heads', H);
  const hidden = G * (q.shape[3] as number);
  const rows = isGiven(inputs.past_key) ? [0, L] : L;
  const words = `[B=${B}, L=${L}${isGiven(inputs.past_key) ? ' or 0' : ''}, G·D=${hidden}]`;
  checkShape(where, 'key', describeInput(where, 'key', key, FLOATS).dims, [B, rows, hidden], words);
  const k = byHeads(work, 'key', work.tensor('key', key), 'kv_num_heads', G);
  const { dims } = describeInput(where, 'value', value, FLOATS);
  checkShape(where, 'value', dims, [B, k.shape[2] as number, hidden], `[B=${B}, ${k.shape[2]}, G·D=${hidden}], as key has`);
  const v = byHeads(work, 'value', work.tensor('value', value), 'kv_num_heads', G);
  checkOperands(where, { q: 'query', k: 'key', v: 'value' }, q.shape, k.shape, v.shape);
  return [q, k, v];
}

/** How many keys there are. */
interface Lengths {
  /** T: the most of a batch row, after the call. */
  readonly total: number;
  /** Keys of each batch row after the call. */
  readonly lengths: readonly number[];
  /** Keys of each batch row before its first query: where its queries begin. */
  readonly pasts: readonly number[];
  /** A first prompt: nothing of a past counts. */
  readonly first: boolean;
}

function lengthsOf(work: Workspace, inputs: GroupQueryAttentionInputs, B: number, L: number): Lengths {
  const { where } = work;
  const dimsOf = (name: 'total_sequence_length' | 'seqlens_k'): readonly number[] =>
    describeInput(where, name, inputs[name], ['int64', 'int32']).dims;
  const one = dimsOf('total_sequence_length');
  if (one.length) checkShape(where, 'total_sequence_length', one, [1], '[1]');
  const total = integer(where, 'total_sequence_length', work.integers('total_sequence_length', inputs.total_sequence_length)[0], 1);
  if (total < L) throw wrongValue(where, 'total_sequence_length', `at least the L=${L} rows of query`, total);
  const dims = dimsOf('seqlens_k');
  if (!fits(dims, [B, 1])) checkShape(where, 'seqlens_k', dims, [B], `[B=${B}]`);
  const first = L === total;
  const lengths = work.integers('seqlens_k', inputs.seqlens_k).map((n, b) => {
    // Beyond a first prompt every query counts, so there are at least as many keys.
    return integer(where, `seqlens_k[${b}]`, n, first ? 0 : Math.max(0, L - 1), total - 1) + 1;
  });
  return { total, lengths, pasts: lengths.map((n) => (first ? 0 : n - L)), first };
}

/** Which of the caches' rows each query takes: position_ids, or where the queries stand. */
function positionsOf(
  work: Workspace,
  given: OnnxInput,
  { pasts, first }: Lengths,
  [B, L, rows]: readonly [number, number, number],
): number[] {
  const { where } = work;
  const from = (b: number): number => pasts[b] as number;
  const count = (begin: (b: number) => number): number[] => Array.from({ length: B * L }, (_, n) => begin(Math.floor(n / L)) + (n % L));
  if (!isGiven(given)) return count(from);
  checkShape(where, 'position_ids', describeInput(where, 'position_ids', given, ['int64', 'int32']).dims, [B, L], `[B=${B}, L=${L}]`);
  const ids = work.integers('position_ids', given);
  if (!first || !ids.length) return ids;
  const start = integer(where, 'position_ids[0]', ids[0], 0, rows - L);
  return count(() => start);
}

/** Turns q and k, if it has rows; new tensors. */
async function rotated(
  work: Workspace,
  inputs: GroupQueryAttentionInputs,
  interleaved: boolean,
  lengths: Lengths,
  [q, k]: readonly [Tensor, Tensor],
): Promise<[Tensor, Tensor]> {
  const { where } = work;
  const [B, , L, D] = q.shape as [number, number, number, number];
  for (const name of CACHES)
    if (!isGiven(inputs[name])) throw wrongType(where, name, 'a tensor [rows, R/2], as do_rotary is 1', inputs[name]);
  const [rows, columns] = describeInput(where, 'cos_cache', inputs.cos_cache, FLOATS).dims;
  const dim = 2 * (columns ?? 0);
  const { cos, sin } = caches(work, inputs.cos_cache, inputs.sin_cache, dim);
  if (cos.shape.length !== 2 || !dim || dim > D || (rows as number) < lengths.total) {
    throw wrongValue(where, 'cos_cache', `shape [T=${lengths.total} or more rows, R/2] with R ≤ D=${D}`, shapeText(cos.shape));
  }
  const positions = positionsOf(work, inputs.position_ids, lengths, [B, L, rows as number]);
  const table = { table: gatherRows(where, 'position_ids', cos, sin, positions), batched: true, dim, interleaved };
  const make = async (x: Tensor): Promise<Tensor> => {
    if (!x.size) return x;
    const to = work.own(work.engine.tensor(x.shape, undefined, x.dtype));
    await turn(work, x, table, to);
    return to;
  };
  return [await make(q), await make(k)];
}

/** The window's left side, −1 for none. */
function windowOf(where: string, size: number | null | undefined, causal: boolean): number {
  const window = integer(where, 'local_window_size', size ?? -1, -1);
  if (window === 0) throw wrongValue(where, 'local_window_size', '−1 or at least 1', 0);
  if (window > 0 && !causal) throw wrongValue(where, 'local_window_size', '−1 with causal = 0', window);
  return window < 0 ? -1 : window - 1;
}

/** The extra logits of the heads. */
function sinksOf(work: Workspace, sinks: OnnxInput, smooth: number | null | undefined, H: number): Float32Array | 'smooth' | undefined {
  const isSmooth = integer(work.where, 'smooth_softmax', smooth ?? -1, -1, 1) === 1;
  if (!isGiven(sinks)) return isSmooth ? 'smooth' : undefined;
  checkShape(work.where, 'head_sink', describeInput(work.where, 'head_sink', sinks, FLOATS).dims, [H], `[H=${H}]`);
  return work.numbers('head_sink', sinks);
}

/** The least float32, which onnxruntime's fast path takes for "hidden": a row that has nothing else is 0, not a mean. */
const LEAST = -3.4028234663852886e38;

/** The bias with −Infinity for the least float32. */
function hidingLeast(work: Workspace, bias: Tensor | undefined): Tensor | undefined {
  if (bias?.dtype !== 'f32') return bias;
  const values = bias.toArray();
  if (!values.includes(LEAST)) return bias;
  return work.make(
    bias.shape,
    values.map((x) => (x === LEAST ? -Infinity : x)),
    'float32',
  );
}

/**
 * com.microsoft `GroupQueryAttention`, as onnxruntime 1.30 computes it on the CPU: `seqlens_k` is the length after the call minus 1, a
 * window of W is W keys with the query's own. The present is new tensors; nothing is written in place. Queries of a first prompt beyond
 * their row's length are padding: they yield 0, and their keys are not kept. In a first prompt (L = total_sequence_length) position_ids
 * give one number, their first, from which every batch row counts on.
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
  checkEngine(where, engine);
  const given = named<GroupQueryAttentionInputs<T>>(where, 'inputs', inputs, [...INPUTS, ...FOREIGN_INPUTS]);
  const how = named<GroupQueryAttentionAttributes>(where, 'attributes', attributes, [...ATTRIBUTES, ...FOREIGN_ATTRIBUTES]);
  refuseForeign(where, given, how);
  const work = new Workspace(engine, where);
  try {
    return await inNamesOf(where, NAMES, () => run(work, given, how));
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
  const H = headCount(where, 'num_heads', attributes.num_heads);
  const G = headCount(where, 'kv_num_heads', attributes.kv_num_heads);
  if (H % G) throw wrongValue(where, 'kv_num_heads', `a divisor of num_heads=${H}`, G);
  const causal = flag(where, 'causal', attributes.causal, 1);
  const left = windowOf(where, attributes.local_window_size, causal);
  const softcap = softcapOf(where, attributes.softcap);
  const interleaved = flag(where, 'rotary_interleaved', attributes.rotary_interleaved);
  for (const pair of [PAST, CACHES]) checkPair(where, inputs, pair);
  let [q, k, v] = operands(work, inputs, H, G);
  const [B, , L, D] = q.shape as [number, number, number, number];
  const scale = scaleOf(where, attributes.scale, D);
  const counts = lengthsOf(work, inputs, B, L);
  const { total, lengths, pasts } = counts;
  const past = pastOf(work, inputs, [k, v]);
  const bias = hidingLeast(work, attentionBias(work, inputs.attention_bias, [B, H, L, total]));
  const sinks = sinksOf(work, inputs.head_sink, attributes.smooth_softmax, H);
  if (flag(where, 'do_rotary', attributes.do_rotary)) [q, k] = await rotated(work, inputs, interleaved, counts, [q, k]);
  const keys = presentOf(work, 'past_key', past?.[0], k, counts);
  const values = presentOf(work, 'past_value', past?.[1], v, counts);
  const queries = lengths.map((n, b) => n - (pasts[b] as number));
  const bound = boundsMask({ causal, left, right: -1, offset: pasts, lengths, queries });
  const upTo = (tensor: Tensor): Tensor => work.own(tensor.slice(null, null, [0, total]));
  const { whole, view } = resultByHeads(work, [B, H, L, D], true, q.dtype);
  await engine.attention(q, upTo(keys), upTo(values), {
    mask: [...(bias ? [bias] : []), ...(bound ? [bound] : [])],
    scale,
    ...(softcap && { softcap }),
    ...(sinks && { sinks }),
    out: view,
  });
  const result = <X extends Tensor>(tensor: X): OnnxOutput<T> => work.output(tensor, inputs.query);
  return { output: result(whole), present_key: result(keys), present_value: result(values) };
}
