import { oneOf, options, shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { copySizes } from '../arguments/lists.ts';
import { type PositionList, positionList } from '../arguments/positions.ts';
import { withHandlers } from '../plan/handlers.ts';
import type { Encoding } from '../plan/plan.ts';
import { checkDim, checkLayout, isSteady, lowerRope, type RotaryLayout } from '../rope/rope.ts';
import { checkBase, checkScaling, type RopeScaling } from '../rope/rope-scaling.ts';
import { pageOfWords, type Recipes } from './recipe.ts';
import type { Scheme } from './scheme.ts';

/** How the pairs are dealt out to the axes. */
export type MropeArrangement = 'chunked' | 'interleaved' | 'alternating' | 'channels';

/** Options of `mrope`. */
export interface MropeOptions {
  /** Channels that turn, R: even, at most D. */
  readonly dim: number;
  /** Base of the frequencies (`rope_theta`); at least 1e-6. */
  readonly theta: number;
  readonly layout: RotaryLayout;
  /** Pairs of each section (`mrope_section`). */
  readonly sections: readonly number[];
  /**
   * - `'chunked'`, the default: the first pairs belong to section 0, the next to section 1 and so on.
   * - `'interleaved'`: pair i belongs to section i mod n while i < n·(its size), else to section 0.
   * - `'alternating'`: sections 0 and 1 take turns, pair by pair; the others follow.
   * - `'channels'`: as `'chunked'`, but twice the sections are dealt out to the R channels, first those of all pairs' first channels, then
   *   those of the second ones (HunYuan-VL). The two channels of a pair may then follow different axes: x' = x·cos φ − y·sin φ,
   *   y' = x·sin ψ + y·cos ψ, which is no rotation, unless all axes stand at one position as in text.
   */
  readonly arrangement?: MropeArrangement;
  /** The axis that each section reads; default 0, 1, 2 … */
  readonly axisOrder?: readonly number[];
  /** [axes][S] or [axes][B][S] in one array; the queries take the last L. Without positions all axes run 0 … S − 1, as in plain text. */
  readonly positions?: PositionList;
  /** [axes][L] or [axes][B][L]. */
  readonly queryPositions?: PositionList;
  readonly scaling?: RopeScaling;
  readonly start?: number | 'end';
  readonly layoutOut?: RotaryLayout;
  /** Added to every position; default 0. */
  readonly offset?: number;
}

/** Which axis each pair reads, or with `'channels'` each channel. @throws RangeError if the sections do not fill the pairs */
export function mropeAxes(
  where: string,
  pairs: number,
  sections: readonly number[],
  arrangement: MropeArrangement,
  order: readonly number[],
): number[] {
  const axisAt = (section: number): number => order[section] as number;
  if (arrangement === 'interleaved') {
    return Array.from({ length: pairs }, (_, i) => {
      const section = i % sections.length;
      return axisAt(i < sections.length * (sections[section] as number) ? section : 0);
    });
  }
  const sum = sections.reduce((total, n) => total + n, 0);
  if (sum !== pairs) throw wrongValue(where, 'sections', `${pairs} pairs in all`, `${shapeText(sections)}, ${sum} pairs`);
  const width = arrangement === 'channels' ? 2 : 1;
  const chunks = sections.flatMap((n, section) => Array.from({ length: n * width }, () => section));
  if (arrangement === 'alternating') {
    const [first = 0, second = 0] = sections;
    if (first !== second) throw wrongValue(where, 'sections', 'two sections of one size to alternate', sections);
    for (let i = 0; i < first + second; i++) chunks[i] = i % 2;
  }
  return chunks.map(axisAt);
}

/**
 * Multimodal rotary embedding: a token has a position on several axes (time, row, column), and every pair turns with one of them. The
 * frequencies b^(−2i/R) run on from section to section.
 *
 * Wang et al. 2024, arXiv 2409.12191. Chunked: Qwen2-VL, Qwen2.5-VL, PaddleOCR-VL and GLM-4V (`layout: 'pairs'`); interleaved: Qwen3-VL,
 * Qwen3.5; alternating: ERNIE 4.5-VL (`layout: 'pairs'`, `axisOrder: [1, 2, 0]` for sections of rows, columns and time); channels:
 * HunYuan-VL, which normalises q and k after it. Text has the same position on all axes. `visionPositions` and `mropePositions` make the
 * lists. Config keys: `mrope_section` (HunYuan: `xdrope_section`), `rope_theta`.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * // Two words, an image of 1 × 2 patches, a word: time, rows, columns.
 * const positions = [0, 1, 2, 2, 4, 0, 1, 2, 2, 4, 0, 1, 2, 3, 4];
 * const encoding = mrope({ dim: 128, theta: 1000000, layout: 'halves', sections: [16, 24, 24], positions });
 * ```
 */
export function mrope(given: MropeOptions): Encoding {
  const where = 'mrope';
  given = options(where, given, [
    'dim',
    'theta',
    'layout',
    'sections',
    'arrangement',
    'axisOrder',
    'positions',
    'queryPositions',
    'scaling',
    'start',
    'layoutOut',
    'offset',
  ]);
  const width = checkDim(where, given.dim);
  const theta = checkBase(where, given.theta);
  const sections = counts(where, 'sections', given.sections);
  const arrangement = oneOf(where, 'arrangement', given.arrangement ?? 'chunked', ['chunked', 'interleaved', 'alternating', 'channels']);
  const order = counts(where, 'axisOrder', given.axisOrder ?? sections.map((_, i) => i));
  if (order.length !== sections.length) throw wrongValue(where, 'axisOrder', `${sections.length} axes, one for each section`, order);
  const axisOf = mropeAxes(where, width / 2, sections, arrangement, order);
  const scaling = checkScaling(where, given.scaling ?? { type: 'default' }, width, (key) => (key ? `scaling.${key}` : 'scaling'));
  if (given.queryPositions !== undefined && given.positions === undefined) {
    throw wrongType(where, 'positions', 'the positions of the keys beside those of the queries', given.positions);
  }
  const rope = {
    where,
    width,
    theta,
    scaling,
    ...checkLayout(where, given),
    axisOf,
    axes: Math.max(...order) + 1,
    keys: positionList(where, 'positions', given.positions),
    queries: positionList(where, 'queryPositions', given.queryPositions),
  };
  return withHandlers({ name: where, steady: isSteady(rope), lower: (context) => lowerRope(rope, context) });
}

const counts = (where: string, name: string, given: unknown): number[] => copySizes(where, name, given, 0, 256);

/** For the registry. */
export const schemes: readonly Scheme[] = [
  {
    name: 'mrope',
    formula: 'q, k turned by position(axis of i) · theta^(−2i/dim) in pair i',
    options: 'dim, theta, layout, sections, arrangement, axisOrder, positions, queryPositions, scaling, start, layoutOut, offset',
    models: 'Qwen2-VL, PaddleOCR-VL, GLM-4V (chunked); Qwen3-VL (interleaved); ERNIE 4.5-VL (alternating); HunYuan-VL (channels)',
    make: mrope,
  },
];

/** For timing and pictures; no part of the package. */
export const recipes: Recipes = {
  mrope: {
    kind: 'rotation',
    options: ({ L, D }) => ({
      dim: D,
      theta: 100,
      layout: 'halves',
      sections: [D / 8, (3 * D) / 16, (3 * D) / 16],
      positions: pageOfWords(L),
    }),
  },
};
