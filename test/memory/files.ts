/** Tensors as a safetensors file holds them. */
import type { SafeTensorLike, Tensor } from '../../src/index.ts';
import { DTYPES } from '../../src/memory/dtypes.ts';

/** The tensor's elements as they lie, at an odd address. */
export function fileOf(tensor: Tensor): SafeTensorLike {
  const bytes = new Uint8Array(tensor.view().slice().buffer);
  const data = new Uint8Array(bytes.length + 1).subarray(1);
  data.set(bytes);
  return { dtype: DTYPES[tensor.dtype].safetensors, shape: [...tensor.shape], data };
}

/** Numbers as the elements of a typed array are in a file. */
export function fileFrom(
  dtype: string,
  shape: readonly number[],
  values: Float64Array | Int32Array | Uint8Array | Int8Array,
): SafeTensorLike {
  return { dtype, shape, data: new Uint8Array(values.slice().buffer) };
}
