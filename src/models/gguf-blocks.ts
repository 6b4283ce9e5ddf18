// The element types of GGUF files. Numbers that lie in blocks with a scale become f32, which holds the products of f16 scales and integers of Q8_0
// and Q4_0 without an error; others stay as they are.
//
//   Q8_0   32 numbers d·q:       d f16, q i8 [32]
//   Q4_0   32 numbers d·(q − 8): d f16, then 16 bytes, of which byte i has q of i in its low half and of i + 16 in its high half
//   Q6_K   256 numbers d·s·(q − 32), a scale s i8 for each 16: low four bits of q [128], upper two bits [64], s [16], d f16

import type { SafetensorsDtype } from '../safetensors/header.ts';

/** An element type. */
export interface GgufType {
  readonly name: string;
  /** Numbers of a block, and bytes that they take. */
  readonly block: number;
  readonly bytes: number;
  /** What they become. */
  readonly dtype: SafetensorsDtype;
  /** Bytes of a number then. */
  readonly size: 2 | 4;
  /** Writes `blocks` blocks as f32; types that stay as they are have none. */
  readonly decode?: (from: Uint8Array, blocks: number, to: Float32Array) => void;
}

const plain = (name: string, size: 2 | 4): GgufType => ({ name, block: 1, bytes: size, dtype: name as SafetensorsDtype, size });

/** By their number in the file. */
export const GGUF_TYPES: Readonly<Record<number, GgufType>> = {
  0: /* @__PURE__ */ plain('F32', 4),
  1: /* @__PURE__ */ plain('F16', 2),
  30: /* @__PURE__ */ plain('BF16', 2),
  2: { name: 'Q4_0', block: 32, bytes: 18, dtype: 'F32', size: 4, decode: decodeNibbles },
  8: { name: 'Q8_0', block: 32, bytes: 34, dtype: 'F32', size: 4, decode: decodeBytes },
  14: { name: 'Q6_K', block: 256, bytes: 210, dtype: 'F32', size: 4, decode: decodeSixes },
};

/** f16 bits as a number. Subnormal numbers are multiples of 2⁻²⁴; the rest gets the exponent of f32. */
function half(bits: number, scratch: { readonly words: Uint32Array; readonly numbers: Float32Array }): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits >> 15 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 5.9604644775390625e-8;
  scratch.words[0] = ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13);
  return sign * (scratch.numbers[0] as number);
}

function room(): { readonly words: Uint32Array; readonly numbers: Float32Array } {
  const words = new Uint32Array(1);
  return { words, numbers: new Float32Array(words.buffer) };
}

function decodeBytes(from: Uint8Array, blocks: number, to: Float32Array): void {
  const scratch = room();
  for (let n = 0; n < blocks; n++) {
    const at = 34 * n;
    const d = half((from[at] as number) | ((from[at + 1] as number) << 8), scratch);
    for (let i = 0; i < 32; i++) to[32 * n + i] = d * (((from[at + 2 + i] as number) << 24) >> 24);
  }
}

function decodeNibbles(from: Uint8Array, blocks: number, to: Float32Array): void {
  const scratch = room();
  for (let n = 0; n < blocks; n++) {
    const at = 18 * n;
    const d = half((from[at] as number) | ((from[at + 1] as number) << 8), scratch);
    for (let i = 0; i < 16; i++) {
      const byte = from[at + 2 + i] as number;
      to[32 * n + i] = d * ((byte & 15) - 8);
      to[32 * n + 16 + i] = d * ((byte >> 4) - 8);
    }
  }
}

/** The low bits of 64 numbers lie in 64 bytes of 128, the lower halves first; the upper bits of four times 32 numbers in 32 bytes. */
function decodeSixes(from: Uint8Array, blocks: number, to: Float32Array): void {
  const scratch = room();
  for (let n = 0; n < blocks; n++) {
    const low = 210 * n;
    const [high, scales, last] = [low + 128, low + 192, low + 208];
    const d = half((from[last] as number) | ((from[last + 1] as number) << 8), scratch);
    for (let i = 0; i < 256; i++) {
      const [group, quarter, column] = [i >> 7, (i >> 5) & 3, i & 31];
      const nibbles = from[low + 64 * group + 32 * (quarter & 1) + column] as number;
      const bits = ((from[high + 32 * group + column] as number) >> (2 * quarter)) & 3;
      const q = ((quarter & 2 ? nibbles >> 4 : nibbles & 15) | (bits << 4)) - 32;
      const scale = ((from[scales + (i >> 4)] as number) << 24) >> 24;
      // As the original rounds it: the scale first.
      to[256 * n + i] = Math.fround(d * scale) * q;
    }
  }
}
