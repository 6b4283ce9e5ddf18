// Probabilities as integers that weigh the integers of the values: o += Σ_j p_j·v_j over the keys of a block, with v_j ≈ s_j·v̂_j (quantise.ts).
//
// With t_j = p_j·s_j, a row of a block has
//
//   by = min(32766 / max t, 520000 / Σ t)    t̂ = by·t, rounded    Σ p·v ≈ (Σ t̂·v̂) / by
//
// All |v̂| ≤ 4095 and Σ t̂ ≤ 520000·(1 + 2^−16) + 2 < 520100, so that |Σ t̂·v̂| ≤ 520100·4095 = 2129809500 < 2^31, and every partial sum with it.
//
// Rounding is of the running sums: t̂_j = round(S_j) − round(S_j−1), S the sum of by·t over the keys j mod 4 of a lane. What rounding takes from a
// key goes to the next of its lane, so that Σ t̂ is off by 2 at most and not by √keys, in a chain of one addition a key where carrying the
// remainder along takes four. S ≤ 2^19 is itself off by 2^−6 a step at most. Hidden keys have t = 0 and change nothing.
//
// A key that holds more than four fifths of Σ t is taken out: its p·v is added in f32 and the others share all 15 bits. Without this an attention
// sink, 12 above the rest, leaves those a fifth of a bit each; with it, a row that sees one key is exact. Where two keys share the weight, the rest
// is less than a tenth of them each, and has at least 12 bits between them.
//
// Only visible keys count, so that bits do not depend on what is hidden. Odd rows of values (s = −0, hence t = 0) are added in f32 as well. In a
// block whose t are all below 2^−110 nothing is left of them.

import { DIM_E, R_SCALE, R_TOP, R_TOTAL, R_WEIGHT, SCORES_ROW } from './job';
import { valueRow } from './pack16';
import { isOddScale } from './quantise';
import { held, maxLanes, sumLanes } from './simd';

const TOP: f32 = 32766; // A t̂ may be one more than by·t.
const TOTAL: f32 = 520000;
const MAGIC: f32 = 12582912; // 1.5·2^23, as in quantise.ts
const LEAST: f32 = reinterpret<f32>(0x08800000); // 2^−110
const MOST_OF: f32 = 0.8;

/** max t and Σ t of a row of n (a multiple of 8), to R_TOP and R_TOTAL of the row at `state`, as exponentials16 has them. */
function measure(t: usize, n: i32, state: usize): void {
  let total = f32x4.splat(0), top = total;
  for (const end = t + (<usize>n << 2); t < end; t += 16) {
    total = f32x4.add(total, v128.load(t));
    top = f32x4.pmax(top, v128.load(t));
  }
  store<f32>(state, maxLanes(top), R_TOP);
  store<f32>(state, sumLanes(total), R_TOTAL);
}

/**
 * t̂ of n numbers t (a multiple of 8) of `rows` rows, 1 or 2, a literal, as i16 at `to`, which may be the same place or before it; both SCORES_ROW
 * bytes a row. by: f32 [rows]. The sums of a row wait for one another, those of two rows do not.
 */
@inline function roundWeights(t: usize, to: usize, n: i32, by: usize, rows: i32): void {
  const magic = held(MAGIC, n >> 31);
  const c0 = v128.load32_splat(by), c1 = rows > 1 ? v128.load32_splat(by, 4) : c0;
  let s0 = f32x4.splat(0), s1 = s0, b0 = magic, b1 = magic;
  const end = t + (<usize>n << 2);
  do {
    // repeat $r 2
    if (rows > $r) {
      s$r = f32x4.add(s$r, f32x4.mul(v128.load(t, $r * SCORES_ROW), c$r));
      const middle = f32x4.add(s$r, magic);
      s$r = f32x4.add(s$r, f32x4.mul(v128.load(t, $r * SCORES_ROW + 16), c$r));
      const after = f32x4.add(s$r, magic);
      v128.store(to, i16x8.narrow_i32x4_s(i32x4.sub(middle, b$r), i32x4.sub(after, middle)), $r * SCORES_ROW);
      b$r = after;
    }
    // end
    t += 32, to += 16;
  } while (t < end);
}

/** roundWeights of two rows. */
function roundTwo(t: usize, to: usize, n: i32, by: usize): void {
  roundWeights(t, to, n, by, 2);
}

/** roundWeights of one. */
function roundOne(t: usize, to: usize, n: i32, by: usize): void {
  roundWeights(t, to, n, by, 1);
}

/** The key that has the largest t. */
@inline function topOf(t: usize, n: i32, top: f32): i32 {
  for (let j = 0; j < n; j++) if (load<f32>(t + (<usize>j << 2)) == top) return j;
  return 0;
}

