import { finite, options, wrongValue } from '../arguments/check.ts';
import { placeOf } from '../arguments/lists.ts';
import { type PositionList, positionList } from '../arguments/positions.ts';
import { withHandlers } from '../plan/handlers.ts';
import type { Encoding } from '../plan/plan.ts';
import { checkDim, checkLayout, lowerRope, type RotaryLayout } from '../rope/rope.ts';
import { checkBase } from '../rope/rope-scaling.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `xpos`. */
export interface XposOptions {
  /** Channels that turn, R: even, at most D. */
  readonly dim: number;
  /** Base of the frequencies; at least 1e-6. */
  readonly theta: number;
  readonly layout: RotaryLayout;
  /** Positions over which pair i decays by ζ_i; default 512 (`scale_base`). */
  readonly scaleBase?: number;
  /** Position c at which nothing is scaled; default 0. It cancels in q·k but keeps the factors in range, and must stay the same as long as
   * rotated keys are kept. */
  readonly center?: number;
  readonly start?: number | 'end';
  readonly offset?: number;
  readonly positions?: PositionList;
  readonly queryPositions?: PositionList;
}

/** Largest logarithm of a factor: its product with an entry of order 1 stays far from the ends of f32. */
const LARGEST_LOGARITHM = 80;

/**
 * Extrapolatable rotary embedding: pair i turns as in `rotary`, and is multiplied by ζ_i^((p−c)/s) in q and divided by it in k,
 * ζ_i = (2i + 0.4·R)/(1.4·R), so that a score decays with the distance by ζ_i^((p_q−p_k)/s). Use it with `causal`: keys ahead of a query
 * would grow.
 *
 * Sun et al. 2022, arXiv 2212.10554; LeX, RetNet. The layout there is `'pairs'`.
 *
 * @throws TypeError, RangeError if an option is missing or wrong; RangeError from the call if a position is so far from `center` (some
 * 32000 for the default `scaleBase`) that a factor leaves the range of f32
 * @example
 * ```ts
 * const encoding = xpos({ dim: 64, theta: 10000, layout: 'pairs', scaleBase: 512, center: 1024 });
 * ```
 */
export function xpos(given: XposOptions): Encoding {
  const where = 'xpos';
  given = options(where, given, ['dim', 'theta', 'layout', 'scaleBase', 'center', 'start', 'offset', 'positions', 'queryPositions']);
  const width = checkDim(where, given.dim);
  const theta = checkBase(where, given.theta);
  const scaleBase = finite(where, 'scaleBase', given.scaleBase ?? 512, 0);
  const center = finite(where, 'center', given.center ?? 0);
  const keys = positionList(where, 'positions', given.positions);
  const queries = positionList(where, 'queryPositions', given.queryPositions);
  const rope = { where, width, theta, scaling: { type: 'default' } as const, ...checkLayout(where, given), keys, queries };
  return withHandlers({
    name: where,
    lower(context) {
      const { shape, math } = context;
      const { keyOffset, queryOffset, totalKeys } = placeOf(context);
      const { rotation } = lowerRope(rope, context);
      const growth = Float64Array.from({ length: width / 2 }, (_, i) => math.log((2 * i + 0.4 * width) / (1.4 * width)) / scaleBase);
      const explicit = [rotation.keyPositions, rotation.queryPositions].flatMap((list) => (list ? [...list.values] : []));
      const last = Math.max(context.length ?? totalKeys, queryOffset + shape.L) - 1;
      const standard = keys ? [] : [Math.min(keyOffset, queryOffset) + rope.offset, last + rope.offset];
      const farthest = [...explicit, ...standard].reduce((most, p) => Math.max(most, Math.abs(p - center)), 0);
      const largest = farthest * Math.abs(growth[0] as number);
      if (largest > LARGEST_LOGARITHM) {
        const near = Math.floor(LARGEST_LOGARITHM / Math.abs(growth[0] as number));
        throw wrongValue(where, 'center', `positions at most ${near} from it`, `one ${farthest} away from ${center}`);
      }
      return { rotation: { ...rotation, growth, center } };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'xpos',
    formula: 'rotary, q times and k over ((2i + 0.4·dim)/(1.4·dim))^((position − center)/scaleBase)',
    options: 'dim, theta, layout, scaleBase, center, start, offset, positions, queryPositions',
    models: 'LeX, RetNet',
    make: xpos,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  xpos: { kind: 'rotation', options: ({ D }) => ({ dim: D, theta: 10000, layout: 'pairs' }) },
};
