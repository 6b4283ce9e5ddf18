// The header of a safetensors file: what is in it, without reading its numbers.
import { headerLength, readHeader } from '../../../../src/safetensors/header.ts';

/** Tensors that are listed; of more there is the number alone. */
const LISTED = 500;

export interface TensorList {
  readonly tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[]; readonly bytes: number }[];
  /** How many there are. */
  readonly count: number;
  /** Numbers in all of them. */
  readonly numbers: number;
  readonly bytes: number;
  /** Bytes by type, the most first. */
  readonly types: readonly (readonly [dtype: string, bytes: number])[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** @throws SafetensorsError that says in a sentence what is wrong with the file */
export async function readTensorList(file: Blob): Promise<TensorList> {
  const length = headerLength(new Uint8Array(await file.slice(0, 9).arrayBuffer()), file.size);
  const header = new Uint8Array(await file.slice(8, 8 + length).arrayBuffer());
  const { metadata, entries } = readHeader(header, file.size - 8 - length);
  const types = new Map<string, number>();
  let [numbers, bytes] = [0, 0];
  for (const { dtype, shape, begin, end } of entries) {
    types.set(dtype, (types.get(dtype) ?? 0) + end - begin);
    numbers += shape.reduce((product, size) => product * size, 1);
    bytes += end - begin;
  }
  return {
    tensors: entries.slice(0, LISTED).map(({ name, dtype, shape, begin, end }) => ({ name, dtype, shape, bytes: end - begin })),
    count: entries.length,
    numbers,
    bytes,
    types: [...types].sort(([, a], [, b]) => b - a),
    metadata: { ...metadata },
  };
}
