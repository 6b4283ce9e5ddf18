// How many threads a job is worth.

/** Floating-point operations of attention below which waking other threads costs more than it gains. */
export const SMALL_WORK = 4e6;
/** Likewise numbers that a job reads and writes with next to no arithmetic: rotation, merging, rows of a cache. */
export const SMALL_TRAFFIC = 262_144;

/** Threads for `tiles` tiles of `work` in all, which is little below `small`. */
export function threadsFor(work: number, small: number, tiles: number, threads: number): number {
  return Math.max(1, Math.min(work < small ? 1 : threads, tiles));
}
