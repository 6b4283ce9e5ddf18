// The header of a GGUF file (versions 2 and 3, little-endian): metadata of any kind, then names, shapes, types and offsets of tensors.
//
//   'GGUF'  version u32  tensors u64  entries u64
//   entry:  key string, type u32, value           string: length u64, UTF-8        array: type u32, length u64, values
//   tensor: name string, dimensions u32, each u64 (the fastest first), type u32, offset u64 from the start of the data
//   data:   behind the header at a multiple of `general.alignment`, 32 if that is not there

import { quote } from '../cli/text.ts';
import { roundUp } from '../memory/round.ts';
import { show } from '../safetensors/header.ts';
import { broken } from './fault.ts';

/** What metadata may be. Whole numbers beyond 2⁵³ are not exact. */
export type GgufValue = number | boolean | string | readonly GgufValue[];

/** A tensor of a GGUF file. */
export interface GgufTensor {
  readonly name: string;
  /** As elsewhere: the fastest last. */
  readonly shape: readonly number[];
  /** The file's number of its type. */
  readonly type: number;
  /** From the start of the data. */
  readonly offset: number;
}

export interface GgufHeader {
  readonly values: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
  /** Where the data begins. */
  readonly start: number;
}

const VERSIONS: readonly number[] = [2, 3];
const ALIGNMENTS: readonly number[] = [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
const MOST_DIMENSIONS = 4;
/** Arrays of arrays are in no file that is known. */
const DEPTH = 2;
const [STRING, ARRAY] = [8, 9];
const decoder = /* @__PURE__ */ new TextDecoder();

/** A header goes on behind the bytes that are there. */
export class Incomplete extends Error {}

/**
 * Reads a header from the first bytes of a file.
 *
 * @throws Incomplete if it goes on behind them; RelposError `bad-checkpoint` if it is none
 */
export function readGguf(where: string, file: string, bytes: Uint8Array): GgufHeader {
  const reader = new Reader(bytes);
  const fail = (what: string): never => {
    throw broken(where, file, what);
  };
  if (reader.number(4) !== 0x46554747) fail('it does not begin with "GGUF"');
  const version = reader.number(4);
  if (!VERSIONS.includes(version)) fail(`GGUF of version ${version} is not read, only of ${VERSIONS.join(' and ')}`);
  const [tensors, entries] = [reader.number(8), reader.number(8)];
  const values = new Map<string, GgufValue>();
  for (let n = 0; n < entries; n++) {
    const key = reader.string();
    if (values.has(key)) fail(`the key ${quote(key)} is there twice`);
    const type = reader.number(4);
    const value = reader.value(type, DEPTH);
    if (value === undefined) return fail(`${quote(key)} is of the unknown type ${type}`);
    values.set(key, value);
  }
  const found: GgufTensor[] = [];
  for (let n = 0; n < tensors; n++) {
    const name = reader.string();
    const dimensions = reader.number(4);
    if (dimensions > MOST_DIMENSIONS) fail(`tensor ${quote(name)} expected at most ${MOST_DIMENSIONS} dimensions, got ${dimensions}`);
    const shape = Array.from({ length: dimensions }, () => reader.number(8)).reverse();
    found.push({ name, shape, type: reader.number(4), offset: reader.number(8) });
  }
  const alignment = values.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || !ALIGNMENTS.includes(alignment)) {
    return fail(`"general.alignment" expected one of ${ALIGNMENTS.join(', ')}, got ${show(alignment)}`);
  }
  return { values, tensors: found, start: roundUp(reader.at, alignment) };
}

/** Reads one thing after another. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  #take(count: number): number {
    const { at } = this;
    if (!(at + count <= this.#bytes.length)) throw new Incomplete();
    this.at += count;
    return at;
  }

  /** A whole number of 4 or 8 bytes. */
  number(bytes: 4 | 8): number {
    const at = this.#take(bytes);
    return bytes === 4 ? this.#view.getUint32(at, true) : Number(this.#view.getBigUint64(at, true));
  }

  string(): string {
    const length = this.number(8);
    const at = this.#take(length);
    return decoder.decode(this.#bytes.subarray(at, at + length));
  }

  /** A value of a type; undefined if there is no such type. */
  value(type: number, depth: number): GgufValue | undefined {
    if (type === STRING) return this.string();
    if (type === ARRAY) return depth > 0 ? this.#array(depth) : undefined;
    const [size, read] = NUMBERS[type] ?? [];
    return size === undefined ? undefined : read?.(this.#view, this.#take(size));
  }

  #array(depth: number): readonly GgufValue[] | undefined {
    const type = this.number(4);
    const length = this.number(8);
    // No value is shorter than a byte: a length that is not there is not reserved.
    if (length > this.#bytes.length - this.at) throw new Incomplete();
    const values: GgufValue[] = [];
    for (let n = 0; n < length; n++) {
      const value = this.value(type, depth - 1);
      if (value === undefined) return undefined;
      values.push(value);
    }
    return values;
  }
}

/** By number of the type: bytes, and how they are read. */
const NUMBERS: Readonly<Record<number, readonly [bytes: number, read: (view: DataView, at: number) => number | boolean]>> = {
  0: [1, (view, at) => view.getUint8(at)],
  1: [1, (view, at) => view.getInt8(at)],
  2: [2, (view, at) => view.getUint16(at, true)],
  3: [2, (view, at) => view.getInt16(at, true)],
  4: [4, (view, at) => view.getUint32(at, true)],
  5: [4, (view, at) => view.getInt32(at, true)],
  6: [4, (view, at) => view.getFloat32(at, true)],
  7: [1, (view, at) => view.getUint8(at) !== 0],
  10: [8, (view, at) => Number(view.getBigUint64(at, true))],
  11: [8, (view, at) => Number(view.getBigInt64(at, true))],
  12: [8, (view, at) => view.getFloat64(at, true)],
};
