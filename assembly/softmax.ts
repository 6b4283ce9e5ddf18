// The online softmax (Milakov and Gimelshein 2018, arXiv 1805.02867; FlashAttention, arXiv 2205.14135) of one row over one key block.
//
// With the running maximum m and the running sum l, a block with scores s turns them into
//   m' = max(m, max s)    p = exp(s − m')    c = exp(m − m')    l' = c·l + Σ p    o' = c·o + Σ p·v.
// Lane sums run over keys j mod 4 in ascending order and are folded once a block, so that neither masked keys (which add 0) nor the
// vectors left out on either side show in the bits. A masked score is −Infinity, its probability −0: the sign marks it.

import { exponentials, expx4, markedExponentials } from './exp';
import { exponentials16, wholeExponentials16 } from './exp16';
import { R_HIGH, R_LOW, R_MAX, R_SCALE, R_SUM, SCORES_ROW } from './job';
import { maxRows } from './simd';
import { INTEGER } from './target';

/** s ← s + coefficient·row. */
export function addRow(s: usize, row: usize, n: i32, coefficient: f32): void {
  const c = f32x4.splat(coefficient);
  for (const end = s + (<usize>n << 2); s < end; s += 16, row += 16) {
    v128.store(s, f32x4.add(v128.load(s), f32x4.mul(c, v128.load(row))));
  }
}

/** The same, and −Infinity where the row is that, even if s is NaN or Infinity. */
export function addHiding(s: usize, row: usize, n: i32, coefficient: f32): void {
  const c = f32x4.splat(coefficient);
  const hidden = f32x4.splat(-Infinity);
  for (const end = s + (<usize>n << 2); s < end; s += 16, row += 16) {
    const x = v128.load(row);
    v128.store(s, v128.bitselect(hidden, f32x4.add(v128.load(s), f32x4.mul(c, x)), f32x4.eq(x, hidden)));
  }
}

/** s ← s·row: a factor for each score. */
export function multiplyRow(s: usize, row: usize, n: i32): void {
  for (const end = s + (<usize>n << 2); s < end; s += 16, row += 16) v128.store(s, f32x4.mul(v128.load(s), v128.load(row)));
}

/**
 * s ← s + coefficient·(x + y[j]), where x and y are sums over a long sequence and their difference, as often as not, is small: forgetting
 * attention adds c_i − c_j, c a running sum. A number comes as f32 and what that leaves of it, x = X + x', |x'| ≤ 2^−24·|x|. Then X + Y is
 * rounded at its own size, not at that of x and y, and is exact where they nearly cancel (by less than a factor of two); x' + y' is off by
 * at most 2^−24·(|x'| + |y'|). In all the sum is off by 2^−23·|x + y| + 2^−47·(|x| + |y|): half a unit of the result a step, whatever the
 * length. One f32 for each of x and y would cost 2^−24·(|x| + |y|): 6e-5 of a logit at sums of 1000.
 * own: X, x'; row: Y; rest: y'.
 */
export function addSum(s: usize, row: usize, rest: usize, own: usize, n: i32, coefficient: f32): void {
  const c = f32x4.splat(coefficient);
  const x = v128.load32_splat(own);
  const small = v128.load32_splat(own, 4);
  for (const end = s + (<usize>n << 2); s < end; s += 16, row += 16, rest += 16) {
    const sum = f32x4.add(f32x4.add(x, v128.load(row)), f32x4.add(small, v128.load(rest)));
    v128.store(s, f32x4.add(v128.load(s), f32x4.mul(c, sum)));
  }
}

/** The entry of a table that the number at `index` names, through `map` if there is one. */
@inline function entryAt(table: usize, map: usize, index: usize): usize {
  const n = load<u32>(index) << 2;
  return table + (map ? load<u32>(map + n) << 2 : n);
}

/**
 * s ← s + coefficient·table[index]; `n` real entries, not rounded up: an index is never read past its end. With `hide` also −Infinity where
 * the entry is that, as addHiding.
 */
