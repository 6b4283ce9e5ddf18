// Which rows go through a head together where logits of many are wanted.

/** Bytes of the logits that lie in memory at a time. */
const LOGITS_BYTES = 2 ** 24;
const FEWEST_ROWS = 4;

/** Rows whose logits are computed together. */
export const mostRows = (vocabulary: number): number => Math.max(FEWEST_ROWS, Math.floor(LOGITS_BYTES / (4 * vocabulary)));

/** Of `count` rows, the first of which has number `first`, those that are wanted: [row, rows], side by side and at most so many. */
export function* runsOf(wanted: ReadonlySet<number>, first: number, count: number, most: number): Generator<readonly [number, number]> {
  for (let row = 0; row < count; ) {
    let end = row;
    while (end < count && end - row < most && wanted.has(first + end)) end++;
    if (end > row) yield [row, end - row];
    row = Math.max(end, row + 1);
  }
}
