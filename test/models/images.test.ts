/**
 * Labels for images: bytes become the numbers that transformers makes of them, bit for bit; logits and labels are the original's; wrong images,
 * files and options are refused before anything runs or is fetched.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { type ImageSettings, pixelsOf, readImageSettings } from '../../src/models/image-settings.ts';
import {
  estimate,
  type ImageClassifier,
  type ImageInput,
  type ImageLoadOptions,
  type ImagePixels,
  loadEncoder,
  loadImageClassifier,
  pack,
} from '../../src/models/index.ts';
import { resample } from '../../src/models/resample.ts';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { numbersOf, shapeOf } from '../conformance/golden.ts';
import { checkpoint, type ReferenceCase, type ReferenceTensor } from './checkpoints.ts';

type Files = Record<string, Uint8Array>;

interface PixelCase {
  readonly model: string;
  /** Beside those of the model's folder. */
  readonly settings: object;
  /** How far the original's f32 logits are from its f64 ones. */
  readonly error: number;
  readonly image: Required<ImagePixels>;
  /** What the image processor makes of it. */
  readonly pixels: Float32Array;
  readonly logits: Float32Array;
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const told = JSON.parse(readFileSync(here('pixels.json'), 'utf8'));
const file = readSafetensors(readFileSync(here('pixels.safetensors')));
const cases: readonly PixelCase[] = told.cases.map((one: Pick<PixelCase, 'model' | 'settings' | 'error'>, n: number) => {
  const floats = (name: string): Float32Array => numbersOf(file, `${n}.${name}`) as Float32Array;
  const [height, width, channels] = shapeOf(file, `${n}.image`) as [number, number, number];
  const data = Uint8Array.from(numbersOf(file, `${n}.image`) as ArrayLike<number>);
  return { ...one, image: { data, width, height, channels }, pixels: floats('pixels'), logits: floats('logits') };
});

const engine = await createEngine({ threads: 1 });
afterAll(() => engine.dispose());

const text = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const SETTINGS = 'preprocessor_config.json';

/** The files of a checkpoint, with other settings, or without the file if they are null. */
function filesOf(name: string, settings: object | null = {}, config: object = {}): Files {
  const { folder } = checkpoint(name);
  const read = (one: string): Uint8Array => new Uint8Array(readFileSync(`${folder}${one}`));
  const json = (one: string) => JSON.parse(new TextDecoder().decode(read(one)));
  return {
    'config.json': text({ ...json('config.json'), ...config }),
    'model.safetensors': read('model.safetensors'),
    ...(settings && { [SETTINGS]: text({ ...json(SETTINGS), ...settings }) }),
  };
}

const load = (files: Files, options: ImageLoadOptions = {}): Promise<ImageClassifier> => loadImageClassifier(files, { engine, ...options });

/** Bytes in use but for the tables that an engine keeps. */
function used(): number {
  engine.releaseTables();
  return engine.memoryUsage().used;
}

/** No turn for others. */
const never = (): undefined => undefined;

const softmax = (logits: Float32Array): number[] => {
  const powers = Array.from(logits, (x) => Math.exp(x));
  return powers.map((x) => x / powers.reduce((a, b) => a + b, 0));
};

/** The largest distance of scores from those of these logits; the order of labels is theirs. */
async function expectLabels(classifier: ImageClassifier, image: ImageInput, logits: Float32Array, within: number): Promise<void> {
  const labels = await classifier.classify(image);
  const scores = softmax(logits);
  expect(labels.map(({ label }) => label)).toEqual(
    [...classifier.labels].sort(
      (a, b) => (scores[classifier.labels.indexOf(b)] as number) - (scores[classifier.labels.indexOf(a)] as number),
    ),
  );
  // A softmax moves by less than its logits do.
  for (const { label, score } of labels)
    expect(Math.abs(score - (scores[classifier.labels.indexOf(label)] as number))).toBeLessThanOrEqual(within);
}