@inline function addEntries(s: usize, table: usize, map: usize, index: usize, n: i32, coefficient: f32, hide: bool): void {
  const c = f32x4.splat(coefficient);
  const hidden = f32x4.splat(-Infinity);
  for (; n >= 4; n -= 4, s += 16, index += 16) {
    let x = v128.load32_zero(entryAt(table, map, index));
    x = v128.load_lane<f32>(entryAt(table, map, index + 4), x, 1);
    x = v128.load_lane<f32>(entryAt(table, map, index + 8), x, 2);
    x = v128.load_lane<f32>(entryAt(table, map, index + 12), x, 3);
    const sum = f32x4.add(v128.load(s), f32x4.mul(c, x));
    v128.store(s, hide ? v128.bitselect(hidden, sum, f32x4.eq(x, hidden)) : sum);
  }
  for (; n > 0; n--, s += 4, index += 4) {
    const x = load<f32>(entryAt(table, map, index));
    store<f32>(s, hide && x == -Infinity ? x : load<f32>(s) + coefficient * x);
  }
}

/** s ← s + coefficient·table[index[j]]. */
function addIndexed(s: usize, table: usize, index: usize, n: i32, coefficient: f32): void {
  addEntries(s, table, 0, index, n, coefficient, false);
}

/** s ← s + coefficient·table[map[index[j]]]. */
function addMapped(s: usize, table: usize, map: usize, index: usize, n: i32, coefficient: f32): void {
  addEntries(s, table, map, index, n, coefficient, false);
}

/** addIndexed or addMapped of query i: `rows`, if there are any (i32 [L]), add a code of the query to each index. */
@inline export function addLookup(s: usize, table: usize, columns: usize, rows: usize, map: usize, i: i32, n: i32, coefficient: f32): void {
  const code = codeOf(rows, i);
  if (map) addMapped(s, table, map + code, columns, n, coefficient);
  else addIndexed(s, table + code, columns, n, coefficient);
}

/** The same for a table with entries of −Infinity, which hide. */
export function addHidingLookup(s: usize, table: usize, columns: usize, rows: usize, map: usize, i: i32, n: i32, coefficient: f32): void {
  const code = codeOf(rows, i);
  if (map) addEntries(s, table, map + code, columns, n, coefficient, true);
  else addEntries(s, table + code, 0, columns, n, coefficient, true);
}

/** What `rows` add to the addresses of query i. */
@inline function codeOf(rows: usize, i: i32): usize {
  return rows ? load<usize>(rows + (i << 2)) << 2 : 0;
}

/** s ← −Infinity where the row is that. */
export function hideInfinite(s: usize, row: usize, n: i32): void {
  const hidden = f32x4.splat(-Infinity);
  for (const end = s + (<usize>n << 2); s < end; s += 16, row += 16) {
    v128.store(s, v128.bitselect(hidden, v128.load(s), f32x4.eq(v128.load(row), hidden)));
  }
}

/** The same for the entries of a table, as in addHidingLookup. */
export function hideLookup(s: usize, table: usize, columns: usize, rows: usize, map: usize, i: i32, n: i32): void {
  const code = codeOf(rows, i);
  if (map) map += code;
  else table += code;
  for (; n > 0; n--, s += 4, columns += 4) if (load<f32>(entryAt(table, map, columns)) == -Infinity) store<f32>(s, -Infinity);
}

/** s ← −Infinity where the byte is 0; `n` real entries. */
export function hideZeros(s: usize, bytes: usize, n: i32): void {
  const hidden = f32x4.splat(-Infinity), none = i32x4.splat(0);
  for (; n >= 8; n -= 8, s += 32, bytes += 8) {
    const x = v128.load8x8_u(bytes);
    v128.store(s, v128.bitselect(hidden, v128.load(s), i32x4.eq(i32x4.extend_low_i16x8_u(x), none)));
    v128.store(s, v128.bitselect(hidden, v128.load(s, 16), i32x4.eq(i32x4.extend_high_i16x8_u(x), none)), 16);
  }
  for (; n > 0; n--, s += 4, bytes++) if (!load<u8>(bytes)) store<f32>(s, -Infinity);
}

