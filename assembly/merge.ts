// Merges what attention found over separate parts of the keys. A state of a row is its output o and the log-sum-exp l of its scores; with
// m = max l over the states,
//
//   w = exp(l − m)    out = Σ w·o / Σ w    lse = m + ln Σ w
//
// in f64, summed in the order of the states, a sink (o = 0) last. A state with l = −Infinity saw no key: it is passed over, so that it
// changes no bit, and a row with one state left is that state's, bit for bit.

import {
  F32, M_COUNT, M_E, M_H, M_L, M_LINES, M_LSE, M_OUT, M_RESULT, M_ROWS, M_SINKS, M_STATE, M_STATES, M_STATE_LSE, M_STATE_OUT, M_TILE, M_WEIGHTS,
  T_BATCH, T_CHANNEL, T_HEAD, T_PTR, T_ROW, T_TYPE,
} from './job';
import { loadRow, storeRow } from './convert';
import { exp, log } from './math';
import { canonical } from './simd';

/** Address of row i of head h in batch row b. */
@inline function rowOf(tensor: usize, b: i32, h: i32, i: i32): usize {
  return load<usize>(tensor, T_PTR) + b * load<i32>(tensor, T_BATCH) + h * load<i32>(tensor, T_HEAD) + i * load<i32>(tensor, T_ROW);
}

/** The rows of one tile: TILE queries of one (batch, head). A row is read whole before it is written, so OUT may be a state's. */
export function merge(job: usize, tile: i32, scratch: usize): void {
  const L = load<i32>(job, M_L);
  const H = load<i32>(job, M_H);
  const E = load<i32>(job, M_E);
  const rows = load<i32>(job, M_TILE);
  const blocks = (L + rows - 1) / rows;
  const b = tile / blocks / H;
  const h = (tile / blocks) % H;
  const first = (tile % blocks) * rows;
  const last = min(first + rows, L);
  const sinks = load<usize>(job, M_SINKS);
  const sink: f64 = sinks ? <f64>load<f32>(sinks + (<usize>h << 2)) : -Infinity;
  const result = scratch + load<usize>(job, M_RESULT);
  const out = job + M_OUT;
  let lse = load<usize>(job, M_LSE) + (<usize>((b * H + h) * L + first) << 2);
  for (let i = first; i < last; i++, lse += 4) {
    const l = mergeRow(job, scratch, result, sink, b, h, i, E);
    storeRow(rowOf(out, b, h, i), result, E, load<i32>(out, T_CHANNEL), load<i32>(out, T_TYPE));
    store<f32>(lse, l == l ? l : f32.NaN);
  }
}

/** Merges one row into `result`; returns its log-sum-exp. */
function mergeRow(job: usize, scratch: usize, result: usize, sink: f64, b: i32, h: i32, i: i32, E: i32): f32 {
  const width = <usize>(E + 7 & ~7) << 2;
  const weights = scratch + load<usize>(job, M_WEIGHTS);
  const sources = scratch + load<usize>(job, M_ROWS);
  const live = gather(job, scratch, b, h, i, E, width, weights, sources);
  if (sink == -Infinity) {
    if (live == 0) {
      memory.fill(result, 0, width);
      return -f32.POSITIVE_INFINITY;
    }
    if (live == 1) {
      memory.copy(result, load<usize>(sources), <usize>E << 2);
      return <f32>load<f64>(weights);
    }
  }
  const end = weights + (live << 3);
  let m = sink;
  for (let at = weights; at < end; at += 8) {
    const l = load<f64>(at);
    if (l > m || l != l) m = l;
  }
  let sum: f64 = 0;
  for (let at = weights; at < end; at += 8) {
    const w = exp(load<f64>(at) - m);
    store<f64>(at, w);
    sum += w;
  }
  if (sink != -Infinity) sum += exp(sink - m);
  for (let at = weights; at < end; at += 8) store<f64>(at, load<f64>(at) / sum);
  combine(sources, weights, live, result, width);
  return <f32>(m + log(sum));
}

/** Lists the states that saw a key: their l in `weights`, their rows in `sources`; returns how many there are. */
function gather(job: usize, scratch: usize, b: i32, h: i32, i: i32, E: i32, width: usize, weights: usize, sources: usize): usize {
  let state = load<usize>(job, M_STATES);
  let line = scratch + load<usize>(job, M_LINES);
  let live: usize = 0;
  for (let left = load<i32>(job, M_COUNT); left > 0; left--, state += M_STATE) {
    const l = load<f32>(rowOf(state + M_STATE_LSE, b, h, i));
    if (l == -f32.POSITIVE_INFINITY) continue;
    let row = rowOf(state + M_STATE_OUT, b, h, i);
    const type = load<i32>(state, M_STATE_OUT + T_TYPE);
    const stride = load<i32>(state, M_STATE_OUT + T_CHANNEL);
    if (type != F32 || stride != 4) {
      loadRow(line, row, E, stride, type);
      row = line;
      line += width;
    }
    store<f64>(weights + (live << 3), <f64>l);
    store<usize>(sources + live * sizeof<usize>(), row);
    live++;
  }
  return live;
}

/** result = Σ w·row, eight channels at a time over all states. Rows are read up to E', the result's end is never used. */
function combine(sources: usize, weights: usize, live: usize, result: usize, width: usize): void {
  for (let e: usize = 0; e < width; e += 32) {
    let a = f64x2.splat(0), b = f64x2.splat(0), c = f64x2.splat(0), d = f64x2.splat(0);
    for (let n: usize = 0; n < live; n++) {
      const row = load<usize>(sources + n * sizeof<usize>()) + e;
      const w = v128.load64_splat(weights + (n << 3));
      a = f64x2.add(a, f64x2.mul(w, f64x2.promote_low_f32x4(v128.load64_zero(row))));
      b = f64x2.add(b, f64x2.mul(w, f64x2.promote_low_f32x4(v128.load64_zero(row, 8))));
      c = f64x2.add(c, f64x2.mul(w, f64x2.promote_low_f32x4(v128.load64_zero(row, 16))));
      d = f64x2.add(d, f64x2.mul(w, f64x2.promote_low_f32x4(v128.load64_zero(row, 24))));
    }
    v128.store(result + e, canonical(narrow(a, b)));
    v128.store(result + e, canonical(narrow(c, d)), 16);
  }
}

/** Four f64 as four f32. */
@inline function narrow(low: v128, high: v128): v128 {
  return v128.shuffle<i64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}
