// The present keys and values of GroupQueryAttention.

import { shapeText, wrongValue } from '../arguments/check.ts';
import type { Tensor } from '../memory/tensor.ts';
import { copyInto } from './heads.ts';
import type { Workspace } from './values.ts';

/** Keys of each batch row before and after the call, and the most of them. */
interface Counts {
  readonly total: number;
  readonly pasts: readonly number[];
  readonly lengths: readonly number[];
}

/**
 * The past with each batch row's new rows behind its own, zeros beyond: [B, G, max(P, T), D]. Without new rows the past holds them all.
 *
 * @throws RangeError naming a past that has fewer rows than count before the new ones
 */
export function presentOf(work: Workspace, name: string, past: Tensor | undefined, fresh: Tensor, counts: Counts): Tensor {
  const [B, G, added, D] = fresh.shape as [number, number, number, number];
  const { total, lengths } = counts;
  const held = past?.shape[2] ?? 0;
  const before = added ? counts.pasts : lengths;
  const needed = added ? Math.max(0, ...before) : total;
  if (needed > held)
    throw wrongValue(work.where, name, `at least the ${needed} rows that count before the new ones`, shapeText(past?.shape ?? []));
  const all = work.own(work.engine.tensor([B, G, Math.max(total, held), D], undefined, fresh.dtype));
  const part = (tensor: Tensor, b: number, from: number, to: number): Tensor => work.own(tensor.slice(b, null, [from, to]));
  before.forEach((n, b) => {
    const count = (lengths[b] as number) - n;
    if (past && n) copyInto(work, part(all, b, 0, n), part(past, b, 0, n));
    if (count) copyInto(work, part(all, b, n, n + count), part(fresh, b, 0, count));
  });
  return all;
}
