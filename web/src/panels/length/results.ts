// What was computed, and what it comes to: means, and differences with their errors.
import { BLOCK } from './losses.ts';
import { type SchemeName, TRAINED } from './schemes.ts';

/** Losses by block of the text, for schemes and windows. */
export type Results = ReadonlyMap<string, Float32Array>;

export const keyOf = (scheme: SchemeName, window: number): string => `${scheme} ${window}`;

const mean = (list: ArrayLike<number>): number => Array.from(list).reduce((sum, x) => sum + x, 0) / list.length;

/** The mean loss of a scheme in windows of a length, in nats a byte; undefined while it is not computed. */
export function meanLoss(results: Results, scheme: SchemeName, window: number): number | undefined {
  const losses = results.get(keyOf(scheme, window));
  return losses?.length ? mean(losses) : undefined;
}

/** The mean of each block of the window over all windows, [window / 32]. */
export function byPosition(blocks: ArrayLike<number>, window: number): number[] {
  const places = window / BLOCK;
  const list = Array.from(blocks);
  return Array.from({ length: places }, (_, place) => mean(list.filter((_, n) => n % places === place)));
}

/** A difference of means, and its standard error. */
export interface Difference {
  readonly mean: number;
  readonly error: number;
}

/** So many windows are enough for the error of their mean. */
const ENOUGH = 3;

/**
 * How much the first lost more than the second on what both read, block by block. The error is that of the mean over windows, which do not overlap;
 * of fewer than three it is that of the mean over parts as long as the windows of the training.
 */
export function difference(first: Float32Array, second: Float32Array, window: number): Difference {
  const common = Math.min(first.length, second.length);
  const size = (common * BLOCK < ENOUGH * window ? TRAINED : window) / BLOCK;
  const count = Math.floor(common / size);
  const each = Array.from({ length: count }, (_, n) => {
    const part = (of: Float32Array): number => mean(of.subarray(n * size, (n + 1) * size));
    return part(first) - part(second);
  });
  const middle = mean(each);
  const spread = each.reduce((sum, x) => sum + (x - middle) ** 2, 0);
  return { mean: middle, error: count > 1 ? Math.sqrt(spread / (count - 1) / count) : Number.POSITIVE_INFINITY };
}

/** The same scheme in longer windows against shorter ones; undefined while one is not computed. */
export function rise(results: Results, scheme: SchemeName, long: number, short: number): Difference | undefined {
  const [first, second] = [long, short].map((window) => results.get(keyOf(scheme, window)));
  return first?.length && second?.length ? difference(first, second, long) : undefined;
}

/** The same by place in the longer window, [long / 32]: where the difference comes from. */
export function riseByPosition(results: Results, scheme: SchemeName, long: number, short: number): number[] | undefined {
  const [first, second] = [long, short].map((window) => results.get(keyOf(scheme, window)));
  if (!first?.length || !second?.length) return undefined;
  return byPosition(
    first.map((x, n) => x - (second[n] as number)),
    long,
  );
}
