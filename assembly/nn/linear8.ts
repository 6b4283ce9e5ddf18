// Sums of products of integers, i8 weights: s(m, n) = (Σ_k x̂(m, k)·ŵ(n, k)) · b(n) · a(m), the sum exact, whatever its order and instruction;
// rounded once to f32, then scaled by the channel, then by the row (quantise.ts, blocks.txt). It fits 32 bits for K up to 393,000 (six products
// 32766 at most, as below); sums on the way there may wrap around and come back.
//
// Two forms with the same bits. The relaxed dot adds four products of a signed byte and one of seven bits to a sum: exact on every host, since a
// pair of such products fits 16 bits, and six by the scales of the weights (pack.ts). x̂ has z(m) added for it, which z(m)·Σ ŵ takes back. Without it
// bytes are widened and multiplied by pairs; for more rows than one the panel is widened once, as [K'/2][8][2].

import { PANEL_HEADER } from './job';

/** sum + four products of bytes each; `sevens` are 0 … 127. */
@inline export function dot(bytes: v128, sevens: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(bytes, sevens, sum);
  return sum;
}

/**
 * Whether the host makes its dot of products by pairs, added in 16 bits, where they end: shown by operands that are out of range, which no others
 * here are. In V8 that takes five instructions, and three with ones that are held (i8 prefill of 128 tokens 0.80 of the time, a token 0.92); a host
 * that has the dot as one instruction keeps it.
 */
@inline function isByPairs(): bool {
  return i32x4.extract_lane(dot(i8x16.splat(-128), i8x16.splat(-1), i32x4.splat(0)), 0) == -65536;
}

/** The dot, or with `byPairs`, a literal, the same by pairs; `ones` are shorts. */
@inline function dotOf(bytes: v128, sevens: v128, sum: v128, ones: v128, byPairs: bool): v128 {
  if (ASC_FEATURE_RELAXED_SIMD && byPairs) return pairs(byTwos(bytes, sevens), ones, sum);
  return dot(bytes, sevens, sum);
}

/** Shorts of 1, made of a number that is never negative: a constant would be loaded anew at each use, this one is held in a register. */
@inline function onesOf(quads: i32): v128 {
  return i32x4.splat(0x00010001 + (quads >> 31));
}

/** Two products of bytes each, in 16 bits: an instruction on x86. */
@inline function byTwos(bytes: v128, sevens: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.relaxed_dot<i16>(bytes, sevens);
  return bytes;
}

/** sum + two products of shorts each. */
@inline export function pairs(x: v128, y: v128, sum: v128): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(x, y), sum);
}

/** A sum of integers as its number. */
@inline function scaled(sum: v128, channel: v128, row: v128): v128 {
  return f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(sum), channel), row);
}

/**
 * The products of a row and four channels over twelve k, by six in 16 bits, which they fit (pack.ts): w are the channels' quads, those of the row
 * lie 16 bytes apart.
 */
@inline function sixes(w0: v128, w1: v128, w2: v128, q: usize): v128 {
  const sum = i16x8.add(byTwos(w0, v128.load32_splat(q)), byTwos(w1, v128.load32_splat(q + 16)));
  return i16x8.add(sum, byTwos(w2, v128.load32_splat(q + 32)));
}

/**
 * Four rows or, with `both`, a literal, eight × four channels. x: one or two of [quads][4][4], w: the channels' part of the first quad of the panel,
 * s: where their first sum goes, zeros: z of the rows, minus: −Σ ŵ of the channels, channel: scales.
 *
 * Where the dot is two multiplications and two fill the ports (Zen 4), 118 GFLOP/s is the most; with six products added before they are widened
 * there are four for three. At M = 48, K = 384 from L1, Node 24: dots one by one 113, by four 126, by six 132, by eight 135; a weight's step would
 * be 1.02, 1.12 and 1.29 times as long for it (normally distributed rows; with heavier tails next to nothing). The same loop in C comes to 153.
 * Attempts that lost, by eight: 4×4 126, 4×8 with sums in memory 111 (they do not fit the registers), by sixteen 130; rows whose quads lie in
 * memory four times, so that V8 needs no instruction for a splat's address (141 from L1, less where rows come from L2; shorts4x8 no gain).
 */
