// The rows of a tile: which query and head each is, and which keys it sees, in all and in one key block.

import {
  DIM_E, DIM_G, DIM_H, DIM_S, FIRST, KEY_LENGTHS, LAST, MASK_BATCH, MASK_PAIRS, MASK_ROWS, R_ALL_FROM, R_ALL_TO, R_CURSOR,
  R_FIRST, R_FROM, R_HEAD, R_HIGH, R_LAST, R_LOW, R_MAX, R_QUERY, R_SIZE, R_TO, S_OUT, S_ROWS, S_WEIGHTS, VALUE_ROWS,
  VALUE_TABLE,
} from './job';

/**
 * Sets up every row: row r is query first + r mod step of the tile's head r / step, and dead (query −1) if that is not one of `count`.
 * Returns the keys that some row sees, first << 32 | end (equal when there are none).
 */
export function startRows(job: usize, scratch: usize, b: i32, g: i32, first: i32, count: i32, step: i32, rows: i32): u64 {
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
  let low = keys;
  let high = 0;
  let within = 0; // r mod step
  let h = g * shared; // … and the head
  for (let r = 0; r < <i32>(groups << 2); r++) {
    const row = rowOf(job, scratch, r);
    const i = first + within;
    const dead = r >= rows || within >= count;
    store<i32>(row, dead ? -1 : i, R_QUERY);
    const head = h;
    if (++within == step) within = 0, h++;
    if (dead) continue;
    store<i32>(row, head, R_HEAD);
    let from = max(i + load<i32>(job, FIRST), 0);
    let to = max(min(i + load<i32>(job, LAST) + 1, keys), from);
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
export function maskRows(job: usize, scratch: usize, b: i32, rows: i32, block: i32, end: i32): bool {
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

/** Lets `maskRows` begin with any block again. */
export function rewindMask(job: usize, scratch: usize, b: i32, rows: i32): void {
  const first = load<usize>(job, MASK_ROWS) + b * load<i32>(job, MASK_BATCH);
  for (let r = 0; r < rows; r++) {
    const row = rowOf(job, scratch, r);
    const i = load<i32>(row, R_QUERY);
    if (i >= 0) store<i32>(row, load<i32>(first + (i << 2)), R_CURSOR);
  }
}

/** Writes −Infinity between the intervals of a row; s stands for the keys from … from + keys − 1. */
export function punchHoles(job: usize, row: usize, s: usize, b: i32, from: i32, keys: i32): void {
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
@inline export function rowOf(job: usize, scratch: usize, r: i32): usize {
  return scratch + load<usize>(job, S_ROWS) + (r >> 2) * R_SIZE + ((r & 3) << 2);
}

/** Bytes of a row of E' floats. */
@inline export function outputWidth(job: usize): usize {
  return <usize>(load<i32>(job, DIM_E) + 7 & ~7) << 2;
}

/** Rows of a group that are not dead; these come first. */
@inline export function liveOf(group: usize, rows: i32): i32 {
  let live = 0;
  while (live < rows && load<i32>(group + (live << 2), R_QUERY) >= 0) live++;
  return live;
}

/** Sets the keys of block … end − 1 that some, and that all, of the group's `live` rows see. */
@inline export function rangeOf(group: usize, live: i32, block: i32, end: i32): void {
  let low = end;
  let high = block;
  let last = block;
  let first = end;
  for (let r = 0; r < live; r++) {
    const from = max(load<i32>(group + (r << 2), R_LOW), block);
    const to = min(load<i32>(group + (r << 2), R_HIGH), end);
    last = max(last, min(from, end));
    first = min(first, max(to, block));
    if (from >= to) continue;
    low = min(low, from);
    high = max(high, to);
  }
  store<i32>(group, low & ~7, R_FROM);
  store<i32>(group, high, R_TO);
  store<i32>(group, last, R_ALL_FROM);
  store<i32>(group, first, R_ALL_TO);
}

/** True if some row of a group sees key j, or those between as rangeOf has it. */
@inline export function groupSees(group: usize, j: i32): bool {
  return j >= load<i32>(group, R_FROM) && j < load<i32>(group, R_TO);
}

/** The keys low … high − 1 as far as the groups of a band see them, from << 32 | to. */
export function bandSees(group: usize, groups: i32, low: i32, high: i32): u64 {
  let from = i32.MAX_VALUE;
  let to = 0;
  for (let n = 0; n < groups; n++, group += R_SIZE) {
    from = min(from, load<i32>(group, R_FROM));
    to = max(to, load<i32>(group, R_TO));
  }
  return (<u64>max(from, low) << 32) | min(to, high);
}
