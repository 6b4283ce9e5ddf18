// Output of groups of four rows over their keys: o(r, e) = scale(r)·o(r, e) + Σ_j p(r, j)·v(j, e), j ascending.

import { KEY_BLOCK, R_FROM, R_SCALE, R_SIZE, R_TO, SCORES_ROW } from './job';
import { madd, splat } from './simd';

/** Bytes of one column of eight channels. */
export const COLUMN: usize = KEY_BLOCK << 5;

/**
 * Four rows × eight channels, for `groups` groups in turn over the keys that each sees. line: SCORES_ROW bytes a row and column: [keys][8],
 * both from key `block` on; o: `width` bytes a row. A group's R_SCALE multiplies o first. Eight steps a turn as in scores4x8.
 *
 * Attempts that lost: the row stride of p in a variable (no integer register is left for the row pointers: 26 against 35 GFLOP/s).
 */
export function values4x8(group: usize, groups: i32, line: usize, column: usize, block: i32, o: usize, width: usize): void {
  for (; groups > 0; groups--, group += R_SIZE, line += 4 * SCORES_ROW, o += 4 * width) {
    const from = load<i32>(group, R_FROM) - block;
    const keys = load<i32>(group, R_TO) - block - from;
    if (keys <= 0) continue;
    let p = line + (<usize>from << 2);
    let v = column + (<usize>from << 5);
    const o1 = o + width, o2 = o1 + width, o3 = o2 + width;
    const c = v128.load(group, R_SCALE);
    const c0 = splat(c, 0), c1 = splat(c, 1), c2 = splat(c, 2), c3 = splat(c, 3);
    let o0a = f32x4.mul(v128.load(o), c0), o0b = f32x4.mul(v128.load(o, 16), c0);
    let o1a = f32x4.mul(v128.load(o1), c1), o1b = f32x4.mul(v128.load(o1, 16), c1);
    let o2a = f32x4.mul(v128.load(o2), c2), o2b = f32x4.mul(v128.load(o2, 16), c2);
    let o3a = f32x4.mul(v128.load(o3), c3), o3b = f32x4.mul(v128.load(o3, 16), c3);
    let x: v128, y: v128, w: v128;
    for (let left = keys; ; left -= 8, p += 32, v += 256) {
      x = v128.load(v), y = v128.load(v, 16), w = v128.load32_splat(p);
      o0a = madd(w, x, o0a), o0b = madd(w, y, o0b); w = v128.load32_splat(p, SCORES_ROW);
      o1a = madd(w, x, o1a), o1b = madd(w, y, o1b); w = v128.load32_splat(p, 2 * SCORES_ROW);
      o2a = madd(w, x, o2a), o2b = madd(w, y, o2b); w = v128.load32_splat(p, 3 * SCORES_ROW);
      o3a = madd(w, x, o3a), o3b = madd(w, y, o3b);
      if (left == 1) break;
      x = v128.load(v, 32), y = v128.load(v, 48), w = v128.load32_splat(p, 4);
      o0a = madd(w, x, o0a), o0b = madd(w, y, o0b); w = v128.load32_splat(p, SCORES_ROW + 4);
      o1a = madd(w, x, o1a), o1b = madd(w, y, o1b); w = v128.load32_splat(p, 2 * SCORES_ROW + 4);
      o2a = madd(w, x, o2a), o2b = madd(w, y, o2b); w = v128.load32_splat(p, 3 * SCORES_ROW + 4);
      o3a = madd(w, x, o3a), o3b = madd(w, y, o3b);
      if (left == 2) break;
      x = v128.load(v, 64), y = v128.load(v, 80), w = v128.load32_splat(p, 8);
      o0a = madd(w, x, o0a), o0b = madd(w, y, o0b); w = v128.load32_splat(p, SCORES_ROW + 8);
      o1a = madd(w, x, o1a), o1b = madd(w, y, o1b); w = v128.load32_splat(p, 2 * SCORES_ROW + 8);
      o2a = madd(w, x, o2a), o2b = madd(w, y, o2b); w = v128.load32_splat(p, 3 * SCORES_ROW + 8);
      o3a = madd(w, x, o3a), o3b = madd(w, y, o3b);
      if (left == 3) break;
      x = v128.load(v, 96), y = v128.load(v, 112), w = v128.load32_splat(p, 12);
      o0a = madd(w, x, o0a), o0b = madd(w, y, o0b); w = v128.load32_splat(p, SCORES_ROW + 12);
      o1a = madd(w, x, o1a), o1b = madd(w, y, o1b); w = v128.load32_splat(p, 2 * SCORES_ROW + 12);
      o2a = madd(w, x, o2a), o2b = madd(w, y, o2b); w = v128.load32_splat(p, 3 * SCORES_ROW + 12);
      o3a = madd(w, x, o3a), o3b = madd(w, y, o3b);
      if (left == 4) break;
      x = v128.load(v, 128), y = v128.load(v, 144), w = v128.load32_splat(p, 16);
      o0a = madd(w, x, o0a), o0b = madd(w, y, o0b); w = v128.load32_splat(p, SCORES_ROW + 16);
      o1a = madd(w, x, o1a), o1b = madd(w, y, o1b); w = v128.load32_splat(p, 2 * SCORES_ROW + 16);
      o2a = madd(w, x, o2a), o2b = madd(w, y, o2b); w = v128.load32_splat(p, 3 * SCORES_ROW + 16);
      o3a = madd(w, x, o3a), o3b = madd(w, y, o3b);
      if (left == 5) break;
      x = v128.load(v, 160), y = v128.load(v, 176), w = v128.load32_splat(p, 20);
      o0a = madd(w, x, o0a), o0b = madd(w, y, o0b); w = v128.load32_splat(p, SCORES_ROW + 20);
      o1a = madd(w, x, o1a), o1b = madd(w, y, o1b); w = v128.load32_splat(p, 2 * SCORES_ROW + 20);
      o2a = madd(w, x, o2a), o2b = madd(w, y, o2b); w = v128.load32_splat(p, 3 * SCORES_ROW + 20);
      o3a = madd(w, x, o3a), o3b = madd(w, y, o3b);
      if (left == 6) break;
      x = v128.load(v, 192), y = v128.load(v, 208), w = v128.load32_splat(p, 24);
      o0a = madd(w, x, o0a), o0b = madd(w, y, o0b); w = v128.load32_splat(p, SCORES_ROW + 24);
      o1a = madd(w, x, o1a), o1b = madd(w, y, o1b); w = v128.load32_splat(p, 2 * SCORES_ROW + 24);
      o2a = madd(w, x, o2a), o2b = madd(w, y, o2b); w = v128.load32_splat(p, 3 * SCORES_ROW + 24);
      o3a = madd(w, x, o3a), o3b = madd(w, y, o3b);
      if (left == 7) break;
      x = v128.load(v, 224), y = v128.load(v, 240), w = v128.load32_splat(p, 28);
      o0a = madd(w, x, o0a), o0b = madd(w, y, o0b); w = v128.load32_splat(p, SCORES_ROW + 28);
      o1a = madd(w, x, o1a), o1b = madd(w, y, o1b); w = v128.load32_splat(p, 2 * SCORES_ROW + 28);
      o2a = madd(w, x, o2a), o2b = madd(w, y, o2b); w = v128.load32_splat(p, 3 * SCORES_ROW + 28);
      o3a = madd(w, x, o3a), o3b = madd(w, y, o3b);
      if (left == 8) break;
    }
    v128.store(o, o0a);
    v128.store(o, o0b, 16);
    v128.store(o1, o1a);
    v128.store(o1, o1b, 16);
    v128.store(o2, o2a);
    v128.store(o2, o2b, 16);
    v128.store(o3, o3a);
    v128.store(o3, o3b, 16);
  }
}

