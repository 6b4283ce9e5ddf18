/** What the header of a safetensors file says, checked: of a whole file, or of one whose bytes are still to come. */

import { quote } from '../cli/text.ts';

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

/** A file that breaks the format, or a tensor that cannot be written in it. The message is one line. */
export class SafetensorsError extends Error {
  constructor(message: string) {
    super(`safetensors: ${message}`);
    this.name = 'SafetensorsError';
  }
}

/** The most bytes a header may have: the format's own limit. */
export const HEADER_LIMIT = 100_000_000;
/** A valid header nests three deep; unknown keys may go deeper, but not so deep that a parser's stack is at risk. */
const DEPTH_LIMIT = 16;
/** Bits of an element, in the order in which the format's own writer ranks the types (it stores the last first). */
export const DTYPE_BITS: ReadonlyMap<string, number> = new Map<SafetensorsDtype, number>([
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
export const DTYPES: readonly string[] = [...DTYPE_BITS.keys()];
export const METADATA = '__metadata__';
/** Codes of `{`, `}`, `[`, `]`, `"` and `\`. */
const OPEN = 123;
const CLOSE = 125;
const OPEN_LIST = 91;
const CLOSE_LIST = 93;
const QUOTE = 34;
const BACKSLASH = 92;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** A tensor as the header names it: its elements are the bytes [begin, end) after the header. */
export interface Entry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** What a header says. `metadata` has no prototype; `entries` are in the order of their bytes and leave no hole. */
export interface Header {
  readonly metadata: Record<string, string>;
  readonly entries: readonly Entry[];
}

/**
 * Bytes of the header that follows the first eight bytes of a file.
 *
 * @param prefix the file's first bytes; nine of them if it has so many
 * @param size bytes of the whole file, or undefined if nobody knows yet
 * @throws {SafetensorsError} if there can be no such header
 */
export function headerLength(prefix: Uint8Array, size: number | undefined): number {
  if (prefix.length < 8) throw new SafetensorsError(`expected at least 8 bytes (the header's length), got ${prefix.length}`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(HEADER_LIMIT)) throw new SafetensorsError(`header expected at most ${HEADER_LIMIT} bytes, got ${length}`);
  if (size !== undefined && length > BigInt(size - 8)) {
    throw new SafetensorsError(`header of ${length} bytes does not fit the ${size - 8} bytes after its length`);
  }
  if (prefix[8] !== 0x7b || length === 0n) throw new SafetensorsError('header expected to begin with "{"');
  return Number(length);
}

/**
 * Reads a header.
 *
 * @param bytes its JSON, in memory that is not shared: decoders refuse that
 * @param body bytes that follow it, or undefined if nobody knows yet: they are then taken to end with the last tensor
 * @throws {SafetensorsError} if it breaks the format
 */
export function readHeader(bytes: Uint8Array, body: number | undefined): Header {
  const metadata: Record<string, string> = Object.create(null);
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(parseHeader(bytes))) {
    checkName(name, 'tensor name');
    if (name === METADATA) readMetadata(value, metadata);
    else entries.push(readEntry(name, value, body));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(entries, body);
  return { metadata, entries };
}

/** Bytes of a tensor of this type and shape, or what is wrong with them: `[expected, got]`. */
export function byteLength(dtype: unknown, shape: unknown): number | [expected: string, got: string] {
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

/** The header as an object whose keys are unique at every level. */
function parseHeader(bytes: Uint8Array): object {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SafetensorsError('header is not valid UTF-8');
  }
  const fault = structureFault(text, true);
  if (fault) throw new SafetensorsError(`header ${fault}`);
  try {
    return JSON.parse(text) as object; // It begins with "{": an object, or an error.
  } catch {
    throw new SafetensorsError('header is not valid JSON');
  }
}

/**
 * What is wrong with JSON that `JSON.parse` would let pass: it nests so deep that whoever walks it is at risk, or, with `unique`, an object has
 * a key twice. What is no JSON is left for `JSON.parse` to refuse.
 */
export function structureFault(text: string, unique: boolean): string | undefined {
  const keys: (Set<string> | undefined)[] = [];
  // Codes, not characters: tokenizers are megabytes of it.
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === OPEN || code === OPEN_LIST) {
      keys.push(unique && code === OPEN ? new Set() : undefined);
      if (keys.length > DEPTH_LIMIT) return `nests deeper than ${DEPTH_LIMIT} levels`;
    } else if (code === CLOSE || code === CLOSE_LIST) {
      keys.pop();
    } else if (code === QUOTE) {
      const end = stringEnd(text, i);
      const own = keys.at(-1);
      const twice = own && isKey(text, end) ? addKey(own, text.slice(i, end)) : undefined;
      if (twice !== undefined) return `has the key ${quote(twice)} twice`;
      i = end - 1;
    }
  }
  return undefined;
}

/** The index after the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === BACKSLASH) i++;
    else if (code === QUOTE) return i + 1;
  }
  return text.length;
}

/** Whether a colon follows, after spaces. */
function isKey(text: string, end: number): boolean {
  let i = end;
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\t' || text[i] === '\r') i++;
  return text[i] === ':';
}

/** Adds a key; the key, if it is there already. */
function addKey(keys: Set<string>, literal: string): string | undefined {
  let key: string;
  try {
    key = JSON.parse(literal) as string;
  } catch {
    return undefined; // `JSON.parse` of the whole refuses it.
  }
  if (keys.has(key)) return key;
  keys.add(key);
  return undefined;
}

function readMetadata(value: unknown, into: Record<string, string>): void {
  if (!isObject(value)) throw new SafetensorsError(`"${METADATA}" expected an object of strings, got ${show(value)}`);
  for (const [key, text] of Object.entries(value)) {
    checkName(key, `"${METADATA}" key`);
    if (typeof text !== 'string') throw new SafetensorsError(`"${METADATA}" key ${quote(key)} expected a string, got ${show(text)}`);
    into[key] = text;
  }
}

function readEntry(name: string, value: unknown, body: number | undefined): Entry {
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
  if (body !== undefined && end > body) return fail(`data_offsets within the ${body} bytes of data`, show(offsets));
  if (end - begin !== bytes) return fail(`${bytes} bytes (${dtype} ${show(shape)})`, `${end - begin} (data_offsets ${show(offsets)})`);
  return { name, dtype: dtype as SafetensorsDtype, shape: shape as number[], begin, end };
}

/** Refuses tensors that overlap, and bytes that belong to none. `entries` are sorted by offset. */
function checkCoverage(entries: readonly Entry[], body: number | undefined): void {
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
  if (body !== undefined && end !== body) {
    throw new SafetensorsError(`expected ${end} bytes of data, got ${body}: ${body - end} belong to no tensor`);
  }
}

/** Half of a surrogate pair has no UTF-8 form. */
export function checkName(text: string, what: string): void {
  if (LONE_SURROGATE.test(text)) throw new SafetensorsError(`${what} ${quote(text)} is not valid Unicode`);
}

/** A whole number that a size or an offset can be; `-0` is not one. */
function isSize(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

/** An object that is no list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A short form of any value, for a message. */
export function show(value: unknown, levels = 3): string {
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) {
    const first = value.slice(0, levels && 8).map((one) => show(one, levels - 1));
    if (value.length > first.length) first.push('…');
    return `[${first.join(', ')}]`;
  }
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  return Object.is(value, -0) ? '-0' : String(value);
}
