// Output of groups of four rows over the values of a key block as integers: o(r, e) = scale(r)·o(r, e) + (Σ_j t̂(r, j)·v̂(j, e))·w(r), the sum
// exact; see weights16.ts. Two forms of one tile with the same bits, chosen by `widens`.
//
// Tiles of few rows, decoding above all, read the columns of a cache where they lie, page by page: since the sum is exact it may go on from page to
// page, in registers, and the block is still rounded once. At 4095 keys of 128 channels, 32 heads on 8, a step takes 0.71 of what it took where a
// block's columns were laid out first, over i8 0.6; at 511 × 64 0.62 and 0.66 (Zen 4, Node 24; other ways below are by the same measure).
//
// Attempts that lost: a page's columns one after another, as they lie, with sums that wait in memory between pages (0.85 and 0.7 at 4095 × 128;
// and 512 queries at once took 1.05 times as long, over i8 1.12).

import { KEY_BLOCK, R_FROM, R_SCALE, R_SIZE, R_TO, R_WEIGHT, SCORES_ROW } from './job';
import { addPairs } from './scores16';
import { splat } from './simd';

/** Bytes of one column of eight channels of a key block. */
export const COLUMN16: usize = KEY_BLOCK << 4;

/** Bytes of a run of values in place: the address of its first column, and how many pairs of keys there are. */
export const RUN: usize = 8;

/** o ← c·o + sum·w for eight channels. */
@inline function addSums(o: usize, c: v128, w: v128, a: v128, b: v128): void {
  v128.store(o, f32x4.add(f32x4.mul(v128.load(o), c), f32x4.mul(f32x4.convert_i32x4_s(a), w)));
  v128.store(o, f32x4.add(f32x4.mul(v128.load(o, 16), c), f32x4.mul(f32x4.convert_i32x4_s(b), w)), 16);
}

/**
 * Four rows × eight channels by dots of two keys, for `groups` groups in turn over the keys of the block that each sees. line: the weights of key
 * `block`, i16, SCORES_ROW bytes a row; column: [keys/2][8][2] from there on; o: `width` bytes a row. Eight steps a turn as in scores4x8.
 */
function dots4x8(group: usize, groups: i32, line: usize, column: usize, block: i32, o: usize, width: usize): void {
  for (; groups > 0; groups--, group += R_SIZE, line += 4 * SCORES_ROW, o += 4 * width) {
    const from = load<i32>(group, R_FROM) - block;
    const pairs = load<i32>(group, R_TO) - block - from + 1 >> 1;
    if (pairs <= 0) continue;
    let p = line + (<usize>from << 1);
    let v = column + (<usize>from << 4);
    // repeat $r 4
    let s$ra = i32x4.splat(0), s$rb = i32x4.splat(0);
    // end
    let x: v128, y: v128, t: v128;
    for (let left = pairs; ; left -= 8, p += 32, v += 256) {
      // repeat $n 8
      x = v128.load(v, 32 * $n), y = v128.load(v, 32 * $n + 16);
      // repeat $r 4
      t = v128.load32_splat(p + ($r * SCORES_ROW + 4 * $n));
      s$ra = i32x4.add(i32x4.dot_i16x8_s(t, x), s$ra), s$rb = i32x4.add(i32x4.dot_i16x8_s(t, y), s$rb);
      // end
      if (left == $n + 1) break;
      // end
    }
    const c = v128.load(group, R_SCALE), w = v128.load(group, R_WEIGHT);
    let at = o;
    // repeat $r 4
    addSums(at, splat(c, $r), splat(w, $r), s$ra, s$rb);
    at += width;
    // end
  }
}

