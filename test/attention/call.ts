/** Calls of the library in terms of plain arrays, as the reference takes them. */

import { expect } from 'vitest';
import { int16Kernels } from '../../src/entries/int16.ts';
import { type AttentionOptions, createEngineSync, type DType, type Engine, type Tensor } from '../../src/index.ts';
import type { Layout } from '../../src/memory/layout.ts';
import type { Inputs, Sizes } from '../reference/attention.ts';

/** The precisions whose bits are the same everywhere. */
export const PRECISIONS = ['reproducible', 'int16'] as const;

/** An engine of one of them, on one thread. */
export const engineOf = (precision: (typeof PRECISIONS)[number]): Engine =>
  createEngineSync(precision === 'int16' ? { precision, wasm: int16Kernels() } : { precision });

/** [B, heads, rows, width] in the given layout. */
export const shapeOf = (layout: Layout, B: number, heads: number, rows: number, width: number): number[] =>
  layout === 'bhld' ? [B, heads, rows, width] : [B, rows, heads, width];

/** [B, H, L, D] ↔ [B, L, H, D]: `second` is the length of the second dimension of x. */
export function swapMiddle(x: ArrayLike<number>, [B, second, third, D]: readonly number[]): Float32Array {
  const [n, m, d] = [second as number, third as number, D as number];
  return Float32Array.from(x, (_, at) => {
    const column = at % d;
    const first = Math.floor(at / d) % n;
    const other = Math.floor(at / d / n) % m;
    const batch = Math.floor(at / d / n / m);
    return x[((batch * n + first) * m + other) * d + column] as number;
  }).subarray(0, (B as number) * n * m * d);
}

/** q, k and v in the engine's memory. */
export function upload(
  engine: Engine,
  { q, k, v }: Inputs,
  { B, H, G, L, S, D, E }: Sizes,
  { layout = 'bhld', dtype = 'f32' }: { layout?: Layout; dtype?: DType } = {},
): [Tensor, Tensor, Tensor] {
  const tensor = (data: ArrayLike<number>, heads: number, rows: number, width: number): Tensor => {
    const values = layout === 'bhld' ? Float32Array.from(data) : swapMiddle(data, [B, heads, rows, width]);
    return engine.tensor(shapeOf(layout, B, heads, rows, width), values, dtype);
  };
  return [tensor(q, H, L, D), tensor(k, G, S, D), tensor(v, G, S, E)];
}

/** Plain results of `attentionPartial`: out [B, H, L, E] whatever the layout, lse [B, H, L]. */
export async function attend(
  engine: Engine,
  inputs: Inputs,
  sizes: Sizes,
  options: AttentionOptions = {},
  dtype: DType = 'f32',
): Promise<{ out: Float32Array; lse: Float32Array }> {
  const { layout = 'bhld' } = options;
  const tensors = upload(engine, inputs, sizes, { layout, dtype });
  const { out, lse } = await engine.attentionPartial(...tensors, options);
  const { B, H, L, E } = sizes;
  const result = { out: layout === 'bhld' ? out.toArray() : swapMiddle(out.toArray(), [B, L, H, E]), lse: lse.toArray() };
  for (const tensor of [...tensors, out, lse]) tensor.dispose();
  return result;
}

const bitsOf = ({ buffer, byteOffset, byteLength }: Float32Array | Float64Array | Uint16Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Asserts that two arrays are equal bit for bit, and tells where they are not. */
export function expectSameBits(got: Float32Array | Float64Array | Uint16Array, expected: Float32Array | Float64Array | Uint16Array): void {
  expect(got.length).toBe(expected.length);
  const [a, b] = [bitsOf(got), bitsOf(expected)];
  const byte = a.findIndex((x, n) => x !== b[n]);
  const at = Math.floor(byte / got.BYTES_PER_ELEMENT);
  expect(byte < 0 ? 'the same bits' : `[${at}] is ${got[at]}, not ${expected[at]}`).toBe('the same bits');
}
