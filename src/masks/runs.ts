// Sets of key positions as runs: [from, to, from, to, …], each to exclusive, ascending, apart and not empty. What masks are made of.

export type Runs = readonly number[];

export const NONE: Runs = [];

/** The run from … to − 1 within 0 … end − 1. */
export function run(from: number, to: number, end: number): Runs {
  const low = Math.max(0, from);
  const high = Math.min(end, to);
  return low < high ? [low, high] : NONE;
}

/** Positions that are in both. */
export function intersect(a: Runs, b: Runs): Runs {
  if (a.length === 2 && b.length === 2) {
    const from = Math.max(a[0] as number, b[0] as number);
    const to = Math.min(a[1] as number, b[1] as number);
    return from < to ? [from, to] : NONE;
  }
  const out: number[] = [];
  for (let m = 0, n = 0; m < a.length && n < b.length; ) {
    const from = Math.max(a[m] as number, b[n] as number);
    const [endA, endB] = [a[m + 1] as number, b[n + 1] as number];
    const to = Math.min(endA, endB);
    if (from < to) out.push(from, to);
    if (endA <= endB) m += 2;
    if (endB <= endA) n += 2;
  }
  return out;
}

/** Positions that are in one of them. */
export function unite(a: Runs, b: Runs): Runs {
  if (!a.length) return b;
  if (!b.length) return a;
  const out: number[] = [];
  for (let m = 0, n = 0; m < a.length || n < b.length; ) {
    const takesA = n >= b.length || (m < a.length && (a[m] as number) <= (b[n] as number));
    const from = (takesA ? a[m] : b[n]) as number;
    const to = (takesA ? a[m + 1] : b[n + 1]) as number;
    if (takesA) m += 2;
    else n += 2;
    const last = out.length - 1;
    // Runs that touch become one.
    if (last > 0 && from <= (out[last] as number)) out[last] = Math.max(out[last] as number, to);
    else out.push(from, to);
  }
  return out;
}

/** Positions of 0 … end − 1 that are not in it. */
export function complement(a: Runs, end: number): Runs {
  const out: number[] = [];
  let from = 0;
  for (let n = 0; n < a.length; n += 2) {
    if (from < (a[n] as number)) out.push(from, a[n] as number);
    from = a[n + 1] as number;
  }
  if (from < end) out.push(from, end);
  return out;
}

/** Pairs in any order, overlapping or beyond the ends, as runs. */
export function runsOf(pairs: Iterable<readonly [number, number]>, end: number): Runs {
  const clipped = [...pairs].map(([from, to]) => [Math.max(0, from), Math.min(end, to)] as const).filter(([from, to]) => from < to);
  clipped.sort(([a], [b]) => a - b);
  const out: number[] = [];
  for (const [from, to] of clipped) {
    const last = out.length - 1;
    if (last > 0 && from <= (out[last] as number)) out[last] = Math.max(out[last] as number, to);
    else out.push(from, to);
  }
  return out;
}
