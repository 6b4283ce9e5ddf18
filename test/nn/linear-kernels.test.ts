/** The kernels of linear layers by themselves: rows as integers, panels, tiles of any shape, no byte read or written beyond what they are given. */
import { describe, expect, test } from 'vitest';
import { BF16, F16, F32 } from '../../src/wasm/generated/job.ts';
import * as field from '../../src/wasm/generated/layers.ts';
import { numbers } from '../conformance/numbers.ts';
import { compileKernels } from '../numerics/compile.ts';
import { Lab, SETS } from './lab.ts';
import { bits, quantised, sums, weightBlocks, zeroOf } from './linear-reference.ts';

const up = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

describe('rows as integers', async () => {
  const kernels = await compileKernels<{
    memory: WebAssembly.Memory;
    more(): void;
    quantiseBytes(row: number, K: number, to: number, step: number, padded: number, sevens: boolean, scale: number, zero: number): void;
    quantiseShorts(row: number, K: number, to: number, step: number, padded: number, sevens: boolean, scale: number): void;
  }>("export { quantiseBytes, quantiseShorts } from './nn/quantise';\nexport function more(): void { memory.grow(4); }", [
    'nn/quantise',
    'simd',
    'job',
    'target',
  ]);
  kernels.more();
  const [ROW, TO, SCALE, ZERO] = [65536, 2 * 65536, 65536 - 64, 65536 - 128];
  const { buffer } = kernels.memory;
  /** Half the range of numbers that are integers as they are. */
  const HALF = 63.5 - 2 ** -14;
  const MINUS_NAN = new Float32Array(Uint32Array.of(0xffc00000).buffer)[0] as number;
  const KINDS: readonly [string, (x: number, k: number) => number][] = [
    ['plain', (x) => x],
    ['halfway between two integers of i8', (_, k) => (k < 2 ? (1 - 2 * k) * HALF : ((k * 7) % 125) / 2 - 31)],
    ['halfway between two integers of i4', (_, k) => (k === 0 ? 127 : ((k * 7) % 253) / 2 - 63)],
    ['above 0', (x) => Math.abs(x)],
    ['below 0', (x) => -Math.abs(x)],
    ['mostly above 0', (x, k) => (k % 3 ? Math.abs(x) : x * 0.3)],
    ['with a NaN below 0', (x, k) => (k % 5 === 2 ? MINUS_NAN : x)],
    ['with an Infinity above 0', (x, k) => (k % 7 === 0 ? Number.POSITIVE_INFINITY : x)],
    ['of the largest sizes of both signs', (_, k) => (1 - 2 * (k % 2)) * 3.4028234663852886e38],
    ['of all sizes', (x, k) => x * 2 ** -(k % 30)],
    ['at the least size', (x) => x * 2 ** -99.5],
    ['subnormal', (x) => x * 2 ** -130],
    ['of the largest size', (x) => x * 3.4e38],
    ['zero', () => 0],
    ['with a NaN', (x, k) => (k % 5 === 2 ? Number.NaN : x)],
    ['with an Infinity', (x, k) => (k % 7 === 0 ? Number.NEGATIVE_INFINITY : x)],
  ];
  const cases = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 100].flatMap((K) => KINDS.map(([name, kind]) => ({ K, name, kind })));

  test.each(cases)('$K numbers, $name', ({ K, kind }) => {
    const row = numbers(K, 31 * K).map(kind);
    new Float32Array(buffer, ROW, K).set(row);
    new Float32Array(buffer, ROW + 4 * K, 8).fill(Number.NaN);
    for (const type of ['i8', 'i4'] as const) {
      const quantisedRow = quantised(row, type);
      const { scale, integers } = quantisedRow;
      const sevens = type === 'i8';
      const zero = sevens ? zeroOf(quantisedRow) : 0;
      const padded = up(K, sevens ? 4 : 32);
      const whole = (zero: number): number[] => Array.from({ length: padded }, (_, k) => (integers[k] ?? 0) + zero);
      for (const [step, bytes] of [
        [4, 1],
        [16, 1],
        [4, 2],
        [16, 2],
      ] as const) {
        const per = 4 / bytes;
        const all = new Uint8Array(buffer, TO, (padded / per) * step + 16).fill(0xa5);
        new Float32Array(buffer, SCALE, 1).fill(7);
        new Int32Array(buffer, ZERO, 2).fill(-5);
        if (bytes === 1) kernels.quantiseBytes(ROW, K, TO, step, padded, sevens, SCALE, ZERO);
        else kernels.quantiseShorts(ROW, K, TO, step, padded, sevens, SCALE);
        expect([...new Int32Array(buffer, ZERO, 2)]).toEqual([bytes === 1 && sevens ? zero : -5, -5]);
        expect(new Float32Array(buffer, SCALE, 1)[0]).toEqual(scale);
        const view = new DataView(buffer, TO);
        const found = Array.from({ length: padded }, (_, k) => {
          const at = Math.floor(k / per) * step + (k % per) * bytes;
          return bytes === 1 ? view.getInt8(at) : view.getInt16(at, true);
        });
        expect(found).toEqual(whole(bytes === 1 ? zero : 0).map((n) => n + 0));
        const beside = [...all].filter((_, at) => at % step >= 4 || at >= (padded / per) * step);
        expect(beside.every((byte) => byte === 0xa5)).toBe(true);
      }
    }
  });
});

