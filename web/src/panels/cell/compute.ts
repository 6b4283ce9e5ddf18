// The panel's worker: one engine, one problem at a time on its stage.
import { expose } from 'comlink';
import { createEngine } from 'relpos';
import { type Explainer, makeExplainer, type Wanted } from './explain.ts';
import { type Asked, problemOf } from './problem.ts';
import type { Explanation, Matrix } from './types.ts';

/** What the panel shows. */
export interface Answer {
  readonly matrix: Matrix;
  readonly cell: Explanation;
}

const engine = createEngine({ threads: 1 });
let last: { readonly key: string; readonly explainer: Explainer } | undefined;

const api = {
  /** The matrix of a problem, and one of its cells explained. @throws what the engine says if the scheme does not fit */
  async explain(asked: Asked, wanted: Wanted): Promise<Answer> {
    const key = JSON.stringify(asked);
    if (last?.key !== key) {
      last?.explainer.dispose();
      last = undefined;
      last = { key, explainer: makeExplainer(await engine, problemOf(await engine, asked)) };
    }
    return { matrix: last.explainer.matrix, cell: last.explainer.explain(wanted) };
  },
};

export type CellApi = typeof api;

expose(api);
