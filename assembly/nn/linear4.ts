// Sums of products of integers, i4 weights in blocks of 32:
//
//   s(m, n) = a(m) · Σ_j b(j, n) · (Σ_{k in block j} x̂(m, k)·ŵ(n, k))
//
// The inner sum is exact, at most 32·127·8; the outer one is in f32, product and sum rounded apart, j ascending from 0, whatever the tile and the
// precision. x̂ are 8-bit integers (quantise.ts), ŵ lie as ŵ + 8, 0 … 15, the operand of seven bits of the relaxed dot (linear8.ts), and
// Σ 8·x̂, one number for each row and block, takes the 8 back. Without the relaxed dot products are of 16 bits.
//
// For more rows than one a panel is unpacked once: as bytes [K'/4][8][4] of ŵ + 8, or as shorts [K'/2][8][2] of ŵ; K' is K rounded up to 32.

import { BLOCK, BLOCK_BYTES } from './job';
import { pairs } from './linear8';

/**
 * sum + two products of bytes each, in 16 bits: `sevens` are 0 … 15 here, so a sum of the eight that a lane has of a block is 8·2·127·15 at most and
 * fits. The dot that adds four products to a sum of 32 bits is one instruction on hosts with VNNI or its like, and in V8 five on those without; this
 * is two anywhere on x86.
 */
@inline function twos(bytes: v128, sevens: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.add(sum, v128.relaxed_dot<i16>(bytes, sevens));
  return sum;
}

/** f + b · sum. */
@inline function fold(f: v128, b: v128, sum: v128): v128 {
  return f32x4.add(f, f32x4.mul(b, f32x4.convert_i32x4_s(sum)));
}

/** −Σ 8·x̂ of each block of a row of bytes, by fours `step` bytes apart; the sums are `next` bytes apart. */
export function blockSums(x: usize, step: usize, to: usize, next: usize, blocks: i32): void {
  for (; blocks > 0; blocks--, to += next) {
    let sum = 0;
    for (let n = 0; n < BLOCK; n += 4, x += step) sum += fourOf(load<i32>(x));
    store<i32>(to, -8 * sum);
  }
}

/** The sum of four signed bytes. */
@inline function fourOf(x: i32): i32 {
  return (x << 24 >> 24) + (x << 16 >> 24) + (x << 8 >> 24) + (x >> 24);
}

/** A panel's integers as bytes, plus 8. */
export function unpackBytes(to: usize, panel: usize, blocks: i32): void {
  const mask = i32x4.splat(0x0f0f0f0f + (blocks >> 31));
  for (; blocks > 0; blocks--, panel += BLOCK_BYTES, to += 8 * BLOCK) {
    // repeat $g 4
    // repeat $h 2
    const x$g$h = v128.load(panel, 32 + 32 * $g + 16 * $h);
    v128.store(to, v128.and(x$g$h, mask), 64 * $g + 16 * $h);
    v128.store(to, v128.and(i16x8.shr_u(x$g$h, 4), mask), 64 * $g + 16 * $h + 32);
    // end
    // end
  }
}

/** A panel's integers as shorts. */
export function unpackShorts(to: usize, panel: usize, blocks: i32): void {
  const zero = blocks >> 31;
  const mask = i32x4.splat(0x0f0f0f0f + zero), eight = i32x4.splat(0x08080808 + zero);
  for (; blocks > 0; blocks--, panel += BLOCK_BYTES, to += 16 * BLOCK) {
    // repeat $g 4
    // repeat $h 2
    const x$g$h = v128.load(panel, 32 + 32 * $g + 16 * $h);
    const e$g$h = i8x16.sub(v128.and(x$g$h, mask), eight), o$g$h = i8x16.sub(v128.and(i16x8.shr_u(x$g$h, 4), mask), eight);
    const a$g$h = i16x8.extend_low_i8x16_s(e$g$h), b$g$h = i16x8.extend_high_i8x16_s(e$g$h);
    v128.store(to, v128.shuffle<i32>(a$g$h, b$g$h, 0, 2, 4, 6), 128 * $g + 16 * $h);
    v128.store(to, v128.shuffle<i32>(a$g$h, b$g$h, 1, 3, 5, 7), 128 * $g + 16 * $h + 32);
    const c$g$h = i16x8.extend_low_i8x16_s(o$g$h), d$g$h = i16x8.extend_high_i8x16_s(o$g$h);
    v128.store(to, v128.shuffle<i32>(c$g$h, d$g$h, 0, 2, 4, 6), 128 * $g + 16 * $h + 64);
    v128.store(to, v128.shuffle<i32>(c$g$h, d$g$h, 1, 3, 5, 7), 128 * $g + 16 * $h + 96);
    // end
    // end
  }
}

