// A cell explained: the problem goes on a stage once, cells are asked for one by one.

import type { AttentionOptions, Engine } from 'relpos';
import { defined } from './defined.ts';
import { partsOf } from './score.ts';
import { halvesOf, softmaxOf } from './softmax.ts';
import { only, Stage, showing } from './stage.ts';
import type { Explanation, Matrix, Problem } from './types.ts';
import { type Prepared, prepareVectors, vectorsOf } from './vectors.ts';

/** Which cell, and how. */
export interface Wanted {
  readonly i: number;
  readonly j: number;
  /** Keys of a block of the online softmax. */
  readonly block: number;
}

/** A problem whose cells can be explained. */
export interface Explainer {
  readonly matrix: Matrix;
  explain(wanted: Wanted): Explanation;
  dispose(): void;
}

/** Puts a problem on a stage and computes its matrix. @throws what the engine throws if scheme and call do not fit */
export function makeExplainer(engine: Engine, problem: Problem): Explainer {
  const stage = new Stage(engine, problem);
  try {
    const matrix = matrixOf(stage);
    const vectors = prepareVectors(stage);
    return {
      matrix,
      explain: (wanted) => explain(engine, problem, matrix, vectors, wanted),
      dispose: () => stage.dispose(),
    };
  } catch (error) {
    stage.dispose();
    throw error;
  }
}

/** Tensors of one cell are given back when it is done. */
function explain(engine: Engine, problem: Problem, matrix: Matrix, vectors: Prepared, { i, j, block }: Wanted): Explanation {
  const stage = new Stage(engine, problem);
  try {
    const { H, G, L, S, head } = problem;
    return {
      i,
      j,
      keyHead: Math.floor(head / (H / G)),
      offset: j - i - (S - L),
      vectors: vectorsOf(stage, vectors, { i, j }),
      changes: changesOf(stage),
      parts: partsOf(stage, { i, j }, matrix.scores[i * S + j] as number),
      hiddenBy: hiddenBy(stage, i, j),
      softmax: softmaxOf(stage, matrix, { i, j }, block),
      halves: halvesOf(stage, { i, j }),
    };
  } finally {
    stage.dispose();
  }
}

function changesOf({ plan }: Stage): Explanation['changes'] {
  const made = { normalised: plan.normalization, turned: plan.rotation, multiplied: plan.rowScale };
  return (['normalised', 'turned', 'multiplied'] as const).filter((name) => made[name] !== undefined);
}

/** A key is hidden where the row that sees at most this key sees none. */
function hiddenBy(stage: Stage, i: number, j: number): Explanation['hiddenBy'] {
  const { head, L, options } = stage.problem;
  return (['causal', 'window'] as const).filter((name) => {
    if (!options[name]) return false;
    const limit = { [name]: options[name] } as AttentionOptions;
    return stage.partial({ ...limit, mask: showing(j, j + 1) })[head * L + i] === Number.NEGATIVE_INFINITY;
  });
}

function matrixOf(stage: Stage): Matrix {
  const { head, L, S, options } = stage.problem;
  const { causal, window, scale, softcap } = options;
  const probabilities = stage.weights(stage.options);
  const limits = defined({ causal, window });
  // Without schemes, q·k or sinks every key that a query sees has the same share: the others are hidden.
  const visible = stage.engine.attentionWeightsSync(stage.noQ, stage.noK, limits);
  const shares = visible.toArray() as Float32Array;
  visible.dispose();
  const hidden = (n: number): boolean => shares[n] === 0;
  const scores = stage.plan.contextTable ? fromProbabilities(stage, probabilities) : new Float32Array(L * S);
  if (!stage.plan.contextTable) {
    for (let j = 0; j < S; j++) {
      const column = stage.partial({ encoding: only(stage.plan), mask: showing(j, j + 1), ...defined({ scale, softcap }) });
      for (let i = 0; i < L; i++) scores[i * S + j] = column[head * L + i] as number;
    }
  }
  for (let n = 0; n < L * S; n++) if (hidden(n)) probabilities[n] = Number.NaN;
  return { probabilities, scores };
}

/** ln p + log-sum-exp: for contextual positions, where no key can be hidden without changing the scores of the others. */
function fromProbabilities(stage: Stage, probabilities: Float32Array): Float32Array {
  const { head, L, S } = stage.problem;
  const lse = stage.partial({ ...stage.options, encoding: only(stage.plan) });
  return probabilities.map((p, n) => (p > 0 ? stage.engine.math.log(p) + (lse[head * L + Math.floor(n / S)] as number) : Number.NaN));
}