/** The same by products that are as wide as their sums, as in scores16.ts. */
function wide4x8(group: usize, groups: i32, line: usize, column: usize, block: i32, o: usize, width: usize): void {
  for (; groups > 0; groups--, group += R_SIZE, line += 4 * SCORES_ROW, o += 4 * width) {
    const from = load<i32>(group, R_FROM) - block;
    const pairs = load<i32>(group, R_TO) - block - from + 1 >> 1;
    if (pairs <= 0) continue;
    let p = line + (<usize>from << 1);
    let v = column + (<usize>from << 4);
    // repeat $r 4
    let s$ra = i32x4.splat(0), s$rb = i32x4.splat(0), s$rc = i32x4.splat(0), s$rd = i32x4.splat(0);
    // end
    for (let left = pairs; left > 0; left--, p += 4, v += 32) {
      const x = v128.load(v), y = v128.load(v, 16);
      // repeat $r 4
      const t$r = v128.load32_splat(p + $r * SCORES_ROW);
      s$ra = i32x4.add(s$ra, i32x4.extmul_low_i16x8_s(t$r, x)), s$rb = i32x4.add(s$rb, i32x4.extmul_high_i16x8_s(t$r, x));
      s$rc = i32x4.add(s$rc, i32x4.extmul_low_i16x8_s(t$r, y)), s$rd = i32x4.add(s$rd, i32x4.extmul_high_i16x8_s(t$r, y));
      // end
    }
    const c = v128.load(group, R_SCALE), w = v128.load(group, R_WEIGHT);
    let at = o;
    // repeat $r 4
    addSums(at, splat(c, $r), splat(w, $r), addPairs(s$ra, s$rb), addPairs(s$rc, s$rd));
    at += width;
    // end
  }
}

/** The first row alone × 32 channels by dots, for a group whose other rows are dead. p, v: those of the first of `pairs` pairs of keys. */
function dots1x32(p: usize, v: usize, column: usize, pairs: i32, o: usize, c: v128, w: v128): void {
  const v0 = v, v1 = v0 + column, v2 = v1 + column, v3 = v2 + column;
  // repeat $e 4
  let s$ea = i32x4.splat(0), s$eb = i32x4.splat(0);
  // end
  for (let at: usize = 0, end = <usize>pairs << 5; at < end; at += 32, p += 4) {
    const t = v128.load32_splat(p);
    // repeat $e 4
    s$ea = i32x4.add(i32x4.dot_i16x8_s(t, v128.load(v$e + at)), s$ea);
    s$eb = i32x4.add(i32x4.dot_i16x8_s(t, v128.load(v$e + at, 16)), s$eb);
    // end
  }
  // repeat $e 4
  addSums(o + 32 * $e, c, w, s$ea, s$eb);
  // end
}

/** Either form: `wide` says which. */
@inline function tile16(group: usize, groups: i32, p: usize, v: usize, block: i32, o: usize, width: usize, wide: bool): void {
  if (wide) wide4x8(group, groups, p, v, block, o, width);
  else dots4x8(group, groups, p, v, block, o, width);
}

/**
 * A band of `groups` groups over the keys of the block that each group sees, column by column. p: i16 [4·groups][KEY_BLOCK], SCORES_ROW bytes a
 * row; v: columns [E'/8][…][8][2], `column` bytes apart, row 0 that of key `block`; o: [4·groups][E'], `width` bytes a row.
 */
export function values16(
  group: usize, groups: i32, p: usize, v: usize, column: usize, block: i32, o: usize, width: usize, wide: bool,
): void {
  for (const end = o + width; o < end; o += 32, v += column) tile16(group, groups, p, v, block, o, width, wide);
}

/** One live row, four columns at a time as far as they go. Everything as in values16. */
export function values16OfRow(group: usize, p: usize, v: usize, column: usize, block: i32, o: usize, width: usize, wide: bool): void {
  const from = load<i32>(group, R_FROM) - block;
  const pairs = load<i32>(group, R_TO) - block - from + 1 >> 1;
  if (pairs <= 0) return;
  const c = v128.load32_splat(group, R_SCALE), w = v128.load32_splat(group, R_WEIGHT);
  const end = o + width;
  for (; !wide && o + 96 < end; o += 128, v += 4 * column) {
    dots1x32(p + (<usize>from << 1), v + (<usize>from << 4), column, pairs, o, c, w);
  }
  for (; o < end; o += 32, v += column) tile16(group, 1, p, v, block, o, width, wide);
}

/**
 * Four rows × eight channels over values that lie in runs, as writeRuns (panels.ts) names them, from `runs` to `end`; the sums stay in registers from
 * run to run. p: the weights of the first key, SCORES_ROW bytes a row; e: bytes from the first column to this one; i8 if `narrow`, a literal; the rest
 * as in dots4x8.
 */
