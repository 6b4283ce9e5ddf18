/** The table of aims of `npm run bench:models`: which rows a ratio is of. */
import { describe, expect, it } from 'vitest';
// @ts-expect-error a module of the developers' benchmark, without types
import { AIMS, cellOf, LIMITS, limitsOf, SCALING, scalingOf, tableOf } from '../../bench/models/lib/aims.mjs';
// @ts-expect-error a module of the developers' benchmark, without types
import { tablesOf } from '../../bench/models/lib/docs.mjs';
// @ts-expect-error a module of the developers' benchmark, without types
import { int4, int8, transposed, uint8 } from '../../bench/models/lib/quantize.mjs';
// @ts-expect-error a module of the developers' benchmark, without types
import { ROWS, rowsOf } from '../../bench/models/lib/rows.mjs';
// @ts-expect-error a module of the developers' benchmark, without types
import { MODELS } from '../../bench/models/lib/shapes.mjs';

interface Row {
  readonly id: string;
  readonly model: string;
}

const row = (peer: string, weights: string, medianMs: number, threads = 1): object => ({
  peer,
  weights,
  threads,
  variant: `${weights}, a`,
  medianMs,
  minMs: medianMs - 1,
});

describe('the benchmark of whole models', () => {
  it('has aims of rows that there are, and rows of models that there are', () => {
    const ids = ROWS.map(({ id }: Row) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const aim of [...AIMS, ...SCALING, ...LIMITS]) expect(ids).toContain(aim.row);
    const models = MODELS.map(({ name }: { name: string }) => name);
    for (const one of ROWS as Row[]) expect(models).toContain(one.model);
  });

  it('takes rows by their names', () => {
    expect(rowsOf(['^minilm/64$', 'batch']).map(({ id }: Row) => id)).toEqual(['minilm/64', 'minilm/batch']);
    expect(rowsOf([])).toEqual(ROWS);
    expect(rowsOf(['nothing'])).toEqual([]);
  });

  it('relates the fastest rows with the same kind of weights on one thread', () => {
    const run = {
      host: 'node24',
      label: 'Node 24.0.0',
      results: [
        {
          id: 'minilm/16',
          rows: [
            row('relpos', 'i8', 5),
            row('relpos', 'i8', 4),
            row('relpos', 'f32', 3),
            row('relpos', 'i8', 2, 2),
            row('onnxruntime-web', 'i8', 13),
            row('onnxruntime-web', 'i8', 12),
            row('onnxruntime-web', 'i4', 1),
            row('tfjs', 'i8', 1),
          ],
        },
      ],
    };
    const [first, ...rest] = tableOf([run]);
    expect(rest).toEqual([]);
    expect(first.work).toBe('MiniLM shape, 16 tokens, int8');
    expect(first.cells[0]).toMatchObject({ ratio: 3, aim: 2.5, own: { medianMs: 4 }, other: { medianMs: 12 } });
    expect(cellOf({ ...run, host: 'node20' }, AIMS[0]).aim).toBe(1.2);
    expect(cellOf(run, AIMS[0], 'minMs').ratio).toBe(11 / 3);
  });
});

describe('what is not over another package', () => {
  it('is two threads over one, and sizes with the most that they may be', () => {
    const result = {
      results: [
        { id: 'threads/minilm-64', rows: [row('relpos', 'i8', 6), row('relpos', 'i8', 4, 2)] },
        { id: 'cold', cold: { relpos: { totalMs: 100, residentMB: 90 }, 'onnxruntime-web': { totalMs: 700, residentMB: 300 } } },
        {
          id: 'bytes',
          shipped: [
            { name: 'relpos', gzip: 110_000 },
            { name: 'onnxruntime-web', gzip: 3_000_000 },
          ],
        },
      ],
    };
    expect(SCALING.map((one: object) => scalingOf(result, one))).toEqual([1.5, undefined, undefined]);
    expect(scalingOf(result, SCALING[0], 'minMs')).toBe(5 / 3);
    expect(limitsOf(result)).toMatchObject([
      { own: 100, other: 700, most: 150, unit: 'ms' },
      { own: 90, other: 300, most: 120, unit: 'MB' },
      { own: 110, other: 3000, most: 120, unit: 'kB' },
    ]);
    expect(limitsOf({ results: [] })).toEqual([]);
    const { over, alone } = tablesOf([{ label: 'Node 24.0.0', host: 'node24', ...result }]);
    expect(over.rows).toEqual([]);
    expect(alone.rows.map(([, cell]: readonly string[]) => cell)).toEqual([
      '1.50 of 1.70 †',
      '100 of 150 (700)',
      '90 of 120 (300)',
      '110 of 120 (3000)',
    ]);
  });
});

describe('weights in fewer bits', () => {
  const data = Float32Array.from({ length: 64 }, (_, n) => ((n * 37) % 64) / 16 - 2);

  it('are transposed whole', () => {
    const small = Float32Array.from({ length: 35 * 33 }, (_, n) => n);
    const turned = transposed(small, 35, 33);
    for (let r = 0; r < 35; r++) for (let c = 0; c < 33; c++) expect(turned[c * 35 + r]).toBe(r * 33 + c);
  });

  it('come back within half a step', () => {
    const signed = int8(data);
    for (const [n, x] of data.entries()) expect(Math.abs(signed.data[n] * signed.scale - x)).toBeLessThanOrEqual(signed.scale / 2 + 1e-7);
    const unsigned = uint8(data);
    for (const [n, x] of data.entries())
      expect(Math.abs((unsigned.data[n] - unsigned.zero) * unsigned.scale - x)).toBeLessThanOrEqual(unsigned.scale + 1e-7);
    const { packed, scales } = int4(data);
    for (const [n, x] of data.entries()) {
      const step = (packed[n >> 1] >> (4 * (n & 1))) & 15;
      const scale = scales[n >> 5];
      expect(Math.abs((step - 8) * scale - x)).toBeLessThanOrEqual(scale / 2 + 1e-6);
    }
  });
});
