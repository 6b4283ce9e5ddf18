import type { Course, NamedStage, Trap } from './types.ts';

/** A trap on the caller's own thread. */
export const ownTrap = (name: string, tile: number, cause: unknown): Trap => ({
  name,
  why: `tile ${tile} on the caller's thread: ${String(cause)}`,
  cause,
});

/** A job of the caller's thread alone, which needs no control block. It can pause between any two steps. */
export class Alone implements Course {
  readonly #stages: readonly NamedStage[];
  readonly #scratch: number;
  /** Where it stands: the next stage, tile and step. */
  #stage = 0;
  #tile = 0;
  #step = 0;
  #stopped = false;
  done = 0;

  constructor(stages: readonly NamedStage[], scratch: number) {
    this.#stages = stages;
    this.#scratch = scratch;
  }

  stop(): void {
    this.#stopped = true;
  }

  advance(pause: () => boolean): boolean | Trap {
    for (; this.#stage < this.#stages.length; this.#stage++, this.#tile = 0) {
      const { name, kernel, job, tiles, steps } = this.#stages[this.#stage] as NamedStage;
      while (this.#tile < tiles) {
        if (this.#stopped) return true;
        try {
          kernel(job, this.#tile, this.#scratch, this.#step);
        } catch (cause) {
          return ownTrap(name, this.#tile, cause);
        }
        if (++this.#step === steps) {
          this.#step = 0;
          this.#tile++;
          this.done++;
        }
        if (pause()) return false;
      }
    }
    return true;
  }
}
