// Scores of groups of four rows against key panels: s(r, j) = Σ_d q(r, d)·k(j, d), d ascending, one accumulator per
// score, so that no tile shape shows in the bits.

import { R_FROM, R_SIZE, R_TO, SCORES_ROW } from './job';
import { madd } from './simd';

/**
 * Four rows × eight keys, for `groups` groups in turn against one panel. queries: [groups][D][4], panel: [D][8], s: `row` bytes a row, D ≥ 1.
 * Eight accumulators, two key vectors, one splat and one product live at once: 12 of 16 registers.
 *
 * Eight steps a turn: V8 makes an instruction of every address and of every check of the stack, 32 a step in a loop of single steps and 28
 * here. Where mul and add share three ports (Intel), a step takes 5.5 cycles whatever is around it and 5.6 here; gained is that so short a
 * loop ends as predicted, 1 % at D = 128 and 2.5 % at 64. Elsewhere a step takes as long as its instructions (Deno 7.6 cycles against 8.8).
 * JavaScriptCore alone prefers single steps (7.9 against 9.0). There is a way out after every step because without it Binaryen makes one
 * expression of the eight sums of an accumulator: all loads come first, and spill (11 to 15 cycles on Node 20).
 *
 * Attempts that lost: 5×8 in the whole kernel, 6×8, 4×12 and 3×16 with mul and add (no register for the product).
 */
export function scores4x8(queries: usize, panel: usize, s: usize, D: i32, row: usize, groups: i32): void {
  for (; groups > 0; groups--, queries += <usize>D << 4) {
    let s0a = f32x4.splat(0), s0b = f32x4.splat(0);
    let s1a = f32x4.splat(0), s1b = f32x4.splat(0);
    let s2a = f32x4.splat(0), s2b = f32x4.splat(0);
    let s3a = f32x4.splat(0), s3b = f32x4.splat(0);
    let q = queries, keys = panel, x: v128, y: v128, c: v128;
    for (let left = D; ; left -= 8, q += 128, keys += 256) {
      x = v128.load(keys), y = v128.load(keys, 16), c = v128.load32_splat(q);
      s0a = madd(c, x, s0a), s0b = madd(c, y, s0b); c = v128.load32_splat(q, 4);
      s1a = madd(c, x, s1a), s1b = madd(c, y, s1b); c = v128.load32_splat(q, 8);
      s2a = madd(c, x, s2a), s2b = madd(c, y, s2b); c = v128.load32_splat(q, 12);
      s3a = madd(c, x, s3a), s3b = madd(c, y, s3b);
      if (left == 1) break;
      x = v128.load(keys, 32), y = v128.load(keys, 48), c = v128.load32_splat(q, 16);
      s0a = madd(c, x, s0a), s0b = madd(c, y, s0b); c = v128.load32_splat(q, 20);
      s1a = madd(c, x, s1a), s1b = madd(c, y, s1b); c = v128.load32_splat(q, 24);
      s2a = madd(c, x, s2a), s2b = madd(c, y, s2b); c = v128.load32_splat(q, 28);
      s3a = madd(c, x, s3a), s3b = madd(c, y, s3b);
      if (left == 2) break;
      x = v128.load(keys, 64), y = v128.load(keys, 80), c = v128.load32_splat(q, 32);
      s0a = madd(c, x, s0a), s0b = madd(c, y, s0b); c = v128.load32_splat(q, 36);
      s1a = madd(c, x, s1a), s1b = madd(c, y, s1b); c = v128.load32_splat(q, 40);
      s2a = madd(c, x, s2a), s2b = madd(c, y, s2b); c = v128.load32_splat(q, 44);
      s3a = madd(c, x, s3a), s3b = madd(c, y, s3b);
      if (left == 3) break;
      x = v128.load(keys, 96), y = v128.load(keys, 112), c = v128.load32_splat(q, 48);
      s0a = madd(c, x, s0a), s0b = madd(c, y, s0b); c = v128.load32_splat(q, 52);
      s1a = madd(c, x, s1a), s1b = madd(c, y, s1b); c = v128.load32_splat(q, 56);
      s2a = madd(c, x, s2a), s2b = madd(c, y, s2b); c = v128.load32_splat(q, 60);
      s3a = madd(c, x, s3a), s3b = madd(c, y, s3b);
      if (left == 4) break;
      x = v128.load(keys, 128), y = v128.load(keys, 144), c = v128.load32_splat(q, 64);
      s0a = madd(c, x, s0a), s0b = madd(c, y, s0b); c = v128.load32_splat(q, 68);
      s1a = madd(c, x, s1a), s1b = madd(c, y, s1b); c = v128.load32_splat(q, 72);
      s2a = madd(c, x, s2a), s2b = madd(c, y, s2b); c = v128.load32_splat(q, 76);
      s3a = madd(c, x, s3a), s3b = madd(c, y, s3b);
      if (left == 5) break;
      x = v128.load(keys, 160), y = v128.load(keys, 176), c = v128.load32_splat(q, 80);
      s0a = madd(c, x, s0a), s0b = madd(c, y, s0b); c = v128.load32_splat(q, 84);
      s1a = madd(c, x, s1a), s1b = madd(c, y, s1b); c = v128.load32_splat(q, 88);
      s2a = madd(c, x, s2a), s2b = madd(c, y, s2b); c = v128.load32_splat(q, 92);
      s3a = madd(c, x, s3a), s3b = madd(c, y, s3b);
      if (left == 6) break;
      x = v128.load(keys, 192), y = v128.load(keys, 208), c = v128.load32_splat(q, 96);
      s0a = madd(c, x, s0a), s0b = madd(c, y, s0b); c = v128.load32_splat(q, 100);
      s1a = madd(c, x, s1a), s1b = madd(c, y, s1b); c = v128.load32_splat(q, 104);
      s2a = madd(c, x, s2a), s2b = madd(c, y, s2b); c = v128.load32_splat(q, 108);
      s3a = madd(c, x, s3a), s3b = madd(c, y, s3b);
      if (left == 7) break;
      x = v128.load(keys, 224), y = v128.load(keys, 240), c = v128.load32_splat(q, 112);
      s0a = madd(c, x, s0a), s0b = madd(c, y, s0b); c = v128.load32_splat(q, 116);
      s1a = madd(c, x, s1a), s1b = madd(c, y, s1b); c = v128.load32_splat(q, 120);
      s2a = madd(c, x, s2a), s2b = madd(c, y, s2b); c = v128.load32_splat(q, 124);
      s3a = madd(c, x, s3a), s3b = madd(c, y, s3b);
      if (left == 8) break;
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
