// Attention of one tile: the queries of one block, for every query head that shares one key head, over all keys they can see.
//
// The rows of a tile are (head, query) pairs, head by head; grouped heads are just more rows, so K and V are read once for all. Keys
// come in blocks; each block is packed once per tile and then met by the rows in bands of twenty-four, so that scores never leave L1:
//
//   for each split:
//     for each key block:    pack K (convert, rotate, interleave) and V (convert, interleave), but for what lies so in a cache
//       for each band:       scores → softcap → biases → mask, online softmax → o
//     fold m, l, o into those of the splits before
//   for each row:            o / l, log-sum-exp
//
// Within a band the rows go in groups of four. Only panels of eight keys that some row of the group sees are computed. Block boundaries
// stand at multiples of KEY_BLOCK from key 0 and sums run in key order, so a row's bits do not depend on the tile it is in.
//
// At 2048 × 128 a call takes 1640 to 1680 million cycles on Intel: scores and values 1510 (5.6 a step, where mul and add on three ports allow
// 5.33), softmax 88 (10.5 for four scores), the rest packing and what lies between.
//
// Attempts that lost: packing K once per call for all heads (needs S·D·G floats, 64 MB at S = 32768, for 2 %); reading each block once before
// it is packed, to have it in cache (no gain, and decoding at 2047 keys took 15 % longer); bands of 8, 16, 32 and 64 rows (no gain); key blocks of
// 96 and 128 (2 to 3 % slower than 192 at D = 128), 256 and 384 (no gain).

import {
  BAND, BIAS_COUNT, CONTEXT_TABLE, DIM_D, DIM_G, DIM_H, DIM_L, DIM_S, EARLY, EARLY_KEYS, K, KEY_BLOCK, MARK, MASK_ROWS, PARTS, PART_SIZE, P_BATCH, P_COUNT,
  P_FIRST, P_HEAD, P_HIGH, P_LOW, P_ODD_KEYS, P_ODD_QUERIES, P_ODD_VALUES, P_ROWS, P_WIDE, Q8, QUERIES, ROWS_JOBS, ROWS_TILES, R_ALL_FROM,
  R_ALL_TO, R_FROM, R_SIZE, R_TO, SCORES_ROW, SPLIT, SPLITS, STEP_KEYS, S_FOLD, S_KEYS, S_KEY_SCALES, S_LINE, S_OUT, S_QUERIES,
  S_QUERIES16, S_QUERY_SCALES, S_SCORES, S_TILE, S_VALUES, S_VALUE_SCALES, TERM_COUNT, T_TYPE, V,
  VALUE_TABLE,
} from './job';
import { adjust } from './adjust';
import { touchBiases } from './biases';
import { countGates, passCounts, startContext, startCounts } from './context';
import { finishRow } from './finish';
import { clearStates, foldStates, loadStates, saveStates } from './fold';
import { packKeys, packQueries, packValues } from './pack';
import { integersOf, packValues16, quantiseTile } from './pack16';
import {
  columnStep, keys16InPlace, keys16Of, keysInPlace, keysOf, runEnd, values16InPlace, valuesInPlace, valuesOf, writeRuns,
} from './panels';
import { startRows, rewindMask, maskRows, rowOf, outputWidth, liveOf, rangeOf } from './rows';
import { scores, scoresOfFew } from './scores';
import { keyBytes, mendScores, scores16, scores16OfRow } from './scores16';
import { widens } from './simd';
import { softmax } from './softmax';
import { INTEGER } from './target';
import { addTerms, addValueTable, addWeights, keyTerms, startTerms } from './terms';
import { COLUMN, allFinite, values, valuesMasked, valuesOfFew } from './values';
import { COLUMN16, values16, values16OfRow, values16OfRuns, values8OfRuns } from './values16';
import { weights16 } from './weights16';

/**
 * One step of a tile, so that no thread works on long rows without a pause: the keys step·STEP_KEYS … of those that its rows see. The steps
 * of a tile run in order on one scratch, where its rows wait in between; step 0 begins the tile, the last one with keys writes it. Steps end
 * where splits end, hence change no bit.
 */
