// Text up to a stop string, given piece by piece: what may yet be the beginning of one waits.

/**
 * Lets text through until one of the stop strings is complete; that one, and what follows, is left out. Where one ends at the same character as
 * another, the longer one counts. How the text is cut into pieces changes nothing.
 */
export class StopFilter {
  readonly #stops: readonly string[];
  #held = '';
  #stopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Whether a stop string was complete. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** What of the text can be given on. */
  push(piece: string): string {
    if (this.#stopped || this.#stops.length === 0) return this.#stopped ? '' : piece;
    const text = this.#held + piece;
    const begin = this.#first(text);
    if (begin !== undefined) {
      this.#stopped = true;
      this.#held = '';
      return text.slice(0, begin);
    }
    const held = this.#suffix(text);
    this.#held = text.slice(text.length - held);
    return text.slice(0, text.length - held);
  }

  /** What waited, when no more text comes. */
  end(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }

  /** Where the stop string begins that ends first. */
  #first(text: string): number | undefined {
    let found: { readonly begin: number; readonly end: number } | undefined;
    for (const stop of this.#stops) {
      const begin = text.indexOf(stop);
      const end = begin + stop.length;
      if (begin >= 0 && (!found || end < found.end || (end === found.end && begin < found.begin))) found = { begin, end };
    }
    return found?.begin;
  }

  /** Characters at the end of the text that may begin a stop string. */
  #suffix(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
