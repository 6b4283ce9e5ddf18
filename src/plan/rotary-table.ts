// The rows of a rotary table: what they are of, and the job that fills them.

import { wrongValue } from '../arguments/check.ts';
import type { Scope } from '../memory/scope.ts';
import type { Stage } from '../threads/types.ts';
import * as field from '../wasm/generated/job.ts';
import type { Contents } from './contents.ts';
import type { Positions, Rotation } from './plan.ts';

/** Rows of a rotary table that one tile fills. */
const TILE_ROWS = 64;
/** Cosines below which the work stays on the caller's thread. */
const SMALL_WORK = 16384;

/** A pointer to the wanted part of a table, and what must run before it holds numbers. */
export interface TableUse {
  readonly at: number;
  readonly jobs: readonly Stage[];
  /** To call once the jobs have run. */
  done(): void;
  /** At standard positions: one past the last one, before the rotation's own offset, that has a row. */
  readonly end?: number;
  /** At explicit positions: bytes from batch row to batch row, from head to head, and to the rows of second channels. */
  readonly batch?: number;
  readonly head?: number;
  readonly second?: number;
}

/** What a row is of, beside its position. */
export interface Turn {
  readonly rotation: Rotation;
  /** The angles turn back and the sizes are their reciprocals. */
  readonly inverse: boolean;
  /** Of keys; where nothing grows they turn as queries do. */
  readonly keys: boolean;
}

/**
 * The rotation by a difference of positions, the same on all axes: what turns a key that is turned already. It has its factor and its
 * place already.
 */
export function byDifference(rotation: Rotation): Rotation {
  const pairs = rotation.dim / 2;
  const all = (list: Float64Array): Float64Array => {
    const sums = new Float64Array(pairs);
    list.forEach((x, n) => {
      sums[n % pairs] = (sums[n % pairs] as number) + x;
    });
    return sums;
  };
  const { queryPositions: _, keyPositions: __, frequencies, growth, ...rest } = rotation;
  return { ...rest, frequencies: all(frequencies), ...(growth && { growth: all(growth) }), factor: 1, offset: 0, center: 0 };
}

export const axesOf = ({ frequencies, dim, heads = 1 }: Rotation): number => frequencies.length / (dim / 2) / heads;

/** True if heads or the two channels of a pair have frequencies of their own. */
export const isOwn = ({ heads = 1, second }: Rotation): boolean => heads > 1 || second !== undefined;

/** The positions first … first + count − 1. */
export const standardPositions = (first: number, count: number): Positions => ({
  values: Float64Array.from({ length: count }, (_, n) => first + n),
  batched: false,
});

/** A whole number of positions, as far as they are counted exactly and with room for all that is added to them. */
const isWhole = (x: number): boolean => Number.isInteger(x) && Math.abs(x) < 2 ** 40;

/** What names the contents of a table, and what is added to the positions that are its index. */
export function nameOf(
  { rotation, inverse, keys }: Turn,
  contents: Contents,
): { readonly key: string; readonly start: number; readonly rest: number } {
  const { dim, offset = 0, factor = 1, frequencies, growth, center = 0 } = rotation;
  const start = isWhole(offset) ? offset : 0;
  const rest = offset - start;
  const grown = growth ? ` ${keys} ${center} ${contents.numberOf(growth)}` : '';
  return { key: `rotation ${dim} ${inverse} ${factor} ${rest} ${contents.numberOf(frequencies)}${grown}`, start, rest };
}

/** The job that fills a table at `at`, one row per position. */
export function fillJob({ rotation, inverse, keys }: Turn, positions: Float64Array, rows: number, at: number, scope: Scope): Stage {
  const { dim, factor = 1, growth, center = 0 } = rotation;
  const pairs = dim / 2;
  const where = scope.upload(positions);
  const frequencies = scope.upload(rotation.frequencies);
  const growthAt = growth ? scope.upload(growth) : 0;
  const job = scope.block(field.W_SIZE);
  scope
    .writer(job)
    .int(field.W_TABLE, at)
    .int(field.W_ROWS, rows)
    .int(field.W_PAIRS, pairs)
    .int(field.W_AXES, axesOf(rotation))
    .int(field.W_POSITIONS, where)
    .int(field.W_FREQUENCIES, frequencies)
    .f64(field.W_FACTOR, inverse ? 1 / factor : factor)
    .f64(field.W_SINE, inverse ? -1 : 1)
    .int(field.W_GROWTH, growthAt)
    .f64(field.W_GROW, inverse === keys ? 1 : -1)
    .f64(field.W_CENTER, center)
    .int(field.W_TILE, TILE_ROWS);
  const tiles = Math.ceil(rows / TILE_ROWS);
  return { kernel: 'rotaryTable', job, tiles, scratch: 0, threads: rows * pairs < SMALL_WORK ? 1 : tiles };
}

/**
 * A table of explicit positions, for one call alone: [axes][rows] or [B][axes][rows]. It is [2 if the second channels turn by themselves][B
 * or 1][heads][rows][R].
 */
export function explicitTable(turn: Turn, positions: Positions, rows: number, batch: number, scope: Scope): TableUse {
  const { rotation, inverse } = turn;
  const sets = positions.batched ? batch : 1;
  const stride = 4 * rotation.dim * rows;
  if (positions.table) {
    const numbers = sets * rows * rotation.dim;
    if (positions.table.length !== numbers)
      throw wrongValue('rotation', 'table', `${sets}×${rows}×${rotation.dim} numbers`, positions.table);
    if (inverse) throw wrongValue('rotate', 'inverse', 'false for a given table', 'true', 'its rows need not be rotations');
    return { at: scope.upload(positions.table), jobs: [], done: () => {}, batch: positions.batched ? stride : 0 };
  }
  const axes = axesOf(rotation);
  const size = positions.values.length;
  if (size !== sets * axes * rows) throw wrongValue('rotation', 'positions', `${sets}×${axes}×${rows} positions`, `${size}`);
  const { heads = 1, frequencies, growth, second } = rotation;
  const channels = second ? [frequencies, second] : [frequencies];
  const at = scope.allocate(stride * heads * sets * channels.length);
  let next = at;
  const jobs: Stage[] = [];
  for (const all of channels) {
    for (let b = 0; b < sets; b++) {
      const values = positions.values.subarray(b * axes * rows, (b + 1) * axes * rows);
      for (let h = 0; h < heads; h++, next += stride) {
        const of = (list: Float64Array): Float64Array => list.subarray((h * list.length) / heads, ((h + 1) * list.length) / heads);
        const own = { ...rotation, heads: 1, frequencies: of(all), ...(growth && { growth: of(growth) }) };
        jobs.push(fillJob({ ...turn, rotation: own }, values, rows, next, scope));
      }
    }
  }
  return {
    at,
    jobs,
    done: () => {},
    batch: positions.batched ? heads * stride : 0,
    head: heads > 1 ? stride : 0,
    second: second ? sets * heads * stride : 0,
  };
}
