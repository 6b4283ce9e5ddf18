// Softmax states over runs of keys, and how two of them become one.
//
// The keys of a row are taken in splits of SPLIT. Each begins a state anew: m, l and o of softmax.ts (and w, the weights of a value table).
// States fold from the left, in the order of the splits:
//
//   m' = max(M, m)    L ← exp(M − m')·L + exp(m − m')·l    O, W likewise
//
// so that a row has the same bits whether one thread takes all splits or each split is a tile of its own. A state with l = 0 saw no key and
// is passed over. A record is a state in memory: m at 0, l at 16, o from 32 on, then w.

import { R_MAX, R_SIZE, R_SUM, S_OUT, S_ROWS, S_WEIGHTS, VALUE_ROWS, VALUE_TABLE } from './job';
import { exp } from './exp';

const HEADER: usize = 32;

/** Bytes of the weights of a row, 0 without a value table. */
@inline function weightBytes(job: usize): usize {
  return load<usize>(job, VALUE_TABLE) ? <usize>load<i32>(job, VALUE_ROWS) << 2 : 0;
}

/** Bytes of a record; `width` is that of an output row. */
@inline export function recordBytes(job: usize, width: usize): usize {
  return HEADER + width + weightBytes(job);
}

/** m of row r of the tile; l is 16 bytes further. */
@inline function headOf(job: usize, scratch: usize, r: i32): usize {
  return scratch + load<usize>(job, S_ROWS) + (r >> 2) * R_SIZE + ((r & 3) << 2) + R_MAX;
}

@inline function outOf(job: usize, scratch: usize, r: i32, width: usize): usize {
  return scratch + load<usize>(job, S_OUT) + <usize>r * width;
}

@inline function weightsOf(job: usize, scratch: usize, r: i32): usize {
  return scratch + load<usize>(job, S_WEIGHTS) + <usize>r * weightBytes(job);
}

/** x ← a·x + c·y. */
@inline function blend(x: usize, y: usize, bytes: usize, a: f32, c: f32): void {
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(x + at, f32x4.add(f32x4.mul(f32x4.splat(a), v128.load(x + at)), f32x4.mul(f32x4.splat(c), v128.load(y + at))));
  }
}

/** Copies the states of the tile's rows to records. */
export function saveStates(job: usize, scratch: usize, rows: i32, record: usize, width: usize): void {
  const size = weightBytes(job);
  for (let r = 0; r < rows; r++, record += HEADER + width + size) {
    const head = headOf(job, scratch, r);
    store<f32>(record, load<f32>(head));
    store<f32>(record, load<f32>(head, R_SUM - R_MAX), 16);
    memory.copy(record + HEADER, outOf(job, scratch, r, width), width);
    if (size) memory.copy(record + HEADER + width, weightsOf(job, scratch, r), size);
  }
}

/** Copies records back to the tile's rows. */
export function loadStates(job: usize, scratch: usize, rows: i32, record: usize, width: usize): void {
  const size = weightBytes(job);
  for (let r = 0; r < rows; r++, record += HEADER + width + size) {
    const head = headOf(job, scratch, r);
    store<f32>(head, load<f32>(record));
    store<f32>(head, load<f32>(record, 16), R_SUM - R_MAX);
    memory.copy(outOf(job, scratch, r, width), record + HEADER, width);
    if (size) memory.copy(weightsOf(job, scratch, r), record + HEADER + width, size);
  }
}

/** Begins the states of the tile's rows anew. */
export function clearStates(job: usize, scratch: usize, rows: i32, width: usize): void {
  const size = weightBytes(job);
  for (let r = 0; r < rows; r++) {
    const head = headOf(job, scratch, r);
    store<f32>(head, -Infinity);
    store<f32>(head, 0, R_SUM - R_MAX);
    memory.fill(outOf(job, scratch, r, width), 0, width);
    if (size) memory.fill(weightsOf(job, scratch, r), 0, size);
  }
}

/** Folds the states of the tile's rows, those of later keys, into records. */
export function foldStates(job: usize, scratch: usize, rows: i32, record: usize, width: usize): void {
  const size = weightBytes(job);
  for (let r = 0; r < rows; r++, record += HEADER + width + size) {
    const head = headOf(job, scratch, r);
    foldState(record, head, outOf(job, scratch, r, width), width, size ? weightsOf(job, scratch, r) : 0, size);
  }
}

@inline function foldState(record: usize, head: usize, o: usize, width: usize, w: usize, size: usize): void {
  const m = load<f32>(head);
  const l = load<f32>(head, R_SUM - R_MAX);
  const M = load<f32>(record);
  const L = load<f32>(record, 16);
  if (l == 0) return;
  if (L == 0) {
    store<f32>(record, m);
    store<f32>(record, l, 16);
    memory.copy(record + HEADER, o, width);
    if (size) memory.copy(record + HEADER + width, w, size);
    return;
  }
  const top = M < m ? m : M;
  const a = exp(M - top);
  const c = exp(m - top);
  store<f32>(record, top);
  store<f32>(record, a * L + c * l, 16);
  blend(record + HEADER, o, width, a, c);
  if (size) blend(record + HEADER + width, w, size, a, c);
}
