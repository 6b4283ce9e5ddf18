// Scores against tables of relative positions: (qᵢ + w_h)·R[ρ(i, j)] and kⱼ·R[ρ(i, j)] (Shaw, Transformer-XL, XLNet, DeBERTa, SAM …).
//
// Where ρ depends on the offset j − i, the host expands the table to one row per offset, and the term becomes one more matrix product
// against a window of rows: four neighbouring queries meet 192 keys at 195 offsets, so the window costs 5 % more than the content score.
// Its columns are then added askew, one offset further left per query:
//
//     s[r][x] += T[r][x + first key − position(r) − window]              T = (q + w)·Rᵀ, contiguous in x
//
// For the key side the roles turn: rows of the table take the place of queries, C[o][j] = R[o]·kⱼ for the eight keys of a panel and all
// offsets o that the tile's queries meet there (5 % more than needed at 192 queries); key l of the panel is read at C[j0 + l − i][l].
//
// Where the table is short or ρ is no function of the offset, T holds all rows of the table, once per tile, and is read through a map.

import {
  DIM_D, E_BIAS, E_FIRST, E_HEAD, E_INDEX, E_INDEX_BATCH, E_INDEX_ROW, E_KIND, E_MAP, E_QUERIES, E_ROWS, E_SCALE, E_SCORES, E_SIZE,
  E_SUM_BATCH, E_SUM_ROWS, E_TABLE, E_WINDOW, KEY_BLOCK, KEY_OFFSET, QUERY_INDEX, R_HEAD, R_QUERY, R_SIZE, SCORES_ROW,
  S_KEYS, S_ROWS, S_WEIGHTS, TERMS, TERM_COUNT, VALUE_HEAD, VALUE_INDEX, VALUE_INDEX_BATCH, VALUE_INDEX_ROW, VALUE_ROWS, VALUE_TABLE,
  R_SCALE, R_FROM, R_TO,
} from './job';
import { packRows } from './pack';
import { scores4x8 } from './scores';
import { addLookup, addRow } from './softmax';
import { COLUMN, values4x8 } from './values';

/** Before the first key block: packs each query term's own queries, and fills T where it holds the whole table. */
export function startTerms(job: usize, scratch: usize, b: i32, rows: i32): void {
  let entry = load<usize>(job, TERMS);
  for (let left = load<i32>(job, TERM_COUNT); left > 0; left--, entry += E_SIZE) {
    const kind = load<i32>(entry, E_KIND);
    if (kind == KEY_OFFSET) continue;
    packRows(job, scratch, b, rows, load<f32>(entry, E_SCALE), 0, load<usize>(entry, E_BIAS), scratch + load<usize>(entry, E_QUERIES));
    if (kind == QUERY_INDEX) {
      wholeTable(
        job, scratch, rows, scratch + load<usize>(entry, E_QUERIES), load<usize>(entry, E_TABLE), load<i32>(entry, E_HEAD),
        load<i32>(entry, E_ROWS), scratch + load<usize>(entry, E_SCORES),
      );
    }
  }
}

/** T[r][p] of the tile's packed queries for all `size` rows p of a packed table, whose heads are `head` bytes apart. */
export function wholeTable(job: usize, scratch: usize, rows: i32, q: usize, table: usize, head: i32, size: i32, to: usize): void {
  const D = load<i32>(job, DIM_D);
  const width = <usize>size << 2;
  for (let r = 0; r < rows; r += 4, q += <usize>D << 4, to += width << 2) {
    const own = table + load<i32>(groupOf(job, scratch, r), R_HEAD) * head;
    for (let p = 0; p < size; p += 8) scores4x8(q, own + (<usize>p * D << 2), to + (<usize>p << 2), D, width, 1);
  }
}

/** The fields of the group that row r opens. */
@inline function groupOf(job: usize, scratch: usize, r: i32): usize {
  return scratch + load<usize>(job, S_ROWS) + (r >> 2) * R_SIZE;
}

/** The table of a group's head. With terms, no group lies in two heads, and its queries follow one another. */
@inline function tableOf(entry: usize, group: usize): usize {
  return load<usize>(entry, E_TABLE) + load<i32>(group, R_HEAD) * load<i32>(entry, E_HEAD);
}

/**
 * For each key block: C of every key term, for the `heads` heads from `head` on, the positions first … first + count − 1, and the keys
 * from … end − 1 (`from` a multiple of 8, panel 0 holds `block`).
 */
