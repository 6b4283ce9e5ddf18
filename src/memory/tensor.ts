import { describe, integer, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { arrayType, readShape, type SafeTensorLike } from '../arguments/numbers.ts';
import type { Kernels } from '../wasm/kernels.ts';
import type { Arena } from './arena.ts';
import { type FillArray, keepFresh, ownNumbers, sharesBytes } from './data.ts';
import { Disposing } from './dispose.ts';
import { DTYPES, type DType, type ElementView, isDType, viewOf } from './dtypes.ts';

/**
 * What a tensor is filled from: the matching typed array, numbers, or a tensor of a safetensors file. For f16 and bf16 a Uint16Array holds
 * the raw bits; for i8 and i32 boolean and 64-bit data will do (`Uint8Array`, `BigInt64Array`), as long as every number fits.
 */
export type TensorData =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int8Array
  | Int32Array
  | Uint8Array
  | BigInt64Array
  | readonly number[]
  | SafeTensorLike;

/**
 * A tensor as an operand: one of the engine's, or one of a safetensors file, which is copied into the engine's memory for the length of the
 * call. F32, F16 and BF16 stay what they are, F64 becomes f32. Who uses it in many calls makes a tensor of it once.
 */
export type TensorLike = Tensor | SafeTensorLike;

/** The engine's part that tensors live in. */
export interface MemoryContext {
  readonly arena: Arena;
  readonly kernels: Kernels;
  /** @throws RelposError `disposed` */
  alive(): void;
}

/** Memory that tensors share; it goes back when the last of its holders lets go. */
class Storage {
  readonly context: MemoryContext;
  readonly at: number;
  readonly bytes: number;
  #holders = 1;
  #lost = 0;

  constructor(context: MemoryContext, bytes: number) {
    this.context = context;
    this.bytes = bytes;
    this.at = context.arena.allocate(bytes);
  }

  /** A lost worker may write to it. */
  get lost(): boolean {
    return this.#lost > 0;
  }

  lose(over: Promise<void>): void {
    this.#lost++;
    void over.then(() => {
      this.#lost--;
    });
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders === 0) this.context.arena.free(this.at);
  }
}

/** One range of `Tensor.slice`: [start, end) with negative numbers counting from the end, one index, or all. */
export type SliceRange = readonly [number, number] | number | null | undefined;

/**
 * An array in the engine's memory. Made by `engine.tensor`; owned by the caller, who ends it with `dispose()` or `using`.
 *
 * @example
 * ```ts
 * const engine = await createEngine();
 * const x = engine.tensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6));
 * const lastColumn = x.slice(null, [2, 3]);
 * lastColumn.toArray(); // Float32Array [3, 6]
 * engine.dispose();
 * ```
 */
export class Tensor extends Disposing {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Elements from one index to the next, per dimension. */
  readonly strides: readonly number[];
  readonly #storage: Storage;
  /** Elements before the first one. */
  readonly #offset: number;
  #disposed = false;

  /** @internal */
  constructor(storage: Storage, dtype: DType, shape: readonly number[], strides: readonly number[], offset: number) {
    super();
    this.#storage = storage;
    this.dtype = dtype;
    this.shape = Object.freeze([...shape]);
    this.strides = Object.freeze([...strides]);
    this.#offset = offset;
  }

  /** Elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** @internal Byte address of the first element. */
  get pointer(): number {
    this.#alive();
    return this.#storage.at + this.#offset * DTYPES[this.dtype].bytes;
  }

  /** @internal */
  get context(): MemoryContext {
    return this.#storage.context;
  }

  /** @internal Lowest and highest address of the elements, [low, high); strides may be negative. */
  get extent(): readonly [number, number] {
    const { bytes } = DTYPES[this.dtype];
    const { pointer } = this;
    if (!this.size) return [pointer, pointer];
    let [low, high] = [0, 0];
    for (let axis = 0; axis < this.shape.length; axis++) {
      const reach = ((this.shape[axis] as number) - 1) * (this.strides[axis] as number);
      if (reach < 0) low += reach;
      else high += reach;
    }
    return [pointer + low * bytes, pointer + (high + 1) * bytes];
  }

  /** @internal A lost worker may write to the memory until `over` settles: using it throws until then. */
  lose(over: Promise<void>): void {
    this.#storage.lose(over);
  }

  /** @internal Keeps the memory until the returned function is called, even if the tensor is disposed meanwhile. */
  pin(): () => void {
    this.#alive();
    this.#storage.hold();
    return () => this.#storage.release();
  }