/**
 * Four rows × eight channels. x: [groups][K'/4][4][4] bytes, sums: [groups][blocks][4], bytes: the panel's, panel: as it is stored, for its
 * scales, s: [groups][4][8], scales: [groups][4]. Sums of blocks stay in s between blocks: with those of integers they are sixteen.
 */
export function nibbles4x8(x: usize, sums: usize, panel: usize, bytes: usize, s: usize, blocks: i32, groups: i32, scales: usize): void {
  const ones = i32x4.splat(0x00010001 + (blocks >> 31));
  for (; groups > 0; groups--, s += 128, scales += 16) {
    // repeat $r 4
    v128.store(s, i32x4.splat(0), 32 * $r), v128.store(s, i32x4.splat(0), 32 * $r + 16);
    // end
    let w = bytes, p = panel;
    for (let left = blocks; left > 0; left--, x += 4 * BLOCK, w += 8 * BLOCK, p += BLOCK_BYTES, sums += 16) {
      // repeat $r 4
      let s$ra = i16x8.splat(0), s$rb = i16x8.splat(0);
      // end
      let at: usize = 0;
      do {
        const a = v128.load(w + (at << 1)), b = v128.load(w + (at << 1), 16);
        // repeat $r 4
        const c$r = v128.load32_splat(x + (at + 4 * $r));
        s$ra = twos(c$r, a, s$ra), s$rb = twos(c$r, b, s$rb);
        // end
        at += 16;
      } while (at < 4 * BLOCK);
      const ba = v128.load(p), bb = v128.load(p, 16);
      // repeat $r 4
      const z$r = v128.load32_splat(sums + 4 * $r);
      v128.store(s, fold(v128.load(s, 32 * $r), ba, pairs(s$ra, ones, z$r)), 32 * $r);
      v128.store(s, fold(v128.load(s, 32 * $r + 16), bb, pairs(s$rb, ones, z$r)), 32 * $r + 16);
      // end
    }
    scaleGroup(s, scales);
  }
}

/** The sums of four rows times the rows' scales. */
@inline function scaleGroup(s: usize, scales: usize): void {
  // repeat $r 4
  const c$r = v128.load32_splat(scales + 4 * $r);
  v128.store(s, f32x4.mul(v128.load(s, 32 * $r), c$r), 32 * $r);
  v128.store(s, f32x4.mul(v128.load(s, 32 * $r + 16), c$r), 32 * $r + 16);
  // end
}

/** The same by shorts. x: [groups][K'/2][4][2]. */
export function nibblePairs4x8(x: usize, panel: usize, shorts: usize, s: usize, blocks: i32, groups: i32, scales: usize): void {
  for (; groups > 0; groups--, s += 128, scales += 16) {
    // repeat $r 4
    v128.store(s, i32x4.splat(0), 32 * $r), v128.store(s, i32x4.splat(0), 32 * $r + 16);
    // end
    let w = shorts, p = panel;
    for (let left = blocks; left > 0; left--, x += 8 * BLOCK, w += 16 * BLOCK, p += BLOCK_BYTES) {
      // repeat $r 4
      let s$ra = i32x4.splat(0), s$rb = i32x4.splat(0);
      // end
      let at: usize = 0;
      do {
        const a = v128.load(w + (at << 1)), b = v128.load(w + (at << 1), 16);
        // repeat $r 4
        const c$r = v128.load32_splat(x + (at + 4 * $r));
        s$ra = pairs(c$r, a, s$ra), s$rb = pairs(c$r, b, s$rb);
        // end
        at += 16;
      } while (at < 8 * BLOCK);
      const ba = v128.load(p), bb = v128.load(p, 16);
      // repeat $r 4
      v128.store(s, fold(v128.load(s, 32 * $r), ba, s$ra), 32 * $r);
      v128.store(s, fold(v128.load(s, 32 * $r + 16), bb, s$rb), 32 * $r + 16);
      // end
    }
    scaleGroup(s, scales);
  }
}

