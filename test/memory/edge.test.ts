/** What a call reads may lie at the very end of memory: a vector's width behind it there is nothing, and a kernel that reads on traps. */
import { afterEach, describe, expect, test } from 'vitest';
import { type AttentionOptions, alibi, bias, createEngineSync, type DType, type Engine, rotary, type Tensor } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { taken } from './failing.ts';

const LIMIT = 2 ** 21;
/** Where the first block begins, and what is left free behind each. */
const [HEAP, GUARD] = [4096, 64];
const BYTES: Readonly<Record<DType, number>> = { f32: 4, f16: 2, bf16: 2, i8: 1, i32: 4 };

const engines: Engine[] = [];
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
});
const engineOf = (): Engine => {
  const engine = createEngineSync({ maxMemory: LIMIT });
  engines.push(engine);
  return engine;
};

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, n) => a * n, 1);
const block = (bytes: number): number => Math.ceil(bytes / 64) * 64 + GUARD;
const made = (engine: Engine, shape: readonly number[], seed: number, dtype: DType = 'f32'): Tensor =>
  engine.tensor(shape, numbers(sizeOf(shape), seed), dtype);

/** Makes something that takes one block of `bytes` at the end of memory; everything else then has room before it. */
function atTheEnd<T>(engine: Engine, bytes: number, make: () => T): T {
  const rest = LIMIT - HEAP - engine.memoryUsage().used - block(bytes);
  const filler = engine.tensor([rest - GUARD], undefined, 'i8');
  const result = make();
  expect(engine.memoryUsage()).toMatchObject({ used: LIMIT - HEAP, reserved: LIMIT });
  filler.dispose();
  return result;
}

interface Parts {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

/** A call whose tensor `name` is made by `place`. */
type Call = (engine: Engine, place: (name: string, shape: readonly number[], seed: number, dtype?: DType) => Tensor) => Promise<Tensor[]>;

/** The same call with each tensor at the end in turn. */
async function expectAtTheEnd(names: readonly string[], call: Call): Promise<void> {
  const plain = engineOf();
  const expected = taken(...(await call(plain, (_, shape, seed, dtype) => made(plain, shape, seed, dtype))));
  for (const last of names) {
    const engine = engineOf();
    const place = (name: string, shape: readonly number[], seed: number, dtype: DType = 'f32'): Tensor => {
      const make = (): Tensor => engine.tensor(shape, undefined, dtype);
      const tensor = name === last ? atTheEnd(engine, sizeOf(shape) * BYTES[dtype], make) : make();
      return tensor.set(numbers(sizeOf(shape), seed));
    };
    taken(...(await call(engine, place))).forEach((bits, n) => {
      expectSameBits(bits as Float32Array, expected[n] as Float32Array);
    });
  }
}

const OPTIONS: readonly [string, (parts: Parts & { H: number; D: number }) => AttentionOptions][] = [
  ['plain', () => ({})],
  ['rotated', ({ D }) => ({ encoding: rotary({ dim: D & ~1, theta: 100, layout: 'halves' }) })],
  ['normalised, with a bias', ({ H }) => ({ qkNorm: { kind: 'l2' }, encoding: alibi({ heads: H }), causal: true })],
];

describe.each(OPTIONS)('operands: %s', (_, options) => {
  // Numbers of keys that leave 1 to 7 places of the last panel empty, of queries that leave 1 to 3 rows of the last group empty.
  test.each([
    { L: 1, S: 1, D: 512 },
    { L: 2, S: 3, D: 64 },
    { L: 3, S: 7, D: 65 },
    { L: 5, S: 193, D: 32 },
    { L: 17, S: 385, D: 20 },
  ])('L $L, S $S, D $D', async ({ L, S, D }) => {
    for (const dtype of ['f32', 'f16', 'bf16'] as const) {
      await expectAtTheEnd(['q', 'k', 'v', 'out'], async (engine, place) => {
        const [q, k, v] = [place('q', [1, 2, L, D], 1, dtype), place('k', [1, 1, S, D], 2, dtype), place('v', [1, 1, S, D], 3, dtype)];
        const out = place('out', [1, 2, L, D], 4, dtype);
        const { lse } = await engine.attentionPartial(q, k, v, { ...options({ q, k, v, H: 2, D }), out });
        return [out, lse];
      });
    }
  });
});

test.each([1, 3, 8, 13, 193])('biases and masks over %d keys', async (S) => {
  await expectAtTheEnd(['dense', 'numbers', 'half'], async (engine, place) => {
    const [q, k] = [place('q', [1, 2, 3, 16], 1), place('k', [1, 2, S, 16], 2)];
    const dense = place('dense', [1, 2, 3, S], 3);
    const mask = [place('numbers', [3, S], 5), place('half', [S], 6, 'f16')];
    return [await engine.attention(q, k, k, { encoding: bias(dense), mask })];
  });
});

test.each([1, 3, 8, 13, 193])('a mask of bytes over %d keys', async (S) => {
  const engine = engineOf();
  const bytes = atTheEnd(engine, S, () => engine.tensor([S], new Int8Array(S).fill(1), 'i8'));
  const [q, k] = [made(engine, [1, 2, 3, 16], 1), made(engine, [1, 2, S, 16], 2)];
  expectSameBits((await engine.attention(q, k, k, { mask: bytes })).toArray(), (await engine.attention(q, k, k)).toArray());
});

test.each(['f32', 'f16', 'bf16'] as const)('what is rotated and merged, %s', async (dtype) => {
  for (const D of [2, 6, 64, 130]) {
    await expectAtTheEnd(['x', 'out'], async (engine, place) => {
      const encoding = rotary({ dim: D, theta: 100, layout: 'pairs' });
      const [x, out] = [place('x', [1, 1, 3, D], 1, dtype), place('out', [1, 1, 3, D], 2, dtype)];
      return [await engine.rotate(x, encoding, { offset: 2, out })];
    });
    await expectAtTheEnd(['x', 'lse', 'out'], async (engine, place) => {
      const states = [
        { out: place('x', [1, 1, 3, D], 1, dtype), lse: place('lse', [1, 1, 3], 2) },
        { out: place('y', [1, 1, 3, D], 3, dtype), lse: place('z', [1, 1, 3], 4) },
      ];
      const { out, lse } = await engine.mergeStates(states, { out: place('out', [1, 1, 3, D], 5, dtype) });
      return [out, lse];
    });
  }
});

test.each(['f32', 'f16', 'bf16', 'i8'] as const)('the pages of a cache of %s', async (dtype) => {
  for (const turned of [false, true]) {
    const options = { batch: 1, heads: 1, headDim: 64, capacity: 16, pageSize: 8, dtype } as const;
    const encoding = rotary({ dim: 64, theta: 100, layout: 'halves' });
    const cached = { ...options, ...(turned && { encoding }) };
    const run = async (engine: Engine, last: boolean): Promise<Float32Array> => {
      const { cache: bytes } = engine.estimate({ cache: cached });
      const cache = last ? atTheEnd(engine, bytes - GUARD, () => engine.kvCache(cached)) : engine.kvCache(cached);
      const [k, q] = [made(engine, [1, 1, 15, 64], 1), made(engine, [1, 2, 1, 64], 2)];
      cache.append(k, k);
      return (await engine.attention(q, null, null, { cache })).toArray();
    };
    expectSameBits(await run(engineOf(), true), await run(engineOf(), false));
  }
});
