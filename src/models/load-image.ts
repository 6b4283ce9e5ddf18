// Loading a model of images. Apart from load.ts: those who read texts do without it.

import { wrongValue } from '../arguments/check.ts';
import { type Readers, readRecord } from '../arguments/record.ts';
import { layerContext } from '../nn/context.ts';
import type { JsonObject } from './checkpoint.ts';
import { settingOf } from './estimate.ts';
import { findBlueprint } from './families/find.ts';
import { IMAGE_TYPES, visionOf } from './families/swin.ts';
import { ImageClassifier, type ImageLoadOptions } from './image-classifier.ts';
import { readImageSettings } from './image-settings.ts';
import { checkEngineOptions, expectKind, expectRoom, LOAD, type Opened, type Own, onEngine, openModel } from './load.ts';
import { MOST } from './rehearsal.ts';
import type { VisionBlueprint } from './vision.ts';
import { estimateVision, leastVision } from './vision-estimate.ts';
import { VisionRunner } from './vision-runner.ts';

/** `loadImageClassifier` of the entries. */
export async function imageClassifierOf(given: unknown, options: ImageLoadOptions, own: Own): Promise<ImageClassifier> {
  const where = 'loadImageClassifier';
  const { context: _context, jinja: _jinja, ...readers } = LOAD;
  const read = readRecord<ImageLoadOptions>(where, options, readers as Readers<ImageLoadOptions>);
  checkEngineOptions(where, read);
  // The family is known: the file that knows all others is fetched for what is refused alone.
  const any = await openModel(where, given, read, undefined, async (config, index) =>
    IMAGE_TYPES.includes((config as JsonObject).model_type) ? visionOf(config, index) : findBlueprint(config, index),
  );
  try {
    expectKind(where, any, 'images');
    const opened = any as Opened<VisionBlueprint>;
    const { checkpoint, blueprint, weights, packed, type } = opened;
    if (!blueprint.classifier) throw wrongValue(where, 'model', 'one with a classifier', `a ${blueprint.modelType} without one`);
    const settings = await readImageSettings(checkpoint, blueprint);
    const { signal, onProgress, maxMemory } = read;
    // Where memory has no end but its own, what is too much for that shows without a rehearsal.
    const total = maxMemory ? (await estimateVision(blueprint, settingOf(opened, read))).total : leastVision(blueprint, type).least;
    expectRoom(where, total, Math.min(MOST, maxMemory ?? MOST), JSON.stringify(type), 'smaller "weights" need less');
    return await onEngine(read, own, async (engine, end) => {
      const layers = await layerContext(where, engine, own.layers);
      if (signal?.aborted) throw signal.reason;
      const told = { where, weights: type, ...(onProgress && { onProgress }) };
      const runner = await VisionRunner.load(layers, blueprint, packed ?? weights, told);
      return new ImageClassifier({ runner, settings, math: layers.context.math, ...(end && { end }) });
    });
  } finally {
    await any.weights.close();
  }
}
