// The k largest of a row.

import { TOP_COUNT, TOP_INDICES, TOP_VALUES, TOP_WIDTH, TOP_X, TOP_X_ROW } from './job';
import { loadRest } from './lanes';
import { canonical } from '../simd';

/**
 * Integers in the order of the numbers: of a negative one all bits but the sign turn over. −0 and 0 are one, NaN is above Infinity, as in
 * other libraries: a row that went wrong shows in what is chosen first.
 */
@inline function keys(x: v128): v128 {
  const y = canonical(f32x4.add(x, f32x4.splat(0)));
  return v128.xor(y, i32x4.shr_u(i32x4.shr_s(y, 31), 1));
}

/** Whether entry (key, index) is chosen after the other one: the smaller, or of equal ones the later. */
@inline function after(key: i32, index: i32, otherKey: i32, otherIndex: i32): bool {
  return key < otherKey || (key == otherKey && index > otherIndex);
}

/**
 * Puts an entry in place `at` of a heap of n, whose entries below are in order: each stands before those that it would be chosen after, so that
 * the first is the next to go.
 */
function sift(values: usize, indices: usize, at: i32, n: i32, key: i32, index: i32): void {
  for (let child = 2 * at + 1; child < n; child = 2 * at + 1) {
    let k = load<i32>(values + (<usize>child << 2)), i = load<i32>(indices + (<usize>child << 2));
    if (child + 1 < n) {
      const k2 = load<i32>(values + (<usize>(child + 1) << 2)), i2 = load<i32>(indices + (<usize>(child + 1) << 2));
      if (after(k2, i2, k, i)) {
        k = k2;
        i = i2;
        child++;
      }
    }
    if (!after(k, i, key, index)) break;
    store<i32>(values + (<usize>at << 2), k);
    store<i32>(indices + (<usize>at << 2), i);
    at = child;
  }
  store<i32>(values + (<usize>at << 2), key);
  store<i32>(indices + (<usize>at << 2), index);
}

/** Lane n of a vector of keys; n is no literal. */
@inline function lane(x: v128, n: i32): i32 {
  return n == 0 ? i32x4.extract_lane(x, 0) : n == 1 ? i32x4.extract_lane(x, 1) : n == 2 ? i32x4.extract_lane(x, 2) : i32x4.extract_lane(x, 3);
}

/**
 * VALUES and INDICES of the COUNT largest of row `tile`, in descending order, of equal ones the first in the row first. A heap of the best so
 * far stands where the result will; most of a row is behind its last one and is passed over by fours.
 */
export function top(job: usize, tile: i32, scratch: usize): void {
  const n = load<i32>(job, TOP_WIDTH), count = load<i32>(job, TOP_COUNT);
  const x = load<usize>(job, TOP_X) + tile * load<i32>(job, TOP_X_ROW);
  const row = <usize>tile * (<usize>count << 2);
  const values = load<usize>(job, TOP_VALUES) + row, indices = load<usize>(job, TOP_INDICES) + row;
  for (let i = 0; i < count; i++) {
    store<i32>(values + (<usize>i << 2), i32x4.extract_lane(keys(v128.load32_splat(x + (<usize>i << 2))), 0));
    store<i32>(indices + (<usize>i << 2), i);
  }
  for (let at = (count >> 1) - 1; at >= 0; at--) {
    sift(values, indices, at, count, load<i32>(values + (<usize>at << 2)), load<i32>(indices + (<usize>at << 2)));
  }
  // A later entry of an equal key is chosen after: only larger ones come in.
  for (let i = count; i < n; i += 4) {
    const left = n - i;
    const from = x + (<usize>i << 2);
    const four = keys(left >= 4 ? v128.load(from) : loadRest(from, left, f32x4.splat(-Infinity)));
    if (!v128.any_true(i32x4.gt_s(four, v128.load32_splat(values)))) continue;
    for (let l = 0; l < min(left, 4); l++) {
      const key = lane(four, l);
      if (key > load<i32>(values)) sift(values, indices, 0, count, key, i + l);
    }
  }
  for (let end = count - 1; end > 0; end--) {
    const key = load<i32>(values + (<usize>end << 2)), index = load<i32>(indices + (<usize>end << 2));
    store<i32>(indices + (<usize>end << 2), load<i32>(indices));
    store<i32>(values + (<usize>end << 2), load<i32>(values));
    sift(values, indices, 0, end, key, index);
  }
  for (let i = 0; i < count; i++) {
    const value = v128.load32_splat(x + (<usize>load<i32>(indices + (<usize>i << 2)) << 2));
    v128.store_lane<i32>(values + (<usize>i << 2), canonical(value), 0);
  }
}
