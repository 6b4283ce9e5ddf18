/** Masks composed at random, masks in shards of the keys, and what a mask does not touch. */
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import {
  and,
  causalMask,
  chunked,
  createEngine,
  createEngineSync,
  defineMask,
  documents,
  keyPadding,
  type Mask,
  neighbourhood,
  not,
  or,
  slidingWindow,
} from '../../src/index.ts';
import { Tensor } from '../../src/memory/tensor.ts';
import { attend, expectSameBits, upload } from '../attention/call.ts';
import { distance, draw } from '../reference/tolerance.ts';
import { asTensors, expectMask, matrixOf, type Sees } from './support.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

/** A mask and what it means. */
interface Both {
  readonly mask: Mask;
  readonly sees: Sees;
}

const leaf: fc.Arbitrary<Both> = fc.oneof(
  fc.integer({ min: 1, max: 150 }).map((size): Both => {
    return { mask: chunked({ size }), sees: ({ p, j }) => Math.floor(p / size) === Math.floor(j / size) };
  }),
  fc.tuple(fc.nat(130), fc.nat(130)).map(([left, right]): Both => {
    return { mask: slidingWindow({ left, right }), sees: ({ p, j }) => p - left <= j && j <= p + right };
  }),
  fc.constant<Both>({ mask: causalMask(), sees: ({ p, j }) => j <= p }),
  fc.tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 5 })).map(([run, count]): Both => {
    const id = (at: number): number => Math.floor(at / run) % count;
    const pairs = (p: number, keys: number): [number, number][] =>
      Array.from({ length: keys }, (_, j): [number, number] => [j, j + 1]).filter(([j]) => id(j) === id(p + 1000 * run * count));
    return {
      mask: defineMask({ name: 'ids', intervals: (p, { keys }) => pairs(p, keys) }),
      sees: ({ p, j }) => id(j) === id(p + 1000 * run * count),
    };
  }),
  fc.tuple(fc.nat(120), fc.nat(120)).map(([a, b]): Both => {
    return { mask: keyPadding({ lengths: [a, b] }), sees: (at) => at.j < (at.b ? b : a) };
  }),
);

const { tree: composed } = fc.letrec<{ tree: Both }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.tuple(tie('tree'), tie('tree')).map(([a, b]): Both => ({ mask: and(a.mask, b.mask), sees: (at) => a.sees(at) && b.sees(at) })),
    fc.tuple(tie('tree'), tie('tree')).map(([a, b]): Both => ({ mask: or(a.mask, b.mask), sees: (at) => a.sees(at) || b.sees(at) })),
    tie('tree').map((a): Both => ({ mask: not(a.mask), sees: (at) => !a.sees(at) })),
  ),
}));

describe('composed at random', () => {
  test('and, or, not are those of the matrices', async () => {
    const size = fc.integer({ min: 1, max: 230 });
    await fc.assert(
      fc.asyncProperty(composed, fc.integer({ min: 1, max: 40 }), size, async ({ mask, sees }, L, S) => {
        await expectMask(engine, mask, sees, { B: 2, H: 2, G: 1, L, S, D: 5, E: 4 });
      }),
      { numRuns: 60, seed: 11 },
    );
  });
});

