/** Masks as matrices: what a mask means, pair by pair, and the same as tensors. */
import { expect } from 'vitest';
import type { AttentionOptions, Engine, Mask, Tensor } from '../../src/index.ts';
import { attend, expectSameBits } from '../attention/call.ts';
import type { Inputs, Sizes } from '../reference/attention.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';

/** Whether the query at a position sees the key at j. */
export type Sees = (at: { readonly b: number; readonly i: number; readonly p: number; readonly j: number }) => boolean;

/** [B, L, S] of 0 and 1. */
export function matrixOf(sees: Sees, { B, L, S }: Sizes): Int8Array {
  return Int8Array.from({ length: B * L * S }, (_, n) => {
    const [b, i, j] = [Math.floor(n / L / S), Math.floor(n / S) % L, n % S];
    return sees({ b, i, p: i + S - L, j }) ? 1 : 0;
  });
}

/** The matrix as a boolean mask and as one that is added, both [B, 1, L, S]. */
export function asTensors(engine: Engine, matrix: Int8Array, { B, L, S }: Sizes): { boolean: Tensor; additive: Tensor } {
  const added = Float32Array.from(matrix, (x) => (x ? 0 : -Infinity));
  return { boolean: engine.tensor([B, 1, L, S], matrix, 'i8'), additive: engine.tensor([B, 1, L, S], added) };
}

/** The keys that a mask shows, as a matrix: equal scores and unit values, so that an output spells them. */
export async function spelt(
  engine: Engine,
  mask: AttentionOptions['mask'],
  sizes: Sizes,
  options: AttentionOptions = {},
): Promise<Int8Array> {
  const { B, L, S } = sizes;
  const flat = { ...sizes, H: 1, G: 1, D: 1, E: S };
  const unit = Float32Array.from({ length: B * S * S }, (_, n) => (Math.floor(n / S) % S === n % S ? 1 : 0));
  const inputs = { q: new Float32Array(B * L), k: new Float32Array(B * S), v: unit };
  const { out } = await attend(engine, inputs, flat, { ...options, ...(mask !== undefined && { mask }) });
  return Int8Array.from(out, (x) => (x > 0 ? 1 : 0));
}

/**
 * The mask shows what `sees` says; attention with it is that with the same boolean and additive tensors bit for bit, is the f64
 * reference's within tolerance, and poison in the keys that nobody sees shows in no bit.
 */
export async function expectMask(engine: Engine, mask: Mask, sees: Sees, sizes: Sizes, options: AttentionOptions = {}): Promise<void> {
  const matrix = matrixOf(sees, sizes);
  const { B, H, L, S, D, E } = sizes;
  if (S <= 512) expect([...(await spelt(engine, mask, sizes, options))]).toEqual([...matrix]);
  const inputs = draw(sizes, 7);
  const masked = await attend(engine, inputs, sizes, { ...options, mask });
  const { boolean, additive } = asTensors(engine, matrix, sizes);
  for (const tensor of [boolean, additive]) {
    const dense = await attend(engine, inputs, sizes, { mask: tensor });
    expectSameBits(masked.out, dense.out);
    expectSameBits(masked.lse, dense.lse);
    tensor.dispose();
  }
  const visible = ({ b, i, j }: { b: number; i: number; j: number }): boolean => matrix[(b * L + i) * S + j] === 1;
  if (B * H * L * S * (D + E) < 2e6) expectAccurate({ inputs, sizes, options: { visible }, ...masked });
  const spoilt = await attend(engine, poison(inputs, matrix, sizes), sizes, { ...options, mask });
  expectSameBits(spoilt.out, masked.out);
  expectSameBits(spoilt.lse, masked.lse);
}

/** The inputs with NaN in k and v of every key that no query of its batch row sees. */
export function poison({ q, k, v }: Inputs, matrix: Int8Array, { G, L, S, D, E, B }: Sizes): Inputs {
  const unseen = Array.from({ length: B * S }, (_, n) => {
    const [b, j] = [Math.floor(n / S), n % S];
    for (let i = 0; i < L; i++) if (matrix[(b * L + i) * S + j]) return false;
    return true;
  });
  const spoil = (data: ArrayLike<number>, width: number): Float32Array =>
    Float32Array.from(data, (x, n) => {
      const row = Math.floor(n / width);
      return unseen[Math.floor(row / S / G) * S + (row % S)] ? Number.NaN : x;
    });
  return { q, k: spoil(k, D), v: spoil(v, E) };
}
