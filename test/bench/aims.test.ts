/** The table of aims of `npm run bench:peers -- --table`: which rows a ratio is of. */
import { describe, expect, it } from 'vitest';
// @ts-expect-error a module of the developers' benchmark, without types
import { AIMS, cellText, tableLines, tableOf } from '../../bench/peers/lib/aims.mjs';
// @ts-expect-error a module of the developers' benchmark, without types
import { CASES } from '../../bench/peers/lib/cases.mjs';

const row = (peer: string, medianMs: number, more: object = {}): object => ({
  peer,
  medianMs,
  minMs: medianMs - 0.5,
  sameWork: true,
  plain: false,
  ...more,
});
const run = (id: string, rows: readonly object[]): object => ({
  host: 'node24',
  label: 'Node 24.0.0',
  peers: { relpos: '1', 'relpos int16': '1', 'onnxruntime-web': '1' },
  results: [{ id, rows }],
});

describe('the table of aims', () => {
  it('has cases that there are', () => {
    const ids = CASES.map(({ id }: { id: string }) => id);
    for (const { case: id } of AIMS) expect(ids).toContain(id);
  });

  it('is over the fastest row of the other package that does the same work', () => {
    const { columns, rows } = tableOf([
      run('attention/512x12x64', [
        row('relpos', 10),
        row('relpos int16', 5),
        row('onnxruntime-web', 14),
        row('onnxruntime-web', 12),
        row('onnxruntime-web', 1, { sameWork: false }),
      ]),
    ]);
    expect(columns.map(({ precision }: { precision: string }) => precision)).toEqual(['reproducible', 'int16']);
    expect(rows).toEqual([
      {
        work: '512×12×64',
        cells: [
          { ratio: 1.2, aim: 1.4 },
          { ratio: 2.4, aim: 2.2 },
        ],
      },
    ]);
    expect(rows[0].cells.map(cellText)).toEqual(['1.20 of 1.40 !', '2.40 of 2.20']);
  });

  it('keeps a cache of integers apart from one of floats, and from keys that are given', () => {
    const lines: string[] = tableLines([
      run('decode/511xH32G8x64', [
        row('relpos', 4, { storage: 'f32' }),
        row('relpos', 1),
        row('relpos int16', 2, { storage: 'i16', sameWork: false }),
        row('onnxruntime-web', 8),
      ]),
    ]);
    expect(tableLines([run('rotary/2048x32x128', [row('relpos', 1), row('onnxruntime-web', 4)])], 'minMs')[2]).toMatch(/ 7\.00 of 6\.00/);
    expect(lines.slice(2).map((line) => line.split(/ {2,}/))).toEqual([
      ['decode 511×64, f32 cache', '2.00 of 2.20 !', '–'],
      ['decode 511×64, i16 cache', '–', '4.00 of 4.00'],
    ]);
  });
});
