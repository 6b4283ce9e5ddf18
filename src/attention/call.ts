// What a call needs of its engine, and what a prepared call is.

import type { Lease } from '../block.ts';
import type { Mask } from '../masks/mask.ts';
import type { Arithmetic, Encoding, Rotation, Shape } from '../plan.ts';
import type { Tables } from '../tables.ts';
import type { Home, Tensor } from '../tensor.ts';
import type { Job } from '../threads/types.ts';

/** What a call needs of its engine. */
export interface Office extends Home {
  readonly tables: Tables;
  readonly math: Arithmetic;
  /** Threads that could take part. */
  readonly threads: number;
}

/** A call that is ready to run. */
export interface Call {
  /** Tables to fill, in any order, before the main job. */
  readonly preparations: readonly Job[];
  readonly job: Job;
  /** The result, after the job has run. */
  finish(): { out: Tensor; lse?: Tensor };
  /** Undoes what the call reserved; after a failure also the result. */
  release(failed: boolean): void;
}

/** Keys and values that a call takes from a cache, and what the cache has to say. Nothing changes until `begin`. */
export interface CachedKeys {
  readonly shape: Shape;
  /** Position of query 0 of each batch row. */
  readonly queryOffsets: readonly number[];
  /** Keys of each batch row that count. */
  readonly lengths: Int32Array;
  /** Keys before a query that it sees; undefined: no bound, or one in the masks. */
  readonly left: number | undefined;
  readonly masks: readonly Mask[];
  readonly encodings: readonly Encoding[];
  /** True if the keys are stored rotated. */
  readonly storesTurned: boolean;
  /** @throws RangeError if the stored keys do not go with the call's rotation */
  checkRotation(where: string, rotation: Rotation | undefined, normalizes: boolean): void;
  /** Reserves what the new keys need; the jobs that store them. */
  begin(where: string, lease: Lease): readonly Job[];
  /** K, V and their pages, as fields of the job block. */
  fields(lease: Lease): readonly (readonly [number, number])[];
  /** The jobs have run: from here on the new keys are there. */
  commit(): void;
  /** The call is over. Without `commit` the cache is as it was. */
  end(): void;
}

export type Operands = { readonly q: Tensor; readonly k?: Tensor; readonly v?: Tensor };
