// RotaryEmbedding, of ONNX and of com.microsoft: rotations by tables that are given.

import { integer, wrongType, wrongValue } from '../arguments/check.ts';
import type { Engine } from '../engine.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Encoding } from '../plan/plan.ts';
import { byHeads, resultByHeads } from './heads.ts';
import { checkAttributes, checkInputs, isGiven, type OnnxInput, type OnnxOutput, shown, unsupported, Workspace } from './values.ts';

/** Inputs of ONNX `RotaryEmbedding`. */
export interface OnnxRotaryInputs<T extends OnnxInput = OnnxInput> {
  /** [B, H, L, D], or [B, L, H·D]. */
  readonly X: T;
  /** [rows, R/2] with position_ids, [B, L, R/2] without. */
  readonly cos_cache: OnnxInput;
  readonly sin_cache: OnnxInput;
  /** int64 [B, L]: rows of the caches. */
  readonly position_ids?: OnnxInput;
}

/** Attributes of ONNX `RotaryEmbedding`. */
export interface OnnxRotaryAttributes {
  /** 1: pairs of neighbours (2i, 2i + 1); 0: halves (i, i + R/2). */
  readonly interleaved?: number;
  /** Needed for X of 3 dimensions. */
  readonly num_heads?: number;
  /** R: channels that turn, the first ones; 0 (default) is all. */
  readonly rotary_embedding_dim?: number;
}

/** Inputs of com.microsoft `RotaryEmbedding`. */
export interface MicrosoftRotaryInputs<T extends OnnxInput = OnnxInput> {
  /** [B, H, L, D], or [B, L, H·D]. */
  readonly input: T;
  /** int64 [1]: the position of the first row; or [B, L]. */
  readonly position_ids: OnnxInput;
  /** [rows, R/2]. */
  readonly cos_cache: OnnxInput;
  readonly sin_cache: OnnxInput;
}

/** Attributes of com.microsoft `RotaryEmbedding`. */
export interface MicrosoftRotaryAttributes extends OnnxRotaryAttributes {
  /** Accepted and without effect, as in onnxruntime. */
  readonly scale?: number;
  readonly is_packed_batching?: number;
}

/** Cosines and sines of every row of x. */
export interface RotaryRows {
  /** [L] or [B, L] rows of R/2 cosines and R/2 sines. */
  readonly table: Float32Array;
  readonly batched: boolean;
  /** R. */
  readonly dim: number;
  readonly interleaved: boolean;
}

/** A rotation by given rows; for `engine.rotate`. */
export function givenRotation({ table, batched, dim, interleaved }: RotaryRows): Encoding {
  const queryPositions = { values: new Float64Array(0), batched, table };
  return {
    name: 'given cosines and sines',
    lower: () => ({ rotation: { dim, layout: interleaved ? 'pairs' : 'halves', frequencies: new Float64Array(dim / 2), queryPositions } }),
  };
}

/** Two caches [rows, R/2], and which of their rows are wanted. @throws RangeError for a row that is not there */
export function gatherRows(where: string, name: string, cos: Tensor, sin: Tensor, rows: ArrayLike<number>): Float32Array {
  const half = cos.shape.at(-1) as number;
  const count = half ? cos.size / half : 0;
  const [cosines, sines] = [cos.toArray(), sin.toArray()];
  const out = new Float32Array(rows.length * 2 * half);
  for (let n = 0; n < rows.length; n++) {
    const row = rows[n] as number;
    if (!Number.isInteger(row) || row < 0 || row >= count)
      throw wrongValue(where, `${name}[${n}]`, `a row of the caches, 0 … ${count - 1}`, row);
    out.set(cosines.subarray(row * half, (row + 1) * half), 2 * n * half);
    out.set(sines.subarray(row * half, (row + 1) * half), (2 * n + 1) * half);
  }
  return out;
}