@inline function runs4x8(group: usize, p: usize, runs: usize, end: usize, e: usize, o: usize, width: usize, narrow: bool): void {
  // repeat $r 4
  let s$ra = i32x4.splat(0), s$rb = i32x4.splat(0);
  // end
  let x: v128, y: v128, t: v128;
  for (; runs < end; runs += RUN) {
    let v = load<usize>(runs) + e, q = p;
    let left = load<i32>(runs, 4);
    p += <usize>left << 2;
    for (; ; left -= 8, q += 32, v += narrow ? 128 : 256) {
      // repeat $n 8
      x = narrow ? v128.load8x8_s(v, 16 * $n) : v128.load(v, 32 * $n);
      y = narrow ? v128.load8x8_s(v, 16 * $n + 8) : v128.load(v, 32 * $n + 16);
      // repeat $r 4
      t = v128.load32_splat(q + ($r * SCORES_ROW + 4 * $n));
      s$ra = i32x4.add(i32x4.dot_i16x8_s(t, x), s$ra), s$rb = i32x4.add(i32x4.dot_i16x8_s(t, y), s$rb);
      // end
      if (left == $n + 1) break;
      // end
    }
  }
  const c = v128.load(group, R_SCALE), w = v128.load(group, R_WEIGHT);
  // repeat $r 4
  addSums(o, splat(c, $r), splat(w, $r), s$ra, s$rb);
  o += width;
  // end
}

/** The first row alone × 32 channels over runs; `column`: bytes from column to column. */
@inline function runs1x32(p: usize, runs: usize, end: usize, e: usize, column: usize, o: usize, c: v128, w: v128, narrow: bool): void {
  // repeat $e 4
  let s$ea = i32x4.splat(0), s$eb = i32x4.splat(0);
  // end
  const step: usize = narrow ? 16 : 32;
  for (; runs < end; runs += RUN) {
    const v0 = load<usize>(runs) + e, v1 = v0 + column, v2 = v1 + column, v3 = v2 + column;
    for (let at: usize = 0, to = load<usize>(runs, 4) * step; at < to; at += step, p += 4) {
      const t = v128.load32_splat(p);
      // repeat $e 4
      s$ea = i32x4.add(i32x4.dot_i16x8_s(t, narrow ? v128.load8x8_s(v$e + at) : v128.load(v$e + at)), s$ea);
      s$eb = i32x4.add(i32x4.dot_i16x8_s(t, narrow ? v128.load8x8_s(v$e + at, 8) : v128.load(v$e + at, 16)), s$eb);
      // end
    }
  }
  // repeat $e 4
  addSums(o + 32 * $e, c, w, s$ea, s$eb);
  // end
}

/**
 * One group of which `rows` are live over values that are read where they lie, in the runs from `runs` to `end`: those from the first key on that
 * it sees. p: the weights of that key; column: bytes from column to column; the rest as in values16.
 */
@inline function valuesOf(
  group: usize, rows: i32, p: usize, runs: usize, end: usize, column: usize, o: usize, width: usize, narrow: bool,
): void {
  let e: usize = 0;
  const stop = o + width;
  if (rows == 1) {
    const c = v128.load32_splat(group, R_SCALE), w = v128.load32_splat(group, R_WEIGHT);
    for (; o + 96 < stop; o += 128, e += 4 * column) runs1x32(p, runs, end, e, column, o, c, w, narrow);
  }
  for (; o < stop; o += 32, e += column) runs4x8(group, p, runs, end, e, o, width, narrow);
}

/** valuesOf for values of i16. */
export function values16OfRuns(group: usize, rows: i32, p: usize, runs: usize, end: usize, column: usize, o: usize, width: usize): void {
  valuesOf(group, rows, p, runs, end, column, o, width, false);
}

/** And of i8, which widen as they are read. */
export function values8OfRuns(group: usize, rows: i32, p: usize, runs: usize, end: usize, column: usize, o: usize, width: usize): void {
  valuesOf(group, rows, p, runs, end, column, o, width, true);
}
