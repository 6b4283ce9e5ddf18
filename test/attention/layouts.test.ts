/** How a tensor lies in memory shows in no bit: layouts, slices, permutations; and storage types are exact conversions. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngineSync, type DType, type Tensor } from '../../src/index.ts';
import { numbers } from '../conformance/numbers.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';
import { attend, expectSameBits, swapMiddle, upload } from './call.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const sizes = { B: 2, H: 6, G: 3, L: 65, S: 97, D: 20, E: 7 };
const inputs = draw(sizes, 1);
const contiguous = await attend(engine, inputs, sizes, { causal: true });

/** The same elements inside a larger tensor of NaN: `margin` more on every side. */
function embedded(tensor: Tensor): Tensor {
  const margin = 3;
  const outer = tensor.shape.map((n) => n + 2 * margin);
  const size = outer.reduce((product, n) => product * n, 1);
  const data = new Float32Array(size).fill(Number.NaN);
  const values = tensor.toArray();
  for (let n = 0; n < values.length; n++) {
    let rest = n;
    let at = 0;
    let step = 1;
    for (let axis = 3; axis >= 0; axis--) {
      const length = tensor.shape[axis] as number;
      at += ((rest % length) + margin) * step;
      step *= outer[axis] as number;
      rest = Math.floor(rest / length);
    }
    data[at] = values[n] as number;
  }
  return engine.tensor(outer, data, tensor.dtype).slice(...tensor.shape.map((n): [number, number] => [margin, margin + n]));
}

/** The same elements with the channels far apart in memory: stored [D, rows, heads, B]. */
function transposed(tensor: Tensor): Tensor {
  const back = tensor.permute(3, 2, 1, 0);
  return engine.tensor(back.shape, back.toArray(), tensor.dtype).permute(3, 2, 1, 0);
}

describe('where elements lie', () => {
  test('blhd gives the bits of bhld', async () => {
    expectSameBits((await attend(engine, inputs, sizes, { causal: true, layout: 'blhd' })).out, contiguous.out);
  });

  test('a permuted bhld tensor is a blhd tensor', async () => {
    const tensors = upload(engine, inputs, sizes).map((tensor) => tensor.permute(0, 2, 1, 3)) as [Tensor, Tensor, Tensor];
    const out = await engine.attention(...tensors, { causal: true, layout: 'blhd' });
    expect(out.shape).toEqual([2, 65, 6, 7]);
    expectSameBits(swapMiddle(out.toArray(), out.shape), contiguous.out);
  });

  test.each([
    ['slices of larger tensors', embedded],
    ['tensors with strided channels', transposed],
  ])('%s', async (_, view) => {
    const [q, k, v] = upload(engine, inputs, sizes).map(view) as [Tensor, Tensor, Tensor];
    expect(q.contiguous).toBe(false);
    expectSameBits((await engine.attention(q, k, v, { causal: true })).toArray(), contiguous.out);
  });

  test.each(['f32', 'f16', 'bf16'] as const)('out of %s as a slice, a permutation or whole', async (dtype) => {
    const tensors = upload(engine, inputs, sizes);
    const whole = await engine.attention(...tensors, { out: engine.tensor([2, 6, 65, 7], undefined, dtype) });
    const slice = engine.tensor([2, 8, 70, 9], undefined, dtype).slice(null, [1, 7], [2, 67], [1, 8]);
    const turned = engine.tensor([7, 65, 6, 2], undefined, dtype).permute(3, 2, 1, 0);
    for (const out of [slice, turned]) {
      expect(await engine.attention(...tensors, { out })).toBe(out);
      expectSameBits(out.toArray(), whole.toArray());
    }
  });
});

describe('storage types', () => {
  test.each(['f16', 'bf16'] as const)('%s inputs: the reference on what is stored', async (dtype) => {
    const stored = { q: round(inputs.q, dtype), k: round(inputs.k, dtype), v: round(inputs.v, dtype) };
    const result = await attend(engine, inputs, sizes, {}, dtype);
    expectAccurate({ inputs: stored, sizes, ...result });
    expectSameBits(result.out, (await attend(engine, stored, sizes)).out);
  });

  test('q, k and v of different types', async () => {
    const [q] = upload(engine, inputs, sizes, { dtype: 'f16' });
    const [, k] = upload(engine, inputs, sizes, { dtype: 'bf16' });
    const [, , v] = upload(engine, inputs, sizes);
    const stored = { q: round(inputs.q, 'f16'), k: round(inputs.k, 'bf16'), v: inputs.v };
    expectSameBits((await engine.attention(q, k, v)).toArray(), (await attend(engine, stored, sizes)).out);
  });

  test.each(['f16', 'bf16'] as const)('an out of %s is the f32 result rounded once', async (dtype) => {
    const out = engine.tensor([2, 6, 65, 7], undefined, dtype);
    await engine.attention(...upload(engine, inputs, sizes), { causal: true, out });
    expectSameBits(out.toArray(), round(contiguous.out, dtype));
  });

  test('the result is f32 whatever the inputs are, unless out says otherwise', async () => {
    expect((await engine.attention(...upload(engine, inputs, sizes, { dtype: 'f16' }))).dtype).toBe('f32');
  });
});

/** What a storage type keeps of numbers. */
function round(values: Float32Array, dtype: DType): Float32Array {
  const tensor = engine.tensor([values.length], values, dtype);
  const kept = tensor.toArray();
  tensor.dispose();
  return kept;
}

test('a batch of one gives the bits that it has in a batch of many', async () => {
  const all = await attend(engine, inputs, sizes);
  const { B, H, G, L, S, D, E } = sizes;
  const last = { q: inputs.q.slice(H * L * D), k: inputs.k.slice(G * S * D), v: inputs.v.slice(G * S * E) };
  expect(B).toBe(2);
  expectSameBits((await attend(engine, last, { ...sizes, B: 1 })).out, all.out.slice(H * L * E));
});

test('numbers() fill the range', () => {
  const drawn = numbers(1000, 1);
  expect(Math.min(...drawn)).toBeLessThan(-0.9);
  expect(Math.max(...drawn)).toBeGreaterThan(0.9);
});
