// Inlined kernels: how scripts/pack-kernels.mjs wrote them, read back.

import type { OwnBytes } from '../platform/types.ts';

/** Kernels as text: a frequent byte is one character, any other one of two characters and one more. */
export interface PackedKernels {
  /** The frequent bytes in the order of their characters, as base64; the others follow in ascending order. */
  readonly common: string;
  readonly text: string;
}

/** Printable ASCII without these. */
const LEFT_OUT = '\'"\\`$<';

/** The bytes of packed kernels. */
export function unpack({ common, text }: PackedKernels): OwnBytes {
  const byteOf = Array.from(atob(common), (character) => character.charCodeAt(0));
  for (let byte = 0; byte < 256; byte++) if (!byteOf.includes(byte)) byteOf.push(byte);
  const digitOf = new Uint8Array(128);
  let digits = 0;
  for (let code = 32; code < 127; code++) if (!LEFT_OUT.includes(String.fromCharCode(code))) digitOf[code] = digits++;
  const singles = digits - 2;
  const bytes = new Uint8Array(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    let rank = digitOf[text.charCodeAt(at)] as number;
    if (rank >= singles) rank = singles + (rank - singles) * digits + (digitOf[text.charCodeAt(++at)] as number);
    bytes[length++] = byteOf[rank] as number;
  }
  return bytes.slice(0, length);
}
