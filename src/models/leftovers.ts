// What runs leave in memory because the next one may find a use for it: tables, rows, parameter blocks. When memory runs out it goes, and the run begins
// anew, as the first one did: so what the first run needs is enough for any, whatever came before it.

import { RelposError } from '../arguments/errors.ts';
import type { Context } from '../plan/context.ts';

/** A memory with as much room as it holds three times over is not tidied: what is left does not come in the way. */
const ROOMY = 4;

/** Whether memory ran out. */
export const isFull = (error: unknown): boolean => error instanceof RelposError && error.code === 'out-of-memory';

/** What the runs of one program leave, which come one after another. */
export class Leftovers {
  readonly #context: Context;
  readonly #drops: (() => void)[] = [];

  constructor(context: Context) {
    this.#context = context;
  }

  /** @param drop gives back what no run needs; called between two runs, or after one that failed */
  add(drop: () => void): void {
    this.#drops.push(drop);
  }

  drop(): void {
    for (const drop of this.#drops) drop();
    this.#context.tables.release();
  }

  /** Before something that stays is put into memory: it would lie behind what does not. @param bytes that it takes */
  tidy(bytes: number): void {
    const { reserved, limit } = this.#context.arena.usage();
    if (ROOMY * (reserved + bytes) > limit) this.drop();
  }

  /** Does work; when memory runs out, once more without leftovers. */
  async again<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isFull(error)) throw error;
    }
    this.drop();
    return work();
  }
}

/** Does work on all of a list together or, where there is no room for that, on each half of it. */
export async function inHalves<In, Out>(
  list: readonly In[],
  work: (part: readonly In[]) => Promise<readonly Out[]>,
): Promise<readonly Out[]> {
  try {
    return await work(list);
  } catch (error) {
    if (list.length < 2 || !isFull(error)) throw error;
  }
  const middle = list.length >> 1;
  const first = await inHalves(list.slice(0, middle), work);
  return [...first, ...(await inHalves(list.slice(middle), work))];
}
