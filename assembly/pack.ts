// Brings operands into the order in which the micro-kernels read them.
//
//   queries, four rows at a time      keys, eight at a time         values, eight channels at a time
//   [rows/4][D][4]                    [keys/8][D][8]                [E'/8][keys][8], E' = E rounded up to 8
//   d0: r0 r1 r2 r3                   d0: k0 k1 … k7                k0: e0 e1 … e7
//   d1: r0 r1 r2 r3                   d1: k0 k1 … k7                k1: e0 e1 … e7
//
// Caches hold them in this order already (panels.ts). Reading values in place where they lie row by row lost: rows of a power of two bytes fall on few cache sets (31.6 against 35 GFLOP/s at D = 128).

import {
  DIM_D, DIM_E, DIM_G, DIM_H, F32, K, NORM, NORM_K, NORM_K_HEAD, NORM_Q, NORM_Q_HEAD, PAGES_K, PAGES_V, Q, QUERY_BIAS, Q_SCALE, ROTATE_DIM, ROTATE_K, ROTATE_K_BATCH, ROTATE_K_HEAD, ROTATE_K_SECOND, ROTATE_Q, ROTATE_Q_BATCH,
  ROTATE_Q_HEAD, ROTATE_Q_SECOND, ROW_SCALE, ROW_SCALE_BATCH, R_HEAD, R_QUERY, R_SIZE, S_KEYS, S_KEYS16, S_KEY_SCALES, S_LINE, S_QUERIES, S_ROWS, S_VALUES,
  T_BATCH, T_CHANNEL, T_HEAD, T_PTR, T_ROW, T_TYPE, V,
} from './job';
import { loadRow } from './convert';
import { normalizeRow } from './normalize';
import { keepFloats, keysAreFloats, keysAreIntegers, keysInPlace, loadColumns, loadKeys16, loadPanels, panelAt, valuesInPlace } from './panels';
import { quantisePanel } from './quantise';
import { rotateRow } from './rotate';
import { INTEGER } from './target';
import { COLUMN } from './values';

/** A row as contiguous f32: where it lies if it is that already, else converted into `line`. */
@inline export function contiguous(from: usize, line: usize, n: i32, stride: i32, type: i32): usize {
  if (type == F32 && stride == 4) return from;
  loadRow(line, from, n, stride, type);
  return line;
}

/** Where row j of head g of a tensor (K or V, by its offset in the job) lies. */
@inline export function rowAddress(job: usize, tensor: i32, b: i32, g: i32, j: i32): usize {
  const at = job + tensor;
  return load<usize>(at, T_PTR) + b * load<i32>(at, T_BATCH) + g * load<i32>(at, T_HEAD) + j * load<i32>(at, T_ROW);
}

/** The tile's queries for the content score: rotated, QUERY_BIAS added, scaled. */
export function packQueries(job: usize, scratch: usize, b: i32, rows: i32): void {
  const packed = scratch + load<usize>(job, S_QUERIES);
  packRows(job, scratch, b, rows, load<f32>(job, Q_SCALE), load<usize>(job, ROTATE_Q), load<usize>(job, QUERY_BIAS), packed);
}

/** One query as a contiguous, normalised, rotated f32 row; a dead one is the row of zeros. */
@inline function queryRow(job: usize, scratch: usize, b: i32, r: i32, line: usize, zeros: usize, table: usize, D: i32): usize {
  const row = scratch + load<usize>(job, S_ROWS) + (r >> 2) * R_SIZE + ((r & 3) << 2);
  const i = load<i32>(row, R_QUERY);
  if (i < 0) return zeros;
  const h = load<i32>(row, R_HEAD);
  const own = line + (<usize>(r & 3) * D << 2);
  const staged = table ? line + (<usize>4 * D << 2) : own;
  let from = load<usize>(job, Q + T_PTR) + b * load<i32>(job, Q + T_BATCH) + h * load<i32>(job, Q + T_HEAD) + i * load<i32>(job, Q + T_ROW);
  from = contiguous(from, staged, D, load<i32>(job, Q + T_CHANNEL), load<i32>(job, Q + T_TYPE));
  if (load<i32>(job, NORM)) from = normalizeRow(staged, from, load<usize>(job, NORM_Q), h * load<i32>(job, NORM_Q_HEAD), job);
  const scale = load<usize>(job, ROW_SCALE);
  if (!table) return scale ? scaleRow(own, from, factorOf(job, scale, b, i), D) : from;
  table += b * load<i32>(job, ROTATE_Q_BATCH) + i * (load<i32>(job, ROTATE_DIM) << 2);
  const byHead = load<i32>(job, ROTATE_Q_HEAD);
  if (byHead) table += (h / (load<i32>(job, DIM_H) / load<i32>(job, DIM_G))) * byHead;
  rotateRow(own, from, table, <usize>load<i32>(job, ROTATE_Q_SECOND), job);
  return scale ? scaleRow(own, own, factorOf(job, scale, b, i), D) : own;
}