export function attend(job: usize, tile: i32, scratch: usize, step: i32): void {
  const S = load<i32>(job, DIM_S);
  const keys = load<i32>(job, STEP_KEYS);
  const from = step * keys;
  if (step > 0 && from >= S) return; // One of many jobs, with fewer keys than others.
  if (step == 0) begin(job, tile, scratch, 0, i32.MAX_VALUE);
  const last = S - from <= keys;
  advance(job, scratch, from, last ? i32.MAX_VALUE : from + keys);
  if (last) finish(job, scratch);
}

/** One split of a tile: leaves the records of its rows at PARTS. */
export function attendPart(job: usize, tile: i32, scratch: usize): void {
  const splits = load<i32>(job, SPLITS);
  const split = (tile % splits) * SPLIT;
  const rows = begin(job, tile / splits, scratch, split, split + SPLIT);
  advance(job, scratch, split, split + SPLIT);
  saveStates(job, scratch, rows, load<usize>(job, PARTS) + <usize>tile * load<i32>(job, PART_SIZE), outputWidth(job));
}

/** Folds the splits of a tile and finishes its rows. */
export function attendFold(job: usize, tile: i32, scratch: usize): void {
  const rows = begin(job, tile, scratch, 0, 0);
  const splits = load<i32>(job, SPLITS);
  const size = load<i32>(job, PART_SIZE);
  const first = load<usize>(job, PARTS) + <usize>(tile * splits) * size;
  for (let n = 1; n < splits; n++) {
    loadStates(job, scratch, rows, first + <usize>n * size, outputWidth(job));
    foldStates(job, scratch, rows, first, outputWidth(job), n == splits - 1);
  }
  finish(job, scratch);
}

/** Sets up a tile that takes the keys from … to − 1, as far as its rows see them; returns how many rows there are. */
function begin(job: usize, tile: i32, scratch: usize, from: i32, to: i32): i32 {
  const L = load<i32>(job, DIM_L);
  const G = load<i32>(job, DIM_G);
  const queries = load<i32>(job, QUERIES);
  const blocks = (L + queries - 1) / queries;
  // The last queries of all heads first: under a causal mask they see the most keys, and the small tiles fill the gaps at the end.
  const b = tile / G / blocks;
  const first = (blocks - 1 - ((tile / G) % blocks)) * queries;
  const g = tile % G;
  const count = min(queries, L - first);
  // With tables of relative positions, each head starts a new group of four rows, so that a group has one table and one window.
  const step = load<i32>(job, TERM_COUNT) | load<i32>(job, VALUE_TABLE) | load<i32>(job, CONTEXT_TABLE) ? count + 3 & ~3 : count;
  const rows = step * (load<i32>(job, DIM_H) / G);
  const range = startRows(job, scratch, b, g, first, count, step, rows);
  const low = max(from, <i32>(range >> 32));
  const high = min(to, <i32>range);
  const at = scratch + load<usize>(job, S_TILE);
  store<i32>(at, low, P_LOW);
  store<i32>(at, high, P_HIGH);
  store<i32>(at, b, P_BATCH);
  store<i32>(at, g, P_HEAD);
  store<i32>(at, first, P_FIRST);
  store<i32>(at, count, P_COUNT);
  store<i32>(at, rows, P_ROWS);
  if (low >= high) return rows;
  packQueries(job, scratch, b, rows);
  if (INTEGER) {
    store<i32>(at, widens(<f32>rows), P_WIDE);
    store<i32>(at, quantiseTile(job, scratch, rows), P_ODD_QUERIES);
  }
  startTerms(job, scratch, b, rows);
  if (load<usize>(job, CONTEXT_TABLE)) {
    startContext(job, scratch, b, rows);
    countKeys(job, scratch, b, g, rows, low, <i32>range);
  }
  return rows;
}

