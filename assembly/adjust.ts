// What becomes of the scores once the terms are in: softcap, contextual positions, factors and biases, and −Infinity in the holes of a mask.

import { BIAS_COUNT, CAP, CONTEXT_TABLE, MARK, MASK_ROWS, SCORES_ROW } from './job';
import { addBiases, hideEntries } from './biases';
import { addContext } from './context';
import { softcap } from './exp';
import { punchHoles } from './rows';

/** A group's scores at the keys from … from + keys − 1, row by row; its first row is number `row` of the tile. */
@inline export function adjust(
  job: usize, scratch: usize, group: usize, row: i32, live: i32, s: usize, b: i32, block: i32, from: i32, keys: i32,
): void {
  const cap = load<f32>(job, CAP);
  const masked = load<usize>(job, MASK_ROWS) != 0;
  const context = load<usize>(job, CONTEXT_TABLE) != 0;
  const biases = load<i32>(job, BIAS_COUNT);
  if (cap == 0 && biases == 0 && !masked && !context) return;
  for (let r = 0; r < live; r++, s += SCORES_ROW) {
    const at = group + (r << 2);
    if (cap != 0) softcap(s, keys, cap); // q was scaled by scale/c, see Q_SCALE.
    if (context) addContext(job, scratch, at, row + r, s, b, block, from, keys);
    addBiases(job, at, s, b, from, keys);
    // Nothing is added after the last one.
    if (biases > 1 && load<i32>(job, MARK)) hideEntries(job, at, s, b, from, keys, biases - 1);
    if (masked) punchHoles(job, at, s, b, from, keys);
  }
}