/** The first row alone × 32 channels: the same sums as values4x8, for a group whose other rows are dead. */
function values1x32(p: usize, v: usize, keys: i32, o: usize, group: usize): void {
  const v1 = v + COLUMN, v2 = v1 + COLUMN, v3 = v2 + COLUMN;
  const c = v128.load32_splat(group, R_SCALE);
  let o0 = f32x4.mul(v128.load(o), c), o1 = f32x4.mul(v128.load(o, 16), c);
  let o2 = f32x4.mul(v128.load(o, 32), c), o3 = f32x4.mul(v128.load(o, 48), c);
  let o4 = f32x4.mul(v128.load(o, 64), c), o5 = f32x4.mul(v128.load(o, 80), c);
  let o6 = f32x4.mul(v128.load(o, 96), c), o7 = f32x4.mul(v128.load(o, 112), c);
  for (let at: usize = 0, end = <usize>keys << 5; at < end; at += 32, p += 4) {
    const x = v128.load32_splat(p);
    o0 = madd(x, v128.load(v + at), o0);
    o1 = madd(x, v128.load(v + at, 16), o1);
    o2 = madd(x, v128.load(v1 + at), o2);
    o3 = madd(x, v128.load(v1 + at, 16), o3);
    o4 = madd(x, v128.load(v2 + at), o4);
    o5 = madd(x, v128.load(v2 + at, 16), o5);
    o6 = madd(x, v128.load(v3 + at), o6);
    o7 = madd(x, v128.load(v3 + at, 16), o7);
  }
  v128.store(o, o0);
  v128.store(o, o1, 16);
  v128.store(o, o2, 32);
  v128.store(o, o3, 48);
  v128.store(o, o4, 64);
  v128.store(o, o5, 80);
  v128.store(o, o6, 96);
  v128.store(o, o7, 112);
}