/** Adds the keys from … to − 1, as far as they are the tile's, to the states of its rows. */
function advance(job: usize, scratch: usize, from: i32, to: i32): void {
  const at = scratch + load<usize>(job, S_TILE);
  const low = load<i32>(at, P_LOW);
  const high = load<i32>(at, P_HIGH);
  const b = load<i32>(at, P_BATCH);
  const g = load<i32>(at, P_HEAD);
  const rows = load<i32>(at, P_ROWS);
  const width = outputWidth(job);
  const record = scratch + load<usize>(job, S_FOLD);
  const stop = min(high, to);
  for (let key = max(low, from); key < stop; ) {
    const end = min(high, key - (key % SPLIT) + SPLIT);
    keyBlocks(job, scratch, b, g, rows, key, end);
    // The first split's states wait in the records for those of the others; the last fold leaves their sum in the rows.
    if (key > low) foldStates(job, scratch, rows, record, width, end == high);
    else if (end < high) saveStates(job, scratch, rows, record, width);
    if (end < high) clearStates(job, scratch, rows, width);
    key = end;
  }
}

/** Divides, adds sinks and writes the rows of a tile. */
function finish(job: usize, scratch: usize): void {
  const at = scratch + load<usize>(job, S_TILE);
  const b = load<i32>(at, P_BATCH);
  const rows = load<i32>(at, P_ROWS);
  if (load<usize>(job, VALUE_TABLE)) {
    const s = scratch + load<usize>(job, S_SCORES);
    addValueTable(job, scratch, rows, s, scratch + load<usize>(job, S_OUT), outputWidth(job));
  }
  for (let r = 0; r < rows; r++) finishRow(job, scratch, b, r);
}

/** `attend` where each batch row has a job of its own, at ROWS_JOBS; all have the same tiles, ROWS_TILES a batch row. */
export function attendRows(list: usize, tile: i32, scratch: usize, step: i32): void {
  const b = tile / load<i32>(list, ROWS_TILES);
  attend(load<usize>(list + (<usize>b << 2), ROWS_JOBS), tile, scratch, step);
}

/** The job block whose tables the keys of a block meet. */
@inline function jobOf(call: usize, block: i32): usize {
  return block < load<i32>(call, EARLY_KEYS) ? load<usize>(call, EARLY) : call;
}

/** Most rows of a band that are computed one by one, not like four. */
const FEW = INTEGER ? 1 : 3;

/** Rows of the next band where `left` are: one or two at the end are a band of their own; three gain less than a band costs. */
@inline function bandOf(left: i32): i32 {
  if (left > BAND) return BAND;
  const few = left & 3;
  return left > few && few > 0 && few < min(FEW + 1, 3) ? left - few : left;
}

/** Whether all values of a key block are finite. */
const UNKNOWN = -1;
const NO = 0;
const YES = 1;

/** Takes the keys low … high − 1 block by block. */
function keyBlocks(call: usize, scratch: usize, b: i32, g: i32, rows: i32, low: i32, high: i32): void {
  for (let block = low - (low % KEY_BLOCK); block < high; block += KEY_BLOCK) {
    const job = jobOf(call, block);
    const from = max(block, low) & ~7;
    const end = min(block + KEY_BLOCK, high);
    if (load<usize>(job, MASK_ROWS) && !maskRows(job, scratch, b, rows, block, end)) continue;
    packBlock(job, scratch, b, g, block, from, end);
    keyTerms(job, scratch, block, from, end);
    let finite = UNKNOWN;
    for (let r = 0, n = 0; r < rows; r += n) {
      n = bandOf(rows - r);
      finite = processBand(job, scratch, b, r, n, block, from, end, finite);
    }
  }
}

/** The keys and values of a block in the order in which they are read. */
@inline function packBlock(job: usize, scratch: usize, b: i32, g: i32, block: i32, from: i32, end: i32): void {
  const odd = packKeys(job, scratch, b, g, block, from, end);
  if (INTEGER) {
    const at = scratch + load<usize>(job, S_TILE);
    store<i32>(at, odd, P_ODD_KEYS);
    store<i32>(at, packValues16(job, scratch, b, g, block, from, end), P_ODD_VALUES);
  } else packValues(job, scratch, b, g, block, from, end);
}

