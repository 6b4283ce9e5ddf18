// Attention of many jobs as one: the documents of a packed batch. A job's tiles are what they are on their own.

import { MANY_COUNT, MANY_JOBS, MANY_STARTS } from './job';
import { attend } from './attend';

/** Tile t of the whole is tile t − STARTS[n] of job n, the last one that starts at or before t. */
export function attendMany(list: usize, tile: i32, scratch: usize, step: i32): void {
  const starts = load<usize>(list, MANY_STARTS);
  let n = 0;
  for (let end = load<i32>(list, MANY_COUNT); end - n > 1; ) {
    const middle = (n + end) >> 1;
    if (load<i32>(starts + (<usize>middle << 2)) <= tile) n = middle;
    else end = middle;
  }
  attend(load<usize>(load<usize>(list, MANY_JOBS) + (<usize>n << 2)), tile - load<i32>(starts + (<usize>n << 2)), scratch, step);
}
