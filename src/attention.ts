// From a user's call to a job: check everything, lower the encodings to a plan, write the plan into a parameter block.

import { Lease } from './block.ts';
import { boolean, finite, integer, options as knownOptions, oneOf, wrongType, wrongValue } from './check.ts';
import type { KVCache } from './kvcache.ts';
import { checkLookup, uploadLookup } from './lookup.ts';
import type { Mask } from './masks/mask.ts';
import { type LoweredMasks, lowerMaskOption, type MaskOption, type WrittenMasks, writeMasks } from './masks/option.ts';
import { preparePacked } from './packed.ts';
import {
  type Arithmetic,
  type Bias,
  type CurveBias,
  type DenseBias,
  type Encoding,
  type IndexBias,
  mergePlans,
  type Normalization,
  type Place,
  type Plan,
  type Rotation,
  type Shape,
} from './plan.ts';
import { type QKNorm, withNormalization } from './qknorm.ts';
import type { Tables, TableUse } from './tables.ts';
import { DTYPES, type Home, makeTensor, Tensor } from './tensor.ts';
import { cacheKey, checkTerm, checkValueTable, prepareTerms, type ScratchNeed } from './terms.ts';
import type { Job } from './threads/types.ts';
import * as field from './wasm/generated/job.ts';

/** Order of the dimensions of q, k, v and the output: [B, H, L, D], or [B, L, H, D] as a projection yields it. */
export type Layout = 'bhld' | 'blhd';

