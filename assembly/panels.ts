// Keys and values of a cache as its pages hold them: in the order in which the micro-kernels read them, so that f32 is read where it lies and
// other types are converted without being turned about.
//
//   f32, f16, bf16    keys [G][pageSize/8][D][8]        values [G][E'/8][pageSize][8]
//   i16, i8           keys [G][pageSize/8][D'/2][8][2]  values [G][E'/8][pageSize/2][8][2]    scales of both, f32 [G][pageSize], behind them
//
// E' is E rounded up to 8 and D' is D rounded up to 2; what is beyond E and D is 0. Integers lie by twos because i32x4.dot_i16x8_s adds
// neighbours. K and V of the job say how a page is laid out: T_HEAD are the bytes of a head, T_ROW those of a key in its panel, and of a
// position in a column of eight channels.
//
// Attempts that lost: reading a word of every line of a key block before it is met, so that many lines are under way at once (at 4095 × 128 f32
// takes 1.3 to 1.6 times as long, at 511 × 64 1.2 times: panels are met in the order of addresses, which hosts read ahead); scales behind the panels
// of their head, not behind those of all (no gain).
//
// i16 are the integers of quantise.ts, so that INT16 has what it computes with. A row that is none there has no f32 to go by here: below 2^−50 it
// is 0, else NaN, as a row of i8 that is not finite is.

import {
  DIM_D, DIM_E, F32, K, NORM, PAGES_BATCH, PAGES_K, PAGES_V, PAGE_SCALES_K, PAGE_SCALES_V, PAGE_SHIFT, P_ODD_QUERIES, P_ROWS, P_WIDE, Q16, Q8, ROTATE_K, S_KEYS, S_KEYS16,
  S_KEY_SCALES, S_TILE, S_VALUES, S_VALUE_SCALES, TERM_COUNT, T_HEAD, T_ROW, T_TYPE, V,
} from './job';
import { loadRow, quantisedScale, sizeOf, storeRow } from './convert';
import { oddSizes, quantiseRow, quantiseValue } from './quantise';
import { INTEGER } from './target';
import { COLUMN } from './values';
import { COLUMN16, RUN } from './values16';

const LEAST: f32 = reinterpret<f32>(0x12000000); // 2^−91
const LIFT: f32 = reinterpret<f32>(0x5f800000); // 2^64

/** The page that a table of a batch row names for key j. */
@inline function pageOf(job: usize, pages: i32, b: i32, j: i32): usize {
  return load<usize>(load<usize>(job + pages) + b * load<i32>(job, PAGES_BATCH) + ((j >> load<i32>(job, PAGE_SHIFT)) << 2));
}

/** The place of key j in its page. */
@inline function slotOf(job: usize, j: i32): i32 {
  return j & ((1 << load<i32>(job, PAGE_SHIFT)) - 1);
}

/** The panel of head g that begins with key j, a multiple of 8. */
export function panelAt(job: usize, b: i32, g: i32, j: i32): usize {
  return pageOf(job, PAGES_K, b, j) + g * load<i32>(job, K + T_HEAD) + slotOf(job, j) * load<i32>(job, K + T_ROW);
}

/** Position j in the first column of head g; of integers, an even one. */
export function columnAt(job: usize, b: i32, g: i32, j: i32): usize {
  return pageOf(job, PAGES_V, b, j) + g * load<i32>(job, V + T_HEAD) + slotOf(job, j) * load<i32>(job, V + T_ROW);
}

/** Bytes from column to column of a page. */
@inline export function columnStep(job: usize): usize {
  return <usize>load<i32>(job, V + T_ROW) << load<i32>(job, PAGE_SHIFT);
}

/** The scale of key j of head g, or of its values. */
function scaleAt(job: usize, pages: i32, scales: i32, b: i32, g: i32, j: i32): usize {
  return pageOf(job, pages, b, j) + load<i32>(job + scales) + (((g << load<i32>(job, PAGE_SHIFT)) + slotOf(job, j)) << 2);
}

/** One past the last key, up to `end`, that lies in one run with key j: in its page. */
export function runEnd(job: usize, j: i32, end: i32): i32 {
  return min(end, j - slotOf(job, j) + (1 << load<i32>(job, PAGE_SHIFT)));
}

/** True if the keys of a cache are met as they are stored: nothing turns or normalises them. */
@inline function keysAsStored(job: usize): bool {
  return load<usize>(job, PAGES_K) != 0 && !load<usize>(job, ROTATE_K) && !load<i32>(job, NORM);
}

