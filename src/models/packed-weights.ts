// A packed checkpoint: its files are checked against the model that config.json describes, then read into memory as they are.

import { shapeText, wrongValue } from '../arguments/check.ts';
import { quote } from '../cli/text.ts';
import type { LayerContext } from '../nn/context.ts';
import { WEIGHT_TYPES, type WeightType } from '../nn/weights.ts';
import { isObject, show, structureFault } from '../safetensors/header.ts';
import { broken } from './fault.ts';
import { packedTensors, VERSION } from './packed-format.ts';
import type { PackedSource, Packing, Place } from './packing.ts';
import type { TensorIndex } from './tensors.ts';
import type { AnyBlueprint } from './vision.ts';
import { declareAny } from './vision-declared.ts';
import { type LoadProgress, Passes, type Planned, type Weights } from './weights.ts';

/** Dimensions that a tensor of a checkpoint may have. */
const MOST_DIMENSIONS = 8;
/** Bytes that are read in one go at most. */
const MOST = 1 << 23;

export class PackedWeights implements PackedSource {
  readonly #where: string;
  readonly #weights: Weights;
  /** The type that the panels have. */
  readonly type: WeightType;
  /** The tensors of the checkpoint that was packed. */
  readonly index: TensorIndex;
  /** Nobody else uses the engine meanwhile: its memory, which does not grow then, is what files are read into. */
  alone = false;

  /**
   * @param asked the type that the caller wants, if any
   * @throws RangeError if that is another one; RelposError `bad-checkpoint` if the metadata says nothing that is known
   */
  constructor(where: string, weights: Weights, asked: WeightType | undefined) {
    this.#where = where;
    this.#weights = weights;
    const { version, weights: type, tensors } = weights.metadata;
    if (version !== VERSION) {
      throw this.#broken(`it was packed in version ${show(version)}, and this relpos reads ${quote(VERSION)}: pack the checkpoint again`);
    }
    const known = WEIGHT_TYPES.find((one) => one === type);
    if (!known) throw this.#broken(`"weights" of its metadata expected one of ${WEIGHT_TYPES.join(', ')}, got ${show(type)}`);
    if (asked !== undefined && asked !== known) {
      const how = `leave "weights" out, or load the checkpoint that was packed, or pack that with ${quote(asked)}`;
      throw wrongValue(where, 'weights', `'${known}', as the model is packed`, `'${asked}'`, how);
    }
    this.type = known;
    this.index = this.#indexOf(tensors);
  }

  #broken(what: string): Error {
    return broken(this.#where, this.#weights.info(this.#weights.names[0] as string).file, what);
  }

  #indexOf(text: string | undefined): TensorIndex {
    const all = parsed(text);
    if (!isObject(all)) throw this.#broken('"tensors" of its metadata expected the names and shapes of the checkpoint in JSON');
    const index = new Map<string, { readonly shape: readonly number[] }>();
    for (const [name, shape] of Object.entries(all)) {
      if (!isShape(shape)) throw this.#broken(`"tensors" of its metadata expected a shape for ${quote(name)}, got ${show(shape)}`);
      index.set(name, { shape });
    }
    return index;
  }

  /** @throws RelposError `bad-checkpoint` if the files lack something that the model has, or have it in another form */
  check(blueprint: AnyBlueprint): void {
    for (const { name, dtype, shape } of packedTensors(declareAny(blueprint, this.type))) {
      const found = this.#weights.info(name);
      if (found.dtype === dtype && shapeText(found.shape) === shapeText(shape)) continue;
      const [expected, got] = [`${dtype} ${shapeText(shape)}`, `${found.dtype} ${shapeText(found.shape)}`];
      throw broken(
        this.#where,
        found.file,
        `tensor ${quote(name)} expected ${expected}, as config.json has it in ${this.type}, got ${got}`,
      );
    }
  }

  async fill(
    { context: { arena } }: LayerContext,
    [packing, scratch]: readonly [Packing, Packing],
    onProgress?: (progress: LoadProgress) => void,
  ): Promise<void> {
    const places = new Map(packedTensors({ packing, scratch }).map(({ name, place }) => [name, place]));
    const start = (name: string): number => (places.get(name) as Place).to.pointer;
    if (this.alone) return this.#read([...places.keys()], start, new Uint8Array(arena.memory.buffer), onProgress);
    for await (const { tensor, row, rows, data } of this.#weights.stream(places.keys(), onProgress)) {
      // Memory may have grown while this piece was read.
      if (rows) new Uint8Array(arena.memory.buffer, start(tensor.name) + row * (data.length / rows), data.length).set(data);
    }
  }

  /** Reads straight into memory: 23 MB take 10 ms less of the thread, and the host reads while that does something else. */
  async #read(
    names: readonly string[],
    start: (name: string) => number,
    memory: Uint8Array,
    onProgress: ((progress: LoadProgress) => void) | undefined,
  ): Promise<void> {
    const total = this.#weights.bytesOf(names);
    const passes = new Passes();
    let loaded = 0;
    try {
      for (const { piece, pointer } of joined(this.#weights.plan(names), start, onProgress ? 0 : MOST)) {
        await passes.read(piece, memory.subarray(pointer, pointer + piece.length));
        this.#weights.checkSignal();
        loaded += piece.length;
        onProgress?.({ loaded, total, file: piece.place.info.file });
      }
    } finally {
      passes.close();
    }
  }
}

/** Pieces and where they go. Those that follow one another in the file and in memory are one, of at most `most` bytes. */
function joined(plan: readonly Planned[], start: (name: string) => number, most: number): { piece: Planned; pointer: number }[] {
  const all: { piece: Planned; pointer: number }[] = [];
  for (const piece of plan) {
    const { place, begin, length } = piece;
    const pointer = start(place.info.name) + begin - place.begin;
    const last = all.at(-1);
    const follows = last && last.piece.place.source === place.source && last.piece.begin + last.piece.length === begin;
    if (follows && last.pointer + last.piece.length === pointer && last.piece.length + length <= most) {
      last.piece = { ...last.piece, length: last.piece.length + length };
    } else all.push({ piece, pointer });
  }
  return all;
}

function parsed(text = ''): unknown {
  try {
    return structureFault(text, false) ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isShape = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.length <= MOST_DIMENSIONS && value.every((size) => Number.isSafeInteger(size) && size >= 0);