/** Options of `attention` and its relatives. */
export interface AttentionOptions {
  /** A position scheme, or several that add up. Default none. */
  readonly encoding?: Encoding | readonly Encoding[];
  /** Position of this call's first key among the keys of the whole: the call is a shard of them. Default 0; needs `totalKeys`. */
  readonly keyOffset?: number;
  /** Keys of the whole, T ≥ keyOffset + S; default S. Every S of alignments, windows and positions below is this one. */
  readonly totalKeys?: number;
  /** Position of this call's first query; default T − L. */
  readonly queryOffset?: number;
  /** True: key j is visible to query i when j ≤ i + (S − L), the bottom-right alignment; `{ offset }` sets j ≤ i + offset. */
  readonly causal?: boolean | { readonly offset: number };
  /** i + (S − L) − left ≤ j ≤ i + (S − L) + right, both inclusive; a missing side is unbounded. */
  readonly window?: { readonly left?: number; readonly right?: number };
  /** Multiplies q·k; default 1/√D. */
  readonly scale?: number;
  /** c > 0: the scaled score s becomes c · tanh(s/c), before biases and masks. */
  readonly softcap?: number;
  /**
   * One extra logit per query head in the denominator: [H]; `'smooth'` is a logit of 0 for all (smooth softmax). Not in a shard of the
   * keys, where `mergeStates` adds it, once.
   */
  readonly sinks?: Float32Array | readonly number[] | Tensor | 'smooth';
  /** Normalises every row of q and k before all else; not beside an encoding that does so itself. */
  readonly qkNorm?: QKNorm;
  /** Which keys a query sees, in addition to the limits of `causal`, `window` and `keyLengths`: masks and mask tensors, all of which bind. */
  readonly mask?: MaskOption;
  /** Keys of the whole that count, per batch row: [B], each in 0 … S. The others are as if hidden. Alignment still follows S. */
  readonly keyLengths?: Int32Array | readonly number[];
  /** Default `'bhld'`. */
  readonly layout?: Layout;
  /**
   * Keys and values of the tokens before: k and v are stored behind them, then the queries attend to all. Without k and v (undefined or
   * null) nothing is stored. The L queries stand where the last L of the n new keys do, without new keys at the last L that are stored, and
   * S counts what is stored, in each batch row for itself. `keyLengths` is then the length of each row after the call: a row takes as many
   * of the new keys as it is short of that, and its queries beyond stand for nothing. A call that fails or is aborted leaves the cache as
   * it was.
   */
  readonly cache?: KVCache;
  /**
   * Packed sequences: q is [T, H, D], k [U, G, D], v [U, G, E] and the result [T, H, E], N documents one after another without padding.
   * Document n has the queries queryOffsets[n] … queryOffsets[n + 1] − 1, keys likewise; both lists are [N + 1], from 0 to T and to U. Each
   * document is a call of its own in all respects, bit for bit: positions restart in each, masks count from its start, `causal` aligns at
   * its bottom right. Log-sum-exp are then [H, T].
   *
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const [q, k] = [engine.tensor([9, 4, 16]), engine.tensor([9, 2, 16])]; // three documents of 4, 2 and 3 tokens
   * const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
   * const out = await engine.attention(q, k, k, { queryOffsets: [0, 4, 6, 9], causal: true, encoding });
   * out.shape; // [9, 4, 16]
   * engine.dispose();
   * ```
   */
  readonly queryOffsets?: Int32Array | readonly number[];
  /** Default `queryOffsets`. */
  readonly keyOffsets?: Int32Array | readonly number[];
  /** Written instead of a new tensor; same shape as the result, f32, f16 or bf16. May not overlap an input. */
  readonly out?: Tensor;
  /** Stops the call between tiles; it rejects with the signal's reason and leaves `out` as it was. Asynchronous calls only. */
  readonly signal?: AbortSignal;
  /** Called now and then with tiles done and tiles in all. Asynchronous calls only. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

const OPTION_NAMES = [
  'encoding',
  'keyOffset',
  'totalKeys',
  'queryOffset',
  'causal',
  'window',
  'scale',
  'softcap',
  'sinks',
  'qkNorm',
  'mask',
  'keyLengths',
  'layout',
  'cache',
  'queryOffsets',
  'keyOffsets',
  'out',
  'signal',
  'onProgress',
];

/** What a call needs of its engine. */
export interface Office extends Home {
  readonly tables: Tables;
  readonly math: Arithmetic;
  /** Threads that could take part. */
  readonly threads: number;
}

/** A call that is ready to run. */
export interface Call {
  /** Tables to fill, in any order, before the main job. */
  readonly preparations: readonly Job[];
  readonly job: Job;
  /** The result, after the job has run. */
  finish(): { out: Tensor; lse?: Tensor };
  /** Undoes what the call reserved; after a failure also the result. */
  release(failed: boolean): void;
}

/** Rows (queries × grouped heads) that a tile aims at: 192 gave 35 to 37 GFLOP/s at 2048 × 128, 96 and 256 gave 33 to 35. */
const TILE_ROWS = 192;
/** Fewest queries of a tile when tiles are made smaller to feed all threads. */
const FEWEST_QUERIES = 16;
/** Floating-point operations below which waking other threads costs more than it gains. */
const SMALL_WORK = 4e6;
/** Stands for "no bound" in FIRST and LAST; far beyond any position, far from overflow when added to one. */
const UNBOUNDED = 2 ** 30;

/** Axis of heads and of positions in a layout. */
const axes = (layout: Layout): { head: number; row: number } => (layout === 'bhld' ? { head: 1, row: 2 } : { head: 2, row: 1 });

export function checkTensor(where: string, name: string, value: unknown, home: Home): Tensor {
  if (!(value instanceof Tensor)) throw wrongType(where, name, 'a tensor', value);
  if (value.home.kernels !== home.kernels) throw wrongValue(where, name, 'a tensor of this engine', 'one of another engine');
  if (value.dtype !== 'f32' && value.dtype !== 'f16' && value.dtype !== 'bf16') {
    throw wrongType(where, name, 'a tensor of f32, f16 or bf16', value.dtype);
  }
  void value.pointer; // throws if it was disposed
  return value;
}

/** Sizes of a call, after checking that the shapes fit one another. */
function checkShapes(where: string, q: Tensor, k: Tensor, v: Tensor, layout: Layout): Shape {
  const { head, row } = axes(layout);
  const letters = (names: readonly string[]): string => {
    const [batch, h, r, width] = names as [string, string, string, string];
    return `[${(layout === 'bhld' ? [batch, h, r, width] : [batch, r, h, width]).join(', ')}]`;
  };
  const shown = (tensor: Tensor): string => `[${tensor.shape.join(', ')}]`;
  if (q.shape.length !== 4) throw wrongValue(where, 'q', `shape ${letters(['B', 'H', 'L', 'D'])}`, shown(q));
  const B = q.shape[0] as number;
  const D = q.shape[3] as number;
  const H = q.shape[head] as number;
  const L = q.shape[row] as number;
  if (H < 1 || D < 1 || D > 512) throw wrongValue(where, 'q', `shape ${letters(['B', 'H ≥ 1', 'L', '1 ≤ D ≤ 512'])}`, shown(q));
  const expectedK = `shape ${letters([`B=${B}`, 'G', 'S', `D=${D}`])}`;
  if (k.shape.length !== 4 || k.shape[0] !== B || k.shape[3] !== D || !k.shape[head]) throw wrongValue(where, 'k', expectedK, shown(k));
  const G = k.shape[head] as number;
  const S = k.shape[row] as number;
  if (H % G) throw wrongValue(where, 'k', expectedK, shown(k), `H=${H} is not divisible by G=${G}`);
  const fits = v.shape.length === 4 && v.shape[0] === B && v.shape[head] === G && v.shape[row] === S;
  const E = v.shape[3] as number;
  if (!fits || E < 1 || E > 512) throw wrongValue(where, 'v', `shape ${letters([`B=${B}`, `G=${G}`, `S=${S}`, '1 ≤ E ≤ 512'])}`, shown(v));
  return { B, H, G, L, S, D, E };
}

/** Lowest and highest address of a tensor's elements, [low, high). */
function extent(tensor: Tensor): [number, number] {
  const bytes = DTYPES[tensor.dtype].bytes;
  const last = tensor.shape.reduce((sum, n, axis) => sum + Math.max(0, n - 1) * (tensor.strides[axis] as number), 0);
  return [tensor.pointer, tensor.pointer + (tensor.size ? (last + 1) * bytes : 0)];
}

/** @throws if `out` is not a fit tensor or overlaps an input */
export function checkOut(where: string, out: unknown, shape: readonly number[], inputs: Record<string, Tensor>, home: Home): Tensor {
  const tensor = checkTensor(where, 'out', out, home);
  if (tensor.shape.length !== shape.length || tensor.shape.some((n, axis) => n !== shape[axis])) {
    throw wrongValue(where, 'out', `shape [${shape.join(', ')}]`, `[${tensor.shape.join(', ')}]`);
  }
  const [low, high] = extent(tensor);
  for (const [name, input] of Object.entries(inputs)) {
    const [from, to] = extent(input);
    if (low < to && from < high) throw wrongValue(where, 'out', 'memory of its own', `an overlap with "${name}"`);
  }
  return tensor;
}

/** Where the queries and keys of a call stand in the whole: all of it, unless the call is a shard of the keys. */
function placeOf(where: string, { keyOffset, totalKeys, queryOffset }: AttentionOptions, { L, S }: Shape): Place {
  if (keyOffset !== undefined && totalKeys === undefined) throw wrongType(where, 'totalKeys', 'a number beside "keyOffset"', totalKeys);
  const first = integer(where, 'keyOffset', keyOffset ?? 0, 0, UNBOUNDED);
  const total = integer(where, 'totalKeys', totalKeys ?? S, 0, UNBOUNDED);
  if (first + S > total) throw wrongValue(where, 'totalKeys', `at least keyOffset + S = ${first + S}`, total);
  const query = integer(where, 'queryOffset', queryOffset ?? total - L, -UNBOUNDED, UNBOUNDED);
  return { keyOffset: first, totalKeys: total, queryOffset: query };
}

/** Range of keys of query i as offsets: i + first ≤ j ≤ i + last, where j counts the keys of the call. */
function visibleRange(
  where: string,
  { causal, window }: AttentionOptions,
  { keyOffset, queryOffset }: Place,
): { first: number; last: number } {
  const base = queryOffset - keyOffset;
  let first = -UNBOUNDED;
  let last = UNBOUNDED;
  if (typeof causal === 'object' && causal !== null) {
    last = integer(where, 'causal.offset', causal.offset, -UNBOUNDED, UNBOUNDED) - keyOffset;
  } else if (causal !== undefined && boolean(where, 'causal', causal)) {
    last = base;
  }
  if (window !== undefined) {
    const { left, right } = knownOptions(where, window, ['left', 'right']) as { left?: unknown; right?: unknown };
    if (left !== undefined) first = base - integer(where, 'window.left', left, 0, UNBOUNDED);
    if (right !== undefined) last = Math.min(last, base + integer(where, 'window.right', right, 0, UNBOUNDED));
  }
  return { first: bounded(first), last: bounded(last) };
}

/** The nearest number that may stand in FIRST and LAST. */
const bounded = (x: number): number => Math.max(-UNBOUNDED, Math.min(UNBOUNDED, x));

export function numbersOf(where: string, name: string, given: unknown, size: number): Float32Array | undefined {
  if (given === undefined) return undefined;
  if (!(given instanceof Tensor) && !(given instanceof Float32Array) && !Array.isArray(given)) {
    throw wrongType(where, name, 'a Float32Array, an array or a tensor', given);
  }
  const values = given instanceof Tensor ? given.toArray() : Float32Array.from(given);
  if (values.length !== size) throw wrongValue(where, name, `${size} numbers`, `${values.length}`);
  return values;
}

/** Keys of this call that count, from the lengths of the whole. */
function lengthsOf(where: string, given: unknown, { B, S }: Shape, { keyOffset, totalKeys }: Place): Int32Array | undefined {
  if (given === undefined) return undefined;
  if (!(given instanceof Int32Array) && !Array.isArray(given)) throw wrongType(where, 'keyLengths', 'an Int32Array or an array', given);
  if (given.length !== B) throw wrongValue(where, 'keyLengths', `B=${B} lengths`, `${given.length}`);
  const local = (n: number): number => Math.max(0, Math.min(S, n - keyOffset));
  return Int32Array.from(given, (n: number, b: number) => local(integer(where, `keyLengths[${b}]`, n, 0, totalKeys)));
}

/** Lowers the encodings and checks what came out. */
function lower(
  where: string,
  given: AttentionOptions['encoding'],
  shape: Shape,
  place: Place,
  office: Office,
): { plan: Plan; keys: Map<unknown, string> } {
  const encodings = given === undefined ? [] : Array.isArray(given) ? given : [given as Encoding];
  const keys = new Map<unknown, string>();
  const plans = encodings.map((encoding: Encoding, n: number) => {
    const name = Array.isArray(given) ? `encoding[${n}]` : 'encoding';
    if (typeof encoding?.lower !== 'function') throw wrongType(where, name, 'an encoding such as rotary({ … })', encoding);
    const plan = encoding.lower({ shape, place, math: office.math });
    for (const bias of plan.biases ?? []) {
      checkBias(where, `${name} (${encoding.name})`, bias, shape, place, office);
    }
    for (const term of plan.terms ?? []) checkTerm(where, `${name} (${encoding.name})`, term, shape);
    if (plan.valueTable) checkValueTable(where, `${name} (${encoding.name})`, plan.valueTable, shape);
    if (plan.queryBias && plan.queryBias.length !== shape.H * shape.D) {
      throw wrongValue(where, `${name} (${encoding.name})`, `a query bias of [H=${shape.H}, D=${shape.D}]`, plan.queryBias);
    }
    [...(plan.biases ?? []), ...(plan.terms ?? []), plan.valueTable].forEach((part, n) => {
      if (part) keys.set(part, cacheKey(encoding, `${n} ${'kind' in part ? part.kind : ''}`));
    });
    if (plan.normalization) checkNormalization(where, `${name} (${encoding.name})`, plan.normalization, shape);
    if (plan.rotation) checkRotation(where, `${name} (${encoding.name})`, plan.rotation, shape.D);
    return plan;
  });
  return { plan: mergePlans(plans), keys };
}

export function checkRotation(where: string, name: string, rotation: Rotation, D: number): void {
  const { dim, start = 0, frequencies, growth } = rotation;
  if (dim + start > D) throw wrongValue(where, name, `dim ≤ D=${D}`, `dim ${dim}${start ? ` from channel ${start}` : ''}`);
  if (!(Number.isInteger(start) && start >= 0)) throw wrongValue(where, name, 'a start ≥ 0', start);
  const fits = dim >= 2 && dim % 2 === 0 && frequencies.length > 0 && frequencies.length % (dim / 2) === 0;
  if (!fits) throw wrongValue(where, name, 'an even dim and [axes][dim/2] frequencies', `dim ${dim}, ${frequencies.length} frequencies`);
  if (growth && growth.length !== frequencies.length) throw wrongValue(where, name, "growth of the frequencies' shape", growth);
}

function checkNormalization(where: string, name: string, given: Normalization, { H, G, D }: Shape): void {
  finite(where, `${name} epsilon`, given.epsilon, 0);
  const fits = (weight: Float32Array | undefined, heads: number): boolean => !weight || weight.length === D || weight.length === heads * D;
  if (!fits(given.queryWeight, H)) throw wrongValue(where, name, `query weights of [D=${D}] or [H=${H}, D=${D}]`, given.queryWeight);
  if (!fits(given.keyWeight, G)) throw wrongValue(where, name, `key weights of [D=${D}] or [G=${G}, D=${D}]`, given.keyWeight);
}

function checkBias(where: string, name: string, bias: Bias, shape: Shape, { totalKeys }: Place, home: Home): void {
  const { B, H, L, S } = shape;
  if (bias.kind === 'dense') {
    const { tensor } = bias;
    checkTensor(where, name, tensor, home);
    const allowed = [
      [1, B],
      [1, H],
      [1, L],
      [S, totalKeys],
    ];
    if (tensor.shape.length !== 4 || tensor.shape.some((n, axis) => !allowed[axis]?.includes(n))) {
      const width = totalKeys === S ? `S=${S}` : `S=${S}|${totalKeys}`;
      throw wrongValue(where, name, `shape [1|B=${B}, 1|H=${H}, 1|L=${L}, ${width}]`, `[${tensor.shape.join(', ')}]`);
    }
    return;
  }
  if (bias.heads !== 1 && bias.heads !== H) throw wrongValue(where, name, `heads 1 or H=${H}`, bias.heads);
  if (bias.gate && bias.gate.length !== B * H * L) throw wrongValue(where, name, `a gate of [B=${B}, H=${H}, L=${L}]`, bias.gate);
  if (bias.coefficient !== undefined) finite(where, `${name} coefficient`, bias.coefficient);
  if (bias.kind === 'index') {
    const P = bias.table.length / bias.heads;
    if (!Number.isInteger(P)) throw wrongValue(where, name, `a table of [${bias.heads}, P]`, bias.table);
    checkLookup(where, name, bias.index, 0, P, shape);
  }
  if (bias.kind === 'curve') checkCurve(where, name, bias, L);
}

function checkCurve(where: string, name: string, { heads, factors, units, weights }: CurveBias, L: number): void {
  if (factors.length !== L) throw wrongValue(where, name, `factors of [L=${L}]`, factors);
  if (!units.length || units.length % 2) throw wrongValue(where, name, 'units of [U ≥ 1, 2]', units);
  const U = units.length / 2;
  if (weights.length !== heads * U) throw wrongValue(where, name, `weights of [heads=${heads}, U=${U}]`, weights);
}

/** How a call is cut into tiles. The cut shows in no bit of the result. */
function tiling({ B, H, G, L }: Shape, threads: number): { queries: number; tiles: number } {
  const group = H / G;
  let queries = Math.max(1, Math.floor(TILE_ROWS / group));
  if (queries > 4) queries -= queries % 4;
  const tiles = (): number => B * G * Math.ceil(L / queries);
  while (threads > 1 && queries > FEWEST_QUERIES && tiles() < 4 * threads) queries = Math.ceil(queries / 8) * 4;
  return { queries, tiles: tiles() };
}

/** Offsets of one thread's scratch; the terms' needs come last and are told theirs. */
function scratchLayout(
  { S, D, E }: Shape,
  rows: number,
  needs: readonly ScratchNeed[],
  record: number,
): { fields: [number, number][]; bytes: number } {
  const padded = Math.ceil(rows / 4) * 4;
  const width = Math.ceil(E / 8) * 8;
  const sizes: [number, number][] = [
    [field.S_ROWS, (padded / 4) * field.R_SIZE],
    [field.S_QUERIES, padded * D * 4],
    [field.S_KEYS, field.KEY_BLOCK * D * 4],
    [field.S_VALUES, field.KEY_BLOCK * width * 4],
    [field.S_OUT, padded * width * 4],
    [field.S_SCORES, field.BAND * field.SCORES_ROW],
    [field.S_LINE, 9 * Math.max(D, E) * 4],
    [field.S_FOLD, S > field.SPLIT ? rows * record : 0],
  ];
  let bytes = 0;
  const fields = sizes.map(([name, size]): [number, number] => {
    const at = bytes;
    bytes += Math.ceil(size / 64) * 64;
    return [name, at];
  });
  for (const need of needs) {
    need.assign(bytes);
    bytes += Math.ceil(need.bytes / 64) * 64;
  }
  return { fields, bytes };
}

type Writer = ReturnType<Lease['writer']>;

/** Writes a tensor's description: dimensions [batch, head, row, channel] whatever the layout. */
export function writeTensor(writer: Writer, at: number, tensor: Tensor, layout: Layout): void {
  const { code, bytes } = DTYPES[tensor.dtype];
  const { head, row } = axes(layout);
  const stride = (axis: number): number => (tensor.strides[axis] as number) * bytes;
  writer
    .int(at + field.T_PTR, tensor.pointer)
    .int(at + field.T_TYPE, code)
    .int(at + field.T_BATCH, stride(0))
    .int(at + field.T_HEAD, stride(head))
    .int(at + field.T_ROW, stride(row))
    .int(at + field.T_CHANNEL, stride(3));
}

/** Where a bias lies: fields of its entry. */
type BiasEntry = readonly [number, number][];

function denseEntry({ tensor }: DenseBias, { S }: Shape, { keyOffset }: Place, office: Office, lease: Lease): BiasEntry {
  // A bias over the keys of the whole is read where the shard's keys stand.
  const part = tensor.slice(null, null, null, tensor.shape[3] === S ? null : [keyOffset, keyOffset + S]);
  lease.defer(() => part.dispose());
  let source = part;
  if (part.dtype !== 'f32' || (part.strides[3] !== 1 && part.shape[3] !== 1)) {
    source = makeTensor(office, 'bias', part.shape, part.toArray());
    lease.defer(() => source.dispose());
  }
  const stride = (axis: number): number => (source.shape[axis] === 1 ? 0 : (source.strides[axis] as number) * 4);
  return [
    [field.A_PTR, source.pointer],
    [field.A_BATCH, stride(0)],
    [field.A_HEAD, stride(1)],
    [field.A_ROW, stride(2)],
    [field.A_HIDE, field.HIDE_INFINITE],
  ];
}

function indexEntry({ table, heads, index }: IndexBias, shape: Shape, lease: Lease): BiasEntry {
  const lookup = uploadLookup(index, shape, lease);
  return [
    [field.A_PTR, lease.upload(table)],
    [field.A_HEAD, heads > 1 ? (table.length / heads) * 4 : 0],
    [field.A_INDEX, lookup.index],
    [field.A_INDEX_ROW, lookup.indexRow],
    [field.A_INDEX_BATCH, lookup.indexBatch],
    [field.A_ROWS, lookup.rows],
    [field.A_ROWS_BATCH, lookup.rowsBatch],
    [field.A_MAP, lookup.map],
  ];
}

function curveEntry({ heads, factors, units, weights }: CurveBias, lease: Lease): BiasEntry {
  const U = units.length / 2;
  const triples = Float32Array.from({ length: 3 * heads * U }, (_, n) => {
    const unit = Math.floor(n / 3);
    return (n % 3 === 2 ? weights[unit] : units[2 * (unit % U) + (n % 3)]) as number;
  });
  return [
    [field.A_CURVE, lease.upload(triples)],
    [field.A_CURVE_HEAD, heads > 1 ? 12 * U : 0],
    [field.A_UNITS, U],
    [field.A_FACTORS, lease.upload(factors)],
  ];
}

/** The bias entries of a call in memory. */
interface WrittenBiases {
  readonly at: number;
  readonly count: number;
  /** True if one of them may be −Infinity. */
  readonly marks: boolean;
}

/** Fills in the bias entries of the plan and of the mask tensors. */
function writeBiases(
  plan: Plan,
  keys: Map<unknown, string>,
  masks: WrittenMasks['entries'],
  shape: Shape,
  place: Place,
  office: Office,
  lease: Lease,
): WrittenBiases {
  const biases = plan.biases ?? [];
  const total = biases.length + masks.length;
  if (!total) return { at: 0, count: 0, marks: false };
  let marks = false;
  const { L, S } = shape;
  const base = place.queryOffset - place.keyOffset;
  const entries = biases.map((bias): BiasEntry => {
    const gate: BiasEntry = bias.kind !== 'dense' && bias.gate ? [[field.A_GATE, lease.upload(bias.gate)]] : [];
    if (bias.kind === 'dense' || (bias.kind === 'index' && bias.table.includes(-Infinity))) marks = true;
    if (bias.kind === 'dense') return denseEntry(bias, shape, place, office, lease);
    if (bias.kind === 'index') return [...indexEntry(bias, shape, lease), ...gate];
    // Query i stands `base` + i after the call's first key: column j of row i is offset j − i − base.
    const heads = bias.kind === 'curve' ? 1 : bias.heads;
    const entry = office.tables.columns(
      keys.get(bias) as string,
      1 - L - base,
      Math.max(1, S + L - 1),
      4 * heads,
      lease,
      (first, count) => {
        const out = new Float32Array(heads * count);
        bias.fill(out, first, count);
        return out;
      },
    );
    if (entry.infinite) marks = true;
    const at = entry.at - 4 * entry.first;
    const headStride = heads > 1 ? 4 * entry.count : 0;
    const curve = bias.kind === 'curve' ? curveEntry(bias, lease) : [];
    const hide: BiasEntry = entry.infinite ? [[field.A_HIDE, field.HIDE_INFINITE]] : [];
    return [[field.A_PTR, at - 4 * base], [field.A_HEAD, headStride], [field.A_ROW, -4], ...hide, ...curve, ...gate];
  });
  const block = lease.block(total * field.A_SIZE);
  const writer = lease.writer(block);
  [...entries, ...masks].forEach((entry, n) => {
    for (const [name, value] of entry) writer.int(n * field.A_SIZE + name, value);
    const bias = biases[n];
    const coefficient = bias && bias.kind !== 'dense' ? bias.coefficient : undefined;
    writer.f32(n * field.A_SIZE + field.A_COEFFICIENT, coefficient ?? 1);
  });
  return { at: block, count: total, marks };
}

/** The tables of a rotation for queries and keys. */
function rotationTables(rotation: Rotation, { B, L, S }: Shape, place: Place, office: Office, lease: Lease): { q: TableUse; k: TableUse } {
  const { tables } = office;
  const { keyPositions, offset = 0, growth } = rotation;
  const { keyOffset, queryOffset } = place;
  let { queryPositions } = rotation;
  // One table serves queries and keys unless they stand apart, as a far shard's do: then it would span the gap.
  const apart = queryOffset + L < keyOffset || keyOffset + S < queryOffset;
  if (apart && !queryPositions && !keyPositions) {
    queryPositions = { values: Float64Array.from({ length: L }, (_, i) => queryOffset + i + offset), batched: false };
  }
  const first = Math.min(queryPositions ? keyOffset : queryOffset, keyPositions ? queryOffset : keyOffset);
  const end = Math.max(queryPositions ? 0 : queryOffset + L, keyPositions ? 0 : keyOffset + S);
  const standard = (keys: boolean): TableUse => tables.positions(rotation, false, first, Math.max(1, end - first), lease, keys);
  const from = (table: TableUse, position: number): TableUse => ({ ...table, at: table.at + (position - first) * 4 * rotation.dim });
  const queries = queryPositions ? undefined : standard(false);
  const q = queryPositions ? tables.explicit(rotation, false, queryPositions, L, B, lease) : from(queries as TableUse, queryOffset);
  if (keyPositions) return { q, k: tables.explicit(rotation, false, keyPositions, S, B, lease, true) };
  // Without growth the queries' table is the keys' too, and their jobs fill it.
  return { q, k: from(queries && !growth ? { ...queries, jobs: [] } : standard(true), keyOffset) };
}

/** Where the weights of a normalisation lie; their fields. */
function normalizationFields({ kind, queryWeight, keyWeight }: Normalization, { D }: Shape, lease: Lease): [number, number][] {
  const stride = (weight: Float32Array | undefined): number => (weight && weight.length > D ? 4 * D : 0);
  return [
    [field.NORM, kind === 'l2' ? field.NORM_L2 : field.NORM_RMS],
    [field.NORM_Q, queryWeight ? lease.upload(queryWeight) : 0],
    [field.NORM_Q_HEAD, stride(queryWeight)],
    [field.NORM_K, keyWeight ? lease.upload(keyWeight) : 0],
    [field.NORM_K_HEAD, stride(keyWeight)],
  ];
}

function writeRotation(writer: Writer, rotation: Rotation, q: number, k: number, { L, S }: Shape): void {
  const { dim, start = 0, layout, layoutOut = layout, queryPositions, keyPositions } = rotation;
  writer
    .int(field.ROTATE_Q, q)
    .int(field.ROTATE_Q_BATCH, queryPositions?.batched ? L * dim * 4 : 0)
    .int(field.ROTATE_K, k)
    .int(field.ROTATE_K_BATCH, keyPositions?.batched ? S * dim * 4 : 0)
    .int(field.ROTATE_DIM, dim)
    .int(field.ROTATE_START, start)
    .int(field.ROTATE_PAIRS_IN, layout === 'pairs' ? 1 : 0)
    .int(field.ROTATE_PAIRS_OUT, layoutOut === 'pairs' ? 1 : 0);
}

/** The tensor that the kernels write: `out` itself, or one of the call's own that replaces its contents at the end. */
function resultTensor(office: Office, where: string, shape: readonly number[], out: Tensor | undefined, staged: boolean): Tensor {
  if (out && !staged) return out;
  return makeTensor(office, where, shape, undefined, out?.dtype ?? 'f32');
}

/** Keys and values that a call takes from a cache, and what the cache has to say. Nothing changes until `begin`. */
export interface CachedKeys {
  readonly shape: Shape;
  /** Position of query 0 of each batch row. */
  readonly queryOffsets: readonly number[];
  /** Keys of each batch row that count. */
  readonly lengths: Int32Array;
  /** Keys before a query that it sees; undefined: no bound, or one in the masks. */
  readonly left: number | undefined;
  readonly masks: readonly Mask[];
  readonly encodings: readonly Encoding[];
  /** True if the keys are stored rotated. */
  readonly storesTurned: boolean;
  /** @throws RangeError if the stored keys do not go with the call's rotation */
  checkRotation(where: string, rotation: Rotation | undefined, normalizes: boolean): void;
  /** Reserves what the new keys need; the jobs that store them. */
  begin(where: string, lease: Lease): readonly Job[];
  /** K, V and their pages, as fields of the job block. */
  fields(lease: Lease): readonly (readonly [number, number])[];
  /** The jobs have run: from here on the new keys are there. */
  commit(): void;
  /** The call is over. Without `commit` the cache is as it was. */
  end(): void;
}

type Operands = { readonly q: Tensor; readonly k?: Tensor; readonly v?: Tensor };

function checkOperands(where: string, q: unknown, k: unknown, v: unknown, cache: unknown, office: Office): Operands {
  const query = checkTensor(where, 'q', q, office);
  if (cache !== undefined && (k ?? v ?? undefined) === undefined) return { q: query };
  return { q: query, k: checkTensor(where, 'k', k, office), v: checkTensor(where, 'v', v, office) };
}

function cachedKeys(where: string, operands: Operands, given: AttentionOptions, office: Office): CachedKeys | undefined {
  const { cache, keyLengths, queryOffset } = given;
  if (cache === undefined) return undefined;
  if (typeof cache?.use !== 'function') throw wrongType(where, 'cache', 'a cache from engine.kvCache', cache);
  for (const name of ['keyOffset', 'totalKeys'] as const) {
    if (given[name] !== undefined) throw wrongValue(where, name, 'nothing beside "cache", which holds all keys', given[name]);
  }
  if (queryOffset !== undefined) integer(where, 'queryOffset', queryOffset, -UNBOUNDED, UNBOUNDED);
  return cache.use(where, office, operands, { layout: given.layout, keyLengths, queryOffset });
}

/** A call at one place: the whole call, or one batch row of it if rows stand at different places. */
interface Placed {
  readonly place: Place;
  readonly first: number;
  readonly last: number;
  readonly plan: Plan;
  readonly keys: Map<unknown, string>;
  readonly masks: LoweredMasks;
}

function lowerAt(
  where: string,
  given: AttentionOptions,
  shape: Shape,
  place: Place,
  cached: CachedKeys | undefined,
  office: Office,
): Placed {
  const { left } = cached ?? {};
  const window = left === undefined ? given.window : { ...given.window, left: Math.min(left, given.window?.left ?? left) };
  const { first, last } = visibleRange(where, window === undefined ? given : { ...given, window }, place);
  let { encoding, mask } = given;
  if (cached?.encodings.length) {
    encoding = [...new Set([...cached.encodings, ...(encoding === undefined ? [] : Array.isArray(encoding) ? encoding : [encoding])])];
  }
  if (cached?.masks.length) mask = [...cached.masks, ...(mask === undefined ? [] : Array.isArray(mask) ? mask : [mask])];
  const { plan, keys } = lower(where, encoding, shape, place, office);
  const normalized = withNormalization(where, plan, given.qkNorm, shape);
  cached?.checkRotation(where, normalized.rotation, normalized.normalization !== undefined);
  return { place, first, last, plan: normalized, keys, masks: lowerMaskOption(where, mask, shape, place, office) };
}

/** What the jobs of a call have in common. */
interface Ready {
  readonly shape: Shape;
  readonly layout: Layout;
  readonly operands: Operands;
  readonly cached: CachedKeys | undefined;
  readonly cachedFields: readonly (readonly [number, number])[];
  readonly scale: number;
  readonly softcap: number;
  readonly queries: number;
  readonly lengthsAt: number;
  readonly sinksAt: number;
  readonly target: Tensor;
  readonly lse: Tensor | undefined;
}

/** A parameter block of `attend`, and the scratch that it lays out. */
interface WrittenJob {
  readonly at: number;
  readonly scratch: number;
  /** Bytes of the records that a split of a tile leaves. */
  readonly records: number;
  readonly tables: readonly TableUse[];
}

function writeJob(ready: Ready, { place, first, last, plan, keys, masks: loweredMasks }: Placed, office: Office, lease: Lease): WrittenJob {
  const { shape, layout, operands, cached, scale, softcap, queries, target, lse } = ready;
  const { B, H, G, L, S, D, E } = shape;
  const { rotation } = plan;
  const tables = rotation && rotationTables(rotation, shape, place, office, lease);
  const masks = writeMasks(loweredMasks, shape, place, office, lease);
  const biases = writeBiases(plan, keys, masks.entries, shape, place, office, lease);
  const normalization = plan.normalization ? normalizationFields(plan.normalization, shape, lease) : [];
  const unit = softcap ? 1 / softcap : 1;
  const context = { shape, place, tables: office.tables, lease, unit, scale, queries };
  const parts = prepareTerms(plan.terms ?? [], plan.valueTable, (part) => keys.get(part) as string, context);
  const queryBias = plan.queryBias ? lease.upload(plan.queryBias) : 0;
  const valueRows = parts.fields().find(([name]) => name === field.VALUE_ROWS)?.[1] ?? 0;
  const record = 32 + 4 * (Math.ceil(E / 8) * 8 + valueRows);
  const scratch = scratchLayout(shape, parts.rows, parts.needs, record);
  const at = lease.block(field.JOB_SIZE);

  const writer = lease.writer(at);
  writeTensor(writer, field.Q, operands.q, layout);
  if (!cached && operands.k && operands.v) {
    writeTensor(writer, field.K, operands.k, layout);
    writeTensor(writer, field.V, operands.v, layout);
  }
  writeTensor(writer, field.OUT, target, layout);
  [B, H, G, L, S, D, E].forEach((n, index) => {
    writer.int(field.DIM_B + 4 * index, n);
  });
  writer
    .int(field.LSE, lse ? lse.pointer : 0)
    .f32(field.Q_SCALE, scale * unit)
    .f32(field.CAP, softcap)
    .int(field.FIRST, first)
    .int(field.LAST, last)
    .int(field.KEY_LENGTHS, ready.lengthsAt)
    .int(field.SINKS, ready.sinksAt)
    .int(field.QUERIES, queries)
    .int(field.BIAS_COUNT, biases.count)
    .int(field.BIASES, biases.at)
    .int(field.MARK, masks.marks || biases.marks ? 1 : 0)
    .int(field.QUERY_BIAS, queryBias);
  const fields = [...parts.fields(), ...scratch.fields, ...masks.fields, ...normalization, ...ready.cachedFields];
  for (const [name, value] of fields) writer.int(name, value);
  if (plan.normalization) writer.f64(field.NORM_EPSILON, plan.normalization.epsilon);
  if (rotation && tables) writeRotation(writer, rotation, tables.q.at, cached?.storesTurned ? 0 : tables.k.at, shape);
  return { at, scratch: scratch.bytes, records: parts.rows * record, tables: tables ? [tables.q, tables.k] : [] };
}

type Run = Omit<Job, 'scratch' | 'scratchStride'>;

/** The jobs that fill the output: one, or one over the splits of the keys and one that folds them. Same bits either way. */
function runsOf(jobs: readonly WrittenJob[], { S }: Shape, tiles: number, threads: number, lease: Lease): Run[] {
  const [only] = jobs as [WrittenJob];
  const used = (count: number): number => Math.max(1, Math.min(threads, count));
  if (jobs.length > 1) {
    const job = lease.upload(Int32Array.of(tiles / jobs.length, ...jobs.map(({ at }) => at)));
    return [{ kernel: 'attendRows', job, tiles, threads: used(tiles) }];
  }
  const job = only.at;
  const splits = Math.ceil(S / field.SPLIT);
  if (tiles >= threads || splits < 2) return [{ kernel: 'attend', job, tiles, threads: used(tiles) }];
  const parts = lease.allocate(tiles * splits * only.records);
  lease.writer(job).int(field.SPLITS, splits).int(field.PARTS, parts).int(field.PART_SIZE, only.records);
  return [
    { kernel: 'attendPart', job, tiles: tiles * splits, threads: used(tiles * splits) },
    { kernel: 'attendFold', job, tiles, threads: 1 },
  ];
}

/** Where the call stands, or each batch row if they stand apart. */
function placesOf(where: string, given: AttentionOptions, shape: Shape, cached: CachedKeys | undefined): Place[] {
  if (!cached) return [placeOf(where, given, shape)];
  const offsets = new Set(cached.queryOffsets);
  const at = (queryOffset: number): Place => ({ queryOffset, keyOffset: 0, totalKeys: shape.S });
  return offsets.size > 1 ? cached.queryOffsets.map(at) : [...offsets].map(at);
}

/** What a call that is part of another has from it: its lease, and a place that hears of the scratch a thread needs and provides it. */
export interface Sharing {
  readonly lease: Lease;
  borrow(bytes: number): void;
}

/** Checks a call and gets everything ready for it. @throws before anything is changed */
export function prepareAttention(
  office: Office,
  where: string,
  q: unknown,
  k: unknown,
  v: unknown,
  given: AttentionOptions,
  withLse: boolean,
  sharing?: Sharing,
): Call {
  office.alive();
  knownOptions(where, given, OPTION_NAMES);
  if (given.queryOffsets !== undefined || given.keyOffsets !== undefined) return preparePacked(office, where, q, k, v, given, withLse);
  const operands = checkOperands(where, q, k, v, given.cache, office);
  const layout = oneOf(where, 'layout', given.layout ?? given.cache?.layout ?? 'bhld', ['bhld', 'blhd']);
  const cached = cachedKeys(where, operands, given, office);
  const shape = cached?.shape ?? checkShapes(where, operands.q, operands.k as Tensor, operands.v as Tensor, layout);
  const { B, H, L, S, D, E } = shape;
  const scale = given.scale === undefined ? 1 / Math.sqrt(D) : finite(where, 'scale', given.scale);
  const softcap = given.softcap === undefined ? 0 : finite(where, 'softcap', given.softcap, 0);
  const places = placesOf(where, given, shape, cached);
  const [place] = places as [Place];
  const sinks = given.sinks === 'smooth' ? new Float32Array(H) : numbersOf(where, 'sinks', given.sinks, H);
  if (sinks && place.totalKeys !== S) {
    throw wrongValue(where, 'sinks', 'none in a shard of the keys', 'some', 'they count once; give them to mergeStates');
  }
  const lengths = cached ? cached.lengths : lengthsOf(where, given.keyLengths, shape, place);
  const outShape = layout === 'bhld' ? [B, H, L, E] : [B, L, H, E];
  const out = given.out === undefined ? undefined : checkOut(where, given.out, outShape, { ...operands }, office);
  if (given.onProgress !== undefined && typeof given.onProgress !== 'function')
    throw wrongType(where, 'onProgress', 'a function', given.onProgress);
  if (given.signal !== undefined && typeof given.signal?.addEventListener !== 'function') {
    throw wrongType(where, 'signal', 'an AbortSignal', given.signal);
  }
  const placed = places.map((one) => lowerAt(where, given, shape, one, cached, office));

  const lease = sharing?.lease ?? new Lease(office.arena);
  lease.defer(() => cached?.end());
  const staged = given.signal !== undefined;
  let target: Tensor | undefined;
  let lse: Tensor | undefined;
  try {
    target = resultTensor(office, where, outShape, out, staged);
    lse = withLse ? makeTensor(office, where, [B, H, L]) : undefined;
    const storing = cached?.begin(where, lease) ?? [];
    const cachedFields = cached?.fields(lease) ?? [];
    const work = 4 * B * H * L * S * Math.max(D, E);
    const threads = work < SMALL_WORK ? 1 : office.threads;
    const { queries, tiles } = tiling(shape, threads);
    const lengthsAt = lengths?.some((length) => length !== S) ? lease.upload(lengths) : 0;
    const sinksAt = sinks ? lease.upload(sinks) : 0;
    const ready = { shape, layout, operands, cached, cachedFields, scale, softcap, queries, lengthsAt, sinksAt, target, lse };
    const jobs = placed.map((one) => writeJob(ready, one, office, lease));
    const scratchStride = Math.max(...jobs.map(({ scratch }) => scratch));
    sharing?.borrow(scratchStride);
    const runs = runsOf(jobs, shape, tiles, sharing ? 1 : threads, lease);
    const scratch = sharing ? 0 : lease.allocate(scratchStride * Math.max(...runs.map((run) => run.threads)));
    const [last, ...before] = runs.map((run): Job => ({ ...run, scratch, scratchStride })).reverse() as [Job, ...Job[]];
    for (const tensor of Object.values(operands)) lease.defer(tensor.pin());
    if (out) lease.defer(out.pin());

    const tables = jobs.flatMap((one) => one.tables);
    const result = target;
    return {
      preparations: [...storing, ...tables.flatMap((table) => table.jobs), ...before],
      job: last,
      finish() {
        for (const table of tables) table.done();
        if (out && result !== out) {
          out.set(result.dtype === 'f32' ? result.toArray() : (result.view() as Uint16Array));
          result.dispose();
        }
        cached?.commit();
        return { out: out ?? result, ...(lse && { lse }) };
      },
      release(failed) {
        lease.release();
        if (!failed) return;
        if (result !== out) result.dispose();
        lse?.dispose();
      },
    };
  } catch (error) {
    lease.release();
    if (target !== out) target?.dispose();
    lse?.dispose();
    throw error;
  }
}
