// How much memory a model of images will take, from its headers alone.

import type { ModelEstimate } from './estimate.ts';
import { MOST, mostOf, rehearsalOn, type Setting } from './rehearsal.ts';
import { cellsOf, roomOf, type VisionBlueprint } from './vision.ts';
import { declareVision } from './vision-declared.ts';
import { VisionRunner } from './vision-runner.ts';

/** Bytes of its packed weights, and with the rows of an image: less than it takes. */
export function leastVision(blueprint: VisionBlueprint, type: Setting['type']): { readonly weights: number; readonly least: number } {
  const weights = declareVision(blueprint, type).packing.bytes;
  const { x, w, qkv, at, f } = roomOf(blueprint);
  return { weights, least: weights + 4 * (2 * x + w + qkv + at + f) };
}

/** `rows` are those of one image on its way: images run one after another. */
export async function estimateVision(blueprint: VisionBlueprint, setting: Setting): Promise<ModelEstimate> {
  const { weights, least } = leastVision(blueprint, setting.type);
  const total = least > MOST ? least : await rehearsed(blueprint, setting, 4 * roomOf(blueprint).w);
  return { weights, cache: 0, rows: total - weights, total };
}

/** Bytes that a model takes which is loaded and sees an image. @param small those of the rows of an image's patches */
function rehearsed(blueprint: VisionBlueprint, setting: Setting, small: number): Promise<number> {
  const { image, channels, classifier } = blueprint;
  const rehearsal = rehearsalOn(setting, small);
  return mostOf(rehearsal, async () => {
    const runner = await VisionRunner.load(rehearsal.layers, blueprint, rehearsal.source, { where: 'estimate', weights: setting.type });
    const pixels = new Float32Array(channels * cellsOf(image));
    await (classifier ? runner.classify(pixels) : runner.hidden(pixels));
  });
}
