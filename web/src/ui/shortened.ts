/** The beginning of words that somebody else wrote, which may be as long as they like. */
export function shortened(text: string, most: number): string {
  const letters = [...text.slice(0, 2 * most + 2)];
  return letters.length > most ? `${letters.slice(0, most).join('')} …` : text;
}
