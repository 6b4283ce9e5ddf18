// Scores of integers: s(r, j) = (Σ_d q̂(r, d)·k̂(j, d)) · b(j) · a(r), the sum exact, whatever its order; see quantise.ts. It is rounded once to f32,
// then scaled by the key, then by the query. Two forms of one tile with the same bits, chosen by `widens`.
//
// The tile of dots, from L1, comes to 92 to 93 GOPS on Zen 4 (Node 20 and 24), over keys of i8 to 82: two instructions of 18 more, to widen. Attempts
// that lost, by the same measure: 2×16, with two splats less (91 to 92), a way out after every second step (86 to 88, on Node 20 78).

import { R_FROM, R_SIZE, R_TO, SCORES_ROW } from './job';
import { bandSees, groupSees } from './rows';
import { splat } from './simd';

/**
 * Four rows × eight keys by dots of pairs, for `groups` groups in turn against one panel. queries: [groups][pairs][4][2], panel: [pairs][8][2],
 * i16 or, with `narrow`, i8; s: `row` bytes a row; a: f32 [4·groups], b: f32 [8]. Eight steps a turn as in scores4x8.
 */
@inline function dotsOf(
  queries: usize, panel: usize, s: usize, pairs: i32, row: usize, groups: i32, a: usize, b: usize, narrow: bool,
): void {
  const ba = v128.load(b), bb = v128.load(b, 16);
  for (; groups > 0; groups--, queries += <usize>pairs << 4, a += 16) {
    // repeat $r 4
    let s$ra = i32x4.splat(0), s$rb = i32x4.splat(0);
    // end
    let q = queries, keys = panel, x: v128, y: v128, c: v128;
    for (let left = pairs; ; left -= 8, q += 128, keys += narrow ? 128 : 256) {
      // repeat $n 8
      x = narrow ? v128.load8x8_s(keys, 16 * $n) : v128.load(keys, 32 * $n);
      y = narrow ? v128.load8x8_s(keys, 16 * $n + 8) : v128.load(keys, 32 * $n + 16);
      // repeat $r 4
      c = v128.load32_splat(q + (16 * $n + 4 * $r));
      s$ra = i32x4.add(i32x4.dot_i16x8_s(c, x), s$ra), s$rb = i32x4.add(i32x4.dot_i16x8_s(c, y), s$rb);
      // end
      if (left == $n + 1) break;
      // end
    }
    const scales = v128.load(a);
    // repeat $r 4
    v128.store(s, f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(s$ra), ba), splat(scales, $r)));
    v128.store(s, f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(s$rb), bb), splat(scales, $r)), 16);
    s += row;
    // end
  }
}

/** Neighbours added: a0 + a1, a2 + a3, b0 + b1, b2 + b3. */
@inline export function addPairs(a: v128, b: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7));
}

/**
 * The same by products that are as wide as their sums: on ARM64 product and sum are one instruction (smlal), where a dot takes four. The two
 * channels of a pair keep sums of their own till the end: 16 accumulators, of the 32 registers there.
 */
function wide4x8(queries: usize, panel: usize, s: usize, pairs: i32, row: usize, groups: i32, a: usize, b: usize): void {
  const ba = v128.load(b), bb = v128.load(b, 16);
  for (; groups > 0; groups--, queries += <usize>pairs << 4, a += 16) {
    // repeat $r 4
    let s$ra = i32x4.splat(0), s$rb = i32x4.splat(0), s$rc = i32x4.splat(0), s$rd = i32x4.splat(0);
    // end
    let q = queries, keys = panel;
    for (let left = pairs; left > 0; left--, q += 16, keys += 32) {
      const x = v128.load(keys), y = v128.load(keys, 16);
      // repeat $r 4
      const c$r = v128.load32_splat(q + 4 * $r);
      s$ra = i32x4.add(s$ra, i32x4.extmul_low_i16x8_s(c$r, x)), s$rb = i32x4.add(s$rb, i32x4.extmul_high_i16x8_s(c$r, x));
      s$rc = i32x4.add(s$rc, i32x4.extmul_low_i16x8_s(c$r, y)), s$rd = i32x4.add(s$rd, i32x4.extmul_high_i16x8_s(c$r, y));
      // end
    }
    const scales = v128.load(a);
    // repeat $r 4
    v128.store(s, f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(addPairs(s$ra, s$rb)), ba), splat(scales, $r)));
    v128.store(s, f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(addPairs(s$rc, s$rd)), bb), splat(scales, $r)), 16);
    s += row;
    // end
  }
}

function dots4x8(queries: usize, panel: usize, s: usize, pairs: i32, row: usize, groups: i32, a: usize, b: usize): void {
  dotsOf(queries, panel, s, pairs, row, groups, a, b, false);
}
function narrowDots4x8(queries: usize, panel: usize, s: usize, pairs: i32, row: usize, groups: i32, a: usize, b: usize): void {
  dotsOf(queries, panel, s, pairs, row, groups, a, b, true);
}

/** Either form: `wide` says which; dots also over i8, if `narrow`. */
@inline function tile16(
  queries: usize, panel: usize, s: usize, pairs: i32, row: usize, groups: i32, a: usize, b: usize, wide: bool, narrow: bool,
): void {
  if (wide) wide4x8(queries, panel, s, pairs, row, groups, a, b);
  else if (narrow) narrowDots4x8(queries, panel, s, pairs, row, groups, a, b);
  else dots4x8(queries, panel, s, pairs, row, groups, a, b);
}