/** True if panels of f32 are met as they are stored. */
@inline export function keysAreFloats(job: usize): bool {
  return load<i32>(job, K + T_TYPE) == F32 && keysAsStored(job);
}

/** True if they are read where they lie, too. INT16 makes integers of them first. */
@inline export function keysInPlace(job: usize): bool {
  return !INTEGER && keysAreFloats(job);
}

/** True if columns are read where they lie. */
@inline export function valuesInPlace(job: usize): bool {
  return !INTEGER && load<usize>(job, PAGES_V) != 0 && load<i32>(job, V + T_TYPE) == F32;
}

/** The panel of key j, a multiple of 8, of those of key block `block`: where it lies, or where packKeys has put it. */
export function keysOf(job: usize, scratch: usize, b: i32, g: i32, block: i32, j: i32): usize {
  return keysInPlace(job) ? panelAt(job, b, g, j) : scratch + load<usize>(job, S_KEYS) + (<usize>((j - block) * load<i32>(job, DIM_D)) << 2);
}

/** Position j of the first column of key block `block`: where it lies, or where packValues has put it. */
export function valuesOf(job: usize, scratch: usize, b: i32, g: i32, block: i32, j: i32): usize {
  return valuesInPlace(job) ? columnAt(job, b, g, j) : scratch + load<usize>(job, S_VALUES) + (<usize>(j - block) << 5);
}

/** The panels of the keys first … end − 1, `first` a multiple of 8, as f32, one behind the other from `to` on. */
export function loadPanels(job: usize, b: i32, g: i32, first: i32, end: i32, to: usize): void {
  const D = load<i32>(job, DIM_D);
  const type = load<i32>(job, K + T_TYPE);
  for (let j = first, stop = 0; j < end; j = stop) {
    stop = runEnd(job, j, end + 7 & ~7);
    let from = panelAt(job, b, g, j);
    if (type < Q8) {
      loadRow(to, from, (stop - j) * D, sizeOf(type), type);
      to += <usize>((stop - j) * D) << 2;
      continue;
    }
    let scales = scaleAt(job, PAGES_K, PAGE_SCALES_K, b, g, j);
    for (; j < stop; j += 8, scales += 32) {
      const low = v128.load(scales), high = v128.load(scales, 16);
      for (let d = 0; d < D; d += 2, from += 16 * sizeOf(type), to += 64) loadPair(to, from, type, low, high, low, high, d + 1 < D);
      if (D & 1) to -= 32;
    }
  }
}

/** The values of the keys first … end − 1, `first` a multiple of 8, as f32 columns COLUMN bytes apart; `to` is that of key `first`. */
export function loadColumns(job: usize, b: i32, g: i32, first: i32, end: i32, to: usize): void {
  const E = load<i32>(job, DIM_E);
  const type = load<i32>(job, V + T_TYPE);
  const step = columnStep(job);
  for (let j = first, stop = 0; j < end; j = stop) {
    stop = runEnd(job, j, end);
    let from = columnAt(job, b, g, j);
    let column = to;
    for (let e = 0; e < E; e += 8, from += step, column += COLUMN) {
      if (type < Q8) {
        loadRow(column, from, (stop - j) << 3, sizeOf(type), type);
        continue;
      }
      let scales = scaleAt(job, PAGES_V, PAGE_SCALES_V, b, g, j);
      for (let i = j, at = from, into = column; i < stop; i += 2, at += 16 * sizeOf(type), into += 64, scales += 8) {
        const even = v128.load32_splat(scales), odd = v128.load32_splat(scales + 4);
        loadPair(into, at, type, even, even, odd, odd, true);
      }
    }
    to += <usize>(stop - j) << 5;
  }
}

/** Sixteen integers by twos, as two rows of eight times their scales. */
@inline function loadPair(
  to: usize, from: usize, type: i32, evenLow: v128, evenHigh: v128, oddLow: v128, oddHigh: v128, both: bool,
): void {
  const x = type == Q8 ? v128.load8x8_s(from) : v128.load(from);
  const y = type == Q8 ? v128.load8x8_s(from, 8) : v128.load(from, 16);
  v128.store(to, f32x4.mul(evenLow, f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(x, 16), 16))));
  v128.store(to, f32x4.mul(evenHigh, f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(y, 16), 16))), 16);
  if (!both) return;
  v128.store(to, f32x4.mul(oddLow, f32x4.convert_i32x4_s(i32x4.shr_s(x, 16))), 32);
  v128.store(to, f32x4.mul(oddHigh, f32x4.convert_i32x4_s(i32x4.shr_s(y, 16))), 48);
}