describe.each(
  cases.map((one, n) => [`${n}: ${one.model}, ${one.image.height} × ${one.image.width} × ${one.image.channels}`, one] as const),
)('%s', (_, { model, settings, image, pixels, logits, error }) => {
  test('bytes become what transformers makes of them, and the labels are its own', async () => {
    using classifier = await load(filesOf(model, settings));
    const given = Uint8Array.from(image.data);
    await expectLabels(classifier, { ...image, data: given }, logits, 2 * error);
    expect(given).toEqual(image.data);
    const opened = await openCheckpoint({ where: 'test' }, 'model', filesOf(model, settings));
    const read = (await readImageSettings(opened, classifier.blueprint)) as ImageSettings;
    expect(await pixelsOf(image, classifier.blueprint.image, read, never, () => undefined)).toEqual(pixels);
    expect(await classifier.classify(image)).toEqual(await classifier.classify(pixels));
    const { channels: _, ...plain } = image;
    expect(await classifier.classify({ ...plain, data: Uint8ClampedArray.from(image.data) })).toEqual(await classifier.classify(pixels));
  });
});

describe('a filter', () => {
  const plane = (rows: number, columns: number): Uint8Array =>
    Uint8Array.from({ length: rows * columns }, (_, n) => (n * 2654435761) >>> 24);

  /** The weighted mean by the formula, in f64. */
  function formula(x: readonly number[], to: number, weight: (d: number) => number, radius: number): number[] {
    const scale = Math.max(1, x.length / to);
    return Array.from({ length: to }, (_, i) => {
      const centre = ((i + 0.5) * x.length) / to;
      const near = x.map(
        (value, j) => [value, Math.abs(j + 0.5 - centre) <= radius * scale ? weight((j + 0.5 - centre) / scale) : 0] as const,
      );
      const sum = near.reduce((total, [, w]) => total + w, 0);
      return near.reduce((total, [value, w]) => total + (value * w) / sum, 0);
    });
  }

  test.each([
    ['bilinear', 1, (d: number) => Math.max(0, 1 - Math.abs(d))],
    [
      'bicubic',
      2,
      (x: number) => {
        const d = Math.abs(x);
        return d < 1 ? 1.5 * d ** 3 - 2.5 * d ** 2 + 1 : d < 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0;
      },
    ],
  ] as const)('%s is the mean that its formula says, rounded to a byte', async (name, radius, weight) => {
    for (const [from, to] of [
      [7, 3],
      [40, 9],
      [3, 10],
      [1, 4],
      [9, 1],
      [224, 223],
    ] as const) {
      const x = plane(1, from);
      const expected = formula([...x], to, weight, radius).map((value) => Math.min(255, Math.max(0, value)));
      const [along, down] = [await resample(x, [1, from], [1, to], name, never), await resample(x, [from, 1], [to, 1], name, never)];
      expect(down).toEqual(along);
      // Half a unit, and what the weights' own rounding adds.
      for (const [i, value] of along.entries()) expect(Math.abs(value - (expected[i] as number))).toBeLessThanOrEqual(0.501);
    }
  });

  test('leaves a plane of the size as it is, and constants constant', async () => {
    const x = plane(5, 4);
    expect(await resample(x, [5, 4], [5, 4], 'bicubic', never)).toBe(x);
    for (const value of [0, 1, 127, 255])
      expect(new Set(await resample(new Uint8Array(35).fill(value), [5, 7], [9, 3], 'bicubic', never))).toEqual(new Set([value]));
  });
});

