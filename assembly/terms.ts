// Scores against tables of relative positions: (qᵢ + w_h)·R[ρ(i, j)] and kⱼ·R[ρ(i, j)] (Shaw, Transformer-XL, XLNet, DeBERTa, SAM …).
//
// Where ρ depends on the offset j − i, the host expands the table to one row per offset, and the term becomes one more matrix product
// (offsets.ts). Queries meet panels of eight offsets, as they meet panels of keys: four neighbouring queries and 192 keys have 195 offsets,
// in 25 panels for 24 of keys. The sixteen queries of a band meet each panel together, so that it is read from L1 by all groups but the
// first, and the sums are added to the scores askew, one key further right for each query.
//
// For the key side the roles turn: rows of the table take the place of queries, C[o][l] = R[o]·k(j + l) for the eight keys of a panel and all
// offsets o that the tile's queries meet there (5 % more than needed at 192 queries), and the scores are read off along its diagonals.
//
// Where the table is short or ρ is no function of the offset, T = (q + w)·Rᵀ holds all rows of the table, once per tile, and is read
// through a map.
//
// Attempts that lost: the 195 offsets of a group by themselves, its product stored and added row by row (3 % of a call more, 52 for 49 %); keys
// lane by lane against rows of the table that lie beside one another, each meeting its own row: as many products as there are scores and
// no diagonals, but ten loads a step for six, all of which V8 takes first, so that two sums spill (151 % for both terms of DeBERTa on
// Node 20 where the diagonals take 102; 109 for 102 on Node 24).

import {
  DIM_D, DIM_G, DIM_H, E_BIAS, E_FIRST, E_HEAD, E_INDEX, E_INDEX_BATCH, E_INDEX_ROW, E_KIND, E_MAP, E_QUERIES, E_ROWS, E_SCALE,
  E_SCORES, E_SIZE, E_SUM_BATCH, E_SUM_ROWS, E_TABLE, E_WINDOW, KEY_BLOCK, KEY_OFFSET, P_BATCH, P_COUNT, P_FIRST, P_HEAD, QUERY_INDEX, QUERY_OFFSET,
  R_FROM, R_HEAD, R_QUERY, R_SCALE, R_SIZE, R_TO, SCORES_ROW, S_ROWS, S_TILE, S_WEIGHTS, TERMS, TERM_COUNT, VALUE_HEAD, VALUE_INDEX,
  VALUE_INDEX_BATCH, VALUE_INDEX_ROW, VALUE_ROWS, VALUE_TABLE,
} from './job';
import { addDiagonals, skewed4x8 } from './offsets';
import { packRows } from './pack';
import { keysOf } from './panels';
import { liveOf } from './rows';
import { scores4x8 } from './scores';
import { addLookup } from './softmax';
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

/** For each key block: C of every key term for the tile's heads and the keys from … end − 1, of which panel 0 holds `block`. */
export function keyTerms(job: usize, scratch: usize, block: i32, from: i32, end: i32): void {
  const tile = scratch + load<usize>(job, S_TILE);
  const heads = load<i32>(job, DIM_H) / load<i32>(job, DIM_G);
  let entry = load<usize>(job, TERMS);
  for (let left = load<i32>(job, TERM_COUNT); left > 0; left--, entry += E_SIZE) {
    if (load<i32>(entry, E_KIND) != KEY_OFFSET) continue;
    let table = load<usize>(entry, E_TABLE) + load<i32>(tile, P_HEAD) * heads * load<i32>(entry, E_HEAD);
    for (let h = 0; h < heads; h++, table += load<i32>(entry, E_HEAD)) {
      for (let j = from; j < end; j += 8) keyPanel(job, entry, scratch, table, tile, h, block, j);
    }
  }
}

/** C[o][l] = R[o]·k(j + l) for one panel and the offsets at which the tile's queries meet it. */
@inline function keyPanel(job: usize, entry: usize, scratch: usize, table: usize, tile: usize, h: i32, block: i32, j: i32): void {
  const D = load<i32>(job, DIM_D);
  const panel = keysOf(job, scratch, load<i32>(tile, P_BATCH), load<i32>(tile, P_HEAD), block, j);
  const window = windowOf(entry, tile, j);
  const last = j + 7 - load<i32>(tile, P_FIRST) - load<i32>(entry, E_FIRST);
  const to = panelOf(entry, scratch, h, block, j);
  scores4x8(table + (<usize>window * D << 2), panel, to, D, 32, (last - window >> 2) + 1);
}

/** First table row that panel j meets, a multiple of 4: at the last of the tile's queries, whose last group is taken for whole. */
@inline function windowOf(entry: usize, tile: usize, j: i32): i32 {
  const last = load<i32>(tile, P_FIRST) + (load<i32>(tile, P_COUNT) + 3 & ~3) - 1;
  return (j - last - load<i32>(entry, E_FIRST)) & ~3;
}

