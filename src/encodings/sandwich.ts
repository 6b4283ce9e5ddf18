import { integer, options, wrongValue } from '../arguments/check.ts';
import type { Encoding } from '../plan/plan.ts';
import { withBiases } from '../plan/with-biases.ts';
import { checkBase } from '../rope/rope-scaling.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `sandwich`. */
export interface SandwichOptions {
  /** Query heads, H. */
  readonly heads: number;
  /** Width of the sinusoids, d̄ (NeMo's `hidden_size`); even; default 128. */
  readonly width?: number;
  /** Base of the frequencies; default 10000. */
  readonly theta?: number;
}

/**
 * Sandwich: b_h = (Σ_{t=1…d̄/2} cos((i − j) / θ^(2t/d̄)) − d̄/2) / (8h/H) for the heads h = 1 … H. It is the product of the sinusoids of two
 * positions, lowered to 0 at the diagonal, and has no parameters; head H keeps the least of it.
 *
 * Chi et al. 2022, arXiv 2212.10356; NVIDIA NeMo.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = sandwich({ heads: 12, width: 128 });
 * ```
 */
export function sandwich(given: SandwichOptions): Encoding {
  const where = 'sandwich';
  given = options(where, given, ['heads', 'width', 'theta']);
  const heads = integer(where, 'heads', given.heads, 1, 65536);
  const width = integer(where, 'width', given.width ?? 128, 2, 65536);
  if (width % 2) throw wrongValue(where, 'width', 'an even number', width);
  const theta = checkBase(where, given.theta ?? 10000);
  return withBiases({
    name: where,
    steady: true,
    lower: ({ math }) => ({
      biases: [
        {
          kind: 'offset',
          heads,
          variant: '',
          fill(out, first, count) {
            const frequencies = Float64Array.from({ length: width / 2 }, (_, t) => math.pow(theta, (-2 * (t + 1)) / width));
            for (let n = 0; n < count; n++) {
              const sum = frequencies.reduce((total, f) => total + math.cos((first + n) * f) - 1, 0);
              for (let h = 0; h < heads; h++) out[h * count + n] = (sum * heads) / (8 * (h + 1));
            }
          },
        },
      ],
    }),
  });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'sandwich',
    formula: 'b = (Σ_t cos((i − j) / theta^(2t/width)) − width/2) / (8h/H)',
    options: 'heads, width, theta',
    models: 'Sandwich, NeMo',
    make: sandwich,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  sandwich: { kind: 'offset bias', options: ({ H }) => ({ heads: H }) },
};
