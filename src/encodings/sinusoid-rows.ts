import type { Arithmetic } from '../plan/plan.ts';

/** Row `position` of the table: sin and cos of position · base^(−2i/width), [width]. */
function sinusoid(position: number, width: number, base: number, halves: boolean, math: Arithmetic): Float64Array {
  const half = Math.ceil(width / 2);
  const row = new Float64Array(width);
  for (let i = 0; i < half; i++) {
    const angle = position * math.pow(base, (-2 * i) / width);
    const [first, second] = halves ? [i, half + i] : [2 * i, 2 * i + 1];
    row[first] = math.sin(angle);
    if (second < width) row[second] = math.cos(angle);
  }
  return row;
}

/** Rows of the sinusoidal table from position `offset` on, [rows, width]; with `halves` all sines come before all cosines, else they alternate. */
export function sinusoidRows(
  math: Arithmetic,
  rows: number,
  width: number,
  { base, halves, offset }: { readonly base: number; readonly halves: boolean; readonly offset: number },
): Float32Array {
  const table = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) table.set(sinusoid(row + offset, width, base, halves, math), row * width);
  return table;
}
