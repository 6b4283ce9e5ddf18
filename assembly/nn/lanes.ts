// Rows whose length is no multiple of four: their last vector.

import { canonical } from '../simd';

/** The last 1 … 3 elements at an address, `fill` in the lanes behind them. */
@inline export function loadRest(at: usize, left: i32, fill: v128): v128 {
  let x = v128.load_lane<i32>(at, fill, 0);
  if (left > 1) x = v128.load_lane<i32>(at, x, 1, 4);
  if (left > 2) x = v128.load_lane<i32>(at, x, 2, 8);
  return x;
}

/** Writes the first 1 … 3 lanes. */
@inline export function storeRest(at: usize, left: i32, x: v128): void {
  v128.store_lane<i32>(at, x, 0);
  if (left > 1) v128.store_lane<i32>(at, x, 1, 4);
  if (left > 2) v128.store_lane<i32>(at, x, 2, 8);
}

/** Writes the first min(left, 4) lanes, every NaN as the canonical one. */
@inline export function put(at: usize, left: i32, x: v128): void {
  if (left >= 4) v128.store(at, canonical(x));
  else storeRest(at, left, canonical(x));
}
