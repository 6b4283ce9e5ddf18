// The rotary keys of a config, both generations: `rope_parameters`, or `rope_scaling` with `rope_theta` and a key for partial rotation
// beside it. What is not there is as the model's class has it.

import { describe, finite, wrongType, wrongValue } from '../arguments/check.ts';
import { SCALING_KEYS, SCALING_TYPES } from '../rope/rope-scaling.ts';
import { count, type HfConfig, isRecord, number } from './config.ts';
import type { Facts } from './fact-lines.ts';
import { type Layer, needed } from './layers.ts';

/** Rotary parameters of one layer, with the keys of `rope_parameters`; undefined: the layer does not turn. */
export type RopeParameters = HfConfig & { readonly rope_theta: number };

/** What a key of `rope_parameters` is called in camelCase. */
export const camelCase = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
/** And back. */
export const snakeCase = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Types of older configs under their present names; `mrope` says nothing of the frequencies. */
const OLDER_TYPES: Readonly<Record<string, string>> = { su: 'longrope', mrope: 'default', axial: 'default', xdrope: 'dynamic' };

/** Keys that every model may have in its parameters: those of all types, which the others do not read, and what is no frequency. */
const HARMLESS: ReadonlySet<string> = /* @__PURE__ */ harmless();

function harmless(): ReadonlySet<string> {
  return new Set([
    'rope_type',
    'type',
    'rope_theta',
    'partial_rotary_factor',
    'mrope_section',
    'mrope_interleaved',
    'llama_4_scaling_beta',
    'finetuned',
    ...Object.values(SCALING_KEYS).flatMap(({ required, more }) => [...required, ...more].map(snakeCase)),
  ]);
}

/** True for parameters that are nested by layer type. */
function nested(given: HfConfig): boolean {
  const values = Object.values(given);
  return values.length > 0 && values.every((value) => value === null || isRecord(value));
}

/** `rope_scaling` or `rope_parameters`, and which; `rope_scaling` goes first, as in the config's class. */
function givenParameters(where: string, config: HfConfig, facts: Facts): { key: string; given: HfConfig } | undefined {
  let found: { key: string; given: HfConfig } | undefined;
  for (const key of ['rope_parameters', 'rope_scaling']) {
    const value = config[key];
    if (value === undefined || value === null || facts.ignores?.split(',').includes(key)) continue;
    if (!isRecord(value)) throw wrongType(where, key, 'an object or null', value);
    if (Object.keys(value).length) found = { key, given: value };
  }
  return found;
}

/** The parameters of one layer. @throws TypeError, RangeError if they cannot be told */
export function ropeParameters(where: string, config: HfConfig, facts: Facts, layer: Layer): RopeParameters | undefined {
  const said = givenParameters(where, config, facts);
  const standard: HfConfig = facts.rope === undefined ? {} : JSON.parse(facts.rope);
  const labels = nested(standard) ? Object.keys(standard) : undefined;
  if (facts.nested !== undefined && !(said && nested(said.given)))
    throw wrongType(where, 'rope_parameters', 'an object for each layer type', said?.given);
  if (!labels && !(said && nested(said.given))) return complete(where, config, facts, layer, said ?? { key: '', given: standard });
  const known = labels ?? Object.keys(said?.given ?? {});
  const label = labelOf(layer.type, known);
  if (label === undefined) {
    if (layer.type !== undefined) throw wrongValue(where, 'layerType', `one of ${known.join(', ')}`, describe(layer.type));
    throw needed(where, `the rope parameters differ by layer (${known.join(', ')})`);
  }
  if (labels && said && !nested(said.given))
    return complete(where, config, facts, layer, firstGeneration(where, facts, said, label, standard), label);
  const given = said?.given[label];
  if (given === null) return undefined;
  const own = isRecord(given) ? given : (standard[label] as HfConfig);
  return complete(where, config, facts, layer, { key: said ? `${said.key}.${label}` : '', given: own }, label);
}

/** Under which label the parameters of a layer stand: its type, but for DeepSeek-V4. */
function labelOf(type: string | undefined, labels: readonly string[]): string | undefined {
  if (labels.includes('compress') && type !== undefined) return type === 'sliding_attention' || type === 'main' ? 'main' : 'compress';
  return type !== undefined && labels.includes(type) ? type : undefined;
}