/** The content scores of a band against the panels that its groups see of the keys block … end − 1. */
@inline function contentOfBand(job: usize, scratch: usize, group: usize, r: i32, rows: i32, block: i32, end: i32): void {
  const D = load<i32>(job, DIM_D);
  const s = scratch + load<usize>(job, S_SCORES);
  const q = scratch + load<usize>(job, S_QUERIES) + (<usize>r * D << 2);
  const at = scratch + load<usize>(job, S_TILE);
  if (INTEGER) {
    const keys = scratch + load<usize>(job, S_KEYS);
    const wide = load<i32>(at, P_WIDE) != 0;
    const q16 = scratch + load<usize>(job, S_QUERIES16) + r * integersOf(D);
    const a = scratch + load<usize>(job, S_QUERY_SCALES) + (r << 2);
    const b = scratch + load<usize>(job, S_KEY_SCALES);
    const pairs = D + 1 >> 1;
    const inPlace = keys16InPlace(job, scratch), narrow = inPlace && load<i32>(job, K + T_TYPE) == Q8;
    for (let low = block, high = end; low < end; low = high) {
      if (inPlace) high = runEnd(job, low, end);
      const k16 = keys16Of(job, scratch, load<i32>(at, P_BATCH), load<i32>(at, P_HEAD), block, low) - (low - block) * keyBytes(pairs, narrow);
      if (rows == 1) scores16OfRow(group, q16, k16, s, a, b, block, low, high, pairs, wide, narrow);
      else scores16(group, rows + 3 >> 2, q16, k16, s, a, b, block, low, high, pairs, wide, narrow);
    }
    if (load<i32>(at, P_ODD_QUERIES) | load<i32>(at, P_ODD_KEYS)) mendScores(group, rows, q, keys, s, a, b, block, D);
    return;
  }
  const inPlace = keysInPlace(job);
  for (let low = block, high = end; low < end; low = high) {
    if (inPlace) high = runEnd(job, low, end);
    const keys = keysOf(job, scratch, load<i32>(at, P_BATCH), load<i32>(at, P_HEAD), block, low) - (<usize>((low - block) * D) << 2);
    if (rows <= FEW) scoresOfFew(group, rows, q, keys, s, block, low, high, D);
    else scores(group, rows + 3 >> 2, q, keys, s, block, low, high, D);
  }
}

/** True if the values of the keys from … end − 1 of a block are finite. */
function finiteValues(job: usize, scratch: usize, block: i32, from: i32, end: i32): bool {
  const at = scratch + load<usize>(job, S_TILE);
  const inPlace = valuesInPlace(job);
  const column = inPlace ? columnStep(job) : COLUMN;
  for (let to = end; from < end; from = to) {
    if (inPlace) to = runEnd(job, from, end);
    const v = valuesOf(job, scratch, load<i32>(at, P_BATCH), load<i32>(at, P_HEAD), block, from);
    if (!allFinite(v, column, outputWidth(job), 0, to - from)) return false;
  }
  return true;
}

/**
 * The outputs of a band over the keys low … high − 1. Those before `allFrom` and from `allTo` on are hidden from some row, which has
 * probability 0 there; 0·v is 0 if v is finite, which with `finite` all are.
 */
@inline function valuesOfBand(
  job: usize, scratch: usize, group: usize, r: i32, rows: i32, block: i32, low: i32, high: i32, allFrom: i32, allTo: i32, finite: bool,
): void {
  const at = scratch + load<usize>(job, S_TILE);
  const s = scratch + load<usize>(job, S_SCORES);
  const width = outputWidth(job);
  const o = scratch + load<usize>(job, S_OUT) + <usize>r * width;
  const inPlace = valuesInPlace(job);
  const column = inPlace ? columnStep(job) : COLUMN;
  for (let from = low, to = high; from < high; from = to) {
    if (inPlace) to = runEnd(job, from, high);
    const v = valuesOf(job, scratch, load<i32>(at, P_BATCH), load<i32>(at, P_HEAD), block, from) - (<usize>(from - block) << 5);
    if (
      finite ||
      (allFinite(v, column, width, from - block, min(allFrom, to) - block) &&
        allFinite(v, column, width, max(allTo, from) - block, to - block))
    ) {
      if (rows <= FEW) valuesOfFew(group, rows, s, v, column, block, from, to, o, width);
      else values(group, rows + 3 >> 2, s, v, column, block, from, to, o, width);
    } else valuesMasked(group, rows, s, v, column, block, from, to, o, width);
  }
}

