// What this machine can do at most, for `relpos bench`: arithmetic without memory, and memory without arithmetic. One module of its own, which
// no entry but relpos/bench carries.
import { madd } from './simd';

/**
 * Twelve chains x = x·a + b, `turns` times: 12 · 4 · 2 operations a turn. Twelve hide the latency of a product and a sum (3 + 3 or 4 + 4 cycles,
 * two of them begun per cycle), and with a and b they leave two of sixteen registers free.
 */
export function arithmetic(turns: i32, a: f32, b: f32): f32 {
  const va = f32x4.splat(a);
  const vb = f32x4.splat(b);
  // Different starts: equal chains would be one.
  // repeat $n 12
  let x$n = f32x4.add(f32x4(0, 0.1, 0.2, 0.3), f32x4.splat($n * b));
  // end
  for (let i = 0; i < turns; i++) {
    // repeat $n 12
    x$n = madd(x$n, va, vb);
    // end
  }
  x0 = f32x4.add(f32x4.add(x0, x1), f32x4.add(x2, x3));
  x4 = f32x4.add(f32x4.add(x4, x5), f32x4.add(x6, x7));
  x8 = f32x4.add(f32x4.add(x8, x9), f32x4.add(x10, x11));
  return f32x4.extract_lane(f32x4.add(f32x4.add(x0, x4), x8), 0);
}

/** The same for 16-bit integers: twelve chains x = dot(x, a) + b or, with `wide`, a literal, extmul(x, a) + b. */
@inline function integers(turns: i32, a: i32, b: i32, wide: bool): i32 {
  const va = i16x8.splat(a as i16);
  const vb = i32x4.splat(b);
  // repeat $n 12
  let x$n = i32x4.add(i32x4(0, 1, 2, 3), i32x4.splat($n * b));
  // end
  for (let i = 0; i < turns; i++) {
    // repeat $n 12
    x$n = i32x4.add(wide ? i32x4.extmul_low_i16x8_s(x$n, va) : i32x4.dot_i16x8_s(x$n, va), vb);
    // end
  }
  let sum = i32x4.splat(0);
  // repeat $n 12
  sum = i32x4.add(sum, x$n);
  // end
  return i32x4.extract_lane(sum, 0);
}

/**
 * A dot takes eight products and four sums of two, so 12 · 16 operations a turn. Each dot is of what the last sum gave: one of constants would be
 * computed once, before the loop.
 */
export function dots16(turns: i32, a: i32, b: i32): i32 {
  return integers(turns, a, b, false);
}

/** The form that ARM64 has an instruction for: four products and four sums, so 12 · 8 operations a turn. */
export function wide16(turns: i32, a: i32, b: i32): i32 {
  return integers(turns, a, b, true);
}

/** Reads `bytes` from `from`, a multiple of 128, and gives a sum of them that nobody needs. */
export function read(from: usize, bytes: usize): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (const end = from + bytes; from < end; from += 128) {
    s0 = f32x4.add(s0, f32x4.add(v128.load(from), v128.load(from, 16)));
    s1 = f32x4.add(s1, f32x4.add(v128.load(from, 32), v128.load(from, 48)));
    s2 = f32x4.add(s2, f32x4.add(v128.load(from, 64), v128.load(from, 80)));
    s3 = f32x4.add(s3, f32x4.add(v128.load(from, 96), v128.load(from, 112)));
  }
  return f32x4.extract_lane(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)), 0);
}

/** Copies `bytes`, a multiple of 64. */
export function copy(to: usize, from: usize, bytes: usize): void {
  for (const end = from + bytes; from < end; from += 64, to += 64) {
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const c = v128.load(from, 32);
    const d = v128.load(from, 48);
    v128.store(to, a);
    v128.store(to, b, 16);
    v128.store(to, c, 32);
    v128.store(to, d, 48);
  }
}
