/** Linear layers by their definition, each step rounded to f32 as the kernels round it; and in f64. */
import type { WeightType } from '../../src/nn/index.ts';

const f32 = Math.fround;

/** round to nearest, ties to even. */
export const round = (x: number): number => {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + (((low % 2) + 2) % 2) : Math.round(x);
};

/** What numbers below this in size are as integers: 0. */
const LEAST = 2 ** -100;

/** Numbers as integers of at most `top`, and their scale. `most` is the largest of them, or what stands for it. */
function integers(row: Float32Array, most: number, top: number, limit = Infinity): { scale: number; integers: number[] } {
  if (!Number.isFinite(most)) return { scale: Number.NaN, integers: [...row].map(() => 0) };
  if (Math.abs(most) < LEAST) return { scale: 0, integers: [...row].map(() => 0) };
  return scaled(row, most, top, limit);
}

/** Numbers by top/most, and the scale that takes them back. */
function scaled(row: Float32Array, most: number, top: number, limit = Infinity): { scale: number; integers: number[] } {
  const factor = f32(top / most);
  return { scale: f32(most / top), integers: [...row].map((x) => Math.min(limit, round(f32(x * factor)))) };
}

/** The largest size in a row; NaN if there is one. */
const sizeOf = (row: Float32Array): number => row.reduce((most, x) => (Number.isNaN(x) ? x : Math.max(most, Math.abs(x))), 0);

/** The size of the least number of a row that is below 0; 0 where none is. */
const below = (row: Float32Array): number => row.reduce((most, x) => Math.max(most, -x), 0);

/** A row of x as the kernels have it: for i8 from the least number to the largest a little less than 127 steps. */
export function quantised(row: Float32Array, type: 'i8' | 'i4'): { scale: number; integers: number[] } {
  const size = sizeOf(row);
  if (type === 'i4' || !(size >= LEAST && Number.isFinite(size))) return integers(row, size, 127);
  const above = row.reduce((most, x) => Math.max(most, x), 0);
  const half = f32(f32(0.5 * above) + f32(0.5 * below(row)));
  return scaled(row, half, 63.5 - 2 ** -14);
}

/** What is added to the integers of a row for i8 to make them seven bits without a sign: the size of the least. */
export const zeroOf = ({ integers }: { readonly integers: readonly number[] }): number => Math.max(0, ...integers.map((n) => -n));

/** The largest sum of numbers of one sign among six that a lane has of twelve, over 8. */
function sixesOf(row: Float32Array): number {
  let most = 0;
  for (let k = 0; k < row.length; k += 12) {
    for (const sign of [1, -1]) {
      const lanes = [0, 1, 2, 3].map((lane) => {
        return [0, 4, 8].reduce((sum, at) => f32(sum + Math.max(0, f32(sign * (row[k + at + lane] ?? 0) * 0.125))), 0);
      }) as [number, number, number, number];
      most = Math.max(most, f32(lanes[0] + lanes[1]), f32(lanes[2] + lanes[3]));
    }
  }
  return most;
}

/** A row of i8: those of its largest number or, where their products would not fit 16 bits by sixes, of its largest sum. */
function bytes(row: Float32Array): { scale: number; integers: number[] } {
  const plain = integers(row, sizeOf(row), 127);
  const sum = sixesOf(row);
  if (!(plain.scale > 0 && f32(sum / 31.875) > plain.scale)) return plain;
  return scaled(row, sum, 31.875);
}

/** A row of weights in blocks of one scale. */
export function weightBlocks(row: Float32Array, type: 'i8' | 'i4'): { scale: number; integers: number[] }[] {
  if (type === 'i8') return [bytes(row)];
  const blocks = [];
  for (let k = 0; k < row.length; k += 32) {
    const block = row.subarray(k, k + 32);
    const size = sizeOf(block);
    const most = Number.isFinite(size) ? (block.find((x) => Math.abs(x) === size) as number) : size;
    blocks.push(integers(block, most, -8, 7));
  }
  return blocks;
}

/** A row of weights as it is kept, as numbers. */
export function keptRow(row: Float32Array, type: WeightType): Float64Array {
  if (type !== 'i8' && type !== 'i4') return Float64Array.from(row);
  return Float64Array.from(weightBlocks(row, type).flatMap(({ scale, integers }) => integers.map((n) => n * scale)));
}

/** Σ_k x[k]·w[k] of two rows, as the kernels sum it. */
export function sumOf(x: Float32Array, w: Float32Array, type: WeightType): number {
  if (type !== 'i8' && type !== 'i4') {
    let sum = 0;
    for (let k = 0; k < x.length; k++) sum = f32(sum + f32((x[k] as number) * (w[k] as number)));
    return sum;
  }
  return sumOfIntegers(quantised(x, type), weightBlocks(w, type), type);
}

/** The same of a row that is quantised and the blocks of a row of weights. */
export function sumOfIntegers(
  x: { scale: number; integers: number[] },
  blocks: { scale: number; integers: number[] }[],
  type: 'i8' | 'i4',
): number {
  let k = 0;
  const sums = blocks.map(({ integers }) => integers.reduce((sum, n) => sum + n * (x.integers[k++] as number), 0));
  if (type === 'i8') return f32(f32(f32(sums[0] as number) * (blocks[0] as { scale: number }).scale) * x.scale);
  let total = 0;
  sums.forEach((sum, block) => {
    total = f32(total + f32(f32(sum) * (blocks[block] as { scale: number }).scale));
  });
  return f32(total * x.scale);
}

/** All sums [M, N]. */
export function sums(x: Float32Array, w: Float32Array, M: number, N: number, K: number, type: WeightType): Float32Array {
  const row = (data: Float32Array, n: number): Float32Array => data.subarray(n * K, n * K + K);
  const out = new Float32Array(M * N);
  if (type === 'i8' || type === 'i4') {
    const rows = Array.from({ length: M }, (_, m) => quantised(row(x, m), type));
    const weights = Array.from({ length: N }, (_, n) => weightBlocks(row(w, n), type));
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) out[m * N + n] = sumOfIntegers(rows[m] as never, weights[n] as never, type);
    }
    return canonical(out);
  }
  for (let m = 0; m < M; m++) for (let n = 0; n < N; n++) out[m * N + n] = sumOf(row(x, m), row(w, n), type);
  return canonical(out);
}

/** Every NaN as the one that kernels give: which bits a host's own arithmetic leaves is its choice. */
const canonical = (numbers: Float32Array): Float32Array => {
  const words = new Uint32Array(numbers.buffer);
  numbers.forEach((x, n) => {
    if (Number.isNaN(x)) words[n] = 0x7fc00000;
  });
  return numbers;
};

/** The bits of numbers, with which NaN equals NaN and 0 is not −0. */
export const bits = (numbers: Float32Array): number[] => [...new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length)];