@inline function factorOf(job: usize, scale: usize, b: i32, i: i32): f32 {
  return load<f32>(scale + b * load<i32>(job, ROW_SCALE_BATCH) + (i << 2));
}

/** Writes a contiguous row times a factor to `to`, which may be `from`. */
function scaleRow(to: usize, from: usize, factor: f32, D: i32): usize {
  for (let d: usize = 0; d < <usize>D << 2; d += 4) store<f32>(to + d, load<f32>(from + d) * factor);
  return to;
}

/** What is added to row r: bias[h], or zeros. */
@inline function biasRow(job: usize, scratch: usize, r: i32, bias: usize, zeros: usize, D: i32): usize {
  const row = scratch + load<usize>(job, S_ROWS) + (r >> 2) * R_SIZE + ((r & 3) << 2);
  return bias && load<i32>(row, R_QUERY) >= 0 ? bias + (<usize>(load<i32>(row, R_HEAD) * D) << 2) : zeros;
}

/**
 * The tile's queries four by four: normalised if the job asks for it, rotated by `table` and with bias[h] (f32 [H, D]) added where there
 * are such, scaled, interleaved. Dead rows are zero.
 */
export function packRows(
  job: usize, scratch: usize, b: i32, rows: i32, scale: f32, table: usize, bias: usize, packed: usize,
): void {
  const D = load<i32>(job, DIM_D);
  const line = scratch + load<usize>(job, S_LINE);
  const zeros = line + (<usize>5 * D << 2);
  memory.fill(zeros, 0, <usize>D << 2);
  for (let r = 0; r < rows; r += 4) {
    // Where the rows lie waits where they will be packed.
    for (let n = 0; n < 4; n++) store<usize>(packed + (n << 2), queryRow(job, scratch, b, r + n, line, zeros, table, D));
    // repeat $r 4
    let q$r = load<usize>(packed, 4 * $r);
    // end
    // repeat $r 4
    const b$r = biasRow(job, scratch, r + $r, bias, zeros, D) - q$r;
    // end
    const by = f32x4.splat(scale);
    let n = D;
    for (; n >= 4; n -= 4, q0 += 16, q1 += 16, q2 += 16, q3 += 16, packed += 64) {
      transpose4x4(
        f32x4.mul(f32x4.add(v128.load(q0), v128.load(q0 + b0)), by), f32x4.mul(f32x4.add(v128.load(q1), v128.load(q1 + b1)), by),
        f32x4.mul(f32x4.add(v128.load(q2), v128.load(q2 + b2)), by), f32x4.mul(f32x4.add(v128.load(q3), v128.load(q3 + b3)), by),
        packed, 16,
      );
    }
    for (; n > 0; n--, q0 += 4, q1 += 4, q2 += 4, q3 += 4, packed += 16) {
      // repeat $r 4
      store<f32>(packed, (load<f32>(q$r) + load<f32>(q$r + b$r)) * scale, 4 * $r);
      // end
    }
  }
}

