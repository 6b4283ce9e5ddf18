// Bytes of a plane at another size, by the filters of PIL (Pillow), bit for bit: rows first, then columns, each by sums of integers.
//
// Along one side of n cells that becomes one of m, cell i of the new side is the weighted mean of the old cells around c = (i + ½)·n/m. With
// s = max(1, n/m), a filter f of radius r weighs old cell j by f((j + ½ − c)/s), where |j + ½ − c| < r·s as rounded; what lies beyond the ends has
// no weight, and the weights add up to 1. They are then rounded to multiples of 2⁻²², the sums to bytes after either side.

import type { Pause } from './slices.ts';

/** Kinds of filters. */
export type FilterName = 'bilinear' | 'bicubic';

interface Filter {
  readonly radius: number;
  weight(x: number): number;
}

const FILTERS: Readonly<Record<FilterName, Filter>> = {
  bilinear: { radius: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  // Keys' cubic with slope −½ at 1.
  bicubic: {
    radius: 2,
    weight(x) {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * -0.5 : 0;
    },
  },
};

const BITS = 22;
const ONE = 1 << BITS;
const HALF = 1 << (BITS - 1);

/** Which old cells a new cell is made of: `count` from `first` on, with weights from `at` on. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly at: Int32Array;
  readonly weights: Int32Array;
}

function tapsOf(from: number, to: number, { radius, weight }: Filter): Taps {
  const step = from / to;
  const scale = Math.max(1, step);
  const reach = radius * scale;
  const [first, count, at] = [new Int32Array(to), new Int32Array(to), new Int32Array(to)];
  const weights: number[] = [];
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * step;
    const low = Math.max(0, Math.trunc(centre - reach + 0.5));
    const high = Math.min(from, Math.trunc(centre + reach + 0.5));
    const own: number[] = [];
    // A product with the inverse, not a quotient: other bits.
    for (let j = low; j < high; j++) own.push(weight((j - centre + 0.5) * (1 / scale)));
    const sum = own.reduce((a, b) => a + b, 0);
    first[i] = low;
    count[i] = own.length;
    at[i] = weights.length;
    for (const w of own) weights.push(Math.trunc((w / sum) * ONE + (w < 0 ? -0.5 : 0.5)));
  }
  return { first, count, at, weights: Int32Array.from(weights) };
}

/** Lines of cells, of which cell j of line n is at n · line + j · cell. */
interface Lines {
  readonly count: number;
  readonly line: number;
  readonly cell: number;
}

/** Every line at its new size. */
async function pass(
  x: Uint8Array,
  { count, line, cell }: Lines,
  taps: Taps,
  out: Uint8ClampedArray,
  to: Omit<Lines, 'count'>,
  pause: Pause,
): Promise<void> {
  const { first, count: counts, at, weights } = taps;
  for (let i = 0; i < first.length; i++) {
    const wait = pause();
    if (wait) await wait;
    const [start, end, base] = [at[i] as number, (at[i] as number) + (counts[i] as number), (first[i] as number) * cell];
    for (let n = 0; n < count; n++) {
      let sum = HALF;
      for (let k = start, from = n * line + base; k < end; k++, from += cell) sum += (x[from] as number) * (weights[k] as number);
      // At most 255·1.3·2²²: no overflow. The array clamps.
      out[n * to.line + i * to.cell] = sum >> BITS;
    }
  }
}

/** A plane [rows, columns] at another size. @returns `plane` itself if it has that size */
export async function resample(
  plane: Uint8Array,
  [rows, columns]: readonly [number, number],
  [newRows, newColumns]: readonly [number, number],
  name: FilterName,
  pause: Pause,
): Promise<Uint8Array> {
  const filter = FILTERS[name];
  let x = plane;
  if (newColumns !== columns) {
    const out = new Uint8ClampedArray(rows * newColumns);
    await pass(x, { count: rows, line: columns, cell: 1 }, tapsOf(columns, newColumns, filter), out, { line: newColumns, cell: 1 }, pause);
    x = new Uint8Array(out.buffer);
  }
  if (newRows !== rows) {
    const out = new Uint8ClampedArray(newRows * newColumns);
    const lines = { line: 1, cell: newColumns };
    await pass(x, { count: newColumns, ...lines }, tapsOf(rows, newRows, filter), out, lines, pause);
    x = new Uint8Array(out.buffer);
  }
  return x;
}