const TYPES = { f32: F32, f16: F16, bf16: BF16, i8: field.WEIGHTS_I8, i4: field.WEIGHTS_I4 } as const;
type Type = keyof typeof TYPES;

function panelBytes(type: Type, K: number): number {
  if (type === 'i8') return field.PANEL_HEADER + 8 * up(K, 4);
  if (type === 'i4') return (up(K, 32) / 32) * field.BLOCK_BYTES;
  return 8 * K * (type === 'f32' ? 4 : 2);
}

/** Packs rows [N, K] of f32 in pieces of so many rows. */
function packed(lab: Lab, w: Float32Array, N: number, K: number, type: Type, pieces: readonly number[]): { at: number; bytes: number } {
  const bytes = Math.ceil(N / 8) * panelBytes(type, K);
  const at = lab.output(new Uint8Array(bytes));
  let first = 0;
  for (const count of pieces) {
    const job = lab.block(field.PACK_SIZE, [
      [field.PACK_FROM, lab.input(w.slice(first * K, (first + count) * K))],
      [field.PACK_ROW, 4 * K],
      [field.PACK_COLUMN, 4],
      [field.PACK_FROM_TYPE, F32],
      [field.PACK_TO, at],
      [field.PACK_TYPE, TYPES[type]],
      [field.PACK_STEP, panelBytes(type, K)],
      [field.PACK_K, K],
      [field.PACK_FIRST, first],
      [field.PACK_END, first + count],
    ]);
    lab.run('pack', job, Math.ceil((first + count) / 8) - Math.floor(first / 8), 0);
    first += count;
  }
  return { at, bytes };
}

