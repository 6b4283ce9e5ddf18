// Writes rows into a cache of keys and values, and turns those that lie there.
//
// The job block describes the cache as `attend` reads it: K and V with their element type, how they lie within a page, and pages. The new rows are
// Q (keys) and OUT (values), [B, G, DIM_L, …]; row i of batch row b becomes key KEY_STARTS[b] + i, as far as that is below
// KEY_LENGTHS[b]. Keys turn first if ROTATE_DIM is not 0, key j by row j of the table at ROTATE_K.

import {
  DIM_D, DIM_E, DIM_G, KEY_LENGTHS, KEY_STARTS, OUT, Q, ROTATE_DIM, ROTATE_K, T_BATCH, T_CHANNEL, T_HEAD, T_PTR, T_ROW, T_TYPE,
} from './job';
import { contiguous } from './pack';
import { loadKey, storeKey, storeValue } from './panels';
import { rotateRow } from './rotate';

/** Row 0 of head g in batch row b of a tensor without pages. */
@inline function headOf(job: usize, tensor: i32, b: i32, g: i32): usize {
  const at = job + tensor;
  return load<usize>(at, T_PTR) + b * load<i32>(at, T_BATCH) + g * load<i32>(at, T_HEAD);
}

@inline function numberOf(job: usize, list: i32, b: i32): i32 {
  return load<i32>(load<usize>(job + list) + (b << 2));
}

/** The new rows of one tile, a (batch, key head). Scratch: two rows of max(D, E) floats. */
export function append(job: usize, tile: i32, scratch: usize): void {
  const G = load<i32>(job, DIM_G);
  const D = load<i32>(job, DIM_D);
  const E = load<i32>(job, DIM_E);
  const b = tile / G;
  const g = tile % G;
  const first = numberOf(job, KEY_STARTS, b);
  const end = numberOf(job, KEY_LENGTHS, b);
  const turned = scratch + (<usize>max(D, E) << 2);
  const turn = load<i32>(job, ROTATE_DIM) << 2; // bytes of a row of the table
  let key = headOf(job, Q, b, g);
  let value = headOf(job, OUT, b, g);
  for (let j = first; j < end; j++) {
    let row = contiguous(key, scratch, D, load<i32>(job, Q + T_CHANNEL), load<i32>(job, Q + T_TYPE));
    if (turn) {
      rotateRow(turned, row, load<usize>(job, ROTATE_K) + j * turn, 0, job);
      row = turned;
    }
    storeKey(job, b, g, j, row);
    row = contiguous(value, scratch, E, load<i32>(job, OUT + T_CHANNEL), load<i32>(job, OUT + T_TYPE));
    storeValue(job, b, g, j, row);
    key += load<i32>(job, Q + T_ROW);
    value += load<i32>(job, OUT + T_ROW);
  }
}

/**
 * Turns the keys KEY_STARTS[b] … KEY_LENGTHS[b] − 1 where they lie, all by the one row of the table at ROTATE_K. Scratch: ten rows of D
 * floats.
 */
export function shift(job: usize, tile: i32, scratch: usize): void {
  const G = load<i32>(job, DIM_G);
  const D = load<i32>(job, DIM_D);
  const b = tile / G;
  const g = tile % G;
  const end = numberOf(job, KEY_LENGTHS, b);
  const turned = scratch + 9 * (<usize>D << 2);
  for (let j = numberOf(job, KEY_STARTS, b); j < end; j++) {
    loadKey(job, b, g, j, scratch);
    rotateRow(turned, scratch, load<usize>(job, ROTATE_K), 0, job);
    storeKey(job, b, g, j, turned);
  }
}