export function keyTerms(
  job: usize, scratch: usize, head: i32, heads: i32, first: i32, count: i32, block: i32, from: i32, end: i32,
): void {
  let entry = load<usize>(job, TERMS);
  for (let left = load<i32>(job, TERM_COUNT); left > 0; left--, entry += E_SIZE) {
    if (load<i32>(entry, E_KIND) != KEY_OFFSET) continue;
    for (let h = 0; h < heads; h++) {
      const table = load<usize>(entry, E_TABLE) + (head + h) * load<i32>(entry, E_HEAD);
      for (let j = from; j < end; j += 8) keyPanel(job, entry, scratch, table, h, first, count, block, j);
    }
  }
}

/** C[o][l] = R[o]·k(j + l) for one panel and the offsets at which the tile's queries meet it. */
@inline function keyPanel(
  job: usize, entry: usize, scratch: usize, table: usize, h: i32, first: i32, count: i32, block: i32, j: i32,
): void {
  const D = load<i32>(job, DIM_D);
  const panel = scratch + load<usize>(job, S_KEYS) + (<usize>(j - block) * D << 2);
  const window = windowOf(entry, first, count, j);
  const last = j + 7 - first - load<i32>(entry, E_FIRST);
  const to = panelOf(entry, scratch, h, block, j);
  scores4x8(table + (<usize>window * D << 2), panel, to, D, 32, (last - window >> 2) + 1);
}

/** First table row that panel j meets, a multiple of 4. */
@inline function windowOf(entry: usize, first: i32, count: i32, j: i32): i32 {
  return (j - (first + count - 1) - load<i32>(entry, E_FIRST)) & ~3;
}

@inline function panelOf(entry: usize, scratch: usize, h: i32, block: i32, j: i32): usize {
  const panel = h * (KEY_BLOCK >> 3) + ((j - block) >> 3);
  return scratch + load<usize>(entry, E_SCORES) + (<usize>(panel * load<i32>(entry, E_WINDOW)) << 5);
}

/**
 * Adds all terms to a group's scores at the keys from … from + keys − 1. `row` is the number of its first row in the tile, whose head is
 * the h-th; the tile's positions are first … first + count − 1.
 */
export function addTerms(
  job: usize, scratch: usize, group: usize, s: usize, b: i32, row: i32, live: i32, h: i32, first: i32, count: i32, block: i32, from: i32,
  keys: i32,
): void {
  let entry = load<usize>(job, TERMS);
  for (let left = load<i32>(job, TERM_COUNT); left > 0; left--, entry += E_SIZE) {
    const kind = load<i32>(entry, E_KIND);
    if (kind == KEY_OFFSET) addKeyOffset(entry, scratch, group, s, live, h, first, count, block, from, keys);
    else if (kind == QUERY_INDEX) addQueryIndex(entry, scratch, group, s, b, row, live, from, keys);
    else addQueryOffset(job, entry, scratch, group, s, row, live, from, keys);
  }
}

@inline function addQueryOffset(
  job: usize, entry: usize, scratch: usize, group: usize, s: usize, row: i32, live: i32, from: i32, keys: i32,
): void {
  const D = load<i32>(job, DIM_D);
  const q = scratch + load<usize>(entry, E_QUERIES) + (<usize>row * D << 2);
  const t = scratch + load<usize>(entry, E_SCORES);
  // Row of the table at the first key, for the group's first query; the last of four stands three further left.
  const start = from - load<i32>(group, R_QUERY) - load<i32>(entry, E_FIRST);
  const window = (start - 3) & ~7;
  const table = tableOf(entry, group);
  for (let p = window; p < start + keys; p += 8) {
    scores4x8(q, table + (<usize>p * D << 2), t + (<usize>(p - window) << 2), D, SCORES_ROW, 1);
  }
  for (let x = 0; x < live; x++) addRow(s + x * SCORES_ROW, t + x * SCORES_ROW + (<usize>(start - x - window) << 2), keys, 1);
}

@inline function addQueryIndex(
  entry: usize, scratch: usize, group: usize, s: usize, b: i32, row: i32, live: i32, from: i32, keys: i32,
): void {
  const width = <usize>load<i32>(entry, E_ROWS) << 2;
  const t = scratch + load<usize>(entry, E_SCORES) + <usize>row * width;
  const columns = load<usize>(entry, E_INDEX) + b * load<i32>(entry, E_INDEX_BATCH) + (from << 2);
  const sums = load<usize>(entry, E_SUM_ROWS);
  const rows = sums ? sums + b * load<i32>(entry, E_SUM_BATCH) : 0;
  const stride = load<i32>(entry, E_INDEX_ROW);
  for (let x = 0; x < live; x++) {
    const i = load<i32>(group + (x << 2), R_QUERY);
    addLookup(s + x * SCORES_ROW, t + <usize>x * width, columns + i * stride, rows, load<usize>(entry, E_MAP), i, keys, 1);
  }
}

