// Weights as panels (blocks.txt), row by row, so that rows may come as they are read from a file. Each row depends on itself alone: by which slices
// it comes shows in no bit. What is beyond N and K is left as it is: 0, as whoever reserves the panels makes them.
//
// With m the largest size in a row (i8) or in a block of 32 of it (i4), and every step rounded to f32:
//
//   i8   scale m/127, integers round(w · (127/m)), ties to even; or scale t/255 and round(w · (255/t)), if that is the larger scale
//   i4   scale v/−8 with v the number of size m, the first of them; integers round(w · (−8/v)), 7 at most: v itself is −8, without an error
//
// t is the largest sum of numbers of one sign that are among six: of twelve in turn those whose place is 0 or 1 in its four, and the others. Their
// integers then come to 255 and six times a half at most, 258, and with x̂ of up to 127 to 32766: the products fit 16 bits, on the way there
// as well, which linear8.ts makes use of. It is m/127 but for rows whose numbers are all alike in size.
//
// Where m is below 2^−100, where the quotient nears the end of f32, integers are 0 and the scale is 0; where it is not finite, the scale is NaN.

import { F32 } from '../job';
import { loadRow, sizeOf, storeRow } from '../convert';
import {
  BLOCK, BLOCK_BYTES, PACK_COLUMN, PACK_END, PACK_FIRST, PACK_FROM, PACK_FROM_TYPE, PACK_K, PACK_ROW, PACK_STEP, PACK_TO, PACK_TYPE, PANEL_HEADER,
  WEIGHTS_I4, WEIGHTS_I8,
} from './job';
import { loadRest } from './lanes';
import { INFINITE, LEAST, MAGIC, sizeOfRow } from './quantise';

/** round(x·c) for |x·c| < 2^21, ties to even. */
@inline function roundOf(x: f32, c: f32): i32 {
  return reinterpret<i32>(x * c + MAGIC) << 10 >> 10;
}

/** The scale of integers up to `top`, of either sign, in a row whose largest number is `most`. */
@inline function scaleOf(most: f32, top: f32): f32 {
  const size = reinterpret<i32>(most) & 0x7fffffff;
  return size >= INFINITE ? f32.NaN : size < LEAST ? 0 : most / top;
}

/** What numbers are multiplied by to become integers; 0 where they are 0 all of them. */
@inline function factorOf(most: f32, top: f32): f32 {
  const size = reinterpret<i32>(most) & 0x7fffffff;
  return size >= INFINITE || size < LEAST ? 0 : top / most;
}

/** 255/8. */
const MOST_OF_SIX: f32 = 31.875;

/** The sums of the first and the last two lanes. */
@inline function ofTwos(x: v128): v128 {
  return f32x4.add(x, v128.shuffle<f32>(x, x, 1, 0, 3, 2));
}

/** t/8 of a row: it is finite where the numbers are. */
function sixesOf(row: usize, K: i32): f32 {
  const eighth = f32x4.splat(0.125), none = f32x4.splat(0);
  let most = none;
  for (; K > 0; K -= 12) {
    let above = none, below = none;
    for (let n = min(K, 12); n > 0; n -= 4, row += 16) {
      const x = f32x4.mul(n >= 4 ? v128.load(row) : loadRest(row, n, none), eighth);
      above = f32x4.add(above, f32x4.pmax(x, none)), below = f32x4.sub(below, f32x4.pmin(x, none));
    }
    most = f32x4.pmax(most, f32x4.pmax(ofTwos(above), ofTwos(below)));
  }
  return max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 2));
}

/** Row `lane` of a panel of i8: its scale, its integers and their sum. */
function packBytes(row: usize, K: i32, panel: usize, lane: i32): void {
  const m = reinterpret<f32>(sizeOfRow(row, K)), t = sixesOf(row, K);
  let c = factorOf(m, 127), scale = scaleOf(m, 127);
  if (c != 0 && t / MOST_OF_SIX > scale) c = MOST_OF_SIX / t, scale = t / MOST_OF_SIX;
  const at = panel + (<usize>lane << 2);
  let to = at + PANEL_HEADER;
  let sum = 0;
  if (c != 0) {
    let sums = i32x4.splat(0);
    const factor = f32x4.splat(c), magic = f32x4.splat(MAGIC);
    let n = K;
    for (; n >= 4; n -= 4, row += 16, to += 32) {
      const x = i32x4.sub(f32x4.add(f32x4.mul(v128.load(row), factor), magic), magic);
      sums = i32x4.add(sums, x);
      const shorts = i16x8.narrow_i32x4_s(x, x);
      v128.store_lane<i32>(to, i8x16.narrow_i16x8_s(shorts, shorts), 0);
    }
    for (; n > 0; n--, row += 4, to++) {
      const x = roundOf(load<f32>(row), c);
      sum += x;
      store<i8>(to, x);
    }
    sums = i32x4.add(sums, v128.shuffle<i32>(sums, sums, 2, 3, 0, 1));
    sum += i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
  } else {
    for (let k = 0; k < K; k += 4, to += 32) store<i32>(to, 0);
  }
  store<f32>(at, scale);
  store<i32>(at, sum, 32);
}

/** The number of the largest size among n, the first of them, or one that is not finite. */
@inline function largest(row: usize, n: i32): f32 {
  const size = sizeOfRow(row, n);
  while ((load<i32>(row) & 0x7fffffff) != size) row += 4;
  return load<f32>(row);
}

/** Row `lane` of a panel of i4. */
function packNibbles(row: usize, K: i32, panel: usize, lane: i32): void {
  for (; K > 0; K -= BLOCK, row += 4 * BLOCK, panel += BLOCK_BYTES) {
    const n = min(K, BLOCK);
    const v = largest(row, n);
    const c = factorOf(v, -8);
    store<f32>(panel + (<usize>lane << 2), scaleOf(v, -8));
    for (let k = 0; k < BLOCK; k++) {
      const x = k < n && c != 0 ? min(roundOf(load<f32>(row + (<usize>k << 2)), c), 7) + 8 : 8;
      const to = panel + 32 + (<usize>(k >> 3) << 5) + (<usize>lane << 2) + (k & 3);
      if (k & 4) store<u8>(to, load<u8>(to) | x << 4);
      else store<u8>(to, x);
    }
  }
}

/** A tile: the rows of one panel, as far as they are there. */
export function pack(job: usize, tile: i32, scratch: usize): void {
  const first = load<i32>(job, PACK_FIRST), end = load<i32>(job, PACK_END), K = load<i32>(job, PACK_K), type = load<i32>(job, PACK_TYPE);
  const p = (first >> 3) + tile;
  const panel = load<usize>(job, PACK_TO) + <usize>p * load<i32>(job, PACK_STEP);
  const stride = <usize>load<i32>(job, PACK_ROW);
  const column = load<i32>(job, PACK_COLUMN), from = load<i32>(job, PACK_FROM_TYPE);
  for (let n = max(first, p << 3); n < min(end, p + 1 << 3); n++) {
    let row = load<usize>(job, PACK_FROM) + <usize>(n - first) * stride;
    if (from != F32 || column != 4) loadRow(scratch, row, K, column, from), row = scratch;
    const lane = n & 7;
    if (type == WEIGHTS_I8) packBytes(row, K, panel, lane);
    else if (type == WEIGHTS_I4) packNibbles(row, K, panel, lane);
    else storeRow(panel + <usize>(lane * sizeOf(type)), row, K, 8 * sizeOf(type), type);
  }
}