  /** True if the elements lie in row-major order without gaps. */
  get contiguous(): boolean {
    let expected = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      if (this.shape[axis] !== 1 && this.strides[axis] !== expected) return false;
      expected *= this.shape[axis] as number;
    }
    return true;
  }

  /**
   * A plain copy as f32 in row-major order. f16, bf16 and i8 convert exactly; i32 rounds beyond 2^24 (`view()` does not).
   *
   * @throws RelposError `disposed`
   */
  toArray(): Float32Array {
    this.#alive();
    const { context } = this.#storage;
    const out = new Float32Array(this.size);
    if (this.dtype === 'f32' && this.contiguous) {
      out.set(this.view());
      return out;
    }
    const { bytes, code } = DTYPES[this.dtype];
    this.#withLine((line) => {
      this.#rows((from, to, n, stride) => {
        context.kernels.loadRow(line, this.#storage.at + from * bytes, n, stride * bytes, code);
        out.set(viewOf('f32', context.arena.memory.buffer, line, n), to);
      });
    });
    return out;
  }

  /** @internal A plain copy as f64, every number as it is. */
  toNumbers(): Float64Array {
    if (DTYPES[this.dtype].exact) return Float64Array.from(this.toArray());
    this.#alive();
    const all = this.#all();
    const out = new Float64Array(this.size);
    this.#rows((from, to, n, stride) => {
      for (let x = 0; x < n; x++) out[to + x] = all[from + x * stride] as number;
    });
    return out;
  }

  /**
   * The memory itself, no copy: a Float32Array for f32, a Uint16Array of raw bits for f16 and bf16, an Int8Array or Int32Array. Valid
   * until the engine's memory grows, which any later call may cause.
   *
   * @throws RelposError `disposed`
   * @throws RangeError if the elements are not contiguous (a slice)
   */
  view(): ElementView {
    this.#alive();
    if (!this.contiguous) throw wrongValue('view', 'tensor', 'contiguous elements', `strides ${shapeText(this.strides)}`, 'use toArray()');
    return viewOf(this.dtype, this.context.arena.memory.buffer, this.pointer, this.size);
  }

  /**
   * Overwrites every element, in row-major order. `data` may be a view of the engine's memory, this tensor's own included.
   *
   * @throws TypeError if the data's type does not fit; no element is changed then
   * @throws RangeError if the number of elements differs
   * @throws RelposError `disposed`; `out-of-memory` if there is no room for a row of f32 that becomes f16 or bf16
   */
  set(data: TensorData): this {
    this.#alive();
    const numbers = ownNumbers('set', data, this.dtype, this.shape);
    this.fill(keepFresh(numbers, this.#storage.context.arena.memory));
    return this;
  }

  /** @internal Overwrites every element by numbers that fit; `source` is asked again after memory may have grown. */
  fill(source: () => FillArray): void {
    const { arena, kernels } = this.#storage.context;
    const { bytes, code, bits, view } = DTYPES[this.dtype];
    let data = source();
    if (sharesBytes(data, arena.memory, this.extent)) {
      const copy = data.slice();
      source = () => copy;
      data = copy;
    }
    if (bits && arrayType(data) !== view.name) {
      this.#withLine((line) => {
        const numbers = source();
        this.#rows((to, from, n, stride) => {
          const row = viewOf('f32', arena.memory.buffer, line, n);
          for (let x = 0; x < n; x++) row[x] = numbers[from + x] as number;
          kernels.storeRow(this.#storage.at + to * bytes, line, n, stride * bytes, code);
        });
      });
      return;
    }
    if (this.contiguous) {
      this.view().set(data);
      return;
    }
    const all = this.#all();
    this.#rows((to, from, n, stride) => {
      for (let x = 0; x < n; x++) all[to + x * stride] = data[from + x] as number;
    });
  }

  /**
   * A part of the tensor, no copy: it shares the memory and keeps it alive. One range per leading dimension; the rest is whole. The
   * number of dimensions stays (an index keeps a dimension of 1).
   *
   * @throws TypeError, RangeError if a range is not one
   * @throws RelposError `disposed`
   */
  slice(...ranges: readonly SliceRange[]): Tensor {
    this.#alive();
    if (ranges.length > this.shape.length) {
      throw wrongValue('slice', 'ranges', `at most ${this.shape.length} ranges`, `${ranges.length}`);
    }
    const shape = [...this.shape];
    let offset = this.#offset;
    ranges.forEach((range, axis) => {
      if (range === null || range === undefined) return;
      const n = this.shape[axis] as number;
      const [start, end] = resolveRange(range, n, axis);
      shape[axis] = end - start;
      offset += start * (this.strides[axis] as number);
    });
    this.#storage.hold();
    return new Tensor(this.#storage, this.dtype, shape, this.strides, offset);
  }

  /**
   * The same elements with the dimensions in another order, no copy.
   *
   * @throws RangeError if `axes` is not a permutation of the dimensions
   */
  permute(...axes: readonly number[]): Tensor {
    this.#alive();
    if ([...axes].sort((a, b) => a - b).some((axis, n) => axis !== n) || axes.length !== this.shape.length) {
      throw wrongValue('permute', 'axes', `an order of 0 … ${this.shape.length - 1}`, shapeText(axes));
    }
    this.#storage.hold();
    const pick = (list: readonly number[]): number[] => axes.map((axis) => list[axis] as number);
    return new Tensor(this.#storage, this.dtype, pick(this.shape), pick(this.strides), this.#offset);
  }

  /** @internal The same memory in another shape: `offset` elements on from the first, `strides` from index to index. Nothing is checked. */
  restride(shape: readonly number[], strides: readonly number[], offset: number = 0): Tensor {
    this.#alive();
    this.#storage.hold();
    return new Tensor(this.#storage, this.dtype, shape, strides, this.#offset + offset);
  }

  /** Gives the memory back once no slice and no running call needs it. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#storage.release();
  }

  /** The whole storage as elements of this type. */
  #all(): ElementView {
    const { context, at, bytes } = this.#storage;
    return viewOf(this.dtype, context.arena.memory.buffer, at, bytes / DTYPES[this.dtype].bytes);
  }

  /** Reserves a line of f32 for the length of `use`. @throws RelposError `out-of-memory`, before anything is done */
  #withLine(use: (line: number) => void): void {
    const { arena } = this.#storage.context;
    const line = arena.allocate(4 * Math.max(1, this.shape.at(-1) ?? 1));
    try {
      use(line);
    } finally {
      arena.free(line);
    }
  }

  /** Calls `visit(element of storage, element in row-major order, n, stride)` for each run along the last dimension. */
  #rows(visit: (at: number, index: number, n: number, stride: number) => void): void {
    const rank = this.shape.length;
    const n = rank ? (this.shape[rank - 1] as number) : 1;
    const stride = rank ? (this.strides[rank - 1] as number) : 1;
    const count = n ? this.size / n : 0;
    for (let row = 0; row < count; row++) {
      let rest = row;
      let at = this.#offset;
      for (let axis = rank - 2; axis >= 0; axis--) {
        const size = this.shape[axis] as number;
        at += (rest % size) * (this.strides[axis] as number);
        rest = Math.floor(rest / size);
      }
      visit(at, row * n, n, stride);
    }
  }

  #alive(): void {
    if (this.#disposed) throw new RelposError('disposed', 'the tensor was disposed');
    this.#storage.context.alive();
    if (this.#storage.lost) throw new RelposError('lost', 'a worker that could not be ended may still write to this tensor');
  }
}

