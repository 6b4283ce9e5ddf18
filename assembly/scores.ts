// Scores of one group of four rows against a run of key panels: s(r, j) = Σ_d q(r, d)·k(j, d), d ascending, one accumulator per
// score, so that no tile shape shows in the bits.

import { R_FROM, R_SIZE, R_TO, SCORES_ROW } from './job';
import { madd } from './simd';

/**
 * Four rows × eight keys. q: [D][4], keys: one panel [D][8], s: `row` bytes a row, D ≥ 1. Eight accumulators, two key
 * vectors, one splat and one product live at once: 12 of 16 registers.
 *
 * Two steps a turn, 29 instructions each where one has 32: V8 adds one for every address and a check of the stack for every turn. Where mul
 * and add share three ports (Intel) 5.3 cycles of arithmetic a step hide most of them (0.4 to 1.2 %); where they do not (AMD) a step
 * takes as long as its instructions. The way out between the steps is needed even for an even D: without it Binaryen folds the two sums of an
 * accumulator into one expression, all loads come first, and they spill (31 GFLOP/s against 41).
 *
 * Attempts that lost: 5×8 in the whole kernel, 6×8, 4×12 and 3×16 with mul and add (no register for the product). Eight steps a turn gain
 * another 1 % and are not worth their lines.
 */
export function scores4x8(q: usize, panel: usize, s: usize, D: i32, row: usize, groups: i32): void {
  for (; groups > 0; groups--) {
    let keys = panel;
    let s0a = f32x4.splat(0), s0b = f32x4.splat(0);
    let s1a = f32x4.splat(0), s1b = f32x4.splat(0);
    let s2a = f32x4.splat(0), s2b = f32x4.splat(0);
    let s3a = f32x4.splat(0), s3b = f32x4.splat(0);
    for (let left = D; ; left -= 2) {
      const ka = v128.load(keys);
      const kb = v128.load(keys, 16);
      const q0 = v128.load32_splat(q);
      s0a = madd(q0, ka, s0a);
      s0b = madd(q0, kb, s0b);
      const q1 = v128.load32_splat(q, 4);
      s1a = madd(q1, ka, s1a);
      s1b = madd(q1, kb, s1b);
      const q2 = v128.load32_splat(q, 8);
      s2a = madd(q2, ka, s2a);
      s2b = madd(q2, kb, s2b);
      const q3 = v128.load32_splat(q, 12);
      s3a = madd(q3, ka, s3a);
      s3b = madd(q3, kb, s3b);
      q += 16;
      if (left == 1) break;
      const kc = v128.load(keys, 32);
      const kd = v128.load(keys, 48);
      const q4 = v128.load32_splat(q);
      s0a = madd(q4, kc, s0a);
      s0b = madd(q4, kd, s0b);
      const q5 = v128.load32_splat(q, 4);
      s1a = madd(q5, kc, s1a);
      s1b = madd(q5, kd, s1b);
      const q6 = v128.load32_splat(q, 8);
      s2a = madd(q6, kc, s2a);
      s2b = madd(q6, kd, s2b);
      const q7 = v128.load32_splat(q, 12);
      s3a = madd(q7, kc, s3a);
      s3b = madd(q7, kd, s3b);
      q += 16;
      if (left == 2) break;
      keys += 64;
    }
    v128.store(s, s0a);
    v128.store(s, s0b, 16);
    s += row;
    v128.store(s, s1a);
    v128.store(s, s1b, 16);
    s += row;
    v128.store(s, s2a);
    v128.store(s, s2b, 16);
    s += row;
    v128.store(s, s3a);
    v128.store(s, s3b, 16);
    s += row;
  }
}

/**
 * The first row alone × 32 keys: the same sums as scores4x8, for a group whose other rows are dead. keys: four panels, s: contiguous.
 */
function scores1x32(q: usize, keys: usize, s: usize, D: i32): void {
  const panel = <usize>D << 5;
  const k1 = keys + panel, k2 = k1 + panel, k3 = k2 + panel;
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
  let s4 = f32x4.splat(0), s5 = f32x4.splat(0), s6 = f32x4.splat(0), s7 = f32x4.splat(0);
  for (let at: usize = 0; at < panel; at += 32, q += 16) {
    const x = v128.load32_splat(q);
    s0 = madd(x, v128.load(keys + at), s0);
    s1 = madd(x, v128.load(keys + at, 16), s1);
    s2 = madd(x, v128.load(k1 + at), s2);
    s3 = madd(x, v128.load(k1 + at, 16), s3);
    s4 = madd(x, v128.load(k2 + at), s4);
    s5 = madd(x, v128.load(k2 + at, 16), s5);
    s6 = madd(x, v128.load(k3 + at), s6);
    s7 = madd(x, v128.load(k3 + at, 16), s7);
  }
  v128.store(s, s0);
  v128.store(s, s1, 16);
  v128.store(s, s2, 32);
  v128.store(s, s3, 48);
  v128.store(s, s4, 64);
  v128.store(s, s5, 80);
  v128.store(s, s6, 96);
  v128.store(s, s7, 112);
}

/** One live row against the panels of the keys that it sees, by fours as far as they go. q, keys, s as in `scores`. */
export function scoresOfRow(group: usize, q: usize, keys: usize, s: usize, block: i32, D: i32): void {
  const to = load<i32>(group, R_TO);
  let j = load<i32>(group, R_FROM);
  for (; j + 24 < to; j += 32) scores1x32(q, keys + (<usize>(j - block) * D << 2), s + (<usize>(j - block) << 2), D);
  for (; j < to; j += 8) scores4x8(q, keys + (<usize>(j - block) * D << 2), s + (<usize>(j - block) << 2), D, SCORES_ROW, 1);
}

@inline function sees(group: usize, j: i32): bool {
  return j >= load<i32>(group, R_FROM) && j < load<i32>(group, R_TO);
}

/**
 * A band of `groups` groups against the panels that each group sees, panel by panel, so that a panel is read from L1 by all groups but
 * the first. q: the band's first group, keys: the panel of key `block`, s: [4·groups][KEY_BLOCK].
 */
export function scores(group: usize, groups: i32, q: usize, keys: usize, s: usize, block: i32, D: i32): void {
  let from = i32.MAX_VALUE;
  let to = 0;
  for (let n = 0, at = group; n < groups; n++, at += R_SIZE) {
    from = min(from, load<i32>(at, R_FROM));
    to = max(to, load<i32>(at, R_TO));
  }
  const size = <usize>D << 4; // bytes of a group's queries
  for (let j = from; j < to; j += 8) {
    const panel = keys + (<usize>(j - block) * D << 2);
    const line = s + (<usize>(j - block) << 2);
    for (let n = 0; n < groups; n++) {
      const first = n;
      while (n < groups && sees(group + n * R_SIZE, j)) n++;
      if (n > first) scores4x8(q + <usize>first * size, panel, line + 4 * first * SCORES_ROW, D, SCORES_ROW, n - first);
    }
  }
}
