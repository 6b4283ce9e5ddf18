/** Which keys a query sees, as formulas; query i stands at i + S − L. */
import type { Point, Sizes } from './attention.ts';

type Visible = (at: Point) => boolean;

/** j ≤ i + (S − L). */
export const causal =
  ({ L, S }: Pick<Sizes, 'L' | 'S'>): Visible =>
  ({ i, j }) =>
    j <= i + S - L;

/** j ≤ i + offset. */
export const causalFrom =
  (offset: number): Visible =>
  ({ i, j }) =>
    j <= i + offset;

/** i + (S − L) − left ≤ j ≤ i + (S − L) + right. */
export function window(
  { L, S }: Pick<Sizes, 'L' | 'S'>,
  { left = Infinity, right = Infinity }: { left?: number; right?: number },
): Visible {
  return ({ i, j }) => i + S - L - left <= j && j <= i + S - L + right;
}

/** j < lengths[b]. */
export const keyLengths =
  (lengths: ArrayLike<number>): Visible =>
  ({ b, j }) =>
    j < (lengths[b] as number);

export const all =
  (...masks: readonly Visible[]): Visible =>
  (at) =>
    masks.every((mask) => mask(at));
