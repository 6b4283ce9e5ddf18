/** What each operator gives, in f64 and from its schema alone: for nodes with plain data of float32. */
import type { OnnxValue } from '../../src/onnx/index.ts';
import { onnxReference } from './reference.ts';

export interface Node {
  readonly operator: 'Attention' | 'GroupQueryAttention' | 'MultiHeadAttention' | 'RotaryEmbedding' | 'OnnxRotaryEmbedding';
  readonly opset: 23 | 24 | 25;
  readonly inputs: Record<string, OnnxValue | undefined>;
  readonly attributes: Record<string, number>;
}

/** A result: dimensions and numbers. */
export interface Result {
  readonly dims: readonly number[];
  readonly data: Float64Array;
}

type Round = (x: number) => number;

const sizeOf = (dims: readonly number[]): number => dims.reduce((a, n) => a * n, 1);
const dataOf = (value: OnnxValue | undefined): ArrayLike<number> => value?.data as ArrayLike<number>;
const integersOf = (value: OnnxValue | undefined): number[] => Array.from(value?.data as ArrayLike<number | bigint>, Number);
const dimsOf = (value: OnnxValue | undefined): readonly number[] => value?.dims as readonly number[];

/** A result whose number at each place is what `at` says. */
function filled(dims: readonly number[], at: (...place: number[]) => number): Result {
  const data = new Float64Array(sizeOf(dims));
  for (let n = 0; n < data.length; n++) {
    let rest = n;
    const place = [...dims].reverse().map((size) => {
      const x = rest % size;
      rest = Math.floor(rest / size);
      return x;
    });
    data[n] = at(...place.reverse());
  }
  return { dims, data };
}

/** [B, heads, rows, width] of a tensor that is so, or [B, rows, heads · width]. */
function byHeads({ data, dims }: { data: ArrayLike<number>; dims: readonly number[] }, heads: number): Result {
  if (dims.length === 4) return { dims, data: Float64Array.from(data) };
  const [B, rows, hidden] = dims as [number, number, number];
  const width = hidden / heads;
  return filled(
    [B, heads, rows, width],
    (b, h, i, d) => data[((b as number) * rows + (i as number)) * hidden + (h as number) * width + (d as number)] as number,
  );
}

const of = (value: OnnxValue | undefined): { data: ArrayLike<number>; dims: readonly number[] } => ({
  data: dataOf(value),
  dims: dimsOf(value),
});

/** [B, L, H · E] of [B, H, L, E]. */
function flat({ dims, data }: Result): Result {
  const [B, H, L, E] = dims as [number, number, number, number];
  return filled([B, L, H * E], (b, i, c) => {
    const h = Math.floor((c as number) / E);
    return data[(((b as number) * H + h) * L + (i as number)) * E + ((c as number) % E)] as number;
  });
}

/** A number of a tensor whose dimensions may be 1 where `place` is not 0, and fewer than 4. */
function broadcast({ data, dims }: { data: ArrayLike<number>; dims: readonly number[] }, place: readonly number[]): number {
  const own = place.slice(4 - dims.length);
  return data[dims.reduce((sum, size, axis) => sum * size + (size === 1 ? 0 : (own[axis] as number)), 0)] as number;
}

/** Two tensors [B, H, rows, width], one behind the other. */
function joined(past: Result, fresh: Result): Result {
  const [B, H, P, W] = past.dims as [number, number, number, number];
  const n = fresh.dims[2] as number;
  return filled([B, H, P + n, W], (b, h, i, d) => {
    const [from, row, rows] = (i as number) < P ? [past, i as number, P] : [fresh, (i as number) - P, n];
    return from.data[(((b as number) * H + (h as number)) * rows + row) * W + (d as number)] as number;
  });
}

function attend(q: Result, k: Result, v: Result, options: Parameters<typeof onnxReference>[4]): Result {
  const [B, H, L, D] = q.dims as [number, number, number, number];
  const [, G, S, E] = v.dims as [number, number, number, number];
  const { Y } = onnxReference(q.data, k.data, v.data, { B, H, G, L, S, D, E }, options);
  return { dims: [B, H, L, E], data: Y };
}

