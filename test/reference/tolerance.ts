/**
 * The rule on accuracy: our largest error against the f64 reference is at most twice that of a naive f32 evaluation of the same formula.
 *
 * On a few numbers a naive evaluation can be right by luck, so it is also measured on fresh inputs of the same sizes and options, until
 * `ENOUGH` visible scores have been met; the largest error over all of them counts. Where all its operations are exact (one key, whole
 * numbers), fresh inputs do not help; so its error is never taken to be less than half a unit in the last place of the largest result, which
 * is what a result of that size costs in f32 to write down. Nothing else is added.
 */
import { expect } from 'vitest';
import { numbers } from '../conformance/numbers.ts';
import { attention, type Inputs, type Outputs, type ReferenceOptions, type Sizes } from './attention.ts';

const ENOUGH = 8000;

/** Uniform inputs in [−amplitude, amplitude). */
export function draw({ B, H, G, L, S, D, E }: Sizes, seed: number, amplitude = 1): Inputs & Record<'q' | 'k' | 'v', Float32Array> {
  const tensor = (count: number, n: number): Float32Array => numbers(count, 97 * seed + n).map((x) => x * amplitude);
  return { q: tensor(B * H * L * D, 1), k: tensor(B * G * S * D, 2), v: tensor(B * G * S * E, 3) };
}

/** Largest |a − b|; numbers that are equal, infinities among them, differ by 0. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let worst = a.length === b.length ? 0 : Number.NaN;
  for (let n = 0; n < a.length; n++) {
    const [x, y] = [a[n] as number, b[n] as number];
    if (x !== y) worst = Math.max(worst, Math.abs(x - y));
  }
  return worst;
}

/** Half a unit in the last place, in f32, of the largest finite number. */
export function halfUnit(values: Float64Array): number {
  const largest = values.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
  return largest === 0 ? 0 : 2 ** (Math.floor(Math.log2(largest)) - 24);
}

/** Errors of a naive f32 evaluation of one case. */
export function naiveErrors(inputs: Inputs, sizes: Sizes, options: ReferenceOptions, truth: Outputs): { out: number; lse: number } {
  const naive = attention(inputs, sizes, options, Math.fround);
  return { out: distance(naive.out, truth.out), lse: distance(naive.lse, truth.lse) };
}

/** A call of ours and what it was given. */
export interface Result {
  readonly inputs: Inputs;
  readonly sizes: Sizes;
  readonly options?: ReferenceOptions;
  readonly out: ArrayLike<number>;
  readonly lse?: ArrayLike<number>;
  /** Scores to be met in all; default ENOUGH. */
  readonly enough?: number;
  /** Of the inputs, for the further draws. */
  readonly amplitude?: number;
}

/** Asserts the rule. */
export function expectAccurate({ inputs, sizes, options = {}, out, lse, enough = ENOUGH, amplitude = 1 }: Result): void {
  const truth = attention(inputs, sizes, options);
  const bound = naiveErrors(inputs, sizes, options, truth);
  bound.out = Math.max(bound.out, halfUnit(truth.out));
  bound.lse = Math.max(bound.lse, halfUnit(truth.lse));
  const repeats = truth.visible === 0 ? 0 : Math.ceil(enough / truth.visible) - 1;
  for (let seed = 1; seed <= repeats; seed++) {
    const fresh = draw(sizes, seed, amplitude);
    const errors = naiveErrors(fresh, sizes, options, attention(fresh, sizes, options));
    bound.out = Math.max(bound.out, errors.out);
    bound.lse = Math.max(bound.lse, errors.lse);
  }
  expect(out.length).toBe(truth.out.length);
  expect(distance(out, truth.out)).toBeLessThanOrEqual(2 * bound.out);
  if (lse) expect(distance(lse, truth.lse)).toBeLessThanOrEqual(2 * bound.lse);
}
