/** A call writes its output and nothing else. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync, rotary, type Tensor } from '../../src/index.ts';
import { draw } from '../reference/tolerance.ts';
import { attend, expectSameBits, upload } from './call.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const sizes = { B: 2, H: 4, G: 2, L: 37, S: 61, D: 20, E: 13 };
const inputs = draw(sizes, 7);
const encoding = rotary({ dim: 20, theta: 10000, layout: 'halves' });
const CANARY = 0xaaaaaaaa | 0;

/** A tensor of nothing but canaries. */
const canaries = (count = 500): Tensor => engine.tensor([count], new Int32Array(count).fill(CANARY), 'i32');
const alive = (tensor: Tensor): boolean => (tensor.view() as Int32Array).every((x) => x === CANARY);

test('tensors around the inputs and the output keep their bits', async () => {
  const guards = [canaries()];
  const tensors: Tensor[] = [];
  for (const tensor of upload(engine, inputs, sizes)) {
    tensors.push(tensor);
    guards.push(canaries());
  }
  const out = engine.tensor([2, 4, 37, 13]);
  guards.push(canaries());
  await engine.attention(...(tensors as [Tensor, Tensor, Tensor]), { encoding, causal: true, out });
  expect(guards.every(alive)).toBe(true);
});

test.each(['f32', 'f16', 'bf16'] as const)('out as a slice of %s: nothing outside of it is written', async (dtype) => {
  const shape = [4, 6, 41, 17];
  const size = shape.reduce((product, n) => product * n, 1);
  const host = engine.tensor(shape, new Float32Array(size).fill(-7), dtype);
  const out = host.slice([1, 3], [1, 5], [2, 39], [3, 16]);
  await engine.attention(...upload(engine, inputs, sizes), { out });
  const values = host.toArray();
  expect(values.filter((x) => x !== -7).length).toBe(out.size);
  out.set(new Float32Array(out.size).fill(-7));
  expect(host.toArray().every((x) => x === -7)).toBe(true);
});

test('NaN outside of input slices is not read into the result', async () => {
  const plain = await attend(engine, inputs, sizes);
  const [q, k, v] = upload(engine, inputs, sizes);
  const wide = engine.tensor([2, 2, 80, 20], new Float32Array(2 * 2 * 80 * 20).fill(Number.NaN));
  const part = wide.slice(null, null, [10, 71]).set(k.toArray());
  expectSameBits((await engine.attention(q, part, v)).toArray(), plain.out);
});

test.each([
  { encoding, causal: true },
  { keyLengths: [10, 50], softcap: 3 },
  { layout: 'bhld' as const, sinks: [1, 2, 3, 4] },
])('inputs are unchanged: %o', async (options) => {
  const tensors = upload(engine, inputs, sizes);
  const before = tensors.map((tensor) => tensor.toArray());
  await engine.attention(...tensors, options);
  tensors.forEach((tensor, n) => {
    expectSameBits(tensor.toArray(), before[n] as Float32Array);
  });
});

describe('out', () => {
  const square = { B: 1, H: 2, G: 2, L: 16, S: 16, D: 8, E: 8 };

  test('is returned, and may be used again', async () => {
    const tensors = upload(engine, inputs, sizes);
    const out = engine.tensor([2, 4, 37, 13], new Float32Array(2 * 4 * 37 * 13).fill(Number.NaN));
    const first = await engine.attention(...tensors, { out });
    expect(first).toBe(out);
    const bits = out.toArray();
    expect(engine.attentionSync(...tensors, { out })).toBe(out);
    expectSameBits(out.toArray(), bits);
    expectSameBits(bits, (await engine.attention(...tensors)).toArray());
  });

  test.each([0, 1, 2])('that overlaps an input is refused, and the input stays as it was', (which) => {
    const tensors = upload(engine, draw(square, 1), square);
    const out = tensors[which] as Tensor;
    const before = out.toArray();
    expect(() => engine.attentionSync(...tensors, { out })).toThrow(
      new RangeError(`attentionSync: "out" expected memory of its own, got an overlap with "${'qkv'[which]}"`),
    );
    expectSameBits(out.toArray(), before);
  });

  test('beside the inputs in one tensor is taken', async () => {
    const host = engine.tensor([4, 2, 16, 8]);
    const given = draw(square, 1);
    const [q, k, v, out] = [0, 1, 2, 3].map((n) => host.slice(n)) as [Tensor, Tensor, Tensor, Tensor];
    q.set(given.q);
    k.set(given.k);
    v.set(given.v);
    await engine.attention(q, k, v, { out });
    expectSameBits(out.toArray(), (await attend(engine, given, square)).out);
    expectSameBits(q.toArray(), given.q);
  });

  test('one tensor as q, k and v', async () => {
    const { q } = draw(square, 1);
    const x = engine.tensor([1, 2, 16, 8], q);
    expectSameBits((await engine.attention(x, x, x)).toArray(), (await attend(engine, { q, k: q, v: q }, square)).out);
  });
});
