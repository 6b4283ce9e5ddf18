// Makers of the numbers that the page computes with: tables that a model would have learned, queries and keys. Each is the same everywhere for the
// same arguments. A program that the page gives out holds those that it needs, as they stand here: so each imports nothing.

/** From −√3 to √3, by n and the seed alone; over many n the mean is 0 and the variance 1. */
export function noiseAt(n: number, seed: number): number {
  let x = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  x ^= x >>> 15;
  return ((x >>> 0) / 2 ** 31 - 1) * 1.7320508;
}

/** Numbers of that kind, of standard deviation `size`. */
export function noise(count: number, size: number, seed: number): Float32Array {
  return new Float32Array(count).map((_, n) => size * noiseAt(n, seed));
}

/** The same number everywhere. */
export function filled(count: number, value: number): Float32Array {
  return new Float32Array(count).fill(value);
}

/** A pattern again and again. */
export function cycle(count: number, pattern: number[]): Float32Array {
  return new Float32Array(count).map((_, n) => pattern[n % pattern.length] as number);
}

/** Equal steps. */
export function rising(count: number, from: number, to: number): number[] {
  return Array.from({ length: count }, (_, n) => from + ((to - from) * n) / Math.max(1, count - 1));
}

/** [rows, columns] turned into [columns, rows]. */
export function turned(table: Float32Array, columns: number): Float32Array {
  const rows = table.length / columns;
  return table.map((_, n) => table[(n % rows) * columns + Math.floor(n / rows)] as number);
}

/** How far each of T5's buckets is: with two directions the second half starts anew. */
export function ofBuckets(buckets: number, bidirectional: boolean): number[] {
  return Array.from({ length: buckets }, (_, row) => (bidirectional ? row % (buckets / 2) : row));
}

/** How far each row of a table over offsets is from the row `zero`, of offset 0. */
export function ofRows(rows: number, zero: number): number[] {
  return Array.from({ length: rows }, (_, row) => Math.abs(row - zero));
}

/** |y| + |x| for each row of a table over the differences of two cells of a square, and 0 for some rows more. */
export function ofWindow(side: number, more: number): number[] {
  const width = 2 * side - 1;
  const size = (n: number) => Math.abs(n - (side - 1));
  return Array.from({ length: width * width + more }, (_, n) => (n < width * width ? size(Math.floor(n / width)) + size(n % width) : 0));
}

/** |y| + |x| for each cell of a square, from its corner. */
export function ofCells(side: number): number[] {
  return Array.from({ length: side * side }, (_, n) => Math.floor(n / side) + (n % side));
}

/** A table of biases [rows, heads] as models tend to learn them: head 0 falls by `fall` a step, each further head by less; and seeded noise. */
export function biasTable(distances: number[], heads: number, fall: number, rough: number, seed: number): Float32Array {
  const table = new Float32Array(distances.length * heads);
  distances.forEach((distance, row) => {
    for (let h = 0; h < heads; h++) {
      const n = row * heads + h;
      table[n] = rough * noiseAt(n, seed) - fall * (1 - h / heads) * distance;
    }
  });
  return table;
}

/** A table of vectors [rows, width] of which heads of D channels make, with a query of ones and the scale 1/√D, −fall · distance and noise. */
export function vectorTable(distances: number[], width: number, D: number, fall: number, rough: number, seed: number): Float32Array {
  const table = new Float32Array(distances.length * width);
  distances.forEach((distance, row) => {
    const center = (fall * distance) / Math.sqrt(D);
    for (let n = row * width; n < (row + 1) * width; n++) table[n] = rough * noiseAt(n, seed) - center;
  });
  return table;
}

/** The rows of a table, each read one too far; the last stays. */
export function oneTooFar(table: Float32Array, columns: number): Float32Array {
  return table.map((x, n) => table[n + columns] ?? x);
}

/**
 * Logarithms of forget gates [heads, tokens], ≤ 0: about −λ in the mean, nearer to 0 in further heads; the same for all tokens, or by `vary` from
 * 0 to 1 more and more of it in one token of ten.
 */
export function gates(heads: number, tokens: number, lambda: number, vary: number, seed: number): Float32Array {
  const share = (token: number) => 1 - vary + (noiseAt(token, seed) > 1.3856406 ? 10 * vary : 0);
  return new Float32Array(heads * tokens).map((_, n) => -lambda * (1 - Math.floor(n / tokens) / heads) * share(n % tokens));
}

/** 0 for the first tokens, 1 for the others. */
export function twoSegments(tokens: number, first: number): number[] {
  return Array.from({ length: tokens }, (_, j) => Number(j >= first));
}

/** Left, top, right and bottom of words in lines on a page: [tokens, 4], from 0 to 1000. */
export function linesOfWords(tokens: number, perLine: number): number[] {
  const width = Math.floor(1000 / perLine);
  const box = (x: number, y: number) => [x, y, x + width - 10, y + 20];
  return Array.from({ length: tokens }, (_, j) => box((j % perLine) * width, Math.floor(j / perLine) * 24)).flat();
}

/** Time, row and column of words, an image of side × side cells, and words again: [3, tokens]. */
export function wordsAndImage(tokens: number, words: number, side: number): number[] {
  const cells = side * side;
  const axis = (place: (cell: number) => number) =>
    Array.from({ length: tokens }, (_, j) => {
      if (j < words) return j;
      return j < words + cells ? words + place(j - words) : words + side + j - words - cells;
    });
  return [...axis(() => 0), ...axis((n) => Math.floor(n / side)), ...axis((n) => n % side)];
}

/** A bias that anybody may make: stripes of `period` keys over queries and keys, [L, S]. */
export function stripes(L: number, S: number, period: number, height: number): Float32Array {
  return new Float32Array(L * S).map((_, n) => {
    const phase = ((Math.floor(n / S) + S - L - (n % S)) / period) % 1;
    return height * (1 - 4 * Math.abs(Math.abs(phase) - 0.5));
  });
}

/**
 * Vectors of tokens [count, D] from token `first` on: what all share, which is ones, seeded numbers, or ones that are strong in the slow pairs of
 * halves; and `spread` times what each has of its own. All times `size`.
 */
export function tokens(
  first: number,
  count: number,
  D: number,
  shared: 'ones' | 'seeded' | 'slow',
  spread: number,
  size: number,
  seed: number,
): Float32Array {
  const common = (d: number) => (shared === 'ones' ? 1 : shared === 'seeded' ? noiseAt(d, 7919 + (seed >> 1)) : (d % (D / 2)) / (D / 4));
  const rows = new Float32Array(count * D);
  for (let d = 0; d < D; d++) {
    const own = common(d);
    for (let n = d; n < count * D; n += D) rows[n] = size * (own + spread * noiseAt(first * D + n, seed));
  }
  return rows;
}

/** The same rows for each of some heads. */
export function forHeads(heads: number, rows: Float32Array): Float32Array {
  const all = new Float32Array(heads * rows.length);
  for (let h = 0; h < heads; h++) all.set(rows, h * rows.length);
  return all;
}

/** Ones on the diagonal. As values they make of attention's output its probabilities. */
export function identity(n: number): Float32Array {
  const matrix = new Float32Array(n * n);
  for (let i = 0; i < n; i++) matrix[i * (n + 1)] = 1;
  return matrix;
}

/** 2^(−8(h + 1)/heads): right for ALiBi where the number of heads is a power of two, and a mistake elsewhere. */
export function plainSlopes(heads: number): number[] {
  return Array.from({ length: heads }, (_, h) => 2 ** ((-8 * (h + 1)) / heads));
}