describe.each(SETS)('%s', (set) => {
  test.each([1, 3, 4, 5, 31, 32, 33, 100])('panels of i8 and i4, K = %d: scales, integers and sums of the definition; 0 elsewhere', (K) => {
    const N = 11;
    const w = numbers(N * K, K);
    w.fill(0, 2 * K, 3 * K);
    w[5 * K] = Number.NaN;
    w.set(
      w.subarray(6 * K, 7 * K).map((x) => x * 2 ** -101),
      6 * K,
    );
    for (const type of ['i8', 'i4'] as const) {
      const lab = new Lab(set);
      const { at, bytes } = packed(lab, w, N, K, type, [N]);
      const view = new DataView(new Uint8Array(Int32Array.from(lab.integers(at, bytes / 4)).buffer).buffer);
      for (let n = 0; n < 16; n++) {
        const panel = Math.floor(n / 8) * panelBytes(type, K);
        const lane = n % 8;
        const blocks = n < N ? weightBlocks(w.subarray(n * K, n * K + K), type) : [];
        if (type === 'i8') {
          const { scale, integers } = blocks[0] ?? { scale: 0, integers: [] };
          expect(view.getFloat32(panel + 4 * lane, true)).toBe(Math.fround(scale));
          expect(view.getInt32(panel + 32 + 4 * lane, true)).toBe(integers.reduce((sum, q) => sum + q, 0) + 0);
          for (let k = 0; k < up(K, 4); k++) {
            expect(view.getInt8(panel + 64 + Math.floor(k / 4) * 32 + 4 * lane + (k % 4))).toBe((integers[k] ?? 0) + 0);
          }
        } else {
          for (let block = 0; block < up(K, 32) / 32; block++) {
            const { scale, integers } = blocks[block] ?? { scale: 0, integers: [] };
            const from = panel + block * field.BLOCK_BYTES;
            expect(view.getFloat32(from + 4 * lane, true)).toBe(Math.fround(scale));
            for (let k = 0; k < 32; k++) {
              const byte = view.getUint8(from + 32 + Math.floor(k / 8) * 32 + 4 * lane + (k % 4));
              expect(((k & 4 ? byte >> 4 : byte & 15) - 8) as number).toBe(n < N ? (integers[k] ?? 0) + 0 : -8);
            }
          }
        }
      }
    }
  });

  test.each(Object.keys(TYPES) as Type[])('%s in pieces of any numbers of rows is what it is at once', (type) => {
    const [N, K] = [45, 37];
    const w = numbers(N * K, 3);
    const lab = new Lab(set);
    const whole = packed(lab, w, N, K, type, [N]);
    for (const pieces of [
      [8, 8, 8, 8, 13],
      [1, 1, 1, 42],
      [5, 11, 3, 26],
      [44, 1],
    ]) {
      const { at, bytes } = packed(lab, w, N, K, type, pieces);
      expect(lab.integers(at, bytes / 4)).toEqual(lab.integers(whole.at, bytes / 4));
    }
  });

  test.each(Object.keys(TYPES) as Type[])('%s: tiles of any shape give the same bits, in scratch of the size that is needed', (type) => {
    const [M, N, K] = [13, 43, 41];
    const narrow = (data: Float32Array): Float32Array =>
      type === 'f16' || type === 'bf16' ? data.map((x) => Math.round(x * 64) / 64) : data;
    const [x, w, bias] = [numbers(M * K, 1), narrow(numbers(N * K, 2)), numbers(48, 3)] as const;
    const expected = sums(x, w, M, N, K, type).map((sum, at) => sum + (bias[at % N] as number));
    for (const [rows, panels] of [
      [1, 1],
      [1, 6],
      [4, 4],
      [5, 1],
      [8, 5],
      [13, 6],
      [16, 2],
    ] as const) {
      const lab = new Lab(set);
      const { at: weights } = packed(lab, w, N, K, type, [N]);
      const whole = up(rows, 4);
      const integers = type === 'i8' || type === 'i4';
      const padded = up(K, type === 'i8' ? 4 : type === 'i4' ? 32 : 1);
      let scratch = 0;
      const part = (bytes: number): number => {
        const at = scratch;
        scratch += up(bytes, 16);
        return at;
      };
      const out = lab.output(new Float32Array(M * N));
      const job = lab.block(field.LINEAR_SIZE, [
        [field.LINEAR_X, lab.input(x)],
        [field.LINEAR_X_ROW, 4 * K],
        [field.LINEAR_OUT, out],
        [field.LINEAR_OUT_ROW, 4 * N],
        [field.LINEAR_M, M],
        [field.LINEAR_N, N],
        [field.LINEAR_K, K],
        [field.LINEAR_WEIGHTS, weights],
        [field.LINEAR_TYPE, TYPES[type]],
        [field.LINEAR_BIAS, lab.input(bias)],
        [field.LINEAR_ROWS, rows],
        [field.LINEAR_PANELS, panels],
        [field.LINEAR_S_ROWS, part(whole * padded * (integers ? 2 : 4))],
        [field.LINEAR_S_SCALES, part(4 * whole)],
        [field.LINEAR_S_BLOCKS, part(4 * whole * (type === 'i4' ? padded / 32 : 1))],
        [field.LINEAR_S_SUMS, part(32 * whole)],
        [field.LINEAR_S_PANEL, part(8 * padded * (integers ? 2 : 4))],
      ]);
      lab.run('linear', job, Math.ceil(M / rows) * Math.ceil(6 / panels), scratch);
      expect(bits(lab.floats(out, M * N))).toEqual(bits(expected));
    }
  });
});
