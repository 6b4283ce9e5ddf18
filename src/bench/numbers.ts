/** Inputs and hashes that are the same in every runtime: integers, and operations that IEEE 754 rounds in one way. */
import { hashBits } from '../attention/selftest.ts';

/** Uniform numbers of unit variance by a linear congruential generator. */
export function numbers(count: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  let state = seed >>> 0;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = ((state >>> 8) / 2 ** 23 - 1) * Math.sqrt(3);
  }
  return values;
}

/** A hash as 8 hexadecimal digits. */
export const hex = (hash: number): string => hash.toString(16).padStart(8, '0');

/** FNV-1a, 32 bits, of the bits of an array. */
export const hashOf = (data: Float32Array): string => hex(hashBits(data));

/** One hash of several, by the names that they belong to, in the order of the names. */
export function hashTogether(hashes: ReadonlyMap<string, string>): string {
  let hash = 0x811c9dc5;
  const text = [...hashes].sort(([a], [b]) => (a < b ? -1 : 1)).flat();
  for (const part of text) for (const letter of part) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  return hex(hash);
}
