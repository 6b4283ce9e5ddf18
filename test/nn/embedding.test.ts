/** Embeddings: rows of tables of every type, and of panels, and their sums. */
import { expect, test } from 'vitest';
import { BF16, F16, F32, I8 } from '../../src/wasm/generated/job.ts';
import * as field from '../../src/wasm/generated/layers.ts';
import { numbers } from '../conformance/numbers.ts';
import { type Field, gathered, Lab, SETS, spread } from './lab.ts';

const { BLOCK, BLOCK_BYTES, PANEL, PANEL_HEADER, SOURCE_SIZE, WEIGHTS_I4, WEIGHTS_I8 } = field;

interface Table {
  readonly type: number;
  readonly panels?: boolean;
  /** Bytes from row to row, or panel to panel. */
  readonly row: number;
  readonly data: Float32Array | Uint16Array | Int8Array | Uint8Array;
  readonly scales?: Float32Array;
  /** Number d of row r, as f64. */
  at(r: number, d: number): number;
}

/** The bits of a half or a bfloat of a small whole number times 2^−4, and its value. */
const shorts = (encode: (x: number) => number) => (count: number, seed: number) => {
  const values = numbers(count, seed).map((x) => Math.round(x * 100) / 16);
  return { values, data: Uint16Array.from(values, encode) };
};
const toHalf = (x: number): number => {
  const [bits = 0] = new Uint32Array(Float32Array.of(x).buffer);
  return x === 0 ? 0 : ((bits >>> 16) & 0x8000) | ((((bits >>> 23) & 255) - 112) << 10) | ((bits >>> 13) & 1023);
};
const toBrain = (x: number): number => (new Uint32Array(Float32Array.of(x).buffer)[0] as number) >>> 16;

const rowsOf = (type: number, width: number, values: Float32Array, data: Table['data'], bytes: number): Table => ({
  type,
  row: bytes * width,
  data,
  at: (r, d) => values[r * width + d] as number,
});

const panelsOf = (type: number, width: number, values: Float32Array, data: Float32Array | Uint16Array): Table => ({
  type,
  panels: true,
  row: data.BYTES_PER_ELEMENT * PANEL * width,
  data,
  at: (r, d) => values[((r >> 3) * width + d) * PANEL + (r & 7)] as number,
});

/** Tables of 16 rows. */
function tables(width: number): Record<string, Table> {
  const n = 16 * width;
  const f32 = numbers(n, 1);
  const f16 = shorts(toHalf)(n, 2);
  const bf16 = shorts(toBrain)(n, 3);
  const i8 = Int8Array.from(numbers(n, 4), (x) => Math.round(x * 127));
  const scales = numbers(16, 5).map((x) => x / 100);
  return {
    f32: rowsOf(F32, width, f32, f32, 4),
    f16: rowsOf(F16, width, f16.values, f16.data, 2),
    bf16: rowsOf(BF16, width, bf16.values, bf16.data, 2),
    i8: {
      type: I8,
      row: width,
      data: i8,
      scales,
      at: (r, d) => Math.fround((i8[r * width + d] as number) * (scales[r] as number)),
    },
    'panels of f32': panelsOf(F32, width, f32, f32),
    'panels of f16': panelsOf(F16, width, f16.values, f16.data),
    'panels of bf16': panelsOf(BF16, width, bf16.values, bf16.data),
    'panels of i8': bytePanels(width),
    'panels of i4': nibblePanels(width),
  };
}

/** Two panels of random bytes with the scales that they begin with. */
function bytePanels(width: number): Table {
  const row = PANEL_HEADER + 4 * PANEL * Math.ceil(width / 4);
  const data = Uint8Array.from({ length: 2 * row }, (_, n) => (n * 7919 + 13) % 251);
  const view = new DataView(data.buffer);
  const scales = numbers(16, 6);
  for (const [r, scale] of scales.entries()) view.setFloat32((r >> 3) * row + 4 * (r & 7), scale, true);
  return {
    type: WEIGHTS_I8,
    panels: true,
    row,
    data,
    at: (r, d) =>
      Math.fround(view.getInt8((r >> 3) * row + PANEL_HEADER + (d >> 2) * 4 * PANEL + 4 * (r & 7) + (d & 3)) * (scales[r] as number)),
  };
}

