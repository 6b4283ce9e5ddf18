import { three } from '../../ui/numbers.ts';

/** Four digits behind the point, so that parts can be added up by eye. */
export function four(x: number): string {
  const size = Math.abs(x);
  if (!Number.isFinite(x) || size >= 10_000 || (size > 0 && size < 0.00005)) return three(x);
  return `${x < 0 ? '−' : ''}${size.toFixed(4)}`;
}

/** A number to be added, with its sign before it. */
export const signed = (x: number): string => (x < 0 ? four(x).replace('−', '− ') : `+ ${four(x)}`);

/** A share of 1. */
export function percent(p: number): string {
  if (p === 0) return '0 %';
  return p < 0.0001 ? `${three(100 * p)} %` : `${(100 * p).toFixed(2)} %`;
}
