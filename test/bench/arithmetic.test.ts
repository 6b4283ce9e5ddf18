/** What `npm run bench -- encodings` prints beside a scheme's cost: the operations and lookups of its plan. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error a module of the developers' benchmark, without types
import { arithmeticOf, boundOf } from '../../bench/arithmetic.mjs';
import { alibi, createEngine, deberta, defineEncoding, type Encoding, type Engine, rotary, shaw, transformerXL } from '../../src/index.ts';
import type { Plan } from '../../src/plan/plan.ts';

const [H, L, D] = [2, 64, 8];
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
});
afterAll(() => engine.dispose());

const zeros = (...shape: number[]): Float32Array => new Float32Array(shape.reduce((a, b) => a * b, 1));

/** Of the plan that a call of the encoding comes to. */
async function of(encoding: Encoding, causal = false): Promise<{ share: number; lookups: number }> {
  let plan: Plan = {};
  const spy = defineEncoding({ name: 'spy', lower: (context) => (plan = encoding.lower(context)) });
  const x = engine.tensor([1, H, L, D]);
  await engine.attention(x, x, x, { encoding: spy, causal });
  return arithmeticOf(plan, { L, S: L, D, causal });
}

describe('the arithmetic of a scheme', () => {
  it('is nothing for a rotation and a lookup for a bias', async () => {
    expect(await of(rotary({ dim: D, theta: 10000, layout: 'halves' }))).toEqual({ share: 0, lookups: 0 });
    expect(await of(alibi({ heads: H }))).toEqual({ share: 0, lookups: 1 });
  });

  it('is half of plain attention where every pair meets a row of its own, also under a causal mask', async () => {
    const r = zeros(L, H, D);
    const scheme = transformerXL({ u: zeros(H, D), v: zeros(H, D), r });
    expect(await of(scheme, true)).toEqual({ share: 0.5, lookups: 0 });
  });

  it('is what a short table has, and a lookup', async () => {
    // Five rows against 64 keys: 2·D·5 operations a query for 4·D·64.
    expect(await of(shaw({ left: 2, right: 2, keys: zeros(5, D) }))).toEqual({ share: 5 / 128, lookups: 1 });
  });

  it('counts both tables of DeBERTa, and of each the rows that are met', async () => {
    const table = zeros(32, H, D);
    const both = deberta({ maxRelativePositions: 64, positionBuckets: 16, posAttType: ['c2p', 'p2c'], posKey: table, posQuery: table });
    const { share, lookups } = await of(both);
    // Log buckets of 63 distances either way: 31 of 32 rows.
    expect([share, lookups]).toEqual([(2 * 31) / 128, 2]);
  });

  it('bounds the cost', () => {
    expect(boundOf({ share: 0.5, lookups: 0 })).toBeCloseTo(55);
    expect(boundOf({ share: 0.1, lookups: 2 })).toBeCloseTo(35);
    expect(boundOf({ share: 0, lookups: 0 })).toBeUndefined();
  });
});
