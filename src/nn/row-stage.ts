// A stage that goes row by row: its parameter block, and how its rows are cut into tiles.

import type { Scope } from '../memory/scope.ts';
import type { Context } from '../plan/context.ts';
import { SMALL_TRAFFIC, threadsFor } from '../plan/work.ts';
import type { Output, Stage } from '../threads/types.ts';

/** Numbers that a tile has at least where there are threads to share them, some microseconds … */
const LEAST = 8192;
/** … and at most, half a millisecond. */
const MOST = 524_288;

/** How rows are cut into tiles: two for each thread, unless they become too small or too large; as many for each if there are some. */
export function cut(rows: number, width: number, threads: number): { tile: number; tiles: number } {
  const numbers = rows * width;
  const few = Math.max(1, Math.ceil(numbers / MOST), threads > 1 ? Math.min(2 * threads, Math.floor(numbers / LEAST)) : 1);
  const wanted = few > threads ? Math.ceil(few / threads) * threads : few;
  const tile = Math.max(1, Math.ceil(rows / wanted));
  return { tile, tiles: Math.ceil(rows / tile) };
}

/** A kernel and its block. */
export class RowStage {
  readonly context: Context;
  readonly block: number;
  readonly #scope: Scope;

  constructor(context: Context, scope: Scope, bytes: number) {
    this.context = context;
    this.#scope = scope;
    this.block = scope.block(bytes);
  }

  /** A writer for the block, good until memory grows. */
  protected get writer(): ReturnType<Scope['writer']> {
    return this.#scope.writer(this.block);
  }

  protected whole(kernel: string, numbers: number, tiles: number, scratch: number, outputs: readonly Output[] | undefined): Stage {
    const threads = threadsFor(numbers, SMALL_TRAFFIC, tiles, this.context.threads);
    return { kernel, job: this.block, tiles, scratch, threads, ...(outputs && { outputs }) };
  }
}

/** What a stage writes that outlives a failed call. */
export interface Writes {
  readonly outputs?: readonly Output[];
}
