// What goes number by number: sums and products of two, factors, activations, limits, the soft cap of logits.

import { activateAll } from './finish';
import {
  MAP_A, MAP_A_ROW, MAP_ACTIVATION, MAP_ADD, MAP_B, MAP_B_ROW, MAP_DIVISOR, MAP_FACTOR, MAP_LIMIT, MAP_OUT, MAP_OUT_ROW, MAP_PIECE, MAP_ROWS,
  MAP_TILE, MAP_WIDTH,
} from './job';
import { put } from './lanes';

/** OUT ← FACTOR·act(A/DIVISOR), at most LIMIT in size, and that ·B or + B if there is a B; by pieces that stay in the nearest cache. */
export function map(job: usize, tile: i32, scratch: usize): void {
  const first = tile * load<i32>(job, MAP_TILE);
  const last = min(first + load<i32>(job, MAP_TILE), load<i32>(job, MAP_ROWS));
  const width = load<i32>(job, MAP_WIDTH), activation = load<i32>(job, MAP_ACTIVATION), adds = load<i32>(job, MAP_ADD);
  const divisor = f32x4.splat(load<f32>(job, MAP_DIVISOR)), factor = f32x4.splat(load<f32>(job, MAP_FACTOR));
  const limit = load<f32>(job, MAP_LIMIT);
  const most = f32x4.splat(limit), least = f32x4.splat(-limit);
  for (let r = first; r < last; r++) {
    let a = load<usize>(job, MAP_A) + r * load<i32>(job, MAP_A_ROW);
    let b = load<usize>(job, MAP_B);
    if (b) b += r * load<i32>(job, MAP_B_ROW);
    let to = load<usize>(job, MAP_OUT) + r * load<i32>(job, MAP_OUT_ROW);
    for (let done = 0; done < width; done += MAP_PIECE) {
      const n = min(MAP_PIECE, width - done);
      const bytes = <usize>((n + 3) & ~3) << 2;
      for (let at: usize = 0; at < bytes; at += 16) v128.store(scratch + at, f32x4.div(v128.load(a + at), divisor));
      activateAll(scratch, (n + 7) & ~7, activation);
      for (let at: usize = 0, left = n; left > 0; at += 16, left -= 4) {
        let x = f32x4.mul(v128.load(scratch + at), factor);
        // A NaN stays one.
        if (limit > 0) x = f32x4.min(f32x4.max(x, least), most);
        if (b) x = adds ? f32x4.add(x, v128.load(b + at)) : f32x4.mul(x, v128.load(b + at));
        put(to + at, left, x);
      }
      a += bytes;
      to += bytes;
      if (b) b += bytes;
    }
  }
}
