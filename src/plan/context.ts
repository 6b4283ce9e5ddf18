// What a call needs of its engine, and what a prepared call is.

import type { MemoryContext, Tensor } from '../memory/tensor.ts';
import type { Stage } from '../threads/types.ts';
import type { MovingBias } from './bias-entries.ts';
import type { Arithmetic } from './plan.ts';
import type { TableUse } from './rotary-table.ts';
import type { Tables } from './table-cache.ts';

/** What a call needs of its engine. */
export interface Context extends MemoryContext {
  readonly tables: Tables;
  readonly math: Arithmetic;
  /** Threads that could take part. */
  readonly threads: number;
}

/** A call that is ready to run. */
export interface Call {
  /** What runs before the main stage, in order: tables to fill, keys to store. */
  readonly preparations: readonly Stage[];
  readonly job: Stage;
  /** Tables of positions that it reads. */
  readonly tables?: readonly TableUse[];
  /** Biases by the offset that it reads. */
  readonly moving?: readonly MovingBias[];
  /** The result, after the job has run. */
  finish(): { out: Tensor; lse?: Tensor };
  /** Undoes what the call reserved; after a failure also the result. */
  release(failed: boolean): void;
}
