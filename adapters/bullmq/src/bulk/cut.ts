import type { Item } from './corpus.ts';

/** What is embedded together, and travels as one job. */
export interface Batch {
  /** The row of its first text in the whole, from 0. */
  readonly first: number;
  readonly items: readonly Item[];
}

/** Texts of a shard at most, whatever their length. */
const MOST_TEXTS = 8192;
/** And bytes: as JSON, of which a byte takes six at most, they stay below what a worker unpacks. */
const MOST_BYTES = 32 * 2 ** 20;

/**
 * Tokens of a text, near enough for shares of work: 4 bytes each, and two that frame it. The count itself would take every text through the tokenizer
 * twice, on the machine that all the workers wait for.
 */
const tokensOf = (item: Item, bytes: number, maxLength: number): number =>
  typeof item === 'string' ? Math.min(maxLength, 2 + bytes / 4) : 1;

/** Cuts texts into shards of about so many tokens. The cuts hang on the texts and these numbers alone, so that a run that goes on finds its shards again. */
export async function* cutShards(items: AsyncIterable<Item>, tokens: number, maxLength: number = Infinity): AsyncGenerator<Batch> {
  let first = 0;
  let batch: Item[] = [];
  let [sum, size] = [0, 0];
  for await (const item of items) {
    const bytes = Buffer.byteLength(typeof item === 'string' ? item : item.reason);
    const more = tokensOf(item, bytes, maxLength);
    if (batch.length > 0 && (sum + more > tokens || size + bytes > MOST_BYTES || batch.length === MOST_TEXTS)) {
      yield { first, items: batch };
      first += batch.length;
      [batch, sum, size] = [[], 0, 0];
    }
    batch.push(item);
    sum += more;
    size += bytes;
  }
  if (batch.length > 0) yield { first, items: batch };
}