/** Two panels of random bytes with the scales that each block begins with. */
function nibblePanels(width: number): Table {
  const blocks = Math.ceil(width / BLOCK);
  const row = BLOCK_BYTES * blocks;
  const data = Uint8Array.from({ length: 2 * row }, (_, n) => (n * 7919 + 13) % 251);
  const view = new DataView(data.buffer);
  for (let n = 0; n < 2 * blocks * PANEL; n++) view.setFloat32(Math.floor(n / PANEL) * BLOCK_BYTES + 4 * (n % PANEL), (n + 1) / 64, true);
  return {
    type: WEIGHTS_I4,
    panels: true,
    row,
    data,
    at(r, d) {
      const block = (r >> 3) * row + Math.floor(d / BLOCK) * BLOCK_BYTES;
      const within = d % BLOCK;
      const byte = view.getUint8(block + 4 * PANEL + (within >> 3) * 4 * PANEL + 4 * (r & 7) + (within & 3));
      return Math.fround(((within & 4 ? byte >> 4 : byte & 15) - 8) * view.getFloat32(block + 4 * (r & 7), true));
    },
  };
}

interface Source {
  readonly table: Table;
  readonly ids?: Int32Array;
  readonly first?: number;
}

function embed(
  sources: readonly Source[],
  rows: number,
  width: number,
  { scale = 1, row = width, tile = 2, set = 'nn' } = {},
): Float32Array {
  const lab = new Lab(set);
  const out = lab.output(spread(new Float32Array(rows * width), width, row));
  const fields = sources.flatMap(({ table, ids, first = 0 }, n) =>
    (
      [
        [field.SOURCE_TABLE, lab.input(table.data)],
        [field.SOURCE_TYPE, table.type],
        [field.SOURCE_PANELS, Number(table.panels ?? false)],
        [field.SOURCE_ROW, table.row],
        [field.SOURCE_SCALES, table.scales ? lab.input(table.scales) : 0],
        [field.SOURCE_IDS, ids ? lab.input(ids) : 0],
        [field.SOURCE_FIRST, first],
      ] as Field[]
    ).map(([at, value]): Field => [n * SOURCE_SIZE + at, value]),
  );
  const job = lab.block(field.EMBED_SIZE, [
    [field.EMBED_ROWS, rows],
    [field.EMBED_WIDTH, width],
    [field.EMBED_TILE, tile],
    [field.EMBED_OUT, out],
    [field.EMBED_OUT_ROW, 4 * row],
    [field.EMBED_SCALE, scale, 'f32'],
    [field.EMBED_SOURCES, sources.length],
    [field.EMBED_LIST, lab.block(SOURCE_SIZE * sources.length, fields)],
  ]);
  lab.run('embed', job, Math.ceil(rows / tile), 4 * BLOCK * Math.ceil(width / BLOCK));
  return gathered(lab.floats(out, rows * row), width, row);
}

const expected = (rows: number, width: number, number: (r: number, d: number) => number): Float32Array =>
  Float32Array.from({ length: rows * width }, (_, n) => number(Math.floor(n / width), n % width));

const IDS = Int32Array.of(15, 0, 7, 8, 7);

test.each(Object.keys(tables(1)))('%s: every row as it is stored', (name) => {
  for (const width of [1, 3, 4, 7, 20, 33, 64, 100]) {
    const table = tables(width)[name] as Table;
    const got = embed([{ table, ids: IDS }], 5, width, { row: width + 2 });
    expect(got).toEqual(expected(5, width, (r, d) => table.at(IDS[r] as number, d)));
  }
});

test('a scale, types and positions: token rows are scaled, then the others added in their order', () => {
  const width = 20;
  const { f32, f16, i8 } = tables(width) as Record<'f32' | 'f16' | 'i8', Table>;
  const types = Int32Array.of(0, 1, 1, 0, 1);
  const scale = Math.fround(Math.sqrt(width));
  const sources = [
    { table: i8, ids: IDS },
    { table: f16, ids: types },
    { table: f32, first: 6 },
  ];
  const sum = (r: number, d: number): number => {
    const token = Math.fround(i8.at(IDS[r] as number, d) * scale);
    return Math.fround(Math.fround(token + f16.at(types[r] as number, d)) + f32.at(6 + r, d));
  };
  const out = embed(sources, 5, width, { scale });
  expect(out).toEqual(expected(5, width, sum));
  for (const set of SETS) for (const tile of [1, 4, 9]) expect(embed(sources, 5, width, { scale, tile, set, row: 21 })).toEqual(out);
});

test('a NaN of a table is the canonical one, and stays where it is', () => {
  const data = numbers(32, 1);
  new Uint32Array(data.buffer)[17] = 0xffc12345;
  const out = embed([{ table: rowsOf(F32, 2, data, data, 4), ids: Int32Array.of(8, 1) }], 2, 2);
  expect([...new Uint32Array(out.buffer)]).toEqual([
    ...new Uint32Array(Float32Array.of(data[16] as number, Number.NaN, ...data.subarray(2, 4)).buffer),
  ]);
});
