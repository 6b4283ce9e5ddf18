// Attention of one tile: the queries of one block, for every query head that shares one key head, over all keys they can see.
//
// The rows of a tile are (head, query) pairs, head by head; grouped heads are just more rows, so K and V are read once for all. Keys
// come in blocks; each block is packed once per tile and then met by the rows in bands of sixteen, so that scores never leave L1:
//
//   for each key block:      pack K (convert, rotate, interleave) and V (convert, interleave)
//     for each band:         scores → softcap → biases → mask, online softmax → o
//   for each row:            o / l, log-sum-exp
//
// Within a band the rows go in groups of four. Only panels of eight keys that some row of the group sees are computed. Block boundaries stand at multiples of KEY_BLOCK from key 0
// and sums run in key order, so a row's bits do not depend on the tile it is in.
//
// Attempts that lost: packing K once per call for all heads (needs S·D·G floats, 64 MB at S = 32768, for 2 to 3 %).

import {
  A_BATCH, A_COEFFICIENT, A_CURVE, A_CURVE_HEAD, A_FACTORS, A_GATE, A_HEAD, A_HIDE, A_INDEX, A_INDEX_BATCH, A_INDEX_ROW, A_MAP, A_PTR,
  A_ROW, A_ROWS, A_ROWS_BATCH, A_SIZE, A_UNITS, BAND, BIASES, BIAS_COUNT, CAP, DIM_D, DIM_E, DIM_G, DIM_H, DIM_L, DIM_S, FIRST, HIDE_INFINITE, HIDE_ZEROS, KEY_BLOCK,
  KEY_LENGTHS, LAST, LSE, MARK, MASK_BATCH, MASK_PAIRS, MASK_ROWS, OUT, QUERIES, QUERY_STARTS, R_CURSOR, R_FIRST, R_FROM, R_HEAD, R_HIGH,
  R_LAST, R_LOW, R_MAX, R_POSITION, R_QUERY, R_SIZE, R_SUM, R_TO, ROWS_JOBS, ROWS_TILES, SCORES_ROW, SINKS, S_KEYS, S_OUT, S_QUERIES, S_ROWS, S_SCORES, S_VALUES,
  S_WEIGHTS, TERM_COUNT, T_BATCH, T_CHANNEL, T_HEAD, T_PTR, T_ROW, T_TYPE, VALUE_ROWS, VALUE_TABLE,
} from './job';
import { storeRow } from './convert';
import { addCurve } from './curve';
import { exp2 } from './exp';
import { log } from './math';
import { packKeys, packQueries, packValues } from './pack';
import { scores, scoresOfRow } from './scores';
import { canonical } from './simd';
import { addHiding, addLookup, addRow, hideZeros, softcap, softmax } from './softmax';
import { addTerms, addValueTable, addWeights, keyTerms, startTerms } from './terms';
import { allFinite, values, valuesMasked, valuesOfRow } from './values';

const LOG2E: f32 = 1.4426950408889634;
const LN2: f64 = 0.6931471805599453;

export function attend(job: usize, tile: i32, scratch: usize): void {
  const L = load<i32>(job, DIM_L);
  const G = load<i32>(job, DIM_G);
  const queries = load<i32>(job, QUERIES);
  const blocks = (L + queries - 1) / queries;
  const b = tile / blocks / G;
  const g = (tile / blocks) % G;
  // The last queries first: under a causal mask they see the most keys, and the small tiles fill the gaps at the end.
  const first = (blocks - 1 - (tile % blocks)) * queries;
  const count = min(queries, L - first);
  // With tables of relative positions, each head starts a new group of four rows, so that a group has one table and one window.
  const step = load<i32>(job, TERM_COUNT) | load<i32>(job, VALUE_TABLE) ? count + 3 & ~3 : count;
  const rows = step * (load<i32>(job, DIM_H) / G);
  const range = startRows(job, scratch, b, g, first, count, step, rows);
  packQueries(job, scratch, b, rows);
  startTerms(job, scratch, b, rows);
  keyBlocks(job, scratch, b, g, first + startOf(job, b), count, step, rows, <i32>(range >> 32), <i32>range);
  if (load<usize>(job, VALUE_TABLE)) {
    const s = scratch + load<usize>(job, S_SCORES);
    addValueTable(job, scratch, rows, s, scratch + load<usize>(job, S_OUT), outputWidth(job));
  }
  for (let r = 0; r < rows; r++) finishRow(job, scratch, b, r);
}