/** The same of INT16. Runs are named where values would be packed. */
@inline function integersOfBand(job: usize, scratch: usize, group: usize, r: i32, rows: i32, block: i32): void {
  const at = scratch + load<usize>(job, S_TILE);
  const s = scratch + load<usize>(job, S_SCORES);
  const v = scratch + load<usize>(job, S_VALUES);
  const width = outputWidth(job);
  let o = scratch + load<usize>(job, S_OUT) + <usize>r * width;
  const wide = load<i32>(at, P_WIDE) != 0;
  if (!values16InPlace(job, scratch)) {
    if (rows == 1) values16OfRow(group, s, v, COLUMN16, block, o, width, wide);
    else values16(group, rows + 3 >> 2, s, v, COLUMN16, block, o, width, wide);
    return;
  }
  const narrow = load<i32>(job, V + T_TYPE) == Q8;
  for (let p = s; rows > 0; rows -= 4, group += R_SIZE, p += 4 * SCORES_ROW, o += 4 * width) {
    const from = load<i32>(group, R_FROM);
    const to = load<i32>(group, R_TO);
    if (from >= to) continue;
    const end = writeRuns(job, load<i32>(at, P_BATCH), load<i32>(at, P_HEAD), from, to, v);
    const line = p + (<usize>(from - block) << 1);
    if (narrow) values8OfRuns(group, rows, line, v, end, columnStep(job), o, width);
    else values16OfRuns(group, rows, line, v, end, columnStep(job), o, width);
  }
}

/** The scores of a band: content and terms. */
@inline function scoresOfBand(job: usize, scratch: usize, group: usize, b: i32, r: i32, rows: i32, block: i32, end: i32): void {
  contentOfBand(job, scratch, group, r, rows, block, end);
  addTerms(job, scratch, group, scratch + load<usize>(job, S_SCORES), b, r, rows, block);
}

/**
 * Contextual positions: from the last key that the tile sees, `high` − 1, back to the block of key `low`, what the blocks begin to count from.
 * A split counts the keys after it anew, so its bits are those of the whole.
 */
function countKeys(call: usize, scratch: usize, b: i32, g: i32, rows: i32, low: i32, high: i32): void {
  const masked = load<usize>(call, MASK_ROWS) != 0;
  let block = high - 1 - (high - 1) % KEY_BLOCK;
  startCounts(call, scratch, rows, block);
  for (; block > low && passCounts(call, scratch, rows, block); block -= KEY_BLOCK) {
    const job = jobOf(call, block);
    const end = min(block + KEY_BLOCK, high);
    if (masked) {
      rewindMask(job, scratch, b, rows);
      if (!maskRows(job, scratch, b, rows, block, end)) continue;
    }
    const odd = packKeys(job, scratch, b, g, block, block, end);
    if (INTEGER) store<i32>(scratch + load<usize>(job, S_TILE), odd, P_ODD_KEYS);
    keyTerms(job, scratch, block, block, end);
    for (let r = 0; r < rows; r += BAND) countBand(job, scratch, b, r, min(BAND, rows - r), block, end);
  }
  if (masked) rewindMask(call, scratch, b, rows);
}

