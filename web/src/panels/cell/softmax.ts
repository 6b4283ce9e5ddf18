// One row's softmax: the online one, block by block, and the one of two halves that are merged.

import type { AttentionOptions, Engine, Plan, Tensor } from 'relpos';
import { only, type Stage, showing } from './stage.ts';
import type { Block, Halves, Matrix, Softmax } from './types.ts';

/** What attention over some keys leaves: out [1, H, L, 1], lse [1, H, L]. */
interface State {
  readonly out: Tensor;
  readonly lse: Tensor;
}

/** A column of v: 1 at key j, so that the result is its probability. */
function pick(stage: Stage, j: number, first = 0, end = stage.problem.S): Tensor {
  const { G } = stage.problem;
  const width = end - first;
  return stage.hold(
    stage.engine.tensor(
      [1, G, width, 1],
      Float32Array.from({ length: G * width }, (_, n) => Number((n % width) + first === j)),
    ),
  );
}

/** The whole call without the sinks, which come in when all is merged, and without what schemes add to v. */
function withoutSinks(stage: Stage): AttentionOptions {
  const { sinks: _, ...options } = stage.options;
  return { ...options, encoding: only(stage.plan) };
}

/** Attention over the keys from `first` to before `end`, all others hidden. */
function seen(stage: Stage, v: Tensor, first: number, end: number): State {
  const options = { ...withoutSinks(stage), mask: showing(first, end) };
  const { out, lse } = stage.engine.attentionPartialSync(stage.q, stage.k, v, options);
  return { out: stage.hold(out), lse: stage.hold(lse) };
}

/** The number of the cell's row in a state. */
const rowOf = (stage: Stage, tensor: Tensor, i: number): number =>
  (tensor.toArray() as Float32Array)[stage.problem.head * stage.problem.L + i] as number;

function merged(stage: Stage, states: readonly State[], sinks?: readonly number[]): State {
  const { out, lse } = stage.engine.mergeStatesSync(states, sinks ? { sinks: Float32Array.from(sinks) } : {});
  return { out: stage.hold(out), lse: stage.hold(lse) };
}

/** exp of a difference by the engine, in which nothing from −∞ counts as nothing. */
const share = ({ math }: Engine, x: number, of: number): number => (x === Number.NEGATIVE_INFINITY ? 0 : math.exp(x - of));

/** The softmax of row i as the kernels go about it, but with so few keys at a time that there is something to see. */
export function softmaxOf(stage: Stage, matrix: Matrix, { i, j }: { readonly i: number; readonly j: number }, size: number): Softmax {
  const { engine, problem } = stage;
  const { S, head } = problem;
  const scores = matrix.scores.slice(i * S, (i + 1) * S);
  const probabilities = matrix.probabilities.slice(i * S, (i + 1) * S);
  // A score of which nothing is known has a probability of 0.
  for (let n = 0; n < S; n++) if (Number.isNaN(probabilities[n]) || Number.isNaN(scores[n])) scores[n] = Number.NEGATIVE_INFINITY;
  const { contextTable } = stage.plan;
  const blocks = contextTable ? byScores(engine, scores, size) : byStates(stage, scores, i, size);
  const last = blocks.at(-1);
  const max = last?.max ?? Number.NEGATIVE_INFINITY;
  const logit = problem.options.sinks?.[head];
  const sink = logit === undefined ? undefined : { logit, added: share(engine, logit, max) };
  const whole = stage.partial({ ...stage.options, encoding: only(stage.plan) });
  return {
    scores,
    probabilities,
    blocks,
    ...(sink && { sink }),
    max,
    sum: (last?.sum ?? 0) + (sink?.added ?? 0),
    lse: whole[head * problem.L + i] as number,
    own: share(engine, scores[j] as number, max),
    probability: Number.isNaN(probabilities[j]) ? 0 : (probabilities[j] as number),
  };
}

const largestOf = (scores: Float32Array, first: number, end: number): number =>
  scores.subarray(first, end).reduce((most, s) => Math.max(most, s), Number.NEGATIVE_INFINITY);

/** Sums out of the log-sum-exp of each block, and of what was merged so far. */
function byStates(stage: Stage, scores: Float32Array, i: number, size: number): Block[] {
  const { engine, problem } = stage;
  const v = pick(stage, 0);
  const states: State[] = [];
  const blocks: Block[] = [];
  let before = Number.NEGATIVE_INFINITY;
  for (let first = 0; first < problem.S; first += size) {
    const end = Math.min(problem.S, first + size);
    const state = seen(stage, v, first, end);
    states.push(state);
    const largest = largestOf(scores, first, end);
    const max = Math.max(before, largest);
    const added = share(engine, rowOf(stage, state.lse, i), max);
    const sum = share(engine, rowOf(stage, merged(stage, states).lse, i), max);
    blocks.push({ first, count: end - first, largest, max, rescale: share(engine, before, max), added, sum });
    before = max;
  }
  return blocks;
}

/** Where no key can be hidden without changing the others: the sums are taken here, of the engine's scores by its own exp. */
function byScores(engine: Engine, scores: Float32Array, size: number): Block[] {
  const blocks: Block[] = [];
  let [before, sum] = [Number.NEGATIVE_INFINITY, 0];
  for (let first = 0; first < scores.length; first += size) {
    const end = Math.min(scores.length, first + size);
    const largest = largestOf(scores, first, end);
    const max = Math.max(before, largest);
    const rescale = share(engine, before, max);
    const added = scores.subarray(first, end).reduce((total, s) => total + share(engine, s, max), 0);
    sum = sum * rescale + added;
    blocks.push({ first, count: end - first, largest, max, rescale, added, sum });
    before = max;
  }
  return blocks;
}

/** True if every part goes by the offset alone: such a call can be given a shard of the keys as it is. */
function goesByOffset({ rotation, terms = [], biases = [] }: Plan): boolean {
  return (
    !rotation?.keyPositions &&
    !rotation?.queryPositions &&
    terms.every(({ rows }) => rows.kind === 'offset') &&
    biases.every(({ kind }) => kind === 'offset')
  );
}

/** The first and the second half of the keys, each by itself, and what `mergeStates` makes of them. */
export function halvesOf(stage: Stage, { i, j }: { readonly i: number; readonly j: number }): Halves | undefined {
  const { engine, plan, problem } = stage;
  const { S } = problem;
  if (plan.contextTable || S < 2) return undefined;
  const apart = goesByOffset(plan);
  const middle = Math.ceil(S / 2);
  const ranges = [
    [0, middle],
    [middle, S],
  ] as const;
  const states = ranges.map(([first, end]) => {
    if (!apart) return seen(stage, pick(stage, j), first, end);
    const keys = stage.hold(stage.k.slice(null, null, [first, end]));
    const options = { ...withoutSinks(stage), keyOffset: first, totalKeys: S };
    const { out, lse } = engine.attentionPartialSync(stage.q, keys, pick(stage, j, first, end), options);
    return { out: stage.hold(out), lse: stage.hold(lse) };
  });
  const whole = merged(stage, states, problem.options.sinks);
  const lse = rowOf(stage, whole.lse, i);
  const logit = problem.options.sinks?.[problem.head];
  return {
    ...(logit !== undefined && { sink: share(engine, logit, lse) }),
    apart,
    parts: states.map((state, n) => {
      const [first, end] = ranges[n] as readonly [number, number];
      const own = rowOf(stage, state.lse, i);
      return { first, count: end - first, lse: own, weight: share(engine, own, lse), probability: rowOf(stage, state.out, i) };
    }),
    lse,
    probability: rowOf(stage, whole.out, i),
  };
}
