// The file of a shard: a row for each text, zeros for those that were set aside, which it lists with their reasons. The same texts and settings give the
// same bytes, whoever computes them.
import { readSafetensors, type SafeTensor, writeSafetensors } from 'relpos/safetensors';
import { copied, sha256, show } from '../content.ts';

/** A text without a vector. */
export interface SetAside {
  /** Its row in the shard. */
  readonly row: number;
  readonly reason: string;
}

/** A shard's vectors, by row. */
export interface Vectors {
  readonly rows: number;
  readonly width: number;
  /** [rows, width] */
  readonly data: Float32Array;
  /** Ascending. */
  readonly setAside: readonly SetAside[];
}

const FORMAT = 'relpos-bulk 1';
/** Letters of a reason: it is for people. */
const LONGEST_REASON = 500;

/** Vectors of texts, some of which have a reason instead. */
export function gather(results: readonly (Float32Array | { readonly reason: string })[], width: number): Vectors {
  const data = new Float32Array(results.length * width);
  const setAside: SetAside[] = [];
  for (const [row, result] of results.entries()) {
    if (result instanceof Float32Array) data.set(result, row * width);
    else setAside.push({ row, reason: result.reason.slice(0, LONGEST_REASON) });
  }
  return { rows: results.length, width, data, setAside };
}

/** Parts that follow one another. A part in which no text has a vector does not know how wide one is. */
export function join(parts: readonly Vectors[]): Vectors {
  const width = Math.max(...parts.map((part) => part.width));
  const results = parts.flatMap((part) => {
    const reasons = new Map(part.setAside.map(({ row, reason }) => [row, { reason }]));
    return Array.from({ length: part.rows }, (_, row) => reasons.get(row) ?? part.data.subarray(row * width, (row + 1) * width));
  });
  return gather(results, width);
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Int32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** The file. `name` is the shard's. */
export function encodeVectors(name: string, { rows, width, data, setAside }: Vectors): Uint8Array {
  const places = bytesOf(Int32Array.from(setAside, ({ row }) => row));
  const tensors: Record<string, SafeTensor> = {
    embeddings: { dtype: 'F32', shape: [rows, width], data: bytesOf(data) },
    ...(setAside.length && { set_aside: { dtype: 'I32', shape: [setAside.length], data: places } }),
  };
  return writeSafetensors(tensors, {
    format: FORMAT,
    shard: name,
    checksum: sha256(bytesOf(data), places),
    ...(setAside.length && { reasons: JSON.stringify(setAside.map(({ reason }) => reason)) }),
  });
}

function readReasons(text: string | undefined, count: number): string[] {
  const list: unknown = count ? JSON.parse(text ?? 'null') : [];
  if (!Array.isArray(list) || list.length !== count || list.some((reason) => typeof reason !== 'string'))
    throw new RangeError(`it has ${count} texts set aside and other reasons`);
  return list as string[];
}

/** Reads the file of the shard of that name and so many rows; whatever is wrong with it is an error. */
export function decodeVectors(bytes: Uint8Array, name: string, rows: number): Vectors {
  const { metadata, tensors } = readSafetensors(bytes);
  const { format, shard, checksum, reasons } = metadata;
  if (format !== FORMAT) throw new RangeError(`expected the format ${FORMAT}, got ${show(format)}`);
  if (shard !== name) throw new RangeError(`expected the shard ${name}, got ${show(shard)}`);
  const [found, aside] = [tensors.get('embeddings'), tensors.get('set_aside')];
  const width = found?.shape[1] ?? 0;
  if (found?.dtype !== 'F32' || found.shape.length !== 2 || found.shape[0] !== rows) {
    throw new RangeError(`expected embeddings of ${rows} rows of F32, got ${found ? `${found.dtype} ${show(found.shape)}` : 'none'}`);
  }
  if (aside && (aside.dtype !== 'I32' || aside.shape.length !== 1))
    throw new RangeError(`expected a list of I32 as set_aside, got ${aside.dtype} ${show(aside.shape)}`);
  const places = aside?.data ?? new Uint8Array();
  if (sha256(found.data, places) !== checksum) throw new RangeError('its numbers have another checksum than it says');
  const list = [...new Int32Array(copied(places))];
  if (list.some((row, n) => row < 0 || row >= rows || (n > 0 && row <= (list[n - 1] as number))))
    throw new RangeError('its rows that were set aside are not in order');
  const texts = readReasons(reasons, list.length);
  return { rows, width, data: new Float32Array(copied(found.data)), setAside: list.map((row, n) => ({ row, reason: texts[n] as string })) };
}
