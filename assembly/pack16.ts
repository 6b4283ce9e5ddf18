// The tile's queries, and the values of a key block, as integers; keys become so as they are packed, see pack.ts.

import {
  DIM_D, DIM_E, PAGES_V, P_BATCH, P_HEAD, S_LINE, S_QUERIES, S_QUERIES16, S_QUERY_SCALES, S_TILE, S_VALUES, S_VALUE_SCALES, T_CHANNEL,
  T_TYPE, V,
} from './job';
import { contiguous, rowAddress } from './pack';
import { loadValue, loadValues16, valuesAreIntegers } from './panels';
import { quantiseQueries, quantiseValues } from './quantise';
import { COLUMN16 } from './values16';

/** Bytes of a row of D' integers. */
@inline export function integersOf(D: i32): usize {
  return <usize>(D + 1 & ~1) << 1;
}

/** The packed queries of a tile as integers beside what they are; true if one is odd. */
export function quantiseTile(job: usize, scratch: usize, rows: i32): bool {
  const D = load<i32>(job, DIM_D);
  let odd = false;
  for (let r = 0; r < rows; r += 4) {
    const q = scratch + load<usize>(job, S_QUERIES) + (<usize>r * D << 2);
    const to = scratch + load<usize>(job, S_QUERIES16) + r * integersOf(D);
    if (quantiseQueries(q, D, to, scratch + load<usize>(job, S_QUERY_SCALES) + (r << 2))) odd = true;
  }
  return odd;
}

@inline function valueOf(job: usize, b: i32, g: i32, j: i32, line: usize): usize {
  if (load<usize>(job, PAGES_V)) {
    loadValue(job, b, g, j, line);
    return line;
  }
  return contiguous(rowAddress(job, V, b, g, j), line, load<i32>(job, DIM_E), load<i32>(job, V + T_CHANNEL), load<i32>(job, V + T_TYPE));
}

/** The values of key j for the tile's key head, contiguous, in f32. */
export function valueRow(job: usize, scratch: usize, j: i32): usize {
  const tile = scratch + load<usize>(job, S_TILE);
  return valueOf(job, load<i32>(tile, P_BATCH), load<i32>(tile, P_HEAD), j, scratch + load<usize>(job, S_LINE));
}

/**
 * The values first … end − 1 of head g as columns of integers, and their scales; `first` is even, row 0 of a column belongs to key `block`. Scales
 * go on to a multiple of 8. True if a row is odd.
 */
export function packValues16(job: usize, scratch: usize, b: i32, g: i32, block: i32, first: i32, end: i32): bool {
  if (valuesAreIntegers(job)) return loadValues16(job, scratch, b, g, block, first, end);
  const E = load<i32>(job, DIM_E);
  const line = scratch + load<usize>(job, S_LINE);
  const other = line + (<usize>E << 2);
  const scales = scratch + load<usize>(job, S_VALUE_SCALES);
  let to = scratch + load<usize>(job, S_VALUES) + (<usize>(first - block) << 4);
  let odd = false;
  for (let j = first; j < end; j += 2, to += 32) {
    const a = valueOf(job, b, g, j, line);
    const pair = j + 1 < end ? valueOf(job, b, g, j + 1, other) : a;
    if (quantiseValues(a, pair, E, to, COLUMN16, scales + (<usize>(j - block) << 2))) odd = true;
  }
  for (let j = end - block; j & 7; j++) store<f32>(scales + (<usize>j << 2), 0);
  return odd;
}
