// RotaryEmbedding, of ONNX and of com.microsoft: rotations by tables that are given.

import { finite, integer, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import type { Engine } from '../engine.ts';
import type { Tensor } from '../memory/tensor.ts';
import { withHandlers } from '../plan/handlers.ts';
import type { Encoding } from '../plan/plan.ts';
import { checkEngine, flag, inNamesOf, named, unsupported } from './attributes.ts';
import { byHeads, resultByHeads } from './heads.ts';
import { checkShape, fits } from './shapes.ts';
import { describeInput, FLOATS, isGiven, type OnnxInput, type OnnxOutput, Workspace } from './values.ts';

const CACHES = ['cos_cache', 'sin_cache'];
const ATTRIBUTES = ['interleaved', 'num_heads', 'rotary_embedding_dim'];

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
  /** Needed for X of 3 dimensions; 0 (default) is what X says. */
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
  return withHandlers({
    name: 'given cosines and sines',
    lower: () => ({ rotation: { dim, layout: interleaved ? 'pairs' : 'halves', frequencies: new Float64Array(dim / 2), queryPositions } }),
  });
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
  if (cos.shape.at(-1) !== dim / 2) throw wrongValue(where, 'cos_cache', `a last dimension of R/2 = ${dim / 2}`, shapeText(cos.shape));
  if (shapeText(sin.shape) !== shapeText(cos.shape))
    throw wrongValue(where, 'sin_cache', `the shape of cos_cache, ${shapeText(cos.shape)}`, shapeText(sin.shape));
  return { cos, sin };
}

/** Turns x, [B, H, L, D] by strides, into `to`. */
export async function turn(work: Workspace, x: Tensor, rows: RotaryRows, to: Tensor): Promise<void> {
  if (x.size) await work.engine.rotate(x, givenRotation(rows), { out: to });
}

function widthOf(where: string, given: number | null | undefined, D: number): number {
  const dim = integer(where, 'rotary_embedding_dim', given ?? 0, 0) || D;
  if (dim % 2 || dim > D || !dim) throw wrongValue(where, 'rotary_embedding_dim', `an even number of at most D=${D}`, dim);
  return dim;
}

/** The rows' places in the caches: `rows` of them for each batch row, or for all. */
type Places = (work: Workspace, cos: Tensor, B: number, L: number) => { readonly rows: ArrayLike<number>; readonly batched: boolean };

/** The tensor to turn, and its name. */
interface Subject<T> {
  readonly name: string;
  readonly x: T;
}

