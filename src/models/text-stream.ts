// The text of tokens that come one by one.

/** Stands in a text for bytes that are no character: also for those of one whose last bytes have not come. */
const INCOMPLETE = '\ufffd';

/** Tokens before the first one that are decoded with it, so that spaces between them are those of the whole text. */
const CONTEXT = 6;

/**
 * Gives the text of each token as soon as no token to come can change it.
 *
 * Decoding from the beginning at each token would take ever longer. Decoded is a window that begins some tokens before those whose text was
 * not given: what it adds to the text of its first part is new. Where the text ends within a character, it waits.
 */
export class TextStream {
  readonly #decode: (ids: readonly number[]) => string;
  /** The window: tokens whose text was given, as far as `#given`, and those that wait. */
  #ids: number[];
  #given: number;

  /** @internal */
  constructor(decode: (ids: readonly number[]) => string, before: ArrayLike<number>) {
    this.#decode = decode;
    this.#ids = Array.prototype.slice.call(before, Math.max(0, before.length - CONTEXT));
    this.#given = this.#ids.length;
  }

  /** The text that this token completes; may be empty. */
  push(id: number): string {
    this.#ids.push(id);
    const { all, old } = this.#texts();
    if (all.endsWith(INCOMPLETE) || all.length <= old.length) return '';
    this.#ids = this.#ids.slice(this.#given);
    this.#given = this.#ids.length;
    return all.slice(old.length);
  }

  /** What waits, when no more tokens come. */
  end(): string {
    const { all, old } = this.#texts();
    this.#given = this.#ids.length;
    return all.slice(old.length);
  }

  #texts(): { readonly all: string; readonly old: string } {
    return { all: this.#decode(this.#ids), old: this.#decode(this.#ids.slice(0, this.#given)) };
  }
}
