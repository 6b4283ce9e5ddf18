/** Addresses past 2 GiB, where a pointer read as a signed number is negative. */
import { describe, expect, test } from 'vitest';
import { alibi, bias, createEngine, type Engine, rotary, type Tensor, t5 } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';

const HALF = 2 ** 31;

/** A round of every kind of call; the arrays that come out. */
async function round(engine: Engine): Promise<{ lowest: number; highest: number; outputs: Float32Array[] }> {
  const made: Tensor[] = [];
  const tensor = (shape: readonly number[], seed: number, dtype: 'f32' | 'f16' = 'f32'): Tensor => {
    const made_ = engine.tensor(
      shape,
      numbers(
        shape.reduce((product, n) => product * n, 1),
        seed,
      ),
      dtype,
    );
    made.push(made_);
    return made_;
  };
  const [q, k, v] = [tensor([2, 4, 150, 40], 1), tensor([2, 2, 170, 40], 2, 'f16'), tensor([2, 2, 170, 24], 3)];
  const dense = tensor([1, 4, 150, 170], 4);
  const encoding = [
    rotary({ dim: 40, theta: 10000, layout: 'pairs' }),
    alibi({ heads: 4 }),
    t5({ heads: 4, buckets: 32, maxDistance: 128, bidirectional: true, table: numbers(128, 5) }),
    bias(dense),
  ];
  const { out, lse } = await engine.attentionPartial(q, k, v, { encoding, causal: true, sinks: [0, 1, 2, 3], keyLengths: [170, 90] });
  const slice = await engine.attention(q.slice(null, null, [10, 20]), k, v, { window: { left: 50 }, softcap: 9 });
  const turned = await engine.rotate(q, encoding[0] as never, { positions: Array.from({ length: 300 }, (_, n) => 3 * n) });
  const results = [out, lse, slice, turned];
  const outputs = results.map((result) => result.toArray());
  const addresses = [...made, ...results].map((each) => (each as unknown as { pointer: number }).pointer);
  for (const each of [...made, ...results]) each.dispose();
  return { lowest: Math.min(...addresses), highest: Math.max(...addresses), outputs };
}

describe.each([1, 2])('on %d thread(s)', (threads) => {
  // The filler ends below, across and above the middle of the address space.
  test.each([
    ['across 2 GiB', HALF - 400_000],
    ['above 2 GiB', HALF + 100_000_000],
  ])('%s: the bits of low addresses', { timeout: 60_000 }, async (name, filler) => {
    const [low, high] = await Promise.all([createEngine({ threads }), createEngine({ threads })]);
    const expected = await round(low);
    expect(expected.highest).toBeLessThan(HALF);
    high.tensor([2, filler / 2], undefined, 'i8');
    const got = await round(high);
    expect(got.highest).toBeGreaterThan(HALF);
    if (name.startsWith('above')) expect(got.lowest).toBeGreaterThan(HALF);
    got.outputs.forEach((output, n) => {
      expectSameBits(output, expected.outputs[n] as Float32Array);
    });
    low.dispose();
    high.dispose();
  });
});

test('a single tensor of more than 2 GiB is one piece', { timeout: 60_000 }, async () => {
  const engine = await createEngine({ threads: 1 });
  const rows = 2 ** 23 + 1000;
  const x = engine.tensor([1, 1, rows, 64]);
  const last = x.slice(null, null, [rows - 3, rows]).set(numbers(192, 1));
  const small = engine.tensor([1, 1, 3, 64], numbers(192, 1));
  expectSameBits((await engine.attention(small, last, last)).toArray(), (await engine.attention(small, small, small)).toArray());
  expect(x.slice(null, null, rows - 1).toArray()).toEqual(numbers(192, 1).slice(128));
  engine.dispose();
});
