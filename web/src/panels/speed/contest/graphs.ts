// The ways in which onnxruntime can compute a case. Several, where it is not clear beforehand which is fastest: all are timed, the fastest counts.
import type { OnnxGraph, OnnxNode, OnnxTensor } from './onnx.ts';

/** Sizes of a case of attention with a batch of one: heads, heads of keys, tokens, width. */
export interface Sizes {
  readonly id: string;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly D: number;
  readonly causal: boolean;
  /** The base of the rotation of q and k, if there is one. */
  readonly theta?: number;
}

/** What goes in, heads first: q [H, L, D], k and v [G, L, D]. */
export interface Inputs {
  readonly q: Float32Array<ArrayBuffer>;
  readonly k: Float32Array<ArrayBuffer>;
  readonly v: Float32Array<ArrayBuffer>;
}

/** A graph, what it is called, and whether its output is [H, L, D] or [L, H, D]. */
export interface Variant extends OnnxGraph {
  readonly name: string;
  readonly headsFirst: boolean;
}

const MICROSOFT = 'com.microsoft';
const THETA = 10000;

/** The sizes of a case that onnxruntime has operators for; undefined for others. */
export function sizesOf(id: string): Sizes | undefined {
  const plain = /^(attention|causal)\/(\d+)x(\d+)x(\d+)$/.exec(id);
  if (plain) {
    const [L = 0, H = 0, D = 0] = plain.slice(2).map(Number);
    return { id, H, G: H, L, D, causal: plain[1] === 'causal' };
  }
  const prefill = /^prefill\/(\d+)xH(\d+)G(\d+)x(\d+)$/.exec(id);
  if (!prefill) return undefined;
  const [L = 0, H = 0, G = 0, D = 0] = prefill.slice(1).map(Number);
  return { id, H, G, L, D, causal: true, theta: THETA };
}

/** [outer, inner, D] → [inner, outer, D]. */
export function swapAxes(data: Float32Array, outer: number, inner: number, D: number): Float32Array<ArrayBuffer> {
  const swapped = new Float32Array(data.length);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) swapped.set(data.subarray((o * inner + i) * D, (o * inner + i + 1) * D), (i * outer + o) * D);
  return swapped;
}

function headsFirst({ H, G, L, D }: Sizes, { q, k, v }: Inputs): Record<string, OnnxTensor> {
  return { q: { data: q, dims: [1, H, L, D] }, k: { data: k, dims: [1, G, L, D] }, v: { data: v, dims: [1, G, L, D] } };
}

function positionsFirst({ H, G, L, D }: Sizes, { q, k, v }: Inputs): Record<string, OnnxTensor> {
  const tensor = (data: Float32Array, heads: number): OnnxTensor => ({ data: swapAxes(data, heads, L, D), dims: [1, L, heads * D] });
  return { q: tensor(q, H), k: tensor(k, G), v: tensor(v, G) };
}

/** Cosines and sines of every position, each [L, D/2]: what the operators are given. */
function tables({ L, D, theta = THETA }: Sizes, dims: readonly number[]): Record<string, OnnxTensor> {
  const pairs = D / 2;
  const angles = Float64Array.from({ length: L * pairs }, (_, n) => Math.floor(n / pairs) * theta ** ((-2 * (n % pairs)) / D));
  return { cos: { data: Float32Array.from(angles, Math.cos), dims }, sin: { data: Float32Array.from(angles, Math.sin), dims } };
}

function standard(sizes: Sizes, inputs: Inputs): Variant {
  const attention = { op: 'Attention', outputs: ['out'], attributes: { is_causal: Number(sizes.causal) } };
  const fed = headsFirst(sizes, inputs);
  if (sizes.theta === undefined) {
    return { name: 'Attention', headsFirst: true, nodes: [{ ...attention, inputs: ['q', 'k', 'v'] }], inputs: fed, outputs: ['out'] };
  }
  const rotate = (from: string): OnnxNode => ({ op: 'RotaryEmbedding', inputs: [from, 'cos', 'sin'], outputs: [`${from}R`] });
  return {
    name: 'RotaryEmbedding, Attention',
    headsFirst: true,
    nodes: [rotate('q'), rotate('k'), { ...attention, inputs: ['qR', 'kR', 'v'] }],
    inputs: fed,
    constants: tables(sizes, [1, sizes.L, sizes.D / 2]),
    outputs: ['out'],
  };
}

function multiHead(sizes: Sizes, inputs: Inputs): Variant {
  const attributes = { num_heads: sizes.H, unidirectional: Number(sizes.causal) };
  return {
    name: 'MultiHeadAttention',
    headsFirst: false,
    nodes: [{ op: 'MultiHeadAttention', domain: MICROSOFT, inputs: ['q', 'k', 'v'], outputs: ['out'], attributes }],
    inputs: positionsFirst(sizes, inputs),
    outputs: ['out'],
  };
}

/** With an attention sink too small to change a result: it keeps the operator off its flash path, which is slow in WebAssembly. */
function groupQuery(sizes: Sizes, inputs: Inputs): Variant {
  const { H, G, L, D, theta } = sizes;
  const rotary = theta !== undefined;
  return {
    name: 'GroupQueryAttention, idle sink',
    headsFirst: false,
    nodes: [
      {
        op: 'GroupQueryAttention',
        domain: MICROSOFT,
        inputs: ['q', 'k', 'v', '', '', 'lastKey', 'total', ...(rotary ? ['cos', 'sin'] : ['', '']), '', '', 'sink'],
        outputs: ['out', 'presentK', 'presentV'],
        attributes: { num_heads: H, kv_num_heads: G, do_rotary: Number(rotary) },
      },
    ],
    inputs: positionsFirst(sizes, inputs),
    constants: {
      lastKey: { data: Int32Array.of(L - 1), dims: [1] },
      total: { data: Int32Array.of(L), dims: [1] },
      sink: { data: new Float32Array(H).fill(-1e30), dims: [H] },
      ...(rotary && tables(sizes, [L, D / 2])),
    },
    outputs: ['out', 'presentK', 'presentV'],
  };
}

/** All ways to compute a case. */
export function variantsOf(sizes: Sizes, inputs: Inputs): Variant[] {
  return [
    standard(sizes, inputs),
    ...(sizes.theta === undefined ? [multiHead(sizes, inputs)] : []),
    ...(sizes.causal ? [groupQuery(sizes, inputs)] : []),
  ];
}