/** One live row over the keys that it sees, four columns at a time as far as they go. p, v, o as in `values`. */
export function valuesOfRow(group: usize, p: usize, v: usize, block: i32, o: usize, width: usize): void {
  const from = load<i32>(group, R_FROM) - block;
  const keys = load<i32>(group, R_TO) - block - from;
  const end = o + width;
  for (; o + 96 < end; o += 128, v += 4 * COLUMN) values1x32(p + (<usize>from << 2), v + (<usize>from << 5), keys, o, group);
  for (; o < end; o += 32, v += COLUMN) values4x8(group, 1, p, v, block, o, width);
}

/**
 * A band of `groups` groups over the keys that each group sees, column by column, so that a column is read from L1 by all groups but the
 * first. p: [4·groups][KEY_BLOCK]; v: columns [E'/8][KEY_BLOCK][8] from key `block` on; o: [4·groups][E'], `width` bytes a row.
 */
export function values(group: usize, groups: i32, p: usize, v: usize, block: i32, o: usize, width: usize): void {
  for (const end = o + width; o < end; o += 32, v += COLUMN) values4x8(group, groups, p, v, block, o, width);
}

/** True if the values from … to − 1 of all columns are finite: 0·x is 0 for those and NaN for the others. */
export function allFinite(v: usize, width: usize, from: i32, to: i32): bool {
  if (from >= to) return true;
  let sum = f32x4.splat(0);
  const zero = f32x4.splat(0);
  for (let e: usize = 0; e < width; e += 32, v += COLUMN) {
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
export function valuesMasked(group: usize, rows: i32, p: usize, v: usize, block: i32, o: usize, width: usize): void {
  for (let r = 0; r < rows; r++, p += SCORES_ROW, o += width) {
    const at = group + (r >> 2) * R_SIZE;
    const from = load<i32>(at, R_FROM) - block;
    const to = load<i32>(at, R_TO) - block;
    if (from >= to) continue;
    const c = v128.load32_splat(at + ((r & 3) << 2), R_SCALE);
    for (let e: usize = 0; e < width; e += 16) v128.store(o + e, f32x4.mul(v128.load(o + e), c));
    for (let j = from; j < to; j++) {
      const x = v128.load32_splat(p + (j << 2));
      if (i32x4.extract_lane(x, 0) < 0) continue;
      let y = v + (<usize>j << 5);
      for (let e: usize = 0; e < width; e += 32, y += COLUMN) {
        v128.store(o + e, madd(x, v128.load(y), v128.load(o + e)));
        v128.store(o + e, madd(x, v128.load(y, 16), v128.load(o + e, 16)), 16);
      }
    }
  }
}
