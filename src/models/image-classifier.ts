// Labels for images: what a model of images is used for.

import { checkFunction, checkSignal, describe, integer, reading, wrongType, wrongValue } from '../arguments/check.ts';
import { type Readers, readRecord } from '../arguments/record.ts';
import { Disposing } from '../memory/dispose.ts';
import type { Arithmetic } from '../plan/plan.ts';
import type { Signal } from '../platform/types.ts';
import type { Classifier } from './blueprint.ts';
import { type ImageSettings, pixelsOf } from './image-settings.ts';
import { type Label, labelsOf } from './labels.ts';
import { Lifetime } from './lifetime.ts';
import type { LoadOptions } from './load.ts';
import { cellsOf, type VisionBlueprint } from './vision.ts';
import type { VisionRunner } from './vision-runner.ts';

/** An image as bytes, cell by cell and row by row, as a canvas' ImageData has it. */
export interface ImagePixels {
  /** [height, width, channels]. */
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** 1 (grey), 3 (red, green, blue) or 4 (and how opaque a cell is, which is not read); default what `data` has for each cell. */
  readonly channels?: number;
}

/** An image as bytes, which preprocessor_config.json says how to read; or f32 [channels, height, width], normalised, of the model's size. */
export type ImageInput = ImagePixels | Float32Array;

/** How a model of images is loaded. */
export type ImageLoadOptions = Omit<LoadOptions, 'context' | 'jinja'>;

/** Options of `classify`. */
export interface ClassifyOptions {
  /** Labels of each image at most; default all. */
  readonly topK?: number;
  readonly signal?: Signal;
  /** Told after each image. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** What a classifier is made of. */
export interface ImageClassifierParts {
  readonly runner: VisionRunner;
  /** Undefined: images of bytes are refused. */
  readonly settings: ImageSettings | undefined;
  /** Functions with the same bits on every host. */
  readonly math: Arithmetic;
  /** Ends what was made for this model alone. */
  readonly end?: () => void;
}

const OPTIONS: Readers<ClassifyOptions> = {
  topK: (where, name, value) => integer(where, name, value, 1),
  signal: (where, name, value) => checkSignal(where, value, name) as Signal,
  onProgress: checkFunction as never,
};

/** Sides of an image in cells at most. */
const LONGEST_SIDE = 65535;

/** An image that was checked. */
type Checked = Float32Array | Required<ImagePixels>;

/** A model that gives labels to images. Made by `loadImageClassifier`; ended by `dispose()` or `using`. */
export class ImageClassifier extends Disposing {
  readonly #parts: ImageClassifierParts;
  readonly #lifetime: Lifetime;

  /** @internal */
  constructor(parts: ImageClassifierParts) {
    super();
    this.#parts = parts;
    this.#lifetime = new Lifetime(() => {
      parts.runner.dispose();
      parts.end?.();
    });
  }

  /** What it computes, from which tensors. */
  get blueprint(): VisionBlueprint {
    return this.#parts.runner.blueprint;
  }

  /** The labels that there are, in the order of the logits. */
  get labels(): readonly string[] {
    return (this.blueprint.classifier as Classifier).labels;
  }

  /**
   * The labels of an image, the surest first; of a list of images, a list for each. An image of bytes is brought to the model's size by the
   * filter that preprocessor_config.json names, bit for bit as PIL does it, and normalised. Images are read when their turn comes.
   *
   * @throws TypeError, RangeError if an argument is wrong; nothing has run then
   * @throws RelposError `disposed`; the signal's reason if it is aborted
   * @example
   * const [best] = await classifier.classify(canvas.getContext('2d').getImageData(0, 0, 640, 480), { topK: 1 });
   */
  classify(image: ImageInput, options?: ClassifyOptions): Promise<Label[]>;
  classify(images: readonly ImageInput[], options?: ClassifyOptions): Promise<Label[][]>;
  async classify(given: ImageInput | readonly ImageInput[], options: ClassifyOptions = {}): Promise<Label[] | Label[][]> {
    const where = 'classify';
    this.#lifetime.alive(`${where}: the classifier`);
    const { topK, signal, onProgress } = readRecord<ClassifyOptions>(where, options, OPTIONS);
    const isList = Array.isArray(given);
    const images = isList
      ? (given as readonly unknown[]).map((image, n) => this.#checked(where, `images[${n}]`, image))
      : [this.#checked(where, 'image', given)];
    const { runner, settings, math } = this.#parts;
    const { image: size } = this.blueprint;
    const results: Label[][] = [];
    for (const image of images) {
      if (signal?.aborted) throw signal.reason;
      const numbers = (): Float32Array => (image instanceof Float32Array ? image : pixelsOf(image, size, settings as ImageSettings));
      const logits = await this.#lifetime.during(async () => runner.classify(numbers(), signal));
      results.push(labelsOf(this.blueprint.classifier as Classifier, logits, math).slice(0, topK));
      onProgress?.({ done: results.length, total: images.length });
    }
    return isList ? results : (results[0] as Label[]);
  }

  /** Gives the memory back, when images that are under way are done; ends the engine too if it was made for this model. */
  dispose(): void {
    this.#lifetime.end();
  }

  #checked(where: string, name: string, given: unknown): Checked {
    const { image, channels } = this.blueprint;
    const shape = `[${channels}, ${image.join(', ')}]`;
    if (given instanceof Float32Array) {
      if (given.length === channels * cellsOf(image)) return given;
      throw wrongValue(where, name, `${shape} numbers`, `${given.length}`);
    }
    if (typeof given !== 'object' || given === null)
      throw wrongType(where, name, `{ data, width, height } or a Float32Array of ${shape}`, given);
    const { settings } = this.#parts;
    if (!settings) {
      const because = 'the model has no preprocessor_config.json, which would say how bytes become numbers';
      throw wrongValue(where, name, `a Float32Array of ${shape}, normalised`, describe(given), because);
    }
    const bytes = checkBytes(where, name, given as ImagePixels, channels);
    const isSize = bytes.height === image[0] && bytes.width === image[1];
    if (isSize || settings.filter) return bytes;
    const because = 'preprocessor_config.json says that it is not resized';
    throw wrongValue(where, name, `${image[0]} rows of ${image[1]} cells`, `${bytes.height} of ${bytes.width}`, because);
  }
}

/** @param wanted channels of the model */
function checkBytes(where: string, name: string, given: ImagePixels, wanted: number): Required<ImagePixels> {
  const read = reading(where, name, () => ({ data: given.data, width: given.width, height: given.height, channels: given.channels }));
  const { data } = read;
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    throw wrongType(where, `${name}.data`, 'a Uint8Array or Uint8ClampedArray', data);
  }
  const side = (key: 'width' | 'height'): number => integer(where, `${name}.${key}`, read[key], 1, LONGEST_SIDE);
  const [width, height] = [side('width'), side('height')];
  const channels = read.channels ?? data.length / (width * height);
  const fits = wanted === 3 ? [1, 3, 4] : [wanted];
  if (!fits.includes(channels)) throw wrongValue(where, `${name}.channels`, fits.join(' or '), `${channels}`);
  const size = width * height * channels;
  if (data.length !== size) throw wrongValue(where, `${name}.data`, `${size} bytes, [${height}, ${width}, ${channels}]`, `${data.length}`);
  return { data, width, height, channels };
}
