/** Positions of words and patches: what the models' own builders give, and what is refused. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { hunyuanPositions, mropePositions, type TokenPositions, visionPositions } from '../../src/index.ts';
import { readSafetensors } from '../../src/safetensors/index.ts';
import { numbersOf } from '../conformance/golden.ts';

interface Golden {
  readonly source: string;
  readonly builder: 'mropePositions' | 'hunyuanPositions' | 'visionPositions';
  // biome-ignore lint/suspicious/noExplicitAny: options come from a file; each builder checks its own.
  readonly options: any;
  readonly positions: readonly number[];
  readonly deltas?: readonly number[];
}
const read = (name: string): Buffer => readFileSync(new URL(`../golden/${name}`, import.meta.url));
const goldens: readonly Golden[] = JSON.parse(read('positions.json').toString());

describe('against transformers', () => {
  test.each(goldens.map((golden, n) => ({ ...golden, n })))('$n: $source, $options.padding', ({ builder, options, positions, deltas }) => {
    if (builder === 'visionPositions') {
      expect([...visionPositions(options)]).toEqual(positions);
      return;
    }
    const made: TokenPositions = (builder === 'mropePositions' ? mropePositions : hunyuanPositions)(options);
    expect([...made.positions]).toEqual(positions);
    expect([...made.deltas]).toEqual(deltas);
    expect(made.positions.length).toBe(made.length * options.rows.length * (builder === 'mropePositions' ? 3 : options.axes));
  });

  test('the positions of the golden files of whole layers', () => {
    const file = (name: string): number[] => [...numbersOf(readSafetensors(read(`${name}.safetensors`)), 'positions')];
    expect([...visionPositions({ grids: [[1, 5, 7]] })]).toEqual(file('pixtral'));
    const row = [{ text: 7 }, { grid: [1, 3, 5] as const }, { text: 15 }];
    const { positions } = mropePositions({ rows: [row, row] });
    // The second row of that file stands three positions further.
    expect([...positions].map((p, n) => p + 3 * (Math.floor(n / 37) % 2))).toEqual(file('qwen2_vl'));
  });
});

describe('mropePositions', () => {
  it('tells where text goes on', () => {
    const { length, positions, deltas } = mropePositions({ rows: [[{ text: 2 }, { grid: [1, 4, 2] }, { text: 1 }], [{ text: 3 }], []] });
    expect(length).toBe(11);
    expect([...positions.subarray(0, 11)]).toEqual([0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 6]);
    // Row 0 goes on at 7, its token 11: 11 − 4.
    expect([...deltas]).toEqual([-4, 0, 0]);
  });

  it('counts frames apart by the interval, in whole positions', () => {
    const { positions } = mropePositions({ rows: [[{ text: 1 }, { grid: [4, 1, 1], interval: 1.7 }]] });
    expect([...positions.subarray(0, 5)]).toEqual([0, 1, 2, 4, 6]);
  });
});

describe('refused', () => {
  test.each<[string, () => unknown, RegExp]>([
    ['no rows', () => mropePositions({ rows: [] }), /mropePositions: "rows" expected a list of runs for each batch row/],
    ['a row that is a run', () => mropePositions({ rows: [{ text: 1 }] as never }), /"rows\[0\]" expected a list of runs/],
    ['words that are less than none', () => mropePositions({ rows: [[{ text: -1 }]] }), /"rows\[0\]\[0\].text" expected an integer/],
    ['a run of neither', () => mropePositions({ rows: [[{ image: 1 } as never]] }), /"rows\[0\]\[0\]" has no "image"; it knows grid/],
    ['a run of both', () => mropePositions({ rows: [[{ text: 1, grid: [1, 1, 1] } as never]] }), /"rows\[0\]\[0\]" has no "grid"/],
    [
      'a grid of two',
      () => mropePositions({ rows: [[{ grid: [4, 6] as never }]] }),
      /"rows\[0\]\[0\].grid" expected \[frames, rows, columns\]/,
    ],
    [
      'blocks that do not fit',
      () => mropePositions({ rows: [[{ grid: [1, 4, 5] }]], spatialMerge: 2 }),
      /"rows\[0\]\[0\].grid" expected multiples of spatialMerge=2, got \[4, 5\]/,
    ],
    [
      'frames that do not fit',
      () => mropePositions({ rows: [[{ grid: [3, 4, 4], temporalMerge: 2 }]] }),
      /grid\[0\]" expected a multiple of temporalMerge=2, got 3/,
    ],
    ['an interval of 0', () => mropePositions({ rows: [[{ grid: [1, 1, 1], interval: 0 }]] }), /interval" expected a finite number > 0/],
    ['a third side', () => mropePositions({ rows: [[]], padding: 'both' as never }), /"padding" expected 'left' or 'right', got "both"/],
    ['two axes', () => hunyuanPositions({ rows: [[]], axes: 2 }), /hunyuanPositions: "axes" expected an integer in 3 … 16, got 2/],
    ['a video', () => hunyuanPositions({ rows: [[{ grid: [2, 1, 1] }]], axes: 3 }), /hunyuanPositions: "grid" expected one frame, got 2/],
    [
      'a grid that is none',
      () => visionPositions({ grids: [4 as never] }),
      /visionPositions: "grids\[0\]" expected \[frames, rows, columns\], got 4/,
    ],
    [
      'blocks of patches that do not fit',
      () => visionPositions({ grids: [[1, 3, 4]], spatialMerge: 2 }),
      /"grids\[0\]" expected multiples of spatialMerge=2/,
    ],
    ['temporal that is a number', () => visionPositions({ grids: [], temporal: 1 as never }), /"temporal" expected true or false, got 1/],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(message);
  });
});
