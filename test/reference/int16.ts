/**
 * How far precision `'int16'` may be from the formula, derived from its definition (docs/numerics.md). Roundings are taken as independent; six
 * standard deviations of each count.
 *
 *   rows     x̂/c is off by 1/(c·√12) a channel, so a score by δ = |scale|·(‖k‖/c_q + ‖q‖/c_k)/√12
 *   weights  a score that is off by δ moves the output by at most e^2δ − 1 times the largest value
 *            each of n weights is a difference of two roundings, off by 1/√6 of a unit, of which Σ t holds 520000 or the largest t 32766
 *   values   round to 1/8190 of the largest of their row, and no more
 */
import type { Inputs, Sizes } from './attention.ts';

/** Keys of a block: the weights of each are rounded by themselves, and those of several blocks are shares of one sum. */
const BLOCK = 192;

/** The largest norm and the largest 1/c of some rows. */
function rowsOf(data: ArrayLike<number>, width: number): { norm: number; unit: number } {
  let [norm, unit] = [0, 0];
  for (let at = 0; at < data.length; at += width) {
    let [sum, most] = [0, 0];
    for (let d = 0; d < width; d++) {
      const x = Math.abs(data[at + d] as number);
      sum += x * x;
      most = Math.max(most, x);
    }
    norm = Math.max(norm, Math.sqrt(sum));
    unit = Math.max(unit, most / 32767, Math.sqrt(sum) / 46300);
  }
  return { norm, unit };
}

/** The bounds on the output and the log-sum-exp of a call; those of f32 are added, as a unit of its own. `given`: the scale, if it is not 1/√D. */
export function boundOfInt16({ q, k, v }: Inputs, { S, D }: Pick<Sizes, 'S' | 'D'>, given?: number): { out: number; lse: number } {
  const scale = Math.abs(given ?? 1 / Math.sqrt(D));
  const [query, key] = [rowsOf(q, D), rowsOf(k, D)];
  const score = (6 / Math.sqrt(12)) * scale * (query.unit * key.norm + query.norm * key.unit);
  const weights = (6 / Math.sqrt(6)) * Math.sqrt(Math.min(S, BLOCK)) * (1 / 520000 + 1 / 32766);
  const largest = Array.from(v).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  // Elsewhere f32 rounds: scores of size x by some units of 2^−24·x, and their logarithm of a sum too.
  const rest = 16 * 2 ** -24 * (1 + scale * query.norm * key.norm);
  return { out: largest * (Math.expm1(2 * (score + rest)) + weights + 1 / 8190), lse: score + rest + 2 ** -20 };
}
