/**
 * Reads and writes safetensors files: 8 bytes of little-endian header length, a JSON header, then the tensors' bytes.
 *
 * Stricter than the format asks where a lenient reader can be fooled: duplicate keys, holes and overlaps are refused, and every
 * refusal is one line that names the tensor, what was expected and what came. Touches no platform, so it runs in a page.
 */

import { arrayType, ownArray } from '../arguments/numbers.ts';
import { quote } from '../cli/text.ts';
import {
  byteLength,
  checkName,
  DTYPES,
  headerLength,
  isObject,
  METADATA,
  readHeader,
  type SafetensorsDtype,
  SafetensorsError,
  show,
} from './header.ts';
import { compareCodePoints, writeHeader } from './write-header.ts';

export { type SafetensorsDtype, SafetensorsError } from './header.ts';

/** One tensor: `data` holds its elements in C order, little-endian. */
export interface SafeTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** What a file holds. `metadata` has no prototype, so a key such as `constructor` is absent unless the file has it. */
export interface SafetensorsFile {
  readonly metadata: Record<string, string>;
  /** In the order of the bytes in the file. `data` is a view of the bytes that were read, at any alignment. */
  readonly tensors: Map<string, SafeTensor>;
}

/**
 * Reads a whole file.
 *
 * @param given the file; the tensors returned are views of it.
 * @throws {TypeError} if it is not a Uint8Array.
 * @throws {SafetensorsError} if the file breaks the format.
 */
export function readSafetensors(given: Uint8Array): SafetensorsFile {
  const bytes = ownArray(given);
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`readSafetensors: "bytes" expected a Uint8Array, got ${show(given)}`);
  const length = headerLength(bytes, bytes.length);
  const body = bytes.subarray(8 + length);
  const { metadata, entries } = readHeader(new Uint8Array(bytes.subarray(8, 8 + length)), body.length); // A copy: decoders refuse shared memory.
  const tensors = entries.map(({ name, dtype, shape, begin, end }) => [name, { dtype, shape, data: body.subarray(begin, end) }] as const);
  return { metadata, tensors: new Map(tensors) };
}

/**
 * Writes a file: the same bytes for the same tensors whatever order they come in, and, but for the order of several metadata keys,
 * the bytes of the format's own writer. Wide types come first, so that every tensor is aligned to its element.
 *
 * @param tensors name to tensor; `data` is copied.
 * @param metadata free text, stored under `__metadata__`; none if left out or empty.
 * @throws {TypeError} if an argument has a wrong type.
 * @throws {SafetensorsError} if a name, dtype, shape or size is not one the format can hold.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, SafeTensor> | Readonly<Record<string, SafeTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const sorted = (isMap(tensors) ? [...tensors] : Object.entries(tensors)) as [string, SafeTensor][];
  for (const [name, tensor] of sorted) checkWritable(name, tensor);
  const rank = (tensor: SafeTensor): number => DTYPES.indexOf(tensor.dtype);
  sorted.sort(([aName, a], [bName, b]) => rank(b) - rank(a) || compareCodePoints(aName, bName));
  const head = writeHeader(
    sorted.map(([name, { dtype, shape, data }]) => ({ name, dtype, shape, bytes: data.length })),
    metadata,
  );
  const file = new Uint8Array(sorted.reduce((size, [, tensor]) => size + tensor.data.length, head.length));
  file.set(head);
  let offset = head.length;
  for (const [, { data }] of sorted) {
    file.set(data, offset);
    offset += data.length;
  }
  return file;
}

/** A map, of whatever realm. */
const isMap = (value: object): value is ReadonlyMap<string, SafeTensor> => Object.prototype.toString.call(value) === '[object Map]';

function checkWritable(name: string, tensor: SafeTensor): void {
  checkName(name, 'tensor name');
  if (name === METADATA) throw new SafetensorsError(`a tensor cannot be named "${METADATA}"`);
  if (!isObject(tensor)) throw new TypeError(`writeSafetensors: tensor ${quote(name)} expected an object, got ${show(tensor)}`);
  if (arrayType(tensor.data) !== 'Uint8Array') {
    throw new TypeError(`writeSafetensors: tensor ${quote(name)} expected data a Uint8Array, got ${show(tensor.data)}`);
  }
  const bytes = byteLength(tensor.dtype, tensor.shape);
  if (typeof bytes !== 'number') throw new SafetensorsError(`tensor ${quote(name)} expected ${bytes[0]}, got ${bytes[1]}`);
  if (tensor.data.length !== bytes) {
    const kind = `${tensor.dtype} ${show(tensor.shape)}`;
    throw new SafetensorsError(`tensor ${quote(name)} expected ${bytes} bytes (${kind}), got ${tensor.data.length}`);
  }
}
