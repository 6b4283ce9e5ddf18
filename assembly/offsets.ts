// The two micro-kernels of tables that have a row for each offset j − i.

import { SCORES_ROW } from './job';
import { sums4x8 } from './scores';

/** Bytes from a score of one query to the score at the same offset of the next. */
const STEP: usize = SCORES_ROW + 4;

/**
 * s(i + r, j) += q(i + r)·R[j − i − r]: four queries × eight offsets, for `groups` groups in turn against one panel of the table, the same sums
 * as scores4x8. queries: [groups][D][4], panel: [D][8]. s: where the first query meets the panel's first row; for each query that follows,
 * the panel lies one key further right. Rows of scores are SCORES_ROW bytes apart, sixteen floats more than a key block has: room for what the
 * first and the last panel add to keys beyond the block.
 */
export function skewed4x8(queries: usize, panel: usize, s: usize, D: i32, groups: i32): void {
  sums4x8(queries, panel, s, D, STEP, groups, true);
}

/**
 * s(r, l) += by·c[3 − r + l][l] for four queries and eight keys. c: the products of a table's rows with the eight keys, 32 bytes a row, from
 * the row on at which the last query meets the first key. A vector has one lane of each of four rows; neighbouring queries share pairs of
 * lanes, so that seven loads and ten blends do for the sixteen scores of a half (loads lane by lane: 5 % of a call more).
 */
export function addDiagonals(s: usize, c: usize, by: v128): void {
  // repeat $h 2
  // repeat $n 7
  const c$h$n = v128.load(c, 144 * $h + 32 * $n);
  // end
  const p$h0 = v128.shuffle<f32>(c$h0, c$h1, 0, 5, 2, 7);
  const p$h1 = v128.shuffle<f32>(c$h1, c$h2, 0, 5, 2, 7);
  const p$h2 = v128.shuffle<f32>(c$h2, c$h3, 0, 5, 2, 7);
  const p$h3 = v128.shuffle<f32>(c$h3, c$h4, 0, 5, 2, 7);
  const p$h4 = v128.shuffle<f32>(c$h4, c$h5, 0, 5, 2, 7);
  const p$h5 = v128.shuffle<f32>(c$h5, c$h6, 0, 5, 2, 7);
  addVector(s + 16 * $h, v128.shuffle<f32>(p$h3, p$h5, 0, 1, 6, 7), by);
  addVector(s + (SCORES_ROW + 16 * $h), v128.shuffle<f32>(p$h2, p$h4, 0, 1, 6, 7), by);
  addVector(s + (2 * SCORES_ROW + 16 * $h), v128.shuffle<f32>(p$h1, p$h3, 0, 1, 6, 7), by);
  addVector(s + (3 * SCORES_ROW + 16 * $h), v128.shuffle<f32>(p$h0, p$h2, 0, 1, 6, 7), by);
  // end
}

@inline function addVector(s: usize, x: v128, by: v128): void {
  v128.store(s, f32x4.add(v128.load(s), f32x4.mul(by, x)));
}
