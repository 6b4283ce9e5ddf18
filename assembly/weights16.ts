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
import { maxLanes, sumLanes } from './simd';

const TOP: f32 = 32766; // A t̂ may be one more than by·t.
const TOTAL: f32 = 520000;
const MAGIC: f32 = 12582912; // 1.5·2^23, as in quantise.ts
const LEAST: f32 = reinterpret<f32>(0x08800000); // 2^−110
const MOST_OF: f32 = 0.8;

/** max t and Σ t of a row of n probabilities (a multiple of 8), to R_TOP and R_TOTAL of the row at `state`, as exponentials16 has them. */
function measure(p: usize, scales: usize, n: i32, state: usize): void {
  let total = f32x4.splat(0), top = total;
  const end = p + (<usize>n << 2);
  do {
    const t = f32x4.mul(v128.load(p), v128.load(scales)), u = f32x4.mul(v128.load(p, 16), v128.load(scales, 16));
    total = f32x4.add(f32x4.add(total, t), u);
    top = f32x4.pmax(f32x4.pmax(top, t), u);
    p += 32, scales += 32;
  } while (p < end);
  store<f32>(state, maxLanes(top), R_TOP);
  store<f32>(state, sumLanes(total), R_TOTAL);
}

/** t̂ of n probabilities at p as i16 at `to`, which may be the same place or before it. */
function roundWeights(p: usize, to: usize, scales: usize, n: i32, by: f32): void {
  const c = f32x4.splat(by), magic = f32x4.splat(MAGIC);
  let sum = f32x4.splat(0), before = magic;
  const end = p + (<usize>n << 2);
  do {
    sum = f32x4.add(sum, f32x4.mul(f32x4.mul(v128.load(p), v128.load(scales)), c));
    const middle = f32x4.add(sum, magic);
    sum = f32x4.add(sum, f32x4.mul(f32x4.mul(v128.load(p, 16), v128.load(scales, 16)), c));
    const after = f32x4.add(sum, magic);
    v128.store(to, i16x8.narrow_i32x4_s(i32x4.sub(middle, before), i32x4.sub(after, middle)));
    before = after;
    p += 32, scales += 32, to += 16;
  } while (p < end);
}

/** The key that has the largest t. */
@inline function topOf(p: usize, scales: usize, n: i32, top: f32): i32 {
  for (let j = 0; j < n; j++) if (load<f32>(p + (<usize>j << 2)) * load<f32>(scales + (<usize>j << 2)) == top) return j;
  return 0;
}

/** o ← o + p·v over E channels. */
@inline function addValue(o: usize, v: usize, p: f32, E: i32): void {
  const x = f32x4.splat(p);
  for (; E >= 4; E -= 4, o += 16, v += 16) v128.store(o, f32x4.add(v128.load(o), f32x4.mul(x, v128.load(v))));
  for (; E > 0; E--, o += 4, v += 4) store<f32>(o, load<f32>(o) + p * load<f32>(v));
}

/**
 * What of a row goes by itself, in f32: the key that outweighs the others, and visible odd rows of values. p: the row's probabilities from key
 * `from` on, of which the key taken out becomes 0; o: the row's output, which R_SCALE multiplies here.
 */
function addWhole(
  job: usize, scratch: usize, state: usize, p: usize, scales: usize, n: i32, from: i32, o: usize, width: usize, odd: bool,
): void {
  const E = load<i32>(job, DIM_E);
  const c = v128.load32_splat(state, R_SCALE);
  for (let at = o; at < o + width; at += 16) v128.store(at, f32x4.mul(v128.load(at), c));
  store<f32>(state, 1, R_SCALE);
  const top = load<f32>(state, R_TOP);
  if (top > MOST_OF * load<f32>(state, R_TOTAL)) {
    const j = topOf(p, scales, n, top);
    const at = p + (<usize>j << 2);
    addValue(o, valueRow(job, scratch, from + j), load<f32>(at), E);
    store<f32>(at, 0);
    measure(p, scales, n, state);
  }
  if (!odd) return;
  for (let j = 0; j < n; j++) {
    const at = p + (<usize>j << 2);
    // The sign of a probability marks a key that is hidden.
    if (!isOddScale(load<f32>(scales + (<usize>j << 2))) || load<i32>(at) < 0) continue;
    addValue(o, valueRow(job, scratch, from + j), load<f32>(at), E);
  }
}

/**
 * The probabilities of a group's `live` rows at the n keys (a multiple of 8) from `from` on, whose max t and Σ t are at R_TOP and R_TOTAL, become
 * weights: i16 at `to`, and 1/by of the rows at R_WEIGHT. line, to: SCORES_ROW bytes a row, `to` at `line` or before it; scales: s of the keys; odd: some s is that of an odd row; o: `width`
 * bytes a row.
 */
export function weights16(
  job: usize, scratch: usize, group: usize, live: i32, line: usize, to: usize, scales: usize, n: i32, from: i32, o: usize, width: usize, odd: bool,
): void {
  for (let r = 0; r < live; r++, line += SCORES_ROW, to += SCORES_ROW, o += width) {
    const state = group + (r << 2);
    if (odd || load<f32>(state, R_TOP) > MOST_OF * load<f32>(state, R_TOTAL)) {
      addWhole(job, scratch, state, line, scales, n, from, o, width, odd);
    }
    const top = load<f32>(state, R_TOP);
    const by: f32 = top < LEAST ? 0 : min<f32>(TOP / top, TOTAL / load<f32>(state, R_TOTAL));
    store<f32>(state, by == 0 ? 0 : 1 / by, R_WEIGHT);
    roundWeights(line, to, scales, n, by);
  }
}
