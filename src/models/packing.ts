// A checkpoint's tensors on their way into memory: what a model needs of them is declared first, then reserved in one piece, then filled as the
// tensors are read, each once, whatever number of layers it is in.

import { RelposError } from '../arguments/errors.ts';
import { DTYPES, dtypeOfFile, type FloatDType, isFloat } from '../memory/dtypes.ts';
import { roundUp } from '../memory/round.ts';
import { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import { biasChannels } from '../nn/linear-stage.ts';
import { type Panels, packStage, panelBytes, panelCount, type WeightType } from '../nn/weights.ts';
import { jobOf } from '../threads/job.ts';
import type { Stage } from '../threads/types.ts';
import type { Linear, Part, Weight } from './blueprint.ts';
import { broken } from './fault.ts';
import { isZeros, runsOf, sizeOf } from './tensors.ts';
import type { LoadProgress, TensorInfo, TensorPiece } from './weights.ts';

/** What tensors are read from: the weights of a checkpoint. */
export interface TensorSource {
  info(name: string): TensorInfo;
  stream(names: readonly string[], onProgress?: (progress: LoadProgress) => void): AsyncIterable<TensorPiece>;
}

/** `format` in the metadata of packed files (packed-format.ts). */
export const PACKED = 'relpos-panels';

/** What is read as it is: a packed checkpoint. */
export interface PackedSource {
  /** Reads all that a model's packings have declared, which is reserved. */
  fill(layers: LayerContext, packings: readonly [Packing, Packing], onProgress?: (progress: LoadProgress) => void): Promise<void>;
}

/** f32 numbers in a row somewhere. */
export interface Vector {
  readonly pointer: number;
  readonly size: number;
}

/** A linear layer in memory. */
export interface PackedLinear {
  readonly panels: Panels;
  /** In the order of the panels, 0 beyond the end. */
  readonly bias: Vector | undefined;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Rows of a tensor that go into panels from row `first` on. */
interface MatrixUse {
  readonly part: Part;
  readonly panels: Panels;
  readonly first: number;
  readonly up: boolean;
}

/** Numbers of a tensor that go into a vector: the n-th of the part to `place(n)`. */
interface VectorUse {
  readonly part: Part;
  readonly vector: Vector;
  /** Numbers of a row, 1 if it is no table. */
  readonly columns: number;
  place(n: number): number;
}

/** Panels or a vector that memory is reserved for. */
export interface Place {
  readonly to: Mutable<Panels> | Mutable<Vector>;
  readonly bytes: number;
  /** The weight whose rows are the first in it. */
  readonly of: Weight;
}

const ALIGN = 64;

/** True if a tensor has to be there whole before its rows are: it is stored by columns, or a row is several of the file's. */
const isWhole = ({ transposed, shape }: Part): boolean => transposed === true || shape.length > 2;

export class Packing {
  readonly type: WeightType;
  /** Once memory is reserved. */
  #layers: LayerContext | undefined;
  readonly #matrices = new Map<string, MatrixUse[]>();
  readonly #vectors = new Map<string, VectorUse[]>();
  /** Weights that are there already: tied ones exist once. */
  readonly #known = new Map<Weight, Mutable<Panels>>();
  readonly #knownVectors = new Map<Weight, Mutable<Vector>>();
  readonly #places: Place[] = [];
  #pointer: number | undefined;

  constructor(type: WeightType) {
    this.type = type;
  }

  /**
   * Linear layers that read the same rows, side by side; with a gate the one layer is what is gated.
   *
   * @param tables rows are read by their number too, which four bits are too few for
   * @param floats numbers are at least of f16, whatever the others are
   */
  linear(
    layers: readonly Linear[],
    {
      gate,
      tables = false,
      floats = false,
    }: { readonly gate?: Linear | undefined; readonly tables?: boolean; readonly floats?: boolean | undefined } = {},
  ): PackedLinear {
    const [first] = layers as readonly [Linear];
    const panels = layers.length === 1 && !gate ? this.table(first.weight, tables, floats) : this.#stacked(layers, gate, floats);
    return { panels, bias: this.#biasOf(layers, gate, panels) };
  }

  /** A matrix in panels by itself; the same one if it was asked for before. */
  table(weight: Weight, rows = true, floats = false): Panels {
    const found = this.#known.get(weight);
    if (found) return found;
    const [outputs, inputs] = weight.shape as [number, number];
    const type = this.#typeOf(floats);
    const panels = this.#panels({ type: rows && type === 'i4' ? 'i8' : type, outputs, inputs, gated: false }, weight);
    this.#known.set(weight, panels);
    this.#rowsOf(weight, panels, 0, false);
    return panels;
  }

  #typeOf(floats: boolean): WeightType {
    const { type } = this;
    return floats && (type === 'i8' || type === 'i4') ? 'f16' : type;
  }

  #stacked(layers: readonly Linear[], gate: Linear | undefined, floats: boolean): Panels {
    const outputs = layers.reduce((sum, { weight }) => sum + (weight.shape[0] as number), 0);
    const [{ weight: first }] = layers as readonly [Linear];
    const inputs = first.shape[1] as number;
    const panels = this.#panels({ type: this.#typeOf(floats), outputs, inputs, gated: gate !== undefined }, first);
    if (gate) this.#rowsOf(gate.weight, panels, 0, false);
    let next = 0;
    for (const { weight } of layers) {
      this.#rowsOf(weight, panels, next, gate !== undefined);
      next += weight.shape[0] as number;
    }
    return panels;
  }

  #panels(shape: Omit<Panels, 'pointer'>, of: Weight): Mutable<Panels> {
    return this.#place({ ...shape, pointer: 0 }, panelCount(shape) * panelBytes(shape.type, shape.inputs), of);
  }

  #rowsOf(weight: Weight, panels: Panels, first: number, up: boolean): void {
    let next = first;
    for (const part of weight.parts) {
      if (isZeros(part)) {
        next += part.zeros;
        continue;
      }
      add(this.#matrices, part.tensor, { part, panels, first: next, up });
      for (const { count } of runsOf(part, false)) next += count;
    }
  }

  #biasOf(layers: readonly Linear[], gate: Linear | undefined, panels: Panels): Vector | undefined {
    const biased = [...layers, ...(gate ? [gate] : [])].find(({ bias }) => bias);
    if (!biased) return undefined;
    const vector = this.#vector(biasChannels(panels), biased.bias as Weight);
    if (gate) {
      // Eight of the gate and eight of what is gated take turns.
      const turn = (up: number) => (n: number) => (n >> 3) * 16 + up * 8 + (n & 7);
      if (gate.bias) this.#numbersOf(gate.bias, vector, turn(0));
      if (layers[0]?.bias) this.#numbersOf(layers[0].bias, vector, turn(1));
      return vector;
    }
    let next = 0;
    for (const { weight, bias } of layers) {
      const start = next;
      if (bias) this.#numbersOf(bias, vector, (n) => start + n);
      next += weight.shape[0] as number;
    }
    return vector;
  }

  /** The numbers of a weight as f32, in order: a vector, or the rows of a table that is used as it is. */
  vector(weight: Weight): Vector {
    const found = this.#knownVectors.get(weight);
    if (found) return found;
    const vector = this.#vector(sizeOf(weight), weight);
    this.#knownVectors.set(weight, vector);
    this.#numbersOf(weight, vector, (n) => n);
    return vector;
  }

  #vector(size: number, of: Weight): Mutable<Vector> {
    return this.#place({ pointer: 0, size }, 4 * size, of);
  }

  #numbersOf(weight: Weight, vector: Vector, place: (n: number) => number): void {
    const columns = weight.shape.slice(1).reduce((a, b) => a * b, 1);
    let next = 0;
    for (const part of weight.parts) {
      if (isZeros(part)) {
        next += part.zeros * columns;
        continue;
      }
      const start = next;
      add(this.#vectors, part.tensor, { part, vector, columns, place: (n) => place(start + n) });
      for (const { count } of runsOf(part, columns === 1)) next += count * columns;
    }
  }

  #place<T extends Place['to']>(to: T, bytes: number, of: Weight): T {
    if (this.#pointer !== undefined) throw new Error('packing: nothing can be declared once memory is reserved');
    this.#places.push({ to, bytes, of });
    return to;
  }

  /** Everything that was declared, in the order of its memory. */
  get places(): readonly Place[] {
    return this.#places;
  }

  /** Bytes of everything that was declared. */
  get bytes(): number {
    return this.#places.reduce((sum, { bytes }) => sum + roundUp(bytes, ALIGN), 0);
  }

  /** The tensors that are needed. */
  get names(): readonly string[] {
    return [...new Set([...this.#matrices.keys(), ...this.#vectors.keys()])];
  }

  /**
   * Takes the memory, all of it 0 unless every place is to be written whole, as packed files do: 23 MB of zeros take 5 ms.
   *
   * @throws RelposError `out-of-memory`
   */
  reserve(layers: LayerContext, whole = false): void {
    const { arena } = layers.context;
    this.#layers = layers;
    const { bytes } = this;
    const start = arena.allocate(bytes);
    this.#pointer = start;
    if (!whole) arena.words.fill(0, start / 4, (start + bytes) / 4);
    let at = start;
    for (const place of this.#places) {
      place.to.pointer = at;
      at += roundUp(place.bytes, ALIGN);
    }
  }

  /** Gives the memory back. */
  dispose(): void {
    if (this.#pointer === undefined || this.#pointer < 0) return;
    this.#layers?.context.arena.free(this.#pointer);
    this.#pointer = -1;
  }

  /** Packs a piece of a tensor that `whole` says is there in full, or some of its rows. */
  async pack(tensor: TensorInfo, piece: Numbers, staging: Staging): Promise<void> {
    await this.#run((scope) => this.#matrixStages(tensor, piece, scope));
    this.#copyVectors(tensor, piece, staging);
  }

  /** True if the tensor is to be packed when all of it is there. */
  whole(name: string): boolean {
    return this.#matrices.get(name)?.some(({ part }) => isWhole(part)) ?? false;
  }

  async #run(make: (scope: Scope) => readonly Stage[]): Promise<void> {
    const { context, pool } = this.#layers as LayerContext;
    const scope = new Scope(context.arena);
    try {
      const stages = make(scope);
      if (stages.length) await pool.run(jobOf(stages));
    } finally {
      scope.release();
    }
  }

  #matrixStages(tensor: TensorInfo, piece: Numbers, scope: Scope): Stage[] {
    const { threads } = (this.#layers as LayerContext).context;
    const { bytes } = DTYPES[piece.dtype];
    return (this.#matrices.get(tensor.name) ?? []).flatMap(({ part, panels, first, up }) => {
      const stored = part.shape.slice(1).reduce((a, b) => a * b, 1);
      const { first: left, step } = part.columns ?? { first: 0, step: 1 };
      const [row, column] = part.transposed ? [bytes, stored * bytes] : [stored * bytes, step * bytes];
      // Rows of the matrix that are here.
      const [low, high] = part.transposed ? [0, stored] : [piece.start / stored, (piece.start + piece.count) / stored];
      let next = first;
      return runsOf(part, false).flatMap((run) => {
        const to = next;
        next += run.count;
        const [from, end] = [Math.max(run.first, low), Math.min(run.first + run.count, high)];
        if (from >= end) return [];
        const pointer = piece.pointer + (from - low) * row + left * bytes;
        const rows = { pointer, dtype: piece.dtype, row, column, first: to + from - run.first, count: end - from, up };
        return [packStage(scope, panels, rows, threads)];
      });
    });
  }

  #copyVectors(tensor: TensorInfo, piece: Numbers, staging: Staging): void {
    const uses = this.#vectors.get(tensor.name);
    if (!uses) return;
    const { arena } = (this.#layers as LayerContext).context;
    const numbers = staging.numbers(piece);
    for (const { part, vector, columns, place } of uses) {
      const memory = new Float32Array(arena.memory.buffer, vector.pointer, vector.size);
      let next = 0;
      for (const run of runsOf(part, columns === 1)) {
        const [first, count] = [run.first * columns, run.count * columns];
        const [from, end] = [Math.max(first, piece.start), Math.min(first + count, piece.start + piece.count)];
        for (let n = from; n < end; n++) memory[place(next + n - first)] = numbers[n - piece.start] as number;
        next += count;
      }
    }
  }
}

/** Reads and packs the tensors of a model's packings, what stays and what tables are made of, each once. @throws RelposError `bad-checkpoint`, and what the source throws */
export async function loadPackings(
  where: string,
  layers: LayerContext,
  packings: readonly [Packing, Packing],
  source: TensorSource | PackedSource,
  onProgress?: (progress: LoadProgress) => void,
): Promise<void> {
  if ('fill' in source) return source.fill(layers, packings, onProgress);
  const staging = new Staging(layers);
  try {
    for await (const piece of source.stream([...new Set(packings.flatMap(({ names }) => names))], onProgress)) {
      const { tensor, rows, last } = piece;
      const dtype = dtypeOfFile(tensor.dtype);
      if (dtype === undefined || !isFloat(dtype)) {
        throw broken(where, tensor.file, `tensor "${tensor.name}" expected F32, F16 or BF16, got ${tensor.dtype}`);
      }
      if (!rows) continue;
      const width = tensor.shape.length > 1 ? (tensor.shape.at(-1) as number) : 1;
      const first = piece.row * width;
      const collects = packings.some((packing) => packing.whole(tensor.name));
      const pointer = staging.put(piece.data, collects ? first * DTYPES[dtype].bytes : 0, collects ? tensor.bytes : piece.data.length);
      if (collects && !last) continue;
      const numbers = { pointer, dtype, start: collects ? 0 : first, count: collects ? first + rows * width : rows * width };
      for (const packing of packings) await packing.pack(tensor, numbers, staging);
    }
  } finally {
    staging.dispose();
  }
}

/** Numbers of a tensor in memory: `count` of them, from its element `start` on. */
interface Numbers {
  readonly pointer: number;
  readonly dtype: FloatDType;
  readonly start: number;
  readonly count: number;
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** Memory in which pieces wait to be packed; it grows with the largest. */
class Staging {
  readonly #context: LayerContext['context'];
  #at = 0;
  #bytes = 0;

  constructor({ context }: LayerContext) {
    this.#context = context;
  }

  /** Puts bytes `offset` bytes behind the start of room for `size`; returns the start. */
  put(data: Uint8Array, offset: number, size: number): number {
    const { arena } = this.#context;
    if (size > this.#bytes) {
      if (offset) throw new RelposError('bad-checkpoint', 'a tensor came in pieces that are not in order');
      this.dispose();
      this.#at = arena.allocate(size);
      this.#bytes = size;
    }
    new Uint8Array(arena.memory.buffer, this.#at + offset, data.length).set(data);
    return this.#at;
  }

  /** As f32, a copy. */
  numbers({ pointer, dtype, count }: Numbers): Float32Array {
    const { arena, kernels } = this.#context;
    const { bytes, code } = DTYPES[dtype];
    const at = arena.allocate(4 * count);
    try {
      kernels.loadRow(at, pointer, count, bytes, code);
      return new Float32Array(arena.memory.buffer, at, count).slice();
    } finally {
      arena.free(at);
    }
  }

  dispose(): void {
    if (this.#bytes) this.#context.arena.free(this.#at);
    this.#bytes = 0;
  }
}
