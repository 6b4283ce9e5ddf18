// Masks of positions alone: bands along the diagonal, a prefix, chunks, neighbourhoods on a grid.

import { integer, oneOf, options, wrongType, wrongValue } from '../arguments/check.ts';
import { copyGrid, copyIntegers, copySizes } from '../arguments/lists.ts';
import type { Mask, MaskRows } from './mask.ts';
import { NONE, type Runs, run, unite } from './runs.ts';

/** Positions are below this; so no sum of two of them leaves the integers of 32 bits. */
export const FARTHEST: number = 0x40000000;

/** One run for every query, the same for all batch rows. */
const band = (runs: MaskRows['runs']): MaskRows => ({ batched: false, runs });

/** Options of `causalMask`. */
export interface CausalMaskOptions {
  /** Key j is visible to query i when j ≤ i + offset; default T − L, the bottom-right alignment (what `queryOffset` says, if given). */
  readonly offset?: number;
}

/**
 * No key after the query: what the option `causal` does, as a mask that can be combined.
 *
 * @throws TypeError, RangeError if the offset is not an integer
 * @example
 * ```ts
 * const mask = or(causalMask(), documents({ keys: [0, 0, 1, 1] }));
 * ```
 */
export function causalMask(given: CausalMaskOptions = {}): Mask {
  given = options('causalMask', given, ['offset']);
  const offset = given.offset === undefined ? undefined : integer('causalMask', 'offset', given.offset, -FARTHEST, FARTHEST);
  return {
    name: 'causalMask',
    rows: ({ keys }) => band(({ position, index }) => run(0, (offset === undefined ? position : index + offset) + 1, keys)),
  };
}

/** Options of `slidingWindow`. */
export interface SlidingWindowOptions {
  /** Keys to the left of the query's position that it sees; default all. */
  readonly left?: number;
  /** Keys to the right; default all. */
  readonly right?: number;
}

/**
 * Keys from p − left to p + right, both inclusive, of the query at position p: what the option `window` does, as a mask.
 *
 * @throws TypeError, RangeError if a side is not an integer ≥ 0
 * @example
 * ```ts
 * const mask = slidingWindow({ left: 511, right: 0 }); // 512 keys, the query's own included
 * ```
 */
export function slidingWindow(given: SlidingWindowOptions): Mask {
  const where = 'slidingWindow';
  given = options(where, given, ['left', 'right']);
  const left = given.left === undefined ? Infinity : integer(where, 'left', given.left, 0, FARTHEST);
  const right = given.right === undefined ? Infinity : integer(where, 'right', given.right, 0, FARTHEST);
  return { name: where, rows: ({ keys }) => band(({ position }) => run(position - left, position + right + 1, keys)) };
}

/** Options of `prefixLM`. */
export interface PrefixLMOptions {
  /** Keys of the prefix: one number, or one per batch row, [B]. */
  readonly lengths: number | readonly number[] | Int32Array;
}

/**
 * Causal, and the prefix is visible to all: key j < lengths[b] to every query, the others to those at their position or after.
 *
 * @throws TypeError, RangeError if a length is not an integer ≥ 0; the call throws RangeError if there is not one per batch row
 * @example
 * ```ts
 * const mask = prefixLM({ lengths: [12, 7] });
 * ```
 */
export function prefixLM(given: PrefixLMOptions): Mask {
  given = options('prefixLM', given, ['lengths']);
  const lengths = perBatch('prefixLM', 'lengths', given.lengths);
  return {
    name: 'prefixLM',
    rows({ keys, batches }) {
      const length = lengths(batches);
      return {
        batched: length.batched,
        runs: ({ position, batch }) => unite(run(0, length.at(batch), keys), run(0, position + 1, keys)),
      };
    },
  };
}

/** One number for every batch row, or one each; checked against B when a call is known. */
export function perBatch(
  where: string,
  name: string,
  given: unknown,
): (batches: number) => { readonly batched: boolean; at(batch: number): number } {
  const one = typeof given === 'number';
  const list = copyIntegers(where, name, one ? [given] : given, 0, FARTHEST);
  return (batches) => {
    if (!one && list.length !== batches) throw wrongValue('attention', `mask (${where}) ${name}`, `B=${batches} ${name}`, `${list.length}`);
    return { batched: !one, at: (batch) => list[one ? 0 : batch] as number };
  };
}

