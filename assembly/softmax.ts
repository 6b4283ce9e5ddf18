// The online softmax (Milakov and Gimelshein 2018, arXiv 1805.02867; FlashAttention, arXiv 2205.14135) of one row over one key block.
//
// With the running maximum m and the running sum l, a block with scores s turns them into
//   m' = max(m, max s)    p = exp(s − m')    c = exp(m − m')    l' = c·l + Σ p    o' = c·o + Σ p·v.
// Lane sums run over keys j mod 4 in ascending order and are folded once a block, so that neither masked keys (which add 0) nor the
// vectors left out on either side show in the bits. A masked score is −Infinity, its probability −0: the sign marks it.

import { expx4, tanhx4 } from './exp';
import { R_HIGH, R_LOW, R_MAX, R_SCALE, R_SUM, SCORES_ROW } from './job';
import { lanes, maxRows, splat, sumRows } from './simd';

/** s ← cap·tanh(s); q was scaled by scale/c, see Q_SCALE. */
export function softcap(s: usize, n: i32, cap: f32): void {
  for (const end = s + (<usize>n << 2); s < end; s += 16) v128.store(s, f32x4.mul(f32x4.splat(cap), tanhx4(v128.load(s))));
}

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

/** The entry of a table that the number at `index` names, through `map` if there is one. */
@inline function entryAt(table: usize, map: usize, index: usize): usize {
  const n = load<u32>(index) << 2;
  return table + (map ? load<u32>(map + n) << 2 : n);
}

/** s ← s + coefficient·table[index]; `n` real entries, not rounded up: an index is never read past its end. */
@inline function addEntries(s: usize, table: usize, map: usize, index: usize, n: i32, coefficient: f32): void {
  const c = f32x4.splat(coefficient);
  for (; n >= 4; n -= 4, s += 16, index += 16) {
    let x = v128.load32_zero(entryAt(table, map, index));
    x = v128.load_lane<f32>(entryAt(table, map, index + 4), x, 1);
    x = v128.load_lane<f32>(entryAt(table, map, index + 8), x, 2);
    x = v128.load_lane<f32>(entryAt(table, map, index + 12), x, 3);
    v128.store(s, f32x4.add(v128.load(s), f32x4.mul(c, x)));
  }
  for (; n > 0; n--, s += 4, index += 4) store<f32>(s, load<f32>(s) + coefficient * load<f32>(entryAt(table, map, index)));
}

/** s ← s + coefficient·table[index[j]]. */
function addIndexed(s: usize, table: usize, index: usize, n: i32, coefficient: f32): void {
  addEntries(s, table, 0, index, n, coefficient);
}

/** s ← s + coefficient·table[map[index[j]]]. */
function addMapped(s: usize, table: usize, map: usize, index: usize, n: i32, coefficient: f32): void {
  addEntries(s, table, map, index, n, coefficient);
}

/** addIndexed or addMapped of query i: `rows`, if there are any (i32 [L]), add a code of the query to each index. */
@inline export function addLookup(s: usize, table: usize, columns: usize, rows: usize, map: usize, i: i32, n: i32, coefficient: f32): void {
  const code = rows ? load<usize>(rows + (i << 2)) << 2 : 0;
  if (map) addMapped(s, table, map + code, columns, n, coefficient);
  else addIndexed(s, table + code, columns, n, coefficient);
}

/** s ← −Infinity where the byte is 0; `n` real entries. */
export function hideZeros(s: usize, bytes: usize, n: i32): void {
  for (const end = bytes + n; bytes < end; s += 4, bytes++) if (!load<u8>(bytes)) store<f32>(s, -Infinity);
}

/** Lanes j … j + 3 that lie in low ≤ j < high. */
@inline function visible(j: i32, low: v128, high: v128): v128 {
  const at = i32x4.add(i32x4.splat(j), lanes());
  return v128.and(i32x4.ge_s(at, low), i32x4.lt_s(at, high));
}

/** Largest of n scores (a multiple of 8), lane by lane. */
@inline function maximum(s: usize, n: i32): v128 {
  let a = v128.load(s);
  let b = v128.load(s, 16);
  for (const end = s + (<usize>n << 2); (s += 32) < end; ) {
    a = f32x4.pmax(a, v128.load(s));
    b = f32x4.pmax(b, v128.load(s, 16));
  }
  return f32x4.pmax(a, b);
}

/** The same of the visible ones, after writing −Infinity over the others. */
@inline function maskedMaximum(s: usize, n: i32, low: i32, high: i32): v128 {
  const hidden = f32x4.splat(-Infinity);
  let top = hidden;
  for (let j = 0; j < n; j += 4, s += 16) {
    const x = v128.bitselect(v128.load(s), hidden, visible(j, i32x4.splat(low), i32x4.splat(high)));
    v128.store(s, x);
    top = f32x4.pmax(top, x);
  }
  return top;
}

/** s ← p = exp(s − m); returns the lane sums of p. */
@inline function exponentials(s: usize, n: i32, m: v128): v128 {
  let sum = f32x4.splat(0);
  for (const end = s + (<usize>n << 2); s < end; s += 32) {
    const p = expx4(f32x4.sub(v128.load(s), m));
    const r = expx4(f32x4.sub(v128.load(s, 16), m));
    sum = f32x4.add(f32x4.add(sum, p), r);
    v128.store(s, p);
    v128.store(s, r, 16);
  }
  return sum;
}

