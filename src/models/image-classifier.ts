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
import { type Pause, pausing } from './slices.ts';
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

/** An image that was checked, and by which name it is called. */
interface Checked {
  readonly name: string;
  readonly image: Float32Array | Required<ImagePixels>;
}

/** @throws RangeError if bytes or numbers that were checked are no longer there */
function expectStill(where: string, { name, image }: Checked, size: number): void {
  const [key, { length }] = image instanceof Float32Array ? [name, image] : [`${name}.data`, image.data];
  if (length !== size) throw wrongValue(where, key, `${size} numbers`, `${length}`, 'they were taken away while the image waited');
}

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
   * filter that preprocessor_config.json names, bit for bit as PIL does it, and normalised. Images are read when their turn comes, and have to be there then.
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
    // Not by map: it leaves holes out.
    const images = isList
      ? Array.from(given as readonly unknown[], (image, n) => this.#checked(where, `images[${n}]`, image))
      : [this.#checked(where, 'image', given)];
    const { runner, math } = this.#parts;
    const pause = pausing(signal);
    const results: Label[][] = [];
    for (const image of images) {
      if (signal?.aborted) throw signal.reason;
      const logits = await this.#lifetime.during(async () => runner.classify(await this.#numbersOf(where, image, pause), signal));
      results.push(labelsOf(this.blueprint.classifier as Classifier, logits, math).slice(0, topK));
      onProgress?.({ done: results.length, total: images.length });
    }
    return isList ? results : (results[0] as Label[]);
  }

  /** Gives the memory back, when images that are under way are done; ends the engine too if it was made for this model. */
  dispose(): void {
    this.#lifetime.end();
  }

  /** What the model reads of an image: numbers of nobody else, which stay while others run. */
  async #numbersOf(where: string, checked: Checked, pause: Pause): Promise<Float32Array> {
    const { image } = checked;
    const { image: size, channels } = this.blueprint;
    if (!(image instanceof Float32Array)) {
      const present = (): void => expectStill(where, checked, image.width * image.height * image.channels);
      return pixelsOf(image, size, this.#parts.settings as ImageSettings, pause, present);
    }
    await pause();
    expectStill(where, checked, channels * cellsOf(size));
    return image.slice();
  }

  #checked(where: string, name: string, given: unknown): Checked {
    return { name, image: this.#checkedImage(where, name, given) };
  }

  #checkedImage(where: string, name: string, given: unknown): Checked['image'] {
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
  const cells = width * height;
  const fits = wanted === 3 ? [1, 3, 4] : [wanted];
  const either = fits.join(' or ');
  const said = read.channels;
  if (said !== undefined && typeof said !== 'number') throw wrongType(where, `${name}.channels`, either, said);
  if (said !== undefined && !fits.includes(said)) throw wrongValue(where, `${name}.channels`, either, said);
  const channels = said ?? data.length / cells;
  if (fits.includes(channels) && data.length === cells * channels) return { data, width, height, channels };
  const shape = `[${height}, ${width}, ${said ?? either}]`;
  const sizes = (said === undefined ? fits : [said]).map((each) => cells * each).join(' or ');
  throw wrongValue(where, `${name}.data`, `${sizes} bytes, ${shape}`, `${data.length}`);
}
