// How a call is cut into tiles, and what each thread needs to work on one.

import type { Shape } from '../plan.ts';
import type { ScratchNeed } from '../terms.ts';
import * as field from '../wasm/generated/job.ts';

/** Rows (queries × grouped heads) that a tile aims at: 192 gave 35 to 37 GFLOP/s at 2048 × 128, 96 and 256 gave 33 to 35. */
const TILE_ROWS = 192;

/** Fewest queries of a tile when tiles are made smaller to feed all threads. */
const FEWEST_QUERIES = 16;

/** Floating-point operations below which waking other threads costs more than it gains. */
export const SMALL_WORK = 4e6;

/** How a call is cut into tiles. The cut shows in no bit of the result. */
export function tiling({ B, H, G, L }: Shape, threads: number): { queries: number; tiles: number } {
  const group = H / G;
  let queries = Math.max(1, Math.floor(TILE_ROWS / group));
  if (queries > 4) queries -= queries % 4;
  const tiles = (): number => B * G * Math.ceil(L / queries);
  while (threads > 1 && queries > FEWEST_QUERIES && tiles() < 4 * threads) queries = Math.ceil(queries / 8) * 4;
  return { queries, tiles: tiles() };
}

/** Offsets of one thread's scratch; the terms' needs come last and are told theirs. */
export function scratchLayout(
  { S, D, E }: Shape,
  rows: number,
  needs: readonly ScratchNeed[],
  record: number,
): { fields: [number, number][]; bytes: number } {
  const padded = Math.ceil(rows / 4) * 4;
  const width = Math.ceil(E / 8) * 8;
  const sizes: [number, number][] = [
    [field.S_ROWS, (padded / 4) * field.R_SIZE],
    [field.S_QUERIES, padded * D * 4],
    [field.S_KEYS, field.KEY_BLOCK * D * 4],
    [field.S_VALUES, field.KEY_BLOCK * width * 4],
    [field.S_OUT, padded * width * 4],
    [field.S_SCORES, field.BAND * field.SCORES_ROW],
    [field.S_LINE, 9 * Math.max(D, E) * 4],
    [field.S_FOLD, S > field.SPLIT ? rows * record : 0],
  ];
  let bytes = 0;
  const fields = sizes.map(([name, size]): [number, number] => {
    const at = bytes;
    bytes += Math.ceil(size / 64) * 64;
    return [name, at];
  });
  for (const need of needs) {
    need.assign(bytes);
    bytes += Math.ceil(need.bytes / 64) * 64;
  }
  return { fields, bytes };
}
