/** A token as people read it: the vocabulary's marks of spaces and of parts of words are no letters of it. */
export function wordOf(token: string): string {
  const word = token.replace(/^##/, '').replace(/^[▁Ġ]/, '').replace(/^Ċ$/, '↵');
  return word === '' ? '␣' : word;
}

/** Whether it goes on a word: no space stands before it. */
export const goesOn = (token: string, tokens: readonly string[]): boolean => {
  if (token.startsWith('##')) return true;
  const marks = tokens.some((one) => one.startsWith('▁') || one.startsWith('Ġ'));
  return marks && !/^[▁Ġ[<]/.test(token);
};

/** The weights of a head, [T, T]; of head −1 the mean of all. */
export function headOf(probabilities: Float32Array, heads: number, length: number, head: number): Float32Array {
  const size = length * length;
  if (head >= 0) return probabilities.subarray(head * size, (head + 1) * size);
  const mean = new Float32Array(size);
  for (let h = 0; h < heads; h++)
    for (let n = 0; n < size; n++) mean[n] = (mean[n] as number) + (probabilities[h * size + n] as number) / heads;
  return mean;
}

/** The places of the largest numbers of a row, the largest first. */
export const largestOf = (row: Float32Array, count: number): number[] =>
  [...row.keys()].sort((a, b) => (row[b] as number) - (row[a] as number) || a - b).slice(0, count);