/** Largest of n scores (a multiple of 8) in each of four rows; rows that do not count may hold anything. */
@inline function maxima(s: usize, n: i32): v128 {
  // repeat $r 4
  let m$ra = v128.load(s, $r * SCORES_ROW), m$rb = m$ra;
  // end
  for (const end = s + (<usize>n << 2); s < end; s += 32) {
    // repeat $r 4
    m$ra = f32x4.pmax(m$ra, v128.load(s, $r * SCORES_ROW)), m$rb = f32x4.pmax(m$rb, v128.load(s, $r * SCORES_ROW + 16));
    // end
  }
  return maxRows(f32x4.pmax(m0a, m0b), f32x4.pmax(m1a, m1b), f32x4.pmax(m2a, m2b), f32x4.pmax(m3a, m3b));
}

/** True if one of n scores (a multiple of 8) of the first `live` rows is −Infinity, whatever NaN stands beside it. */
function someHidden(s: usize, n: i32, live: i32): bool {
  let a = f32x4.splat(0), b = a;
  for (; live > 0; live--, s += SCORES_ROW) {
    for (let at = s, end = s + (<usize>n << 2); at < end; at += 32) {
      a = f32x4.pmin(a, v128.load(at)), b = f32x4.pmin(b, v128.load(at, 16));
    }
  }
  return v128.any_true(f32x4.eq(f32x4.pmin(a, b), f32x4.splat(-Infinity)));
}

/** s ← x at 0 … n − 1 but for low … high − 1: next to nothing where the rows of a group see almost the same keys. */
@inline export function fillOutside(s: usize, n: i32, low: i32, high: i32, x: f32): void {
  for (let j = 0; j < min(low, n); j++) store<f32>(s + (<usize>j << 2), x);
  for (let j = max(high, 0); j < n; j++) store<f32>(s + (<usize>j << 2), x);
}

/** The same for the keys that row r of a group does not see. */
@inline function hide(group: usize, r: i32, s: usize, n: i32, from: i32, x: f32): void {
  const row = group + (r << 2);
  fillOutside(s + r * SCORES_ROW, n, load<i32>(row, R_LOW) - from, load<i32>(row, R_HIGH) - from, x);
}

/**
 * One group: four rows of n scores (a multiple of 8) from key `from` on, SCORES_ROW bytes apart, become probabilities in place; m and l of
 * the rows move on and R_SCALE is c. A row whose scores are all −Infinity so far keeps m = −Infinity and l = 0. Only the first `live` rows
 * count; nothing is said of the others' scores. With `mark`, scores of −Infinity count as masked; true if there are such.
 * Of INT16, probabilities times `scales`, those of the values of the keys, see weights16.ts, unless they are to stay `whole`: only then does anybody
 * look for marks.
 */
export function softmax(group: usize, s: usize, n: i32, from: i32, live: i32, mark: bool, scales: usize, whole: bool): bool {
  // A bias that may hide keys seldom does: to look for them costs a tenth of what marks and all that heeds them do.
  const marked = mark && (!INTEGER || whole) && someHidden(s, n, live);
  for (let r = 0; r < live; r++) hide(group, r, s, n, from, -Infinity);
  const none = f32x4.splat(-Infinity);
  const top = maxima(s, n);
  const before = v128.load(group, R_MAX);
  const m = f32x4.pmax(before, top);
  // Guards −Infinity − (−Infinity): with no visible key yet, every p is exp(−Infinity) = 0.
  const base = v128.andnot(m, f32x4.eq(m, none));
  // The exponentials find m where c will be, and leave their sums there.
  v128.store(group, base, R_SCALE);
  if (INTEGER) {
    if (whole) wholeExponentials16(s, n, scales, group, live, marked ? -0.0 : 0);
    else exponentials16(s, n, scales, group, live);
  } else if (marked) markedExponentials(s, n, group + R_SCALE, live);
  else exponentials(s, n, group + R_SCALE, live);
  const c = expx4(f32x4.sub(before, base));
  v128.store(group, m, R_MAX);
  v128.store(group, f32x4.add(f32x4.mul(c, v128.load(group, R_SUM)), v128.load(group, R_SCALE)), R_SUM);
  v128.store(group, c, R_SCALE);
  if (whole) for (let r = 0; r < live; r++) hide(group, r, s, n, from, -0.0);
  return marked;
}