describe('with shards of the keys', () => {
  const sizes = { B: 2, H: 2, G: 2, L: 7, S: 250, D: 8, E: 8 };
  const inputs = draw(sizes, 5);
  const ids = Array.from({ length: 500 }, (_, n) => Math.floor(n / 17) % 3);
  const MASKS: readonly [string, Mask, Sees][] = [
    ['documents', documents({ keys: ids }), ({ b, p, j }) => ids[b * 250 + p] === ids[b * 250 + j]],
    ['not a window', not(slidingWindow({ left: 40, right: 3 })), ({ p, j }) => j < p - 40 || j > p + 3],
    [
      'a grid',
      neighbourhood({ grid: [10, 25], radius: 3 }),
      ({ p, j }) => Math.abs(Math.floor(p / 25) - Math.floor(j / 25)) <= 3 && Math.abs((p % 25) - (j % 25)) <= 3,
    ],
  ];

  test.each(MASKS)('%s: the shards merge to the whole, and a dense tensor of the whole gives the same', async (_, mask, sees) => {
    const [q, k, v] = upload(engine, inputs, sizes);
    const { boolean, additive } = asTensors(engine, matrixOf(sees, sizes), sizes);
    const states = [];
    for (const [from, to] of [
      [0, 60],
      [60, 61],
      [61, 200],
      [200, 250],
    ] as const) {
      const rows = (x: Tensor): Tensor => x.slice(null, null, [from, to]);
      const place = { keyOffset: from, totalKeys: 250, causal: true };
      const state = engine.attentionPartialSync(q, rows(k), rows(v), { ...place, mask });
      for (const tensor of [boolean, additive]) {
        const dense = engine.attentionPartialSync(q, rows(k), rows(v), { ...place, mask: tensor });
        expectSameBits(dense.out.toArray(), state.out.toArray());
        expectSameBits(dense.lse.toArray(), state.lse.toArray());
      }
      states.push(state);
    }
    const merged = engine.mergeStatesSync(states);
    const whole = await attend(engine, inputs, sizes, { mask, causal: true });
    expect(distance(merged.out.toArray(), whole.out)).toBeLessThan(1e-6);
  });
});

describe('what a mask leaves alone', () => {
  test('blocks of keys that no query of a tile sees are not read', () => {
    const [D, S] = [16, 1920];
    const q = engine.tensor(
      [1, 1, 8, D],
      Float32Array.from({ length: 8 * D }, (_, n) => n % 3),
    );
    const { byteLength } = q.context.arena.memory.buffer;
    // Keys 0 … 191 lie at the very end of the memory, the others beyond it: to read one is a trap.
    const cut = 192;
    const storage = { context: q.context, at: byteLength - cut * D * 4, bytes: cut * D * 4, hold: () => {}, release: () => {} };
    const k = new Tensor(storage as never, 'f32', [1, 1, S, D], [0, 0, D, 1], 0);
    const call = (mask: Mask) => () => engine.attentionSync(q, k, k, { mask });
    expect(call(documents({ keys: Array.from({ length: S }, (_, j) => (j < cut ? 1 : 0)), queries: Array(8).fill(1) }))).not.toThrow();
    expect(call(not(slidingWindow({ left: S - cut })))).not.toThrow();
    expect(call(or(keyPadding({ lengths: cut }), defineMask({ name: 'one more', intervals: () => [[cut + 1, cut + 2]] })))).toThrow();
  });

  test('the same bits on several threads', async () => {
    const several = await createEngine({ threads: 2 });
    const sizes = { B: 2, H: 4, G: 2, L: 200, S: 300, D: 16, E: 16 };
    const mask = and(or(chunked({ size: 64 }), keyPadding({ lengths: [9, 3] })), not(slidingWindow({ left: 2, right: 2 })));
    const [a, b] = [await attend(engine, draw(sizes, 2), sizes, { mask }), await attend(several, draw(sizes, 2), sizes, { mask })];
    expectSameBits(a.out, b.out);
    several.dispose();
  });

  test('memory grows with L and the intervals, not with L · S', () => {
    const L = 20_000;
    const q = engine.tensor([1, 1, L, 4]);
    const out = engine.tensor([1, 1, L, 4]);
    engine.attentionSync(q, q, q, { window: { left: 3, right: 3 }, out });
    const before = engine.memoryUsage();
    engine.attentionSync(q, q, q, { mask: documents({ keys: Array.from({ length: L }, (_, n) => Math.floor(n / 50)) }), out });
    const after = engine.memoryUsage();
    expect(after.used).toBe(before.used);
    expect(after.reserved - before.reserved).toBeLessThan(L * 64);
  });
});
