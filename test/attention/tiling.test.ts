/** How calls are cut into tiles: every query in one, neither too long for an abort nor so short that packing costs. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cut, tiling } from '../../src/attention/tiling.ts';
import type { Shape } from '../../src/plan/plan.ts';

const shape = (given: Partial<Shape>): Shape => ({ B: 1, H: 8, G: 8, L: 2048, S: 2048, D: 128, E: 128, ...given });
const cut = (given: Partial<Cut> = {}): Cut => ({ threads: 1, relative: false, patient: true, ...given });
const rows = (of: Shape, how: Cut): number => (tiling(of, how).queries * of.H) / of.G;

const anyShape = fc
  .record({ B: fc.integer({ min: 1, max: 3 }), G: fc.integer({ min: 1, max: 8 }), group: fc.integer({ min: 1, max: 300 }) })
  .chain(({ B, G, group }) =>
    fc
      .record({ L: fc.integer({ min: 0, max: 5000 }), S: fc.integer({ min: 0, max: 40000 }), D: fc.integer({ min: 1, max: 512 }) })
      .map(({ L, S, D }): Shape => ({ B, G, H: G * group, L, S, D, E: D })),
  );
const anyCut = fc.record({ threads: fc.integer({ min: 1, max: 16 }), relative: fc.boolean(), patient: fc.boolean() });

describe('tiling', () => {
  test('the tiles hold every query once, in whole groups of four where there is more than one', () => {
    fc.assert(
      fc.property(anyShape, anyCut, (of, how) => {
        const { queries, tiles } = tiling(of, how);
        expect(tiles).toBe(of.B * of.G * Math.ceil(of.L / queries));
        expect(queries).toBeGreaterThan(0);
        if (queries > 4 && queries < of.L) expect(queries % 4).toBe(0);
        expect(rows(of, how)).toBeLessThanOrEqual(Math.max(1024, (4 * of.H) / of.G));
      }),
    );
  });

  test('short keys make long tiles, long keys short ones', () => {
    expect(rows(shape({ L: 4096, S: 512 }), cut())).toBe(1024);
    expect(rows(shape({ L: 4096, S: 4096 }), cut())).toBeLessThan(512);
    expect(rows(shape({ L: 4096, S: 32768 }), cut())).toBeLessThanOrEqual(192);
  });

  test('the parts of a sequence are alike', () => {
    const { queries, tiles } = tiling(shape({}), cut());
    expect([queries, tiles]).toEqual([684, 24]); // 684 + 684 + 680, not 760 + 760 + 528
  });

  test('a page gets tiles of a quarter of the work', () => {
    expect(rows(shape({}), cut({ patient: false }))).toBeLessThanOrEqual(192);
  });

  test('tables of relative positions keep tiles small', () => {
    expect(rows(shape({ S: 256 }), cut({ relative: true }))).toBeLessThanOrEqual(192);
  });

  test('there are several tiles for each thread', () => {
    expect(tiling(shape({ L: 512, S: 512, D: 64, E: 64 }), cut({ threads: 8 })).tiles).toBeGreaterThanOrEqual(32);
    expect(tiling(shape({ H: 1, G: 1 }), cut({ threads: 4 })).tiles).toBeGreaterThanOrEqual(16);
  });
});
