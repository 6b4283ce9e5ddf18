// The panel's worker: one engine, one problem at a time on its stage.

import { createEngine, type Engine } from 'relpos';
import type { Asked } from './asked.ts';
import { type Explainer, makeExplainer, type Wanted } from './explain.ts';
import { problemOf } from './problem.ts';
import type { Explanation, Matrix } from './types.ts';

/** What the panel shows. */
export interface Answer {
  readonly matrix: Matrix;
  readonly cell: Explanation;
}

/** A problem that is on the stage, and what its encoding holds. */
interface Staged {
  readonly key: string;
  readonly explainer: Explainer;
  readonly owned: readonly { dispose(): void }[];
}

function stage(engine: Engine, key: string, asked: Asked): Staged {
  const owned: { dispose(): void }[] = [];
  try {
    return { key, explainer: makeExplainer(engine, problemOf(engine, asked, owned)), owned };
  } catch (error) {
    for (const one of owned) one.dispose();
    throw error;
  }
}

function leave({ explainer, owned }: Staged): void {
  explainer.dispose();
  for (const one of owned) one.dispose();
}

const engine = createEngine({ threads: 1 });
let last: Staged | undefined;

export const api = {
  /** The matrix of a problem, and one of its cells explained. @throws what the engine says if the scheme does not fit */
  async explain(asked: Asked, wanted: Wanted): Promise<Answer> {
    const running = await engine;
    const key = JSON.stringify(asked);
    if (last && last.key !== key) {
      leave(last);
      last = undefined;
    }
    last ??= stage(running, key, asked);
    return { matrix: last.explainer.matrix, cell: last.explainer.explain(wanted) };
  },
};

export type CellApi = typeof api;
