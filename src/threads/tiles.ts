import { DONE, NEXT, STOPPED } from './control.ts';
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
export interface ShareOptions {
  readonly kernel: TileKernel;
  readonly job: number;
  readonly tiles: number;
  /** Steps of a tile. */
  readonly steps: number;
  /** Pointer of this thread's own scratch. */
  readonly scratch: number;
}

/** One thread's share of a job. It can pause between any two steps, in the middle of a tile too, which then waits in its scratch. */
export class Share {
  readonly #words: Int32Array;
  readonly #options: ShareOptions;
  #tile = 0;
  /** The next step of the tile; 0: a tile is to be drawn first. */
  #step = 0;

  constructor(words: Int32Array, options: ShareOptions) {
    this.#words = words;
    this.#options = options;
  }

  /**
   * Draws and runs tiles until there are none left or the job is stopped (`true`), or until `pause()`, asked after each step, says so
   * (`false`). @throws TileTrap
   */
  run(pause: () => boolean): boolean {
    const { kernel, job, tiles, steps, scratch } = this.#options;
    for (;;) {
      if (this.#step > 0) {
        if (Atomics.load(this.#words, STOPPED) !== 0) return true;
      } else {
        // From the last to the first: under a causal mask the last ones of a head have most to do, and small ones fill the end.
        this.#tile = tiles - 1 - Atomics.add(this.#words, NEXT, 1);
        if (this.#tile < 0) return true;
      }
      try {
        kernel(job, this.#tile, scratch, this.#step);
      } catch (cause) {
        throw new TileTrap(this.#tile, cause);
      }
      if (++this.#step === steps) {
        this.#step = 0;
        Atomics.add(this.#words, DONE, 1);
      }
      if (pause()) return false;
    }
  }
}

/** Lets nobody take another tile, and leaves those that run at their next step. */
export function stopTiles(words: Int32Array, tiles: number): void {
  Atomics.store(words, STOPPED, 1);
  Atomics.store(words, NEXT, tiles);
}
