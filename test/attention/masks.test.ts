/** Which keys a query sees. */
import { afterAll, describe, expect, test } from 'vitest';
import { type AttentionOptions, createEngineSync } from '../../src/index.ts';
import type { ReferenceOptions } from '../reference/attention.ts';
import * as mask from '../reference/masks.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';
import { attend, expectSameBits } from './call.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

/** Who sees whom: equal scores and values that are powers of two, so that an output spells its visible keys. */
async function drawn(L: number, S: number, options: AttentionOptions): Promise<string[]> {
  const sizes = { B: 1, H: 1, G: 1, L, S, D: 1, E: S };
  const unit = Float32Array.from({ length: S * S }, (_, n) => (n % (S + 1) === 0 ? 1 : 0));
  const { out } = await attend(engine, { q: new Float32Array(L), k: new Float32Array(S), v: unit }, sizes, options);
  return Array.from({ length: L }, (_, i) => [...out.subarray(i * S, (i + 1) * S)].map((x) => (x > 0 ? 1 : 0)).join(' '));
}

describe('causal', () => {
  test('2 queries of 5 keys: aligned at the bottom right', async () => {
    expect(await drawn(2, 5, { causal: true })).toEqual([
      '1 1 1 1 0', //
      '1 1 1 1 1',
    ]);
  });

  test('5 queries of 2 keys: the first three see nothing', async () => {
    expect(await drawn(5, 2, { causal: true })).toEqual(['0 0', '0 0', '0 0', '1 0', '1 1']);
  });

  test('with an offset of 0: aligned at the top left', async () => {
    expect(await drawn(2, 5, { causal: { offset: 0 } })).toEqual([
      '1 0 0 0 0', //
      '1 1 0 0 0',
    ]);
  });

  test('false hides nothing', async () => {
    expect(await drawn(2, 2, { causal: false })).toEqual(['1 1', '1 1']);
  });
});

describe('window', () => {
  test('both sides are inclusive and follow the diagonal', async () => {
    expect(await drawn(3, 5, { window: { left: 1, right: 1 } })).toEqual([
      '0 1 1 1 0', //
      '0 0 1 1 1',
      '0 0 0 1 1',
    ]);
  });

  test('a missing side is unbounded', async () => {
    expect(await drawn(2, 4, { window: { left: 1 } })).toEqual(['0 1 1 1', '0 0 1 1']);
    expect(await drawn(2, 4, { window: { right: 0 } })).toEqual(['1 1 1 0', '1 1 1 1']);
    expect(await drawn(2, 4, { window: {} })).toEqual(['1 1 1 1', '1 1 1 1']);
  });

  test('left 0 and right 0 leave the diagonal', async () => {
    expect(await drawn(3, 3, { window: { left: 0, right: 0 } })).toEqual(['1 0 0', '0 1 0', '0 0 1']);
  });

  test('causal and window hold both', async () => {
    expect(await drawn(3, 4, { causal: true, window: { left: 1, right: 3 } })).toEqual(['1 1 0 0', '0 1 1 0', '0 0 1 1']);
    expect(await drawn(2, 4, { causal: { offset: 0 }, window: { left: 2 } })).toEqual(['1 0 0 0', '0 1 0 0']);
  });
});

const sizes = { B: 3, H: 2, G: 1, L: 130, S: 210, D: 20, E: 12 };
const inputs = draw(sizes, 2);

const CASES: readonly [string, AttentionOptions, NonNullable<ReferenceOptions['visible']>][] = [
  ['causal', { causal: true }, mask.causal(sizes)],
  ['causal from 150', { causal: { offset: 150 } }, mask.causalFrom(150)],
  ['causal from −60', { causal: { offset: -60 } }, mask.causalFrom(-60)],
  ['window 33, 7', { window: { left: 33, right: 7 } }, mask.window(sizes, { left: 33, right: 7 })],
  ['window left 96', { window: { left: 96 } }, mask.window(sizes, { left: 96 })],
  ['key lengths', { keyLengths: [210, 97, 0] }, mask.keyLengths([210, 97, 0])],
  [
    'all of them',
    { causal: true, window: { left: 50 }, keyLengths: Int32Array.of(210, 130, 1) },
    mask.all(mask.causal(sizes), mask.window(sizes, { left: 50 }), mask.keyLengths([210, 130, 1])),
  ],
];

describe('against the reference', () => {
  test.each(CASES)('%s', async (_, options, visible) => {
    expectAccurate({ inputs, sizes, options: { visible }, ...(await attend(engine, inputs, sizes, options)) });
  });
});

describe('rows that see nothing', () => {
  test.each([
    ['no keys at all', { ...sizes, S: 0 }, {}],
    ['keyLengths 0', sizes, { keyLengths: [0, 0, 0] }],
    ['before the first causal key', sizes, { causal: { offset: -130 } }],
    ['a window beyond the keys', sizes, { causal: { offset: -130 }, window: { left: 0 } }],
  ])('%s: exactly 0 and −Infinity', async (_, given, options) => {
    const { out, lse } = await attend(engine, draw(given, 3), given, options);
    expectSameBits(out, new Float32Array(3 * 2 * 130 * 12));
    expectSameBits(lse, new Float32Array(3 * 2 * 130).fill(Number.NEGATIVE_INFINITY));
  });

  test('a −Infinity bias over all keys of a row does the same', async () => {
    const { bias } = await import('../../src/index.ts');
    const hidden = engine.tensor([1, 1, 1, 210], new Float32Array(210).fill(Number.NEGATIVE_INFINITY));
    const { out, lse } = await attend(engine, inputs, sizes, { encoding: bias(hidden) });
    expect(new Set(out)).toEqual(new Set([0]));
    expect(new Set(lse)).toEqual(new Set([Number.NEGATIVE_INFINITY]));
    hidden.dispose();
  });
});

describe('masks that hide nothing change no bit', () => {
  test.each([
    ['window of S', { window: { left: 210, right: 210 } }],
    ['causal from S', { causal: { offset: 210 } }],
    ['full key lengths', { keyLengths: [210, 210, 210] }],
  ])('%s', async (_, options) => {
    const [masked, plain] = [await attend(engine, inputs, sizes, options), await attend(engine, inputs, sizes)];
    expectSameBits(masked.out, plain.out);
    expectSameBits(masked.lse, plain.lse);
  });
});
