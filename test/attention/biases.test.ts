/** Biases over the offset against the same numbers as a dense tensor; encodings that say nothing change nothing. */
import { afterAll, describe, expect, test } from 'vitest';
import { alibi, bias, createEngineSync, defineEncoding, type Encoding, type OffsetBias, rotary, t5 } from '../../src/index.ts';
import { numbers } from '../conformance/numbers.ts';
import * as mask from '../reference/masks.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';
import { attend, expectSameBits } from './call.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

const H = 4;
const SHAPES = [
  { B: 2, H, G: 2, L: 67, S: 67, D: 16, E: 8 },
  { B: 1, H, G: 4, L: 1, S: 250, D: 16, E: 8 },
  { B: 1, H, G: 1, L: 130, S: 40, D: 16, E: 8 },
];

const ENCODINGS: readonly [string, Encoding][] = [
  ['alibi', alibi({ heads: H })],
  ['t5, both ways', t5({ heads: H, buckets: 32, maxDistance: 128, bidirectional: true, table: numbers(32 * H, 1) })],
  ['t5, one way', t5({ heads: H, buckets: 8, maxDistance: 20, bidirectional: false, table: numbers(8 * H, 2) })],
];

/** The dense tensor of an encoding whose one bias runs over the offset: entry h, i, j is that of j − i − (S − L). */
function dense(encoding: Encoding, shape: (typeof SHAPES)[number]): { values: Float32Array; encoding: Encoding } {
  const { L, S } = shape;
  const math = Object.fromEntries(['exp', 'log', 'pow', 'sin', 'cos', 'tanh'].map((name) => [name, Math[name as 'exp']])) as never;
  const [entry] = encoding.lower({ shape, math }).biases as [OffsetBias];
  const count = L + S - 1;
  const table = new Float32Array(entry.heads * count);
  entry.fill(table, 1 - S, count);
  const values = Float32Array.from({ length: H * L * S }, (_, n) => {
    const [h, i, j] = [Math.floor(n / L / S), Math.floor(n / S) % L, n % S];
    return table[(h % entry.heads) * count + (j - i - (S - L)) - (1 - S)] as number;
  });
  return { values, encoding: bias(engine.tensor([1, H, L, S], values)) };
}

describe.each(ENCODINGS)('%s', (_, encoding) => {
  test.each(SHAPES)('L $L, S $S: the bits of the same numbers as a dense bias', async (sizes) => {
    const inputs = draw(sizes, 1);
    const expected = await attend(engine, inputs, sizes, { encoding: dense(encoding, sizes).encoding });
    const got = await attend(engine, inputs, sizes, { encoding });
    expectSameBits(got.out, expected.out);
    expectSameBits(got.lse, expected.lse);
  });

  test.each(SHAPES)('L $L, S $S: against the reference', async (sizes) => {
    const inputs = draw(sizes, 2);
    const { values } = dense(encoding, sizes);
    const result = await attend(engine, inputs, sizes, { encoding, causal: true });
    const at = ({ h, i, j }: { h: number; i: number; j: number }): number => values[(h * sizes.L + i) * sizes.S + j] as number;
    expectAccurate({ inputs, sizes, options: { bias: at, visible: mask.causal(sizes) }, ...result });
  });
});

describe('dense', () => {
  const sizes = { B: 3, H: 4, G: 2, L: 21, S: 50, D: 8, E: 8 };
  const inputs = draw(sizes, 3);

  const FULL = [3, 4, 21, 50] as const;
  const shapes = [0, 1, 2, 3, 4, 5, 6, 7].map((ones) => FULL.map((n, axis) => (ones & (1 << axis) ? 1 : n) as number));

  test.each(shapes.map((shape) => ({ shape })))('$shape spreads over the dimensions of 1', async ({ shape }) => {
    const values = numbers(
      shape.reduce((product, n) => product * n, 1),
      4,
    );
    const index = (...at: readonly number[]): number => shape.reduce((sum, n, axis) => sum * n + (n === 1 ? 0 : (at[axis] as number)), 0);
    const result = await attend(engine, inputs, sizes, { encoding: bias(engine.tensor(shape, values)) });
    expectAccurate({ inputs, sizes, options: { bias: ({ b, h, i, j }) => values[index(b, h, i, j)] as number }, ...result });
  });

  test('as a slice, a permutation or f16 gives the bits of a contiguous f32 copy', async () => {
    const stored = engine.tensor([1, 4, 21, 50], numbers(4 * 21 * 50, 5), 'f16');
    const expected = await attend(engine, inputs, sizes, { encoding: bias(engine.tensor([1, 4, 21, 50], stored.toArray())) });
    const slice = engine.tensor([2, 6, 30, 60]).slice(1, [1, 5], [3, 24], [5, 55]).set(stored.toArray());
    const turned = engine.tensor([50, 21, 4, 1]).permute(3, 2, 1, 0).set(stored.toArray());
    for (const tensor of [stored, slice, turned]) {
      expectSameBits((await attend(engine, inputs, sizes, { encoding: bias(tensor) })).out, expected.out);
    }
  });

  test('is read at each call', async () => {
    const tensor = engine.tensor([1, 1, 1, 50]);
    const encoding = bias(tensor);
    const before = await attend(engine, inputs, sizes, { encoding });
    tensor.set(numbers(50, 6));
    const after = await attend(engine, inputs, sizes, { encoding });
    expectSameBits(before.out, (await attend(engine, inputs, sizes)).out);
    expect(after.out).not.toEqual(before.out);
  });
});

describe('encodings that say nothing change no bit', () => {
  const sizes = SHAPES[0] as (typeof SHAPES)[number];
  const inputs = draw(sizes, 4);
  const zeros = t5({ heads: H, buckets: 32, maxDistance: 128, bidirectional: true, table: new Float32Array(32 * H) });

  test.each<[string, Encoding | Encoding[]]>([
    ['none in an array', []],
    ['an empty plan', defineEncoding({ name: 'nothing', lower: () => ({}) })],
    ['a table of zeros', zeros],
    ['a dense bias of zeros', bias(engine.tensor([1, 1, 67, 67]))],
  ])('%s', async (_, encoding) => {
    expectSameBits((await attend(engine, inputs, sizes, { encoding })).out, (await attend(engine, inputs, sizes)).out);
  });

  test('a rotation that does not turn', async () => {
    const still = rotary({ dim: 16, theta: 10000, layout: 'halves', positions: new Float64Array(67) });
    expectSameBits((await attend(engine, inputs, sizes, { encoding: still })).out, (await attend(engine, inputs, sizes)).out);
  });
});