/** `attend` where each batch row has a job of its own, at ROWS_JOBS; all have the same tiles, ROWS_TILES a batch row. */
export function attendRows(list: usize, tile: i32, scratch: usize): void {
  const b = tile / load<i32>(list, ROWS_TILES);
  attend(load<usize>(list + (<usize>b << 2), ROWS_JOBS), tile, scratch);
}

/**
 * Sets up every row: row r is query first + r mod step of the tile's head r / step, and dead (query −1) if that is not one of `count`.
 * Returns the keys that some row sees, first << 32 | end (equal when there are none).
 */
function startRows(job: usize, scratch: usize, b: i32, g: i32, first: i32, count: i32, step: i32, rows: i32): u64 {
  const S = load<i32>(job, DIM_S);
  const shared = load<i32>(job, DIM_H) / load<i32>(job, DIM_G);
  const lengths = load<usize>(job, KEY_LENGTHS);
  const keys = lengths ? min(S, load<i32>(lengths + (b << 2))) : S;
  const groups = <usize>(rows + 3 >> 2);
  memory.fill(scratch + load<usize>(job, S_OUT), 0, (groups << 2) * outputWidth(job));
  memory.fill(scratch + load<usize>(job, S_ROWS), 0, groups * R_SIZE);
  if (load<usize>(job, VALUE_TABLE)) {
    memory.fill(scratch + load<usize>(job, S_WEIGHTS), 0, (groups << 2) * (<usize>load<i32>(job, VALUE_ROWS) << 2));
  }
  const start = startOf(job, b);
  let low = keys;
  let high = 0;
  for (let r = 0; r < <i32>(groups << 2); r++) {
    const row = rowOf(job, scratch, r);
    if (r >= rows || r % step >= count) {
      store<i32>(row, -1, R_QUERY);
      continue;
    }
    const i = first + (r % step);
    const position = i + start;
    store<i32>(row, i, R_QUERY);
    store<i32>(row, position, R_POSITION);
    store<i32>(row, g * shared + r / step, R_HEAD);
    let from = max(position + load<i32>(job, FIRST), 0);
    let to = max(min(position + load<i32>(job, LAST) + 1, keys), from);
    if (load<usize>(job, MASK_ROWS)) {
      const range = startMask(job, row, b, i, from, to);
      from = <i32>(range >> 32);
      to = <i32>range;
    }
    store<i32>(row, from, R_LOW);
    store<i32>(row, to, R_HIGH);
    if (from < to) {
      low = min(low, from);
      high = max(high, to);
    }
  }
  for (let n: usize = 0; n < groups; n++) {
    v128.store(scratch + load<usize>(job, S_ROWS) + n * R_SIZE, f32x4.splat(-Infinity), R_MAX);
  }
  return low < high ? (<u64>low << 32) | high : 0;
}

/** Where query 0 of a batch row stands beyond its number. */
@inline function startOf(job: usize, b: i32): i32 {
  const starts = load<usize>(job, QUERY_STARTS);
  return starts ? load<i32>(starts + (b << 2)) : 0;
}

/** Keeps a row's range without the mask, finds its first interval; returns the range cut down to its intervals, from << 32 | to. */
@inline function startMask(job: usize, row: usize, b: i32, i: i32, from: i32, to: i32): u64 {
  const rows = load<usize>(job, MASK_ROWS) + b * load<i32>(job, MASK_BATCH) + (i << 2);
  const pairs = load<usize>(job, MASK_PAIRS);
  const first = load<i32>(rows);
  const end = load<i32>(rows, 4);
  store<i32>(row, first, R_CURSOR);
  store<i32>(row, from, R_FIRST);
  store<i32>(row, to, R_LAST);
  if (first == end) return (<u64>from << 32) | from;
  from = max(from, load<i32>(pairs + (first << 3)));
  return (<u64>from << 32) | max(from, min(to, load<i32>(pairs + (end << 3) - 4)));
}

