// Softmax states over runs of keys, and how two of them become one.
//
// The keys of a row are taken in splits of SPLIT. Each begins a state anew: m, l and o of softmax.ts (and w, the weights of a value table).
// States fold from the left, in the order of the splits:
//
//   m' = max(M, m)    L ← exp(M − m')·L + exp(m − m')·l    O, W likewise
//
// so that a row has the same bits whether one thread takes all splits or each split is a tile of its own. A state with l = 0 saw no key and
// is passed over. A record is a state in memory: m at 0, l at 16, o from 32 on, then w.

import { RECORD_HEADER, R_MAX, R_SIZE, R_SUM, S_OUT, S_ROWS, S_WEIGHTS, VALUE_ROWS, VALUE_TABLE } from './job';
import { exp } from './exp';

/** Bytes of the weights of a row, 0 without a value table. */
@inline function weightBytes(job: usize): usize {
  return load<usize>(job, VALUE_TABLE) ? <usize>load<i32>(job, VALUE_ROWS) << 2 : 0;
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

/** to ← a·x + c·y. */
@inline function blend(to: usize, x: usize, y: usize, bytes: usize, a: f32, c: f32): void {
  for (let at: usize = 0; at < bytes; at += 16) {
    v128.store(to + at, f32x4.add(f32x4.mul(f32x4.splat(a), v128.load(x + at)), f32x4.mul(f32x4.splat(c), v128.load(y + at))));
  }
}

/** Copies the states of the tile's rows to records. */
export function saveStates(job: usize, scratch: usize, rows: i32, record: usize, width: usize): void {
  const size = weightBytes(job);
  for (let r = 0; r < rows; r++, record += width + RECORD_HEADER + size) {
    const head = headOf(job, scratch, r);
    store<f32>(record, load<f32>(head));
    store<f32>(record, load<f32>(head, R_SUM - R_MAX), 16);
    memory.copy(record + RECORD_HEADER, outOf(job, scratch, r, width), width);
    if (size) memory.copy(record + RECORD_HEADER + width, weightsOf(job, scratch, r), size);
  }
}

/** Copies records back to the tile's rows. */
export function loadStates(job: usize, scratch: usize, rows: i32, record: usize, width: usize): void {
  const size = weightBytes(job);
  for (let r = 0; r < rows; r++, record += width + RECORD_HEADER + size) {
    const head = headOf(job, scratch, r);
    store<f32>(head, load<f32>(record));
    store<f32>(head, load<f32>(record, 16), R_SUM - R_MAX);
    memory.copy(outOf(job, scratch, r, width), record + RECORD_HEADER, width);
    if (size) memory.copy(weightsOf(job, scratch, r), record + RECORD_HEADER + width, size);
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

/** Folds records and the states of the tile's rows, those of later keys: into the rows if these are the `last`, else into the records. */
export function foldStates(job: usize, scratch: usize, rows: i32, record: usize, width: usize, last: bool): void {
  const size = weightBytes(job);
  for (let r = 0; r < rows; r++, record += width + RECORD_HEADER + size) {
    const head = headOf(job, scratch, r);
    foldState(record, head, outOf(job, scratch, r, width), width, size ? weightsOf(job, scratch, r) : 0, size, last);
  }
}

/** m and l of a row lie as they do in a record. */
@inline function foldState(record: usize, head: usize, o: usize, width: usize, w: usize, size: usize, last: bool): void {
  const m = load<f32>(head);
  const l = load<f32>(head, R_SUM - R_MAX);
  const M = load<f32>(record);
  const L = load<f32>(record, 16);
  const both = l != 0 && L != 0;
  if (!both && (l != 0) == last) return; // The only state there is, or none, is where it belongs.
  const O = record + RECORD_HEADER;
  const W = O + width;
  const top = M < m ? m : M;
  const a: f32 = L == 0 ? 0 : exp(M - top);
  const c: f32 = l == 0 ? 0 : exp(m - top);
  const to = last ? head : record;
  store<f32>(to, top);
  store<f32>(to, a * L + c * l, 16);
  blend(last ? o : O, O, o, width, a, c);
  if (size) blend(last ? w : W, W, w, size, a, c);
}
