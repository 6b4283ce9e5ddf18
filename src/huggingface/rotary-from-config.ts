import { describe, options, wrongType, wrongValue } from '../arguments/check.ts';
import type { PositionList } from '../arguments/positions.ts';
import type { Recipes } from '../encodings/recipe.ts';
import { rotary } from '../encodings/rotary.ts';
import type { Scheme } from '../encodings/scheme.ts';
import type { Encoding } from '../plan/plan.ts';
import type { RotaryLayout } from '../rope/rope.ts';
import type { RopeScaling } from '../rope/rope-scaling.ts';
import { type HfConfig, isRecord } from './config.ts';
import { expectInAttention } from './elsewhere.ts';
import { factsOf, findFacts } from './facts.ts';
import { textConfig } from './text-config.ts';
import { textRotation } from './text-rotation.ts';
import { vision } from './vision.ts';

/** What a config does not say. */
export interface RotaryFromConfigOptions {
  /** The layer's type, where layers differ: `'full_attention'`, `'sliding_attention'` … */
  readonly layerType?: string;
  /** The layer's number: its type and whether it turns follow from the config, or from the model's class. */
  readonly layer?: number;
  /** Which channels form a pair, if the weights were permuted (`permuteForPairs`); or, with `dim` and `theta`, for an unknown model type. */
  readonly layout?: RotaryLayout;
  /** For an unknown model type: channels that turn. */
  readonly dim?: number;
  /** For an unknown model type: base of the frequencies. */
  readonly theta?: number;
  /** For an unknown model type: first channel that turns; default 0. */
  readonly start?: number | 'end';
  /** For an unknown model type: how frequencies are scaled; needed if the config has `rope_scaling` or `rope_parameters`. */
  readonly scaling?: RopeScaling;
  /** Added to the standard positions; default 0. */
  readonly offset?: number;
  /** [S] or [B][S]; [3][S] or [3][B][S] of time, rows and columns for M-RoPE; [2][S] or [2][B][S] of rows and columns for vision models
   * (frames before them in video; from 1 on in Llama 4 and EfficientLoFTR); [4][S] of x, y, z and residue for ESMFold2's atoms. */
  readonly positions?: PositionList;
  readonly queryPositions?: PositionList;
  /** Rows and columns of the image, for vision models; MiniMax-M3: frames, rows and columns. */
  readonly grid?: readonly number[];
  /** Keys at the end that do not turn (SAM 2's object pointers); default 0. */
  readonly exclude?: number;
}

const where = 'rotaryFromConfig';
const UNKNOWN = ['dim', 'theta', 'start', 'scaling'] as const;

/**
 * The rotary embedding of a checkpoint, from its `config.json`. Reads `rope_parameters` (also nested by layer type; null there means that
 * the layer does not turn) and the older `rope_scaling` with `rope_theta` and the like beside it; the types default, linear, dynamic, yarn,
 * longrope (`su`), llama3, proportional. What the config leaves out is as in the model's class of transformers 5.18: widths, bases, which
 * channels form a pair, which layers turn, the sections of M-RoPE, the axes of vision models. If the config is one of several models,
 * `text_config` counts; for the vision tower pass `config.vision_config`.
 *
 * Where layers differ, `layer` or `layerType` must say which is meant. A model type that the table does not have needs all of
 * `{ layout, dim, theta }`, and `scaling` if its config scales.
 *
 * What a model does to the scale of its scores is not here: see `attentionScale`.
 *
 * @throws TypeError, RangeError if the model type or the rope type is unknown, or a key is missing or wrong
 * @example
 * ```ts
 * const config = {
 *   model_type: 'llama', hidden_size: 4096, num_attention_heads: 32, max_position_embeddings: 131072, rope_theta: 500000,
 *   rope_scaling: { type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
 * };
 * const encoding = rotaryFromConfig(config);
 * ```
 */
export function rotaryFromConfig(config: Readonly<Record<string, unknown>>, given: RotaryFromConfigOptions = {}): Encoding {
  given = options(where, given, ['layerType', 'layer', 'layout', 'offset', 'positions', 'queryPositions', 'grid', 'exclude', ...UNKNOWN]);
  const text = textConfig(where, config);
  const model = towerName(text.own, text.model);
  if (findFacts(model) === undefined && UNKNOWN.some((key) => given[key] !== undefined)) return unknown(text.own, given);
  const facts = factsOf(where, model, 'or { layout, dim, theta } in the second argument say it all');
  const more = UNKNOWN.find((key) => given[key] !== undefined);
  if (more) throw wrongValue(where, more, `none: the config of ${model} says it`, given[more]);
  if (facts.axes !== undefined) return vision(where, text.own, facts, given);
  expectInAttention(where, text.own, model, facts);
  if (facts.layout === undefined) throw wrongValue(where, 'model_type', 'a model that turns q and k', describe(model));
  if (given.grid !== undefined || given.exclude !== undefined) {
    throw wrongValue(where, 'grid', 'a vision model in config.model_type', describe(model));
  }
  return textRotation(text.own, model, facts, given);
}

/** A model type that the table does not have: the options must say everything. */
function unknown(config: HfConfig, given: RotaryFromConfigOptions): Encoding {
  const missing = (['layout', 'dim', 'theta'] as const).filter((key) => given[key] === undefined);
  if (missing.length)
    throw wrongType(where, missing[0] as string, `a value: the model type is unknown, so that layout, dim and theta are needed`, undefined);
  const scales = ['rope_scaling', 'rope_parameters'].find((key) => isRecord(config[key]));
  if (scales && given.scaling === undefined)
    throw wrongType(where, 'scaling', `a value: the config has ${scales}, and the model type is unknown`, undefined);
  const { layerType: _type, layer: _layer, grid, exclude, ...rest } = given;
  if (grid !== undefined || exclude !== undefined)
    throw wrongValue(where, 'grid', 'a vision model in config.model_type', describe(config.model_type));
  return {
    ...rotary({ ...rest, layout: given.layout as RotaryLayout, dim: given.dim as number, theta: given.theta as number }),
    name: where,
  };
}

/** The model type; a vision tower of Qwen2-VL's first configs has the type of the whole. */
function towerName(config: HfConfig, type: string): string {
  if (config.patch_size === undefined) return type;
  const tower = [`${type}_vision`, `${type.replace(/_text$/, '')}_vision`].find((name) => findFacts(name)?.axes !== undefined);
  return tower ?? type;
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'rotaryFromConfig',
    formula: 'q, k turned as the model of a config.json does',
    options:
      'keys of the config; arguments: layerType, layer, layout, offset, positions, queryPositions, grid, exclude; dim, theta, start, scaling for unknown types',
    models: 'all model types of transformers 5.18 that turn, default to LongRoPE, M-RoPE and vision towers',
    make: rotaryFromConfig,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  rotaryFromConfig: {
    kind: 'rotation',
    options: ({ H, D }) => ({ model_type: 'llama', hidden_size: H * D, num_attention_heads: H, head_dim: D, rope_theta: 500000 }),
    picture: false,
  },
};