/**
 * For each key block, with a mask: R_LOW and R_HIGH of every row become its first and one past its last visible key of the block. True if
 * some row sees one.
 */
function maskRows(job: usize, scratch: usize, b: i32, rows: i32, block: i32, end: i32): bool {
  const pairs = load<usize>(job, MASK_PAIRS);
  let some = false;
  for (let r = 0; r < rows; r++) {
    const row = rowOf(job, scratch, r);
    const i = load<i32>(row, R_QUERY);
    if (i < 0) continue;
    const last = load<i32>(load<usize>(job, MASK_ROWS) + b * load<i32>(job, MASK_BATCH) + (i << 2), 4);
    const from = max(load<i32>(row, R_FIRST), block);
    const to = min(load<i32>(row, R_LAST), end);
    let cursor = load<i32>(row, R_CURSOR);
    while (cursor < last && load<i32>(pairs + (cursor << 3), 4) <= from) cursor++;
    store<i32>(row, cursor, R_CURSOR);
    let low = end;
    let high = block;
    for (; cursor < last && load<i32>(pairs + (cursor << 3)) < to; cursor++) {
      low = min(low, max(load<i32>(pairs + (cursor << 3)), from));
      high = max(high, min(load<i32>(pairs + (cursor << 3), 4), to));
    }
    if (low < high) some = true;
    store<i32>(row, low, R_LOW);
    store<i32>(row, max(low, high), R_HIGH);
  }
  return some;
}

/** Writes −Infinity between the intervals of a row; s stands for the keys from … from + keys − 1. */
function punchHoles(job: usize, row: usize, s: usize, b: i32, from: i32, keys: i32): void {
  const pairs = load<usize>(job, MASK_PAIRS);
  const rows = load<usize>(job, MASK_ROWS) + b * load<i32>(job, MASK_BATCH) + (load<i32>(row, R_QUERY) << 2);
  const last = load<i32>(rows, 4);
  for (let cursor = load<i32>(row, R_CURSOR) + 1; cursor < last; cursor++) {
    const hole = max(load<i32>(pairs + (cursor << 3) - 4), from);
    const next = min(load<i32>(pairs + (cursor << 3)), from + keys);
    if (hole >= from + keys) return;
    for (let j = hole; j < next; j++) store<f32>(s + (<usize>(j - from) << 2), -Infinity);
  }
}

/** Lane r mod 4 of the row's group. */
@inline function rowOf(job: usize, scratch: usize, r: i32): usize {
  return scratch + load<usize>(job, S_ROWS) + (r >> 2) * R_SIZE + ((r & 3) << 2);
}

/** Bytes of a row of E' floats. */
@inline function outputWidth(job: usize): usize {
  return <usize>(load<i32>(job, DIM_E) + 7 & ~7) << 2;
}

/** Takes the keys low … high − 1 block by block. */
function keyBlocks(
  job: usize, scratch: usize, b: i32, g: i32, first: i32, count: i32, step: i32, rows: i32, low: i32, high: i32,
): void {
  const shared = load<i32>(job, DIM_H) / load<i32>(job, DIM_G);
  for (let block = low - (low % KEY_BLOCK); block < high; block += KEY_BLOCK) {
    const from = max(block, low) & ~7;
    const end = min(block + KEY_BLOCK, high);
    if (load<usize>(job, MASK_ROWS) && !maskRows(job, scratch, b, rows, block, end)) continue;
    packKeys(job, scratch, b, g, block, from, end);
    packValues(job, scratch, b, g, block, from, end);
    keyTerms(job, scratch, g * shared, shared, first, count, block, from, end);
    for (let r = 0; r < rows; r += BAND) meet(job, scratch, b, r, min(BAND, rows - r), first, count, step, block, end);
  }
}

