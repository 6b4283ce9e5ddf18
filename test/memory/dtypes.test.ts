/** The one table of element types: what it says is what kernels, files and wires do, and nobody else keeps another. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync, type DType, decodeState, encodeState } from '../../src/index.ts';
import {
  CACHE_DTYPES,
  cacheElement,
  DTYPES,
  dtypeOfFile,
  dtypeOfOnnx,
  dtypeOfWire,
  FLOAT_DTYPES,
  isDType,
  onnxOf,
  onnxOfArray,
} from '../../src/memory/dtypes.ts';
import { readSafetensors, writeSafetensors } from '../../src/safetensors/index.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const NAMES = Object.keys(DTYPES) as DType[];
/** −2, 1, 0 and 3 as they are stored. */
const STORED: Readonly<Record<DType, readonly number[]>> = {
  f32: [-2, 1, 0, 3],
  f16: [0xc000, 0x3c00, 0, 0x4200],
  bf16: [0xc000, 0x3f80, 0, 0x4040],
  i8: [-2, 1, 0, 3],
  i32: [-2, 1, 0, 3],
};

describe.each(NAMES)('%s', (name) => {
  const { bytes, view, bits, float, range, exact, safetensors, wire, onnx } = DTYPES[name];

  test('is stored as it is meant, and read by the kernels', () => {
    const x = engine.tensor([2, 2], [-2, 1, 0, 3], name);
    expect([...x.view()]).toEqual(STORED[name]);
    expect(x.view().BYTES_PER_ELEMENT).toBe(bytes);
    expect(x.view().constructor).toBe(view);
    // Turned, so that the kernels read it with strides.
    expect([...x.permute(1, 0).toArray()]).toEqual([-2, 0, 1, 3]);
    expect([...engine.tensor([4], view === Uint16Array ? Uint16Array.from(STORED[name]) : STORED[name], name).toArray()]).toEqual([
      -2, 1, 0, 3,
    ]);
    x.dispose();
  });

  test('shows bits if and only if a view does not show numbers', () => {
    expect(bits).toBe(STORED[name][1] !== 1);
  });

  test('has a range if it holds whole numbers alone, and refuses what is beyond', () => {
    expect(range === undefined).toBe(float);
    for (const x of range ?? []) {
      expect([...engine.tensor([1], [x], name).toNumbers()]).toEqual([x]);
      expect(() => engine.tensor([1], [x + Math.sign(x)], name)).toThrow(RangeError);
    }
    if (range) expect(exact).toBe(range.every((x) => Math.fround(x - Math.sign(x)) === x - Math.sign(x)));
  });

  test('is an operand if it is floating point, and else refused', () => {
    const x = engine.tensor([1, 1, 2, 4], undefined, name);
    const call = (): unknown => engine.attentionSync(x, x, x);
    if (float) expect(call).not.toThrow();
    else expect(call).toThrow(/"q" expected a tensor of f32, f16 or bf16/);
  });

  test('is a mask if it says so', () => {
    const [q, mask] = [engine.tensor([1, 1, 2, 4]), engine.tensor([2], [1, 0], name)];
    const v = engine.tensor([1, 1, 2, 4], [1, 1, 1, 1, 3, 3, 3, 3]);
    const call = (): Float32Array => engine.attentionSync(q, q, v, { mask }).toArray();
    const what = DTYPES[name].mask;
    if (!what) expect(call).toThrow(/"mask" expected a tensor of i8 \(nonzero is visible\) or of f32, f16, bf16 \(added\)/);
    // Scores are 0: weights are 1 and 0, or e : 1.
    else expect(call()[0]).toBeCloseTo(what === 'hides' ? 1 : (Math.E + 3) / (Math.E + 1), 6);
  });

  test('has a name in files that stands for as many bits', () => {
    expect(dtypeOfFile(safetensors)).toBe(name);
    const data = new Uint8Array(3 * bytes);
    const file = writeSafetensors(new Map([['x', { dtype: safetensors, shape: [3], data }]]));
    expect(readSafetensors(file).tensors.get('x')?.data.length).toBe(3 * bytes);
  });

  test('has names in ONNX', () => {
    for (const [each, ...arrays] of onnx) {
      expect(dtypeOfOnnx(each)).toBe(name);
      for (const array of arrays) expect(onnxOfArray(array)).toBe(each);
    }
    expect(onnx.map(([each]) => each)).toContain(onnxOf(name));
  });

  test('travels as a state if it has a number', () => {
    expect(wire !== undefined).toBe(float);
    if (wire === undefined) return;
    expect(dtypeOfWire(wire)).toBe(name);
    const state = { out: engine.tensor([1, 1, 1, 4], [-2, 1, 0, 3], name), lse: engine.tensor([1, 1, 1]) };
    const bytes = encodeState(state);
    expect(bytes[8]).toBe(wire);
    expect([...decodeState(bytes).out]).toEqual(STORED[name]);
  });
});

test('numbers of the wire format never change', () => {
  expect(FLOAT_DTYPES.map((name) => [name, DTYPES[name].wire])).toEqual([
    ['f32', 0],
    ['f16', 1],
    ['bf16', 2],
  ]);
});

test.each(CACHE_DTYPES)('a cache of %s reserves rows of the size that the table says', (dtype) => {
  for (const D of [1, 3, 8, 65]) {
    const { cache } = engine.estimate({ cache: { batch: 1, heads: 1, headDim: D, capacity: 64, pageSize: 64, dtype } });
    const { bytes, depth } = cacheElement(dtype);
    const channels = depth * Math.ceil(D / depth) + 8 * Math.ceil(D / 8);
    // Keys and values of 64 rows, filled up to pairs and to columns of eight, and scales of both; one more cache line behind.
    expect(cache).toBe(64 * (channels * bytes + (depth > 1 ? 8 : 0)) + 64);
  }
});

test('names are own names', () => {
  expect(['f32', 'toString', '__proto__', 1, undefined].map(isDType)).toEqual([true, false, false, false, false]);
});

/** Files that have to name element types: the table, the formats of files, which have more of them, and what reads those. */
const KEEPERS = ['memory/dtypes.ts', 'safetensors/header.ts', 'models/gguf-blocks.ts', 'arguments/numbers.ts'];

test('no other source lists element types', () => {
  const src = fileURLToPath(new URL('../../src/', import.meta.url));
  const files = (readdirSync(src, { recursive: true }) as string[]).filter((file) => file.endsWith('.ts') && !file.includes('generated'));
  const lists = files.filter((file) => {
    const code = readFileSync(join(src, file), 'utf8').replace(/\/\*\*[\s\S]*?\*\/|\/\/.*/g, '');
    return /'(bf16|BF16|bfloat16)'/.test(code);
  });
  expect(lists.sort()).toEqual([...KEEPERS].sort());
});
