// Scalar products of all pairs of two lists of vectors.

import { sumLanes } from '../simd';
import {
  DOTS_A, DOTS_A_ROW, DOTS_B, DOTS_B_ROW, DOTS_COLUMNS, DOTS_OUT, DOTS_OUT_ROW, DOTS_ROWS, DOTS_TILE, DOTS_WIDTH,
} from './job';
import { loadRest, put } from './lanes';

/** a·b0 … a·b3 of n numbers: element d goes to lane d mod 4 of its sum, last the lanes are folded. */
@inline function four(a: usize, b0: usize, b1: usize, b2: usize, b3: usize, n: i32): v128 {
  // repeat $r 4
  let s$r = f32x4.splat(0);
  // end
  let at: usize = 0;
  for (; n >= 4; n -= 4, at += 16) {
    const x = v128.load(a + at);
    // repeat $r 4
    s$r = f32x4.add(s$r, f32x4.mul(x, v128.load(b$r + at)));
    // end
  }
  if (n) {
    const zero = f32x4.splat(0);
    const x = loadRest(a + at, n, zero);
    // repeat $r 4
    s$r = f32x4.add(s$r, f32x4.mul(x, loadRest(b$r + at, n, zero)));
    // end
  }
  return f32x4(sumLanes(s0), sumLanes(s1), sumLanes(s2), sumLanes(s3));
}

/** OUT[i][j] ← A[i]·B[j]. */
export function dots(job: usize, tile: i32, scratch: usize): void {
  const n = load<i32>(job, DOTS_WIDTH), columns = load<i32>(job, DOTS_COLUMNS), row = load<i32>(job, DOTS_B_ROW);
  const first = tile * load<i32>(job, DOTS_TILE);
  const last = min(first + load<i32>(job, DOTS_TILE), load<i32>(job, DOTS_ROWS));
  for (let i = first; i < last; i++) {
    const a = load<usize>(job, DOTS_A) + i * load<i32>(job, DOTS_A_ROW);
    const to = load<usize>(job, DOTS_OUT) + i * load<i32>(job, DOTS_OUT_ROW);
    const b = load<usize>(job, DOTS_B);
    for (let j = 0; j < columns; j += 4) {
      // Columns past the last one are the last one again.
      const end = columns - 1;
      const s = four(a, b + j * row, b + min(j + 1, end) * row, b + min(j + 2, end) * row, b + min(j + 3, end) * row, n);
      put(to + (<usize>j << 2), columns - j, s);
    }
  }
}