/** Parameters of the first generation in a model whose layers differ: `rope_scaling` is an object for some labels only. */
function firstGeneration(where: string, facts: Facts, said: { key: string; given: HfConfig }, label: string, standard: HfConfig) {
  if (facts.scaled === undefined || said.key === 'rope_parameters') {
    if (!(label === 'compress' || label === 'main')) throw wrongType(where, said.key, 'an object for each layer type', said.given);
  }
  const scaled = facts.scaled?.split(',').includes(label);
  return { key: scaled ? said.key : '', given: { ...(standard[label] as HfConfig), ...(scaled && said.given) } };
}

/** Adds what stands beside the parameters, and defaults. */
function complete(
  where: string,
  config: HfConfig,
  facts: Facts,
  layer: Layer,
  { key, given }: { key: string; given: HfConfig },
  label = '',
): RopeParameters {
  const extra = facts.extra?.split(',') ?? [];
  for (const name of Object.keys(given)) {
    if (!HARMLESS.has(name) && !extra.includes(name)) {
      throw new TypeError(`${where}: "${key}.${name}" is unknown, and might change the rotation; leave it out if it does not`);
    }
  }
  const said = given.rope_type ?? given.type ?? 'default';
  const older = typeof said === 'string' && Object.hasOwn(OLDER_TYPES, said) ? OLDER_TYPES[said] : said;
  // Phi-3 once said "yarn" for what is LongRoPE.
  const type = older === 'yarn' && facts.su !== undefined ? 'longrope' : older;
  const theta = thetaOf(where, config, facts, given, label, layer);
  // Below 1 frequencies rise without end.
  if (theta < 1) throw wrongValue(where, 'rope_theta', 'a number ≥ 1', theta);
  const part = partOf(where, config, facts, given, label, layer);
  const longest = count(where, given, 'max_position_embeddings') ?? count(where, config, 'max_position_embeddings') ?? optional(facts.max);
  const own = 'original_max_position_embeddings';
  const beside = count(where, config, own) ?? optional(facts.trained);
  const trained = (label ? undefined : beside) ?? count(where, given, own) ?? longest;
  return {
    ...given,
    // A norm after the rotation takes the attention factor away again.
    ...(facts.normed !== undefined && config[facts.normed] !== false && { attention_factor: 1 }),
    ...(label === 'compress' && type === 'yarn' && given.attention_factor === undefined && { attention_factor: 1 }),
    rope_type: type,
    rope_theta: theta,
    ...(part !== undefined && { partial_rotary_factor: part }),
    ...(trained !== undefined && { [own]: trained }),
    ...(longest !== undefined && { max_position_embeddings: longest }),
  };
}

const optional = (said: string | undefined): number | undefined => (said ? Number(said) : undefined);

/** A fact that may differ by label: `1000` or `full_attention:1000,sliding_attention:500`. */
function byLabel(said: string | undefined, label: string): string | undefined {
  if (said === undefined || !said.includes(':')) return said;
  return said
    .split(',')
    .find((entry) => entry.startsWith(`${label}:`))
    ?.slice(label.length + 1);
}

/** A key's number; of a list by layer, that layer's. */
function ofLayer(where: string, config: HfConfig, key: string, { number: layer }: Layer): number | undefined {
  const value = config[key];
  if (!Array.isArray(value)) return number(where, config, key);
  if (layer === undefined) throw needed(where, `${key} has a number for each`);
  if (layer >= value.length) throw wrongValue(where, 'layer', `a layer of the ${value.length} in ${key}`, layer);
  return finite(where, `${key}[${layer}]`, value[layer]);
}

function thetaOf(where: string, config: HfConfig, facts: Facts, given: HfConfig, label: string, layer: Layer): number {
  if (facts.perLayer !== undefined && Array.isArray(config.layer_rope_theta)) {
    return ofLayer(where, config, 'layer_rope_theta', layer) as number;
  }
  const own = number(where, given, 'rope_theta');
  if (own !== undefined) return own;
  const key = byLabel(facts.thetaKey ?? 'rope_theta', label);
  const beside = key ? ofLayer(where, config, key, layer) : undefined;
  if (beside !== undefined) return beside;
  const inner = facts.inner === undefined ? undefined : config[facts.inner];
  return (isRecord(inner) ? number(where, inner, 'rope_theta') : undefined) ?? Number(byLabel(facts.theta, label) ?? 10000);
}

function partOf(where: string, config: HfConfig, facts: Facts, given: HfConfig, label: string, layer: Layer): number | undefined {
  const own = number(where, given, 'partial_rotary_factor');
  if (own !== undefined) return own;
  if (Array.isArray(config.partial_rotary_factors)) return ofLayer(where, config, 'partial_rotary_factors', layer);
  const key = facts.partKey ?? 'partial_rotary_factor';
  return (key ? number(where, config, key) : undefined) ?? optional(byLabel(facts.part, label));
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