/** Key j of head g as a contiguous row, by way of its panel: a row and eight more at `to`. */
export function loadKey(job: usize, b: i32, g: i32, j: i32, to: usize): void {
  const D = load<i32>(job, DIM_D);
  const panel = to + (<usize>D << 2);
  loadPanels(job, b, g, j & ~7, (j & ~7) + 8, panel);
  loadRow(to, panel + ((j & 7) << 2), D, 32, F32);
}

/** The values of key j of head g as a contiguous row of E. */
export function loadValue(job: usize, b: i32, g: i32, j: i32, to: usize): void {
  const type = load<i32>(job, V + T_TYPE);
  const size = sizeOf(type);
  const step = columnStep(job);
  let at = columnAt(job, b, g, j);
  if (type >= Q8) at -= (j & 1) * 7 * size;
  for (let left = load<i32>(job, DIM_E); left > 0; left -= 8, at += step, to += 32) {
    const n = min(left, 8);
    if (type == F32 && n == 8) {
      v128.store(to, v128.load(at)), v128.store(to, v128.load(at, 16), 16);
      continue;
    }
    if (type < Q8) {
      loadRow(to, at, n, size, type);
      continue;
    }
    const scale = load<f32>(scaleAt(job, PAGES_V, PAGE_SCALES_V, b, g, j));
    for (let e = 0; e < n; e++) {
      const x = at + e * 2 * size;
      store<f32>(to + (<usize>e << 2), scale * <f32>(type == Q8 ? load<i8>(x) : load<i16>(x)));
    }
  }
}

/** Stores a contiguous row as key j of head g. */
export function storeKey(job: usize, b: i32, g: i32, j: i32, row: usize): void {
  const D = load<i32>(job, DIM_D);
  const type = load<i32>(job, K + T_TYPE);
  const size = sizeOf(type);
  const panel = panelAt(job, b, g, j & ~7);
  if (type < Q8) {
    storeRow(panel + (j & 7) * size, row, D, size << 3, type);
    return;
  }
  const scale = scaleAt(job, PAGES_K, PAGE_SCALES_K, b, g, j);
  if (type == Q8) storeIntegers(panel + ((j & 7) << 1), row, D, D + 1 & ~1, 1, 16, 1, scale);
  else store<f32>(scale, quantiseRow(row, D, panel + ((j & 7) << 2), 32));
  if (type == Q16 && isNaN(load<f32>(scale))) store<f32>(scale, scaleOfOdd(row, D));
}

/** The scale of a row that quantise.ts calls odd, whose integers are 0. */
function scaleOfOdd(row: usize, n: i32): f32 {
  return quantisedScale(row, n) < 1 ? 0 : f32.NaN;
}

/** Stores a contiguous row as the values of key j of head g. */
export function storeValue(job: usize, b: i32, g: i32, j: i32, row: usize): void {
  const E = load<i32>(job, DIM_E);
  const type = load<i32>(job, V + T_TYPE);
  const size = sizeOf(type);
  const step = columnStep(job);
  let at = columnAt(job, b, g, j);
  if (type >= Q8) {
    // The slot of an odd key is the second of a pair: columnAt counts it as a row of eight of its own.
    at -= (j & 1) * 7 * size;
    const scale = scaleAt(job, PAGES_V, PAGE_SCALES_V, b, g, j);
    if (type == Q8) storeIntegers(at, row, E, E + 7 & ~7, 3, step, 2, scale);
    else if (quantiseValue(row, E, at, step, scale)) store<f32>(scale, scaleOfOdd(row, E));
    return;
  }
  for (let left = E; left > 0; left -= 8, at += step, row += 32) {
    if (left < 8) memory.fill(at, 0, size << 3);
    storeRow(at, row, min(left, 8), size, type);
  }
}

/**
 * A row in 8 bits and its scale: element n at to + (n >> shift)·step + (n mod 2^shift)·apart. Scale and rounding are those of
 * quantisedScale; elements from n … padded − 1 are 0.
 */
