// q and k of a cell before and after what a scheme does to them. Channels are read out of the engine as scores against basis vectors.

import type { Normalization, Plan, Tensor } from 'relpos';
import { only, type Stage } from './stage.ts';
import type { Vectors } from './types.ts';

/** The rows of x [1, heads, rows, D] after this part of a plan, [heads, rows, D]: channel c is the score against basis vector c. */
function readChannels(stage: Stage, x: Tensor, part: Plan): Float32Array {
  const { engine } = stage;
  const [, heads = 0, rows = 0, D = 0] = x.shape;
  // Batch row c holds x and a single key, basis vector c.
  const basis = Float32Array.from({ length: D * heads * D }, (_, n) => Number(n % D === Math.floor(n / (heads * D))));
  const all = x.toArray();
  const repeated = new Float32Array(D * all.length);
  for (let c = 0; c < D; c++) repeated.set(all, c * all.length);
  const q = engine.tensor([D, heads, rows, D], repeated);
  const k = engine.tensor([D, heads, 1, D], basis);
  const v = engine.tensor([D, heads, 1, 1]);
  try {
    const { out, lse } = engine.attentionPartialSync(q, k, v, { encoding: only(part), scale: 1 });
    const scores = lse.toArray() as Float32Array;
    out.dispose();
    lse.dispose();
    const read = new Float32Array(all.length);
    for (let n = 0; n < read.length; n++) read[n] = scores[(n % D) * heads * rows + Math.floor(n / D)] as number;
    return read;
  } finally {
    for (const tensor of [q, k, v]) tensor.dispose();
  }
}

/** All queries or all keys, as they are when they meet: normalised, turned, multiplied by the number of their row. */
function prepared(stage: Stage, role: 'query' | 'key'): Float32Array {
  const { engine, plan, problem } = stage;
  let x = role === 'query' ? stage.q : stage.k;
  const step = (numbers: Float32Array): void => {
    x = stage.hold(engine.tensor(x.shape, numbers));
  };
  if (plan.normalization) step(readChannels(stage, x, { normalization: ofRole(plan.normalization, role) }));
  if (plan.rotation) {
    const offset = role === 'query' ? problem.S - problem.L : 0;
    x = stage.hold(engine.rotateSync(x, only({ rotation: plan.rotation }), { role, offset }));
  }
  if (plan.rowScale && role === 'query') step(readChannels(stage, x, { rowScale: plan.rowScale }));
  return x.toArray() as Float32Array;
}

/** A normalisation of what stands in q's place; basis vectors, in k's, stay as they are under l2, which is all that the schemes use. */
function ofRole({ kind, epsilon, queryWeight, keyWeight }: Normalization, role: 'query' | 'key'): Normalization {
  const weight = role === 'query' ? queryWeight : keyWeight;
  return { kind, epsilon, ...(weight && { queryWeight: weight }) };
}

/** Channel by channel, two vectors' products: query c holds channel c of one alone, the only key is the other. */
function productsOf(stage: Stage, a: Float32Array, b: Float32Array): Float32Array {
  const { engine } = stage;
  const D = a.length;
  const diagonal = new Float32Array(D * D);
  for (let c = 0; c < D; c++) diagonal[c * D + c] = a[c] as number;
  const [q, k] = [engine.tensor([1, 1, D, D], diagonal), engine.tensor([1, 1, 1, D], b)];
  try {
    const { out, lse } = engine.attentionPartialSync(q, k, k, { scale: 1 });
    const products = lse.toArray() as Float32Array;
    out.dispose();
    lse.dispose();
    return products;
  } finally {
    q.dispose();
    k.dispose();
  }
}

/** All prepared queries and keys of a problem, from which cells are cut. */
export interface Prepared {
  readonly q: Float32Array;
  readonly k: Float32Array;
}

export const prepareVectors = (stage: Stage): Prepared => ({ q: prepared(stage, 'query'), k: prepared(stage, 'key') });

/** The vectors of a cell. */
export function vectorsOf(stage: Stage, whole: Prepared, { i, j }: { readonly i: number; readonly j: number }): Vectors {
  const { q, k, head, H, G, L, S, D } = stage.problem;
  const keyHead = Math.floor(head / (H / G));
  const queryAt = (head * L + i) * D;
  const keyAt = (keyHead * S + j) * D;
  const qHat = whole.q.slice(queryAt, queryAt + D);
  const kHat = whole.k.slice(keyAt, keyAt + D);
  const u = stage.plan.queryBias?.slice(head * D, (head + 1) * D);
  return {
    q: q.slice(queryAt, queryAt + D),
    k: k.slice(keyAt, keyAt + D),
    qHat,
    kHat,
    products: productsOf(stage, qHat, kHat),
    ...(u && { u }),
  };
}