/** Four rows of four as four columns, `step` bytes apart; by shuffles that hosts have an instruction for. */
@inline function transpose4x4(a: v128, b: v128, c: v128, d: v128, to: usize, step: usize): void {
  const ab01 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const ab23 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd01 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cd23 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<i64>(ab01, cd01, 0, 2));
  v128.store(to + step, v128.shuffle<i64>(ab01, cd01, 1, 3));
  v128.store(to + 2 * step, v128.shuffle<i64>(ab23, cd23, 0, 2));
  v128.store(to + 3 * step, v128.shuffle<i64>(ab23, cd23, 1, 3));
}

/** Interleaves four contiguous rows into one half of a panel. */
function interleave4(to: usize, k0: usize, k1: usize, k2: usize, k3: usize, D: i32): void {
  let n = D;
  for (; n >= 4; n -= 4) {
    transpose4x4(v128.load(k0), v128.load(k1), v128.load(k2), v128.load(k3), to, 32);
    // repeat $r 4
    k$r += 16;
    // end
    to += 128;
  }
  for (; n > 0; n--) {
    // repeat $r 4
    store<f32>(to, load<f32>(k$r), 4 * $r);
    // end
    // repeat $r 4
    k$r += 4;
    // end
    to += 32;
  }
}

/** Four keys of a panel, from `from` on, as contiguous rows from `to` on: what interleave4 takes apart. */
function separate4(to: usize, from: usize, D: i32): void {
  const row = <usize>D << 2;
  let n = D;
  for (; n >= 4; n -= 4, to += 16, from += 128) {
    transpose4x4(v128.load(from), v128.load(from, 32), v128.load(from, 64), v128.load(from, 96), to, row);
  }
  for (; n > 0; n--, to += 4, from += 32) {
    // repeat $r 4
    store<f32>(to + $r * row, load<f32>(from, 4 * $r));
    // end
  }
}

/** Key j from a contiguous row, normalised in place or to `own`, rotated to `own`; returns where it is. */
@inline function finishKey(job: usize, own: usize, from: usize, staged: usize, b: i32, g: i32, j: i32): usize {
  if (load<i32>(job, NORM)) from = normalizeRow(staged, from, load<usize>(job, NORM_K), g * load<i32>(job, NORM_K_HEAD), job);
  let table = load<usize>(job, ROTATE_K);
  if (!table) return from;
  table += b * load<i32>(job, ROTATE_K_BATCH) + g * load<i32>(job, ROTATE_K_HEAD) + j * (load<i32>(job, ROTATE_DIM) << 2);
  rotateRow(own, from, table, <usize>load<i32>(job, ROTATE_K_SECOND), job);
  return own;
}

/** One key as a contiguous f32 row, normalised and rotated; keys from `end` on repeat the last one (their scores are masked). */
@inline function keyRow(job: usize, line: usize, slot: i32, b: i32, g: i32, j: i32, end: i32, D: i32): usize {
  j = min(j, end - 1);
  const own = line + (<usize>slot * D << 2);
  const staged = load<usize>(job, ROTATE_K) ? line + (<usize>8 * D << 2) : own;
  const from = contiguous(rowAddress(job, K, b, g, j), staged, D, load<i32>(job, K + T_CHANNEL), load<i32>(job, K + T_TYPE));
  return finishKey(job, own, from, staged, b, g, j);
}

/**
 * The keys j … j + 7 of a cache, normalised and rotated. They become rows where their panel is to be, then go by the line into their panel;
 * those from `end` on are whatever is there (their scores are masked).
 */
function packPanel(job: usize, line: usize, b: i32, g: i32, j: i32, end: i32, panel: usize, D: i32): void {
  const row = <usize>D << 2;
  loadPanels(job, b, g, j, j + 8, line);
  separate4(panel, line, D);
  separate4(panel + 4 * row, line + 16, D);
  const rotates = load<usize>(job, ROTATE_K) != 0;
  for (let r = 0; r < 8; r++) {
    const own = line + r * row;
    const from = panel + r * row;
    finishKey(job, own, from, rotates ? from : own, b, g, min(j + r, end - 1));
  }
  // repeat $h 2
  interleave4(panel + 16 * $h, line + 4 * $h * row, line + (4 * $h + 1) * row, line + (4 * $h + 2) * row, line + (4 * $h + 3) * row, D);
  // end
}