@inline function halfTile(x: usize, w: usize, s: usize, quads: i32, scales: usize, zeros: usize, minus: v128, channel: v128, both: bool): void {
  const ones = onesOf(quads);
  // repeat $r 4
  let s$ra = startOf(minus, zeros + 4 * $r), s$rb = both ? startOf(minus, zeros + (16 + 4 * $r)) : minus;
  // end
  let q = x, p = x + (<usize>quads << 4), left = quads;
  for (; left > 2; left -= 3, q += 48, p += 48, w += 96) {
    const w0 = v128.load(w), w1 = v128.load(w, 32), w2 = v128.load(w, 64);
    // repeat $r 4
    s$ra = pairs(sixes(w0, w1, w2, q + 4 * $r), ones, s$ra);
    // end
    // repeat $r 4
    if (both) s$rb = pairs(sixes(w0, w1, w2, p + 4 * $r), ones, s$rb);
    // end
  }
  for (; left > 0; left--, q += 16, p += 16, w += 32) {
    const w0 = v128.load(w);
    // repeat $r 4
    s$ra = dotOf(w0, v128.load32_splat(q + 4 * $r), s$ra, ones, true);
    if (both) s$rb = dotOf(w0, v128.load32_splat(p + 4 * $r), s$rb, ones, true);
    // end
  }
  // repeat $r 4
  v128.store(s, scaled(s$ra, channel, v128.load32_splat(scales + 4 * $r)), 32 * $r);
  if (both) v128.store(s, scaled(s$rb, channel, v128.load32_splat(scales + (16 + 4 * $r))), 128 + 32 * $r);
  // end
}

function half8x4(x: usize, w: usize, s: usize, quads: i32, scales: usize, zeros: usize, minus: v128, channel: v128): void {
  halfTile(x, w, s, quads, scales, zeros, minus, channel, true);
}

function half4x4(x: usize, w: usize, s: usize, quads: i32, scales: usize, zeros: usize, minus: v128, channel: v128): void {
  halfTile(x, w, s, quads, scales, zeros, minus, channel, false);
}

/** −Σ ŵ of four channels. */
@inline function minusOf(sums: usize): v128 {
  return i32x4.neg(v128.load(sums));
}

/** What the sums of a row with four channels begin with: −z·Σ ŵ. */
@inline function startOf(minus: v128, zero: usize): v128 {
  return i32x4.mul(minus, v128.load32_splat(zero));
}

function pairs4x8(x: usize, panel: usize, s: usize, quads: i32, groups: i32, scales: usize, zeros: usize): void {
  const a = minusOf(panel + 32), b = minusOf(panel + 48), w = panel + PANEL_HEADER;
  const ca = v128.load(panel), cb = v128.load(panel, 16);
  for (; groups > 1; groups -= 2, x += <usize>quads << 5, s += 256, scales += 32, zeros += 32) {
    half8x4(x, w, s, quads, scales, zeros, a, ca);
    half8x4(x, w + 16, s + 16, quads, scales, zeros, b, cb);
  }
  if (groups > 0) {
    half4x4(x, w, s, quads, scales, zeros, a, ca);
    half4x4(x, w + 16, s + 16, quads, scales, zeros, b, cb);
  }
}

function dots4x8(x: usize, panel: usize, s: usize, quads: i32, groups: i32, scales: usize, zeros: usize): void {
  const ba = v128.load(panel), bb = v128.load(panel, 16);
  const ma = minusOf(panel + 32), mb = minusOf(panel + 48);
  panel += PANEL_HEADER;
  for (; groups > 0; groups--, x += <usize>quads << 4, s += 128, scales += 16, zeros += 16) {
    // repeat $r 4
    let s$ra = startOf(ma, zeros + 4 * $r), s$rb = startOf(mb, zeros + 4 * $r);
    // end
    let q = x, w = panel, a: v128, b: v128, c: v128;
    for (let left = quads; ; left -= 8, q += 128, w += 256) {
      // repeat $n 8
      a = v128.load(w, 32 * $n), b = v128.load(w, 32 * $n + 16);
      // repeat $r 4
      c = v128.load32_splat(q + (16 * $n + 4 * $r));
      s$ra = dot(a, c, s$ra), s$rb = dot(b, c, s$rb);
      // end
      if (left == $n + 1) break;
      // end
    }
    // repeat $r 4
    c = v128.load32_splat(scales + 4 * $r);
    v128.store(s, scaled(s$ra, ba, c), 32 * $r), v128.store(s, scaled(s$rb, bb, c), 32 * $r + 16);
    // end
  }
}

/** Four rows × eight channels. x: [groups][quads][4][4], panel as it is stored, s: [groups][4][8], scales, zeros: [groups][4]; quads: K'/4. */
export function bytes4x8(x: usize, panel: usize, s: usize, quads: i32, groups: i32, scales: usize, zeros: usize): void {
  if (isByPairs()) pairs4x8(x, panel, s, quads, groups, scales, zeros);
  else dots4x8(x, panel, s, quads, groups, scales, zeros);
}

