import type { CheckedOptions } from '../attention/options.ts';
import type { Operands, Read } from '../memory/operands.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Context } from '../plan/context.ts';
import type { Job } from '../threads/types.ts';
import type { Kit } from './kit.ts';

/** A call that is made again and again, as it was given. */
export interface Prepared<K = Kit> {
  readonly kit: K;
  readonly context: Context;
  readonly operands: Operands;
  /** Options; `out` is among them from when it is known. */
  readonly given: CheckedOptions;
}

/** How it is made: `begin`, the job, and then `commit` or `fail`, in turn. */
export interface Program {
  /** What every run writes. */
  readonly out: Tensor;
  readonly lse: Tensor | undefined;
  /** What every run reads, or read when it was prepared. */
  readonly reads: readonly Read[];
  /** The job of the next run. @throws before anything is changed */
  begin(where: string): Job;
  /** The job has run. */
  commit(): void;
  /** It has not, or not all of it; whatever it was given is not used again, since a lost thread may still be at it. */
  fail(): void;
  /** Gives back what is held. */
  release(): void;
}
