/**
 * Reads and writes safetensors files: 8 bytes of little-endian header length, a JSON header, then the tensors' bytes.
 *
 * Stricter than the format asks where a lenient reader can be fooled: duplicate keys, holes and overlaps are refused, and every
 * refusal is one line that names the tensor, what was expected and what came. Touches no platform, so it runs in a page.
 */

import { arrayType, ownArray } from '../arguments/numbers.ts';
import { quote } from '../cli/text.ts';
import { roundUp } from '../memory/round.ts';

/** Element types of the format. */
export type SafetensorsDtype =
  | 'BOOL'
  | 'F4'
  | 'F6_E2M3'
  | 'F6_E3M2'
  | 'U8'
  | 'I8'
  | 'F8_E5M2'
  | 'F8_E4M3'
  | 'F8_E8M0'
  | 'F8_E4M3FNUZ'
  | 'F8_E5M2FNUZ'
  | 'I16'
  | 'U16'
  | 'F16'
  | 'BF16'
  | 'I32'
  | 'U32'
  | 'F32'
  | 'C64'
  | 'F64'
  | 'I64'
  | 'U64';

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

/** A file that breaks the format, or a tensor that cannot be written in it. The message is one line. */
export class SafetensorsError extends Error {
  constructor(message: string) {
    super(`safetensors: ${message}`);
    this.name = 'SafetensorsError';
  }
}

