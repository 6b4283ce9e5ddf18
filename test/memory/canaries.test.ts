/** Kernels write nothing beyond what is theirs: behind every block and every part of a thread's scratch stand canaries, for awkward sizes. */
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  type AttentionOptions,
  alibi,
  bias,
  type CacheDType,
  createEngine,
  createEngineSync,
  type DType,
  deberta,
  type Encoding,
  type Engine,
  mpnet,
  rotary,
  shaw,
  type Tensor,
  transformerXL,
} from '../../src/index.ts';
import type { ScratchLayout } from '../../src/memory/scratch.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';
import { type Watch, watch } from './canaries.ts';
import { taken } from './failing.ts';

const gaps = vi.hoisted(() => ({ layOut: undefined as ((sizes: readonly number[]) => ScratchLayout) | undefined }));
vi.mock('../../src/memory/scratch.ts', async (original) => {
  const real = await original<typeof import('../../src/memory/scratch.ts')>();
  return { ...real, layOut: (sizes: readonly number[]) => (gaps.layOut ?? real.layOut)(sizes) };
});

let watching: Watch | undefined;
afterEach(() => {
  watching?.end();
  watching = undefined;
  gaps.layOut = undefined;
});

type Run = (engine: Engine) => Promise<readonly (Float32Array | Float64Array | Uint16Array)[]>;

/** Runs a call on an engine of its own with canaries, and without: the same bits, and not a canary touched. */
async function expectInside(run: Run, threads = 1): Promise<void> {
  const make = (): Promise<Engine> | Engine => (threads > 1 ? createEngine({ threads }) : createEngineSync());
  const plain = await make();
  const expected = await run(plain);
  plain.dispose();
  watching = watch();
  gaps.layOut = watching.layOut;
  try {
    const engine = await make();
    const got = await run(engine);
    engine.releaseTables();
    expect(watching.violations).toEqual([]);
    expect(watching.parts()).toBeGreaterThan(0);
    expected.forEach((bits, n) => {
      expectSameBits(got[n] as Float32Array, bits as Float32Array);
    });
    engine.dispose();
  } finally {
    watching.end();
    gaps.layOut = undefined;
  }
}

interface Sizes {
  readonly B: number;
  readonly G: number;
  readonly group: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
  readonly E: number;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, n) => a * n, 1);
const made = (engine: Engine, shape: readonly number[], seed: number, dtype: DType = 'f32'): Tensor =>
  engine.tensor(shape, numbers(sizeOf(shape), seed), dtype);

/** Plans of every kind: each part of scratch is some plan's. */
const PLANS: Readonly<Record<string, (sizes: Sizes & { H: number }, engine: Engine) => AttentionOptions>> = {
  plain: () => ({}),
  'causal, softcap, sinks': ({ H }) => ({ causal: true, softcap: 5, sinks: numbers(H, 9) }),
  lengths: ({ B, S }) => ({ keyLengths: Array.from({ length: B }, (_, b) => Math.max(0, S - 3 * b - 1)) }),
  rotary: ({ D }) => ({ encoding: D > 1 ? rotary({ dim: D & ~1, theta: 100, layout: 'halves' }) : [] }),
  'rotary and normalisation': ({ D }) => ({
    encoding: D > 1 ? rotary({ dim: D & ~1, theta: 100, layout: 'pairs' }) : [],
    qkNorm: { kind: 'rms', queryWeight: numbers(D, 8) },
  }),
  'offset biases': ({ H }) => ({ encoding: [alibi({ heads: H }), mpnet({ heads: H, table: numbers(32 * H, 7) })] }),
  'a dense bias and masks': ({ L, S }, engine) => ({
    encoding: bias(made(engine, [1, 1, L, S], 6)),
    mask: [engine.tensor([S], new Int8Array(S).fill(1), 'i8'), made(engine, [1, 1, L, S], 5)],
  }),
  'a short table and one of values': ({ D, E }) => ({
    encoding: shaw({ left: 3, right: 2, keys: numbers(6 * D, 4), ...(D === E && { values: numbers(6 * E, 3) }) }),
  }),
  'a long table': ({ H, L, S, D }) => ({
    encoding: transformerXL({ u: numbers(H * D, 1), v: numbers(H * D, 2), r: numbers(Math.max(L, S) * H * D, 3) }),
    causal: true,
  }),
  'tables of queries and of keys': ({ H, D }) => ({
    encoding: deberta({
      maxRelativePositions: 8,
      posAttType: ['c2p', 'p2c'],
      posKey: numbers(16 * H * D, 4),
      posQuery: numbers(16 * H * D, 5),
    }) as Encoding,
  }),
};

const awkward = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const sizes: fc.Arbitrary<Sizes> = fc.record({
  B: awkward(1, 2),
  G: awkward(1, 2),
  group: awkward(1, 3),
  L: awkward(1, 2, 3, 5, 17),
  S: awkward(1, 3, 7, 8, 9, 191, 193, 385),
  D: awkward(1, 2, 3, 5, 8, 20, 31, 65),
  E: awkward(1, 3, 7, 8, 20, 33, 65),
});
const dtype: fc.Arbitrary<DType> = awkward('f32', 'f16', 'bf16');