/** A band of rows meets the keys block … end − 1. */
function meet(
  job: usize, scratch: usize, b: i32, r: i32, rows: i32, first: i32, count: i32, step: i32, block: i32, end: i32,
): void {
  const group = rowOf(job, scratch, r);
  const groups = rows + 3 >> 2;
  let low = end;
  let high = block;
  for (let n = 0, at = group; n < groups; n++, at += R_SIZE) {
    rangeOf(at, min(4, rows - 4 * n), block, end);
    low = min(low, load<i32>(at, R_FROM));
    high = max(high, load<i32>(at, R_TO));
  }
  if (low >= high) return;
  const D = load<i32>(job, DIM_D);
  const s = scratch + load<usize>(job, S_SCORES);
  const v = scratch + load<usize>(job, S_VALUES);
  const width = outputWidth(job);
  const o = scratch + load<usize>(job, S_OUT) + <usize>r * width;
  const q = scratch + load<usize>(job, S_QUERIES) + (<usize>r * D << 2);
  const keys = scratch + load<usize>(job, S_KEYS);
  if (rows == 1) scoresOfRow(group, q, keys, s, block, D);
  else scores(group, groups, q, keys, s, block, D);
  let hidden = false;
  for (let n = 0, at = group; n < groups; n++, at += R_SIZE) {
    const from = load<i32>(at, R_FROM);
    const keys = load<i32>(at, R_TO) - from;
    if (keys <= 0) continue;
    const line = s + 4 * n * SCORES_ROW + (<usize>(from - block) << 2);
    const row = r + 4 * n;
    const live = liveOf(at, min(4, rows - 4 * n));
    addTerms(job, scratch, at, line, b, row, live, row / step, first, count, block, from, keys);
    adjust(job, at, live, line, b, from, keys);
    if (softmax(at, line, keys + 7 & ~7, from, live, load<i32>(job, MARK) != 0)) hidden = true;
    if (load<usize>(job, VALUE_TABLE)) addWeights(job, scratch, at, line, b, row, live, from, keys);
  }
  if (!hidden || allFinite(v, width, low - block, high - block)) {
    if (rows == 1) valuesOfRow(group, s, v, block, o, width);
    else values(group, groups, s, v, block, o, width);
  } else valuesMasked(group, rows, s, v, block, o, width);
}

/** Rows of a group that are not dead; these come first. */
@inline function liveOf(group: usize, rows: i32): i32 {
  let live = 0;
  while (live < rows && load<i32>(group + (live << 2), R_QUERY) >= 0) live++;
  return live;
}

/** Sets the keys of block … end − 1 that some of the group's `live` rows see. */
@inline function rangeOf(group: usize, live: i32, block: i32, end: i32): void {
  let low = end;
  let high = block;
  for (let r = 0; r < live; r++) {
    const from = max(load<i32>(group + (r << 2), R_LOW), block);
    const to = min(load<i32>(group + (r << 2), R_HIGH), end);
    if (from >= to) continue;
    low = min(low, from);
    high = max(high, to);
  }
  store<i32>(group, low & ~7, R_FROM);
  store<i32>(group, high, R_TO);
}

/** Softcap, biases and holes of a group's scores, row by row. */
@inline function adjust(job: usize, group: usize, live: i32, s: usize, b: i32, from: i32, keys: i32): void {
  const cap = load<f32>(job, CAP);
  const masked = load<usize>(job, MASK_ROWS) != 0;
  if (cap == 0 && load<i32>(job, BIAS_COUNT) == 0 && !masked) return;
  for (let r = 0; r < live; r++, s += SCORES_ROW) {
    if (cap != 0) softcap(s, keys, cap);
    addBiases(job, group + (r << 2), s, b, from, keys);
    if (masked) punchHoles(job, group + (r << 2), s, b, from, keys);
  }
}