function storeIntegers(to: usize, from: usize, n: i32, padded: i32, shift: i32, step: usize, apart: usize, scaleTo: usize): void {
  const scale = quantisedScale(from, n);
  // 1/scale overflows where the row is below 2^−121; to multiply by a power of two first changes no bit of the rows where it does not.
  const lift: f32 = scale < LEAST ? LIFT : 1;
  const inverse: f32 = scale > 0 ? 1 / (scale * lift) : 0;
  store<f32>(scaleTo, scale);
  for (let d = 0; d < padded; d++, from += 4) {
    const x: i8 = d < n ? <i8>max(min(nearest(load<f32>(from) * lift * inverse), 127), -127) : 0;
    store<i8>(to + (d >> shift) * step + (d & ((1 << shift) - 1)) * apart, x);
  }
}

/** True if INT16 takes the keys of a cache as the integers that they are. */
@inline export function keysAreIntegers(job: usize): bool {
  return load<i32>(job, K + T_TYPE) >= Q8 && keysAsStored(job);
}

/** Leaves the keys first … end − 1 of a cache as f32 where INT16 looks for them, if it will: for odd rows, and for terms of keys. */
export function keepFloats(job: usize, scratch: usize, b: i32, g: i32, block: i32, first: i32, end: i32, odd: bool): void {
  if (!odd && !load<i32>(scratch + load<usize>(job, S_TILE), P_ODD_QUERIES) && !load<i32>(job, TERM_COUNT)) return;
  const D = load<i32>(job, DIM_D);
  loadPanels(job, b, g, first, end, scratch + load<usize>(job, S_KEYS) + (<usize>((first - block) * D) << 2));
}

/**
 * Most rows of a tile that reads integers of a cache where they lie; keys of i16 all tiles do. With more rows it pays to lay out a block once:
 * 512 queries over 2048 keys of i8 take 10 to 13 % longer where each group of four widens what it reads. Where products are `wide` blocks are laid
 * out for all: these forms are for ARM64, of which there are no measurements.
 */
const FEW: i32 = 8;

@inline function hasFewRows(job: usize, scratch: usize): bool {
  const tile = scratch + load<usize>(job, S_TILE);
  return load<i32>(tile, P_ROWS) <= FEW && !load<i32>(tile, P_WIDE);
}

/** True if INT16 reads the keys of a cache where they lie. */
@inline export function keys16InPlace(job: usize, scratch: usize): bool {
  return keysAreIntegers(job) && (load<i32>(job, K + T_TYPE) == Q16 || hasFewRows(job, scratch));
}

/** The panel of key j, a multiple of 8, of the integers of key block `block`: where it lies, or where packKeys has put it. */
export function keys16Of(job: usize, scratch: usize, b: i32, g: i32, block: i32, j: i32): usize {
  if (keys16InPlace(job, scratch)) return panelAt(job, b, g, j);
  return scratch + load<usize>(job, S_KEYS16) + (<usize>((j - block) * (load<i32>(job, DIM_D) + 1 & ~1)) << 1);
}

/** True if INT16 takes the values of a cache as the integers that they are. */
@inline export function valuesAreIntegers(job: usize): bool {
  return load<usize>(job, PAGES_V) != 0 && load<i32>(job, V + T_TYPE) >= Q8;
}

/** True if it reads them where they lie. */
@inline export function values16InPlace(job: usize, scratch: usize): bool {
  return valuesAreIntegers(job) && hasFewRows(job, scratch);
}

/** Writes at `to` where the values first … end − 1 of head g lie, `first` even, page by page; returns where that ends. */
export function writeRuns(job: usize, b: i32, g: i32, first: i32, end: i32, to: usize): usize {
  for (let j = first, stop = 0; j < end; j = stop, to += RUN) {
    stop = runEnd(job, j, end);
    store<usize>(to, columnAt(job, b, g, j));
    store<i32>(to, stop - j + 1 >> 1, 4);
  }
  return to;
}

/** n integers of a cache, a multiple of 16, as i16. */
@inline function widen(to: usize, from: usize, n: i32, type: i32): void {
  const end = to + (<usize>n << 1);
  if (type == Q8) {
    for (; to < end; to += 32, from += 16) v128.store(to, v128.load8x8_s(from)), v128.store(to, v128.load8x8_s(from, 8), 16);
  } else {
    for (; to < end; to += 32, from += 32) v128.store(to, v128.load(from)), v128.store(to, v128.load(from, 16), 16);
  }
}

