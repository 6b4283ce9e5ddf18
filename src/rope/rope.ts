// What the rotary constructors share: from frequencies, sections and positions to a rotation.

import { finite, integer, oneOf, wrongValue } from '../arguments/check.ts';
import { WIDEST_HEAD } from '../arguments/limits.ts';
import { placeOf } from '../arguments/lists.ts';
import { explicitPositions, type Lists, lengthOf } from '../arguments/positions.ts';
import type { LowerContext, Plan, Rotation } from '../plan/plan.ts';
import { type RopeScaling, scaledFrequencies } from './rope-scaling.ts';

export type RotaryLayout = 'halves' | 'pairs';

/** Which way pairs turn: by the angle φ, x' = x·cos φ − y·sin φ and y' = x·sin φ + y·cos φ, or by −φ. */
export type RotarySense = 'forward' | 'backward';

/** A checked rotary scheme. */
export interface Rope extends Lists {
  /** R, by which the exponents are divided; if it is odd, one more channel turns. */
  readonly width: number;
  /** The plan, where it never changes. */
  kept?: Plan & { rotation: Rotation };
  readonly theta: number;
  readonly scaling: RopeScaling;
  readonly layout: RotaryLayout;
  readonly layoutOut?: RotaryLayout | undefined;
  /** First channel that turns; `'end'`: so that the last ones turn. */
  readonly start: number | 'end';
  /** Default `'forward'`. */
  readonly sense?: RotarySense;
  /** Which of the frequencies each pair has; default its own. */
  readonly order?: readonly number[] | undefined;
  /** Which axis each pair reads, [R/2], or each channel, first channels of the pairs first, [R]; default one axis. */
  readonly axisOf?: readonly number[] | undefined;
}

/** Options that rotary constructors have in common, checked. */
export function checkLayout(
  where: string,
  given: { layout?: unknown; layoutOut?: unknown; start?: unknown; offset?: unknown; sense?: unknown },
): Pick<Rope, 'layout' | 'layoutOut' | 'start' | 'offset' | 'sense'> {
  const layouts = ['halves', 'pairs'] as const;
  return {
    layout: oneOf(where, 'layout', given.layout, layouts),
    layoutOut: given.layoutOut === undefined ? undefined : oneOf(where, 'layoutOut', given.layoutOut, layouts),
    start: given.start === 'end' ? 'end' : integer(where, 'start', given.start ?? 0, 0, 510),
    offset: finite(where, 'offset', given.offset ?? 0),
    sense: oneOf(where, 'sense', given.sense ?? 'forward', ['forward', 'backward']),
  };
}

/** An even number of channels. */
export function checkDim(where: string, given: unknown): number {
  const dim = integer(where, 'dim', given, 2, WIDEST_HEAD);
  if (dim % 2) throw wrongValue(where, 'dim', 'an even number', dim);
  return dim;
}

/** The first channel of R that turn in a head of D. */
export function startOf(where: string, start: number | 'end', dim: number, D: number): number {
  if (start !== 'end') return start;
  if (dim > D) throw wrongValue(where, 'dim', `at most D=${D}`, dim);
  return D - dim;
}

/** How many positions the sequence has, on which the frequencies of dynamic and LongRoPE scaling depend. */
export function reachOf({ offset, keys, queries }: Rope, context: LowerContext): number {
  return Math.max(keys ? lengthOf(keys) : (context.length ?? placeOf(context).totalKeys), queries ? lengthOf(queries) : 0) + offset;
}

/** True if a rotation is the same for every number of positions, and these are the standard ones. */
export function isSteady({ scaling, keys, queries }: Pick<Rope, 'scaling' | 'keys' | 'queries'>): boolean {
  return scaling.type !== 'dynamic' && scaling.type !== 'longrope' && !keys && !queries;
}

/** The rotation of a scheme for one shape. One that is always the same is made once. */
export function lowerRope(rope: Rope, context: LowerContext): Plan & { rotation: Rotation } {
  if (!isSteady(rope) || rope.start === 'end' || context.perAxis) return makePlan(rope, context);
  rope.kept ??= makePlan(rope, context);
  return rope.kept;
}

function makePlan(rope: Rope, context: LowerContext): Plan & { rotation: Rotation } {
  const { where, layout, layoutOut, offset, sense = 'forward', keys, queries } = rope;
  const { shape } = context;
  const { values: scaled, factor } = scaledFrequencies(rope, reachOf(rope, context), context.math);
  const values = rope.order ? Float64Array.from(rope.order, (i) => scaled[i] as number) : scaled;
  const explicit = keys !== undefined || queries !== undefined || context.perAxis === true;
  const signed = sense === 'forward' ? values : values.map((f) => -f);
  const { axisOf = [] } = rope;
  const second = explicit && axisOf.length > values.length ? spread(signed, axisOf.slice(values.length), rope.axes) : undefined;
  return {
    rotation: {
      dim: 2 * values.length,
      start: startOf(where, rope.start, 2 * values.length, shape.D),
      layout,
      ...(layoutOut && { layoutOut }),
      frequencies: explicit && axisOf.length ? spread(signed, axisOf, rope.axes) : signed,
      ...(second && { second }),
      factor,
      offset,
      ...explicitPositions(rope, context),
    },
  };
}

/** Frequencies as [axes][R/2]: each in the line of its axis. Without positions the axes are all the same, and one line is enough. */
function spread(values: Float64Array, axisOf: readonly number[], axes = 1): Float64Array {
  const matrix = new Float64Array(axes * values.length);
  values.forEach((f, i) => {
    matrix[(axisOf[i] as number) * values.length + i] = f;
  });
  return matrix;
}
