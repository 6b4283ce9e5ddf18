// The rotation of q and k in a language model, from its config and the facts of its type.

import { integer, oneOf, wrongType, wrongValue } from '../arguments/check.ts';
import { WIDEST_HEAD } from '../arguments/limits.ts';
import { type PositionList, positionList } from '../arguments/positions.ts';
import { type MropeArrangement, mropeAxes } from '../encodings/mrope.ts';
import { withHandlers } from '../plan/handlers.ts';
import type { Encoding, LowerContext, Rotation } from '../plan/plan.ts';
import { checkLayout, isSteady, lowerRope, type Rope, type RotaryLayout, reachOf } from '../rope/rope.ts';
import { checkScaling } from '../rope/rope-scaling.ts';
import { count, type HfConfig, headDimOf, isRecord, latentDims, number } from './config.ts';
import type { Facts } from './fact-lines.ts';
import { type Layer, layerOf, turns } from './layers.ts';
import { type RopeParameters, ropeParameters, scalingOf, snakeCase } from './rope-parameters.ts';

/** What a config does not say of a language model; see `RotaryFromConfigOptions`. */
export interface Given {
  readonly layerType?: string;
  readonly layer?: number;
  readonly layout?: RotaryLayout;
  readonly offset?: number;
  readonly positions?: PositionList;
  readonly queryPositions?: PositionList;
}

const where = 'rotaryFromConfig';

/** The rotation of a language model's layer, from its own config and what is known of its type. @throws TypeError, RangeError */
export function textRotation(own: HfConfig, model: string, facts: Facts, given: Given): Encoding {
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

function layoutOf(config: HfConfig, facts: Facts, given: Given): { layout: RotaryLayout; layoutOut?: RotaryLayout } {
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

function ropeOf(config: HfConfig, model: string, facts: Facts, parameters: RopeParameters, layer: Layer, given: Given): Rope {
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
