// The rotary keys of a config, both generations: `rope_parameters`, or `rope_scaling` with `rope_theta` and a key for partial rotation
// beside it.

import { describe, wrongType, wrongValue } from '../arguments/check.ts';
import { SCALING_KEYS, SCALING_TYPES } from '../rope/rope-scaling.ts';
import { count, type HfConfig, isRecord, number } from './config.ts';
import { LOCAL_THETA, PART, THETA } from './rotary-models.ts';

/** Rotary parameters of one layer, with the keys of `rope_parameters`; undefined: the layer does not turn. */
export type RopeParameters = HfConfig & { readonly rope_theta: number };

/** What a key of `rope_parameters` is called in camelCase. */
export const camelCase = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
/** And back. */
export const snakeCase = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Types of older configs under their present names; `mrope` says nothing of the frequencies. */
const OLDER_TYPES: Readonly<Record<string, string>> = { su: 'longrope', mrope: 'default' };

/** True for parameters that are nested by layer type. */
function nested(given: HfConfig): boolean {
  const values = Object.values(given);
  return values.length > 0 && values.every((value) => value === null || isRecord(value));
}

/** The parameters of one layer. @throws TypeError, RangeError if they cannot be told */
export function ropeParameters(where: string, config: HfConfig, model: string, layerType: string | undefined): RopeParameters | undefined {
  const { rope_parameters: current, rope_scaling: older } = config;
  for (const [key, value] of Object.entries({ rope_parameters: current, rope_scaling: older })) {
    if (value !== undefined && value !== null && !isRecord(value)) throw wrongType(where, key, 'an object or null', value);
  }
  const given = isRecord(current) ? current : isRecord(older) ? older : {};
  const local = Object.hasOwn(LOCAL_THETA, model) || ['rope_local_base_freq', 'local_rope_theta'].some((key) => number(where, config, key));
  const all = !nested(given) && local ? byLayerType(where, config, model, given) : given;
  if (!nested(all)) return complete(where, config, model, all);
  const known = Object.keys(all).join(', ');
  if (layerType === undefined) throw wrongType(where, 'layerType', `one of ${known}: the rope parameters differ by layer`, layerType);
  if (!Object.hasOwn(all, layerType)) throw wrongValue(where, 'layerType', `one of ${known}`, describe(layerType));
  const own = all[layerType];
  return isRecord(own) ? complete(where, config, model, own) : undefined;
}

/** Parameters of the first generation, in which only full attention is scaled and sliding layers have a base of their own. */
function byLayerType(where: string, config: HfConfig, model: string, given: HfConfig): HfConfig {
  const full = number(where, given, 'rope_theta') ?? number(where, config, 'rope_theta') ?? number(where, config, 'global_rope_theta');
  const own = number(where, config, 'rope_local_base_freq') ?? number(where, config, 'local_rope_theta') ?? LOCAL_THETA[model];
  return {
    full_attention: { ...given, ...(full !== undefined && { rope_theta: full }) },
    sliding_attention: { rope_type: 'default', ...((own ?? full) !== undefined && { rope_theta: own ?? full }) },
  };
}

/** Adds what stands beside the parameters, and defaults. */
function complete(where: string, config: HfConfig, model: string, given: HfConfig): RopeParameters {
  const said = given.rope_type ?? given.type ?? 'default';
  const type = typeof said === 'string' && Object.hasOwn(OLDER_TYPES, said) ? OLDER_TYPES[said] : said;
  // Phi-3 once said "yarn" for what is LongRoPE.
  const longrope = type === 'yarn' && /^phi(3|4_multimodal)/.test(model) && Array.isArray(given.short_factor);
  const beside = (key: string): number | undefined => number(where, given, key) ?? number(where, config, key);
  const theta = beside('rope_theta') ?? beside('rotary_emb_base') ?? THETA[model] ?? 10000;
  if (theta <= 0) throw wrongValue(where, 'rope_theta', 'a number > 0', theta);
  const part = beside('partial_rotary_factor') ?? beside('rotary_pct') ?? (type === 'proportional' ? undefined : PART[model]);
  const longest = count(where, config, 'max_position_embeddings');
  // Where it stands beside the parameters it goes first (Phi-3); where it stands nowhere, the model was trained on all its positions.
  const own = 'original_max_position_embeddings';
  const trained = count(where, config, own) ?? count(where, given, own) ?? longest;
  return {
    ...given,
    rope_type: longrope ? 'longrope' : type,
    rope_theta: theta,
    ...(part !== undefined && { partial_rotary_factor: part }),
    ...(trained !== undefined && { [own]: trained }),
    ...(longest !== undefined && { max_position_embeddings: longest }),
  };
}

/** The scaling that parameters mean, with keys in camelCase. @throws TypeError, RangeError if the type is unknown or keys are missing */
export function scalingOf(where: string, parameters: RopeParameters): Record<string, unknown> {
  const type = parameters.rope_type;
  if (typeof type !== 'string') throw wrongType(where, 'rope_type', `one of ${SCALING_TYPES.join(', ')}`, type);
  if (!Object.hasOwn(SCALING_KEYS, type)) throw wrongValue(where, 'rope_type', `one of ${SCALING_TYPES.join(', ')}`, describe(type));
  const { required, more } = SCALING_KEYS[type as keyof typeof SCALING_KEYS];
  const missing = required.map(snakeCase).filter((key) => parameters[key] === undefined || parameters[key] === null);
  if (missing.length) {
    throw new TypeError(`${where}: "rope_type" ${type} needs ${required.map(snakeCase).join(', ')}; missing: ${missing.join(', ')}`);
  }
  const kept = [...required, ...more].flatMap((key) => {
    const value = parameters[snakeCase(key)];
    return value === undefined || value === null ? [] : [[key, value] as const];
  });
  return { type, ...Object.fromEntries(kept) };
}