/** A panel's integers as shorts, [K'/2][8][2]. */
export function widenBytes(to: usize, panel: usize, quads: i32): void {
  for (panel += PANEL_HEADER; quads > 0; quads--, panel += 32, to += 64) {
    // repeat $h 2
    const x$h = v128.load(panel, 16 * $h);
    const a$h = i16x8.extend_low_i8x16_s(x$h), b$h = i16x8.extend_high_i8x16_s(x$h);
    v128.store(to, v128.shuffle<i32>(a$h, b$h, 0, 2, 4, 6), 16 * $h);
    v128.store(to, v128.shuffle<i32>(a$h, b$h, 1, 3, 5, 7), 16 * $h + 32);
    // end
  }
}

/** The same by shorts. x: [groups][2·quads][4][2], shorts: the panel's, panel: as it is stored. */
export function shorts4x8(x: usize, panel: usize, shorts: usize, s: usize, quads: i32, groups: i32, scales: usize): void {
  const ba = v128.load(panel), bb = v128.load(panel, 16);
  for (; groups > 0; groups--, x += <usize>quads << 5, s += 128, scales += 16) {
    // repeat $r 4
    let s$ra = i32x4.splat(0), s$rb = i32x4.splat(0);
    // end
    let q = x, w = shorts, a: v128, b: v128, c: v128;
    for (let left = quads << 1; ; left -= 8, q += 128, w += 256) {
      // repeat $n 8
      a = v128.load(w, 32 * $n), b = v128.load(w, 32 * $n + 16);
      // repeat $r 4
      c = v128.load32_splat(q + (16 * $n + 4 * $r));
      s$ra = pairs(c, a, s$ra), s$rb = pairs(c, b, s$rb);
      // end
      if (left == $n + 1) break;
      // end
    }
    // repeat $r 4
    c = v128.load32_splat(scales + 4 * $r);
    v128.store(s, scaled(s$ra, ba, c), 32 * $r), v128.store(s, scaled(s$rb, bb, c), 32 * $r + 16);
    // end
  }
}

/** The end of one row × eight channels, with its sums. */
@inline function finishPanel(panel: usize, s: usize, a: v128, b: v128, c: v128): void {
  v128.store(s, scaled(a, v128.load(panel), c)), v128.store(s, scaled(b, v128.load(panel, 16), c), 16);
}

/** One row × 8 channels. x: [K'] bytes. */
@inline function bytes1x8(x: usize, panel: usize, s: usize, quads: i32, scale: v128, zero: usize, byPairs: bool): void {
  const ones = onesOf(quads);
  let a = startOf(minusOf(panel + 32), zero), b = startOf(minusOf(panel + 48), zero);
  let w = panel + PANEL_HEADER;
  for (; quads > 0; quads--, w += 32, x += 4) {
    const c = v128.load32_splat(x);
    a = dotOf(v128.load(w), c, a, ones, byPairs), b = dotOf(v128.load(w, 16), c, b, ones, byPairs);
  }
  finishPanel(panel, s, a, b, scale);
}

/** Eight channels of which each has two sums, of the first and the last two of every four products. */
@inline function addPairs(a: v128, b: v128): v128 {
  return i32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7));
}

/** The same by shorts, of which a lane of the panel has four products of one channel, or two of two. x: [K'] shorts. */
@inline function shorts1x8(x: usize, panel: usize, s: usize, quads: i32, scale: v128): void {
  // repeat $c 4
  let s$c = i32x4.splat(0);
  // end
  let w = panel + PANEL_HEADER;
  for (; quads > 0; quads--, w += 32, x += 8) {
    const c = v128.load64_splat(x);
    // repeat $c 4
    s$c = pairs(v128.load_ext<i8>(w, 8 * $c), c, s$c);
    // end
  }
  finishPanel(panel, s, addPairs(s0, s1), addPairs(s2, s3), scale);
}

function pairs1x8(x: usize, panel: usize, s: usize, quads: i32, scale: usize, zero: usize): void {
  bytes1x8(x, panel, s, quads, v128.load32_splat(scale), zero, true);
}

function dots1x8(x: usize, panel: usize, s: usize, quads: i32, scale: usize, zero: usize): void {
  bytes1x8(x, panel, s, quads, v128.load32_splat(scale), zero, false);
}

/** The sums of one row against a panel. x: [K'] bytes, or shorts where there is no relaxed dot; s: [8]; scale, zero: of the row. */
export function integers1x8(x: usize, panel: usize, s: usize, quads: i32, scale: usize, zero: usize): void {
  if (!ASC_FEATURE_RELAXED_SIMD) shorts1x8(x, panel, s, quads, v128.load32_splat(scale));
  else if (isByPairs()) pairs1x8(x, panel, s, quads, scale, zero);
  else dots1x8(x, panel, s, quads, scale, zero);
}
