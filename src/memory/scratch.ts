import { roundUp } from './round.ts';

/** Cache lines, so that no two parts share one. */
const LINE = 64;

/** Where the parts of a thread's scratch begin, in bytes from its start, and how many bytes there are in all. */
export interface ScratchLayout {
  readonly at: readonly number[];
  readonly bytes: number;
}

/** Parts of the given sizes one after another. */
export function layOut(sizes: readonly number[]): ScratchLayout {
  let bytes = 0;
  const at = sizes.map((size) => {
    const start = bytes;
    bytes += roundUp(size, LINE);
    return start;
  });
  return { at, bytes };
}