@inline function panelOf(entry: usize, scratch: usize, h: i32, block: i32, j: i32): usize {
  const panel = h * (KEY_BLOCK >> 3) + ((j - block) >> 3);
  return scratch + load<usize>(entry, E_SCORES) + (<usize>(panel * load<i32>(entry, E_WINDOW)) << 5);
}

/**
 * Adds all terms, one after the other, to the scores of a band at the keys that its groups see. `s`: the band's scores from key `block` on;
 * r: the number of its first row in the tile, `rows` its rows.
 */
export function addTerms(job: usize, scratch: usize, group: usize, s: usize, b: i32, r: i32, rows: i32, block: i32): void {
  const groups = rows + 3 >> 2;
  let entry = load<usize>(job, TERMS);
  for (let left = load<i32>(job, TERM_COUNT); left > 0; left--, entry += E_SIZE) {
    const kind = load<i32>(entry, E_KIND);
    if (kind == QUERY_OFFSET) {
      addQueryOffset(job, entry, scratch, group, groups, s, r, block);
      continue;
    }
    for (let n = 0, at = group, line = s; n < groups; n++, at += R_SIZE, line += 4 * SCORES_ROW) {
      const from = load<i32>(at, R_FROM);
      const keys = load<i32>(at, R_TO) - from;
      if (keys <= 0) continue;
      const first = line + (<usize>(from - block) << 2);
      if (kind == KEY_OFFSET) addKeyOffset(job, entry, scratch, at, first, block, from, keys);
      else addQueryIndex(entry, scratch, at, first, b, r + 4 * n, liveOf(at, min(4, rows - 4 * n)), from, keys);
    }
  }
}

/** True if a group meets one of the offsets p … p + 7, counted from `first`. */
@inline function meets(group: usize, p: i32, first: i32): bool {
  const at = p + load<i32>(group, R_QUERY) + first; // the key that its first query meets at offset p
  const from = load<i32>(group, R_FROM);
  return from < load<i32>(group, R_TO) && at + 10 >= from && at < load<i32>(group, R_TO);
}

/** A band against the panels of a table that each group meets, panel by panel; groups of queries that follow one another go together. */
@inline function addQueryOffset(
  job: usize, entry: usize, scratch: usize, group: usize, groups: i32, s: usize, r: i32, block: i32,
): void {
  const D = load<i32>(job, DIM_D);
  const first = load<i32>(entry, E_FIRST);
  const size = <usize>D << 4; // bytes of a group's queries
  let q = scratch + load<usize>(entry, E_QUERIES) + (<usize>r * D << 2);
  for (let n = 0; n < groups; ) {
    const i = load<i32>(group, R_QUERY);
    let run = 1;
    while (n + run < groups && load<i32>(group + run * R_SIZE, R_QUERY) == i + 4 * run) run++;
    let low = i32.MAX_VALUE;
    let high = i32.MIN_VALUE;
    for (let m = 0, at = group; m < run; m++, at += R_SIZE) {
      if (load<i32>(at, R_FROM) >= load<i32>(at, R_TO)) continue;
      low = min(low, load<i32>(at, R_FROM) - load<i32>(at, R_QUERY) - 3);
      high = max(high, load<i32>(at, R_TO) - load<i32>(at, R_QUERY));
    }
    const table = tableOf(entry, group);
    const end = low < high ? high - first : i32.MIN_VALUE;
    for (let p = (low - first) & ~7; p < end; p += 8) {
      const panel = table + (<usize>p * D << 2);
      // Where the run's first query meets the panel's first row.
      const line = s + (<usize>(p + i + first - block) << 2);
      for (let m = 0; m < run; m++) {
        const start = m;
        while (m < run && meets(group + m * R_SIZE, p, first)) m++;
        if (m > start) skewed4x8(q + <usize>start * size, panel, line + 4 * start * (SCORES_ROW + 4), D, m - start);
      }
    }
    n += run;
    q += <usize>run * size;
    group += run * R_SIZE;
    s += 4 * run * SCORES_ROW;
  }
}

/** Reads a group's scores off the diagonals of C; s: its scores from key `from` on. */
@inline function addKeyOffset(
  job: usize, entry: usize, scratch: usize, group: usize, s: usize, block: i32, from: i32, keys: i32,
): void {
  const tile = scratch + load<usize>(job, S_TILE);
  const h = load<i32>(group, R_HEAD) - load<i32>(tile, P_HEAD) * (load<i32>(job, DIM_H) / load<i32>(job, DIM_G));
  const by = f32x4.splat(load<f32>(entry, E_SCALE));
  const last = load<i32>(group, R_QUERY) + 3;
  for (let j = from; j < from + keys; j += 8, s += 32) {
    const at = j - last - load<i32>(entry, E_FIRST) - windowOf(entry, tile, j);
    addDiagonals(s, panelOf(entry, scratch, h, block, j) + (<usize>at << 5), by);
  }
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
