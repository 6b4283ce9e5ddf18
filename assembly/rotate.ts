// Rotation of rows by a table of cosines and sines (rotary position embedding, Su et al. 2021, arXiv 2104.09864), and the table.

import {
  DIM_D, DIM_G, DIM_H, DIM_L, F32, OUT, Q, QUERIES, ROTATE_BLOCKS, ROTATE_DIM, ROTATE_PAIRS_IN, ROTATE_PAIRS_OUT, ROTATE_Q, ROTATE_Q_BATCH, ROTATE_Q_HEAD,
  ROTATE_Q_SECOND,
  ROTATE_START, ROTATE_TOGETHER, T_BATCH, T_CHANNEL, T_HEAD, T_PTR, T_ROW, T_TYPE, W_AXES, W_CENTER, W_FACTOR, W_FREQUENCIES, W_GROW, W_GROWTH, W_PAIRS,
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
  if (R < D && to != from) memory.copy(to, from, <usize>D << 2);
  to += <usize>start << 2;
  from += <usize>start << 2;
  let sines = table + (<usize>R << 1);
  let left = load<i32>(job, ROTATE_BLOCKS);
  let half = R >> 1;
  if (left > 1) half /= left; // A division costs a tenth of a row of 64.
  const size = <usize>half << 2;
  const pairs = load<i32>(job, ROTATE_PAIRS_IN);
  const stays = pairs == load<i32>(job, ROTATE_PAIRS_OUT);
  do {
    if (stays && !second && half % 4 == 0) turnRows(to, 0, from, 0, table, 0, sines - table, half, 1, pairs);
    else rotatePart(to, from, table, sines, second, half, pairs, job);
    to += size << 1;
    from += size << 1;
    table += size;
    sines += size;
  } while (--left > 0);
}