/**
 * Which of four scales are those of odd stored rows, as quantise.ts has it: not finite or, of i8, which keeps rows of every size, with a largest size
 * of 127 times the scale beyond 2^±50. Such a row has integers, and is met in f32 by its scale.
 */
@inline function oddRows(scales: v128, type: i32): v128 {
  const nan = f32x4.ne(scales, scales);
  return type == Q8 ? v128.or(nan, oddSizes(f32x4.mul(scales, f32x4.splat(127)))) : nan;
}

/** Copies n scales, and writes `instead` in the place of those of odd rows. True if there is one. */
function copyScales(to: usize, from: usize, n: i32, type: i32, instead: f32): bool {
  const other = f32x4.splat(instead);
  let some = i32x4.splat(0);
  for (; n >= 4; n -= 4, to += 16, from += 16) {
    const x = v128.load(from), odd = oddRows(x, type);
    v128.store(to, v128.bitselect(other, x, odd));
    some = v128.or(some, odd);
  }
  for (; n > 0; n--, to += 4, from += 4) {
    const x = v128.load32_splat(from), odd = oddRows(x, type);
    v128.store32_lane(to, v128.bitselect(other, x, odd), 0);
    some = v128.or(some, odd);
  }
  return v128.any_true(some);
}

/** The scales of the keys or values first … end − 1 of a cache at `to`, that of key `block`, and 0 up to a multiple of 8. True if one is odd. */
function loadScales(
  job: usize, pages: i32, scales: i32, b: i32, g: i32, block: i32, first: i32, end: i32, type: i32, to: usize, instead: f32,
): bool {
  let odd = false;
  for (let j = first, stop = 0; j < end; j = stop) {
    stop = runEnd(job, j, end);
    odd = copyScales(to + (<usize>(j - block) << 2), scaleAt(job, pages, scales, b, g, j), stop - j, type, instead) || odd;
  }
  for (let j = end - block; j & 7; j++) store<f32>(to + (<usize>j << 2), 0);
  return odd;
}

/**
 * The keys first … end − 1 of a cache, `first` a multiple of 8, as integers where packKeys of INT16 leaves them unless they are read where they
 * lie, their scales, and f32 too if anything will ask for that. True if a key is odd.
 */
export function loadKeys16(job: usize, scratch: usize, b: i32, g: i32, block: i32, first: i32, end: i32): bool {
  const type = load<i32>(job, K + T_TYPE);
  const pair = load<i32>(job, DIM_D) + 1 & ~1;
  const keys = scratch + load<usize>(job, S_KEYS16);
  for (let j = keys16InPlace(job, scratch) ? end : first, stop = 0; j < end; j = stop) {
    stop = runEnd(job, j, end + 7 & ~7);
    widen(keys + (<usize>((j - block) * pair) << 1), panelAt(job, b, g, j), (stop - j) * pair, type);
  }
  const scales = scratch + load<usize>(job, S_KEY_SCALES);
  const odd = loadScales(job, PAGES_K, PAGE_SCALES_K, b, g, block, first, end, type, scales, f32.NaN);
  keepFloats(job, scratch, b, g, block, first, end, odd);
  return odd;
}

/**
 * The values first … end − 1 of a cache, `first` a multiple of 8, as integers where packValues16 leaves them unless they are read where they lie, and
 * their scales. True if a row is odd: as quantise.ts says so, it is then added in f32, and its NaN stays where it is hidden.
 */
export function loadValues16(job: usize, scratch: usize, b: i32, g: i32, block: i32, first: i32, end: i32): bool {
  const type = load<i32>(job, V + T_TYPE);
  const step = columnStep(job);
  const values = scratch + load<usize>(job, S_VALUES);
  for (let j = values16InPlace(job, scratch) ? end : first, stop = 0; j < end; j = stop) {
    stop = runEnd(job, j, end);
    let from = columnAt(job, b, g, j);
    let to = values + (<usize>(j - block) << 4);
    for (let e = load<i32>(job, DIM_E); e > 0; e -= 8, from += step, to += COLUMN16) widen(to, from, (stop - j + 1 & ~1) << 3, type);
  }
  const scales = scratch + load<usize>(job, S_VALUE_SCALES);
  return loadScales(job, PAGES_V, PAGE_SCALES_V, b, g, block, first, end, type, scales, -0.0);
}
