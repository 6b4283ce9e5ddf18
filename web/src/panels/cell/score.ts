// One score in its parts. Each is what the engine computes where the rest of the plan is left out and what would join in is zero.

import type { Bias, Plan, RowMap, SumIndex, Term } from 'relpos';
import { defined } from './defined.ts';
import type { Stage } from './stage.ts';
import type { BiasPart, ScoreParts, TermPart } from './types.ts';

/** A cell of the head that is looked at. */
interface Cell {
  readonly i: number;
  readonly j: number;
}

/** Two queries and keys of ones in channel 0: their product is 1. */
function ones(stage: Stage): { q: ReturnType<Stage['hold']>; k: ReturnType<Stage['hold']> } {
  const { H, G, L, S, D } = stage.problem;
  const first = (rows: number): Float32Array => Float32Array.from({ length: rows * D }, (_, n) => Number(n % D === 0));
  return {
    q: stage.hold(stage.engine.tensor([1, H, L, D], first(H * L))),
    k: stage.hold(stage.engine.tensor([1, G, S, D], first(G * S))),
  };
}

/** The score of a cell, taken apart. `score` is that of the whole call, before the mask. */
export function partsOf(stage: Stage, cell: Cell, score: number): ScoreParts {
  const { plan, problem, noQ } = stage;
  const { scale, softcap } = problem.options;
  const { normalization, rotation, rowScale, queryBias, terms = [], factors = [], biases = [], contextTable } = plan;
  const asked = defined({ scale });
  const one = ones(stage);
  const vectors: Plan = defined({ normalization, rotation, rowScale });
  const before: Plan = { ...vectors, ...defined({ queryBias }), terms };
  const capped = softcap === undefined ? undefined : stage.cell(before, cell, { ...asked, softcap });
  const sum = stage.cell(before, cell, asked);
  // Gates of all scores up to the last key have to be known for contextual positions: what they add can be had as a difference alone.
  const context = contextTable && Number.isFinite(score) ? difference(stage, cell, score, capped ?? sum) : undefined;
  return {
    dot: stage.cell(vectors, cell, { scale: 1 }),
    scale: stage.cell({}, cell, { ...asked, ...one }),
    content: stage.cell(vectors, cell, asked),
    ...(rowScale && { rowScale: stage.cell({ rowScale }, cell, { ...one, scale: 1 }) }),
    // A q of zeros, to which u is added, meets k.
    ...(queryBias && { contentBias: stage.cell({ ...vectors, queryBias }, cell, { ...asked, q: noQ }) }),
    terms: terms.map((term) => termOf(stage, cell, term, vectors)),
    sum,
    ...defined({ capped, context }),
    // The product is 1, so the score is the factor.
    factors: factors.map((factor) => stage.cell({ factors: [factor] }, cell, { ...one, scale: 1 })),
    biases: biases.map((bias) => biasOf(stage, cell, bias)),
    score: contextTable && !Number.isFinite(score) ? Number.NaN : score,
  };
}

/** What is left of a score when factors and biases are taken off it, and what was there before. */
function difference(stage: Stage, cell: Cell, score: number, before: number): number {
  const { factors = [], biases = [] } = stage.plan;
  const one = ones(stage);
  const factor = factors.length ? stage.cell({ factors }, cell, { ...one, scale: 1 }) : 1;
  const bias = biases.length ? stage.cell({ biases }, cell, { q: stage.noQ, k: stage.noK }) : 0;
  return (score - bias) / factor - before;
}

/** Where a map sends the cell; undefined outside a table of so many rows. */
function rowOf(stage: Stage, { i, j }: Cell, rows: RowMap, count: number): number | undefined {
  const { L, S } = stage.problem;
  const row = rows.kind === 'offset' ? rows.row(j - i - (S - L)) : indexAt(rows.index, i, j, S);
  return row >= 0 && row < count ? row : undefined;
}

function indexAt(index: Int32Array | SumIndex, i: number, j: number, S: number): number {
  if (index instanceof Int32Array) return index[i * S + j] as number;
  const sum = (index.rows[i] as number) + (index.columns[j] as number);
  return index.map ? (index.map[sum] as number) : sum;
}

function termOf(stage: Stage, cell: Cell, term: Term, vectors: Plan): TermPart {
  const { problem, noQ, noK } = stage;
  const { head, D } = problem;
  const count = term.table.length / (term.heads * D);
  const row = rowOf(stage, cell, term.rows, count);
  const at = ((term.heads > 1 ? head : 0) * count + (row ?? 0)) * D;
  // The other of the two is zero, so that q·k has no part in it.
  const zero = term.kind === 'query' ? { k: noK } : { q: noQ };
  const w = term.bias?.slice(head * D, (head + 1) * D);
  const { scale = stage.problem.options.scale } = term;
  const ask = (c: number | undefined): number => stage.cell({ ...vectors, terms: [{ ...term, ...defined({ scale: c }) }] }, cell, zero);
  const dot = ask(1);
  const value = ask(scale);
  const c = scale ?? stage.cell({}, cell, ones(stage));
  return {
    kind: term.kind,
    scale: c,
    dot,
    value,
    row,
    vector: row === undefined ? new Float32Array(D) : term.table.slice(at, at + D),
    ...(w && { w }),
  };
}

function biasOf(stage: Stage, cell: Cell, bias: Bias): BiasPart {
  const { head, L, S } = stage.problem;
  const value = stage.cell({ biases: [bias] }, cell, { q: stage.noQ, k: stage.noK });
  const gate = bias.kind === 'dense' ? undefined : bias.gate?.[head * L + cell.i];
  const index = bias.kind === 'index' ? indexAt(bias.index, cell.i, cell.j, S) : undefined;
  return { kind: bias.kind, value, ...defined({ gate, index }) };
}
