// The tile of a linear layer: rows of x against a slice of panels; what follows a sum, in the same pass.
//
// A tile brings its rows into the order of the micro-kernels once (as integers, with weights that are such), so that slices are wide and the same
// rows are seldom met twice. Then panel by panel: the sums of all its rows into scratch, [rows][8], and from there, while they are in L1, to y.

import { F32 } from '../job';
import { finishPanel } from './finish';
import {
  BLOCK, BLOCK_BYTES, LINEAR_FUSED, LINEAR_GATED, LINEAR_K, LINEAR_M, LINEAR_N, LINEAR_PANELS, LINEAR_ROWS, LINEAR_S_BLOCKS, LINEAR_S_PANEL,
  LINEAR_S_ROWS, LINEAR_S_SCALES, LINEAR_S_SUMS, LINEAR_TYPE, LINEAR_WEIGHTS, LINEAR_X, LINEAR_X_ROW, PANEL_HEADER, WEIGHTS_I4, WEIGHTS_I8,
} from './job';
import { floats1x8, floats4x8, packRows, widenPanel } from './linear32';
import { blockSums, nibblePairs4x8, nibbles1x8, nibbles4x8, orderRow, unpackBytes, unpackShorts } from './linear4';
import { bytes4x8, integers1x8, shorts4x8, widenBytes } from './linear8';
import { quantiseBytes, quantiseShorts } from './quantise';

/** K as weights of a type have it: rounded up to what their layout takes at once. */
@inline function paddedK(K: i32, type: i32): i32 {
  return type == WEIGHTS_I8 ? K + 3 & ~3 : type == WEIGHTS_I4 ? K + (BLOCK - 1) & ~(BLOCK - 1) : K;
}

/** Bytes of a panel. */
@inline export function panelBytes(K: i32, type: i32): usize {
  const padded = <usize>paddedK(K, type);
  if (type == WEIGHTS_I8) return (padded << 3) + PANEL_HEADER;
  if (type == WEIGHTS_I4) return (padded / BLOCK) * BLOCK_BYTES;
  return padded << (type == F32 ? 5 : 4);
}

/** One row of the tile as integers, among the four of its group or alone, and what takes their offset back. */
@inline function quantiseRow(row: usize, K: i32, type: i32, to: usize, four: bool, scale: usize, sums: usize): void {
  const padded = paddedK(K, type);
  const sevens = type == WEIGHTS_I8;
  const step: usize = four ? 16 : 4;
  if (ASC_FEATURE_RELAXED_SIMD) {
    quantiseBytes(row, K, to, step, padded, sevens, scale, sums);
    if (!sevens) blockSums(to, step, sums, four ? 16 : 4, padded / BLOCK);
  } else {
    quantiseShorts(row, K, to, step, padded, sevens, scale);
    if (!sevens && !four) orderRow(to, padded / BLOCK);
  }
}

/**
 * Most rows of integers that meet a panel one by one: of a group of four two would be nobody's (576 → 1536 in i8 0.70 of the time, in i4 0.55;
 * Zen 4, Node 24). The panel is in the nearest cache for the second.
 */
const FEW = 2;

/** Whether rows of a type go one by one. */
@inline function areFew(rows: i32, type: i32): bool {
  return rows == 1 || (rows <= FEW && type >= WEIGHTS_I8);
}

/** Bytes of a row of integers by itself. */
@inline function lineOf(K: i32, type: i32): usize {
  return <usize>paddedK(K, type) << (ASC_FEATURE_RELAXED_SIMD ? 0 : 1);
}

/** What takes an x̂'s offset back is a number for each of these: the blocks of i4, or a row of i8, z itself. */
@inline function blocksOf(K: i32, type: i32): usize {
  return type == WEIGHTS_I4 ? <usize>paddedK(K, type) / BLOCK : 1;
}

/** Rows of x as integers, by fours; of the last four those that there are. */
function quantiseRows(x: usize, stride: usize, rows: i32, K: i32, type: i32, to: usize, scales: usize, sums: usize): void {
  const padded = <usize>paddedK(K, type);
  const group = padded << (ASC_FEATURE_RELAXED_SIMD ? 2 : 3);
  for (let m = 0; m < rows; m++, x += stride) {
    const line = <usize>(m >> 2), r = <usize>(m & 3);
    quantiseRow(x, K, type, to + line * group + (r << 2), true, scales + (<usize>m << 2), sums + (line * blocksOf(K, type) << 4) + (r << 2));
  }
}

