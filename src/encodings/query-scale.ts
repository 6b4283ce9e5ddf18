import { finite, oneOf, options, wrongValue } from '../arguments/check.ts';
import { copyNumbers, type Numbers, placeOf, standing } from '../arguments/lists.ts';
import { withHandlers } from '../plan/handlers.ts';
import type { Arithmetic, Encoding, LowerContext } from '../plan/plan.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `queryScale`, with the keys of configs in brackets. */
export interface QueryScaleOptions {
  /** `'steps'`: 1 + factor·ln(1 + ⌊(p + start)/interval⌋); `'log'`: max(1, ln(p + 1)/ln(length)); p is the query's position. */
  readonly kind: 'steps' | 'log';
  /** Positions of a step (Llama 4: `floor_scale`, 8192; Ministral 3: `original_max_position_embeddings`). */
  readonly interval?: number;
  /** What multiplies the logarithm (Llama 4: `attn_scale`, 0.1; Ministral 3: `llama_4_scaling_beta`). */
  readonly factor?: number;
  /** Added to the position; default 0. Llama 4 counts from 1. */
  readonly start?: number;
  /** Of kind `'log'`: the length that the model was trained at (Qwen: `seq_length`). */
  readonly length?: number;
  /** Of every token of the sequence, [S] or [B, S], where they are not 0, 1, 2 … */
  readonly positions?: Numbers;
}

/** Positions of the queries, [L] or [B, L]. */
function positionsOf(where: string, list: Float64Array | undefined, context: LowerContext): Float64Array {
  if (list) return standing(where, 'positions', list, context).queries;
  const { queryOffset } = placeOf(context);
  return Float64Array.from({ length: context.shape.L }, (_, i) => queryOffset + i);
}

/**
 * A scale of the query that grows with its position, so that attention over a long context stays sharp: q ← q·(1 + factor·ln(1 + ⌊(p +
 * start)/interval⌋)), or q ← q·max(1, ln(p + 1)/ln(length)). It comes after a rotation, and multiplies q in all of the score.
 *
 * Llama 4 (`attn_temperature_tuning`: `{ kind: 'steps', interval: 8192, factor: 0.1, start: 1 }`, in the layers that do not rotate alone);
 * Ministral 3; Qwen's first generation (`use_logn_attn`).
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const llama4 = queryScale({ kind: 'steps', interval: 8192, factor: 0.1, start: 1 });
 * const qwen = queryScale({ kind: 'log', length: 8192 });
 * ```
 */
export function queryScale(given: QueryScaleOptions): Encoding {
  const where = 'queryScale';
  given = options(where, given, ['kind', 'interval', 'factor', 'start', 'length', 'positions']);
  const kind = oneOf(where, 'kind', given.kind, ['steps', 'log']);
  for (const name of kind === 'steps' ? (['length'] as const) : (['interval', 'factor', 'start'] as const)) {
    if (given[name] !== undefined) throw wrongValue(where, name, `nothing beside kind '${kind}'`, given[name]);
  }
  const list = given.positions === undefined ? undefined : copyNumbers(where, 'positions', given.positions);
  const scaleAt = kind === 'steps' ? steps(where, given) : logarithm(where, given);
  return withHandlers({
    name: where,
    lower: (context) => ({
      rowScale: Float32Array.from(positionsOf(where, list, context), (p) => scaleAt(Math.max(0, p), context.math)),
    }),
  });
}

type ScaleAt = (position: number, math: Arithmetic) => number;

function steps(where: string, given: QueryScaleOptions): ScaleAt {
  const interval = finite(where, 'interval', given.interval, 0);
  const factor = finite(where, 'factor', given.factor);
  const start = finite(where, 'start', given.start ?? 0, -1);
  return (p, math) => 1 + factor * math.log(1 + Math.max(0, Math.floor((p + start) / interval)));
}

function logarithm(where: string, given: QueryScaleOptions): ScaleAt {
  const length = finite(where, 'length', given.length, 1);
  return (p, math) => Math.max(1, math.log(p + 1) / math.log(length));
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'queryScale',
    formula: 'q ← q · (1 + factor·ln(1 + ⌊(p + start)/interval⌋)), or q · max(1, ln(p + 1)/ln(length))',
    options: 'kind, interval, factor, start, length, positions',
    models: 'Llama 4, Ministral 3, Qwen',
    make: queryScale,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  queryScale: { kind: 'query scale', options: () => ({ kind: 'steps', interval: 16, factor: 1 }), picture: false },
};
