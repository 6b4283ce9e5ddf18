// Entries of biases and mask tensors in memory.

import type { Scope } from '../memory/scope.ts';
import * as field from '../wasm/generated/job.ts';

/** Where a bias lies: fields of its entry. */
export type BiasEntry = readonly (readonly [number, number])[];

/** An entry to be written. */
export interface MadeEntry {
  readonly entry: BiasEntry;
  /** What is different for the early keys. */
  readonly early?: BiasEntry;
  /** Multiplies the bias; default 1. */
  readonly coefficient?: number | undefined;
}

/** The entries of a call in memory. */
export interface WrittenBiases {
  readonly at: number;
  readonly count: number;
  /** Those of the early keys, if these have some of their own. */
  readonly early?: number;
  /** True if one of the biases may be −Infinity. */
  readonly marks: boolean;
}

/** The queries that have a bias. */
export const queriesOf = ([first, end]: readonly [number, number]): BiasEntry => [
  [field.A_FIRST, first],
  [field.A_LAST, end - 1],
];

/** Writes entries in the order in which they apply. */
export function writeEntries(entries: readonly MadeEntry[], marks: boolean, scope: Scope): WrittenBiases {
  if (!entries.length) return { at: 0, count: 0, marks: false };
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
  return {
    at: write(({ entry }) => entry),
    count: entries.length,
    ...(entries.some(({ early }) => early) && { early: write(({ entry, early = [] }) => [...entry, ...early]) }),
    marks,
  };
}
