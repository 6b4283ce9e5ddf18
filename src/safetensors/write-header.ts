/** What stands before the tensors of a safetensors file, made of their names and sizes alone: files may be written without being whole in memory. */

import { quote } from '../cli/text.ts';
import { roundUp } from '../memory/round.ts';
import { checkName, HEADER_LIMIT, METADATA, type SafetensorsDtype, SafetensorsError, show } from './header.ts';

/** A tensor that is to follow, its bytes right behind those of the one before it. */
export interface Following {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/**
 * The header with its length before it, padded to a multiple of 8 bytes.
 *
 * @throws {SafetensorsError} if it is longer than the format allows, or a name is not valid Unicode
 */
export function writeHeader(tensors: readonly Following[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const json = new TextEncoder().encode(headerText(tensors, metadata));
  const padded = roundUp(json.length, 8);
  if (padded > HEADER_LIMIT) throw new SafetensorsError(`header expected at most ${HEADER_LIMIT} bytes, got ${padded}`);
  const head = new Uint8Array(8 + padded).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(json, 8);
  return head;
}

/** The header, built by hand: an object would lose a tensor named `__proto__`. */
function headerText(tensors: readonly Following[], metadata: Readonly<Record<string, string>>): string {
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
  for (const { name, dtype, shape, bytes } of tensors) {
    const offsets = `[${offset},${offset + bytes}]`;
    parts.push(`${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":${offsets}}`);
    offset += bytes;
  }
  return `{${parts.join(',')}}`;
}

/** Orders strings as their UTF-8 bytes: JavaScript's own order differs past U+FFFF. */
export function compareCodePoints(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) return (a.codePointAt(i) as number) - (b.codePointAt(i) as number);
  }
  return a.length - b.length;
}