/** The keys first … end − 1 of a cache that are not read where they lie; `panel` is that of key `first`. */
function packPages(job: usize, line: usize, b: i32, g: i32, first: i32, end: i32, panel: usize, D: i32): void {
  if (!load<usize>(job, ROTATE_K) && !load<i32>(job, NORM)) {
    loadPanels(job, b, g, first, end, panel);
    return;
  }
  for (let j = first; j < end; j += 8, panel += <usize>D << 5) packPanel(job, line, b, g, j, end, panel, D);
}

/**
 * Packs the keys first … end − 1 of head g into panels; `first` is a multiple of 8, panel 0 holds `block`. INT16 has panels of integers beside them,
 * and whether a key is odd (quantise.ts).
 */
export function packKeys(job: usize, scratch: usize, b: i32, g: i32, block: i32, first: i32, end: i32): bool {
  if (keysInPlace(job)) return false;
  if (INTEGER && keysAreIntegers(job)) return loadKeys16(job, scratch, b, g, block, first, end);
  const D = load<i32>(job, DIM_D);
  const panel = scratch + load<usize>(job, S_KEYS) + (<usize>(first - block) * D << 2);
  const lies = INTEGER && keysAreFloats(job);
  if (!lies) {
    const line = scratch + load<usize>(job, S_LINE);
    if (load<usize>(job, PAGES_K)) packPages(job, line, b, g, first, end, panel, D);
    else packStrided(job, line, b, g, first, end, panel, D);
  }
  if (!INTEGER) return false;
  const integers = scratch + load<usize>(job, S_KEYS16);
  const scales = scratch + load<usize>(job, S_KEY_SCALES);
  let odd = false;
  for (let j = first, at = panel; j < end; j += 8, at += <usize>D << 5) {
    odd = quantisePanel(lies ? panelAt(job, b, g, j) : at, D, integers + (<usize>(j - block) * (D + 1 & ~1) << 1), scales + (<usize>(j - block) << 2)) || odd;
  }
  if (lies) keepFloats(job, scratch, b, g, block, first, end, odd);
  return odd;
}

/** Those of tensors. */
function packStrided(job: usize, line: usize, b: i32, g: i32, first: i32, end: i32, panel: usize, D: i32): void {
  for (let j = first; j < end; j += 8) {
    for (let slot = 0; slot < 8; slot += 4) {
      // repeat $r 4
      const k$r = keyRow(job, line, slot + $r, b, g, j + slot + $r, end, D);
      // end
      interleave4(panel + (slot << 2), k0, k1, k2, k3, D);
    }
    panel += <usize>D << 5;
  }
}

/** Interleaves the values first … end − 1 of head g into columns of eight channels; row 0 of a column belongs to key `block`. */
export function packValues(job: usize, scratch: usize, b: i32, g: i32, block: i32, first: i32, end: i32): void {
  if (valuesInPlace(job)) return;
  const E = load<i32>(job, DIM_E);
  const line = scratch + load<usize>(job, S_LINE);
  let to = scratch + load<usize>(job, S_VALUES) + (<usize>(first - block) << 5);
  if (load<usize>(job, PAGES_V)) {
    loadColumns(job, b, g, first, end, to);
    return;
  }
  for (let j = first; j < end; j++, to += 32) {
    const row = contiguous(rowAddress(job, V, b, g, j), line, E, load<i32>(job, V + T_CHANNEL), load<i32>(job, V + T_TYPE));
    let at = to;
    let e = 0;
    for (; e + 8 <= E; e += 8, at += COLUMN) {
      v128.store(at, v128.load(row + (<usize>e << 2)));
      v128.store(at, v128.load(row + (<usize>e << 2), 16), 16);
    }
    if (e == E) continue;
    v128.store(at, f32x4.splat(0));
    v128.store(at, f32x4.splat(0), 16);
    for (; e < E; e++, at += 4) store<f32>(at, load<f32>(row + (<usize>e << 2)));
  }
}