/** Pair by pair, by the layouts of the job: odd widths, layouts that change, second angles. */
@inline function rotatePart(to: usize, from: usize, cosines: usize, sines: usize, second: usize, half: i32, pairs: i32, job: usize): void {
  const apart = <usize>half << 2;
  if (pairs) {
    if (load<i32>(job, ROTATE_PAIRS_OUT)) rotateEach(to, from, cosines, sines, second, half, 8, 4, 8, 4);
    else rotateEach(to, from, cosines, sines, second, half, 8, 4, 4, apart);
  } else if (load<i32>(job, ROTATE_PAIRS_OUT)) rotateEach(to, from, cosines, sines, second, half, 4, apart, 8, 4);
  else rotateEach(to, from, cosines, sines, second, half, 4, apart, 4, apart);
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
 * `rows` rows of `half` pairs, a multiple of 4, that stay in their layout and turn by one angle; cosines at `table`, sines `sines` bytes on.
 * The loops have few pointers, else V8 keeps some in memory.
 */
@inline function turnRows(
  to: usize, toStep: usize, from: usize, fromStep: usize, table: usize, tableStep: usize, sines: usize, half: i32, rows: i32, pairs: i32,
): void {
  if (pairs) pairsOfRows(to, toStep, from, fromStep, table, tableStep, sines, half, rows);
  else halvesOfRows(to, toStep, from, fromStep, table, tableStep, sines, half, rows);
}

/** Pairs (i, i + half). */
function halvesOfRows(
  to: usize, toStep: usize, from: usize, fromStep: usize, table: usize, tableStep: usize, sines: usize, half: i32, rows: i32,
): void {
  const apart = <usize>half << 2;
  for (; rows > 0; rows--, to += toStep, from += fromStep, table += tableStep) {
    const end = table + apart;
    let source = from, target = to, at = table;
    do {
      const x = v128.load(source), y = v128.load(source + apart);
      const c = v128.load(at), s = v128.load(at + sines);
      v128.store(target, f32x4.sub(f32x4.mul(x, c), f32x4.mul(y, s)));
      v128.store(target + apart, f32x4.add(f32x4.mul(x, s), f32x4.mul(y, c)));
      source += 16;
      target += 16;
      at += 16;
    } while (at < end);
  }
}

/** Pairs (2i, 2i + 1). */
function pairsOfRows(
  to: usize, toStep: usize, from: usize, fromStep: usize, table: usize, tableStep: usize, sines: usize, half: i32, rows: i32,
): void {
  const apart = <usize>half << 2;
  for (; rows > 0; rows--, to += toStep, from += fromStep, table += tableStep) {
    const end = table + apart;
    let source = from, target = to, at = table;
    do {
      const low = v128.load(source), high = v128.load(source, 16);
      const x = v128.shuffle<f32>(low, high, 0, 2, 4, 6), y = v128.shuffle<f32>(low, high, 1, 3, 5, 7);
      const c = v128.load(at), s = v128.load(at + sines);
      const turnedX = f32x4.sub(f32x4.mul(x, c), f32x4.mul(y, s));
      const turnedY = f32x4.add(f32x4.mul(x, s), f32x4.mul(y, c));
      v128.store(target, v128.shuffle<f32>(turnedX, turnedY, 0, 4, 1, 5));
      v128.store(target, v128.shuffle<f32>(turnedX, turnedY, 2, 6, 3, 7), 16);
      source += 32;
      target += 32;
      at += 16;
    } while (at < end);
  }
}

/** True if the channels of a tensor are f32 beside one another. */
@inline function isPlain(tensor: usize): bool {
  return load<i32>(tensor, T_TYPE) == F32 && load<i32>(tensor, T_CHANNEL) == 4;
}

/**
 * Rotation on its own: OUT[b, h, i] = Q[b, h, i] turned by row i of the query table; DIM_G heads have tables of their own, if not all share
 * one. A tile is QUERIES rows of ROTATE_TOGETHER heads of a batch row: of all heads, row by row, where these lie beside one another.
 *
 * Rows that are plain f32 on both sides are turned from where they are to where they belong, others by way of the scratch: two rows of D
 * floats. There a row is read whole before it is written, so OUT may be Q; in its own place pairs stay pairs, halves stay halves, and each
 * vector is read before it is written.
 *
 * Where all is in L1, eight floats take 1.2 ns; they took 1.9 in a loop with a pointer for each stream. A call of 2048×32×128 takes what copying it does. It has to go through memory in one run: 64 rows of each head after another,
 * so that their part of the table stays near, took two thirds more, and a head of each row after another (blhd) five times as long.
 *
 * Attempts that lost: a whole head a tile, and tiles of 65536 numbers (at 2048×32×128 no gain: 3.7 to 4.5 ms either way, by where the tensors lie);
 * memory.copy of what was turned elsewhere (writes no faster than v128.store, whatever the size of a piece).
 */
export function rotate(job: usize, tile: i32, scratch: usize): void {
  const L = load<i32>(job, DIM_L);
  const H = load<i32>(job, DIM_H);
  const D = load<i32>(job, DIM_D);
  const rows = load<i32>(job, QUERIES);
  const heads = load<i32>(job, ROTATE_TOGETHER);
  const parts = H / heads;
  const blocks = (L + rows - 1) / rows;
  const b = tile / blocks / parts;
  const head = ((tile / blocks) % parts) * heads;
  const first = (tile % blocks) * rows;
  const last = min(first + rows, L);
  const from = load<usize>(job, Q + T_PTR) + b * load<i32>(job, Q + T_BATCH);
  const to = load<usize>(job, OUT + T_PTR) + b * load<i32>(job, OUT + T_BATCH);
  const shared = H / load<i32>(job, DIM_G);
  const table = load<usize>(job, ROTATE_Q) + b * load<i32>(job, ROTATE_Q_BATCH);
  const second = <usize>load<i32>(job, ROTATE_Q_SECOND);
  const tableRow = load<i32>(job, ROTATE_DIM) << 2;
  const tableHead = load<i32>(job, ROTATE_Q_HEAD);
  const turned = scratch + (<usize>D << 2);
  const stays = load<i32>(job, ROTATE_PAIRS_IN) == load<i32>(job, ROTATE_PAIRS_OUT);
  const direct = isPlain(job + Q) && isPlain(job + OUT) && (from != to || stays);
  const whole = direct && stays && load<i32>(job, ROTATE_DIM) == D && D % 8 == 0 && load<i32>(job, ROTATE_BLOCKS) == 1 && !second;
  const pairs = load<i32>(job, ROTATE_PAIRS_IN);
  const fromRow = load<i32>(job, Q + T_ROW), fromHead = load<i32>(job, Q + T_HEAD);
  const toRow = load<i32>(job, OUT + T_ROW), toHead = load<i32>(job, OUT + T_HEAD);
  if (whole && heads == 1) {
    const own = table + (head / shared) * tableHead + first * tableRow;
    const x = from + head * fromHead + first * fromRow;
    const y = to + head * toHead + first * toRow;
    turnRows(y, toRow, x, fromRow, own, tableRow, D << 1, D >> 1, last - first, pairs);
    return;
  }
  const together = whole && (tableHead == 0 || shared == 1);
  for (let i = first; i < last; i++) {
    let x = from + i * fromRow + head * fromHead;
    let y = to + i * toRow + head * toHead;
    const own = table + i * tableRow;
    if (together) {
      turnRows(y, toHead, x, fromHead, own, tableHead, D << 1, D >> 1, heads, pairs);
      continue;
    }
    for (let h = head; h < head + heads; h++, x += fromHead, y += toHead) {
      const row = own + (tableHead ? (h / shared) * tableHead : 0);
      if (direct) {
        rotateRow(y, x, row, second, job);
        continue;
      }
      loadRow(scratch, x, D, load<i32>(job, Q + T_CHANNEL), load<i32>(job, Q + T_TYPE));
      rotateRow(turned, scratch, row, second, job);
      storeRow(y, turned, D, load<i32>(job, OUT + T_CHANNEL), load<i32>(job, OUT + T_TYPE));
    }
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