/** Attention: a mask intersects with causal, windows and lengths; causal begins at the past, at nonpad[b] − L, or at 0. */
function attention({ inputs, attributes, opset }: Node, round: Round): Record<string, Result> {
  const { is_causal = 0, left_window_size: left = -1, right_window_size: right = -1, scale, softcap } = attributes;
  const q = byHeads(of(inputs.Q), attributes.q_num_heads as number);
  let [k, v] = [inputs.K, inputs.V].map((x) => byHeads(of(x), attributes.kv_num_heads as number)) as [Result, Result];
  const P = inputs.past_key ? (dimsOf(inputs.past_key)[2] as number) : 0;
  if (inputs.past_key) [k, v] = [joined(byHeads(of(inputs.past_key), 0), k), joined(byHeads(of(inputs.past_value), 0), v)];
  const L = q.dims[2] as number;
  const lengths = inputs.nonpad_kv_seqlen && integersOf(inputs.nonpad_kv_seqlen);
  const mask = inputs.attn_mask && of(inputs.attn_mask);
  const boolean = inputs.attn_mask?.data instanceof Uint8Array;
  const width = mask?.dims.at(-1) ?? Infinity;
  const bias = (b: number, h: number, i: number, j: number): number => {
    const at = i + (lengths ? (lengths[b] as number) - L : P);
    if (lengths && j >= (lengths[b] as number)) return -Infinity;
    if ((is_causal && j > at) || (left >= 0 && j < at - left) || (right >= 0 && j > at + right)) return -Infinity;
    if (!mask) return 0;
    if (j >= width && !(opset === 23 && width === 1)) return -Infinity;
    const x = broadcast(mask, [b, h, i, j]);
    return boolean ? (x ? 0 : -Infinity) : x;
  };
  const Y = attend(q, k, v, { ...(scale !== undefined && { scale }), ...(softcap !== undefined && { softcap }), bias, round });
  return { Y: dimsOf(inputs.Q).length === 3 ? flat(Y) : Y, present_key: k, present_value: v };
}

/** x [B, H, L, D] turned by the rows of two tables that `row` names, in halves or pairs. */
function turned(
  x: Result,
  cos: ArrayLike<number>,
  sin: ArrayLike<number>,
  half: number,
  pairs: boolean,
  row: (b: number, i: number) => number,
  round: Round,
): Result {
  const [, H, L, D] = x.dims as [number, number, number, number];
  return filled(x.dims, (...place) => {
    const [b, h, i, d] = place as [number, number, number, number];
    const line = ((b * H + h) * L + i) * D;
    if (d >= 2 * half) return x.data[line + d] as number;
    const [pair, second] = pairs ? [d >> 1, d % 2 === 1] : [d % half, d >= half];
    const [one, other] = (pairs ? [2 * pair, 2 * pair + 1] : [pair, pair + half]).map((c) => x.data[line + c] as number) as [
      number,
      number,
    ];
    const at = row(b, i) * half + pair;
    const [c, s] = [cos[at] as number, sin[at] as number];
    return second ? round(round(other * c) + round(one * s)) : round(round(one * c) - round(other * s));
  });
}

function rotaryEmbedding({ operator, inputs, attributes }: Node, round: Round): Record<string, Result> {
  const [cos, sin] = [dataOf(inputs.cos_cache), dataOf(inputs.sin_cache)];
  const half = dimsOf(inputs.cos_cache).at(-1) as number;
  const dims = dimsOf(inputs.input);
  // com.microsoft's caches tell the width of a head where nothing else does.
  const heads = attributes.num_heads ?? (dims.at(-1) as number) / (2 * half);
  const x = byHeads(of(inputs.input), heads);
  const L = x.dims[2] as number;
  const ids = inputs.position_ids && integersOf(inputs.position_ids);
  const offset = operator === 'RotaryEmbedding' && dimsOf(inputs.position_ids).length === 1;
  const row = (b: number, i: number): number => (offset ? (ids?.[0] as number) + i : ids ? (ids[b * L + i] as number) : b * L + i);
  const out = turned(x, cos, sin, half, attributes.interleaved === 1, row, round);
  return { output: dims.length === 3 ? flat(out) : out };
}

