// Which type a layer is of, and whether it turns.

import { describe, wrongType, wrongValue } from '../arguments/check.ts';
import { count, type HfConfig } from './config.ts';
import type { Facts } from './fact-lines.ts';

/** What is known of the layer that is meant. */
export interface Layer {
  readonly number?: number | undefined;
  readonly type?: string | undefined;
}

/** Names of layer types in first configs. */
const OLDER: Readonly<Record<string, string>> = {
  attention: 'full_attention',
  mamba: 'linear_attention',
  deepseek_sparse_attention: 'indexed_attention',
  qwen_sparse_attention: 'indexed_attention',
};

/** Types of DeepSeek-V4's layers by `compress_ratios`. */
const COMPRESSED: Readonly<Record<number, string>> = {
  0: 'sliding_attention',
  4: 'compressed_sparse_attention',
  128: 'heavily_compressed_attention',
};

/** The layer that is meant, with its type as far as the config or the model's class tells. */
export function layerOf(
  where: string,
  config: HfConfig,
  facts: Facts,
  given: { readonly layer?: number | undefined; readonly layerType?: string | undefined },
): Layer {
  if (given.layerType !== undefined && typeof given.layerType !== 'string')
    throw wrongType(where, 'layerType', 'a string', given.layerType);
  const type = given.layerType ?? (given.layer === undefined ? undefined : typeAt(where, config, facts, given.layer));
  return { number: given.layer, type: type === undefined ? undefined : (OLDER[type] ?? type) };
}

function typeAt(where: string, config: HfConfig, facts: Facts, layer: number): string | undefined {
  const from = (key: string, list: readonly unknown[]): unknown => {
    if (layer >= list.length) throw wrongValue(where, 'layer', `a layer of the ${list.length} in ${key}`, layer);
    return list[layer];
  };
  const { layer_types: types, compress_ratios: ratios, hybrid_layer_pattern: hybrid } = config;
  if (Array.isArray(types)) {
    if (facts.last !== undefined && layer === types.length - 1) return facts.last;
    const type = from('layer_types', types);
    if (typeof type !== 'string') throw wrongType(where, `layer_types[${layer}]`, 'a string', type);
    return type;
  }
  const [kind, full, other] = (facts.layers ?? '').split(',');
  if (kind === 'ratio' && Array.isArray(ratios)) {
    const type = COMPRESSED[from('compress_ratios', ratios) as number];
    if (type === undefined) throw wrongValue(where, `compress_ratios[${layer}]`, '0, 4 or 128', describe(ratios[layer]));
    return type;
  }
  if (kind === 'mimo' && Array.isArray(hybrid)) return from('hybrid_layer_pattern', hybrid) ? other : full;
  return ruled(where, config, facts, layer);
}

/** The type of a layer where the config does not list them. */
function ruled(where: string, config: HfConfig, facts: Facts, layer: number): string | undefined {
  const [kind, full, other, period, key] = (facts.layers ?? '').split(',');
  if (kind === undefined || kind === '') return undefined;
  const said = key ? config[key] : undefined;
  if (typeof said === 'string') return /[gG]/.test(said[layer % said.length] as string) ? full : other;
  const every = (key ? count(where, config, key) : undefined) ?? Number(period);
  const layers = count(where, config, 'num_hidden_layers') ?? Number(facts.depth);
  switch (kind) {
    case 'last':
      return (layer + 1) % every ? other : full;
    case 'end':
      return (layer + 1) % every && layer !== layers - 1 ? other : full;
    case 'first':
      return layer % every ? other : full;
    case 'mimo':
      return layer && (layer + 1) % every ? other : full;
    case 'back':
      return (layers - 1 - layer) % every ? other : full;
    case 'prefix': {
      // The first layers, which are dense, have a pattern of their own.
      const dense = config.first_k_dense_replace === undefined ? 0 : Number(config.first_k_dense_replace);
      const first = count(where, config, 'prefix_dense_sliding_window_pattern') ?? 1;
      return (layer + 1 - (layer < dense ? 0 : dense)) % (layer < dense ? first : every) ? other : full;
    }
    case 'ratio':
      return layer < 2 || layer % 2 === 0 ? full : other;
    default:
      return full;
  }
}

/** Whether a layer turns at all. @throws TypeError if that depends on a layer which is not given */
export function turns(where: string, config: HfConfig, facts: Facts, layer: Layer): boolean {
  if (facts.only !== undefined) {
    // Granite's hybrids, ESM and Zamba2 turn by a key, whose default is not to.
    const [key = '', value] = facts.only.split(':');
    if (String(config[key]) !== value) return false;
  }
  switch (facts.off) {
    case 'full':
    case 'window':
      if (facts.off === 'window' && config.sliding_window === null) return true;
      if (layer.type === undefined) throw needed(where, 'only sliding layers turn');
      return layer.type === 'sliding_attention';
    case 'listed':
      return listed(where, config, layer);
    case 'theta': {
      const thetas = config.layer_rope_theta;
      if (!Array.isArray(thetas)) return facts.layers === undefined || turnsByRule(where, config, facts, layer);
      if (layer.number === undefined) throw needed(where, 'layer_rope_theta has a base for each layer');
      if (layer.number >= thetas.length)
        throw wrongValue(where, 'layer', `a layer of the ${thetas.length} in layer_rope_theta`, layer.number);
      return thetas[layer.number] !== 0 && thetas[layer.number] !== null;
    }
    default:
      return true;
  }
}

/** Muse Glimmer: the rule says which layers turn, whatever types are listed. */
function turnsByRule(where: string, config: HfConfig, facts: Facts, layer: Layer): boolean {
  const type = layer.number === undefined ? layer.type : ruled(where, config, facts, layer.number);
  if (type === undefined) throw needed(where, 'some layers do not turn');
  return type !== 'full_attention';
}

/** Llama 4 and SmolLM3: `no_rope_layers` has 0 for layers that do not turn, by default every fourth. */
function listed(where: string, config: HfConfig, { number: layer }: Layer): boolean {
  const { no_rope_layers: list } = config;
  if (layer === undefined) throw needed(where, 'some layers do not turn');
  if (Array.isArray(list) && list.length) {
    if (layer >= list.length) throw wrongValue(where, 'layer', `a layer of the ${list.length} in no_rope_layers`, layer);
    return Boolean(list[layer]);
  }
  return (layer + 1) % (count(where, config, 'no_rope_layer_interval') ?? 4) !== 0;
}

export const needed = (where: string, why: string): TypeError =>
  wrongType(where, 'layer', `the layer's number, or layerType: ${why}`, undefined);
