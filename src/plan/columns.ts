// Tables by columns: what is computed here rather than by the kernels, and kept between calls.

import { roundUp } from '../memory/round.ts';
import type { Scope } from '../memory/scope.ts';
import { down, type Tables, type Wanted } from './table-cache.ts';

/** A table by columns: `width` bytes for each column of each head, [heads][count][width]. */
export interface Columns extends Wanted {
  /** Names the contents; undefined: they are of this call alone. */
  readonly key: string | undefined;
  readonly heads: number;
  readonly width: number;
  /** Computes the columns first … first + count − 1, multiples of 16 unless the table is `whole`: [heads][count][width / 4]. */
  fill(first: number, count: number): Float32Array | Int32Array;
}

/** A table in memory that has at least the columns asked for. */
export interface Held {
  readonly at: number;
  readonly first: number;
  readonly count: number;
  /** True if some number is −Infinity. */
  readonly infinite: boolean;
}

/** A table by columns, filled. Without a key it is computed for this call, and goes with its scope. */
export function columnsOf(tables: Tables, wanted: Columns, scope: Scope): Held {
  const { key, heads, width, fill } = wanted;
  if (key === undefined) {
    const first = wanted.whole ? wanted.first : down(wanted.first, 16);
    const count = wanted.whole ? wanted.count : roundUp(wanted.first + wanted.count, 16) - first;
    const data = fill(first, count);
    return { at: scope.upload(data), first, count, infinite: data.includes(-Infinity) };
  }
  const range = tables.range(key, wanted, heads, width, scope);
  for (const [from, end] of range.missing) {
    const data = fill(from, end - from);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const { memory } = tables;
    const row = (end - from) * width;
    for (let h = 0; h < heads; h++) {
      memory.set(bytes.subarray(h * row, (h + 1) * row), range.at + (h * range.count + from - range.first) * width);
    }
    range.infinite ||= data.includes(-Infinity);
  }
  range.missing = [];
  return range;
}
