/** Positions concatenated to the input. */
import { expect, test } from 'vitest';
import { concatPositions } from '../../src/index.ts';

const base = { input: [1, 2, 3, 4, 5, 6, 7, 8], shape: [2, 2, 2] as const, positions: [] };

test('every token has its channels, then its rows of each table', () => {
  const out = concatPositions({
    ...base,
    positions: [
      { table: [10, 11, 12], width: 1 },
      { table: [20, 21, 30, 31, 40, 41], width: 2, rows: [2, 0] },
      { table: [50, 60, 70, 80], width: 1, rows: [3, 2, 1, 0] },
    ],
  });
  expect([...out]).toEqual([...[1, 2, 10, 40, 41, 80], ...[3, 4, 11, 20, 21, 70], ...[5, 6, 10, 40, 41, 60], ...[7, 8, 11, 20, 21, 50]]);
});

test('without tables the input itself, as a copy', () => {
  const input = Float32Array.from(base.input);
  const out = concatPositions({ ...base, input });
  expect(out).toEqual(input);
  expect(out).not.toBe(input);
  expect(concatPositions({ input: [], shape: [0, 3, 4], positions: [{ table: [1, 2, 3], width: 1 }] }).length).toBe(0);
});

test.each<[string, () => unknown, RegExp]>([
  ['a shape of two', () => concatPositions({ ...base, shape: [2, 4] as never }), /concatPositions: "shape" expected \[B, L, C\]/],
  ['an input of another size', () => concatPositions({ ...base, shape: [2, 2, 3] }), /"input" expected \[B=2, L=2, C=3\] numbers, got 8/],
  ['no list of tables', () => concatPositions({ ...base, positions: undefined as never }), /"positions" expected a list of tables/],
  [
    'too few rows',
    () => concatPositions({ ...base, positions: [{ table: [1], width: 1 }] }),
    /positions\[0\].table" expected at least L=2 rows/,
  ],
  [
    'a broken row',
    () => concatPositions({ ...base, positions: [{ table: [1, 2, 3], width: 2 }] }),
    /positions\[0\].table" expected \[rows, width=2\]/,
  ],
  [
    'a row that there is not',
    () => concatPositions({ ...base, positions: [{ table: [1, 2], width: 1, rows: [0, 2] }] }),
    /positions\[0\].rows\[1\]" expected an integer in 0 … 1, got 2/,
  ],
  [
    'rows of another length',
    () => concatPositions({ ...base, positions: [{ table: [1, 2], width: 1, rows: [0, 1, 0] }] }),
    /rows" expected \[L=2\] or \[B=2, L=2\] numbers, got 3/,
  ],
])('%s is refused', (_, make, message) => {
  expect(make).toThrow(message);
});
