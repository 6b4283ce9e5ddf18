// Tables that calls share: cosines and sines of a rotation, biases over the offset. Computed when first needed, extended when a longer
// sequence comes, kept for the engine's life within a bound.

import { wrongValue } from '../arguments/check.ts';
import type { Scope } from '../memory/scope.ts';
import type { MemoryContext } from '../memory/tensor.ts';
import type { Job } from '../threads/types.ts';
import {
  W_AXES,
  W_CENTER,
  W_FACTOR,
  W_FREQUENCIES,
  W_GROW,
  W_GROWTH,
  W_PAIRS,
  W_POSITIONS,
  W_ROWS,
  W_SINE,
  W_SIZE,
  W_TABLE,
  W_TILE,
} from '../wasm/generated/job.ts';
import type { Positions, Rotation } from './plan.ts';

/** Tables kept at most; beyond, those not used for longest go. */
const KEPT = 16;
/** Rows of a rotary table that one tile fills. */
const TILE_ROWS = 64;

/** A range of a cached table. */
interface Entry {
  at: number;
  /** Position or offset of the first column or row. */
  first: number;
  count: number;
  users: number;
  /** Ranges [first, end) that hold no numbers yet. */
  missing: [number, number][];
  /** True if some number is −Infinity, which hides a key. */
  infinite?: boolean;
  /** The scope of a call that fills what is missing. */
  filling?: Scope;
}

/** A pointer to the wanted part of a table, and what must run before it holds numbers. */
export interface TableUse {
  readonly at: number;
  readonly jobs: readonly Job[];
  /** To call once the jobs have run. */
  done(): void;
  /** Of a rotary table at explicit positions: bytes from batch row to batch row, from head to head, and to the rows of second channels. */
  readonly batch?: number;
  readonly head?: number;
  readonly second?: number;
}

/** Smallest power of two ≥ n, at least 64. */
const capacity = (n: number): number => 2 ** Math.max(6, 32 - Math.clz32(n - 1));

export class Tables {
  readonly #context: MemoryContext;
  /** In order of last use, by what names the contents. */
  readonly #entries: Map<string, Entry> = new Map();

  constructor(context: MemoryContext) {
    this.#context = context;
  }

  /** Finds the entry of `key`, or makes room for one of `stride` bytes a step; it counts as used until the scope ends. */
  #entry(key: string, first: number, count: number, stride: number, scope: Scope): Entry {
    let entry = this.#entries.get(key);
    if (!entry || first < entry.first || first + count > entry.first + entry.count) {
      let low = entry ? Math.min(first, entry.first) : first;
      let high = entry ? Math.max(first + count, entry.first + entry.count) : first + count;
      // A range far from the kept one (a shard of the keys) takes its place: together they would be mostly gap.
      if (entry && high - low > 2 * (entry.count + count)) [low, high] = [first, first + count];
      const room = capacity(high - low);
      const at = this.#context.arena.allocate(room * stride);
      const fresh: Entry = { at, first: low, count: room, users: 0, missing: [[low, low + room]] };
      if (entry) this.#retire(key, entry);
      entry = fresh;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const used = entry;
    used.users++;
    scope.defer(() => {
      used.users--;
      if (used.users === 0 && (this.#entries.get(key) !== used || used.missing.length)) this.#drop(key, used);
    });
    this.#evict();
    return used;
  }

  /** Takes an entry out of the map; its memory goes when its last user is done. */
  #retire(key: string, entry: Entry): void {
    this.#entries.delete(key);
    if (entry.users === 0) this.#context.arena.free(entry.at);
  }

  #drop(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    this.#context.arena.free(entry.at);
  }

