/** What tensors are filled from: views of the engine's own memory, and data that are refused, which change nothing. */
import { afterEach, describe, expect, test } from 'vitest';
import { createEngine, type DType, defineEncoding, type Encoding, type Engine, type Tensor } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';

const engines: Engine[] = [];
const engineOf = async (threads: number): Promise<Engine> => {
  const engine = await createEngine({ threads });
  engines.push(engine);
  return engine;
};
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
});

/** Takes all the room there is without growing, so that the next block makes the memory grow. */
function fillUp(engine: Engine): Tensor {
  const { used, reserved } = engine.memoryUsage();
  const filler = engine.tensor([reserved - 4096 - used - 64], undefined, 'i8');
  expect(engine.memoryUsage()).toMatchObject({ used: reserved - 4096, reserved });
  return filler;
}

describe.each([1, 2])('on %d thread(s), a view of the memory', (threads) => {
  test.each(['f32', 'f16', 'bf16'] as const)('fills a new tensor of %s for which the memory must grow', async (dtype) => {
    const engine = await engineOf(threads);
    const source = engine.tensor([60, 50], numbers(3000, 1));
    const expected = engine.tensor([60, 50], numbers(3000, 1), dtype);
    fillUp(engine);
    const { used, reserved } = engine.memoryUsage();
    const got = engine.tensor([60, 50], source.view() as Float32Array, dtype);
    expect(engine.memoryUsage().reserved).toBeGreaterThan(reserved);
    expectSameBits(got.toArray(), expected.toArray());
    got.dispose();
    expect(engine.memoryUsage().used).toBe(used);
  });

  test.each(['f16', 'bf16'] as const)('is set into a tensor of %s, for which the memory must grow', async (dtype) => {
    const engine = await engineOf(threads);
    const source = engine.tensor([60, 50], numbers(3000, 1));
    const expected = engine.tensor([60, 50], numbers(3000, 1), dtype).toArray();
    const half = engine.tensor([60, 50], undefined, dtype);
    const view = source.view() as Float32Array;
    fillUp(engine);
    const { reserved } = engine.memoryUsage();
    half.set(source.view() as Float32Array);
    expect(engine.memoryUsage().reserved).toBeGreaterThan(reserved);
    expectSameBits(half.toArray(), expected);
    // One taken before is detached by now, if the memory is not shared; then it is refused.
    if (view.length) half.set(view);
    else expect(() => half.set(view)).toThrow(/"data" expected 3000 elements, got Float32Array\(0\) with 0/);
    expectSameBits(half.toArray(), expected);
  });

  test('of raw bits fills a tensor of bits', async () => {
    const engine = await engineOf(threads);
    const source = engine.tensor([60, 50], numbers(3000, 1), 'f16');
    fillUp(engine);
    expect(engine.tensor([60, 50], source.view() as Uint16Array, 'f16').view()).toEqual(source.view());
  });

  test('that overlaps what it is set into is read as it was before', async () => {
    const engine = await engineOf(threads);
    for (const dtype of ['f32', 'i32', 'i8', 'f16'] as const) {
      const list = Array.from({ length: 10 }, (_, n) => n);
      const forward = engine.tensor([10], list, dtype);
      forward.slice([1, 10]).set(forward.slice([0, 9]).view());
      expect([...forward.toArray()]).toEqual([0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
      const backward = engine.tensor([10], list, dtype);
      backward.slice([0, 9]).set(backward.slice([1, 10]).view());
      expect([...backward.toArray()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 9]);
      // A transposition in place.
      const square = engine.tensor([3, 3], list.slice(0, 9), dtype);
      square.permute(1, 0).set(square.view());
      expect([...square.toArray()]).toEqual([0, 3, 6, 1, 4, 7, 2, 5, 8]);
    }
  });

  test('that outlived its tensor fills the one in whose memory it lies', async () => {
    const engine = await engineOf(threads);
    for (const dtype of ['f16', 'bf16', 'f32'] as const) {
      const source = engine.tensor([500, 3], numbers(1500, 1));
      const { pointer } = source;
      const view = source.view() as Float32Array;
      source.dispose();
      const got = engine.tensor([500, 3], view, dtype);
      expect(got.pointer).toBe(pointer);
      expectSameBits(got.toArray(), engine.tensor([500, 3], numbers(1500, 1), dtype).toArray());
    }
  });
});

describe('a plan of views of the memory', () => {
  const [H, L, D] = [2, 12, 8] as const;
  const index = Int32Array.from({ length: L * L }, (_, n) => n % 5);

  test('gives the numbers of one of plain arrays, though the call makes the memory grow', async () => {
    const engine = await engineOf(1);
    const [q, table, gate, terms, frequencies] = [
      engine.tensor([1, H, L, D], numbers(H * L * D, 1)),
      engine.tensor([5], numbers(5, 2)),
      engine.tensor([H * L], numbers(H * L, 3)),
      engine.tensor([5 * D], numbers(5 * D, 4)),
      engine.tensor([D], numbers(D, 5)),
    ];
    const arrays = (view: (tensor: Tensor) => Float32Array): Encoding =>
      defineEncoding({
        name: 'views',
        lower: () => ({
          biases: [{ kind: 'index', heads: 1, table: view(table), index, gate: view(gate) }],
          terms: [{ kind: 'query', heads: 1, table: view(terms), rows: { kind: 'index', index } }],
          rotation: { dim: D, layout: 'halves', frequencies: Float64Array.from(view(frequencies)).subarray(0, D / 2) },
        }),
      });
    const expected = await engine.attention(q, q, q, { encoding: arrays((tensor) => tensor.toArray()) });
    const values = expected.toArray();
    expected.dispose();
    engine.releaseTables();
    fillUp(engine);
    const { reserved } = engine.memoryUsage();
    const got = await engine.attention(q, q, q, { encoding: arrays((tensor) => tensor.view() as Float32Array) });
    expect(engine.memoryUsage().reserved).toBeGreaterThan(reserved);
    expectSameBits(got.toArray(), values);
  });
});

describe('data that are refused', () => {
  const bad: readonly [string, unknown][] = [
    ['a BigInt', 1n],
    ['a string', 'a'],
    ['a symbol', Symbol('x')],
    ['undefined', undefined],
    ['an object that throws', { valueOf: () => expect.fail('it was asked for its value') }],
  ];

  test.each(bad)('because the last element is %s change no element and take no memory', async (_, element) => {
    const engine = await engineOf(1);
    for (const dtype of ['f32', 'f16', 'bf16', 'i8', 'i32'] as const) {
      const x = engine.tensor([4, 4], Array(16).fill(7), dtype);
      const { used } = engine.memoryUsage();
      const data = [...Array(15).fill(1), element] as number[];
      expect(() => x.set(data)).toThrow(TypeError);
      expect(() => x.permute(1, 0).set(data)).toThrow(/^set: "data\[15\]" expected a number/);
      expect(() => engine.tensor([4, 4], data, dtype)).toThrow(/^tensor: "data\[15\]" expected a number/);
      expect([...x.toArray()]).toEqual(Array(16).fill(7));
      // `permute` made a tensor that shares the memory.
      expect(engine.memoryUsage().used).toBe(used);
    }
  });

  test('because there is a hole', async () => {
    const engine = await engineOf(1);
    const holes = [1, 2, 3];
    delete holes[1];
    expect(() => engine.tensor([3], holes)).toThrow(new TypeError('tensor: "data[1]" expected a number, got undefined'));
    expect(engine.memoryUsage().used).toBe(0);
  });

  test('because of a million BigInts', async () => {
    const engine = await engineOf(1);
    expect(() => engine.tensor([1e6], Array(1e6).fill(1n) as unknown as number[])).toThrow(/"data\[0\]"/);
    expect(engine.memoryUsage().used).toBe(0);
  });
});

test('whole numbers beyond f32 come out as they are wherever a list is read', async () => {
  const engine = await engineOf(1);
  const ids = engine.tensor([2, 3], [2 ** 24 + 1, 2, 3, -(2 ** 31), 2 ** 31 - 1, 6], 'i32');
  expect([...ids.toNumbers()]).toEqual([2 ** 24 + 1, 2, 3, -(2 ** 31), 2 ** 31 - 1, 6]);
  expect([...ids.slice(null, [0, 2]).toNumbers()]).toEqual([2 ** 24 + 1, 2, -(2 ** 31), 2 ** 31 - 1]);
  expect([...ids.permute(1, 0).toNumbers()]).toEqual([2 ** 24 + 1, -(2 ** 31), 2, 2 ** 31 - 1, 3, 6]);
  expect([...engine.tensor([2], [0.5, -2], 'f16' satisfies DType).toNumbers()]).toEqual([0.5, -2]);
});
