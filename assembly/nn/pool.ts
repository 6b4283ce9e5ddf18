// One row for each text: its first, its last, the sum, the mean or the largest of its rows.

import {
  POOL_FIRST, POOL_KIND, POOL_LAST, POOL_MAX, POOL_MEAN_ROOT, POOL_OUT, POOL_OUT_ROW, POOL_STARTS, POOL_SUM, POOL_TEXTS, POOL_TILE, POOL_WEIGHTED,
  POOL_WIDTH, POOL_X, POOL_X_ROW,
} from './job';
import { put } from './lanes';

/** 16 channels of rows summed in ascending order, row i counting i + 1 times if they are weighted, or their largest; then divided. */
function channels(to: usize, x: usize, row: i32, count: i32, left: i32, kind: i32, divisor: f32): void {
  const start = f32x4.splat(kind == POOL_MAX ? -Infinity : 0);
  let a = start, b = start, c = start, d = start;
  if (kind == POOL_MAX) {
    for (let i = 0; i < count; i++, x += row) {
      a = f32x4.max(a, v128.load(x));
      b = f32x4.max(b, v128.load(x, 16));
      c = f32x4.max(c, v128.load(x, 32));
      d = f32x4.max(d, v128.load(x, 48));
    }
  } else {
    for (let i = 0; i < count; i++, x += row) {
      const w = f32x4.splat(kind == POOL_WEIGHTED ? <f32>(i + 1) : 1);
      a = f32x4.add(a, f32x4.mul(w, v128.load(x)));
      b = f32x4.add(b, f32x4.mul(w, v128.load(x, 16)));
      c = f32x4.add(c, f32x4.mul(w, v128.load(x, 32)));
      d = f32x4.add(d, f32x4.mul(w, v128.load(x, 48)));
    }
  }
  const by = f32x4.splat(divisor);
  put(to, left, f32x4.div(a, by));
  if (left > 4) put(to + 16, left - 4, f32x4.div(b, by));
  if (left > 8) put(to + 32, left - 8, f32x4.div(c, by));
  if (left > 12) put(to + 48, left - 12, f32x4.div(d, by));
}

/** What the sum of n rows is divided by. */
function divisorOf(kind: i32, n: i32): f32 {
  if (kind == POOL_MAX || kind == POOL_SUM) return 1;
  if (kind == POOL_WEIGHTED) return <f32>((<f64>n * (<f64>n + 1)) / 2);
  return kind == POOL_MEAN_ROOT ? sqrt(<f32>n) : <f32>n;
}

/** Row t of OUT from the rows of text t; 0 from none. */
export function pool(job: usize, tile: i32, scratch: usize): void {
  const n = load<i32>(job, POOL_WIDTH), row = load<i32>(job, POOL_X_ROW), kind = load<i32>(job, POOL_KIND);
  const first = tile * load<i32>(job, POOL_TILE);
  const last = min(first + load<i32>(job, POOL_TILE), load<i32>(job, POOL_TEXTS));
  for (let t = first; t < last; t++) {
    const starts = load<usize>(job, POOL_STARTS) + (<usize>t << 2);
    const to = load<usize>(job, POOL_OUT) + t * load<i32>(job, POOL_OUT_ROW);
    let from = load<i32>(starts);
    let count = load<i32>(starts, 4) - from;
    if (count == 0) {
      memory.fill(to, 0, <usize>n << 2);
      continue;
    }
    if (kind == POOL_LAST) from += count - 1;
    if (kind == POOL_LAST || kind == POOL_FIRST) count = 1;
    const x = load<usize>(job, POOL_X) + <usize>from * row;
    const divisor = divisorOf(kind, count);
    for (let at: usize = 0, left = n; left > 0; left -= 16, at += 64) channels(to + at, x + at, row, count, left, kind, divisor);
  }
}
