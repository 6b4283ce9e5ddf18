// Rows of tables by number, and their sum: token, type and position embeddings. A table lies as a tensor does, or in the panels of a linear
// layer (blocks.txt), so that a model whose output layer is its table of tokens holds it once.

import { loadRow, sizeOf } from '../convert';
import {
  BLOCK, BLOCK_BYTES, EMBED_LIST, EMBED_OUT, EMBED_OUT_ROW, EMBED_ROWS, EMBED_SCALE, EMBED_SOURCES, EMBED_TILE, EMBED_WIDTH, PANEL,
  PANEL_HEADER, SOURCE_FIRST, SOURCE_IDS, SOURCE_PANELS, SOURCE_ROW, SOURCE_SCALES, SOURCE_SIZE, SOURCE_TABLE, SOURCE_TYPE, WEIGHTS_I4,
  WEIGHTS_I8,
} from './job';
import { put } from './lanes';

/** Four integers of 8 bits in the low half of the first lane, as f32. */
@inline function floatsOf(bytes: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes)));
}

/** n integers of a channel of a panel of i8, four by four. */
function loadBytes(to: usize, from: usize, n: i32): void {
  for (; n > 0; n -= 4, from += 4 * PANEL, to += 16) v128.store(to, floatsOf(v128.load32_zero(from)));
}

/** n numbers of a channel of a panel of i4, a block after another: `from` is where the channel's scale in the first one is. */
function loadNibbles(to: usize, from: usize, n: i32): void {
  const low = i8x16.splat(15), eight = i8x16.splat(8);
  for (; n > 0; n -= BLOCK, from += BLOCK_BYTES) {
    const scale = v128.load32_splat(from);
    for (let at: usize = 4 * PANEL; at < <usize>BLOCK_BYTES; at += 4 * PANEL, to += 32) {
      const pairs = v128.load32_zero(from + at);
      v128.store(to, f32x4.mul(floatsOf(i8x16.sub(v128.and(pairs, low), eight)), scale));
      v128.store(to, f32x4.mul(floatsOf(i8x16.sub(i8x16.shr_u(pairs, 4), eight)), scale), 16);
    }
  }
}

/** Row `id` of a table as f32 at `to`, which has room for whole blocks; what it is to be multiplied by yet. */
function gather(source: usize, id: i32, to: usize, n: i32): f32 {
  const type = load<i32>(source, SOURCE_TYPE);
  const table = load<usize>(source, SOURCE_TABLE), row = load<i32>(source, SOURCE_ROW);
  if (!load<i32>(source, SOURCE_PANELS)) {
    loadRow(to, table + <usize>id * row, n, sizeOf(type), type);
    const scales = load<usize>(source, SOURCE_SCALES);
    return scales ? load<f32>(scales + (<usize>id << 2)) : 1;
  }
  const panel = table + <usize>(id / PANEL) * row;
  const channel = <usize>(id % PANEL);
  if (type == WEIGHTS_I8) {
    loadBytes(to, panel + PANEL_HEADER + (channel << 2), n);
    return load<f32>(panel + (channel << 2));
  }
  if (type == WEIGHTS_I4) loadNibbles(to, panel + (channel << 2), n);
  else loadRow(to, panel + channel * sizeOf(type), n, PANEL * sizeOf(type), type);
  return 1;
}

/** OUT[r] ← SCALE·row of the first source + rows of the others in their order; integers are multiplied by their scale first. */
export function embed(job: usize, tile: i32, scratch: usize): void {
  const n = load<i32>(job, EMBED_WIDTH), count = load<i32>(job, EMBED_SOURCES);
  const first = tile * load<i32>(job, EMBED_TILE);
  const last = min(first + load<i32>(job, EMBED_TILE), load<i32>(job, EMBED_ROWS));
  for (let r = first; r < last; r++) {
    const to = load<usize>(job, EMBED_OUT) + r * load<i32>(job, EMBED_OUT_ROW);
    for (let s = 0; s < count; s++) {
      const source = load<usize>(job, EMBED_LIST) + <usize>s * SOURCE_SIZE;
      const ids = load<usize>(source, SOURCE_IDS);
      const id = ids ? load<i32>(ids + (<usize>r << 2)) : load<i32>(source, SOURCE_FIRST) + r;
      const stored = f32x4.splat(gather(source, id, scratch, n));
      const scale = f32x4.splat(s == 0 ? load<f32>(job, EMBED_SCALE) : 1);
      for (let at: usize = 0, left = n; left > 0; left -= 4, at += 16) {
        const x = f32x4.mul(f32x4.mul(v128.load(scratch + at), stored), scale);
        put(to + at, left, s == 0 ? x : f32x4.add(v128.load(to + at), x));
      }
    }
  }
}
