// How much memory any model takes, of texts or of images: for those who ask without loading it.

import { estimateModel, type ModelEstimate, type TextSetting } from './estimate.ts';
import { TextReader } from './text-reader.ts';
import type { AnyBlueprint } from './vision.ts';

/** From its headers. */
export async function estimateAny(blueprint: AnyBlueprint, setting: TextSetting): Promise<ModelEstimate> {
  if (blueprint.kind !== 'images') return estimateModel(blueprint, { ...setting, reader: TextReader });
  return (await import('./vision-estimate.ts')).estimateVision(blueprint, setting);
}
