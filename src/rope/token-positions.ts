// Positions of tokens that are words, images and videos: the lists that rotary schemes of several axes take.

import { boolean, finite, integer, oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import { copySizes } from '../arguments/lists.ts';
import { readList } from '../arguments/numbers.ts';

/** Frames, rows and columns of patches, as an image processor counts them (`image_grid_thw`, `video_grid_thw`). */
export type VisionGrid = readonly [frames: number, rows: number, columns: number];

/** Tokens in a row that are of one kind. */
export type TokenRun =
  | {
      /** Tokens of text. */
      readonly text: number;
    }
  | {
      /** Patches of an image, or of a video without timestamps between its frames; with them each frame is a run [1, rows, columns]. */
      readonly grid: VisionGrid;
      /** Positions from frame to frame; default 1. Qwen2.5-VL: `tokens_per_second` · seconds per frame of the grid, for videos. */
      readonly interval?: number;
      /** Frames that the model merges into one (ERNIE 4.5-VL: `temporal_conv_size`, for videos); default 1. */
      readonly temporalMerge?: number;
    };

/** Options of `mropePositions` and `hunyuanPositions`. */
export interface TokenPositionsOptions {
  /** The tokens of each batch row, [B] lists of runs. */
  readonly rows: readonly (readonly TokenRun[])[];
  /** Patches on a side that the model merges into one token (`spatial_merge_size`); default 1. */
  readonly spatialMerge?: number;
  /** The side on which shorter rows are filled up to the longest, with position 0; default `'right'`. */
  readonly padding?: 'left' | 'right';
}

/** Options of `hunyuanPositions`. */
export interface HunyuanPositionsOptions extends TokenPositionsOptions {
  /** Axes, as many as `mrope_section` has sections, at least 3. */
  readonly axes: number;
}

/** Positions of every token, and where text goes on after them. */
export interface TokenPositions {
  /** Tokens of the longest row, S. */
  readonly length: number;
  /** [axes][B][S]: the `positions` of `mrope` and `rotaryFromConfig`. */
  readonly positions: Int32Array;
  /**
   * [B]: a token that follows, at index n of its row (padding not counted), has position n + delta on all axes (transformers:
   * `rope_deltas`).
   */
  readonly deltas: Int32Array;
}

const LONGEST = 0x1000000;

function gridOf(where: string, name: string, given: unknown): VisionGrid {
  return copySizes(where, name, given, 1, 65536, ['frames', 'rows', 'columns']) as unknown as VisionGrid;
}

interface TextRun {
  readonly text: number;
}
interface ImageRun {
  readonly grid: VisionGrid;
  readonly interval: number;
}

/** A run, checked; the grid is that of tokens. */
function runOf(where: string, name: string, given: unknown, merge: number): TextRun | ImageRun {
  if (typeof given === 'object' && given !== null && 'text' in given) {
    const { text } = options(where, given, ['text'], name);
    return { text: integer(where, `${name}.text`, text, 0, LONGEST) };
  }
  const { grid, interval = 1, temporalMerge = 1 } = options(where, given, ['grid', 'interval', 'temporalMerge'], name);
  const [frames, rows, columns] = gridOf(where, `${name}.grid`, grid);
  if (rows % merge || columns % merge) throw wrongValue(where, `${name}.grid`, `multiples of spatialMerge=${merge}`, [rows, columns]);
  const together = integer(where, `${name}.temporalMerge`, temporalMerge, 1, 65536);
  if (frames % together) throw wrongValue(where, `${name}.grid[0]`, `a multiple of temporalMerge=${together}`, frames);
  return { grid: [frames / together, rows / merge, columns / merge], interval: finite(where, `${name}.interval`, interval, 0) };
}

/** One row of the batch in the making: [axes] lists, and the position of the next word. */
interface Row {
  readonly axes: number[][];
  next: number;
}

/** Places the tokens of every row with `place` and joins the rows. */
function build(where: string, given: TokenPositionsOptions, axes: number, place: (row: Row, run: TextRun | ImageRun) => void) {
  const merge = integer(where, 'spatialMerge', given.spatialMerge ?? 1, 1, 64);
  const side = oneOf(where, 'padding', given.padding ?? 'right', ['left', 'right']);
  if (!Array.isArray(given.rows) || !given.rows.length) throw wrongType(where, 'rows', 'a list of runs for each batch row', given.rows);
  const rows = readList(where, 'rows', given.rows, (runs, b): Row => {
    if (!Array.isArray(runs)) throw wrongType(where, `rows[${b}]`, 'a list of runs such as { text: 5 } and { grid: [1, 16, 24] }', runs);
    const row: Row = { axes: Array.from({ length: axes }, () => []), next: 0 };
    for (const run of readList(where, `rows[${b}]`, runs, (run, n) => runOf(where, `rows[${b}][${n}]`, run, merge))) place(row, run);
    return row;
  });
  const lengths = rows.map((row) => row.axes[0]?.length ?? 0);
  const length = Math.max(...lengths);
  const positions = new Int32Array(axes * rows.length * length);
  const deltas = Int32Array.from(rows, (row, b) => row.axes.flat().reduce((most, x) => Math.max(most, x), -1) + 1 - (lengths[b] as number));
  rows.forEach((row, b) => {
    const from = side === 'left' ? length - (lengths[b] as number) : 0;
    row.axes.forEach((line, axis) => {
      positions.set(line, (axis * rows.length + b) * length + from);
    });
  });
  return { length, positions, deltas };
}

function placeText({ axes }: Row, from: number, count: number): void {
  for (const line of axes) for (let n = 0; n < count; n++) line.push(from + n);
}

/** Calls `visit` for the tokens of a grid in order: frame by frame, row by row. */
function eachCell([frames, rows, columns]: VisionGrid, visit: (frame: number, row: number, column: number) => void): void {
  for (let t = 0; t < frames; t++) for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) visit(t, y, x);
}

