// Reading the tables of checkpoints: copies, layouts, sizes.

import type { Tensor } from '../memory/tensor.ts';
import { describe, shapeText, wrongType, wrongValue } from './check.ts';
import { numbersOf } from './lists.ts';
import { expectShape, narrow, type SafeTensorLike, withShape } from './numbers.ts';

/** A table of numbers, row-major: a typed array, an array, a tensor, or one of a safetensors file (copied when the encoding is made). */
export type Table = Float32Array | Float64Array | readonly number[] | Tensor | SafeTensorLike;

/** A private copy of a table of any size. */
export function readTable(where: string, name: string, given: unknown): Float32Array {
  const found = numbersOf(where, name, given, false);
  if (!found) throw wrongType(where, name, 'a Float32Array, an array or a tensor', given);
  return withShape(narrow(where, name, found.values, 'finite'), found.shape);
}

/** A private copy of a table, its size checked. */
export function copyTable(where: string, name: string, given: unknown, shape: readonly number[]): Float32Array {
  const values = readTable(where, name, given);
  expectSize(where, name, values, shape);
  return values;
}

/** @throws RangeError unless the table has as many numbers as the shape, and this shape if it came with one */
export function expectSize(where: string, name: string, values: Float32Array, shape: readonly number[]): void {
  const size = shape.reduce((product, n) => product * n, 1);
  if (values.length !== size) throw wrongValue(where, name, `${shapeText(shape)}, ${size} numbers`, `${values.length}`);
  expectShape(where, name, values, shape);
}

/** Rows of a table whose other dimensions are known. */
export function rowsOf(where: string, name: string, values: Float32Array, width: number, known: string): number {
  const rows = values.length / width;
  if (!Number.isInteger(rows) || rows < 1) throw wrongValue(where, name, `[rows, ${known}]`, `${describe(values)}`);
  expectShape(where, name, values, [rows, width]);
  return rows;
}

/** [rows, H, D] as [H, rows, D]: a projected table as a projection yields it, by head. */
export function byHead(table: Float32Array, heads: number, width: number): Float32Array {
  const rows = table.length / (heads * width);
  const out = new Float32Array(table.length);
  for (let row = 0; row < rows; row++) {
    for (let h = 0; h < heads; h++) {
      out.set(table.subarray((row * heads + h) * width, (row * heads + h + 1) * width), (h * rows + row) * width);
    }
  }
  return out;
}
