import { integer, options, wrongValue } from '../arguments/check.ts';
import { expectSize, readTable, type Table } from '../arguments/checkpoint-tables.ts';
import type { Encoding } from '../plan/plan.ts';
import { withTerms } from '../plan/with-terms.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `cope`. */
export interface CopeOptions {
  /** Rows of the table, P (`npos_max`, `max_pos`): positions are clipped to P − 1. */
  readonly maxPositions: number;
  /** [P, D], or [heads, P, D] with `heads`. The paper's code keeps it as [1, D, P]: turn it. */
  readonly table: Table;
  /** Query heads, H, if each has a table of its own; default one table for all. */
  readonly heads?: number;
}

/**
 * Contextual position encoding: b = qᵢ·E[p], p(i, j) = min(Σ σ(s(i, t)) over the visible keys t ≥ j, P − 1), rows of E interpolated. Each key
 * counts by a gate made of its own score (after scale, tables of relative positions and softcap; before biases), so that a position may
 * count words, or sentences. E meets q as it is: neither scaled nor rotated.
 *
 * Keys are counted from the last visible one back, so the call takes the last keys twice: as many as it needs to count to P − 1. In a shard
 * of the keys (`totalKeys`) it is refused: it would have to count those of others.
 *
 * Golovneva et al. 2024, arXiv 2405.18719.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = cope({ maxPositions: 64, table: new Float32Array(64 * 128) });
 * ```
 */
export function cope(given: CopeOptions): Encoding {
  const where = 'cope';
  given = options(where, given, ['maxPositions', 'table', 'heads']);
  const P = integer(where, 'maxPositions', given.maxPositions, 1, 65536);
  const heads = integer(where, 'heads', given.heads ?? 1, 1, 65536);
  const table = readTable(where, 'table', given.table);
  const D = table.length / heads / P;
  if (!Number.isInteger(D) || D < 1) throw wrongValue(where, 'table', `[heads=${heads}, maxPositions=${P}, D] numbers`, `${table.length}`);
  expectSize(where, 'table', table, heads > 1 ? [heads, P, D] : [P, D]);
  return withTerms({
    name: where,
    lower({ shape }) {
      if (shape.D !== D) throw wrongValue(where, 'table', `rows of D=${shape.D} numbers`, `${D}`);
      return { contextTable: { table, heads, variant: '' } };
    },
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'cope',
    formula: 'b = q · E[p], p = min(Σ σ(s(i, t)) over t ≥ j, P − 1)',
    options: 'maxPositions, table, heads',
    models: 'CoPE',
    make: cope,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  cope: {
    kind: 'gated positions',
    options: ({ D }, { table }) => ({ maxPositions: 64, table: table([64, D]) }),
    attention: { causal: true },
  },
};