/** A band of rows counts the keys block … end − 1. */
function countBand(job: usize, scratch: usize, b: i32, r: i32, rows: i32, block: i32, end: i32): void {
  const group = rowOf(job, scratch, r);
  const groups = rows + 3 >> 2;
  for (let n = 0, at = group; n < groups; n++, at += R_SIZE) rangeOf(at, liveOf(at, min(4, rows - 4 * n)), block, end);
  scoresOfBand(job, scratch, group, b, r, rows, block, end);
  const s = scratch + load<usize>(job, S_SCORES);
  for (let n = 0, at = group; n < groups; n++, at += R_SIZE) {
    const from = load<i32>(at, R_FROM);
    const keys = load<i32>(at, R_TO) - from;
    if (keys <= 0) continue;
    const line = s + 4 * n * SCORES_ROW + (<usize>(from - block) << 2);
    const row = r + 4 * n;
    const live = liveOf(at, min(4, rows - 4 * n));
    countGates(job, scratch, at, row, live, line, b, block, from, keys);
  }
}

/**
 * A band of rows meets the keys block … end − 1, of which those from `start` on are packed. `finite`: what is known of their values; returns
 * what is known after.
 */
function processBand(
  job: usize, scratch: usize, b: i32, r: i32, rows: i32, block: i32, start: i32, end: i32, finite: i32,
): i32 {
  const group = rowOf(job, scratch, r);
  const groups = rows + 3 >> 2;
  let low = end; // Keys that some row sees …
  let high = block;
  let allFrom = block; // … and that all rows see of those groups that see any.
  let allTo = end;
  for (let n = 0, at = group; n < groups; n++, at += R_SIZE) {
    rangeOf(at, liveOf(at, min(4, rows - 4 * n)), block, end);
    if (load<i32>(at, R_FROM) >= load<i32>(at, R_TO)) continue;
    low = min(low, load<i32>(at, R_FROM));
    high = max(high, load<i32>(at, R_TO));
    allFrom = max(allFrom, load<i32>(at, R_ALL_FROM));
    allTo = min(allTo, load<i32>(at, R_ALL_TO));
  }
  if (low >= high) return finite;
  const s = scratch + load<usize>(job, S_SCORES);
  const width = outputWidth(job);
  const o = scratch + load<usize>(job, S_OUT) + <usize>r * width;
  if (load<i32>(job, BIAS_COUNT)) touchBiases(job, group, rows, b, low, high - low, scratch + load<usize>(job, S_LINE));
  scoresOfBand(job, scratch, group, b, r, rows, block, end);
  const mark = load<i32>(job, MARK) != 0;
  let marked = false;
  for (let n = 0, at = group; n < groups; n++, at += R_SIZE) {
    const from = load<i32>(at, R_FROM);
    const keys = load<i32>(at, R_TO) - from;
    if (keys <= 0) continue;
    const line = s + 4 * n * SCORES_ROW + (<usize>(from - block) << 2);
    const row = r + 4 * n;
    const live = liveOf(at, min(4, rows - 4 * n));
    adjust(job, scratch, at, row, live, line, b, block, from, keys);
    const scales = INTEGER ? scratch + load<usize>(job, S_VALUE_SCALES) + (<usize>(from - block) << 2) : 0;
    const table = load<usize>(job, VALUE_TABLE) != 0;
    const whole = !INTEGER || table || load<i32>(scratch + load<usize>(job, S_TILE), P_ODD_VALUES) != 0;
    if (softmax(at, line, keys + 7 & ~7, from, live, mark, scales, whole)) marked = true;
    if (table) addWeights(job, scratch, at, line, b, row, live, from, keys);
    if (INTEGER) {
      const to = line - (<usize>(from - block) << 1);
      weights16(job, scratch, at, live, line, to, scales, keys + 7 & ~7, from, o + 4 * n * width, width, whole);
    }
  }
  if (INTEGER) {
    integersOfBand(job, scratch, group, r, rows, block);
    return finite;
  }
  // Marks may stand anywhere, so that one look at the whole block serves all bands.
  if (marked) {
    allFrom = high;
    if (finite == UNKNOWN) finite = finiteValues(job, scratch, block, start, end) ? YES : NO;
  }
  valuesOfBand(job, scratch, group, r, rows, block, low, high, allFrom, allTo, finite == YES);
  return finite;
}
