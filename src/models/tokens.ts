// Tokens as runs take them.

import { wrongValue } from '../arguments/check.ts';

/** Rows of a run of a prompt: enough that weights are read once for many, few enough that what they pass on stays small. */
export const CHUNK = 128;
/** Texts of an encoder are run together while their tokens are no more than this; one by itself may have as many as it has. */
export const BATCH = 512;

/** @throws RangeError if a token is none of the vocabulary */
export function checkTokens(where: string, name: string, ids: ArrayLike<number>, vocabulary: number): void {
  for (let n = 0; n < ids.length; n++) {
    const id = ids[n] as number;
    if (!(Number.isInteger(id) && id >= 0 && id < vocabulary)) throw wrongValue(where, name, `tokens in 0 … ${vocabulary - 1}`, id);
  }
}

/** Tokens as runs take them, with the number of the first, and how many follow. */
export function* chunksOf(ids: ArrayLike<number>): Generator<{ readonly own: number[]; readonly first: number; readonly rest: number }> {
  const all = Array.from(ids);
  for (let first = 0; first < all.length; first += CHUNK) {
    const own = all.slice(first, first + CHUNK);
    yield { own, first, rest: all.length - first - own.length };
  }
}