/** One row × 8 channels. x: [K'] bytes, sums: [blocks], s: [8]. Two panels at a time took 2.5 times as long. */
@inline function bytes1x8(x: usize, sums: usize, p: usize, s: usize, blocks: i32, scale: v128): void {
  const mask = i32x4.splat(0x0f0f0f0f + (blocks >> 31));
  const ones = i32x4.splat(0x00010001 + (blocks >> 31));
  let f0 = f32x4.splat(0), f1 = f0;
  for (; blocks > 0; blocks--, p += BLOCK_BYTES, x += BLOCK, sums += 4) {
    let s0 = i16x8.splat(0), s1 = s0;
    for (let at: usize = 0; at < <usize>BLOCK; at += 8) {
      const c = v128.load32_splat(x + at), d = v128.load32_splat(x + (at + 4));
      // repeat $h 2
      const w$h = v128.load(p + (at << 2), 32 + 16 * $h);
      s$h = twos(d, v128.and(i16x8.shr_u(w$h, 4), mask), twos(c, v128.and(w$h, mask), s$h));
      // end
    }
    const z = v128.load32_splat(sums);
    f0 = fold(f0, v128.load(p), pairs(s0, ones, z)), f1 = fold(f1, v128.load(p, 16), pairs(s1, ones, z));
  }
  v128.store(s, f32x4.mul(f0, scale)), v128.store(s, f32x4.mul(f1, scale), 16);
}

/**
 * One row × 8 channels by shorts. A lane of four half bytes holds k = 8g + i and 8g + 4 + i of i and i + 1, the lower ones first: each quarter is
 * multiplied by the numbers of the row that it meets, which lie as the quarters do: x: for each group of 8, (0, 2), (4, 6), (1, 3), (5, 7).
 */
@inline function shorts1x8(x: usize, p: usize, s: usize, blocks: i32, scale: v128): void {
  const zero = blocks >> 31;
  const mask = i32x4.splat(0x000f000f + zero), eight = i32x4.splat(0x00080008 + zero);
  let f0 = f32x4.splat(0), f1 = f0;
  for (; blocks > 0; blocks--, p += BLOCK_BYTES, x += 2 * BLOCK) {
    let s0 = i32x4.splat(0), s1 = s0;
    for (let at: usize = 0; at < 2 * BLOCK; at += 16) {
      const c0 = v128.load32_splat(x + at), c1 = v128.load32_splat(x + (at + 4));
      const c2 = v128.load32_splat(x + (at + 8)), c3 = v128.load32_splat(x + (at + 12));
      // repeat $h 2
      const w$h = v128.load(p + (at << 1), 32 + 16 * $h);
      s$h = pairs(c0, i16x8.sub(v128.and(w$h, mask), eight), s$h);
      s$h = pairs(c1, i16x8.sub(v128.and(i16x8.shr_u(w$h, 4), mask), eight), s$h);
      s$h = pairs(c2, i16x8.sub(v128.and(i16x8.shr_u(w$h, 8), mask), eight), s$h);
      s$h = pairs(c3, i16x8.sub(i16x8.shr_u(w$h, 12), eight), s$h);
      // end
    }
    f0 = fold(f0, v128.load(p), s0), f1 = fold(f1, v128.load(p, 16), s1);
  }
  v128.store(s, f32x4.mul(f0, scale)), v128.store(s, f32x4.mul(f1, scale), 16);
}

/** The shorts of one row in the order that shorts1x8 wants, in place. */
function reorder(x: usize, blocks: i32): void {
  for (const end = x + (<usize>blocks << 6); x < end; x += 16) {
    const a = v128.load(x);
    v128.store(x, v128.shuffle<i16>(a, a, 0, 2, 4, 6, 1, 3, 5, 7));
  }
}

/** The sums of one row against a panel. x: [K'] bytes, or shorts as shorts1x8 wants them where there is no relaxed dot; s: [8]; scale: of the row. */
export function nibbles1x8(x: usize, sums: usize, panel: usize, s: usize, blocks: i32, scale: usize): void {
  const c = v128.load32_splat(scale);
  if (ASC_FEATURE_RELAXED_SIMD) bytes1x8(x, sums, panel, s, blocks, c);
  else shorts1x8(x, panel, s, blocks, c);
}

/** Brings a quantised row into the order in which nibbles1x8 reads it. */
export function orderRow(x: usize, blocks: i32): void {
  if (!ASC_FEATURE_RELAXED_SIMD) reorder(x, blocks);
}
