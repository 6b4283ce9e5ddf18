// What multiplies the scores after the softcap, and what is added to them.

import {
  A_BATCH, A_COEFFICIENT, A_CURVE, A_CURVE_HEAD, A_FACTORS, A_FIRST, A_GATE, A_HEAD, A_HIDE, A_INDEX, A_INDEX_BATCH, A_INDEX_ROW, A_LAST,
  A_MAP, A_MULTIPLY, A_OWN, A_OWN_BATCH, A_OWN_HEAD, A_PTR, A_REST, A_ROW, A_ROWS, A_ROWS_BATCH, A_SIZE, A_UNITS, BIASES, BIAS_COUNT,
  DIM_H, DIM_L, HIDE_INFINITE, HIDE_ZEROS, R_HEAD, R_QUERY, R_SIZE,
} from './job';
import { addCurve } from './curve';
import { addHiding, addHidingLookup, addLookup, addRow, addSum, hideInfinite, hideLookup, hideZeros, multiplyRow } from './softmax';

/** True if query i has the bias. */
@inline function meets(entry: usize, i: i32): bool {
  return i >= load<i32>(entry, A_FIRST) && i <= load<i32>(entry, A_LAST);
}

/** Applies every factor and bias of one row at the keys low … low + keys − 1. */
export function addBiases(job: usize, row: usize, s: usize, b: i32, low: i32, keys: i32): void {
  const i = load<i32>(row, R_QUERY);
  const h = load<i32>(row, R_HEAD);
  let entry = load<usize>(job, BIASES);
  for (let left = load<i32>(job, BIAS_COUNT); left > 0; left--, entry += A_SIZE) {
    if (!meets(entry, i)) continue;
    let coefficient = load<f32>(entry, A_COEFFICIENT);
    const gate = load<usize>(entry, A_GATE);
    if (gate) {
      const H = load<i32>(job, DIM_H);
      coefficient *= load<f32>(gate + (<usize>((b * H + h) * load<i32>(job, DIM_L) + i) << 2));
    }
    const table = load<usize>(entry, A_PTR) + b * load<i32>(entry, A_BATCH) + h * load<i32>(entry, A_HEAD);
    const index = load<usize>(entry, A_INDEX);
    const hide = load<i32>(entry, A_HIDE);
    if (index) {
      const columns = index + b * load<i32>(entry, A_INDEX_BATCH) + i * load<i32>(entry, A_INDEX_ROW) + (low << 2);
      const sums = load<usize>(entry, A_ROWS);
      const rows = sums ? sums + b * load<i32>(entry, A_ROWS_BATCH) : 0;
      if (hide) addHidingLookup(s, table, columns, rows, load<usize>(entry, A_MAP), i, keys, coefficient);
      else addLookup(s, table, columns, rows, load<usize>(entry, A_MAP), i, keys, coefficient);
      continue;
    }
    const stride = load<i32>(entry, A_ROW);
    if (hide == HIDE_ZEROS) {
      hideZeros(s, table + i * stride + low, keys);
      continue;
    }
    const line = table + i * stride + (low << 2);
    const curve = load<usize>(entry, A_CURVE);
    const rest = load<usize>(entry, A_REST);
    if (load<i32>(entry, A_MULTIPLY)) multiplyRow(s, line, keys);
    else if (rest) {
      const own = load<usize>(entry, A_OWN) + b * load<i32>(entry, A_OWN_BATCH) + h * load<i32>(entry, A_OWN_HEAD) + (i << 3);
      addSum(s, line, line + (rest - load<usize>(entry, A_PTR)), own, keys, coefficient);
    } else if (curve) {
      const factor = load<f32>(load<usize>(entry, A_FACTORS) + (i << 2));
      addCurve(s, line, keys, factor, curve + h * load<i32>(entry, A_CURVE_HEAD), load<i32>(entry, A_UNITS), coefficient);
    } else if (hide == HIDE_INFINITE) addHiding(s, line, keys, coefficient);
    else addRow(s, line, keys, coefficient);
  }
}

/** −Infinity at the keys that one of the first `count` biases hides: they stay hidden, whatever the others add, NaN or Infinity. */
export function hideEntries(job: usize, row: usize, s: usize, b: i32, low: i32, keys: i32, count: i32): void {
  const i = load<i32>(row, R_QUERY);
  const h = load<i32>(row, R_HEAD);
  let entry = load<usize>(job, BIASES);
  for (; count > 0; count--, entry += A_SIZE) {
    const hide = load<i32>(entry, A_HIDE);
    if (!hide || !meets(entry, i)) continue;
    const table = load<usize>(entry, A_PTR) + b * load<i32>(entry, A_BATCH) + h * load<i32>(entry, A_HEAD);
    const index = load<usize>(entry, A_INDEX);
    if (index) {
      const columns = index + b * load<i32>(entry, A_INDEX_BATCH) + i * load<i32>(entry, A_INDEX_ROW) + (low << 2);
      const sums = load<usize>(entry, A_ROWS);
      hideLookup(s, table, columns, sums ? sums + b * load<i32>(entry, A_ROWS_BATCH) : 0, load<usize>(entry, A_MAP), i, keys);
      continue;
    }
    const stride = load<i32>(entry, A_ROW);
    if (hide == HIDE_ZEROS) hideZeros(s, table + i * stride + low, keys);
    else hideInfinite(s, table + i * stride + (low << 2), keys);
  }
}

/**
 * Touches every cache line that a band's rows of a bias given whole have at the keys low … low + keys − 1: the group at `group` and those after
 * it, `rows` rows. Such a bias comes from memory, and each row from a page of its own, where no host reads ahead; here the loads depend on
 * nothing, and as many are under way as the processor can have (512×12×64: 10 % over no bias for 13 %). Their sum goes to `sink`, or no
 * compiler would leave them.
 */
export function touchBiases(job: usize, group: usize, rows: i32, b: i32, low: i32, keys: i32, sink: usize): void {
  let sum = 0;
  let entry = load<usize>(job, BIASES);
  for (let left = load<i32>(job, BIAS_COUNT); left > 0; left--, entry += A_SIZE) {
    const stride = load<i32>(entry, A_ROW);
    if (load<usize>(entry, A_INDEX) || stride <= 0 || load<i32>(entry, A_HIDE) == HIDE_ZEROS) continue;
    const table = load<usize>(entry, A_PTR) + b * load<i32>(entry, A_BATCH) + (low << 2);
    for (let r = 0; r < rows; r++) {
      const row = group + (r >> 2) * R_SIZE + ((r & 3) << 2);
      const i = load<i32>(row, R_QUERY);
      if (i < 0) continue;
      const line = table + load<i32>(row, R_HEAD) * load<i32>(entry, A_HEAD) + i * stride;
      for (let at = line, end = line + (keys << 2); at < end; at += 64) sum += load<i32>(at);
    }
  }
  store<i32>(sink, sum);
}
