// Which part of a config is the language model's.

import { describe, wrongType, wrongValue } from '../arguments/check.ts';
import { type HfConfig, isRecord } from './config.ts';
import { findFacts } from './facts.ts';

/** The config of the language model and its type: the config itself, or what it holds if the checkpoint is several models. */
export function textConfig(where: string, config: unknown): { own: HfConfig; model: string } {
  if (!isRecord(config)) throw wrongType(where, 'config', 'the object of a config.json', config);
  const outer = typed(where, config.model_type);
  const facts = findFacts(outer);
  if (facts?.parts !== undefined) {
    const parts = facts.parts.split(',').map((key) => `config.${key}`);
    throw wrongValue(where, 'model_type', `one model; pass ${parts.join(' or ')}`, describe(outer));
  }
  if (facts?.inside !== undefined) {
    const { inside, text = '' } = facts;
    const part = config[inside];
    if (part !== undefined && part !== null && !isRecord(part)) throw wrongType(where, inside, 'an object', part);
    return textConfig(where, { ...part, model_type: part?.model_type ?? text });
  }
  const inner = isRecord(config.text_config) ? config.text_config : undefined;
  if (facts?.text === undefined) return inner ? { own: inner, model: typed(where, inner.model_type) } : { own: config, model: outer };
  // A text_config that leaves out its type has that of the model's class; keys of first configs stand beside the outer model's.
  const model = inner ? typed(where, inner.model_type) || facts.text : facts.text;
  return { own: inner ?? config, model: model === outer && facts.text !== outer ? facts.text : model };
}

function typed(where: string, type: unknown): string {
  if (type !== undefined && type !== null && typeof type !== 'string') throw wrongType(where, 'model_type', 'a string', type);
  return type ?? '';
}