/**
 * Positions of text with images and videos on three axes, time, rows and columns, for `mrope`: words count on all axes alike; the tokens of
 * a grid count from the position after the words before them, time by frames, rows and columns by the grid; the words after go on at the
 * larger side of the grid. What `get_rope_index` of Qwen2-VL, Qwen2.5-VL, Qwen3-VL, Qwen3.5, GLM-4V, ERNIE 4.5-VL and PaddleOCR-VL gives.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * // Five words, an image of 16 × 24 patches merged two by two, three words.
 * const { positions, deltas } = mropePositions({ rows: [[{ text: 5 }, { grid: [1, 16, 24] }, { text: 3 }]], spatialMerge: 2 });
 * const encoding = mrope({ dim: 128, theta: 1000000, layout: 'halves', sections: [16, 24, 24], positions });
 * ```
 */
export function mropePositions(given: TokenPositionsOptions): TokenPositions {
  const where = 'mropePositions';
  given = options(where, given, ['rows', 'spatialMerge', 'padding']);
  return build(where, given, 3, (row, run) => {
    const from = row.next;
    if ('text' in run) {
      placeText(row, from, run.text);
      row.next += run.text;
      return;
    }
    const [time, down, across] = row.axes as [number[], number[], number[]];
    eachCell(run.grid, (t, y, x) => {
      // In f32, as the models compute it.
      time.push(from + Math.trunc(Math.fround(t * Math.fround(run.interval))));
      down.push(from + y);
      across.push(from + x);
    });
    row.next += Math.max(run.grid[1], run.grid[2]);
  });
}

