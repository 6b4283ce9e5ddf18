// From masks to the interval lists of the parameter block: for every query its first interval, and the pairs from, to.

import type { Scope } from '../memory/scope.ts';
import type { Place, Shape } from '../plan/plan.ts';
import * as field from '../wasm/generated/job.ts';
import { and, type Mask, type MaskRows, rowsOf } from './mask.ts';
import type { Runs } from './runs.ts';

/** Numbers in a growing array. */
class Integers {
  #data: Int32Array = new Int32Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(x: number): void {
    if (this.#length === this.#data.length) {
      const longer = new Int32Array(2 * this.#length);
      longer.set(this.#data);
      this.#data = longer;
    }
    this.#data[this.#length++] = x;
  }

  array(): Int32Array {
    return this.#data.subarray(0, this.#length);
  }
}

/** Visible keys of every query as intervals of the call's own keys. */
export interface Intervals {
  /** [B|1, L + 1]: where the intervals of a query start among all. */
  readonly rows: Int32Array;
  /** from, to of each interval, to exclusive. */
  readonly pairs: Int32Array;
  readonly batched: boolean;
  /** True if some query has more than one. */
  readonly holes: boolean;
}

/** Lowers the conjunction of masks for a call. @throws RangeError if a mask does not fit it */
export function lowerMasks(masks: readonly Mask[], { B, L, S }: Shape, place: Place, starts?: Int32Array): Intervals {
  const { keyOffset, totalKeys: keys, queryOffset } = place;
  const mask = masks.length === 1 ? (masks[0] as Mask) : and(...masks);
  const lowered: MaskRows = rowsOf(mask, { batches: B, queries: L, keys, queryOffset });
  const batched = lowered.batched || starts !== undefined;
  const sets = batched ? B : 1;
  const rows = new Int32Array(sets * (L + 1));
  const pairs = new Integers();
  let holes = false;
  for (let b = 0; b < sets; b++) {
    const first = queryOffset + (starts?.[b] ?? 0);
    for (let index = 0; index < L; index++) {
      const from = pairs.length;
      rows[b * (L + 1) + index] = from / 2;
      pushShard(pairs, lowered.runs({ position: first + index, index, batch: lowered.batched ? b : 0 }), keyOffset, S);
      if (pairs.length > from + 2) holes = true;
    }
    rows[b * (L + 1) + L] = pairs.length / 2;
  }
  return { rows, pairs: pairs.array(), batched, holes };
}

/** Adds what a shard's keys have of the runs. */
function pushShard(pairs: Integers, runs: Runs, keyOffset: number, S: number): void {
  for (let n = 0; n < runs.length; n += 2) {
    const from = Math.max(0, (runs[n] as number) - keyOffset);
    const to = Math.min(S, (runs[n + 1] as number) - keyOffset);
    if (from >= to) continue;
    pairs.push(from);
    pairs.push(to);
  }
}

/** Puts the lists into memory; their fields of the job block. */
export function writeIntervals({ rows, pairs, batched }: Intervals, { L }: Shape, scope: Scope): [number, number][] {
  return [
    [field.MASK_ROWS, scope.upload(rows)],
    [field.MASK_BATCH, batched ? 4 * (L + 1) : 0],
    [field.MASK_PAIRS, scope.upload(pairs)],
  ];
}
