// Rotation of rows by a table of cosines and sines (rotary position embedding, Su et al. 2021, arXiv 2104.09864), and the table.

import {
  DIM_D, DIM_G, DIM_H, DIM_L, OUT, Q, QUERIES, ROTATE_BLOCKS, ROTATE_DIM, ROTATE_PAIRS_IN, ROTATE_PAIRS_OUT, ROTATE_Q, ROTATE_Q_BATCH, ROTATE_Q_HEAD,
  ROTATE_Q_SECOND,
  ROTATE_START, T_BATCH, T_CHANNEL, T_HEAD, T_PTR, T_ROW, T_TYPE, W_AXES, W_CENTER, W_FACTOR, W_FREQUENCIES, W_GROW, W_GROWTH, W_PAIRS,
  W_POSITIONS, W_ROWS, W_SINE, W_TABLE, W_TILE,
} from './job';
import { loadRow, storeRow } from './convert';
import { cos, exp, sin } from './math';

/**
 * Turns the channels START … START + R − 1 of a contiguous f32 row and copies the others. For each pair (x, y) with the angle φ of
 * its table column: x' = x·cos φ − y·sin φ, y' = x·sin ψ + y·cos ψ, each product and sum rounded by itself. ψ is φ, or where `second` is
 * not 0 the angle of the same column in the row `second` bytes on. `to` may not overlap `from`. R is even, and each of the BLOCKS that
 * the channels are in.
 */
export function rotateRow(to: usize, from: usize, table: usize, second: usize, job: usize): void {
  const D = load<i32>(job, DIM_D);
  const R = load<i32>(job, ROTATE_DIM);
  const start = load<i32>(job, ROTATE_START);
  if (R < D) memory.copy(to, from, <usize>D << 2);
  to += <usize>start << 2;
  from += <usize>start << 2;
  let sines = table + (<usize>R << 1);
  let left = load<i32>(job, ROTATE_BLOCKS);
  let half = R >> 1;
  if (left > 1) half /= left; // A division costs a tenth of a row of 64.
  const size = <usize>half << 2;
  do {
    if (second) rotatePart(to, from, table, sines, second, half, job);
    else rotatePart(to, from, table, sines, 0, half, job);
    to += size << 1;
    from += size << 1;
    table += size;
    sines += size;
  } while (--left > 0);
}

/** By the layouts of the job. Inlined, so that the common case, a `second` of 0, reads each cosine and sine once. */
@inline function rotatePart(to: usize, from: usize, cosines: usize, sines: usize, second: usize, half: i32, job: usize): void {
  const apart = <usize>half << 2;
  if (load<i32>(job, ROTATE_PAIRS_IN)) {
    if (load<i32>(job, ROTATE_PAIRS_OUT)) rotatePairs(to, from, cosines, sines, second, half);
    else rotateEach(to, from, cosines, sines, second, half, 8, 4, 4, apart);
  } else if (load<i32>(job, ROTATE_PAIRS_OUT)) rotateEach(to, from, cosines, sines, second, half, 4, apart, 8, 4);
  else rotateHalves(to, from, cosines, sines, second, half);
}

/** The pairs (i, i + half). */
@inline function rotateHalves(to: usize, from: usize, cosines: usize, sines: usize, second: usize, half: i32): void {
  const apart = <usize>half << 2;
  let n = half;
  for (; n >= 4; n -= 4) {
    const x = v128.load(from);
    const y = v128.load(from + apart);
    const c = v128.load(cosines);
    const s = v128.load(sines);
    const cy = second ? v128.load(cosines + second) : c;
    const sy = second ? v128.load(sines + second) : s;
    v128.store(to, f32x4.sub(f32x4.mul(x, c), f32x4.mul(y, s)));
    v128.store(to + apart, f32x4.add(f32x4.mul(x, sy), f32x4.mul(y, cy)));
    to += 16;
    from += 16;
    cosines += 16;
    sines += 16;
  }
  rotateEach(to, from, cosines, sines, second, n, 4, apart, 4, apart);
}

/** The pairs (2i, 2i + 1). */
@inline function rotatePairs(to: usize, from: usize, cosines: usize, sines: usize, second: usize, half: i32): void {
  let n = half;
  for (; n >= 4; n -= 4) {
    const low = v128.load(from);
    const high = v128.load(from, 16);
    const x = v128.shuffle<f32>(low, high, 0, 2, 4, 6);
    const y = v128.shuffle<f32>(low, high, 1, 3, 5, 7);
    const c = v128.load(cosines);
    const s = v128.load(sines);
    const cy = second ? v128.load(cosines + second) : c;
    const sy = second ? v128.load(sines + second) : s;
    const turnedX = f32x4.sub(f32x4.mul(x, c), f32x4.mul(y, s));
    const turnedY = f32x4.add(f32x4.mul(x, sy), f32x4.mul(y, cy));
    v128.store(to, v128.shuffle<f32>(turnedX, turnedY, 0, 4, 1, 5));
    v128.store(to, v128.shuffle<f32>(turnedX, turnedY, 2, 6, 3, 7), 16);
    to += 32;
    from += 32;
    cosines += 16;
    sines += 16;
  }
  rotateEach(to, from, cosines, sines, second, n, 8, 4, 8, 4);
}

