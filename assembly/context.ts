// Contextual positions (CoPE, Golovneva et al. 2024, arXiv 2405.18719): keys are counted by gates that are made of the scores.
//
//   g(i, t) = σ(s(i, t))    p(i, j) = min(Σ g(i, t) over the visible keys t ≥ j, LAST)    s(i, j) += (1 − w)·e(⌊p⌋) + w·e(⌊p⌋ + 1)
//
// with w = p − ⌊p⌋ and e = q·Eᵀ, the logits of all rows of the table. The sum runs from the last visible key to the first, one gate after
// another in f64, and ends where it has reached LAST: from there on the keys share the last row. So a first pass takes the key blocks from
// the last to the first, as far as some row of the tile still counts, and leaves the sum that each block begins with at COUNTS; the blocks
// are then taken in their order as ever, and each goes on from its sum. Hidden keys have a gate of exactly 0, so that neither tiles nor
// splits show in a bit.

import {
  BIAS_COUNT, CAP, CONTEXT_BLOCKS, CONTEXT_HEAD, CONTEXT_LAST, CONTEXT_ROWS, CONTEXT_TABLE, KEY_BLOCK, MARK, MASK_ROWS, R_HIGH, R_LOW, R_QUERY,
  S_CONTEXT_LOGITS, S_CONTEXT_QUERIES, S_COUNTS, S_GATES, SCORES_ROW,
} from './job';
import { hideEntries } from './biases';
import { sigmoid, softcap } from './exp';
import { packRows } from './pack';
import { punchHoles, rowOf } from './rows';
import { fillOutside } from './softmax';
import { wholeTable } from './terms';

/** Before the first key block: e of the tile's rows, and sums as if all keys were beyond the last row of the table. */
export function startContext(job: usize, scratch: usize, b: i32, rows: i32): void {
  const q = scratch + load<usize>(job, S_CONTEXT_QUERIES);
  packRows(job, scratch, b, rows, 1, 0, 0, q);
  wholeTable(
    job, scratch, rows, q, load<usize>(job, CONTEXT_TABLE), load<i32>(job, CONTEXT_HEAD), load<i32>(job, CONTEXT_ROWS),
    scratch + load<usize>(job, S_CONTEXT_LOGITS),
  );
  const last = <f64>load<i32>(job, CONTEXT_LAST);
  const counts = scratch + load<usize>(job, S_COUNTS);
  for (let n = 0; n < rows * load<i32>(job, CONTEXT_BLOCKS); n++) store<f64>(counts + (<usize>n << 3), last);
}

/** The sum that row r of the tile begins with in the block of key `block`. */
@inline function countOf(job: usize, scratch: usize, r: i32, block: i32): usize {
  return scratch + load<usize>(job, S_COUNTS) + (<usize>(r * load<i32>(job, CONTEXT_BLOCKS) + block / KEY_BLOCK) << 3);
}

/** The block of the last keys begins with nothing, but for rows that are none. */
export function startCounts(job: usize, scratch: usize, rows: i32, block: i32): void {
  for (let r = 0; r < rows; r++) {
    if (load<i32>(rowOf(job, scratch, r), R_QUERY) >= 0) store<f64>(countOf(job, scratch, r, block), 0);
  }
}

/** The block before `block` begins with what this one does, until its gates are added. True if some row still counts. */
export function passCounts(job: usize, scratch: usize, rows: i32, block: i32): bool {
  const last = <f64>load<i32>(job, CONTEXT_LAST);
  let some = false;
  for (let r = 0; r < rows; r++) {
    const sum = load<f64>(countOf(job, scratch, r, block));
    store<f64>(countOf(job, scratch, r, block - KEY_BLOCK), sum);
    if (sum < last) some = true;
  }
  return some;
}

/** Adds the gates of a group's `live` rows, row `row` of the tile and those after it, to the sums of the block before. */
export function countGates(
  job: usize, scratch: usize, group: usize, row: i32, live: i32, s: usize, b: i32, block: i32, from: i32, keys: i32,
): void {
  const last = <f64>load<i32>(job, CONTEXT_LAST);
  const cap = load<f32>(job, CAP);
  const gates = scratch + load<usize>(job, S_GATES);
  for (let r = 0; r < live; r++, s += SCORES_ROW) {
    const at = group + (r << 2);
    let sum = load<f64>(countOf(job, scratch, row + r, block));
    if (!(sum < last)) continue;
    if (cap != 0) softcap(s, keys, cap);
    gatesOf(job, at, gates, s, b, from, keys);
    const low = firstOf(at, from);
    for (let j = endOf(at, from, keys) - 1; j >= low && sum < last; j--) sum += <f64>load<f32>(gates + (<usize>j << 2));
    store<f64>(countOf(job, scratch, row + r, block - KEY_BLOCK), sum);
  }
}

/** First visible key of a row of those from `from` on, and one past the last of `keys`. */
@inline function firstOf(row: usize, from: i32): i32 {
  return max(load<i32>(row, R_LOW) - from, 0);
}
@inline function endOf(row: usize, from: i32, keys: i32): i32 {
  return min(load<i32>(row, R_HIGH) - from, keys);
}

/** gates ← σ(s) for the keys from … from + keys − 1, and 0 for those that are hidden from the row. */
function gatesOf(job: usize, row: usize, gates: usize, s: usize, b: i32, from: i32, keys: i32): void {
  for (let at: usize = 0, end = <usize>keys << 2; at < end; at += 16) v128.store(gates + at, v128.load(s + at));
  fillOutside(gates, keys, firstOf(row, from), endOf(row, from, keys), -Infinity);
  if (load<usize>(job, MASK_ROWS)) punchHoles(job, row, gates, b, from, keys);
  if (load<i32>(job, MARK)) hideEntries(job, row, gates, b, from, keys, load<i32>(job, BIAS_COUNT));
  sigmoid(gates, keys);
}

/** Adds e(p) to the scores of row r of the tile at the keys from … from + keys − 1 of the block. */
export function addContext(job: usize, scratch: usize, row: usize, r: i32, s: usize, b: i32, block: i32, from: i32, keys: i32): void {
  const last = load<i32>(job, CONTEXT_LAST);
  const e = scratch + load<usize>(job, S_CONTEXT_LOGITS) + (<usize>(r * load<i32>(job, CONTEXT_ROWS)) << 2);
  let sum = load<f64>(countOf(job, scratch, r, block));
  let j = endOf(row, from, keys) - 1;
  if (sum < <f64>last) {
    const gates = scratch + load<usize>(job, S_GATES);
    gatesOf(job, row, gates, s, b, from, keys);
    const low = firstOf(row, from);
    for (; j >= low && sum < <f64>last; j--) {
      sum += <f64>load<f32>(gates + (<usize>j << 2));
      const p = min(sum, <f64>last);
      const n = <i32>p;
      const w = <f32>(p - <f64>n);
      const two = e + (<usize>n << 2); // beyond the last row stands one of zeros
      const at = s + (<usize>j << 2);
      store<f32>(at, load<f32>(at) + (load<f32>(two) * (1 - w) + load<f32>(two, 4) * w));
    }
  }
  // The keys before, and with them those that the row does not see.
  const far = load<f32>(e + (<usize>last << 2));
  for (const end = s + (<usize>(j + 1) << 2); s < end; s += 4) store<f32>(s, load<f32>(s) + far);
}
