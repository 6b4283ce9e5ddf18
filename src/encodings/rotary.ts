import { options } from '../arguments/check.ts';
import { type PositionList, positionList } from '../arguments/positions.ts';
import { withHandlers } from '../plan/handlers.ts';
import type { Encoding } from '../plan/plan.ts';
import { checkDim, checkLayout, isSteady, lowerRope, type RotaryLayout, type RotarySense } from '../rope/rope.ts';
import { checkBase, checkScaling, type RopeScaling } from '../rope/rope-scaling.ts';
import type { Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** Options of `rotary`. */
export interface RotaryOptions {
  /** Channels that turn, R: even, at most D. The others pass through. */
  readonly dim: number;
  /** Base of the frequencies, b; at least 1e-6. */
  readonly theta: number;
  /** Which channels form a pair: `'halves'` (i, i + R/2: LLaMA, NeoX) or `'pairs'` (2i, 2i + 1: GPT-J). Never guessed. */
  readonly layout: RotaryLayout;
  /** Where a pair goes; default where it came from. DeepSeek-V3 reads pairs and writes halves; the scores do not change. */
  readonly layoutOut?: RotaryLayout;
  /** First channel that turns; default 0. `'end'`: the last R channels turn, [nope | rope]. */
  readonly start?: number | 'end';
  /** What is done to the frequencies for sequences longer than the trained ones; default `{ type: 'default' }`, nothing. */
  readonly scaling?: RopeScaling;
  /** Added to every position; default 0. */
  readonly offset?: number;
  /**
   * Which way pairs turn: `'forward'`, the default, by φ: x·cos φ − y·sin φ, x·sin φ + y·cos φ; `'backward'` by −φ, for models whose
   * `rotate_half` gives (y, −x) (nanochat). The scores are those of offsets turned round: q and k of one model need its own sense.
   */
  readonly sense?: RotarySense;
  /** Positions of the keys; the queries take the last L of them, or `queryPositions`. Default 0 … S − 1. */
  readonly positions?: PositionList;
  /** Positions of the queries, [L] or [B][L]. */
  readonly queryPositions?: PositionList;
}

/**
 * Rotary position embedding: pair i of q and k turns by the angle position · f_i, f_i = b^(−2i/R), so that q·k depends on the offset
 * alone. Angles are computed in f64, cosine and sine rounded to f32.
 *
 * `scaling` changes the frequencies, and for YaRN and LongRoPE multiplies cosine and sine by an attention factor a, hence the scores of
 * the turning channels by a². `'dynamic'` and `'longrope'` depend on the sequence's length, which is S, or the largest position + 1:
 * keys cached before the length passed the switch must be turned anew.
 *
 * Su et al. 2021, arXiv 2104.09864. Config keys: `rope_theta`, `partial_rotary_factor` (dim = factor · head_dim), `head_dim`,
 * `rope_scaling` or `rope_parameters`; `rotaryFromConfig` reads them.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const encoding = rotary({ dim: 64, theta: 10000, layout: 'halves' });
 * const longer = rotary({
 *   dim: 128,
 *   theta: 500000,
 *   layout: 'halves',
 *   scaling: { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositionEmbeddings: 8192 },
 * });
 * ```
 */
export function rotary(given: RotaryOptions): Encoding {
  const where = 'rotary';
  given = options(where, given, [
    'dim',
    'theta',
    'layout',
    'layoutOut',
    'start',
    'scaling',
    'offset',
    'sense',
    'positions',
    'queryPositions',
  ]);
  const width = checkDim(where, given.dim);
  const theta = checkBase(where, given.theta);
  const shared = checkLayout(where, given);
  const scaling = checkScaling(where, given.scaling ?? { type: 'default' }, width, (key) => (key ? `scaling.${key}` : 'scaling'));
  const keys = positionList(where, 'positions', given.positions);
  const queries = positionList(where, 'queryPositions', given.queryPositions);
  const rope = { where, width, theta, scaling, ...shared, keys, queries };
  return withHandlers({ name: where, steady: isSteady(rope), lower: (context) => lowerRope(rope, context) });
}

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'rotary',
    formula: 'q, k turned by position · theta^(−2i/dim) in pair i',
    options: 'dim, theta, layout, layoutOut, start, scaling, offset, sense, positions, queryPositions',
    models: 'LLaMA, Mistral, Qwen, Gemma, Phi, GPT-NeoX (halves); GPT-J, CodeGen, Cohere (pairs)',
    make: rotary,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  rotary: { kind: 'rotation', options: ({ D }) => ({ dim: D, theta: 10000, layout: 'halves' }) },
};