/** o ← o + p·v over E channels. */
@inline function addValue(o: usize, v: usize, p: f32, E: i32): void {
  const x = f32x4.splat(p);
  for (; E >= 4; E -= 4, o += 16, v += 16) v128.store(o, f32x4.add(v128.load(o), f32x4.mul(x, v128.load(v))));
  for (; E > 0; E--, o += 4, v += 4) store<f32>(o, load<f32>(o) + p * load<f32>(v));
}

/** Multiplies the output of a row, `width` bytes, by its R_SCALE, for what is added to it now. */
@inline function scaleOutput(state: usize, o: usize, width: usize): void {
  const c = v128.load32_splat(state, R_SCALE);
  for (let at = o; at < o + width; at += 16) v128.store(at, f32x4.mul(v128.load(at), c));
  store<f32>(state, 1, R_SCALE);
}

/** Adds the values of a row's visible odd keys to its output o. p: its probabilities from key `from` on. */
function addOdd(job: usize, scratch: usize, p: usize, scales: usize, n: i32, from: i32, o: usize): void {
  for (let j = 0; j < n; j++) {
    const at = p + (<usize>j << 2);
    // The sign of a probability marks a key that is hidden.
    if (!isOddScale(load<f32>(scales + (<usize>j << 2))) || load<i32>(at) < 0) continue;
    addValue(o, valueRow(job, scratch, from + j), load<f32>(at), load<i32>(job, DIM_E));
  }
}

/** Adds the value of the key that has the largest t to a row's output; that t becomes 0. t / s is p but for two roundings, and 1 where that is. */
function addTop(job: usize, scratch: usize, state: usize, t: usize, scales: usize, n: i32, from: i32, o: usize): void {
  const top = load<f32>(state, R_TOP);
  const j = topOf(t, n, top);
  const at = <usize>j << 2;
  addValue(o, valueRow(job, scratch, from + j), top / load<f32>(scales + at), load<i32>(job, DIM_E));
  store<f32>(t + at, 0);
  measure(t, n, state);
}

/** p ← t. */
function weigh(p: usize, scales: usize, n: i32): void {
  for (const end = p + (<usize>n << 2); p < end; p += 16, scales += 16) v128.store(p, f32x4.mul(v128.load(p), v128.load(scales)));
}

/**
 * What softmax has left of a group's `live` rows at the n keys (a multiple of 8) from `from` on, with max t and Σ t at R_TOP and R_TOTAL, becomes
 * weights: i16 at `to`, and 1/by of the rows at R_WEIGHT. line, to: SCORES_ROW bytes a row, `to` at `line` or before it, of all four rows; scales:
 * s of the keys; o: `width` bytes a row; whole: there are probabilities at `line`, not t, as there are if some s is that of an odd row.
 */
export function weights16(
  job: usize, scratch: usize, group: usize, live: i32, line: usize, to: usize, scales: usize, n: i32, from: i32, o: usize, width: usize, whole: bool,
): void {
  if (whole) {
    for (let r = 0, p = line, at = o; r < live; r++, p += SCORES_ROW, at += width) {
      scaleOutput(group + (r << 2), at, width);
      addOdd(job, scratch, p, scales, n, from, at);
      weigh(p, scales, n);
    }
  }
  const most = f32x4.mul(f32x4.splat(MOST_OF), v128.load(group, R_TOTAL));
  const heavy = i32x4.bitmask(f32x4.gt(v128.load(group, R_TOP), most));
  for (let r = 0; heavy >> r && r < live; r++) {
    if (!(heavy >> r & 1)) continue;
    const state = group + (r << 2), own = o + r * width;
    scaleOutput(state, own, width);
    addTop(job, scratch, state, line + r * SCORES_ROW, scales, n, from, own);
  }
  const top = v128.load(group, R_TOP);
  const none = f32x4.lt(top, f32x4.splat(LEAST));
  const by = f32x4.min(f32x4.div(f32x4.splat(TOP), top), f32x4.div(f32x4.splat(TOTAL), v128.load(group, R_TOTAL)));
  // R_TOP has served: it holds `by` now.
  v128.store(group, v128.andnot(by, none), R_TOP);
  v128.store(group, v128.andnot(f32x4.div(f32x4.splat(1), by), none), R_WEIGHT);
  if (live == 1) {
    roundOne(line, to, n, group + R_TOP);
    return;
  }
  roundTwo(line, to, n, group + R_TOP);
  if (live > 2) roundTwo(line + 2 * SCORES_ROW, to + 2 * SCORES_ROW, n, group + R_TOP + 8);
}
