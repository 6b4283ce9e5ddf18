import { describe, integer, oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import { WIDEST_HEAD } from '../arguments/limits.ts';
import { type PositionList, positionList } from '../arguments/positions.ts';
import { type MropeArrangement, mropeAxes } from '../encodings/mrope.ts';
import type { Recipes } from '../encodings/recipe.ts';
import { rotary } from '../encodings/rotary.ts';
import type { Scheme } from '../encodings/scheme.ts';
import { withHandlers } from '../plan/handlers.ts';
import type { Encoding, LowerContext, Rotation } from '../plan/plan.ts';
import { checkLayout, isSteady, lowerRope, type Rope, type RotaryLayout, reachOf } from '../rope/rope.ts';
import { checkScaling, type RopeScaling } from '../rope/rope-scaling.ts';
import { count, type HfConfig, headDimOf, isRecord, latentDims, number, textConfig } from './config.ts';
import { expectInAttention } from './elsewhere.ts';
import { type Facts, factsOf, findFacts } from './facts.ts';
import { type Layer, layerOf, turns } from './layers.ts';
import { type RopeParameters, ropeParameters, scalingOf, snakeCase } from './rope-parameters.ts';
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

function textRotation(own: HfConfig, model: string, facts: Facts, given: RotaryFromConfigOptions): Encoding {
  if (own.alibi === true) throw wrongValue(where, 'alibi', 'a model with rotary embedding', 'true: use alibi({ heads })');
  if (given.layer !== undefined) integer(where, 'layer', given.layer, 0, 65535);
  const layer = layerOf(where, own, facts, given);
  if (!turns(where, own, facts, layer)) return STILL;
  const parameters = ropeParameters(where, own, facts, layer);
  if (!parameters) return STILL;
  const rope = ropeOf(own, model, facts, parameters, layer, given);
  return withHandlers({
    name: where,
    steady: isSteady(rope),
    lower(context) {
      const plan = lowerRope(specially(rope, parameters, context), context);
      return facts.first === undefined ? plan : { rotation: ofFirstHead(plan.rotation, context.shape.G) };
    },
  });
}

/** The rotation of the first head; the others have frequencies of 0. */
function ofFirstHead(rotation: Rotation, heads: number): Rotation {
  const frequencies = new Float64Array(heads * rotation.frequencies.length);
  frequencies.set(rotation.frequencies);
  return { ...rotation, heads, frequencies };
}

/** A layer that does not turn: nothing in attention; asked for the rotation itself, one by nothing. */
const STILL: Encoding = /* @__PURE__ */ withHandlers({
  name: where,
  steady: true,
  lower: ({ role }) =>
    role ? { rotation: { dim: 2, start: 0, layout: 'pairs', frequencies: Float64Array.of(0), factor: 1, offset: 0 } } : {},
});

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

function layoutOf(config: HfConfig, facts: Facts, given: RotaryFromConfigOptions): { layout: RotaryLayout; layoutOut?: RotaryLayout } {
  if (given.layout !== undefined) return { layout: oneOf(where, 'layout', given.layout, ['halves', 'pairs']) };
  if (facts.layout !== 'mixed') return { layout: facts.layout as RotaryLayout };
  // Pairs are read and halves written, unless the key says otherwise.
  return config.rope_interleave === false ? { layout: 'halves' } : { layout: 'pairs', layoutOut: 'halves' };
}

/** Channels by which exponents are divided: all that turn. */
function widthOf(config: HfConfig, facts: Facts, parameters: RopeParameters, layer: Layer): number {
  if (facts.latent !== undefined) return latentDims(where, config, facts)[1];
  const head = headDimOf(where, config, facts, layer.type);
  if (parameters.rope_type === 'proportional') return head;
  const [key, fallback] = facts.rot?.split(':') ?? [];
  const exact = key ? (count(where, config, key) ?? (fallback ? Number(fallback) : undefined)) : undefined;
  if (exact !== undefined) {
    if (exact > head) throw wrongValue(where, key as string, `at most the ${head} channels of a head`, exact);
    return exact;
  }
  const honoured = facts.partly !== undefined || parameters.rope_type !== 'default';
  const part = honoured ? (number(where, parameters, 'partial_rotary_factor') ?? 1) : 1;
  const width = Math.floor(head * part);
  if (width < 1 || width > head)
    throw wrongValue(where, 'partial_rotary_factor', `a number in (0, 1] that leaves channels of ${head}`, part);
  return width;
}

function ropeOf(
  config: HfConfig,
  model: string,
  facts: Facts,
  parameters: RopeParameters,
  layer: Layer,
  given: RotaryFromConfigOptions,
): Rope {
  const width = widthOf(config, facts, parameters, layer);
  if (width > WIDEST_HEAD) throw wrongValue(where, 'head_dim', `at most ${WIDEST_HEAD} channels that turn`, width);
  const key = isRecord(config.rope_scaling) ? 'rope_scaling' : 'rope_parameters';
  const called = (name: string): string => (name ? `${key}.${snakeCase(name)}` : key);
  const keys = positionList(where, 'positions', given.positions);
  const queries = positionList(where, 'queryPositions', given.queryPositions);
  const sections = sectionsOf(config, model, facts, parameters);
  const axes = keys && sections;
  return {
    where,
    width,
    theta: parameters.rope_theta,
    scaling: checkScaling(where, scalingOf(where, parameters), width, called),
    ...checkLayout(where, { ...layoutOf(config, facts, given), start: facts.start ?? 0, offset: given.offset }),
    ...(sections?.turns && parameters.rope_type === 'default' && { order: byTurns(sections.sections) }),
    sense: facts.sense === '-' ? 'backward' : 'forward',
    ...(axes && {
      axisOf: mropeAxes(where, Math.ceil(width / 2), axes.sections, axes.arrangement, axes.order),
      axes: Math.max(...axes.order) + 1,
    }),
    keys,
    queries,
  };
}

/** What single models do: HunYuan's `alpha` raises the base, PhiMoE has an attention factor for each table. */
function specially(rope: Rope, parameters: RopeParameters, context: LowerContext): Rope {
  const { scaling, theta, width } = rope;
  const alpha = number(where, parameters, 'alpha');
  if (alpha && scaling.type === 'dynamic') {
    return { ...rope, theta: theta * context.math.pow(alpha, width / (width - 2)), scaling: { type: 'default' } };
  }
  if (scaling.type === 'longrope') {
    const mscale = number(
      where,
      parameters,
      reachOf(rope, context) > scaling.originalMaxPositionEmbeddings ? 'long_mscale' : 'short_mscale',
    );
    if (mscale !== undefined) return { ...rope, scaling: { ...scaling, attentionFactor: mscale } };
  }
  return rope;
}

/** Cohere Compass: the first section has the even ones of the frequencies of the first two, the second the odd ones. */
function byTurns([first = 0, second = 0, third = 0]: readonly number[]): number[] {
  const both = Array.from({ length: first + second }, (_, i) => i);
  const rest = Array.from({ length: third }, (_, i) => first + second + i);
  return [...both.filter((i) => i % 2 === 0), ...both.filter((i) => i % 2 === 1), ...rest];
}

/** How `mrope_section` is dealt out. */
interface Sections {
  /** Frequencies by turns, see `byTurns`. */
  readonly turns?: boolean;
  readonly sections: readonly number[];
  readonly arrangement: MropeArrangement;
  /** The axis each section reads. */
  readonly order: readonly number[];
}

/** Sections of M-RoPE, if the model has them. */
function sectionsOf(config: HfConfig, model: string, facts: Facts, parameters: RopeParameters): Sections | undefined {
  const [kind, ...numbers] = facts.mrope?.split(/[:,]/) ?? [];
  const older = isRecord(config.rope_scaling) ? config.rope_scaling.mrope_section : undefined;
  const sections =
    parameters.mrope_section ?? parameters.xdrope_section ?? older ?? config.mrope_section ?? (kind ? numbers.map(Number) : undefined);
  if (sections === undefined || sections === null) return undefined;
  if (!Array.isArray(sections) || sections.length < 2) throw wrongType(where, 'mrope_section', 'an array of integers', sections);
  const checked = sections.map((n: unknown, i) => integer(where, `mrope_section[${i}]`, n, 0, 256));
  // As many axes as sections, and a cut that goes through the pairs.
  if (model.startsWith('hunyuan_vl')) return { sections: checked, arrangement: 'channels', order: checked.map((_, i) => i) };
  // Rows, columns, time.
  if (kind === 'turns') return { sections: checked, arrangement: 'chunked', order: [1, 2, 0], turns: true };
  const arrangement = (kind as Sections['arrangement'] | undefined) ?? (parameters.mrope_interleaved === true ? 'interleaved' : 'chunked');
  // Sections beyond the third start over with the first axis. ERNIE's are rows, columns, time.
  const order = checked.map((_, i) => (i + (arrangement === 'alternating' ? 1 : 0)) % 3);
  return { sections: checked, arrangement, order };
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
