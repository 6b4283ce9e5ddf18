// How much memory a model of images will take, from its headers alone.

import type { WeightType } from '../nn/weights.ts';
import { roomOf, type VisionBlueprint } from './vision.ts';
import { declareVision } from './vision-declared.ts';

/** Bytes as `ModelEstimate` has them; `rows` are those of one image on its way: images run one after another. */
export function estimateVision(
  blueprint: VisionBlueprint,
  type: WeightType,
): Readonly<Record<'weights' | 'cache' | 'rows' | 'total', number>> {
  const { x, w, qkv, at, f } = roomOf(blueprint);
  const weights = declareVision(blueprint, type).packing.bytes;
  const rows = 4 * (2 * x + w + qkv + at + f);
  return { weights, cache: 0, rows, total: weights + rows };
}
