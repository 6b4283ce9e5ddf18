// Output of groups of four rows over their keys: o(r, e) = scale(r)·o(r, e) + Σ_j p(r, j)·v(j, e), j ascending.

import { KEY_BLOCK, R_FROM, R_SCALE, R_SIZE, R_TO, SCORES_ROW } from './job';
import { madd, splat } from './simd';
import { fillOutside } from './softmax';

/** Bytes of one column of eight channels of a key block. */
export const COLUMN: usize = KEY_BLOCK << 5;

/** First key of a run from `low` on that a group sees. */
@inline function fromOf(group: usize, low: i32): i32 {
  return max(load<i32>(group, R_FROM), low);
}

/** What the rows of a group are multiplied by in a run from `low` on: R_SCALE, and 1 once they have been. */
@inline function scaleOf(group: usize, low: i32): v128 {
  return load<i32>(group, R_FROM) >= low ? v128.load(group, R_SCALE) : f32x4.splat(1);
}

/**
 * Four rows × eight channels, for `groups` groups in turn over the keys that each sees of those from `low` to `high` − 1. line: SCORES_ROW
 * bytes a row and column: [keys][8], both from key `block` on; o: `width` bytes a row. A group's R_SCALE multiplies o first, in the run
 * that has the first of its keys. Eight steps a turn, and sums for the addresses of splats, as in scores4x8.
 *
 * Attempts that lost: the row stride of p in a variable (no integer register is left for the row pointers: 26 against 35 GFLOP/s).
 */
export function values4x8(
  group: usize, groups: i32, line: usize, column: usize, block: i32, low: i32, high: i32, o: usize, width: usize,
): void {
  for (; groups > 0; groups--, group += R_SIZE, line += 4 * SCORES_ROW, o += 4 * width) {
    const from = fromOf(group, low) - block;
    const keys = min(load<i32>(group, R_TO), high) - block - from;
    if (keys <= 0) continue;
    let p = line + (<usize>from << 2);
    let v = column + (<usize>from << 5);
    const o0 = o, o1 = o0 + width, o2 = o1 + width, o3 = o2 + width;
    const c = scaleOf(group, low);
    // repeat $r 4
    const c$r = splat(c, $r);
    // end
    // repeat $r 4
    let o$ra = f32x4.mul(v128.load(o$r), c$r), o$rb = f32x4.mul(v128.load(o$r, 16), c$r);
    // end
    let x: v128, y: v128, w: v128;
    for (let left = keys; ; left -= 8, p += 32, v += 256) {
      // repeat $n 8
      x = v128.load(v, 32 * $n), y = v128.load(v, 32 * $n + 16);
      // repeat $r 4
      w = v128.load32_splat(p + ($r * SCORES_ROW + 4 * $n));
      o$ra = madd(w, x, o$ra), o$rb = madd(w, y, o$rb);
      // end
      if (left == $n + 1) break;
      // end
    }
    // repeat $r 4
    v128.store(o$r, o$ra);
    v128.store(o$r, o$rb, 16);
    // end
  }
}

/** Keys from, and one past those to which, some group of a triple sees. */
@inline function tripleFrom(group: usize, low: i32): i32 {
  return max(min(min(load<i32>(group, R_FROM), load<i32>(group + R_SIZE, R_FROM)), load<i32>(group + 2 * R_SIZE, R_FROM)), low);
}
@inline function tripleTo(group: usize, high: i32): i32 {
  return min(max(max(load<i32>(group, R_TO), load<i32>(group + R_SIZE, R_TO)), load<i32>(group + 2 * R_SIZE, R_TO)), high);
}

/**
 * Six rows × eight channels, two such tiles for the twelve rows of three groups that `level` has made see the same keys. Same sums as
 * values4x8, everything as there; why six is told at scores6x8.
 */