describe('a classifier', () => {
  const [one] = checkpoint('swin').cases as [ReferenceCase];
  const pixels = (one.tensors.pixels as ReferenceTensor).data;

  test.each(['swin', 'swin-padded', 'swin-positions', 'swinv2', 'swinv2-fine', 'swinv2-uneven', 'swinv2-positions'])(
    '%s: the same bits on 1, 2 and 3 threads, packed or not',
    async (name) => {
      const [{ tensors, errors }] = checkpoint(name).cases as [ReferenceCase];
      const { data } = tensors.pixels as ReferenceTensor;
      for (const weights of ['f32', 'i8'] as const) {
        const files = filesOf(name);
        const packed: Files = {};
        const write = async (file: string, size: number, pieces: AsyncIterable<Uint8Array>): Promise<void> => {
          packed[file] = new Uint8Array(size);
          let at = 0;
          for await (const piece of pieces) {
            (packed[file] as Uint8Array).set(piece, at);
            at += piece.length;
          }
        };
        await pack(files, { write }, { threads: 1, weights });
        expect(Object.keys(packed)).toContain(SETTINGS);
        const given = { width: 40, height: 33, data: Uint8Array.from({ length: 40 * 33 * 3 }, (_, n) => (n * 2654435761) >>> 24) };
        const said = [];
        for (const threads of [1, 2, 3]) {
          using classifier = await loadImageClassifier(files, { threads, weights });
          said.push(await classifier.classify([data, given]));
        }
        using classifier = await load(packed);
        said.push(await classifier.classify([data, given]));
        for (const labels of said.slice(1)) expect(labels).toEqual(said[0]);
        if (weights === 'f32')
          await expectLabels(classifier, data, (tensors.logits as ReferenceTensor).data, 2 * Math.max(...Object.values(errors)));
      }
    },
  );

  test('timers and aborts have their turn while images are resized', async () => {
    using classifier = await load(filesOf('swin'));
    const large = { data: new Uint8Array(900 * 900 * 3), width: 900, height: 900 };
    const controller = new AbortController();
    let done = 0;
    // A turn that comes after the first image would find it done.
    setTimeout(() => controller.abort(new Error('enough')), 0);
    const call = classifier.classify(new Array(4).fill(large), { signal: controller.signal, onProgress: (each) => (done = each.done) });
    await expect(call).rejects.toThrow('enough');
    expect(done).toBe(0);
    expect(await classifier.classify(pixels)).toHaveLength(5);
  });

  test('images that are gone when their turn comes are refused by name', async () => {
    using classifier = await load(filesOf('swin'));
    const first = { data: new Uint8Array(12), width: 2, height: 2 };
    const bytes = { data: new Uint8Array(12), width: 2, height: 2 };
    const gone = classifier.classify([first, bytes]);
    structuredClone(bytes.data.buffer, { transfer: [bytes.data.buffer] });
    await expect(gone).rejects.toThrow(/^classify: "images\[1\]\.data" expected 12 numbers, got 0: they were taken away while/);
    const numbers = pixels.slice();
    const also = classifier.classify([first, numbers]);
    structuredClone(numbers.buffer, { transfer: [numbers.buffer] });
    await expect(also).rejects.toThrow(/^classify: "images\[1\]" expected 3072 numbers, got 0: they were taken away while/);
    // biome-ignore lint/suspicious/noSparseArray: what a caller may give
    await expect(classifier.classify([,] as unknown as Float32Array[])).rejects.toThrow(/^classify: "images\[0\]" expected \{ data, width/);
  });

  test('several images, some labels, progress', async () => {
    using classifier = await load(filesOf('swin'));
    expect(classifier.labels).toEqual(['cat', 'dog', 'fox', 'owl', 'toad']);
    expect(classifier.blueprint).toMatchObject({ kind: 'images', image: [32, 32], channels: 3 });
    expect(Object.isFrozen(classifier.blueprint.stages)).toBe(true);
    const [a, b] = [await classifier.classify(pixels), await classifier.classify(pixels.map((x) => -x))];
    const progress: unknown[] = [];
    const both = await classifier.classify([pixels, pixels.map((x) => -x)], { topK: 2, onProgress: (each) => progress.push(each) });
    expect(both).toEqual([a.slice(0, 2), b.slice(0, 2)]);
    expect(progress).toEqual([
      { done: 1, total: 2 },
      { done: 2, total: 2 },
    ]);
    expect(await classifier.classify([])).toEqual([]);
    expect(await classifier.classify(pixels, { topK: 99 })).toEqual(a);
    expect(await Promise.all([classifier.classify(pixels), classifier.classify([pixels])])).toEqual([a, [a]]);
  });

  test('an estimate is what loading takes, and what is too large is refused before its weights are fetched', async () => {
    const files = filesOf('swin');
    for (const weights of ['f32', 'f16', 'i8', 'i4'] as const) {
      const { weights: packed, rows, cache, total, stored } = await estimate(files, { weights });
      const before = used();
      const classifier = await load(files, { weights });
      const taken = used() - before;
      expect({ cache, total }).toEqual({ cache: 0, total: packed + rows });
      // All is taken when a model is loaded, but what a run has for its length; estimates.test.ts measures both.
      expect(taken).toBeGreaterThan(0.8 * (total - 65536));
      expect(taken).toBeLessThanOrEqual(total);
      expect(stored).toBeLessThan((files['model.safetensors'] as Uint8Array).length);
      classifier.dispose();
      expect(used()).toBe(before);
    }
    const { total } = await estimate(files, { weights: 'f32' });
    const told: unknown[] = [];
    const options = { weights: 'f32', threads: 1, onProgress: (each: unknown) => told.push(each) } as const;
    await expect(loadImageClassifier(files, { ...options, maxMemory: total - 1 })).rejects.toMatchObject({
      code: 'out-of-memory',
      asked: total,
      limit: total - 1,
      message: expect.stringMatching(/^loadImageClassifier: the model takes \d+ bytes in "f32", and "maxMemory" is \d+: smaller "weights"/),
    });
    expect(told).toEqual([]);
    using fits = await loadImageClassifier(files, { ...options, maxMemory: 2 ** 26 });
    expect(told.length).toBeGreaterThan(0);
    expect(await fits.classify(pixels, { topK: 1 })).toHaveLength(1);
    // No memory has room for it.
    const huge = filesOf('swin', null, { image_size: 2 ** 20 });
    await expect(load(huge)).rejects.toMatchObject({ code: 'out-of-memory', limit: 2 ** 32 });
  });

  test('an abort ends it, while it loads and between images, and it goes on', async () => {
    const before = used();
    const controller = new AbortController();
    controller.abort(new Error('enough'));
    const { signal } = controller;
    await expect(load(filesOf('swin'), { signal })).rejects.toThrow('enough');
    const later = new AbortController();
    const onProgress = (): void => later.abort(new Error('later'));
    await expect(load(filesOf('swin'), { signal: later.signal, onProgress })).rejects.toThrow('later');
    expect(used()).toBe(before);
    const classifier = await load(filesOf('swin'));
    const whole = await classifier.classify(pixels);
    await expect(classifier.classify(pixels, { signal })).rejects.toThrow('enough');
    const third = new AbortController();
    let done = 0;
    const stop = ({ done: count }: { done: number }): void => {
      done = count;
      if (count === 2) third.abort(new Error('two'));
    };
    await expect(classifier.classify([pixels, pixels, pixels], { signal: third.signal, onProgress: stop })).rejects.toThrow('two');
    expect(done).toBe(2);
    expect(await classifier.classify(pixels)).toEqual(whole);
    classifier.dispose();
    expect(used()).toBe(before);
  });

  test.each(['shared', 'own'])('disposed while it works: the image under way is done first, %s engine', async (whose) => {
    const before = used();
    const classifier = await loadImageClassifier(filesOf('swin'), whose === 'shared' ? { engine } : { threads: 2 });
    const whole = await classifier.classify(pixels);
    const [first, many] = [classifier.classify(pixels), classifier.classify([pixels, pixels, pixels])];
    classifier.dispose();
    if (whose === 'shared') expect(used()).toBeGreaterThan(before);
    expect(await first).toEqual(whole);
    await expect(many).rejects.toMatchObject({ code: 'disposed' });
    await expect(classifier.classify(pixels)).rejects.toMatchObject({ code: 'disposed', message: 'classify: the classifier was disposed' });
    classifier.dispose();
    expect(used()).toBe(before);
  });

  test('wrong images are refused before any runs', async () => {
    using classifier = await load(filesOf('swin'));
    const data = new Uint8Array(4 * 3 * 3);
    const good: ImagePixels = { data, width: 4, height: 3 };
    const progress: unknown[] = [];
    for (const [given, message] of [
      [undefined, /^classify: "image" expected \{ data, width, height \} or a Float32Array of \[3, 32, 32\], got undefined/],
      ['x', /"image" expected .* got "x"/],
      [new Float32Array(5), /"image" expected \[3, 32, 32\] numbers, got 5/],
      [[good, new Float32Array(3)], /"images\[1\]" expected \[3, 32, 32\] numbers, got 3/],
      [new Uint8Array(5), /"image\.data" expected a Uint8Array or Uint8ClampedArray, got undefined/],
      [{ ...good, data: [1, 2] }, /"image\.data" expected a Uint8Array or Uint8ClampedArray, got \[1, 2\]/],
      [{ ...good, data: new Int8Array(36) }, /"image\.data" expected .* got Int8Array\(36\)/],
      [{ ...good, width: 0 }, /"image\.width" expected an integer in 1 … 65535, got 0/],
      [{ ...good, height: 2.5 }, /"image\.height" expected an integer in 1 … 65535, got 2\.5/],
      [{ ...good, height: 1e6 }, /"image\.height" expected an integer in 1 … 65535, got 1000000/],
      [{ ...good, width: 9 }, /"image\.data" expected 27 or 81 or 108 bytes, \[3, 9, 1 or 3 or 4\], got 36/],
      [{ ...good, channels: '3' }, /"image\.channels" expected 1 or 3 or 4, got "3"/],
      [{ ...good, channels: 2 }, /"image\.channels" expected 1 or 3 or 4, got 2/],
      [{ ...good, channels: 4 }, /"image\.data" expected 48 bytes, \[3, 4, 4\], got 36/],
      [
        {
          get data() {
            throw new Error('no');
          },
        },
        /"image" cannot be read: no/,
      ],
    ] as const) {
      await expect(classifier.classify(given as ImageInput, { onProgress: (each) => progress.push(each) })).rejects.toThrow(message);
    }
    expect(progress).toEqual([]);
    for (const [options, message] of [
      [{ topK: 0 }, /classify: "topK" expected an integer ≥ 1, got 0/],
      [{ topK: '3' }, /"topK" expected an integer, got "3"/],
      [{ topk: 3 }, /topk/],
      [{ signal: 3 }, /"signal"/],
      [{ onProgress: 3 }, /"onProgress"/],
    ] as const)
      await expect(classifier.classify(pixels, options as object)).rejects.toThrow(message);
    const settled = await classifier.classify(good);
    expect(settled).toHaveLength(5);
  });
});

describe('files and options that are wrong', () => {
  const message = async (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'it was loaded',
      (error: Error) => `${(error as { code?: string }).code ?? error.name}: ${error.message}`,
    );

  test.each<[object, string]>([
    [{ image_processor_type: 'CLIPImageProcessor' }, '"image_processor_type" expected ViTImageProcessor or ViTImageProcessorFast or'],
    [{ feature_extractor_type: 'DeiTFeatureExtractor' }, '"feature_extractor_type" expected'],
    [{ do_center_crop: true }, '"do_center_crop" expected false, got true'],
    [{ do_resize: 1 }, '"do_resize" expected true or false, got 1'],
    [{ resample: 1 }, '"resample" expected 2 (bilinear) or 3 (bicubic), got 1'],
    [{ size: 224 }, '"size" expected 32 by 32, as config.json has it, got 224'],
    [{ size: { shortest_edge: 32 } }, '"size" expected 32 by 32'],
    [{ image_mean: [0, 1] }, '"image_mean" expected 3 numbers, got'],
    [{ image_mean: 'x' }, '"image_mean" expected 3 numbers, got "x"'],
    [{ image_std: [0.1, 0, 1] }, '"image_std" expected numbers by which bytes stay finite'],
    [{ image_std: 1e-300 }, '"image_std" expected numbers by which bytes stay finite'],
    [{ rescale_factor: 1e300 }, '"image_std" expected numbers by which bytes stay finite'],
    [{ rescale_factor: 'x' }, '"rescale_factor" expected a number, got "x"'],
    [{ size: { height: 32, width: 9 } }, '"size" expected 32 by 32, as config.json has it, got {"height":32,"width":9}'],
    [
      { rescale_factor: 1e308, image_mean: 0, image_std: 1 },
      '"image_std" expected numbers by which bytes stay finite, got {"rescale_factor":1e+308,"image_mean":0,"image_std":1}',
    ],
  ])('preprocessor_config.json with %j', async (settings, wanted) => {
    const before = used();
    expect(await message(load(filesOf('swin', settings)))).toContain(
      `bad-checkpoint: loadImageClassifier: "preprocessor_config.json": ${wanted}`,
    );
    expect(used()).toBe(before);
  });

  test('preprocessor_config.json that is no JSON, and no object', async () => {
    for (const broken of ['{', '[1]'])
      expect(await message(load({ ...filesOf('swin'), [SETTINGS]: text(broken) }))).toMatch(
        /^bad-checkpoint: .*"preprocessor_config\.json"/,
      );
  });

  test.each([
    [[], 'as many numbers as "depths" has, got []'],
    [[0], 'as many numbers as "depths" has, got [0]'],
    [[1e9, 1e9], 'sides of windows up to 65536, got [1000000000, 1000000000]'],
  ])('pretrained_window_sizes of %j for two stages', async (pretrained_window_sizes, wanted) => {
    expect(await message(load(filesOf('swinv2', {}, { pretrained_window_sizes })))).toContain(
      `"pretrained_window_sizes" expected ${wanted}`,
    );
  });

  test.each<[object, RegExp]>([
    [{ depths: [] }, /"depths" expected a number ≥ 1 for each stage/],
    [{ depths: [2, 0, 2] }, /"depths" expected a number ≥ 1 for each stage/],
    [{ depths: [2, 2, 3] }, /no tensor "swin\.encoder\.layers\.2\.blocks\.2/],
    [{ image_size: 0 }, /"image_size" expected/],
    [{ window_size: -4 }, /"window_size" expected an integer ≥ 1/],
    [{ num_channels: 4 }, /expected shape \[12, 4, 2, 2\]/],
    [{ quantization_config: {} }, /"quantization_config" expected nothing/],
  ])('config.json with %j', async (config, wanted) => {
    expect(await message(load(filesOf('swin', {}, config)))).toMatch(wanted);
  });

  test('a model of texts, one without a classifier, and an encoder that is none', async () => {
    const bert = checkpoint('bert').folder;
    expect(await message(loadImageClassifier(bert, { engine }))).toBe(
      'RangeError: loadImageClassifier: "model" expected a model of images, got bert, an encoder: use loadEncoder',
    );
    expect(await message(loadEncoder(checkpoint('swin').folder, { engine }))).toBe(
      'RangeError: loadEncoder: "model" expected an encoder, got swin, a model of images: use loadImageClassifier',
    );
    const files = filesOf('swin');
    const { tensors } = readSafetensors(files['model.safetensors'] as Uint8Array);
    const { writeSafetensors } = await import('../../src/safetensors/index.ts');
    const bare = Object.fromEntries([...tensors].filter(([name]) => !name.startsWith('classifier')));
    expect(await message(load({ ...files, 'model.safetensors': writeSafetensors(bare) }))).toBe(
      'RangeError: loadImageClassifier: "model" expected one with a classifier, got a swin without one',
    );
  });

  test('options of texts, an engine twice, weights that are none', async () => {
    const files = filesOf('swin');
    for (const [options, wanted] of [
      [{ context: 5 }, /loadImageClassifier: .*context/],
      [{ jinja: {} }, /loadImageClassifier: .*jinja/],
      [{ weights: 'i7' }, /"weights" expected/],
      [{ threads: 2 }, /"threads" is the engine's own, and "engine" is given/],
      [{ maxMemory: 5 }, /"maxMemory" expected a finite number > 65535, got 5/],
    ] as const)
      expect(await message(load(files, options as object))).toMatch(wanted);
  });

  test('without preprocessor_config.json bytes are refused, and numbers are not; sizes that are not brought to the model', async () => {
    using plain = await load(filesOf('swin', null));
    const image = { data: new Uint8Array(32 * 32 * 3), width: 32, height: 32 };
    await expect(plain.classify(image)).rejects.toThrow(
      /"image" expected a Float32Array of \[3, 32, 32\], normalised, got Object: the model has no/,
    );
    expect(await plain.classify(new Float32Array(3 * 32 * 32))).toHaveLength(5);
    using fixed = await load(filesOf('swin', { do_resize: false, size: 999 }));
    using resizing = await load(filesOf('swin'));
    expect(await fixed.classify(image)).toEqual(await resizing.classify(image));
    await expect(fixed.classify({ ...image, width: 16, height: 64 })).rejects.toThrow(
      /"image" expected 32 rows of 32 cells, got 64 of 16: preprocessor_config\.json says/,
    );
  });
});
