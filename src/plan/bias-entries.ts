// Entries of biases and mask tensors in memory.

import type { Scope } from '../memory/scope.ts';
import * as field from '../wasm/generated/job.ts';

/** Where a bias lies: fields of its entry. */
export type BiasEntry = readonly (readonly [number, number])[];

/** Columns of a bias by the offset, as far as there are any to the left: what a prepared step that follows another needs to know of it. */
export interface Columns {
  /** The first offset. */
  readonly first: number;
  /** No later step asks for an offset before this. */
  readonly least: number;
}

/** An entry to be written. */
export interface MadeEntry {
  readonly entry: BiasEntry;
  /** Of a bias by the offset, whose A_PTR moves back by 4 bytes when the queries move on by a position. */
  readonly columns?: Columns;
  /** What is different for the early keys. */
  readonly early?: BiasEntry;
  /** Multiplies the bias; default 1. */
  readonly coefficient?: number | undefined;
}

/** An A_PTR that moves with the queries. */
export interface MovingBias extends Columns {
  readonly at: number;
}

/** The entries of a call in memory. */
export interface WrittenBiases {
  readonly at: number;
  readonly count: number;
  /** Those of the early keys, if these have some of their own. */
  readonly early?: number;
  /** True if one of the biases may be −Infinity. */
  readonly marks: boolean;
  /** Biases by the offset. */
  readonly moving: readonly MovingBias[];
}

/** The queries that have a bias. */
export const queriesOf = ([first, end]: readonly [number, number]): BiasEntry => [
  [field.A_FIRST, first],
  [field.A_LAST, end - 1],
];

/** Writes entries in the order in which they apply. */
export function writeEntries(entries: readonly MadeEntry[], marks: boolean, scope: Scope): WrittenBiases {
  if (!entries.length) return { at: 0, count: 0, marks: false, moving: [] };
  const write = (which: (made: MadeEntry) => BiasEntry): number => {
    const block = scope.block(entries.length * field.A_SIZE);
    const writer = scope.writer(block);
    entries.forEach((one, n) => {
      const at = n * field.A_SIZE;
      for (const [name, value] of [...queriesOf([0, 2 ** 31]), ...which(one)]) writer.int(at + name, value);
      writer.f32(at + field.A_COEFFICIENT, one.coefficient ?? 1);
    });
    return block;
  };
  const at = write(({ entry }) => entry);
  return {
    at,
    count: entries.length,
    moving: entries.flatMap(({ columns }, n) => (columns ? { ...columns, at: at + n * field.A_SIZE + field.A_PTR } : [])),
    ...(entries.some(({ early }) => early) && { early: write(({ entry, early = [] }) => [...entry, ...early]) }),
    marks,
  };
}
