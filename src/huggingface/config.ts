// Reading the keys of a checkpoint's config.json.

import { finite, integer, wrongType, wrongValue } from '../arguments/check.ts';

/** A checkpoint's `config.json`, parsed. */
export type HfConfig = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The config of the text model, if the checkpoint's is one of several models. */
export function textConfig(where: string, config: unknown): HfConfig {
  if (!isRecord(config)) throw wrongType(where, 'config', 'the object of a config.json', config);
  return isRecord(config.text_config) ? config.text_config : config;
}

/** A whole number ≥ 1, or undefined if the key is missing or null. */
export function count(where: string, config: HfConfig, key: string): number | undefined {
  const value = config[key];
  return value === undefined || value === null ? undefined : integer(where, key, value, 1);
}

/** A finite number, or undefined if the key is missing or null. */
export function number(where: string, config: HfConfig, key: string): number | undefined {
  const value = config[key];
  return value === undefined || value === null ? undefined : finite(where, key, value);
}

/** The first of the keys that is there, as a whole number ≥ 1. */
export function firstCount(where: string, config: HfConfig, ...keys: readonly string[]): number | undefined {
  for (const key of keys) {
    const value = count(where, config, key);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** Width of a query head. */
export function headDim(where: string, config: HfConfig): number {
  const own = firstCount(where, config, 'head_dim', 'attention_head_dim', 'kv_channels');
  if (own !== undefined) return own;
  const width = firstCount(where, config, 'embed_dim', 'hidden_size', 'n_embd', 'd_model');
  const heads = firstCount(where, config, 'num_attention_heads', 'num_heads', 'n_head', 'n_heads', 'encoder_num_attention_heads');
  if (width === undefined || heads === undefined) {
    throw wrongType(where, 'head_dim', 'a number, or hidden_size and num_attention_heads instead', config.head_dim);
  }
  if (width < heads) throw wrongValue(where, 'hidden_size', `at least num_attention_heads=${heads}`, width);
  return Math.floor(width / heads);
}

/** Width of a query head in layers of a type: Gemma 4's are wider where attention is full. */
export function headDimOf(where: string, config: HfConfig, layerType: string | undefined): number {
  if (layerType !== 'full_attention') return headDim(where, config);
  const { per_layer_config: layers, layer_types: types } = config;
  const own =
    isRecord(layers) && Array.isArray(types) ? Object.entries(layers).find(([n]) => types[Number(n)] === layerType)?.[1] : undefined;
  const wide = /^(gemma4(_unified)?|diffusion_gemma)_text$/.test(String(config.model_type)) ? 512 : undefined;
  return count(where, config, 'global_head_dim') ?? (isRecord(own) ? count(where, own, 'head_dim') : wide) ?? headDim(where, config);
}

/** The type of layer `layer`, if the config lists types; else undefined. */
export function layerTypeAt(where: string, config: HfConfig, layer: number | undefined): string | undefined {
  if (layer === undefined || !Array.isArray(config.layer_types)) return undefined;
  const type: unknown = config.layer_types[layer];
  if (typeof type !== 'string') throw wrongValue(where, 'layer', `a layer of the ${config.layer_types.length} in layer_types`, layer);
  return type;
}