/** Strides of a shape whose elements lie in row-major order without gaps. */
function rowMajor(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let product = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = product;
    product *= shape[axis] as number;
  }
  return strides;
}

/** Elements of a shape. */
function sizeOf(shape: readonly number[]): number {
  let product = 1;
  for (const n of shape) product *= n;
  return product;
}

function resolveRange(range: readonly [number, number] | number, n: number, axis: number): [number, number] {
  const name = `ranges[${axis}]`;
  const fromEnd = (x: number): number => (x < 0 ? x + n : x);
  if (typeof range === 'number') {
    const index = fromEnd(integer('slice', name, range, -n, n - 1));
    return [index, index + 1];
  }
  if (!Array.isArray(range) || range.length !== 2) throw wrongType('slice', name, '[start, end], an index or null', range);
  const start = fromEnd(integer('slice', name, range[0], -n, n));
  const end = fromEnd(integer('slice', name, range[1], -n, n));
  if (start > end) throw wrongValue('slice', name, `start ≤ end within ${n}`, shapeText(range));
  return [start, end];
}

function checkShape(where: string, given: unknown, bytes: number): readonly number[] {
  const shape = readShape(where, 'shape', given);
  const size = sizeOf(shape);
  if (size * bytes > 2 ** 32) throw wrongValue(where, 'shape', 'at most 4 GiB', `${shapeText(shape)}, ${size * bytes} bytes`);
  return shape;
}

/** Makes a tensor; without data it is zero. */
export function makeTensor(
  context: MemoryContext,
  where: string,
  shape: readonly number[],
  data?: TensorData,
  dtype: DType = 'f32',
): Tensor {
  context.alive();
  if (!isDType(dtype)) throw wrongValue(where, 'dtype', Object.keys(DTYPES).join(', '), describe(dtype));
  const { bytes } = DTYPES[dtype];
  const sizes = checkShape(where, shape, bytes);
  const size = sizeOf(sizes);
  const source = data === undefined ? undefined : keepFresh(ownNumbers(where, data, dtype, sizes), context.arena.memory);
  const storage = new Storage(context, size * bytes);
  const strides = rowMajor(sizes);
  const tensor = new Tensor(storage, dtype, sizes, strides, 0);
  try {
    if (source) tensor.fill(source);
    else new Uint8Array(context.arena.memory.buffer).fill(0, storage.at, storage.at + storage.bytes);
  } catch (error) {
    tensor.dispose();
    throw error;
  }
  return tensor;
}

/** A tensor of a shape that stands on almost no memory: every element is the same one. For estimates. */
export function shapeOnly(context: MemoryContext, where: string, shape: readonly number[]): Tensor {
  const sizes = checkShape(where, shape, 0);
  const strides = sizes.map(() => 0);
  return new Tensor(new Storage(context, 4), 'f32', sizes, strides, 0);
}
