// All families, and the one door to them: a config and the names of a checkpoint's tensors become a blueprint, or an error says what is missing.

import { describe, wrongType, wrongValue } from '../../arguments/check.ts';
import { textConfig } from '../../huggingface/text-config.ts';
import type { Blueprint } from '../blueprint.ts';
import type { TensorIndex } from '../tensors.ts';
import type { AnyBlueprint } from '../vision.ts';
import { families as bert } from './bert.ts';
import { families as bloom } from './bloom.ts';
import { families as deberta } from './deberta.ts';
import { families as distilbert } from './distilbert.ts';
import { families as falcon } from './falcon.ts';
import { families as neox } from './gpt-neox.ts';
import { families as gpt2 } from './gpt2.ts';
import { families as jina } from './jina-bert.ts';
import { families as llama } from './llama.ts';
import { blueprintBy } from './make.ts';
import { families as modernbert } from './modernbert.ts';
import { families as mpnet } from './mpnet.ts';
import { families as mpt } from './mpt.ts';
import { families as nomic } from './nomic-bert.ts';
import type { Family } from './parts.ts';
import { families as phi3 } from './phi3.ts';
import { IMAGE_TYPES, visionOf } from './swin.ts';
import { families as t5 } from './t5.ts';
import { families as transformerXl } from './transformer-xl.ts';
import { families as universalSentence } from './universal-sentence.ts';
import { families as xlnet } from './xlnet.ts';

/** All families; where several have a type, the first that fits. */
const FAMILIES: readonly Family[] = /* @__PURE__ */ [
  jina,
  bert,
  bloom,
  deberta,
  distilbert,
  falcon,
  neox,
  gpt2,
  llama,
  modernbert,
  mpnet,
  mpt,
  nomic,
  phi3,
  t5,
  transformerXl,
  universalSentence,
  xlnet,
].flat();

const where = 'config.json';

/**
 * The blueprint of a checkpoint of texts.
 *
 * @param config its config.json, parsed
 * @param index names and shapes of its tensors
 * @returns a frozen description of the model
 * @throws TypeError, RangeError that names the key of the config or the tensor that is missing, of a wrong shape, or unknown
 */
export function blueprintOf(config: unknown, index: TensorIndex): Blueprint {
  const { own, model } = textConfig(where, config);
  if (model === '') throw wrongType(where, 'model_type', 'a string', undefined);
  const made = blueprintBy(FAMILIES, { ...own, model_type: model }, index);
  if (made) return made;
  const known = [...new Set([...FAMILIES.flatMap(({ types }) => types), ...IMAGE_TYPES])].sort().join(', ');
  throw wrongValue(where, 'model_type', `one of ${known}`, describe(model));
}

/** The blueprint of a checkpoint of texts or of images. @throws as `blueprintOf` */
export function anyBlueprintOf(config: unknown, index: TensorIndex): AnyBlueprint {
  const { model_type: type } = (config ?? {}) as { readonly model_type?: unknown };
  return IMAGE_TYPES.includes(type) ? visionOf(config, index) : blueprintOf(config, index);
}
