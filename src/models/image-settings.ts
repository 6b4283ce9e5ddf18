// What preprocessor_config.json says of how an image of bytes becomes the numbers that a model wants, as ViT's image processor reads it.

import { isObject, show } from '../safetensors/header.ts';
import type { Checkpoint, JsonObject } from './checkpoint.ts';
import { broken } from './fault.ts';
import { type FilterName, resample } from './resample.ts';
import type { Pause } from './slices.ts';
import { cellsOf, type Grid, type VisionBlueprint } from './vision.ts';

/** How an image is read. */
export interface ImageSettings {
  /** How it is brought to the model's size; undefined: it has to have that size. */
  readonly filter: FilterName | undefined;
  /** By channel, what each byte becomes: [256]. */
  readonly numbers: readonly Float32Array[];
}

const FILE = 'preprocessor_config.json';
/** Processors that do the same; the slow ones are called feature extractors in old checkpoints. */
const PROCESSORS: readonly unknown[] = ['ViTImageProcessor', 'ViTImageProcessorFast', 'ViTFeatureExtractor'];
/** PIL's numbers of filters. */
const FILTERS: ReadonlyMap<unknown, FilterName> = /* @__PURE__ */ new Map([
  [2, 'bilinear'],
  [3, 'bicubic'],
]);
/** Size that an image gets if nothing is said. */
const SIDE = 224;

/** Reads the file; undefined if there is none. @throws RelposError `bad-checkpoint` for what is not known, or does not fit the model */
export async function readImageSettings(checkpoint: Checkpoint, { image, channels }: VisionBlueprint): Promise<ImageSettings | undefined> {
  const config = await checkpoint.object(FILE);
  if (config === undefined) return undefined;
  const file = new SettingsFile(checkpoint.where, config);
  file.only('image_processor_type', PROCESSORS);
  file.only('feature_extractor_type', PROCESSORS);
  for (const key of ['do_center_crop', 'do_pad', 'do_convert_grayscale']) file.only(key, [false]);
  const resizes = file.flag('do_resize');
  const filter = resizes ? file.filter() : undefined;
  if (resizes) file.expectSize(image);
  return { filter, numbers: file.numbers(channels) };
}

/** Bytes [height, width, channels]. */
export interface Bytes {
  readonly data: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/**
 * An image of bytes as the model wants it, [channels, rows, columns]. A channel is read at a stretch, between which and while it is resized
 * others have their turn.
 *
 * @param image of `size` if there is no filter
 * @param present called before bytes are read; throws if they are gone
 */
export async function pixelsOf(
  { data, width, height, channels }: Bytes,
  size: Grid,
  { filter, numbers }: ImageSettings,
  pause: Pause,
  present: () => void,
): Promise<Float32Array> {
  const cells = cellsOf(size);
  const out = new Float32Array(numbers.length * cells);
  let plane: Uint8Array = new Uint8Array(0);
  for (const [c, table] of numbers.entries()) {
    // Grey is red, green and blue.
    if (c === 0 || channels > 1) {
      await pause();
      present();
      const own = new Uint8Array(width * height);
      for (let n = 0, from = c; n < own.length; n++, from += channels) own[n] = data[from] as number;
      plane = filter ? await resample(own, [height, width], size, filter, pause) : own;
    }
    for (let n = 0; n < cells; n++) out[c * cells + n] = table[plane[n] as number] as number;
  }
  return out;
}

class SettingsFile {
  readonly #where: string;
  readonly #config: JsonObject;

  constructor(where: string, config: JsonObject) {
    this.#where = where;
    this.#config = config;
  }

  #wrong(key: string, expected: string, got: unknown): Error {
    // Not only that it is an object: what is wrong is inside.
    const shown = isObject(got) ? JSON.stringify(got).slice(0, 200) : show(got);
    return broken(this.#where, FILE, `"${key}" expected ${expected}, got ${shown}`);
  }

  /** @throws RelposError unless the key is missing, null or one of the values */
  only(key: string, values: readonly unknown[]): void {
    const value = this.#config[key] ?? undefined;
    if (value !== undefined && !values.includes(value)) throw this.#wrong(key, values.join(' or '), value);
  }

  /** True if it is missing. */
  flag(key: string): boolean {
    const value = this.#config[key] ?? true;
    if (typeof value !== 'boolean') throw this.#wrong(key, 'true or false', value);
    return value;
  }

  filter(): FilterName {
    const value = this.#config.resample ?? 2;
    const found = FILTERS.get(value);
    if (!found) throw this.#wrong('resample', '2 (bilinear) or 3 (bicubic)', value);
    return found;
  }

  /** @throws RelposError if images would get another size than the model's */
  expectSize([rows, columns]: Grid): void {
    const value = this.#config.size ?? SIDE;
    const { height, width } = isObject(value) ? value : { height: value, width: value };
    if (height !== rows || width !== columns) throw this.#wrong('size', `${rows} by ${columns}, as config.json has it`, value);
  }

  #number(key: string, fallback: number): number {
    const value = this.#config[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.#wrong(key, 'a number', value);
    return value;
  }

  /** A number for each channel, or one for all. */
  #perChannel(key: string, channels: number): readonly number[] {
    const value = this.#config[key] ?? 0.5;
    const list: readonly unknown[] = Array.isArray(value) ? value : new Array(channels).fill(value);
    if (list.length !== channels || !list.every(Number.isFinite)) throw this.#wrong(key, `${channels} numbers`, value);
    return list as readonly number[];
  }

  /** f32((f32(byte · factor) − mean) / deviation), each step rounded as the original rounds it. */
  numbers(channels: number): readonly Float32Array[] {
    const { fround } = Math;
    const factor = this.flag('do_rescale') ? this.#number('rescale_factor', 1 / 255) : 1;
    const normalizes = this.flag('do_normalize');
    const [mean, deviation] = ['image_mean', 'image_std'].map((key) => this.#perChannel(key, channels)) as [
      readonly number[],
      readonly number[],
    ];
    const tables = mean.map((m, c) =>
      Float32Array.from({ length: 256 }, (_, byte) => {
        const x = fround(byte * factor);
        return normalizes ? fround(fround(x - fround(m)) / fround(deviation[c] as number)) : x;
      }),
    );
    // Also what is 0, or without end, in f32 alone.
    if (!tables.every((table) => table.every(Number.isFinite))) {
      const { rescale_factor, image_mean, image_std } = this.#config;
      throw this.#wrong('image_std', 'numbers by which bytes stay finite', { rescale_factor, image_mean, image_std });
    }
    return tables;
  }
}
