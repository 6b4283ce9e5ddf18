// Reading the keys of a checkpoint's config.json, with the defaults of the model's class.

import { finite, integer, wrongType, wrongValue } from '../arguments/check.ts';
import type { Facts } from './fact-lines.ts';

/** A checkpoint's `config.json`, parsed. */
export type HfConfig = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A whole number ≥ 1, or undefined if the key is missing or null. */
export function count(where: string, config: HfConfig, key: string): number | undefined {
  const value = config[key];
  return value === undefined || value === null ? undefined : integer(where, key, value, 1);
}

/** A number, or undefined if the key is missing or null; finite, or as `check` has it. */
export function number(
  where: string,
  config: HfConfig,
  key: string,
  check: (where: string, key: string, value: unknown) => number = finite,
): number | undefined {
  const value = config[key];
  return value === undefined || value === null ? undefined : check(where, key, value);
}

/** A key's number under any of its names, `a/b:default`. */
export function named(where: string, config: HfConfig, said: string | undefined): number | undefined {
  if (said === undefined) return undefined;
  const [names = '', fallback] = said.split(':');
  for (const name of names.split('/')) {
    const value = count(where, config, name);
    if (value !== undefined) return value;
  }
  return fallback ? Number(fallback) : undefined;
}

/** Width of a query head, D. */
export function headDim(where: string, config: HfConfig, facts: Facts): number {
  if (facts.latent !== undefined) {
    const [passing, turning] = latentDims(where, config, facts);
    return passing + turning;
  }
  if (facts.axes === 'memory') return memoryDim(where, config);
  const own = named(where, config, facts.head);
  if (own !== undefined) return own;
  const width = named(where, config, facts.hidden);
  const heads = named(where, config, facts.heads);
  expectOneWidth(where, config, facts);
  if (width === undefined || heads === undefined) {
    const names = [facts.head, facts.hidden, facts.heads].map((said) => said?.split(':')[0]).filter(Boolean);
    throw wrongType(where, names[0] ?? 'head_dim', `a number (${names.join(', ')})`, undefined);
  }
  const of = (said: string | undefined): string => (said ?? '').split(/[:/]/)[0] as string;
  if (width < heads) throw wrongValue(where, of(facts.hidden), `at least ${of(facts.heads)}=${heads}`, width);
  // ConvBERT has fewer heads than it says, and half as wide ones: the other half of the width is convolutions.
  const ratio = named(where, config, facts.ratio);
  if (ratio !== undefined) return Math.floor(Math.floor(width / Math.max(1, Math.floor(heads / ratio))) / 2);
  return Math.floor((width * Number(facts.times ?? 1)) / heads);
}

/** An encoder and a decoder whose heads are as wide: the config does not say which of them is meant. */
function expectOneWidth(where: string, config: HfConfig, facts: Facts): void {
  const [own, other] = ['encoder_attention_heads', 'decoder_attention_heads'] as const;
  if (!facts.heads?.startsWith(own)) return;
  const [encoder, decoder] = [count(where, config, own), count(where, config, other)];
  if (encoder !== undefined && decoder !== undefined && encoder !== decoder) {
    throw wrongValue(where, other, `${encoder}, as the encoder has, or none`, decoder, `put the decoder's heads in ${own} for the decoder`);
  }
}

/** Heads of SAM 2's memory attention. */
function memoryDim(where: string, config: HfConfig): number {
  const width = count(where, config, 'memory_attention_hidden_size') ?? 256;
  const rate = count(where, config, 'memory_attention_downsample_rate') ?? 1;
  return Math.floor(width / (rate * (count(where, config, 'memory_attention_num_attention_heads') ?? 1)));
}

/** Channels of a latent head that pass and that turn. */
export function latentDims(where: string, config: HfConfig, facts: Facts): readonly [number, number] {
  const [passing, turning, alias] = (facts.latent ?? '').split(/[+,]/);
  const other = alias ? count(where, config, alias) : undefined;
  return [
    count(where, config, 'qk_nope_head_dim') ?? Number(passing),
    count(where, config, 'qk_rope_head_dim') ?? other ?? Number(turning),
  ];
}

/** Width of a query head in layers of a type: Gemma 4's are wider where attention is full. */
export function headDimOf(where: string, config: HfConfig, facts: Facts, layerType: string | undefined): number {
  if (facts.wide === undefined || layerType !== 'full_attention') return headDim(where, config, facts);
  const { per_layer_config: layers, layer_types: types } = config;
  const own =
    isRecord(layers) && Array.isArray(types) ? Object.entries(layers).find(([n]) => types[Number(n)] === layerType)?.[1] : undefined;
  return count(where, config, 'global_head_dim') ?? (isRecord(own) ? count(where, own, 'head_dim') : undefined) ?? Number(facts.wide);
}
