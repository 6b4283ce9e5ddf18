// How a call is cut into tiles, and what each thread needs to work on one.

import { roundUp } from '../memory/round.ts';
import { layOut } from '../memory/scratch.ts';
import type { Shape } from '../plan/plan.ts';
import type { ScratchNeed } from '../plan/relative-terms.ts';
import * as field from '../wasm/generated/job.ts';

/**
 * Rows (queries × grouped heads) of a tile. A tile packs every key block that it meets, so more rows mean less packing: at 2048 × 128 a call
 * takes 1.05 times its arithmetic with 192 rows and 1.02 times with 683 or more. Plans with tables keep a score or a weight of every row and
 * table entry in scratch, which stays in L2 with the fewest only.
 */
const FEWEST_ROWS = 192;
const MOST_ROWS = 1024;

/** Floating-point operations of a tile: about 20 ms; 5 ms where the caller must not block. Long rows make it more. */
const TILE_WORK = 8e8;
const PAGE_TILE_WORK = 2e8;

/** Floating-point operations of a step, between which a call hears of an abort and the caller can pause: 2 to 4 ms. */
const STEP_WORK = 8e7;

/** Fewest queries of a tile when tiles are made smaller to feed all threads. */
const FEWEST_QUERIES = 16;

/** What decides how many rows a tile has, beside the shape. */
export interface Cut {
  readonly threads: number;
  /** The plan has tables of relative positions. */
  readonly relative: boolean;
  /** The calling thread may work without a pause. */
  readonly patient: boolean;
}

function rowsOf({ S, D, E }: Shape, { relative, patient }: Cut): number {
  if (relative) return FEWEST_ROWS;
  const work = 2 * Math.max(S, 1) * (D + E);
  return Math.min(MOST_ROWS, Math.max(FEWEST_ROWS, Math.floor((patient ? TILE_WORK : PAGE_TILE_WORK) / work)));
}

/** L in as few parts of at most `most` as there can be, all alike and of whole groups. */
function parts(L: number, most: number): number {
  const even = Math.ceil(L / Math.ceil(L / most));
  return most < 4 ? even : Math.min(most, roundUp(even, 4));
}

/** How a call is cut into tiles. The cut shows in no bit of the result. */
export function tiling(shape: Shape, cut: Cut): { queries: number; tiles: number } {
  const { B, H, G, L } = shape;
  const most = Math.max(1, Math.floor((rowsOf(shape, cut) * G) / H));
  let queries = parts(Math.max(L, 1), most > 4 ? most - (most % 4) : most);
  const tiles = (): number => B * G * Math.ceil(L / queries);
  const few = (): boolean => tiles() < (queries > FEWEST_ROWS ? 8 : 4) * cut.threads;
  while (cut.threads > 1 && queries > FEWEST_QUERIES && few()) queries = Math.ceil(queries / 8) * 4;
  return { queries, tiles: tiles() };
}

/** How many keys a step of a tile of `rows` rows takes, whole splits, and how many steps that makes. */
export function stepping({ S, D, E }: Shape, rows: number): { keys: number; steps: number } {
  const splits = Math.max(1, Math.floor(STEP_WORK / (2 * (D + E) * Math.max(1, rows) * field.SPLIT)));
  const keys = Math.min(splits, Math.max(1, Math.ceil(S / field.SPLIT))) * field.SPLIT;
  return { keys, steps: Math.max(1, Math.ceil(S / keys)) };
}

/** What the kernels of precision `'int16'` need beside the rest: rows as integers, and their scales. */
function integerSizes(D: number, padded: number): [number, number][] {
  const row = 2 * roundUp(D, 2);
  return [
    [field.S_QUERIES16, padded * row],
    [field.S_QUERY_SCALES, padded * 4],
    [field.S_KEYS16, field.KEY_BLOCK * row],
    [field.S_KEY_SCALES, field.KEY_BLOCK * 4],
    [field.S_VALUE_SCALES, field.KEY_BLOCK * 4],
  ];
}

/** Bytes that are free before the scores: those of sixteen. */
const SCORES_BEFORE = 64;

/** Offsets of one thread's scratch; the terms' needs come last and are told theirs. */
export function scratchLayout(
  { S, D, E }: Shape,
  rows: number,
  needs: readonly ScratchNeed[],
  record: number,
  integers: boolean,
): { fields: [number, number][]; bytes: number } {
  const padded = roundUp(rows, 4);
  const width = roundUp(E, 8);
  const sizes: [number, number][] = [
    [field.S_TILE, field.P_SIZE],
    [field.S_ROWS, (padded / 4) * field.R_SIZE],
    [field.S_QUERIES, padded * D * 4],
    [field.S_KEYS, field.KEY_BLOCK * D * 4],
    [field.S_VALUES, field.KEY_BLOCK * width * 4],
    [field.S_OUT, padded * width * 4],
    [field.S_SCORES, SCORES_BEFORE + field.BAND * field.SCORES_ROW],
    [field.S_LINE, 9 * Math.max(D, E) * 4],
    [field.S_FOLD, S > field.SPLIT ? rows * record : 0],
    ...(integers ? integerSizes(D, padded) : []),
  ];
  const { at, bytes } = layOut([...sizes.map(([, size]) => size), ...needs.map((need) => need.bytes)]);
  needs.forEach((need, n) => {
    need.assign(at[sizes.length + n] as number);
  });
  return { fields: sizes.map(([name], n) => [name, (at[n] as number) + (name === field.S_SCORES ? SCORES_BEFORE : 0)]), bytes };
}
