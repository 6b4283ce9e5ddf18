// Scores of groups of four rows against key panels: s(r, j) = Σ_d q(r, d)·k(j, d), d ascending, one accumulator per
// score, so that no tile shape shows in the bits. The build writes out what stands between "repeat" and "end" (scripts/unroll.mjs).

import { R_FROM, R_SIZE, R_TO, SCORES_ROW } from './job';
import { bandSees, groupSees } from './rows';
import { madd } from './simd';

/**
 * Four rows × eight keys, for `groups` groups in turn against one panel. queries: [groups][D][4], panel: [D][8], s: `row` bytes a row, D ≥ 1.
 * The sums are stored or, with `adds`, a literal, added to what is there: one tile for scores and for tables by offset (offsets.ts).
 * Eight accumulators, two key vectors, one splat and one product live at once: 12 of 16 registers.
 *
 * Eight steps a turn: V8 makes an instruction of every address and of every check of the stack, 32 a step in a loop of single steps and 28
 * here. Where mul and add share three ports (Intel), a step takes 5.5 cycles whatever is around it and 5.6 here; gained is that so short a
 * loop ends as predicted, 2 % at D = 128 and 3 % at 64. There is a way out after every step because without it Binaryen makes one
 * expression of the eight sums of an accumulator: all loads come first, and spill (11 to 15 cycles on Node 20).
 *
 * A splat's address is a sum in the code, not an offset of the instruction. V8 makes the same instruction of either; where it checks
 * every load (Deno, workerd) one limit serves all the sums and each offset needs its own (8 % of a call), and JavaScriptCore takes 31 %
 * less. For the sake of those checks, too, the module imports a memory of one page at least (asconfig.json): with none V8 first compares
 * each offset with the memory's size (12 %).
 *
 * Attempts that lost, in a whole call at D = 64 and 128 (EPYC, Zen 4): single steps (Node 5 %, Deno 10 %, Bun 4 % more), four steps (2 %),
 * sums for the panel's addresses too (nothing), three queries of four by shuffles from one load (Deno 3 % less than with offsets, Node 7 %
 * more), 5×8 in the whole kernel, 6×8, 4×12 and 3×16 with mul and add (no register for the product).
 */
@inline export function sums4x8(queries: usize, panel: usize, s: usize, D: i32, row: usize, groups: i32, adds: bool): void {
  for (; groups > 0; groups--, queries += <usize>D << 4) {
    // repeat $r 4
    let s$ra = f32x4.splat(0), s$rb = f32x4.splat(0);
    // end
    let q = queries, keys = panel, x: v128, y: v128, c: v128;
    for (let left = D; ; left -= 8, q += 128, keys += 256) {
      // repeat $n 8
      x = v128.load(keys, 32 * $n), y = v128.load(keys, 32 * $n + 16);
      // repeat $r 4
      c = v128.load32_splat(q + (16 * $n + 4 * $r));
      s$ra = madd(c, x, s$ra), s$rb = madd(c, y, s$rb);
      // end
      if (left == $n + 1) break;
      // end
    }
    // repeat $r 4
    v128.store(s, adds ? f32x4.add(v128.load(s), s$ra) : s$ra);
    v128.store(s, adds ? f32x4.add(v128.load(s, 16), s$rb) : s$rb, 16);
    s += row;
    // end
  }
}

/** Scores of four rows × eight keys, see sums4x8. */
export function scores4x8(queries: usize, panel: usize, s: usize, D: i32, row: usize, groups: i32): void {
  sums4x8(queries, panel, s, D, row, groups, false);
}

/**
 * Six rows × eight keys, where multiply and add are one instruction: twelve rows of three groups are two tiles, of a whole group and half of
 * the middle one each. Same sums as scores4x8; queries: [3·triples][D][4], s: SCORES_ROW bytes a row.
 *
 * Two units take such an instruction and have its result after four cycles, so that 4×8, eight sums, could just keep them busy and does not.
 * Twelve sums, two key vectors and a splat are 15 of 16 registers: no product needs one. Intel gains a third over mul and add; AMD, whose
 * mul and add go to pipes of their own, 12 % of a call. Attempts that lost: one, two and four steps a turn (Deno 11, 4 and 2 % more).
 */