function values6x8(group: usize, line: usize, column: usize, block: i32, low: i32, high: i32, o: usize, width: usize): void {
  const from = tripleFrom(group, low) - block;
  const keys = tripleTo(group, high) - block - from;
  line += <usize>from << 2, column += <usize>from << 5;
  for (let r = 0; r < 12; r += 6, line += 6 * SCORES_ROW) {
    let at = o, c: v128;
    // repeat $r 6
    c = scaleOfRow(group, r + $r, low);
    let o$ra = f32x4.mul(v128.load(at), c), o$rb = f32x4.mul(v128.load(at, 16), c);
    at += width;
    // end
    let p = line, v = column, x: v128, y: v128;
    for (let left = keys; ; left -= 8, p += 32, v += 256) {
      // repeat $n 8
      x = v128.load(v, 32 * $n), y = v128.load(v, 32 * $n + 16);
      // repeat $r 6
      c = v128.load32_splat(p + ($r * SCORES_ROW + 4 * $n));
      o$ra = madd(c, x, o$ra), o$rb = madd(c, y, o$rb);
      // end
      if (left == $n + 1) break;
      // end
    }
    // repeat $r 6
    v128.store(o, o$ra);
    v128.store(o, o$rb, 16);
    o += width;
    // end
  }
}

/** Most keys that a group of a triple may meet beyond its own. */
const SLACK = 16;

/**
 * Makes three groups see the same keys, by probabilities of 0 where one does not see what others do, if that is little: neighbours under a
 * causal mask or in a window. False if it is not.
 */
function level(group: usize, p: usize, block: i32, low: i32, high: i32): bool {
  const from = tripleFrom(group, low), to = tripleTo(group, high);
  for (let n = 0, at = group; n < 3; n++, at += R_SIZE) {
    const own = min(load<i32>(at, R_TO), high) - fromOf(at, low);
    if (own <= 0 || own + SLACK < to - from) return false;
  }
  for (let n = 0; n < 3; n++, group += R_SIZE) {
    // Up to a whole panel softmax has left a row's zeros already.
    const first = fromOf(group, low) - from;
    const end = (min(load<i32>(group, R_TO), high) - block + 7 & ~7) + block - from;
    for (let r = 0; r < 4; r++, p += SCORES_ROW) fillOutside(p + (<usize>(from - block) << 2), to - from, first, end, -0.0);
  }
  return true;
}

/** `values` with the groups three by three where they see much the same keys. */
function valuesBySix(
  group: usize, groups: i32, p: usize, v: usize, column: usize, block: i32, low: i32, high: i32, o: usize, width: usize,
): void {
  let triples = 0; // Bit n: group n is the first of three.
  for (let n = 0; n + 3 <= groups; n++) {
    if (!level(group + n * R_SIZE, p + 4 * n * SCORES_ROW, block, low, high)) continue;
    triples |= 1 << n;
    n += 2;
  }
  for (const end = o + width; o < end; o += 32, v += column) {
    for (let n = 0; n < groups; ) {
      const at = group + n * R_SIZE, line = p + 4 * n * SCORES_ROW, to = o + <usize>(4 * n) * width;
      const six = (triples >> n & 1) != 0;
      if (six) values6x8(at, line, v, block, low, high, to, width);
      else values4x8(at, 1, line, v, block, low, high, to, width);
      n += six ? 3 : 1;
    }
  }
}

/** Row r from a group on: what its output is multiplied by in a run from `low` on. */
@inline function scaleOfRow(group: usize, r: i32, low: i32): v128 {
  group += (r >> 2) * R_SIZE;
  return load<i32>(group, R_FROM) >= low ? v128.load32_splat(group + ((r & 3) << 2), R_SCALE) : f32x4.splat(1);
}

/** One row of a group × 32 channels: the same sums as values4x8, for a group of which few rows are live. */
function values1x32(p: usize, v: usize, column: usize, keys: i32, o: usize, c: v128): void {
  const v0 = v, v1 = v0 + column, v2 = v1 + column, v3 = v2 + column;
  // repeat $e 4
  let o$ea = f32x4.mul(v128.load(o, 32 * $e), c), o$eb = f32x4.mul(v128.load(o, 32 * $e + 16), c);
  // end
  for (let at: usize = 0, end = <usize>keys << 5; at < end; at += 32, p += 4) {
    const x = v128.load32_splat(p);
    // repeat $e 4
    o$ea = madd(x, v128.load(v$e + at), o$ea);
    o$eb = madd(x, v128.load(v$e + at, 16), o$eb);
    // end
  }
  // repeat $e 4
  v128.store(o, o$ea, 32 * $e);
  v128.store(o, o$eb, 32 * $e + 16);
  // end
}

