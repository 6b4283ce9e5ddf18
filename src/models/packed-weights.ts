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
import type { LoadProgress, Weights } from './weights.ts';

/** Dimensions that a tensor of a checkpoint may have. */
const MOST_DIMENSIONS = 8;

export class PackedWeights implements PackedSource {
  readonly #where: string;
  readonly #weights: Weights;
  /** The type that the panels have. */
  readonly type: WeightType;
  /** The tensors of the checkpoint that was packed. */
  readonly index: TensorIndex;

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
    for await (const { tensor, row, rows, data } of this.#weights.stream(places.keys(), onProgress)) {
      const { pointer } = (places.get(tensor.name) as Place).to;
      // Memory may have grown while this piece was read.
      if (rows) new Uint8Array(arena.memory.buffer, pointer + row * (data.length / rows), data.length).set(data);
    }
  }
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
