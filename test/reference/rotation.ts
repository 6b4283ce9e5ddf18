/** Rotary position embedding as the formula says it: pair (x, y) at angle φ becomes (x·cos φ − y·sin φ, x·sin φ + y·cos φ). */
import type { Turn } from './attention.ts';

export interface RotationOptions {
  /** Channels that turn, from `start` on. */
  readonly dim: number;
  readonly start?: number;
  readonly theta: number;
  readonly layout: 'halves' | 'pairs';
  /** Added to every position. */
  readonly offset?: number;
  readonly inverse?: boolean;
}

/** Channels of pair n. */
export function pair(n: number, { dim, layout, start = 0 }: RotationOptions): [number, number] {
  return layout === 'halves' ? [start + n, start + n + dim / 2] : [start + 2 * n, start + 2 * n + 1];
}

/** Turns rows by position · theta^(−2n/dim). Angles are f64 in any case; cosine and sine are rounded with the rest. */
export function turn(options: RotationOptions): Turn {
  const { dim, theta, offset = 0, inverse = false } = options;
  return (row, position, round) => {
    const turned = [...row];
    for (let n = 0; n < dim / 2; n++) {
      const [first, second] = pair(n, options);
      const angle = (position + offset) * theta ** ((-2 * n) / dim);
      const c = round(Math.cos(angle));
      const s = round(Math.sin(inverse ? -angle : angle));
      const x = row[first] as number;
      const y = row[second] as number;
      turned[first] = round(round(x * c) - round(y * s));
      turned[second] = round(round(x * s) + round(y * c));
    }
    return turned;
  };
}
