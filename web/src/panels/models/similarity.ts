/** Sentences at most: the table has the square of it. */
export const MOST = 16;

/** The sentences of a text, one a line; those behind the last that fits are left out. */
export function sentencesOf(text: string): { readonly texts: readonly string[]; readonly left: number } {
  const all = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return { texts: all.slice(0, MOST), left: Math.max(0, all.length - MOST) };
}

/** From 0 for the least of the numbers of different sentences to 1 for the largest: what colours tell. */
export function sharesOf(values: ArrayLike<number>, n: number): (x: number) => number {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < n * n; i++) {
    if (Math.floor(i / n) === i % n) continue;
    least = Math.min(least, values[i] as number);
    most = Math.max(most, values[i] as number);
  }
  return (x) => (most > least ? Math.min(1, Math.max(0, (x - least) / (most - least))) : 0);
}

/** The column of the largest number of a row but for the row's own; −1 if it is alone. */
export function nearestOf(values: ArrayLike<number>, n: number, row: number): number {
  let best = -1;
  for (let j = 0; j < n; j++) {
    if (j !== row && (best < 0 || (values[row * n + j] as number) > (values[row * n + best] as number))) best = j;
  }
  return best;
}