/**
 * Positions of HunYuan-VL for `mrope` with `arrangement: 'channels'`: every token counts on all axes, but the tokens of an image have their
 * column, row and image number on the last three. A row of an image has one token more, its newline. The tokens that open and close an
 * image are text here. Images are numbered within their batch row (transformers numbers them through the batch).
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const rows = [[{ text: 6 }, { grid: [1, 8, 12] as const }, { text: 4 }]];
 * const { positions } = hunyuanPositions({ rows, spatialMerge: 2, axes: 4 });
 * const encoding = mrope({
 *   dim: 128, theta: 10000, layout: 'halves', sections: [16, 16, 16, 16], arrangement: 'channels', positions,
 * });
 * ```
 */
export function hunyuanPositions(given: HunyuanPositionsOptions): TokenPositions {
  const where = 'hunyuanPositions';
  given = options(where, given, ['rows', 'spatialMerge', 'padding', 'axes']);
  const axes = integer(where, 'axes', given.axes, 3, 16);
  const images = new Map<Row, number>();
  return build(where, given, axes, (row, run) => {
    const [at] = row.axes as [number[]];
    if ('text' in run) {
      placeText(row, at.length, run.text);
      return;
    }
    const image = images.get(row) ?? 0;
    images.set(row, image + 1);
    const [frames, rows, columns] = run.grid;
    if (frames !== 1) throw wrongValue(where, 'grid', 'one frame', frames);
    const first = at.length;
    placeText(row, first, rows * (columns + 1));
    const [across, down, number] = row.axes.slice(-3) as [number[], number[], number[]];
    let n = first;
    eachCell([1, rows, columns + 1], (_, y, x) => {
      [across[n], down[n], number[n]] = [x, y, image];
      n++;
    });
  });
}

/** Options of `visionPositions`. */
export interface VisionPositionsOptions {
  /** The grid of each image or video, one after the other. */
  readonly grids: readonly VisionGrid[];
  /** Patches on a side that are merged later (`spatial_merge_size`): the patches of such a block follow one another. Default 1, row by row. */
  readonly spatialMerge?: number;
  /** True: three axes, time before rows and columns (MiniMax-M3); default false. */
  readonly temporal?: boolean;
}

/**
 * Positions of the patches of images and videos in a vision tower, [2][N] of rows and columns (or [3][N]), for `axialRotary` and
 * `rotaryFromConfig`. With `spatialMerge` the patches come in blocks, as Qwen2-VL, Qwen3-VL, GLM-4V and their like order them; without, row
 * by row, as Pixtral does. What `get_vision_position_ids` of transformers gives, axis by axis.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const positions = visionPositions({ grids: [[1, 16, 24], [2, 8, 8]], spatialMerge: 2 });
 * const encoding = axialRotary({ dim: 64, theta: 10000, layout: 'halves', positions });
 * ```
 */
export function visionPositions(given: VisionPositionsOptions): Int32Array {
  const where = 'visionPositions';
  given = options(where, given, ['grids', 'spatialMerge', 'temporal']);
  const merge = integer(where, 'spatialMerge', given.spatialMerge ?? 1, 1, 64);
  const temporal = boolean(where, 'temporal', given.temporal ?? false);
  const { grids } = given;
  if (!Array.isArray(grids)) throw wrongType(where, 'grids', 'a list of [frames, rows, columns]', grids);
  const axes: number[][] = temporal ? [[], [], []] : [[], []];
  readList(where, 'grids', grids, (grid, n) => {
    const [frames, rows, columns] = gridOf(where, `grids[${n}]`, grid);
    if (rows % merge || columns % merge) throw wrongValue(where, `grids[${n}]`, `multiples of spatialMerge=${merge}`, [rows, columns]);
    const [down, across] = axes.slice(-2) as [number[], number[]];
    eachCell([frames, rows / merge, columns / merge], (t, y, x) => {
      for (let inner = 0; inner < merge * merge; inner++) {
        if (temporal) axes[0]?.push(t);
        down.push(y * merge + Math.floor(inner / merge));
        across.push(x * merge + (inner % merge));
      }
    });
  });
  return Int32Array.from(axes.flat());
}
