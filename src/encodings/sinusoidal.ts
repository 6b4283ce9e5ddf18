import { finite, integer, oneOf, options, wrongValue } from '../arguments/check.ts';
import { once } from '../plan/once.ts';
import type { Arithmetic, Encoding, LowerContext } from '../plan/plan.ts';
import { withTerms } from '../plan/with-terms.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';
import { sinusoidRows } from './sinusoid-rows.ts';

/** How sines and cosines share the channels: `'interleaved'` (sin, cos, sin, cos …: the paper) or `'halves'` (all sines, then all cosines). */
export type SinusoidLayout = 'interleaved' | 'halves';

/** Options of `sinusoids`. */
export interface SinusoidOptions {
  /** Default 10000. */
  readonly base?: number;
  /** Default `'interleaved'`. */
  readonly layout?: SinusoidLayout;
  /** Position of the first row; default 0. */
  readonly offset?: number;
}

/**
 * The absolute sinusoidal table, [rows, width]: PE(p, 2i) = sin(p · base^(−2i/width)), PE(p, 2i + 1) the cosine. Add it to the input.
 *
 * Vaswani et al. 2017, arXiv 1706.03762. `math` is an engine's: JavaScript's own sine differs between hosts.
 *
 * @throws TypeError, RangeError if an argument is wrong
 * @example
 * ```ts
 * const engine = createEngineSync();
 * const table = sinusoids(engine.math, 128, 64);
 * engine.dispose();
 * ```
 */
export function sinusoids(math: Arithmetic, rows: number, width: number, given: SinusoidOptions = {}): Float32Array {
  const where = 'sinusoids';
  given = options(where, given, ['base', 'layout', 'offset']);
  const base = finite(where, 'base', given.base ?? 10000, 0);
  const layout = oneOf(where, 'layout', given.layout ?? 'interleaved', ['interleaved', 'halves']);
  const offset = finite(where, 'offset', given.offset ?? 0);
  integer(where, 'rows', rows, 0);
  integer(where, 'width', width, 1, 65536);
  return sinusoidRows(math, rows, width, { base, halves: layout === 'halves', offset });
}

/** Options of `sinusoidal`. */
export interface SinusoidalOptions {
  /** k: offsets beyond ±k share the table's first and last row. */
  readonly maxDistance: number;
  /** Default 10000. */
  readonly base?: number;
  /** Default `'interleaved'`. */
  readonly layout?: SinusoidLayout;
}

/**
 * Relative sinusoids: s = scale · qᵢ·(kⱼ + P[clip(i − j, −k, k) + k]), P the sinusoidal table of 2k + 1 rows of width D, row n at position n.
 * The fixed-table form of `shaw`.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = sinusoidal({ maxDistance: 64 });
 * ```
 */
export function sinusoidal(given: SinusoidalOptions): Encoding {
  const where = 'sinusoidal';
  given = options(where, given, ['maxDistance', 'base', 'layout']);
  const k = integer(where, 'maxDistance', given.maxDistance, 0, 2 ** 24);
  const { base = 10000, layout = 'interleaved' } = given;
  finite(where, 'base', base, 0);
  oneOf(where, 'layout', layout, ['interleaved', 'halves']);
  const tableOf = once(
    ({ shape, math }: LowerContext) => sinusoids(math, 2 * k + 1, shape.D, { base, layout }),
    ({ shape }) => [shape.D],
  );
  return withTerms({
    name: where,
    lower(context) {
      const table = tableOf(context);
      const row = (offset: number): number => Math.max(-k, Math.min(k, -offset)) + k;
      return { terms: [{ kind: 'query', table, heads: 1, rows: { kind: 'offset', row, variant: '' } }] };
    },
  });
}

/**
 * A table of rows given by two thin factors: left [rows, rank] · right [rank, width] = [rows, width]. For any option that takes a table.
 *
 * @throws RangeError if the sizes do not fit
 * @example
 * ```ts
 * const keys = lowRank(new Float32Array(33 * 4), new Float32Array(4 * 64), 4);
 * const encoding = shaw({ left: 16, right: 16, keys });
 * ```
 */
export function lowRank(left: Float32Array, right: Float32Array, rank: number): Float32Array {
  integer('lowRank', 'rank', rank, 1);
  if (left.length % rank) throw wrongValue('lowRank', 'left', `[rows, rank=${rank}]`, left);
  if (right.length % rank) throw wrongValue('lowRank', 'right', `[rank=${rank}, width]`, right);
  const width = right.length / rank;
  return Float32Array.from({ length: (left.length / rank) * width }, (_, n) => {
    const row = Math.floor(n / width);
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += (left[row * rank + r] as number) * (right[r * width + (n % width)] as number);
    return sum;
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'sinusoidal',
    formula: 's = scale · q·(k + P[clip(i − j) + k])',
    options: 'maxDistance, base, layout',
    models: 'Transformer (relative, fixed table)',
    make: sinusoidal,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  sinusoidal: { kind: 'table', options: () => ({ maxDistance: 16 }) },
};
