import { describe, integer, oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import { WIDEST_HEAD } from '../arguments/limits.ts';
import { type PositionList, positionList } from '../arguments/positions.ts';
import { axialRotary } from '../encodings/axial-rotary.ts';
import { mropeAxes } from '../encodings/mrope.ts';
import type { Recipes } from '../encodings/recipe.ts';
import type { Scheme } from '../encodings/scheme.ts';
import type { Encoding } from '../plan/plan.ts';
import { checkLayout, lowerRope, type Rope, type RotaryLayout } from '../rope/rope.ts';
import { checkScaling } from '../rope/rope-scaling.ts';
import { count, firstCount, type HfConfig, headDim, headDimOf, isRecord, layerTypeAt, number, textConfig } from './config.ts';
import { type RopeParameters, ropeParameters, scalingOf, snakeCase } from './rope-parameters.ts';
import {
  AXIAL,
  BACKWARDS,
  CENTRED,
  HALVES,
  MROPE,
  type MropeKind,
  PAIRS,
  PAIRS_TO_HALVES,
  PARTIAL,
  SLIDING_ONLY,
  SOME_LAYERS,
  TRAILING,
} from './rotary-models.ts';

/** What a config does not say. */
export interface RotaryFromConfigOptions {
  /** The layer's type, where layers differ: `'full_attention'`, `'sliding_attention'` … */
  readonly layerType?: string;
  /** The layer's number, from which the type follows if the config has `layer_types`, and whether the layer turns at all. */
  readonly layer?: number;
  /** Which channels form a pair; needed only if the model type is unknown. */
  readonly layout?: RotaryLayout;
  /** Added to the standard positions; default 0. */
  readonly offset?: number;
  /** [S] or [B][S]; [3][S] or [3][B][S] of time, rows and columns for M-RoPE; [2][S] or [2][B][S] of rows and columns for vision models. */
  readonly positions?: PositionList;
  readonly queryPositions?: PositionList;
  /** Rows and columns of the image, for vision models; MiniMax-M3: frames, rows and columns. */
  readonly grid?: readonly number[];
  /** Keys at the end that do not turn (SAM 2's object pointers); default 0. */
  readonly exclude?: number;
}

const where = 'rotaryFromConfig';

/**
 * The rotary embedding of a checkpoint, from its `config.json`. Reads `rope_parameters` (also nested by layer type; null there means that
 * the layer does not turn) and the older `rope_scaling` with `rope_theta`, `partial_rotary_factor`, `rotary_pct`, `rotary_dim`,
 * `rope_local_base_freq`; the types default, linear, dynamic, yarn, longrope (`su`), llama3, proportional. Which channels form a pair, the
 * sections of M-RoPE and the axes of vision models follow from `model_type`. If the config is one of several models, `text_config` counts;
 * for the vision tower pass `config.vision_config`.
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
  given = options(where, given, ['layerType', 'layer', 'layout', 'offset', 'positions', 'queryPositions', 'grid', 'exclude']);
  const own = textConfig(where, config);
  const type = own.model_type;
  if (type !== undefined && typeof type !== 'string') throw wrongType(where, 'model_type', 'a string', type);
  const model = modelName(own, type ?? '');
  if (model in AXIAL || CENTRED.has(model)) return vision(own, model, given);
  if (given.grid !== undefined || given.exclude !== undefined) {
    throw wrongValue(where, 'grid', 'a vision model in config.model_type', describe(model));
  }
  if (own.alibi === true) throw wrongValue(where, 'alibi', 'a model with rotary embedding', 'true: use alibi({ heads })');
  const layer = given.layer === undefined ? undefined : integer(where, 'layer', given.layer, 0, 65535);
  const layerType = given.layerType ?? layerTypeAt(where, own, layer);
  if (layerType !== undefined && typeof layerType !== 'string') throw wrongType(where, 'layerType', 'a string', layerType);
  const parameters = ropeParameters(where, own, model, layerType);
  if (!parameters || !turns(own, model, layerType, layer)) return { name: where, lower: () => ({}) };
  const rope = ropeOf(own, model, parameters, { ...given, ...(layerType !== undefined && { layerType }) });
  return { name: where, lower: (context) => lowerRope(rope, context) };
}

/** The model type; a vision tower of Qwen2-VL's first configs has the type of the whole. */
function modelName(config: HfConfig, type: string): string {
  const tower = `${type}_vision`;
  return tower in AXIAL && config.patch_size !== undefined ? tower : type;
}

/** Whether the layer turns at all. */
export function turns(config: HfConfig, model: string, layerType: string | undefined, layer: number | undefined): boolean {
  if (SLIDING_ONLY.has(model) && layerType === 'full_attention') return model.startsWith('exaone') && config.sliding_window === null;
  if (!SOME_LAYERS.has(model) || layer === undefined) return true;
  if (Array.isArray(config.no_rope_layers) && config.no_rope_layers.length) return config.no_rope_layers[layer] !== 0;
  return (layer + 1) % (count(where, config, 'no_rope_layer_interval') ?? 4) !== 0;
}

function layoutOf(model: string, given: RotaryFromConfigOptions, config: HfConfig): { layout: RotaryLayout; layoutOut?: RotaryLayout } {
  if (given.layout !== undefined) return { layout: oneOf(where, 'layout', given.layout, ['halves', 'pairs']) };
  if (PAIRS_TO_HALVES.has(model)) return config.rope_interleave === false ? { layout: 'halves' } : { layout: 'pairs', layoutOut: 'halves' };
  if (PAIRS.has(model)) return { layout: 'pairs' };
  if (HALVES.has(model)) return { layout: 'halves' };
  const known = [...HALVES, ...PAIRS, ...PAIRS_TO_HALVES, ...Object.keys(AXIAL), ...CENTRED].sort().join(', ');
  throw wrongValue(where, 'model_type', `one of ${known}; or a layout in the second argument`, describe(model));
}

/** Channels by which exponents are divided: all that turn. */
function widthOf(config: HfConfig, model: string, parameters: RopeParameters, layerType: string | undefined): number {
  if (TRAILING.has(model)) {
    const own = count(where, config, 'qk_rope_head_dim');
    if (own !== undefined) return own;
  }
  const head = headDimOf(where, config, layerType);
  if (parameters.rope_type === 'proportional') return head;
  const exact = ['gptj', 'codegen', 'minimax_m2'].includes(model) ? firstCount(where, config, 'rotary_dim') : undefined;
  if (exact !== undefined) return exact;
  if (model === 'gptj' || model === 'codegen') return 64;
  const honoured = PARTIAL.has(model) || parameters.rope_type !== 'default' || !isKnown(model);
  const part = honoured ? (number(where, parameters, 'partial_rotary_factor') ?? 1) : 1;
  const width = Math.floor(head * part);
  if (width < 1 || width > head)
    throw wrongValue(where, 'partial_rotary_factor', `a number in (0, 1] that leaves channels of ${head}`, part);
  return width;
}

const isKnown = (model: string): boolean => HALVES.has(model) || PAIRS.has(model) || PAIRS_TO_HALVES.has(model);

function ropeOf(config: HfConfig, model: string, parameters: RopeParameters, given: RotaryFromConfigOptions): Rope {
  const layouts = layoutOf(model, given, config);
  const width = widthOf(config, model, parameters, given.layerType);
  if (width > WIDEST_HEAD) throw wrongValue(where, 'head_dim', `at most ${WIDEST_HEAD} channels that turn`, width);
  const called = (key: string): string => (key ? `rope_parameters.${snakeCase(key)}` : 'rope_parameters');
  const keys = positionList(where, 'positions', given.positions);
  const queries = positionList(where, 'queryPositions', given.queryPositions);
  const axes = keys && sectionsOf(config, model, parameters);
  return {
    where,
    width,
    theta: parameters.rope_theta,
    scaling: checkScaling(where, scalingOf(where, parameters), width, called),
    ...checkLayout(where, { ...layouts, start: TRAILING.has(model) ? 'end' : 0, offset: given.offset }),
    sense: BACKWARDS.has(model) ? 'backward' : 'forward',
    ...(axes && {
      axisOf: mropeAxes(where, Math.ceil(width / 2), axes.sections, axes.arrangement, axes.order),
      axes: Math.max(...axes.order) + 1,
    }),
    keys,
    queries,
  };
}

/** Sections of M-RoPE, if the model has them. */
function sectionsOf(config: HfConfig, model: string, parameters: RopeParameters): Required<MropeKind> | undefined {
  const older = isRecord(config.rope_scaling) ? config.rope_scaling.mrope_section : undefined;
  const said = parameters.mrope_section ?? older ?? config.mrope_section;
  const kind = Object.hasOwn(MROPE, model) ? (MROPE[model] as MropeKind) : undefined;
  const sections = said ?? kind?.sections;
  if (sections === undefined || sections === null) return undefined;
  if (!Array.isArray(sections) || sections.length < 2) throw wrongType(where, 'mrope_section', 'an array of integers', sections);
  const checked = sections.map((n: unknown, i) => integer(where, `mrope_section[${i}]`, n, 0, 256));
  // As many axes as sections, and a cut that goes through the pairs.
  if (model.startsWith('hunyuan_vl')) return { sections: checked, arrangement: 'channels', order: checked.map((_, i) => i) };
  const arrangement = kind?.arrangement ?? (parameters.mrope_interleaved === true ? 'interleaved' : 'chunked');
  // Sections beyond the third start over with the first axis.
  return { sections: checked, arrangement, order: kind?.order.length === checked.length ? kind.order : checked.map((_, i) => i % 3) };
}

/** Vision models: rows and columns of a grid, or positions on two axes. */
function vision(config: HfConfig, model: string, given: RotaryFromConfigOptions): Encoding {
  const theta = ropeParameters(where, config, model, given.layerType)?.rope_theta ?? 10000;
  const { grid, positions, queryPositions, exclude } = given;
  if ((grid === undefined) === (positions === undefined)) {
    throw wrongType(where, 'grid', 'the rows and columns of the image, or positions', grid && positions ? 'both' : undefined);
  }
  const head = visionWidth(config, model);
  const axes = AXIAL[model]?.axisOrder?.length ?? 2;
  // Three axes need not fill the head: the rest passes.
  const dim = axes === 3 ? 6 * Math.floor(Math.floor(head / 3) / 2) : head;
  if (grid && grid.length !== axes) throw wrongValue(where, 'grid', `${axes} sizes`, grid);
  const rows = {
    ...(grid && { grid }),
    ...(positions !== undefined && { positions }),
    ...(queryPositions !== undefined && { queryPositions }),
  };
  if (CENTRED.has(model)) {
    if (!grid) throw wrongType(where, 'grid', 'the rows and columns of the image', grid);
    const registers = number(where, config, 'num_register_tokens') ?? 0;
    return renamed(
      axialRotary({ dim, theta, layout: 'halves', coordinates: 'centers', scale: 2 * Math.PI, prefix: 1 + registers, ...rows }),
    );
  }
  const kind = AXIAL[model] as (typeof AXIAL)[string];
  const memory = grid && ['sam2_video', 'sam3_tracker_video', 'edgetam_video'].includes(model);
  return renamed(axialRotary({ dim, theta, ...kind, ...rows, ...(memory && { repeatKeys: true, exclude: exclude ?? 0 }) }));
}

const renamed = (encoding: Encoding): Encoding => ({ ...encoding, name: where });

function visionWidth(config: HfConfig, model: string): number {
  const memory = count(where, config, 'memory_attention_hidden_size');
  if (memory === undefined || model === 'sam3_vit_model') return headDim(where, config);
  const rate = count(where, config, 'memory_attention_downsample_rate') ?? 1;
  return Math.floor(memory / (rate * (count(where, config, 'memory_attention_num_attention_heads') ?? 1)));
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'rotaryFromConfig',
    formula: 'q, k turned as the model of a config.json does',
    options: 'keys of the config; arguments: layerType, layer, layout, offset, positions, queryPositions, grid, exclude',
    models: 'some 200 model types of transformers, default to LongRoPE, M-RoPE and vision towers',
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