/** com.microsoft GroupQueryAttention. */
function groupQueryAttention({ inputs, attributes }: Node, round: Round): Record<string, Result> {
  const {
    num_heads: H,
    kv_num_heads: G,
    causal = 1,
    local_window_size = -1,
    softcap = 0,
    smooth_softmax = -1,
  } = attributes as Record<string, number> & { num_heads: number; kv_num_heads: number };
  let q = byHeads(of(inputs.query), inputs.key ? H : H + 2 * G);
  const [B, , L, D] = q.dims as [number, number, number, number];
  const heads = (from: number, count: number): Result =>
    filled(
      [B, count, L, D],
      (b, h, i, d) => q.data[(((b as number) * (H + 2 * G) + from + (h as number)) * L + (i as number)) * D + (d as number)] as number,
    );
  let [k, v] = inputs.key ? [byHeads(of(inputs.key), G), byHeads(of(inputs.value), G)] : [heads(H, G), heads(H + G, G)];
  if (!inputs.key) q = heads(0, H);
  const [total] = integersOf(inputs.total_sequence_length) as [number];
  const lengths = integersOf(inputs.seqlens_k).map((n) => n + 1);
  const first = total === L;
  const begin = lengths.map((n) => (first ? 0 : n - L));
  const shared = L > 0 && k.dims[2] === 0;
  if (attributes.do_rotary) {
    const ids = inputs.position_ids && integersOf(inputs.position_ids);
    const row = (b: number, i: number): number =>
      !ids ? (begin[b] as number) + i : first ? (ids[0] as number) + i : (ids[b * L + i] as number);
    const turn = (x: Result): Result =>
      turned(
        x,
        dataOf(inputs.cos_cache),
        dataOf(inputs.sin_cache),
        dimsOf(inputs.cos_cache)[1] as number,
        attributes.rotary_interleaved === 1,
        row,
        round,
      );
    [q, k] = [turn(q), turn(k)];
  }
  const P = inputs.past_key ? (dimsOf(inputs.past_key)[2] as number) : 0;
  const present = (past: OnnxValue | undefined, fresh: Result): Result =>
    filled([B, G, Math.max(P, total), D], (...place) => {
      const [b, g, i, d] = place as [number, number, number, number];
      if (i >= (lengths[b] as number)) return 0;
      if (shared || i < (begin[b] as number)) return dataOf(past)[((b * G + g) * P + i) * D + d] as number;
      return fresh.data[((b * G + g) * L + i - (begin[b] as number)) * D + d] as number;
    });
  [k, v] = [present(inputs.past_key, k), present(inputs.past_value, v)];
  const given = inputs.attention_bias && of(inputs.attention_bias);
  const bias = (b: number, h: number, i: number, j: number): number => {
    const at = (begin[b] as number) + i;
    const n = lengths[b] as number;
    if (at >= n || j >= n || (causal && j > at) || (local_window_size > 0 && j <= at - local_window_size)) return -Infinity;
    const x = given ? broadcast(given, [b, h, i, j]) : 0;
    return x <= -3.4028234663852886e38 ? -Infinity : x;
  };
  const sinks = inputs.head_sink && dataOf(inputs.head_sink);
  const sink = sinks ? (h: number) => sinks[h] as number : smooth_softmax === 1 ? () => 0 : undefined;
  const scale = attributes.scale || 1 / Math.sqrt(D);
  const output = flat(attend(q, k, v, { scale, ...(softcap && { softcap }), bias, sink, round }));
  return { output, present_key: k, present_value: v };
}

/** com.microsoft MultiHeadAttention; hidden keys are hidden. */
function multiHeadAttention({ inputs, attributes }: Node, round: Round): Record<string, Result> {
  const H = attributes.num_heads as number;
  const added = inputs.bias && dataOf(inputs.bias);
  let from = 0;
  const [q, freshK, freshV] = [inputs.query, inputs.key, inputs.value].map((value) => {
    const { dims, data } = of(value);
    const hidden = dims.length === 3 ? (dims[2] as number) : H * (dims[3] as number);
    const begin = from;
    from += hidden;
    if (!added || dims.length === 4) return byHeads({ dims, data }, H);
    return byHeads({ dims, data: Array.from(data, (x, n) => round(x + (added[begin + (n % hidden)] as number))) }, H);
  }) as [Result, Result, Result];
  const past = inputs.past_key && [of(inputs.past_key), of(inputs.past_value)].map((x) => byHeads(x, H));
  const [k, v] = past ? [joined(past[0] as Result, freshK), joined(past[1] as Result, freshV)] : [freshK, freshV];
  const P = past ? (past[0]?.dims[2] as number) : 0;
  const [, , L, D] = q.dims as [number, number, number, number];
  const T = k.dims[2] as number;
  const padding = inputs.key_padding_mask && integersOf(inputs.key_padding_mask);
  const rank = inputs.key_padding_mask ? dimsOf(inputs.key_padding_mask).length : 0;
  const pads = (b: number, i: number, j: number): boolean => {
    if (!padding) return false;
    if (rank === 1) return j >= (padding[b] as number);
    return (padding[rank === 2 ? b * T + j : (b * L + i) * T + j] as number) <= 0;
  };
  const given = inputs.attention_bias && of(inputs.attention_bias);
  const bias = (b: number, h: number, i: number, j: number): number => {
    if (pads(b, i, j) || (attributes.unidirectional && j > i + P)) return -Infinity;
    return given ? broadcast(given, [b, h, i, j]) : 0;
  };
  const scale = attributes.scale || 1 / Math.sqrt(D);
  return { output: flat(attend(q, k, v, { scale, bias, round })), present_key: k, present_value: v };
}

/** The outputs of a valid node, by name. */
export function expectedOf(node: Node, round: Round = (x) => x): Record<string, Result> {
  if (node.operator === 'Attention') return attention(node, round);
  if (node.operator === 'GroupQueryAttention') return groupQueryAttention(node, round);
  if (node.operator === 'MultiHeadAttention') return multiHeadAttention(node, round);
  return rotaryEmbedding(node, round);
}