/** The rows of the tile as the micro-kernels read them; returns where they are. */
@inline function prepareRows(job: usize, scratch: usize, x: usize, rows: i32, K: i32, type: i32): usize {
  const to = scratch + load<i32>(job, LINEAR_S_ROWS);
  const scales = scratch + load<i32>(job, LINEAR_S_SCALES), sums = scratch + load<i32>(job, LINEAR_S_BLOCKS);
  const stride = <usize>load<i32>(job, LINEAR_X_ROW);
  if (type == WEIGHTS_I8 || type == WEIGHTS_I4) {
    if (areFew(rows, type)) {
      for (let m = 0; m < rows; m++, x += stride) {
        quantiseRow(x, K, type, to + m * lineOf(K, type), false, scales + (m << 2), sums + (m * blocksOf(K, type) << 2));
      }
    } else quantiseRows(x, stride, rows, K, type, to, scales, sums);
    return to;
  }
  if (rows == 1) return x;
  const group = <usize>K << 4;
  for (let m = 0, at = to; m < rows; m += 4, at += group, x += stride << 2) packRows(at, x, stride, K, rows - m);
  return to;
}

/** The sums of several rows against one panel. */
@inline function sumsOfRows(job: usize, scratch: usize, x: usize, panel: usize, s: usize, rows: i32, K: i32, type: i32): void {
  const groups = rows + 3 >> 2;
  const wide = scratch + load<i32>(job, LINEAR_S_PANEL), scales = scratch + load<i32>(job, LINEAR_S_SCALES);
  const padded = paddedK(K, type);
  if (type == WEIGHTS_I8) {
    if (ASC_FEATURE_RELAXED_SIMD) bytes4x8(x, panel, s, padded >> 2, groups, scales, scratch + load<i32>(job, LINEAR_S_BLOCKS));
    else {
      widenBytes(wide, panel, padded >> 2);
      shorts4x8(x, panel, wide, s, padded >> 2, groups, scales);
    }
  } else if (type == WEIGHTS_I4) {
    const blocks = padded / BLOCK;
    if (ASC_FEATURE_RELAXED_SIMD) {
      unpackBytes(wide, panel, blocks);
      nibbles4x8(x, scratch + load<i32>(job, LINEAR_S_BLOCKS), panel, wide, s, blocks, groups, scales);
    } else {
      unpackShorts(wide, panel, blocks);
      nibblePairs4x8(x, panel, wide, s, blocks, groups, scales);
    }
  } else {
    if (type != F32) widenPanel(wide, panel, K, type);
    floats4x8(x, type == F32 ? panel : wide, s, K, groups, load<i32>(job, LINEAR_FUSED) != 0);
  }
}

/** The sums of row m, one of few, against one panel. */
@inline function sumsOfRow(job: usize, scratch: usize, x: usize, m: i32, panel: usize, s: usize, K: i32, type: i32): void {
  const scale = scratch + load<i32>(job, LINEAR_S_SCALES) + (m << 2);
  const padded = paddedK(K, type);
  s += m << 5;
  if (type < WEIGHTS_I8) return floats1x8(x, panel, s, K, type);
  const row = x + m * lineOf(K, type), sums = scratch + load<i32>(job, LINEAR_S_BLOCKS) + (m * blocksOf(K, type) << 2);
  if (type == WEIGHTS_I8) integers1x8(row, panel, s, padded >> 2, scale, sums);
  else nibbles1x8(row, sums, panel, s, padded / BLOCK, scale);
}

/** The sums of the tile's rows against one panel. */
function sumsOf(job: usize, scratch: usize, x: usize, panel: usize, s: usize, rows: i32, K: i32, type: i32): void {
  if (areFew(rows, type)) for (let m = 0; m < rows; m++) sumsOfRow(job, scratch, x, m, panel, s, K, type);
  else sumsOfRows(job, scratch, x, panel, s, rows, K, type);
}

/** A tile: slices of panels follow one another, then blocks of rows. */
export function linear(job: usize, tile: i32, scratch: usize): void {
  const M = load<i32>(job, LINEAR_M), N = load<i32>(job, LINEAR_N), K = load<i32>(job, LINEAR_K), type = load<i32>(job, LINEAR_TYPE);
  const most = load<i32>(job, LINEAR_PANELS), gated = load<i32>(job, LINEAR_GATED);
  const all = N + 7 >> 3;
  const slices = (all + most - 1) / most;
  const m = tile / slices * load<i32>(job, LINEAR_ROWS), first = tile % slices * most;
  const rows = min(M - m, load<i32>(job, LINEAR_ROWS)), end = min(all, first + most);
  const step = panelBytes(K, type);
  const s = scratch + load<i32>(job, LINEAR_S_SUMS);
  let panel = load<usize>(job, LINEAR_WEIGHTS) + <usize>(first << gated) * step;
  const x = prepareRows(job, scratch, load<usize>(job, LINEAR_X) + <usize>m * load<i32>(job, LINEAR_X_ROW), rows, K, type);
  const up = s + (<usize>(rows + 3 & ~3) << 5);
  for (let p = first; p < end; p++, panel += step) {
    sumsOf(job, scratch, x, panel, s, rows, K, type);
    if (gated) {
      panel += step;
      sumsOf(job, scratch, x, panel, up, rows, K, type);
    }
    finishPanel(job, s, up, rows, m, p << 3);
  }
}