function scores6x8(queries: usize, panel: usize, s: usize, D: i32, triples: i32): void {
  const size = <usize>D << 4;
  for (; triples > 0; triples--, queries += 3 * size) {
    let four = queries, two = queries + size;
    let to = s, toTwo = s + 4 * SCORES_ROW;
    for (const end = s + 12 * SCORES_ROW; s < end; s += 6 * SCORES_ROW) {
      // repeat $r 6
      let s$ra = f32x4.splat(0), s$rb = f32x4.splat(0);
      // end
      let q = four, p = two, keys = panel, x: v128, y: v128, c: v128;
      for (let left = D; ; left -= 8, q += 128, p += 128, keys += 256) {
        // repeat $n 8
        x = v128.load(keys, 32 * $n), y = v128.load(keys, 32 * $n + 16);
        c = v128.load32_splat(q + 16 * $n), s0a = madd(c, x, s0a), s0b = madd(c, y, s0b);
        c = v128.load32_splat(q + (16 * $n + 4)), s1a = madd(c, x, s1a), s1b = madd(c, y, s1b);
        c = v128.load32_splat(q + (16 * $n + 8)), s2a = madd(c, x, s2a), s2b = madd(c, y, s2b);
        c = v128.load32_splat(q + (16 * $n + 12)), s3a = madd(c, x, s3a), s3b = madd(c, y, s3b);
        c = v128.load32_splat(p + 16 * $n), s4a = madd(c, x, s4a), s4b = madd(c, y, s4b);
        c = v128.load32_splat(p + (16 * $n + 4)), s5a = madd(c, x, s5a), s5b = madd(c, y, s5b);
        if (left == $n + 1) break;
        // end
      }
      // repeat $r 4
      v128.store(to, s$ra, $r * SCORES_ROW), v128.store(to, s$rb, $r * SCORES_ROW + 16);
      // end
      v128.store(toTwo, s4a), v128.store(toTwo, s4b, 16);
      v128.store(toTwo, s5a, SCORES_ROW), v128.store(toTwo, s5b, SCORES_ROW + 16);
      // The other tile: the last group, and the last two rows of the middle one.
      four = queries + 2 * size, two = queries + size + 8;
      to = s + 8 * SCORES_ROW, toTwo = s + 6 * SCORES_ROW;
    }
  }
}

/** `groups` groups that see the same panel; queries, panel and s as in scores4x8. */
@inline function scoresOfRun(queries: usize, panel: usize, s: usize, D: i32, groups: i32): void {
  let first = 0;
  if (ASC_FEATURE_RELAXED_SIMD) {
    const triples = groups / 3;
    if (triples > 0) scores6x8(queries, panel, s, D, triples);
    first = 3 * triples;
    if (first == groups) return;
  }
  scores4x8(queries + (<usize>(first * D) << 4), panel, s + 4 * first * SCORES_ROW, D, SCORES_ROW, groups - first);
}

/**
 * One row of a group × 32 keys: the same sums as scores4x8, for a group of which few rows are live. keys: four panels, s: contiguous.
 */
function scores1x32(q: usize, keys: usize, s: usize, D: i32): void {
  const panel = <usize>D << 5;
  const k0 = keys, k1 = k0 + panel, k2 = k1 + panel, k3 = k2 + panel;
  // repeat $p 4
  let s$pa = f32x4.splat(0), s$pb = f32x4.splat(0);
  // end
  for (let at: usize = 0; at < panel; at += 32, q += 16) {
    const x = v128.load32_splat(q);
    // repeat $p 4
    s$pa = madd(x, v128.load(k$p + at), s$pa);
    s$pb = madd(x, v128.load(k$p + at, 16), s$pb);
    // end
  }
  // repeat $p 4
  v128.store(s, s$pa, 32 * $p);
  v128.store(s, s$pb, 32 * $p + 16);
  // end
}

/**
 * A band of one to three live rows against the panels of the keys that they see, by fours as far as they go, where each row by itself takes a
 * quarter of what a group does: two rows of 511 keys of 64 channels take 17 % less of a whole call on Node, 9 % on Deno, 30 % on Bun. q, keys,
 * s, low, high as in `scores`.
 */
export function scoresOfFew(group: usize, rows: i32, q: usize, keys: usize, s: usize, block: i32, low: i32, high: i32, D: i32): void {
  const to = min(load<i32>(group, R_TO), high);
  let j = max(load<i32>(group, R_FROM), low);
  for (; j + 24 < to; j += 32) {
    const panels = keys + (<usize>(j - block) * D << 2);
    for (let r = 0; r < rows; r++) scores1x32(q + (r << 2), panels, s + r * SCORES_ROW + (<usize>(j - block) << 2), D);
  }
  for (; j < to; j += 8) scores4x8(q, keys + (<usize>(j - block) * D << 2), s + (<usize>(j - block) << 2), D, SCORES_ROW, 1);
}

/**
 * A band of `groups` groups against the panels that each group sees of those from key `low` to `high` − 1, panel by panel, so that a panel is
 * read from L1 by all groups but the first. q: the band's first group, keys: where the panel of key `block` is if all stand in one row, s:
 * [4·groups][KEY_BLOCK].
 */
export function scores(group: usize, groups: i32, q: usize, keys: usize, s: usize, block: i32, low: i32, high: i32, D: i32): void {
  const range = bandSees(group, groups, low, high);
  const to = <i32>range;
  const size = <usize>D << 4; // bytes of a group's queries
  for (let j = <i32>(range >> 32); j < to; j += 8) {
    const panel = keys + (<usize>(j - block) * D << 2);
    const line = s + (<usize>(j - block) << 2);
    for (let n = 0; n < groups; n++) {
      const first = n;
      while (n < groups && groupSees(group + n * R_SIZE, j)) n++;
      if (n > first) scoresOfRun(q + <usize>first * size, panel, line + 4 * first * SCORES_ROW, D, n - first);
    }
  }
}