/** The first row alone × 32 keys by dots, for a group whose other rows are dead. keys: four panels, s: contiguous, b: f32 [32]. */
@inline function dotsOfRow(q: usize, keys: usize, s: usize, pairs: i32, a: usize, b: usize, narrow: bool): void {
  const panel = <usize>pairs << (narrow ? 4 : 5);
  const k0 = keys, k1 = k0 + panel, k2 = k1 + panel, k3 = k2 + panel;
  // repeat $p 4
  let s$pa = i32x4.splat(0), s$pb = i32x4.splat(0);
  // end
  for (let at: usize = 0; at < panel; at += narrow ? 16 : 32, q += 16) {
    const x = v128.load32_splat(q);
    // repeat $p 4
    s$pa = i32x4.add(i32x4.dot_i16x8_s(x, narrow ? v128.load8x8_s(k$p + at) : v128.load(k$p + at)), s$pa);
    s$pb = i32x4.add(i32x4.dot_i16x8_s(x, narrow ? v128.load8x8_s(k$p + at, 8) : v128.load(k$p + at, 16)), s$pb);
    // end
  }
  const scale = v128.load32_splat(a);
  // repeat $p 4
  v128.store(s, f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(s$pa), v128.load(b, 32 * $p)), scale), 32 * $p);
  v128.store(s, f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(s$pb), v128.load(b, 32 * $p + 16)), scale), 32 * $p + 16);
  // end
}

function dots1x32(q: usize, keys: usize, s: usize, pairs: i32, a: usize, b: usize): void {
  dotsOfRow(q, keys, s, pairs, a, b, false);
}
function narrowDots1x32(q: usize, keys: usize, s: usize, pairs: i32, a: usize, b: usize): void {
  dotsOfRow(q, keys, s, pairs, a, b, true);
}

/** Bytes of a key in a panel. */
@inline export function keyBytes(pairs: i32, narrow: bool): usize {
  return <usize>pairs << (narrow ? 1 : 2);
}

/**
 * A band against the panels that its groups see of those from key `low` to `high` − 1, as `scores` does it. q: the band's first group, keys: where
 * the panel of key `block` is, i8 if `narrow`; b: the scale of that key, a: that of the band's first row; pairs: D'/2.
 */
export function scores16(
  group: usize, groups: i32, q: usize, keys: usize, s: usize, a: usize, b: usize, block: i32, low: i32, high: i32, pairs: i32, wide: bool,
  narrow: bool,
): void {
  const range = bandSees(group, groups, low, high);
  const to = <i32>range;
  const size = <usize>pairs << 4; // bytes of a group's queries
  for (let j = <i32>(range >> 32); j < to; j += 8) {
    const panel = keys + (j - block) * keyBytes(pairs, narrow);
    const line = <usize>(j - block) << 2;
    for (let n = 0; n < groups; n++) {
      const first = n;
      while (n < groups && groupSees(group + n * R_SIZE, j)) n++;
      const at = s + line + 4 * first * SCORES_ROW;
      if (n > first) tile16(q + <usize>first * size, panel, at, pairs, SCORES_ROW, n - first, a + (first << 4), b + line, wide, narrow);
    }
  }
}

/** One live row against the panels of the keys that it sees, by fours as far as they go. Everything as in scores16. */
export function scores16OfRow(
  group: usize, q: usize, keys: usize, s: usize, a: usize, b: usize, block: i32, low: i32, high: i32, pairs: i32, wide: bool, narrow: bool,
): void {
  const to = min(load<i32>(group, R_TO), high);
  let j = max(load<i32>(group, R_FROM), low);
  for (; !wide && j + 24 < to; j += 32) {
    const line = <usize>(j - block) << 2;
    const panels = keys + (j - block) * keyBytes(pairs, narrow);
    if (narrow) narrowDots1x32(q, panels, s + line, pairs, a, b + line);
    else dots1x32(q, panels, s + line, pairs, a, b + line);
  }
  for (; j < to; j += 8) {
    const line = <usize>(j - block) << 2;
    tile16(q, keys + (j - block) * keyBytes(pairs, narrow), s + line, pairs, SCORES_ROW, 1, a, b + line, wide, narrow);
  }
}

/**
 * Replaces the scores of odd rows, and of all rows with odd keys, by sums in f32 in the order of scores4x8. q: the f32 queries of the band,
 * [rows/4][D][4], keys: the f32 panels from key `block` on; the rest as in scores16.
 */
export function mendScores(group: usize, rows: i32, q: usize, keys: usize, s: usize, a: usize, b: usize, block: i32, D: i32): void {
  for (let r = 0; r < rows; r++, s += SCORES_ROW) {
    const at = group + (r >> 2) * R_SIZE;
    const row = q + (<usize>(r >> 2) * D << 4) + ((r & 3) << 2);
    const scale = load<f32>(a + (r << 2));
    const to = load<i32>(at, R_TO);
    for (let j = load<i32>(at, R_FROM); j < to; j++) {
      const n = <usize>(j - block);
      const own = load<f32>(b + (n << 2));
      if (scale == scale && own == own) continue;
      const key = keys + ((n >> 3) * D << 5) + ((n & 7) << 2);
      let sum: f32 = 0;
      for (let d = 0; d < D; d++) sum += load<f32>(row + (<usize>d << 4)) * load<f32>(key + (<usize>d << 5));
      store<f32>(s + (n << 2), sum);
    }
  }
}
