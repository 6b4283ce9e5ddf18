/** Random shapes and options: within the tolerance of the reference, and the same bits on 1, 2, 3 and 5 threads. */
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type AttentionOptions, alibi, createEngine, rotary } from '../../src/index.ts';
import { attention, type Point, type ReferenceOptions, type Sizes } from '../reference/attention.ts';
import { boundOfInt16 } from '../reference/int16.ts';
import * as mask from '../reference/masks.ts';
import { turn } from '../reference/rotation.ts';
import { distance, draw, expectAccurate } from '../reference/tolerance.ts';
import { attend, expectSameBits } from './call.ts';

const engines = await Promise.all([1, 2, 3, 5].map((threads) => createEngine({ threads })));
const integers = await Promise.all([1, 2, 3, 5].map((threads) => createEngine({ threads, precision: 'int16' })));
afterAll(() => {
  for (const engine of [...engines, ...integers]) engine.dispose();
});

interface Draw {
  sizes: Sizes;
  options: AttentionOptions;
  reference: ReferenceOptions;
  seed: number;
}

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });

/** Slopes 2^(−8(h+1)/H) of a power of two of heads. */
const slope = (h: number, H: number): number => 2 ** ((-8 * (h + 1)) / H);

function drawOf(most: number): fc.Arbitrary<Draw> {
  const shape = fc.record({
    B: fc.integer({ min: 1, max: 3 }),
    G: fc.constantFrom(1, 2),
    shared: fc.constantFrom(1, 2, 4),
    L: fc.integer({ min: 1, max: most }),
    S: fc.integer({ min: 0, max: most }),
    D: fc.integer({ min: 2, max: 40 }),
    E: fc.integer({ min: 1, max: 40 }),
  });
  return shape.chain(({ shared, ...rest }) => {
    const sizes: Sizes = { ...rest, H: rest.G * shared };
    return fc
      .record({
        causal: maybe(fc.oneof(fc.boolean(), fc.record({ offset: fc.integer({ min: -most, max: most }) }))),
        left: maybe(fc.nat(most)),
        right: maybe(fc.nat(most)),
        softcap: maybe(fc.double({ min: 0.25, max: 60, noNaN: true })),
        // Not near 0: there a naive evaluation of one visible key is exact, and twice nothing is no measure.
        scale: maybe(fc.oneof(fc.double({ min: 0.05, max: 2, noNaN: true }), fc.double({ min: -2, max: -0.05, noNaN: true }))),
        sinks: maybe(fc.array(fc.integer({ min: -4, max: 4 }), { minLength: sizes.H, maxLength: sizes.H })),
        keyLengths: maybe(fc.array(fc.nat(sizes.S), { minLength: sizes.B, maxLength: sizes.B })),
        rotate: maybe(fc.constantFrom('halves' as const, 'pairs' as const)),
        slopes: fc.boolean(),
        layout: fc.constantFrom('bhld' as const, 'blhd' as const),
        seed: fc.nat(1000),
      })
      .map((given) => drawn(sizes, given));
  });
}

interface Given {
  causal: boolean | { offset: number } | undefined;
  left: number | undefined;
  right: number | undefined;
  softcap: number | undefined;
  scale: number | undefined;
  sinks: number[] | undefined;
  keyLengths: number[] | undefined;
  rotate: 'halves' | 'pairs' | undefined;
  slopes: boolean;
  layout: 'bhld' | 'blhd';
  seed: number;
}

const present = <T extends object>(record: T): { [K in keyof T]: NonNullable<T[K]> } =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as never;

/** What was drawn, for the library and for the reference. */
function drawn(sizes: Sizes, { left, right, rotate, slopes, seed, ...direct }: Given): Draw {
  const { causal, softcap, scale, sinks, keyLengths } = direct;
  const window = present({ left, right });
  const turning = { dim: sizes.D - (sizes.D % 2), theta: 10000, layout: rotate ?? 'halves' };
  const hides = [
    mask.window(sizes, window),
    ...(causal === true ? [mask.causal(sizes)] : []),
    ...(typeof causal === 'object' ? [mask.causalFrom(causal.offset)] : []),
    ...(keyLengths ? [mask.keyLengths(keyLengths)] : []),
  ];
  const bias = ({ h, i, j }: Point): number => -slope(h, sizes.H) * Math.abs(j - i - (sizes.S - sizes.L));
  return {
    sizes,
    seed,
    options: {
      ...present(direct),
      window,
      encoding: [...(rotate ? [rotary(turning)] : []), ...(slopes ? [alibi({ heads: sizes.H })] : [])],
    },
    reference: {
      ...present({ softcap, scale, sinks, bias: slopes ? bias : undefined, rotate: rotate && turn(turning) }),
      visible: mask.all(...hides),
    },
  };
}

describe('random calls', () => {
  test('are within twice the error of a naive f32 evaluation', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(drawOf(110), async ({ sizes, options, reference, seed }) => {
        const inputs = draw(sizes, seed);
        const { out, lse } = await attend(engines[0] as never, inputs, sizes, options);
        // Masks leave some draws few scores: the naive evaluation is measured longer than elsewhere.
        expectAccurate({ inputs, sizes, options: reference, out, lse, enough: 20_000 });
      }),
      // The same draws every time: how lucky a naive evaluation is, is a matter of chance, and the suite must not be.
      { numRuns: 100, seed: 1 },
    );
  });

  test('under int16 are within what its roundings come to', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(drawOf(110), async ({ sizes, options, reference, seed }) => {
        const inputs = draw(sizes, seed);
        const { out, lse } = await attend(integers[0] as never, inputs, sizes, options);
        const truth = attention(inputs, sizes, reference);
        const { out: bound, lse: score } = boundOfInt16(inputs, sizes, reference.scale);
        expect(distance(out, truth.out)).toBeLessThanOrEqual(bound);
        expect(distance(lse, truth.lse)).toBeLessThanOrEqual(score);
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  test.each([
    ['reproducible', engines],
    ['int16', integers],
  ] as const)('%s: give the same bits on 1, 2, 3 and 5 threads', { timeout: 300_000 }, async (_, engines) => {
    await fc.assert(
      fc.asyncProperty(drawOf(400), async ({ sizes, options, seed }) => {
        const inputs = draw(sizes, seed);
        const [first, ...others] = await Promise.all(engines.map((engine) => attend(engine, inputs, sizes, options)));
        for (const { out, lse } of others) {
          expectSameBits(out, first?.out as Float32Array);
          expectSameBits(lse, first?.lse as Float32Array);
        }
      }),
      { numRuns: 100 },
    );
  });
});