  #evict(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= KEPT) return;
      if (entry.users === 0) this.#retire(key, entry);
    }
  }

  /**
   * A table with one column of `stride` bytes for each of first … first + count − 1. `fill` computes it whole, for a range that holds
   * that one.
   */
  columns(
    key: string,
    first: number,
    count: number,
    stride: number,
    scope: Scope,
    fill: (first: number, count: number) => Float32Array | Int32Array,
  ): { readonly at: number; readonly first: number; readonly count: number; readonly infinite?: boolean } {
    const entry = this.#entry(key, first, count, stride, scope);
    if (entry.missing.length) {
      const data = fill(entry.first, entry.count);
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      new Uint8Array(this.#context.arena.memory.buffer, entry.at, bytes.length).set(bytes);
      entry.missing = [];
      entry.infinite = data.includes(-Infinity);
    }
    return entry;
  }

  /** The rotary table of the standard positions first … first + count − 1 of queries or keys; points at the row of `first`. */
  positions(rotation: Rotation, inverse: boolean, first: number, count: number, scope: Scope, keys = false): TableUse {
    const { dim, offset = 0, factor = 1, frequencies, growth, center = 0 } = rotation;
    if (axesOf(rotation) !== 1) throw wrongValue('rotation', 'positions', `positions on ${axesOf(rotation)} axes`, 'none');
    const key = `${inverse} ${factor} ${offset} ${frequencies.join()} ${growth ? `${keys} ${center} ${growth.join()}` : ''}`;
    const stride = 4 * dim;
    const before = this.#entries.get(key);
    // Holds the old table, if there is one, until its rows have been copied into a longer one.
    if (before) before.users++;
    const entry = this.#entry(key, first, count, stride, scope);
    if (before) {
      if (before !== entry) this.#extend(before, entry, stride);
      before.users--;
      if (before.users === 0 && before !== entry) this.#context.arena.free(before.at);
    }
    // A call of many parts has one scope, and fills a table once.
    const missing = entry.filling === scope ? [] : entry.missing;
    entry.filling = scope;
    const jobs = missing.map(([from, end]) => {
      const values = Float64Array.from({ length: end - from }, (_, n) => from + n + offset);
      return fillJob(rotation, inverse, keys, values, end - from, entry.at + (from - entry.first) * stride, scope);
    });
    const done = (): void => {
      entry.missing = [];
    };
    return { at: entry.at + (first - entry.first) * stride, jobs, done };
  }

  /** Copies what a shorter table holds into the longer one that takes its place. */
  #extend(before: Entry, entry: Entry, stride: number): void {
    const end = before.first + before.count;
    if (before.missing.length || before.first < entry.first || end > entry.first + entry.count) return;
    const to = entry.at + (before.first - entry.first) * stride;
    new Uint8Array(this.#context.arena.memory.buffer).copyWithin(to, before.at, before.at + before.count * stride);
    const ranges: [number, number][] = [
      [entry.first, before.first],
      [end, entry.first + entry.count],
    ];
    entry.missing = ranges.filter(([from, to]) => from < to);
  }

  /**
   * A rotary table of explicit positions of queries or keys, for this call alone: [axes][rows] or [B][axes][rows]. It is [2 if the second
   * channels turn by themselves][B or 1][heads][rows][R].
   */
  explicit(rotation: Rotation, inverse: boolean, positions: Positions, rows: number, batch: number, scope: Scope, keys = false): TableUse {
    const sets = positions.batched ? batch : 1;
    if (positions.table) {
      const numbers = sets * rows * rotation.dim;
      if (positions.table.length !== numbers)
        throw wrongValue('rotation', 'table', `${sets}×${rows}×${rotation.dim} numbers`, positions.table);
      if (inverse) throw wrongValue('rotate', 'inverse', 'false for a given table', 'true', 'its rows need not be rotations');
      return { at: scope.upload(positions.table), jobs: [], done: () => {}, batch: positions.batched ? 4 * rows * rotation.dim : 0 };
    }
    const axes = axesOf(rotation);
    const size = positions.values.length;
    if (size !== sets * axes * rows) throw wrongValue('rotation', 'positions', `${sets}×${axes}×${rows} positions`, `${size}`);
    const { heads = 1, frequencies, growth, second } = rotation;
    const stride = 4 * rotation.dim * rows;
    const channels = second ? [frequencies, second] : [frequencies];
    const at = scope.allocate(stride * heads * sets * channels.length);
    let next = at;
    const jobs: Job[] = [];
    for (const all of channels) {
      for (let b = 0; b < sets; b++) {
        const values = positions.values.subarray(b * axes * rows, (b + 1) * axes * rows);
        for (let h = 0; h < heads; h++, next += stride) {
          const of = (list: Float64Array): Float64Array => list.subarray((h * list.length) / heads, ((h + 1) * list.length) / heads);
          const own = { ...rotation, heads: 1, frequencies: of(all), ...(growth && { growth: of(growth) }) };
          jobs.push(fillJob(own, inverse, keys, values, rows, next, scope));
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
}

export const axesOf = ({ frequencies, dim, heads = 1 }: Rotation): number => frequencies.length / (dim / 2) / heads;

/** The job that fills a rotary table at `at`, one row per position. Inverse: the angles turn back and the sizes are their reciprocals. */
function fillJob(
  rotation: Rotation,
  inverse: boolean,
  keys: boolean,
  positions: Float64Array,
  rows: number,
  at: number,
  scope: Scope,
): Job {
  const { dim, factor = 1, growth, center = 0 } = rotation;
  const pairs = dim / 2;
  const where = scope.upload(positions);
  const frequencies = scope.upload(rotation.frequencies);
  const growthAt = growth ? scope.upload(growth) : 0;
  const job = scope.block(W_SIZE);
  scope
    .writer(job)
    .int(W_TABLE, at)
    .int(W_ROWS, rows)
    .int(W_PAIRS, pairs)
    .int(W_AXES, axesOf(rotation))
    .int(W_POSITIONS, where)
    .int(W_FREQUENCIES, frequencies)
    .f64(W_FACTOR, inverse ? 1 / factor : factor)
    .f64(W_SINE, inverse ? -1 : 1)
    .int(W_GROWTH, growthAt)
    .f64(W_GROW, inverse === keys ? 1 : -1)
    .f64(W_CENTER, center)
    .int(W_TILE, TILE_ROWS);
  const tiles = Math.ceil(rows / TILE_ROWS);
  return { kernel: 'rotaryTable', job, tiles, scratch: 0, scratchStride: 0, threads: rows * pairs < 16384 ? 1 : tiles };
}