/** The most bytes a header may have: the format's own limit. */
const HEADER_LIMIT = 100_000_000;
/** A valid header nests three deep; unknown keys may go deeper, but not so deep that a parser's stack is at risk. */
const DEPTH_LIMIT = 16;
/** Bits of an element, in the order in which the format's own writer ranks the types (it stores the last first). */
const DTYPE_BITS: ReadonlyMap<string, number> = new Map<SafetensorsDtype, number>([
  ['BOOL', 8],
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['F8_E4M3FNUZ', 8],
  ['F8_E5M2FNUZ', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['C64', 64],
  ['F64', 64],
  ['I64', 64],
  ['U64', 64],
]);
const DTYPES: readonly string[] = [...DTYPE_BITS.keys()];
const METADATA = '__metadata__';
const LONE_SURROGATE = /\p{Surrogate}/u;

interface Entry extends SafeTensor {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
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
  const length = headerLength(bytes);
  const header = parseHeader(new Uint8Array(bytes.subarray(8, 8 + length))); // A copy: decoders refuse shared memory.
  const body = bytes.subarray(8 + length);
  const metadata: Record<string, string> = Object.create(null);
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(header)) {
    checkName(name, 'tensor name');
    if (name === METADATA) readMetadata(value, metadata);
    else entries.push(readEntry(name, value, body));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(entries, body.length);
  return { metadata, tensors: new Map(entries.map(({ name, dtype, shape, data }) => [name, { dtype, shape, data }])) };
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
  const header = new TextEncoder().encode(headerText(sorted, metadata));
  const padded = roundUp(header.length, 8);
  if (padded > HEADER_LIMIT) throw new SafetensorsError(`header expected at most ${HEADER_LIMIT} bytes, got ${padded}`);
  const file = new Uint8Array(sorted.reduce((size, [, tensor]) => size + tensor.data.length, 8 + padded));
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.fill(0x20, 8 + header.length, 8 + padded);
  file.set(header, 8);
  let offset = 8 + padded;
  for (const [, { data }] of sorted) {
    file.set(data, offset);
    offset += data.length;
  }
  return file;
}

/** Bytes of a tensor of this type and shape, or what is wrong with them: `[expected, got]`. */
function byteLength(dtype: unknown, shape: unknown): number | [expected: string, got: string] {
  const bits = typeof dtype === 'string' ? DTYPE_BITS.get(dtype) : undefined;
  if (bits === undefined) return [`dtype one of ${DTYPES.join(', ')}`, show(dtype)];
  if (!Array.isArray(shape)) return ['shape an array of integers', show(shape)];
  if (!shape.every(isSize)) return [`shape of integers from 0 to 2^53 - 1`, show(shape)];
  let elements = 1;
  for (const size of shape as number[]) {
    elements *= size;
    if (elements * bits > Number.MAX_SAFE_INTEGER) return ['shape of less than 2^53 bits in all', show(shape)];
  }
  if ((elements * bits) % 8 !== 0) return [`shape of whole bytes (${dtype} has ${bits} bits)`, show(shape)];
  return (elements * bits) / 8;
}

/** Bytes of the header, checked against the file and the limit. */
function headerLength(bytes: Uint8Array): number {
  if (bytes.length < 8) throw new SafetensorsError(`expected at least 8 bytes (the header's length), got ${bytes.length}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(HEADER_LIMIT)) throw new SafetensorsError(`header expected at most ${HEADER_LIMIT} bytes, got ${length}`);
  if (length > BigInt(bytes.length - 8)) {
    throw new SafetensorsError(`header of ${length} bytes does not fit the ${bytes.length - 8} bytes after its length`);
  }
  if (bytes[8] !== 0x7b || length === 0n) throw new SafetensorsError('header expected to begin with "{"');
  return Number(length);
}

/** The header as an object whose keys are unique at every level. */
function parseHeader(bytes: Uint8Array): object {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SafetensorsError('header is not valid UTF-8');
  }
  checkStructure(text);
  try {
    return JSON.parse(text) as object; // It begins with "{": an object, or an error.
  } catch {
    throw new SafetensorsError('header is not valid JSON');
  }
}

/** Refuses duplicate keys, which `JSON.parse` hides, and deep nesting. What is not JSON is left for `JSON.parse` to refuse. */
function checkStructure(text: string): void {
  const keys: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '{' || char === '[') {
      keys.push(char === '{' ? new Set() : undefined);
      if (keys.length > DEPTH_LIMIT) throw new SafetensorsError(`header nests deeper than ${DEPTH_LIMIT} levels`);
    } else if (char === '}' || char === ']') {
      keys.pop();
    } else if (char === '"') {
      const end = stringEnd(text, i);
      if (isKey(text, end)) addKey(keys.at(-1), text.slice(i, end));
      i = end - 1;
    }
  }
}

/** The index after the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

/** Whether a colon follows, after spaces. */
function isKey(text: string, end: number): boolean {
  let i = end;
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\t' || text[i] === '\r') i++;
  return text[i] === ':';
}

function addKey(keys: Set<string> | undefined, literal: string): void {
  let key: string;
  try {
    key = JSON.parse(literal) as string;
  } catch {
    return; // `JSON.parse` of the whole refuses it.
  }
  if (keys?.has(key)) throw new SafetensorsError(`header has the key ${quote(key)} twice`);
  keys?.add(key);
}

function readMetadata(value: unknown, into: Record<string, string>): void {
  if (!isObject(value)) throw new SafetensorsError(`"${METADATA}" expected an object of strings, got ${show(value)}`);
  for (const [key, text] of Object.entries(value)) {
    checkName(key, `"${METADATA}" key`);
    if (typeof text !== 'string') throw new SafetensorsError(`"${METADATA}" key ${quote(key)} expected a string, got ${show(text)}`);
    into[key] = text;
  }
}

function readEntry(name: string, value: unknown, body: Uint8Array): Entry {
  const fail = (expected: string, got: string): never => {
    throw new SafetensorsError(`tensor ${quote(name)} expected ${expected}, got ${got}`);
  };
  if (!isObject(value)) return fail('an object with dtype, shape and data_offsets', show(value));
  const { dtype, shape, data_offsets: offsets } = value;
  const bytes = byteLength(dtype, shape);
  if (typeof bytes !== 'number') return fail(...bytes);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    return fail('data_offsets of two integers from 0 to 2^53 - 1', show(offsets));
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) return fail('data_offsets that begin before they end', show(offsets));
  if (end > body.length) return fail(`data_offsets within the ${body.length} bytes of data`, show(offsets));
  if (end - begin !== bytes) return fail(`${bytes} bytes (${dtype} ${show(shape)})`, `${end - begin} (data_offsets ${show(offsets)})`);
  return { name, dtype: dtype as SafetensorsDtype, shape: shape as number[], data: body.subarray(begin, end), begin, end };
}

/** Refuses tensors that overlap, and bytes that belong to none. `entries` are sorted by offset. */
function checkCoverage(entries: readonly Entry[], length: number): void {
  let end = 0;
  let before = '';
  for (const entry of entries) {
    if (entry.begin < end) {
      throw new SafetensorsError(`tensor ${quote(entry.name)} begins at byte ${entry.begin}, inside tensor ${before} which ends at ${end}`);
    }
    if (entry.begin > end) {
      throw new SafetensorsError(`tensor ${quote(entry.name)} expected to begin at byte ${end}, got ${entry.begin}: a hole`);
    }
    end = entry.end;
    before = quote(entry.name);
  }
  if (end !== length) throw new SafetensorsError(`expected ${end} bytes of data, got ${length}: ${length - end} belong to no tensor`);
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

/** The header, built by hand: an object would lose a tensor named `__proto__`. */
function headerText(sorted: readonly [string, SafeTensor][], metadata: Readonly<Record<string, string>>): string {
  const parts: string[] = [];
  const texts = Object.entries(metadata).sort(([a], [b]) => compareCodePoints(a, b));
  for (const [key, text] of texts) {
    checkName(key, `"${METADATA}" key`);
    if (typeof text !== 'string') throw new TypeError(`writeSafetensors: metadata ${quote(key)} expected a string, got ${show(text)}`);
    checkName(text, `"${METADATA}" text of ${quote(key)}`);
  }
  if (texts.length > 0) {
    parts.push(`"${METADATA}":{${texts.map(([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`).join(',')}}`);
  }
  let offset = 0;
  for (const [name, { dtype, shape, data }] of sorted) {
    const offsets = `[${offset},${offset + data.length}]`;
    parts.push(`${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":${offsets}}`);
    offset += data.length;
  }
  return `{${parts.join(',')}}`;
}

/** Half of a surrogate pair has no UTF-8 form. */
function checkName(text: string, what: string): void {
  if (LONE_SURROGATE.test(text)) throw new SafetensorsError(`${what} ${quote(text)} is not valid Unicode`);
}

/** Orders strings as their UTF-8 bytes: JavaScript's own order differs past U+FFFF. */
function compareCodePoints(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) return (a.codePointAt(i) as number) - (b.codePointAt(i) as number);
  }
  return a.length - b.length;
}

/** A whole number that a size or an offset can be; `-0` is not one. */
function isSize(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A short form of any value, for a message. */
function show(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(show).join(', ')}${value.length > 8 ? ', …' : ''}]`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  return Object.is(value, -0) ? '-0' : String(value);
}
