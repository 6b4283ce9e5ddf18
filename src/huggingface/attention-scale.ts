import { integer, options, wrongType } from '../arguments/check.ts';
import { type HfConfig, headDim, headDimOf, isRecord, number, textConfig } from './config.ts';
import { type Facts, factsOf } from './facts.ts';
import { type Layer, layerOf, needed, turns } from './layers.ts';
import { logarithm } from './logarithm.ts';
import { ropeParameters } from './rope-parameters.ts';

/** What `attentionScale` gives. */
export interface AttentionScale {
  /** For the option `scale` of `attention`. */
  readonly scale: number;
  /** By what the query at a position is multiplied, if the model does that; do it to q before `attention`. */
  readonly queryScale?: (position: number) => number;
}

const where = 'attentionScale';

/**
 * How a checkpoint scales its scores: 1/√D, or what its config or its model's code says instead.
 *
 * - `query_pre_attn_scalar`^(−1/2) (Gemma 2 and 3), `attention_multiplier` (Granite), 1 (T5, GPT-Neo, Gemma 3n and 4), `softmax_scale` (MPT)
 * - DeBERTa, SEW-D: 1/√(D·(1 + n)) with n entries of `pos_att_type`
 * - GPT-2 with `scale_attn_by_inverse_layer_idx`: 1/√D/(layer + 1)
 * - DeepSeek-V2/V3 and its relatives with `mscale_all_dim`: m²/√D, m = 0.1·mscale_all_dim·ln(factor) + 1, beside the attention factor of
 *   the rotation
 * - Llama 4, layers without rotation: q at position p times 1 + attn_scale·ln(1 + ⌊(p+1)/floor_scale⌋)
 * - Ministral 3, Mistral 4: q at position p times 1 + llama_4_scaling_beta·ln(1 + ⌊p/M0⌋)
 *
 * @param given `layerType` and `layer` as for `rotaryFromConfig`, where the scale depends on the layer
 * @throws TypeError, RangeError if the model type is unknown, or a key is missing or wrong
 * @example
 * ```ts
 * const { scale } = attentionScale({ model_type: 'gemma2', head_dim: 128, query_pre_attn_scalar: 144 });
 * ```
 */
export function attentionScale(
  config: Readonly<Record<string, unknown>>,
  given: { readonly layerType?: string; readonly layer?: number } = {},
): AttentionScale {
  given = options(where, given, ['layerType', 'layer']);
  const { own, model } = textConfig(where, config);
  const facts = factsOf(where, model, 'the scale of this one is in its own code (docs/porting.md, section 2)');
  if (given.layer !== undefined) integer(where, 'layer', given.layer, 0, 65535);
  const layer = (): Layer => layerOf(where, own, facts, given);
  const queryScale = queryScaleOf(own, facts, layer);
  return { scale: scaleOf(own, facts, layer), ...(queryScale && { queryScale }) };
}

function scaleOf(config: HfConfig, facts: Facts, layer: () => Layer): number {
  const [rule = 'head', key = '', fallback = '', standard = ''] = facts.scale?.split(':') ?? [];
  const plain = (): number =>
    1 / Math.sqrt(facts.wide === undefined ? headDim(where, config, facts) : headDimOf(where, config, facts, layer().type));
  switch (rule) {
    case 'one':
      return 1;
    case 'key': {
      const value = number(where, config, key);
      return value ?? (fallback ? Number(fallback) : plain());
    }
    case 'scalar': {
      const value = number(where, config, key) ?? (fallback ? Number(fallback) : undefined);
      return value === undefined ? plain() : 1 / Math.sqrt(value);
    }
    case 'switch':
      // 1/√D unless a key is false; GPT-2 divides by the layer's number too.
      return (
        (config[key] === false ? 1 : plain()) / (config.scale_attn_by_inverse_layer_idx === true && fallback ? layerNumber(layer()) + 1 : 1)
      );
    case 'nested': {
      const inner = isRecord(config.attn_config) ? config.attn_config : {};
      return number(where, inner, key) ?? plain();
    }
    case 'product':
      // A key's multiple of 1/√D.
      return (number(where, config, key) ?? Number(fallback)) * plain();
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

function queryScaleOf(config: HfConfig, facts: Facts, layer: () => Layer): ((position: number) => number) | undefined {
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
