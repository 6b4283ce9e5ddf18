// How many threads a job is worth.

/**
 * Floating-point operations of attention below which waking other threads costs more than it gains: some 50 µs of one thread. On two, Node 24,
 * 12 heads of 64, 32 × 32 takes 65 µs for 114, 24 × 24 gains only when the worker still spins; a job that is opened costs the caller 1.3 µs.
 */
export const SMALL_WORK = 2e6;
/** Likewise numbers that a job reads and writes with next to no arithmetic: rotation, merging, rows of a cache. */
export const SMALL_TRAFFIC = 262_144;

/** Threads for `tiles` tiles of `work` in all, which is little below `small`. */
export function threadsFor(work: number, small: number, tiles: number, threads: number): number {
  return Math.max(1, Math.min(work < small ? 1 : threads, tiles));
}