/** A band of one to three live rows over the keys that they see, four columns at a time as far as they go. Everything as in `values`. */
export function valuesOfFew(
  group: usize, rows: i32, p: usize, v: usize, column: usize, block: i32, low: i32, high: i32, o: usize, width: usize,
): void {
  const from = fromOf(group, low) - block;
  const keys = min(load<i32>(group, R_TO), high) - block - from;
  if (keys <= 0) return;
  const end = o + width;
  for (; o + 96 < end; o += 128, v += 4 * column) {
    for (let r = 0; r < rows; r++) {
      const line = p + r * SCORES_ROW + (<usize>from << 2);
      values1x32(line, v + (<usize>from << 5), column, keys, o + <usize>r * width, scaleOfRow(group, r, low));
    }
  }
  for (; o < end; o += 32, v += column) values4x8(group, 1, p, v, block, low, high, o, width);
}

/**
 * A band of `groups` groups over the keys that each group sees of those from `low` to `high` − 1, column by column, so that a column is read
 * from L1 by all groups but the first. p: [4·groups][KEY_BLOCK]; v: columns [E'/8][…][8], `column` bytes apart, row 0 that of key `block`;
 * o: [4·groups][E'], `width` bytes a row.
 */
export function values(
  group: usize, groups: i32, p: usize, v: usize, column: usize, block: i32, low: i32, high: i32, o: usize, width: usize,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (groups > 2) {
      valuesBySix(group, groups, p, v, column, block, low, high, o, width);
      return;
    }
  }
  for (const end = o + width; o < end; o += 32, v += column) values4x8(group, groups, p, v, block, low, high, o, width);
}

/** True if the values from … to − 1 of all columns are finite: 0·x is 0 for those and NaN for the others. */
export function allFinite(v: usize, column: usize, width: usize, from: i32, to: i32): bool {
  if (from >= to) return true;
  let sum = f32x4.splat(0);
  const zero = f32x4.splat(0);
  for (let e: usize = 0; e < width; e += 32, v += column) {
    for (let at = v + (<usize>from << 5), end = v + (<usize>to << 5); at < end; at += 16) {
      sum = f32x4.add(sum, f32x4.mul(v128.load(at), zero));
    }
  }
  return !v128.any_true(f32x4.ne(sum, sum));
}

/**
 * A band by selection, row by row: keys whose probability has its sign bit set (the mark of a masked key, see softmax.ts) are passed
 * over, so that a NaN or an infinity behind a mask stays there. Same order and, where all is finite, same bits as `values`.
 */
export function valuesMasked(
  group: usize, rows: i32, p: usize, v: usize, column: usize, block: i32, low: i32, high: i32, o: usize, width: usize,
): void {
  for (let r = 0; r < rows; r++, p += SCORES_ROW, o += width) {
    const at = group + (r >> 2) * R_SIZE;
    const from = fromOf(at, low) - block;
    const to = min(load<i32>(at, R_TO), high) - block;
    if (from >= to) continue;
    const c = scaleOfRow(group, r, low);
    for (let e: usize = 0; e < width; e += 16) v128.store(o + e, f32x4.mul(v128.load(o + e), c));
    for (let j = from; j < to; j++) {
      const x = v128.load32_splat(p + (j << 2));
      if (i32x4.extract_lane(x, 0) < 0) continue;
      let y = v + (<usize>j << 5);
      for (let e: usize = 0; e < width; e += 32, y += column) {
        v128.store(o + e, madd(x, v128.load(y), v128.load(o + e)));
        v128.store(o + e, madd(x, v128.load(y, 16), v128.load(o + e, 16)), 16);
      }
    }
  }
}