/** Adds every bias of one row at the keys low … low + keys − 1. */
function addBiases(job: usize, row: usize, s: usize, b: i32, low: i32, keys: i32): void {
  const i = load<i32>(row, R_QUERY);
  const h = load<i32>(row, R_HEAD);
  const position = load<i32>(row, R_POSITION);
  let entry = load<usize>(job, BIASES);
  for (let left = load<i32>(job, BIAS_COUNT); left > 0; left--, entry += A_SIZE) {
    let coefficient = load<f32>(entry, A_COEFFICIENT);
    const gate = load<usize>(entry, A_GATE);
    if (gate) {
      const H = load<i32>(job, DIM_H);
      coefficient *= load<f32>(gate + (<usize>((b * H + h) * load<i32>(job, DIM_L) + i) << 2));
    }
    const table = load<usize>(entry, A_PTR) + b * load<i32>(entry, A_BATCH) + h * load<i32>(entry, A_HEAD);
    const index = load<usize>(entry, A_INDEX);
    if (index) {
      const columns = index + b * load<i32>(entry, A_INDEX_BATCH) + i * load<i32>(entry, A_INDEX_ROW) + (low << 2);
      const sums = load<usize>(entry, A_ROWS);
      const rows = sums ? sums + b * load<i32>(entry, A_ROWS_BATCH) : 0;
      addLookup(s, table, columns, rows, load<usize>(entry, A_MAP), i, keys, coefficient);
      continue;
    }
    const stride = load<i32>(entry, A_ROW);
    const hide = load<i32>(entry, A_HIDE);
    if (hide == HIDE_ZEROS) {
      hideZeros(s, table + i * stride + low, keys);
      continue;
    }
    const line = table + (stride < 0 ? position : i) * stride + (low << 2);
    const curve = load<usize>(entry, A_CURVE);
    if (curve) {
      const factor = load<f32>(load<usize>(entry, A_FACTORS) + (i << 2));
      addCurve(s, line, keys, factor, curve + h * load<i32>(entry, A_CURVE_HEAD), load<i32>(entry, A_UNITS), coefficient);
    } else if (hide == HIDE_INFINITE) addHiding(s, line, keys, coefficient);
    else addRow(s, line, keys, coefficient);
  }
}

/** Divides the row's output by its sum, the sink's share included, and writes it and its log-sum-exp. */
function finishRow(job: usize, scratch: usize, b: i32, r: i32): void {
  const row = rowOf(job, scratch, r);
  const E = load<i32>(job, DIM_E);
  const width = outputWidth(job);
  const o = scratch + load<usize>(job, S_OUT) + <usize>r * width;
  const i = load<i32>(row, R_QUERY);
  if (i < 0) return;
  const h = load<i32>(row, R_HEAD);
  let m = load<f32>(row, R_MAX);
  let l = load<f32>(row, R_SUM);
  let c: f32 = 1;
  const sinks = load<usize>(job, SINKS);
  if (sinks) {
    const sink = load<f32>(sinks + (h << 2)) * LOG2E;
    const top = m < sink ? sink : m;
    if (top != -Infinity) {
      c = exp2(m - top);
      l = c * l + exp2(sink - top);
      m = top;
    }
  }
  // l is 0 only if no key is visible: o is then 0 already and is left so.
  c = l == 0 ? <f32>0 : c / l;
  for (let at = o; at < o + width; at += 16) v128.store(at, canonical(f32x4.mul(v128.load(at), f32x4.splat(c))));
  const to = load<usize>(job, OUT + T_PTR) + b * load<i32>(job, OUT + T_BATCH) + h * load<i32>(job, OUT + T_HEAD)
    + i * load<i32>(job, OUT + T_ROW);
  storeRow(to, o, E, load<i32>(job, OUT + T_CHANNEL), load<i32>(job, OUT + T_TYPE));
  const lse = load<usize>(job, LSE);
  if (lse) {
    const value: f32 = l == 0 ? -f32.POSITIVE_INFINITY : <f32>(LN2 * <f64>m + log(<f64>l));
    store<f32>(lse + (<usize>((b * load<i32>(job, DIM_H) + h) * load<i32>(job, DIM_L) + i) << 2), value == value ? value : f32.NaN);
  }
}