/** Options of `chunked`. */
export interface ChunkedOptions {
  /** Positions of a chunk (Llama 4: `attention_chunk_size`; SeamlessM4T v2: `speech_encoder_chunk_size`). */
  readonly size: number;
  /**
   * Positions before its chunk that a query sees too; default 0, Infinity: all. SeamlessM4T v2: `speech_encoder_left_chunk_num` · size,
   * and all for −1.
   */
  readonly leftContext?: number;
  /**
   * Position at which chunk 0 starts: one number, or one per batch row, [B], such as the padding on the left of each. Default 0; chunks
   * go on before it too.
   */
  readonly starts?: number | readonly number[] | Int32Array;
}

/**
 * Keys of the query's own chunk and of the `leftContext` positions before it: with c = ⌊(p − start) / size⌋ · size + start the keys
 * c − leftContext ≤ j < c + size. With `causal` the chunked attention of Llama 4; with a left context that of streaming speech encoders.
 *
 * @throws TypeError, RangeError if the size is not an integer ≥ 1, or another number not one ≥ 0; the call throws RangeError if there is
 * not one start per batch row
 * @example
 * ```ts
 * const mask = chunked({ size: 8192 });
 * const streaming = chunked({ size: 20, leftContext: 3 * 20 });
 * const padded = chunked({ size: 8192, starts: [0, 17] }); // row 1 begins with 17 padding tokens
 * ```
 */
export function chunked(given: ChunkedOptions): Mask {
  const where = 'chunked';
  given = options(where, given, ['size', 'leftContext', 'starts']);
  const size = integer(where, 'size', given.size, 1, FARTHEST);
  const { leftContext = 0 } = given;
  const left = leftContext === Infinity ? Infinity : integer(where, 'leftContext', leftContext, 0, FARTHEST);
  const starts = perBatch(where, 'starts', given.starts ?? 0);
  return {
    name: where,
    rows({ keys, batches }) {
      const start = starts(batches);
      return {
        batched: start.batched,
        runs({ position, batch }) {
          const zero = start.at(batch);
          const from = Math.floor((position - zero) / size) * size + zero;
          return run(from - left, from + size, keys);
        },
      };
    },
  };
}

/** Options of `neighbourhood`. */
export interface NeighbourhoodOptions {
  /** Rows and columns of the grid; position p is at row ⌊p / columns⌋, column p mod columns. One number is a square. */
  readonly grid: number | readonly [number, number];
  /** Neighbours on either side, vertically and horizontally; one number for both. */
  readonly radius: number | readonly [number, number];
  /**
   * At the border: `'cut'` (default) leaves fewer neighbours; `'shift'` moves the neighbourhood inwards, so that every query has as many
   * (NATTEN).
   */
  readonly border?: 'cut' | 'shift';
}

/**
 * Keys near the query on a two-dimensional grid: at most `radius` rows and columns away. Positions beyond the grid see nothing and are
 * seen by none.
 *
 * @throws TypeError, RangeError if an option is missing or wrong
 * @example
 * ```ts
 * const mask = neighbourhood({ grid: [14, 14], radius: [3, 3] });
 * ```
 */
export function neighbourhood(given: NeighbourhoodOptions): Mask {
  const where = 'neighbourhood';
  given = options(where, given, ['grid', 'radius', 'border']);
  const [height, width] = copyGrid(where, 'grid', given.grid);
  const [up, side] = radii(where, given.radius);
  const border = oneOf(where, 'border', given.border ?? 'cut', ['cut', 'shift']);
  const span = (at: number, radius: number, n: number): [number, number] => {
    const centre = border === 'shift' ? Math.max(Math.min(at, n - 1 - radius), radius) : at;
    return [Math.max(0, centre - radius), Math.min(n, centre + radius + 1)];
  };
  const around = (position: number, keys: number): Runs => {
    if (position < 0 || position >= height * width) return NONE;
    const [top, bottom] = span(Math.floor(position / width), up, height);
    const [left, right] = span(position % width, side, width);
    // Whole rows touch and are one run.
    if (left === 0 && right === width) return run(top * width, bottom * width, keys);
    return Array.from({ length: bottom - top }, (_, n) => run((top + n) * width + left, (top + n) * width + right, keys)).flat();
  };
  return { name: where, rows: ({ keys }) => band(({ position }) => around(position, keys)) };
}

function radii(where: string, given: unknown): [number, number] {
  if (typeof given !== 'number' && !Array.isArray(given)) throw wrongType(where, 'radius', 'a number or [vertical, horizontal]', given);
  return copySizes(where, 'radius', typeof given === 'number' ? [given, given] : given, 0, 4096, ['vertical', 'horizontal']) as [
    number,
    number,
  ];
}
