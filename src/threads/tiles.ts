import { DONE, NEXT } from './control.ts';
import type { TileKernel } from './types.ts';

/** A kernel trapped; `cause` is what it threw. */
export class TileTrap {
  readonly tile: number;
  readonly cause: unknown;

  constructor(tile: number, cause: unknown) {
    this.tile = tile;
    this.cause = cause;
  }
}

/** What a thread needs to run tiles of a job. */
export interface Share {
  readonly kernel: TileKernel;
  readonly job: number;
  readonly tiles: number;
  /** Pointer of this thread's own scratch. */
  readonly scratch: number;
}

/** Takes and runs tiles until there are none left (`true`), or until `pause()`, asked after each tile, says so (`false`). */
export function takeTiles(words: Int32Array, share: Share, pause: () => boolean): boolean {
  const { kernel, job, tiles, scratch } = share;
  for (;;) {
    const tile = Atomics.add(words, NEXT, 1);
    if (tile >= tiles) return true;
    try {
      kernel(job, tile, scratch);
    } catch (cause) {
      throw new TileTrap(tile, cause);
    }
    Atomics.add(words, DONE, 1);
    if (pause()) return false;
  }
}

/** Lets nobody take another tile; those that run are finished. */
export function stopTiles(words: Int32Array, tiles: number): void {
  Atomics.store(words, NEXT, tiles);
}
