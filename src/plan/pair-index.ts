// Indices of pairs: which entry of a table a query and a key meet at, one number per pair or a sum of two.

import { wrongValue } from '../arguments/check.ts';
import type { Scope } from '../memory/scope.ts';
import type { Shape, SumIndex } from './plan.ts';

/** @throws RangeError unless the index has the sizes of the call and every entry lies in first … end − 1 */
export function checkLookup(
  where: string,
  name: string,
  index: Int32Array | SumIndex,
  first: number,
  end: number,
  { B, L, S }: Shape,
): void {
  if (index instanceof Int32Array) {
    if (index.length !== L * S && index.length !== B * L * S) {
      throw wrongValue(where, name, `an index of [L=${L}, S=${S}] or [B=${B}, L, S]`, index);
    }
    checkEntries(where, name, index, first, end);
    return;
  }
  const { rows, columns, map } = index;
  if (rows.length !== L && rows.length !== B * L) throw wrongValue(where, name, `rows of [L=${L}] or [B=${B}, L=${L}]`, rows);
  if (columns.length !== S && columns.length !== B * S) throw wrongValue(where, name, `columns of [S=${S}] or [B=${B}, S=${S}]`, columns);
  if (map) checkEntries(where, name, map, first, end);
  if (B * L * S) checkSums(where, name, index, L, S, map?.length ?? end);
}

function checkEntries(where: string, name: string, index: Int32Array, first: number, end: number): void {
  const bad = index.findIndex((x) => x < first || x >= end);
  if (bad >= 0) throw wrongValue(where, name, `indices in ${first} … ${end - 1}`, index[bad]);
}

/** Smallest and largest of each run of n numbers. */
function bounds(list: Int32Array, n: number): { low: number; high: number }[] {
  return Array.from({ length: list.length / n }, (_, b) => {
    const run = list.subarray(b * n, (b + 1) * n);
    return { low: run.reduce((a, x) => Math.min(a, x)), high: run.reduce((a, x) => Math.max(a, x)) };
  });
}

/** Every sum of a row and a column of the same batch row lies in 0 … end − 1. */
function checkSums(where: string, name: string, { rows, columns }: SumIndex, L: number, S: number, end: number): void {
  const left = bounds(rows, L);
  const right = bounds(columns, S);
  for (let b = 0; b < Math.max(left.length, right.length); b++) {
    const r = left[left.length > 1 ? b : 0] as { low: number; high: number };
    const c = right[right.length > 1 ? b : 0] as { low: number; high: number };
    if (r.low + c.low < 0) throw wrongValue(where, name, `rows[i] + columns[j] in 0 … ${end - 1}`, r.low + c.low);
    if (r.high + c.high >= end) throw wrongValue(where, name, `rows[i] + columns[j] in 0 … ${end - 1}`, r.high + c.high);
  }
}

/** An index in memory: addresses, and bytes from query to query and from batch row to batch row. */
export interface Lookup {
  readonly index: number;
  readonly indexRow: number;
  readonly indexBatch: number;
  readonly rows: number;
  readonly rowsBatch: number;
  readonly map: number;
}

export function uploadLookup(index: Int32Array | SumIndex, { L, S }: Shape, scope: Scope): Lookup {
  if (index instanceof Int32Array) {
    const indexBatch = index.length > L * S ? 4 * L * S : 0;
    return { index: scope.upload(index), indexRow: 4 * S, indexBatch, rows: 0, rowsBatch: 0, map: 0 };
  }
  const { rows, columns, map } = index;
  return {
    index: scope.upload(columns),
    indexRow: 0,
    indexBatch: columns.length > S ? 4 * S : 0,
    rows: scope.upload(rows),
    rowsBatch: rows.length > L ? 4 * L : 0,
    map: map ? scope.upload(map) : 0,
  };
}
