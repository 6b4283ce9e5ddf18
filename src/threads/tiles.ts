import { BELL, DONE, ENDED, NEXT, STOPPED } from './control.ts';
import type { RunStage } from './types.ts';

/** A kernel trapped; `cause` is what it threw. */
export class TileTrap {
  /** The tile of its stage. */
  readonly tile: number;
  readonly cause: unknown;

  constructor(tile: number, cause: unknown) {
    this.tile = tile;
    this.cause = cause;
  }
}

/** What a thread needs to run tiles of a job. */
export interface ShareOptions {
  /** Stages of the job. */
  readonly stages: number;
  /** The n-th of them, from 0; each is asked for once, in order. */
  stage(n: number): RunStage;
  /** Pointer of this thread's own scratch. */
  readonly scratch: number;
  /**
   * What the thread does at each look that finds earlier stages at work: turn, sleep until BELL is no longer `bell`, or pause its share, which
   * is what `true` says. `looks` counts those before.
   */
  rest(bell: number, looks: number): boolean;
}

/** One thread's share of a job. It can pause between any two steps, in the middle of a tile too, which then waits in its scratch. */
export class Share {
  readonly #words: Int32Array;
  readonly #options: ShareOptions;
  /** The stage of the tile, unless none was drawn; its number, and those of its first tile and of the first one after it. */
  #stage: RunStage | undefined;
  #entered = 0;
  #first = 0;
  #end = 0;
  #tile = 0;
  /** The next step of the tile; −1: a tile is to be drawn first. */
  #step = -1;

  constructor(words: Int32Array, options: ShareOptions) {
    this.#words = words;
    this.#options = options;
  }

  /**
   * Draws and runs tiles until there are none left or the job is stopped (`true`), or until `pause()`, asked after each step, or the rest
   * between two stages says so (`false`). @throws TileTrap
   */
  run(pause: () => boolean): boolean {
    const words = this.#words;
    for (;;) {
      if (this.#step < 0 && !this.#draw()) return true;
      for (let looks = 0; ; looks++) {
        const bell = Atomics.load(words, BELL); // before what it tells of, so that no ring is missed
        if (Atomics.load(words, STOPPED) !== 0) return true;
        if (Atomics.load(words, DONE) >= this.#first) break;
        if (this.#options.rest(bell, looks)) return false;
      }
      this.#runStep();
      if (pause()) return false;
    }
  }

  /** Draws a tile; `false` if there is none. */
  #draw(): boolean {
    const number = Atomics.add(this.#words, NEXT, 1);
    while (number >= this.#end) {
      if (this.#entered === this.#options.stages) return false;
      this.#stage = this.#options.stage(this.#entered++);
      this.#first = this.#end;
      this.#end += this.#stage.tiles;
    }
    // From the first on: kernels number those first that have most to do, so that small ones fill the end.
    this.#tile = number - this.#first;
    this.#step = 0;
    return true;
  }

  #runStep(): void {
    const { kernel, job, steps } = this.#stage as RunStage;
    try {
      kernel(job, this.#tile, this.#options.scratch, this.#step);
    } catch (cause) {
      throw new TileTrap(this.#tile, cause);
    }
    if (++this.#step < steps) return;
    this.#step = -1;
    const done = Atomics.add(this.#words, DONE, 1) + 1;
    if (done === this.#end && this.#entered < this.#options.stages) ring(this.#words);
  }
}

/**
 * Looks at an earlier stage before a thread sleeps that turns so often for a job. A look takes longer: all in all some 100 µs, about what it takes to
 * fall asleep and be woken, so that one never waits for much longer than either would.
 */
export const looksOf = (spins: number): number => spins / 4;

/** Wakes all who wait for a stage. */
function ring(words: Int32Array): void {
  Atomics.add(words, BELL, 1);
  Atomics.notify(words, BELL);
}

/** Lets nobody take another tile, and leaves those that run at their next step. */
export function stopTiles(words: Int32Array): void {
  Atomics.store(words, STOPPED, 1);
  Atomics.store(words, NEXT, ENDED);
  ring(words);
}