describe.each(Object.entries(PLANS))('%s', (name, options) => {
  test('attention and its log-sum-exp, whatever the sizes', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, dtype, awkward<DType>('f32', 'f16'), async (given, type, out) => {
        const alike = name === 'a short table and one of values' ? { ...given, E: given.D } : given;
        // Transformer-XL and DeBERTa are of as many queries as keys, or of later ones.
        const { B, G, group, L, S, D, E } = name.includes('table') ? { ...alike, S: Math.max(alike.S, alike.L) } : alike;
        const H = G * group;
        await expectInside(async (engine) => {
          const [q, k, v] = [made(engine, [B, H, L, D], 1, type), made(engine, [B, G, S, D], 2, type), made(engine, [B, G, S, E], 3, type)];
          const result = engine.tensor([B, H, L, E], undefined, out);
          const given = options({ B, G, group, L, S, D, E, H }, engine);
          const { lse } = await engine.attentionPartial(q, k, v, { ...given, out: result });
          for (const tensor of [q, k, v]) tensor.dispose();
          return taken(result, lse);
        });
      }),
      { numRuns: 25, seed: 1 },
    );
  });
});

test.each(['f32', 'f16', 'bf16'] as const)('the widest heads, rotated, of %s: every line of scratch is used', async (type) => {
  await expectInside(async (engine) => {
    const [q, k] = [made(engine, [1, 2, 5, 512], 1, type), made(engine, [1, 1, 195, 512], 2, type)];
    const encoding = rotary({ dim: 512, theta: 10000, layout: 'halves' });
    const out = await engine.attention(q, k, k, { encoding, qkNorm: { kind: 'l2' } });
    for (const tensor of [q, k]) tensor.dispose();
    return taken(out);
  });
});

test.each([1, 2])('more keys than a split, on %d thread(s)', async (threads) => {
  for (const [L, S] of [
    [1, 2305],
    [150, 1537],
    [40, 900],
  ] as const) {
    await expectInside(async (engine) => {
      const [q, k] = [made(engine, [1, 3, L, 36], 1, 'f16'), made(engine, [1, 1, S, 36], 2, 'f16')];
      const encoding = [
        rotary({ dim: 36, theta: 100, layout: 'pairs' }),
        shaw({ left: 5, right: 5, keys: numbers(11 * 36, 4), values: numbers(11 * 36, 5) }),
      ];
      const out = await engine.attention(q, k, k, { encoding });
      for (const tensor of [q, k]) tensor.dispose();
      return taken(out);
    }, threads);
  }
});

test('rotate, whatever the width', async () => {
  await fc.assert(
    fc.asyncProperty(
      awkward(2, 3, 5, 16, 17, 65, 511),
      awkward(1, 3, 65),
      dtype,
      awkward('halves', 'pairs'),
      async (D, L, type, layout) => {
        await expectInside(async (engine) => {
          const x = made(engine, [1, 2, L, D], 1, type);
          const turned = await engine.rotate(x, rotary({ dim: D & ~1, theta: 100, layout: layout as 'halves' }), { offset: 3 });
          x.dispose();
          return taken(turned);
        });
      },
    ),
    { numRuns: 25, seed: 2 },
  );
});

test('mergeStates, whatever the width and the types', async () => {
  await fc.assert(
    fc.asyncProperty(awkward(1, 3, 8, 31, 65), awkward(1, 5, 67), fc.array(dtype, { minLength: 1, maxLength: 5 }), async (E, L, types) => {
      await expectInside(async (engine) => {
        // Whether channels lie side by side or not.
        const wide = types.map((type, n) => made(engine, n % 2 ? [1, 2, E, L] : [1, 2, L, E], n, type));
        const states = wide.map((out, n) => ({ out: n % 2 ? out.permute(0, 1, 3, 2) : out.slice(), lse: made(engine, [1, 2, L], n + 9) }));
        const { out, lse } = await engine.mergeStates(states, { sinks: [1, 2] });
        for (const state of states) for (const tensor of Object.values(state)) tensor.dispose();
        for (const tensor of wide) tensor.dispose();
        return taken(out, lse);
      });
    }),
    { numRuns: 25, seed: 3 },
  );
});

test('caches, whatever the width, the type and the length', async () => {
  await fc.assert(
    fc.asyncProperty(
      awkward(2, 3, 5, 8, 31, 65),
      awkward(1, 3, 8, 33),
      awkward<CacheDType>('f32', 'f16', 'bf16', 'i8', 'i16'),
      awkward(1, 7, 8, 9, 23),
      fc.boolean(),
      async (D, E, type, n, turned) => {
        await expectInside(async (engine) => {
          const encoding = rotary({ dim: D & ~1, theta: 100, layout: 'halves' });
          const cache = engine.kvCache({
            batch: 1,
            heads: 2,
            headDim: D,
            valueDim: E,
            capacity: 24,
            pageSize: 8,
            dtype: type,
            ...(turned && { encoding }),
          });
          const [k, v, q] = [made(engine, [1, 2, n, D], 1), made(engine, [1, 2, n, E], 2), made(engine, [1, 4, 1, D], 3, 'f16')];
          cache.append(k, v);
          if (turned) cache.shift(-1);
          const out = await engine.attention(q, null, null, { cache, causal: true, queryOffset: n });
          cache.dispose();
          for (const tensor of [k, v, q]) tensor.dispose();
          return taken(out);
        });
      },
    ),
    { numRuns: 40, seed: 4 },
  );
});

test('a canary that is touched is seen', () => {
  watching = watch();
  const engine = createEngineSync();
  const x = engine.tensor([5]);
  const behind = x.restride([1], [1], 5);
  behind.set([0]);
  for (const tensor of [x, behind]) tensor.dispose();
  expect(watching.violations).toEqual(['a block of 20 bytes: byte 0 behind it']);
  engine.dispose();
});
