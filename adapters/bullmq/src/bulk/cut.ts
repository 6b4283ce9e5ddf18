import type { Item } from './corpus.ts';

/** What is embedded together, and travels as one job. */
export interface Batch {
  /** The row of its first text in the whole, from 0. */
  readonly first: number;
  readonly items: readonly Item[];
}

/** Texts of a shard at most, whatever their length. */
const MOST_TEXTS = 8192;

/**
 * Tokens of a text, near enough for shares of work: 4 bytes each, and two that frame it. The count itself would take every text through the tokenizer
 * twice, on the machine that all the workers wait for.
 */
const tokensOf = (item: Item, maxLength: number): number =>
  typeof item === 'string' ? Math.min(maxLength, 2 + Buffer.byteLength(item) / 4) : 1;

/** Cuts texts into shards of about so many tokens. The cuts hang on the texts and these numbers alone, so that a run that goes on finds its shards again. */
export async function* cutShards(items: AsyncIterable<Item>, tokens: number, maxLength: number = Infinity): AsyncGenerator<Batch> {
  let first = 0;
  let batch: Item[] = [];
  let sum = 0;
  for await (const item of items) {
    const more = tokensOf(item, maxLength);
    if (batch.length > 0 && (sum + more > tokens || batch.length === MOST_TEXTS)) {
      yield { first, items: batch };
      first += batch.length;
      [batch, sum] = [[], 0];
    }
    batch.push(item);
    sum += more;
  }
  if (batch.length > 0) yield { first, items: batch };
}
