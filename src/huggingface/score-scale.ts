// How scores and queries are scaled, from a config and the facts of its type.

import { scaleFactor, wrongType } from '../arguments/check.ts';
import { type HfConfig, headDim, headDimOf, isRecord, number } from './config.ts';
import type { Facts } from './fact-lines.ts';
import { type Layer, needed, turns } from './layers.ts';
import { logarithm } from './logarithm.ts';
import { ropeParameters } from './rope-parameters.ts';

const where = 'attentionScale';

/** By what the scores of a layer are multiplied. */
export function scaleOf(config: HfConfig, facts: Facts, layer: () => Layer): number {
  const [rule = 'head', key = '', fallback = '', standard = ''] = facts.scale?.split(':') ?? [];
  const plain = (): number =>
    1 / Math.sqrt(facts.wide === undefined ? headDim(where, config, facts) : headDimOf(where, config, facts, layer().type));
  /** What a rule's key says, or else its own number. */
  const given = (holder = config): number | undefined =>
    number(where, holder, key, scaleFactor) ?? (fallback ? Number(fallback) : undefined);
  switch (rule) {
    case 'one':
      return 1;
    case 'key':
      return given() ?? plain();
    case 'scalar': {
      const value = given();
      return value === undefined ? plain() : 1 / Math.sqrt(value);
    }
    case 'switch':
      // 1/√D unless a key is false; GPT-2 divides by the layer's number too.
      return (
        (config[key] === false ? 1 : plain()) / (config.scale_attn_by_inverse_layer_idx === true && fallback ? layerNumber(layer()) + 1 : 1)
      );
    case 'nested':
      return given(isRecord(config.attn_config) ? config.attn_config : {}) ?? plain();
    case 'product':
      // A key's multiple of 1/√D.
      return (given() as number) * plain();
    case 'times':
      // A multiple of 1/√D.
      return Number(key) * plain();
    case 'terms':
      // DeBERTa: each kind of term in a list counts as much as the content does.
      return plain() / Math.sqrt(1 + termsOf(config, key, fallback, standard));
    case 'inverse':
      return 1 / headDim(where, config, facts);
    case 'latent': {
      const m = mscale(config, facts, layer());
      return m * m * plain();
    }
    default:
      return plain();
  }
}

/** How many terms a list names, which may be one string with bars between; only those of `counted`, if some are named; `standard` if there is no key. */
function termsOf(config: HfConfig, key: string, counted: string, standard: string): number {
  const given = (standard && config[key] === undefined ? standard.split(',') : config[key]) ?? [];
  const list: unknown = typeof given === 'string' ? given.toLowerCase().split('|') : given;
  if (!Array.isArray(list) || !list.every((term) => typeof term === 'string')) throw wrongType(where, key, 'a list of names', given);
  const names = list.map((term) => term.trim());
  return counted ? counted.split(',').filter((term) => names.includes(term)).length : names.length;
}

function layerNumber({ number: layer }: Layer): number {
  if (layer === undefined) throw needed(where, 'scale_attn_by_inverse_layer_idx divides by it');
  return layer;
}

/** DeepSeek's m. */
function mscale(config: HfConfig, facts: Facts, layer: Layer): number {
  const parameters = ropeParameters(where, config, facts, layer);
  if (!parameters || parameters.rope_type === 'default') return 1;
  const all = number(where, parameters, 'mscale_all_dim');
  const factor = number(where, parameters, 'factor') ?? 1;
  return all && factor > 1 ? 0.1 * all * logarithm(factor) + 1 : 1;
}

/** By what the query at a position is multiplied, if the model does that. */
export function queryScaleOf(config: HfConfig, facts: Facts, layer: () => Layer): ((position: number) => number) | undefined {
  if (facts.query === 'tempered') {
    if (config.attn_temperature_tuning === false || config.attn_temperature_tuning === 0) return undefined;
    if (turns(where, config, facts, layer())) return undefined;
    const step = number(where, config, 'floor_scale') ?? 8192;
    const slope = number(where, config, 'attn_scale') ?? 0.1;
    return (position) => 1 + slope * logarithm(1 + Math.floor((position + 1) / step));
  }
  if (facts.query !== 'beta') return undefined;
  const parameters = ropeParameters(where, config, facts, layer());
  const beta = parameters && number(where, parameters, 'llama_4_scaling_beta');
  if (!parameters || !beta) return undefined;
  const trained = number(where, parameters, 'original_max_position_embeddings');
  if (trained === undefined) throw wrongType(where, 'original_max_position_embeddings', 'a number beside llama_4_scaling_beta', trained);
  return (position) => 1 + beta * logarithm(1 + Math.floor(position / trained));
}
