/** Vectors at most that are kept. */
const KEPT = 256;

/** Vectors of texts: those of texts that were there before are kept, so that a table follows while somebody types. */
export class Vectors {
  readonly #embed: (texts: string[], signal: AbortSignal) => Promise<Float32Array[]>;
  readonly #known = new Map<string, Float32Array>();

  constructor(embed: (texts: string[], signal: AbortSignal) => Promise<Float32Array[]>) {
    this.#embed = embed;
  }

  /** The vectors of texts, and how many of them were computed now. */
  async of(texts: readonly string[], signal: AbortSignal): Promise<{ readonly list: Float32Array[]; readonly fresh: number }> {
    const fresh = [...new Set(texts)].filter((text) => !this.#known.has(text));
    const made = fresh.length ? await this.#embed(fresh, signal) : [];
    fresh.forEach((text, n) => {
      this.#known.set(text, made[n] as Float32Array);
    });
    const list = texts.map((text) => this.#known.get(text) as Float32Array);
    // The oldest go first.
    for (const text of this.#known.keys()) {
      if (this.#known.size <= KEPT) break;
      if (!texts.includes(text)) this.#known.delete(text);
    }
    return { list, fresh: fresh.length };
  }
}
