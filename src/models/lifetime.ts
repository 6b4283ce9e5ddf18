// How long a model's memory stays: until it was disposed of, and the last call that was under way then has ended.

import { RelposError } from '../arguments/errors.ts';

export class Lifetime {
  readonly #release: () => void;
  /** Calls that are under way. */
  #running = 0;
  #over = false;

  /** @param release gives the memory back */
  constructor(release: () => void) {
    this.#release = release;
  }

  /** @throws RelposError `disposed` */
  alive(what = 'the model'): void {
    if (this.#over) throw new RelposError('disposed', `${what} was disposed`);
  }

  /** Does what needs the memory, which stays until it is done. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.alive();
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      if (this.#over) this.#end();
    }
  }

  /** Ends it, once. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#end();
  }

  #end(): void {
    if (this.#running === 0) this.#release();
  }
}
