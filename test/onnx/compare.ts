/** How near two tensors of ONNX are. */
import type { Engine } from '../../src/index.ts';
import type { OnnxValue } from '../../src/onnx/index.ts';

/**
 * Of the largest value. f32: the references round every operation to f32, which loses up to 4e-7 on these cases. f16 and bf16: both sides
 * are rounded to the type once at least, so two neighbours in it differ by a unit in the last place: 2^−10 and 2^−7.
 */
export const TOLERANCE: Readonly<Record<string, number>> = { float32: 1e-6, float16: 2 ** -10, bfloat16: 2 ** -7 };

/** The numbers of a value, its bits as they are for types of 16. */
export function numbersOf(engine: Engine, { data, dims, type }: OnnxValue): ArrayLike<number> {
  if (type !== 'float16' && type !== 'bfloat16') return data as ArrayLike<number>;
  const tensor = engine.tensor(dims, data as Uint16Array, type === 'float16' ? 'f16' : 'bf16');
  const numbers = tensor.toArray();
  tensor.dispose();
  return numbers;
}

/** Largest difference over the largest finite value; infinities must be the same. */
export function relativeError(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  let worst = got.length === expected.length ? 0 : Infinity;
  let largest = 0;
  for (let n = 0; n < expected.length; n++) {
    const [x, y] = [got[n] as number, expected[n] as number];
    if (Number.isFinite(y)) largest = Math.max(largest, Math.abs(y));
    if (x === y) continue;
    worst = Math.max(worst, Number.isFinite(x - y) ? Math.abs(x - y) : Infinity);
  }
  return worst && worst / (largest || 1);
}
