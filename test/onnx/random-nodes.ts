/** Random nodes of each operator, seeded: valid ones, and ones that are wrong in one place. */
import type { OnnxValue } from '../../src/onnx/index.ts';
import type { Node } from './operators.ts';

type Inputs = Record<string, OnnxValue | undefined>;
type Attributes = Record<string, number>;

/** Choices that follow from a seed alone. */
export class Choices {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** In [0, 1): mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  of<T>(...choices: readonly T[]): T {
    return choices[Math.floor(this.next() * choices.length)] as T;
  }

  upTo(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  floats(dims: readonly number[], size = 1): OnnxValue & { data: Float32Array } {
    return { dims, data: Float32Array.from({ length: count(dims) }, () => size * (2 * this.next() - 1)) };
  }

  bools(dims: readonly number[]): OnnxValue {
    return { dims, data: Uint8Array.from({ length: count(dims) }, () => (this.chance(0.7) ? 1 : 0)) };
  }

  ints(dims: readonly number[], low: number, high: number): OnnxValue {
    return int32(
      dims,
      Array.from({ length: count(dims) }, () => this.upTo(low, high)),
    );
  }
}

const count = (dims: readonly number[]): number => dims.reduce((a, n) => a * n, 1);
const int32 = (dims: readonly number[], list: readonly number[]): OnnxValue => ({ dims, data: Int32Array.from(list) });
const int64 = ({ dims, data }: OnnxValue): OnnxValue => ({ dims, data: BigInt64Array.from(Array.from(data as Int32Array, BigInt)) });

function bias(c: Choices, [B, H, L, T]: readonly [number, number, number, number]): OnnxValue {
  const value = c.floats([c.of(1, B), c.of(1, H), L, T], c.of(1, 4));
  const hidden = c.of(-Infinity, -3.4028234663852886e38);
  if (c.chance(0.3))
    value.data.forEach((_, n, all) => {
      if (c.chance(0.3)) all[n] = hidden;
    });
  return value;
}

function groupQuery(c: Choices): Node {
  const [G, H] = c.of([1, 1], [1, 4], [2, 2], [2, 4], [3, 6]) as [number, number];
  const D = c.of(6, 8, 16);
  const B = c.upTo(1, 3);
  const kind = c.of('prompt', 'prompt', 'decode', 'chunk', 'shared');
  const L = kind === 'decode' ? 1 : c.upTo(1, 5);
  // A call whose total is L is a first prompt, whatever else it has.
  const past = kind === 'prompt' ? 0 : c.upTo(L + 1, 9);
  const most = kind === 'shared' ? past : past + L;
  const lengths = Array.from({ length: B }, () => (kind === 'prompt' ? c.upTo(1, L) : c.upTo(L, most)));
  const total = kind === 'prompt' ? L : Math.max(L + 1, ...lengths);
  const inputs: Inputs = {};
  if (kind !== 'shared' && c.chance(0.2)) inputs.query = c.floats([B, L, (H + 2 * G) * D]);
  else {
    const fresh = [B, kind === 'shared' ? 0 : L, G * D];
    Object.assign(inputs, { query: c.floats([B, L, H * D]), key: c.floats(fresh), value: c.floats(fresh) });
  }
  if (past) Object.assign(inputs, { past_key: c.floats([B, G, past, D]), past_value: c.floats([B, G, past, D]) });
  inputs.seqlens_k = int32(
    [B],
    lengths.map((n) => n - 1),
  );
  inputs.total_sequence_length = int32(c.of([1], []), [total]);
  const attributes: Attributes = { num_heads: H, kv_num_heads: G };
  if (c.chance(0.5)) {
    const [half, rows] = [c.upTo(1, D / 2), c.upTo(total + 3, 20)];
    Object.assign(inputs, { cos_cache: c.floats([rows, half]), sin_cache: c.floats([rows, half]) });
    Object.assign(attributes, { do_rotary: 1, rotary_interleaved: c.upTo(0, 1) });
    if (c.chance(0.5)) inputs.position_ids = int64(c.ints([B, L], 0, rows - L));
  }
  if (c.chance(0.4)) inputs.attention_bias = bias(c, [B, H, L, total]);
  if (c.chance(0.3)) inputs.head_sink = c.floats([H]);
  if (c.chance(0.3)) attributes.scale = c.of(0, 0.3, 1.5, -0.5);
  if (c.chance(0.3)) attributes.softcap = c.of(0, 0.5, 5);
  if (c.chance(0.3)) attributes.causal = c.upTo(0, 1);
  if (c.chance(0.3)) attributes.smooth_softmax = c.of(-1, 0, 1);
  if (attributes.causal !== 0 && c.chance(0.3)) attributes.local_window_size = c.upTo(1, 6);
  return { operator: 'GroupQueryAttention', opset: 23, inputs, attributes };
}

function multiHead(c: Choices): Node {
  const [B, L, S, H] = [c.upTo(1, 3), c.upTo(1, 5), c.upTo(1, 6), c.upTo(1, 3)];
  const [D, E] = [c.of(4, 7, 16), c.of(4, 5)];
  const past = c.chance(0.4) ? c.upTo(0, 4) : undefined;
  const T = S + (past ?? 0);
  const inputs: Inputs = { query: c.floats([B, L, H * D]) };
  const whole = c.chance(0.2);
  inputs.key = c.floats(whole ? [B, H, S, D] : [B, S, H * D]);
  inputs.value = c.floats(whole ? [B, H, S, E] : [B, S, H * E]);
  if (c.chance(0.3)) inputs.bias = c.floats([2 * H * D + H * E]);
  if (c.chance(0.5)) inputs.key_padding_mask = c.of(c.ints([B], 0, T), c.ints([B, T], -2, 2), c.ints([B, L, T], 0, 1));
  if (c.chance(0.4)) inputs.attention_bias = c.floats([c.of(1, B), c.of(1, H), L, T], 3);
  if (past !== undefined) Object.assign(inputs, { past_key: c.floats([B, H, past, D]), past_value: c.floats([B, H, past, E]) });
  const attributes: Attributes = { num_heads: H };
  if (c.chance(0.3)) attributes.scale = c.of(0, 0.3, -0.5);
  if (c.chance(0.5)) attributes.unidirectional = c.upTo(0, 1);
  return { operator: 'MultiHeadAttention', opset: 23, inputs, attributes };
}

function attention(c: Choices): Node {
  const [B, L, S, D, E] = [c.upTo(1, 3), c.upTo(1, 5), c.upTo(2, 6), c.of(4, 7, 16), c.of(4, 5)];
  const [G, H] = c.of([1, 1], [2, 2], [1, 3], [2, 4]) as [number, number];
  const opset = c.of(23, 24, 25);
  const flat = c.chance(0.3);
  const past = c.chance(0.3) ? c.upTo(0, 4) : undefined;
  const T = S + (past ?? 0);
  const shape = (heads: number, rows: number, width: number): number[] => (flat ? [B, rows, heads * width] : [B, heads, rows, width]);
  const inputs: Inputs = { Q: c.floats(shape(H, L, D)), K: c.floats(shape(G, S, D)), V: c.floats(shape(G, S, E)) };
  const attributes: Attributes = flat ? { q_num_heads: H, kv_num_heads: G } : {};
  if (past !== undefined) Object.assign(inputs, { past_key: c.floats([B, G, past, D]), past_value: c.floats([B, G, past, E]) });
  else if (opset > 23 && c.chance(0.4)) inputs.nonpad_kv_seqlen = int64(c.ints([B], 0, S));
  if (c.chance(0.5)) {
    const least = Math.max(1, ...Array.from((inputs.nonpad_kv_seqlen?.data ?? []) as ArrayLike<bigint>, Number));
    const width = opset === 23 ? c.of(1, T) : c.upTo(least, T);
    const dims = [c.of(1, B), c.of(1, H), c.of(1, L), width].slice(c.upTo(0, 3));
    inputs.attn_mask = c.chance(0.5) ? c.bools(dims) : c.floats(dims, 3);
  }
  if (c.chance(0.4)) attributes.is_causal = c.upTo(0, 1);
  if (c.chance(0.3)) attributes.scale = c.of(0, 0.3, 1.5);
  if (c.chance(0.3)) attributes.softcap = c.of(0, 0.5, 3);
  if (opset === 25 && c.chance(0.5)) Object.assign(attributes, { left_window_size: c.upTo(-1, 3), right_window_size: c.upTo(-1, 3) });
  return { operator: 'Attention', opset, inputs, attributes };
}

function rotary(operator: 'RotaryEmbedding' | 'OnnxRotaryEmbedding') {
  return (c: Choices): Node => {
    const [B, L, H, D] = [c.upTo(1, 3), c.upTo(1, 5), c.upTo(1, 3), c.of(4, 6, 16)];
    const microsoft = operator === 'RotaryEmbedding';
    const flat = c.chance(0.6);
    const dim = c.chance(0.4) ? 2 * c.upTo(1, D / 2) : undefined;
    const [half, rows] = [(dim ?? D) / 2, c.upTo(8, 20)];
    const attributes: Attributes = c.chance(0.6) ? { interleaved: c.upTo(0, 1) } : {};
    if (dim) attributes.rotary_embedding_dim = dim;
    if (dim || (flat && (!microsoft || c.chance(0.5)))) attributes.num_heads = H;
    const inputs: Inputs = { input: c.floats(flat ? [B, L, H * D] : [B, H, L, D]) };
    const each = !microsoft && c.chance(0.4);
    for (const name of ['cos_cache', 'sin_cache']) inputs[name] = c.floats(each ? [B, L, half] : [rows, half]);
    if (!each) inputs.position_ids = int64(microsoft && c.chance(0.4) ? c.ints([1], 0, rows - L) : c.ints([B, L], 0, rows - 1));
    return { operator, opset: 23, inputs, attributes };
  };
}

/** A valid node of each operator. */
export const GENERATORS: Readonly<Record<Node['operator'], (c: Choices) => Node>> = {
  Attention: attention,
  GroupQueryAttention: groupQuery,
  MultiHeadAttention: multiHead,
  RotaryEmbedding: rotary('RotaryEmbedding'),
  OnnxRotaryEmbedding: rotary('OnnxRotaryEmbedding'),
};

/** A node that is wrong, and the input or attribute that its error has to name. */
export interface Wrong {
  readonly node: Node;
  readonly names: RegExp;
}

const NUMBER_ATTRIBUTES: Readonly<Record<Node['operator'], Readonly<Record<string, readonly number[]>>>> = {
  Attention: {
    scale: [Number.NaN, Infinity, -1],
    softcap: [Number.NaN, -1, Infinity],
    is_causal: [2, -1, 0.5, Number.NaN],
    qk_matmul_output_mode: [4, -1],
    softmax_precision: [7],
  },
  GroupQueryAttention: {
    scale: [Number.NaN, Infinity],
    softcap: [Number.NaN, -1, Infinity],
    causal: [2, -1, Number.NaN],
    local_window_size: [0, -2, 1.5],
    kv_num_heads: [0, 5, Number.NaN],
    num_heads: [0, -1],
    smooth_softmax: [2],
    do_rotary: [2],
    rotary_interleaved: [2],
  },
  MultiHeadAttention: {
    scale: [Number.NaN, Infinity],
    unidirectional: [2, Number.NaN],
    num_heads: [0, Number.NaN, 1.5],
    mask_filter_value: [Number.NaN, -1],
  },
  RotaryEmbedding: {
    interleaved: [2],
    num_heads: [-1, 99, Number.NaN],
    rotary_embedding_dim: [3, 99, -2, Number.NaN],
    is_packed_batching: [1],
    scale: [Number.NaN],
  },
  OnnxRotaryEmbedding: { interleaved: [2], num_heads: [-1, 99, Number.NaN], rotary_embedding_dim: [3, 99, -2, Number.NaN] },
};

/** An input that is there, with a dimension more, a size more or nothing at all in it. */
function misshapen(c: Choices, node: Node): Wrong {
  const name = c.of(...Object.keys(node.inputs).filter((key) => node.inputs[key]));
  const { dims, data } = node.inputs[name] as OnnxValue;
  const larger = dims.map((n, axis) => (axis === c.upTo(0, dims.length - 1) ? n + 3 : n));
  const wrong = c.of([0], [...larger, 2, 2], [1, 1, 1, 1, 1]);
  const Kind = data.constructor as { new (n: number): OnnxValue['data'] };
  // A wrong shape of one input may first be seen where another depends on it.
  const others: Readonly<Record<string, string>> = { input: 'input|X', cos_cache: 'cos_cache|sin_cache', sin_cache: 'sin_cache' };
  return {
    node: { ...node, inputs: { ...node.inputs, [name]: { dims: wrong, data: new Kind(count(wrong)) } } },
    names: new RegExp(`: "(${others[name] ?? name})["[]`),
  };
}

function withAttribute(c: Choices, node: Node): Wrong {
  const name = c.of(...Object.keys(NUMBER_ATTRIBUTES[node.operator]));
  const value = c.of(...(NUMBER_ATTRIBUTES[node.operator][name] as readonly number[]));
  return { node: { ...node, attributes: { ...node.attributes, [name]: value } }, names: new RegExp(`: "(${name}|input|X)"`) };
}

/** One of a pair alone. */
function alone(c: Choices, node: Node): Wrong | undefined {
  const pairs = [
    ['past_key', 'past_value'],
    ['key', 'value'],
    ['cos_cache', 'sin_cache'],
  ] as const;
  const there = pairs.filter(([one, other]) => node.inputs[one] && node.inputs[other]);
  if (!there.length) return undefined;
  const name = c.of(...c.of(...there));
  return { node: { ...node, inputs: { ...node.inputs, [name]: undefined } }, names: new RegExp(`: "${name}"`) };
}

/** A number out of range among whole numbers. */
function outOfRange(c: Choices, node: Node): Wrong | undefined {
  const known = ['seqlens_k', 'total_sequence_length', 'nonpad_kv_seqlen', 'position_ids'].filter((name) => node.inputs[name]);
  if (!known.length || (node.operator === 'GroupQueryAttention' && !node.attributes.do_rotary && known.includes('position_ids')))
    return undefined;
  const name = c.of(...known);
  const { dims, data } = node.inputs[name] as OnnxValue;
  const list = Array.from(data as ArrayLike<number | bigint>, Number);
  const at = node.operator === 'GroupQueryAttention' ? 0 : c.upTo(0, list.length - 1);
  list[at] = c.of(-5, 99);
  if (name === 'total_sequence_length') list[0] = c.of(0, -1);
  return { node: { ...node, inputs: { ...node.inputs, [name]: int32(dims, list) } }, names: new RegExp(`: "${name}["[]`) };
}

/** A wrong variant of a valid node. */
export function spoilt(c: Choices, node: Node): Wrong {
  const made = c.of(misshapen, misshapen, withAttribute, alone, outOfRange)(c, node);
  return made ?? misshapen(c, node);
}