async function rotary<T extends OnnxInput>(
  work: Workspace,
  { name, x }: Subject<T>,
  tables: readonly [OnnxInput, OnnxInput],
  attributes: OnnxRotaryAttributes,
  places: Places,
): Promise<OnnxOutput<T>> {
  const { where } = work;
  try {
    return await inNamesOf(where, { x: name }, async () => {
      const interleaved = flag(where, 'interleaved', attributes.interleaved);
      const tensor = work.tensor(name, x);
      const given = byHeads(work, name, tensor, 'num_heads', attributes.num_heads === 0 ? undefined : attributes.num_heads);
      const [B, H, L, D] = given.shape as [number, number, number, number];
      const dim = widthOf(where, attributes.rotary_embedding_dim, D);
      const { cos, sin } = caches(work, ...tables, dim);
      const { rows, batched } = places(work, cos, B, L);
      const table = gatherRows(where, 'position_ids', cos, sin, rows);
      const { whole, view } = resultByHeads(work, [B, H, L, D], tensor.shape.length === 3, tensor.dtype);
      await turn(work, given, { table, batched, dim, interleaved }, view);
      return work.output(whole, x);
    });
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
  checkEngine(where, engine);
  const given = named<OnnxRotaryInputs<T>>(where, 'inputs', inputs, ['X', ...CACHES, 'position_ids']);
  const how = named<OnnxRotaryAttributes>(where, 'attributes', attributes, ATTRIBUTES);
  const { X, cos_cache, sin_cache, position_ids } = given;
  return rotary(new Workspace(engine, where), { name: 'X', x: X }, [cos_cache, sin_cache], how, (work, cos, B, L) => {
    const half = cos.shape.at(-1) as number;
    if (!isGiven(position_ids)) {
      checkShape(where, 'cos_cache', cos.shape, [B, L, half], `[B=${B}, L=${L}, R/2] without position_ids`);
      return { rows: Array.from({ length: B * L }, (_, n) => n), batched: true };
    }
    if (cos.shape.length !== 2) throw wrongValue(where, 'cos_cache', 'shape [rows, R/2] with position_ids', shapeText(cos.shape));
    checkPositions(where, position_ids, B, L);
    return { rows: work.integers('position_ids', position_ids), batched: true };
  });
}

function checkPositions(where: string, given: OnnxInput, B: number, L: number): void {
  checkShape(where, 'position_ids', describeInput(where, 'position_ids', given, ['int64', 'int32']).dims, [B, L], `[B=${B}, L=${L}]`);
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
  checkEngine(where, engine);
  const whole = named<MicrosoftRotaryInputs<T>>(where, 'inputs', inputs, ['input', 'position_ids', ...CACHES]);
  const stated = named<MicrosoftRotaryAttributes>(where, 'attributes', attributes, [...ATTRIBUTES, 'scale', 'is_packed_batching']);
  if (flag(where, 'is_packed_batching', stated.is_packed_batching))
    throw unsupported(where, 'is_packed_batching', 1, 'use queryOffsets of attention');
  finite(where, 'scale', stated.scale ?? 1);
  const { input, position_ids, cos_cache, sin_cache } = whole;
  const { dims } = describeInput(where, 'position_ids', position_ids, ['int64', 'int32']);
  const isOffset = !dims.length || fits(dims, [1]);
  const how = { ...stated, num_heads: headsOf(where, whole, stated) };
  return rotary(new Workspace(engine, where), { name: 'input', x: input }, [cos_cache, sin_cache], how, (work, cos, B, L) => {
    if (cos.shape.length !== 2) throw wrongValue(where, 'cos_cache', 'shape [rows, R/2]', shapeText(cos.shape));
    if (!isOffset) checkShape(where, 'position_ids', dims, [B, L], `[1] or [B=${B}, L=${L}]`);
    const given = work.integers('position_ids', position_ids);
    if (!isOffset) return { rows: given, batched: true };
    const start = integer(where, 'position_ids[0]', given[0], 0, (cos.shape[0] as number) - L);
    return { rows: Array.from({ length: L }, (_, i) => start + i), batched: false };
  });
}

/** The heads of an input of 3 dimensions. Without num_heads the caches tell how wide a head is, if all of it turns. */
function headsOf(where: string, { input, cos_cache }: MicrosoftRotaryInputs, attributes: MicrosoftRotaryAttributes): number {
  const { num_heads, rotary_embedding_dim } = attributes;
  const { dims } = describeInput(where, 'input', input, FLOATS);
  if ((isGiven(num_heads) && num_heads !== 0) || dims.length !== 3) return num_heads ?? 0;
  if (rotary_embedding_dim) throw wrongType(where, 'num_heads', 'a number beside rotary_embedding_dim', num_heads);
  const cache = describeInput(where, 'cos_cache', cos_cache, FLOATS).dims;
  const width = 2 * (cache.at(-1) ?? 0);
  if (!width) throw wrongValue(where, 'cos_cache', 'shape [rows, R/2]', shapeText(cache));
  const heads = (dims[2] as number) / width;
  if (!Number.isInteger(heads) || !heads)
    throw wrongValue(where, 'input', `a last dimension that the head width of the caches, ${width}, divides`, shapeText(dims));
  return heads;
}
