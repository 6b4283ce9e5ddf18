// The vector helpers. This is the only file that knows about relaxed SIMD.

import { BASELINE, INT16, RELAXED } from './job';
import { INTEGER } from './target';

/** Which kernels these are. */
export function variant(): i32 {
  return INTEGER ? INT16 : ASC_FEATURE_RELAXED_SIMD ? RELAXED : BASELINE;
}

/** Whether `madd` rounds once here: of (1 + 2^−12)² = 1 + 2^−11 + 2^−24 a fused product keeps the last bit, a rounded one does not. */
export function fuses(): bool {
  const x = f32x4.splat(1.000244140625);
  return f32x4.extract_lane(madd(x, x, f32x4.splat(-1.00048828125)), 0) != 0;
}

/**
 * Whether this host multiplies 16-bit integers faster by products that are as wide as their sums (scores16.ts): ARM does, x86 does not. x86 makes
 * NaNs with their sign set, ARM without; `size` is any positive number. Where it errs a call is slower and its bits are the same.
 */
@inline export function widens(size: f32): bool {
  const infinite = size * Infinity;
  return reinterpret<i32>(infinite - infinite) >= 0;
}

/** a·b + c: fused where the target has relaxed SIMD and the host fuses, else rounded twice. */
@inline export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Lane n everywhere; n is a literal. */
@inline export function splat(x: v128, n: i32): v128 {
  if (n == 0) return v128.shuffle<f32>(x, x, 0, 0, 0, 0);
  if (n == 1) return v128.shuffle<f32>(x, x, 1, 1, 1, 1);
  if (n == 2) return v128.shuffle<f32>(x, x, 2, 2, 2, 2);
  return v128.shuffle<f32>(x, x, 3, 3, 3, 3);
}

/**
 * x everywhere, as a value that stays in a register through a loop; `zero` is 0, made of an argument so that no compiler knows. V8 from
 * version 12 on (Node 22, Chrome 121) makes a vector of constants anew wherever it is used, in three instructions: exponentials took
 * twice as long.
 */
@inline export function held(x: f32, zero: i32): v128 {
  return i32x4.splat(reinterpret<i32>(x) + zero);
}

/** (x0 + x2) + (x1 + x3): the one order in which lanes are ever added. */
@inline export function sumLanes(x: v128): f32 {
  const y = f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.add(y, v128.shuffle<f32>(y, y, 1, 0, 3, 2)), 0);
}

/** The largest lane. A NaN may be lost, as in maxRows. */
@inline export function maxLanes(x: v128): f32 {
  const y = f32x4.pmax(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.pmax(y, v128.shuffle<f32>(y, y, 1, 0, 3, 2)), 0);
}

/** Row maxima of four vectors. A NaN may be lost, which is harmless where the NaN itself reaches the row's sum. */
@inline export function maxRows(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.pmax(v128.shuffle<f32>(a, b, 0, 1, 4, 5), v128.shuffle<f32>(a, b, 2, 3, 6, 7));
  const cd = f32x4.pmax(v128.shuffle<f32>(c, d, 0, 1, 4, 5), v128.shuffle<f32>(c, d, 2, 3, 6, 7));
  return f32x4.pmax(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

/** Replaces every NaN by the one canonical NaN: which payload arithmetic yields is the host's choice. */
@inline export function canonical(x: v128): v128 {
  return v128.bitselect(x, i32x4.splat(0x7fc00000), f32x4.eq(x, x));
}