/** The same, with −0 where the score is −Infinity. */
@inline function markedExponentials(s: usize, n: i32, m: v128): v128 {
  let sum = f32x4.splat(0);
  for (const end = s + (<usize>n << 2); s < end; s += 16) {
    const x = v128.load(s);
    const p = expx4(f32x4.sub(x, m));
    sum = f32x4.add(sum, p);
    v128.store(s, v128.or(p, v128.and(f32x4.eq(x, f32x4.splat(-Infinity)), i32x4.splat(0x80000000))));
  }
  return sum;
}

/** Exponentials of the first `live` rows; the row sums. */
@inline function rowExponentials(s: usize, n: i32, m: v128, live: i32): v128 {
  const s1 = s + SCORES_ROW, s2 = s1 + SCORES_ROW, s3 = s2 + SCORES_ROW;
  let a = exponentials(s, n, splat(m, 0));
  let b = f32x4.splat(0), c = f32x4.splat(0), d = f32x4.splat(0);
  if (live > 1) b = exponentials(s1, n, splat(m, 1));
  if (live > 2) c = exponentials(s2, n, splat(m, 2));
  if (live > 3) d = exponentials(s3, n, splat(m, 3));
  return sumRows(a, b, c, d);
}

@inline function markedRowExponentials(s: usize, n: i32, m: v128, live: i32): v128 {
  const s1 = s + SCORES_ROW, s2 = s1 + SCORES_ROW, s3 = s2 + SCORES_ROW;
  let a = markedExponentials(s, n, splat(m, 0));
  let b = f32x4.splat(0), c = f32x4.splat(0), d = f32x4.splat(0);
  if (live > 1) b = markedExponentials(s1, n, splat(m, 1));
  if (live > 2) c = markedExponentials(s2, n, splat(m, 2));
  if (live > 3) d = markedExponentials(s3, n, splat(m, 3));
  return sumRows(a, b, c, d);
}

/** p ← −0 where the key is not visible. */
@inline function markHidden(s: usize, n: i32, low: i32, high: i32): void {
  const hidden = i32x4.splat(0x80000000);
  for (let j = 0; j < n; j += 4, s += 16) {
    v128.store(s, v128.bitselect(v128.load(s), hidden, visible(j, i32x4.splat(low), i32x4.splat(high))));
  }
}

@inline function topOfRow(group: usize, r: i32, s: usize, n: i32, from: i32): v128 {
  const low = load<i32>(group + (r << 2), R_LOW) - from;
  const high = load<i32>(group + (r << 2), R_HIGH) - from;
  return low > 0 || high < n ? maskedMaximum(s, n, low, high) : maximum(s, n);
}

@inline function hideInRow(group: usize, r: i32, s: usize, n: i32, from: i32): bool {
  const low = load<i32>(group + (r << 2), R_LOW) - from;
  const high = load<i32>(group + (r << 2), R_HIGH) - from;
  if (low <= 0 && high >= n) return false;
  markHidden(s, n, low, high);
  return true;
}

/**
 * One group: four rows of n scores (a multiple of 8) from key `from` on, SCORES_ROW bytes apart, become probabilities in place; m and l of
 * the rows move on and R_SCALE is c. A row whose scores are all −Infinity so far keeps m = −Infinity and l = 0. Only the first `live` rows
 * count; nothing is said of the others' scores. Returns true if one of them may have had a masked key; with `mark`, scores of −Infinity
 * count as such.
 */
export function softmax(group: usize, s: usize, n: i32, from: i32, live: i32, mark: bool): bool {
  const s1 = s + SCORES_ROW, s2 = s1 + SCORES_ROW, s3 = s2 + SCORES_ROW;
  const none = f32x4.splat(-Infinity);
  let t0 = topOfRow(group, 0, s, n, from), t1 = none, t2 = none, t3 = none;
  if (live > 1) t1 = topOfRow(group, 1, s1, n, from);
  if (live > 2) t2 = topOfRow(group, 2, s2, n, from);
  if (live > 3) t3 = topOfRow(group, 3, s3, n, from);
  const top = maxRows(t0, t1, t2, t3);
  const before = v128.load(group, R_MAX);
  const m = f32x4.pmax(before, top);
  // Guards −Infinity − (−Infinity): with no visible key yet, every p is exp(−Infinity) = 0.
  const base = v128.andnot(m, f32x4.eq(m, none));
  const sum = mark ? markedRowExponentials(s, n, base, live) : rowExponentials(s, n, base, live);
  const c = expx4(f32x4.sub(before, base));
  v128.store(group, m, R_MAX);
  v128.store(group, c, R_SCALE);
  v128.store(group, f32x4.add(f32x4.mul(c, v128.load(group, R_SUM)), sum), R_SUM);
  let hidden = hideInRow(group, 0, s, n, from);
  if (live > 1) hidden = hideInRow(group, 1, s1, n, from) || hidden;
  if (live > 2) hidden = hideInRow(group, 2, s2, n, from) || hidden;
  if (live > 3) hidden = hideInRow(group, 3, s3, n, from) || hidden;
  return mark || hidden;
}