/** The caches, checked to be alike and of R/2 columns. */
export function caches(work: Workspace, cos_cache: OnnxInput, sin_cache: OnnxInput, dim: number): { cos: Tensor; sin: Tensor } {
  const { where } = work;
  const [cos, sin] = [work.tensor('cos_cache', cos_cache), work.tensor('sin_cache', sin_cache)];
  if (cos.shape.at(-1) !== dim / 2) throw wrongValue(where, 'cos_cache', `a last dimension of R/2 = ${dim / 2}`, shown(cos.shape));
  if (shown(sin.shape) !== shown(cos.shape))
    throw wrongValue(where, 'sin_cache', `the shape of cos_cache, ${shown(cos.shape)}`, shown(sin.shape));
  return { cos, sin };
}

/** Turns x, [B, H, L, D] by strides, into `to`. */
export async function turn(work: Workspace, x: Tensor, rows: RotaryRows, to: Tensor): Promise<void> {
  if (x.size) await work.engine.rotate(x, givenRotation(rows), { out: to });
}

function widthOf(where: string, given: number | undefined, D: number): number {
  const dim = integer(where, 'rotary_embedding_dim', given ?? 0, 0) || D;
  if (dim % 2 || dim > D) throw wrongValue(where, 'rotary_embedding_dim', `an even number of at most D=${D}`, dim);
  return dim;
}

/** The rows' places in the caches: `rows` of them for each batch row, or for all. */
type Places = (work: Workspace, cos: Tensor, B: number, L: number) => { readonly rows: ArrayLike<number>; readonly batched: boolean };

async function rotary<T extends OnnxInput>(
  engine: Engine,
  where: string,
  name: string,
  x: T,
  tables: readonly [OnnxInput, OnnxInput],
  attributes: OnnxRotaryAttributes,
  places: Places,
): Promise<OnnxOutput<T>> {
  const work = new Workspace(engine, where);
  try {
    const tensor = work.tensor(name, x);
    const given = byHeads(work, name, tensor, attributes.num_heads || undefined);
    const [B, H, L, D] = given.shape as [number, number, number, number];
    const dim = widthOf(where, attributes.rotary_embedding_dim, D);
    const { cos, sin } = caches(work, ...tables, dim);
    const { rows, batched } = places(work, cos, B, L);
    const table = gatherRows(where, 'position_ids', cos, sin, rows);
    const { whole, view } = resultByHeads(work, [B, H, L, D], tensor.shape.length === 3, tensor.dtype);
    await turn(work, given, { table, batched, dim, interleaved: Boolean(attributes.interleaved) }, view);
    return work.output(whole, x);
  } finally {
    work.release();
  }
}

/**
 * ONNX `RotaryEmbedding` (opset 23): the tables are used as they are given. Channels beyond `rotary_embedding_dim` pass unchanged.
 *
 * @throws TypeError, RangeError naming an input or attribute that is wrong or not supported
 * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`
 * @example
 * ```ts
 * import { onnxRotaryEmbedding } from 'relpos/onnx';
 *
 * const engine = await createEngine({ threads: 1 });
 * const X = { data: new Float32Array(2 * 4 * 3 * 8), dims: [2, 4, 3, 8] };
 * const cache = { data: new Float32Array(50 * 4), dims: [50, 4] };
 * const position_ids = { data: Int32Array.of(0, 1, 2, 7, 8, 9), dims: [2, 3] };
 * const Y = await onnxRotaryEmbedding(engine, { X, cos_cache: cache, sin_cache: cache, position_ids });
 * engine.dispose();
 * ```
 */
