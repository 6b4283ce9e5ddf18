import { integer, options } from '../arguments/check.ts';
import { expectSize, readTable, type Table } from '../arguments/checkpoint-tables.ts';
import { once } from '../plan/once.ts';
import type { Encoding, LowerContext, RowMap } from '../plan/plan.ts';
import { withTerms } from '../plan/with-terms.ts';
import { firstColumn, type Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `distance` and `direction`. */
export interface DistanceOptions {
  /** K: offsets i − j are clipped to ±K. */
  readonly window: number;
  /** W: [D, 2]. */
  readonly weight: Table;
  /** b: [D]. */
  readonly bias: Table;
}

/** A term q·r(x) with r(x) = W·features(x) + b, x = clip(i − j, −K, K). */
function linear(
  where: string,
  given: DistanceOptions,
  features: (x: number, context: LowerContext) => readonly [number, number],
): Encoding {
  given = options(where, given, ['window', 'weight', 'bias']);
  const K = integer(where, 'window', given.window, 1, 2 ** 24);
  const weight = readTable(where, 'weight', given.weight);
  const bias = readTable(where, 'bias', given.bias);
  const totalOf = ({ shape, place }: LowerContext): number => place?.totalKeys ?? shape.S;
  const tableOf = once(
    (context: LowerContext) => {
      const { D } = context.shape;
      expectSize(where, 'weight', weight, [D, 2]);
      expectSize(where, 'bias', bias, [D]);
      const table = new Float32Array((2 * K + 1) * D);
      for (let x = -K; x <= K; x++) {
        const [first, second] = features(x, context);
        for (let d = 0; d < D; d++) {
          table[(x + K) * D + d] = (weight[2 * d] as number) * first + (weight[2 * d + 1] as number) * second + (bias[d] as number);
        }
      }
      return table;
    },
    // The side of the square changes with the keys.
    (context) => (where === 'direction' ? [context.shape.D, totalOf(context)] : [context.shape.D]),
  );
  return withTerms({
    name: where,
    lower(context) {
      const table = tableOf(context);
      const total = totalOf(context);
      const row = (offset: number): number => Math.max(-K, Math.min(K, -offset)) + K;
      const rows: RowMap = { kind: 'offset', row, variant: where === 'direction' ? String(total) : '' };
      return { terms: [{ kind: 'query', table, heads: 1, rows }] };
    },
  });
}

/**
 * Distance encoding of a clipped window: s = scale · qᵢ·(kⱼ + r(x)), r(x) = W·[cos(πx/K), sin(πx/K)] + b, x = clip(i − j, −K, K).
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = distance({ window: 32, weight: new Float32Array(64 * 2), bias: new Float32Array(64) });
 * ```
 */
export function distance(given: DistanceOptions): Encoding {
  return linear('distance', given, (x, { math }) => {
    const angle = (Math.PI * x) / given.window;
    return [math.cos(angle), math.sin(angle)];
  });
}

/** −1, 0 or 1. */
const sign = (x: number): number => (x > 0 ? 1 : x < 0 ? -1 : 0);

/**
 * Direction encoding of a clipped window, for positions that run row by row over a square of side √S:
 * s = scale · qᵢ·(kⱼ + p(r)), p(r) = W·[sgn(⌊|r|/√S⌋·r), sgn(r)]·r + b, r = clip(i − j, −K, K). The first feature tells whether a key lies
 * in a row above or below, the second whether it comes before or after.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = direction({ window: 32, weight: new Float32Array(64 * 2), bias: new Float32Array(64) });
 * ```
 */
export function direction(given: DistanceOptions): Encoding {
  return linear('direction', given, (r, { shape, place }) => {
    const side = Math.max(1, Math.sqrt(place?.totalKeys ?? shape.S));
    return [sign(Math.floor(Math.abs(r) / side) * r) * r, sign(r) * r];
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'distance',
    formula: 's = scale · q·(k + W·[cos(πx/K), sin(πx/K)] + b)',
    options: 'window, weight, bias',
    models: 'distance encoding of a clipped window',
    make: distance,
  },
  {
    name: 'direction',
    formula: 's = scale · q·(k + W·[sgn(row step), sgn(r)]·r + b)',
    options: 'window, weight, bias',
    models: 'direction encoding of a clipped window',
    make: direction,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  // The first column of the weights only, so that the picture shows the cosine, or the step.
  distance: { kind: 'table', options: ({ D }) => ({ window: 16, ...firstColumn(D) }) },
  direction: { kind: 'table', options: ({ D }) => ({ window: 16, ...firstColumn(D) }) },
};