@inline function addKeyOffset(
  entry: usize, scratch: usize, group: usize, s: usize, live: i32, h: i32, first: i32, count: i32, block: i32, from: i32, keys: i32,
): void {
  const scale = f32x4.splat(load<f32>(entry, E_SCALE));
  for (let j = from; j < from + keys; j += 8) {
    const panel = panelOf(entry, scratch, h, block, j);
    const start = j - load<i32>(entry, E_FIRST) - windowOf(entry, first, count, j);
    for (let x = 0; x < live; x++) {
      // Key l meets offset j + l − i: one row of eight and one lane further for each key.
      const c = panel + (<usize>(start - load<i32>(group + (x << 2), R_QUERY)) << 5);
      const to = s + x * SCORES_ROW + (<usize>(j - from) << 2);
      let low = v128.load32_zero(c);
      low = v128.load_lane<f32>(c, low, 1, 36);
      low = v128.load_lane<f32>(c, low, 2, 72);
      low = v128.load_lane<f32>(c, low, 3, 108);
      let high = v128.load32_zero(c, 144);
      high = v128.load_lane<f32>(c, high, 1, 180);
      high = v128.load_lane<f32>(c, high, 2, 216);
      high = v128.load_lane<f32>(c, high, 3, 252);
      v128.store(to, f32x4.add(v128.load(to), f32x4.mul(scale, low)));
      v128.store(to, f32x4.add(v128.load(to, 16), f32x4.mul(scale, high)), 16);
    }
  }
}

/**
 * Sums a group's probabilities by row of the value table: w(r, ρ(i, j)) ← c·w + p. Masked keys have p = −0, which changes nothing.
 */
export function addWeights(job: usize, scratch: usize, group: usize, p: usize, b: i32, row: i32, live: i32, from: i32, keys: i32): void {
  const width = <usize>load<i32>(job, VALUE_ROWS) << 2;
  let w = scratch + load<usize>(job, S_WEIGHTS) + <usize>row * width;
  const map = load<usize>(job, VALUE_INDEX) + b * load<i32>(job, VALUE_INDEX_BATCH) + (from << 2);
  for (let x = 0; x < live; x++, w += width, p += SCORES_ROW) {
    const c = v128.load32_splat(group + (x << 2), R_SCALE);
    for (let at = w; at < w + width; at += 16) v128.store(at, f32x4.mul(v128.load(at), c));
    const index = map + load<i32>(group + (x << 2), R_QUERY) * load<i32>(job, VALUE_INDEX_ROW);
    for (let j: usize = 0; j < <usize>keys << 2; j += 4) {
      const to = w + (load<u32>(index + j) << 2);
      store<f32>(to, load<f32>(to) + load<f32>(p + j));
    }
  }
}

/** After the last key block: o(r) += w(r)·table, the table's rows taken like one more run of values. `s` is free room for a band. */
export function addValueTable(job: usize, scratch: usize, rows: i32, s: usize, o: usize, width: usize): void {
  const size = load<i32>(job, VALUE_ROWS);
  const bytes = <usize>size << 2;
  for (let r = 0; r < rows; r += 4) {
    const w = scratch + load<usize>(job, S_WEIGHTS) + <usize>r * bytes;
    const group = groupOf(job, scratch, r);
    let v = load<usize>(job, VALUE_TABLE) + load<i32>(group, R_HEAD) * load<i32>(job, VALUE_HEAD);
    v128.store(group, f32x4.splat(1), R_SCALE);
    store<i32>(group, 0, R_FROM);
    store<i32>(group, KEY_BLOCK, R_TO);
    for (let p = 0; p < size; p += KEY_BLOCK) {
      for (let x: usize = 0; x < 4; x++) memory.copy(s + x * SCORES_ROW, w + x * bytes + (<usize>p << 2), KEY_BLOCK << 2);
      for (let e: usize = 0; e < width; e += 32, v += COLUMN) {
        values4x8(group, 1, s, v, 0, 0, KEY_BLOCK, o + <usize>r * width + e, width);
      }
    }
  }
}
