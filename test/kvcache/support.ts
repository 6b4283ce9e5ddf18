/** Random operands, and calls without a cache to compare with. */
import type { AttentionOptions, Engine, KVCache, Tensor } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';

/** Numbers in −1 … 1 from a seed: a linear congruential generator, so that a failure can be run again. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

export interface Sizes {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly T: number;
  readonly D: number;
  readonly E: number;
}

/** A whole sequence, [B, H, T, D], [B, G, T, D] and [B, G, T, E]. */
export interface Sequence {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

export function sequence(engine: Engine, { B, H, G, T, D, E }: Sizes, seed: number): Sequence {
  const next = generator(seed);
  const filled = (shape: number[]): Tensor =>
    engine.tensor(
      shape,
      Float32Array.from({ length: shape.reduce((a, n) => a * n, 1) }, () => 1.5 * next()),
    );
  return { q: filled([B, H, T, D]), k: filled([B, G, T, D]), v: filled([B, G, T, E]) };
}

/** Rows from … to − 1 of [B, heads, T, width], as an array. */
export function rowsOf(tensor: Tensor, from: number, to: number): Float32Array {
  using part = tensor.slice(null, null, [from, to]);
  return part.toArray();
}

/** Runs the sequence through a cache in steps of the given lengths; calls back with each output and where it begins. */
export async function stepwise(
  engine: Engine,
  { q, k, v }: Sequence,
  cache: KVCache,
  steps: readonly number[],
  options: AttentionOptions,
  check: (out: Tensor, from: number, to: number) => void,
): Promise<void> {
  let from = cache.length;
  for (const n of steps) {
    const parts = [q, k, v].map((x) => x.slice(null, null, [from, from + n])) as [Tensor, Tensor, Tensor];
    const out = await engine.attention(...parts, { ...options, cache });
    check(out, from, from + n);
    for (const tensor of [...parts, out]) tensor.dispose();
    from += n;
  }
}

/** Asserts that a cache gives the bits of the whole pass, in steps. */
export async function expectWhole(
  engine: Engine,
  whole: Tensor,
  operands: Sequence,
  cache: KVCache,
  steps: readonly number[],
  options: AttentionOptions,
): Promise<void> {
  await stepwise(engine, operands, cache, steps, options, (out, from, to) => expectSameBits(out.toArray(), rowsOf(whole, from, to)));
}

export const ones = (n: number): number[] => Array.from({ length: n }, () => 1);