export async function onnxRotaryEmbedding<T extends OnnxInput>(
  engine: Engine,
  inputs: OnnxRotaryInputs<T>,
  attributes: OnnxRotaryAttributes = {},
): Promise<OnnxOutput<T>> {
  const where = 'onnxRotaryEmbedding';
  checkInputs(where, inputs, ['X', 'cos_cache', 'sin_cache', 'position_ids']);
  checkAttributes(where, attributes, ['interleaved', 'num_heads', 'rotary_embedding_dim']);
  const { X, cos_cache, sin_cache, position_ids } = inputs;
  return rotary(engine, where, 'X', X, [cos_cache, sin_cache], attributes, (work, cos, B, L) => {
    if (!isGiven(position_ids)) {
      const fits = cos.shape.length === 3 && cos.shape[0] === B && cos.shape[1] === L;
      if (!fits) throw wrongValue(where, 'cos_cache', `shape [B=${B}, L=${L}, R/2] without position_ids`, shown(cos.shape));
      return { rows: Array.from({ length: B * L }, (_, n) => n), batched: true };
    }
    if (cos.shape.length !== 2) throw wrongValue(where, 'cos_cache', 'shape [rows, R/2] with position_ids', shown(cos.shape));
    const rows = work.integers('position_ids', position_ids);
    if (rows.length !== B * L) throw wrongValue(where, 'position_ids', `[B=${B}, L=${L}] positions`, `${rows.length}`);
    return { rows, batched: true };
  });
}

/**
 * com.microsoft `RotaryEmbedding`: as ONNX's, but for `position_ids`, which are [B, L] or one offset [1].
 *
 * @throws TypeError, RangeError naming an input or attribute that is wrong or not supported (is_packed_batching is not)
 * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`
 * @example
 * ```ts
 * import { rotaryEmbedding } from 'relpos/onnx';
 *
 * const engine = await createEngine({ threads: 1 });
 * const input = { data: new Float32Array(1 * 3 * 16), dims: [1, 3, 16] };
 * const cache = { data: new Float32Array(50 * 4), dims: [50, 4] };
 * const position_ids = { data: Int32Array.of(10), dims: [1] };
 * const output = await rotaryEmbedding(engine, { input, position_ids, cos_cache: cache, sin_cache: cache }, { num_heads: 2 });
 * engine.dispose();
 * ```
 */
export async function rotaryEmbedding<T extends OnnxInput>(
  engine: Engine,
  inputs: MicrosoftRotaryInputs<T>,
  attributes: MicrosoftRotaryAttributes = {},
): Promise<OnnxOutput<T>> {
  const where = 'rotaryEmbedding';
  checkInputs(where, inputs, ['input', 'position_ids', 'cos_cache', 'sin_cache']);
  checkAttributes(where, attributes, ['interleaved', 'num_heads', 'rotary_embedding_dim', 'scale', 'is_packed_batching']);
  if (attributes.is_packed_batching)
    throw unsupported(where, 'is_packed_batching', attributes.is_packed_batching, 'use queryOffsets of attention');
  const { input, position_ids, cos_cache, sin_cache } = inputs;
  if (!isGiven(position_ids)) throw wrongType(where, 'position_ids', 'a tensor of [1] or [B, L]', position_ids);
  const { scale: _, is_packed_batching: __, ...rest } = attributes;
  // Without num_heads, the caches say how wide a head is.
  const hidden =
    (input as { dims?: readonly number[]; shape?: readonly number[] })?.dims ?? (input as { shape?: readonly number[] })?.shape;
  const columns = ((cos_cache as { dims?: readonly number[] })?.dims ?? (cos_cache as { shape?: readonly number[] })?.shape)?.at(-1);
  const derived = hidden?.length === 3 && columns && !rest.num_heads ? { num_heads: (hidden[2] as number) / (2 * columns) } : {};
  return rotary(engine, where, 'input', input, [cos_cache, sin_cache], { ...rest, ...derived }, (work, cos, B, L) => {
    if (cos.shape.length !== 2) throw wrongValue(where, 'cos_cache', 'shape [rows, R/2]', shown(cos.shape));
    const given = work.integers('position_ids', position_ids);
    if (given.length === 1) return { rows: Array.from({ length: L }, (_, i) => (given[0] as number) + i), batched: false };
    if (given.length !== B * L) throw wrongValue(where, 'position_ids', `1 or [B=${B}, L=${L}] positions`, `${given.length}`);
    return { rows: given, batched: true };
  });
}