/** n pairs one by one; steps and distances of a pair's members in bytes, in and out. */
function rotateEach(
  to: usize, from: usize, cosines: usize, sines: usize, second: usize, n: i32,
  stepIn: usize, apartIn: usize, stepOut: usize, apartOut: usize,
): void {
  for (; n > 0; n--) {
    const x = load<f32>(from);
    const y = load<f32>(from + apartIn);
    store<f32>(to, x * load<f32>(cosines) - y * load<f32>(sines));
    store<f32>(to + apartOut, x * load<f32>(sines + second) + y * load<f32>(cosines + second));
    to += stepOut;
    from += stepIn;
    cosines += 4;
    sines += 4;
  }
}

/**
 * Rotation on its own: OUT[b, h, i] = Q[b, h, i] turned by row i of the query table; DIM_G heads have tables of their own, if not all share
 * one. A tile is QUERIES rows of one (batch, head).
 * Scratch: two rows of D floats. A row is read whole before it is written, so OUT may be Q.
 */
export function rotate(job: usize, tile: i32, scratch: usize): void {
  const L = load<i32>(job, DIM_L);
  const H = load<i32>(job, DIM_H);
  const D = load<i32>(job, DIM_D);
  const rows = load<i32>(job, QUERIES);
  const blocks = (L + rows - 1) / rows;
  const b = tile / blocks / H;
  const h = (tile / blocks) % H;
  const first = (tile % blocks) * rows;
  const last = min(first + rows, L);
  const from = load<usize>(job, Q + T_PTR) + b * load<i32>(job, Q + T_BATCH) + h * load<i32>(job, Q + T_HEAD);
  const to = load<usize>(job, OUT + T_PTR) + b * load<i32>(job, OUT + T_BATCH) + h * load<i32>(job, OUT + T_HEAD);
  const own = h / (H / load<i32>(job, DIM_G));
  const table = load<usize>(job, ROTATE_Q) + b * load<i32>(job, ROTATE_Q_BATCH) + own * load<i32>(job, ROTATE_Q_HEAD);
  const second = <usize>load<i32>(job, ROTATE_Q_SECOND);
  const tableRow = load<i32>(job, ROTATE_DIM) << 2;
  const turned = scratch + (<usize>D << 2);
  for (let i = first; i < last; i++) {
    loadRow(scratch, from + i * load<i32>(job, Q + T_ROW), D, load<i32>(job, Q + T_CHANNEL), load<i32>(job, Q + T_TYPE));
    rotateRow(turned, scratch, table + i * tableRow, second, job);
    storeRow(to + i * load<i32>(job, OUT + T_ROW), turned, D, load<i32>(job, OUT + T_CHANNEL), load<i32>(job, OUT + T_TYPE));
  }
}

/**
 * Fills the rows of one tile of a table: angle = Σ_axis position·frequency in f64, rounded to f32 after cosine and sine. With a
 * growth both are multiplied by e^(± Σ_axis (position − center)·growth).
 */
export function rotaryTable(job: usize, tile: i32, scratch: usize): void {
  const rows = load<i32>(job, W_ROWS);
  const pairs = load<i32>(job, W_PAIRS);
  const axes = load<i32>(job, W_AXES);
  const factor = load<f64>(job, W_FACTOR);
  const sign = load<f64>(job, W_SINE);
  const growth = load<usize>(job, W_GROWTH);
  const center = load<f64>(job, W_CENTER);
  const first = tile * load<i32>(job, W_TILE);
  const last = min(first + load<i32>(job, W_TILE), rows);
  for (let row = first; row < last; row++) {
    const to = load<usize>(job, W_TABLE) + ((<usize>row * <usize>pairs) << 3);
    for (let i = 0; i < pairs; i++) {
      let angle: f64 = 0;
      let grown: f64 = 0;
      for (let axis = 0; axis < axes; axis++) {
        const position = load<f64>(load<usize>(job, W_POSITIONS) + ((<usize>axis * rows + row) << 3));
        const at = (<usize>axis * pairs + i) << 3;
        angle += position * load<f64>(load<usize>(job, W_FREQUENCIES) + at);
        if (growth) grown += (position - center) * load<f64>(growth + at);
      }
      const size = growth ? factor * exp(load<f64>(job, W_GROW) * grown) : factor;
      store<f32>(to + (<usize>i << 2), <f32>(size * cos(angle)));
      store<f32>(to + (<usize>(pairs + i) << 2), <f32>(sign * size * sin(angle)));
    }
  }
}
