// A prepared call without a cache: its parameter blocks hold for every run.

import type { Read } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Call } from '../plan/context.ts';
import type { Job } from '../threads/types.ts';
import { filled, withScratch } from './held.ts';
import type { Prepared, Program } from './program.ts';

export class Repeat implements Program {
  readonly out: Tensor;
  readonly lse: Tensor | undefined;
  /** Without the tensor of a bias that packed sequences have, which nothing but their plans knows. */
  reads: readonly Read[] = [];
  readonly #prepared: Prepared;
  #call: Call | undefined;
  #scratch: Scope | undefined;
  /** That of the first run fills tables, which later ones find filled. */
  #job: Job | undefined;
  #filled = false;

  /** @throws TypeError, RangeError, RelposError as the call */
  constructor(where: string, prepared: Prepared, withLse: boolean) {
    const call = this.#plan(where, prepared, withLse);
    // Nothing is staged without a signal: the job writes the results themselves.
    [this.out, this.lse] = call.job.outputs as unknown as [Tensor, Tensor | undefined];
    this.#prepared = { ...prepared, given: { ...prepared.given, out: this.out } };
  }

  #prepare(where: string, { kit, context, operands, given }: Prepared, lse: boolean | Tensor): Call {
    const { q, k, v } = operands;
    if (given.queryOffsets || given.keyOffsets) {
      this.reads = kit.readsOf(operands, given, []);
      return kit.prepareAttention(context, where, q, k, v, given, lse);
    }
    const checked = kit.checkCall(context, where, operands, given);
    this.reads = kit.readsOf(operands, given, checked.placed);
    return kit.prepareChecked(context, checked, operands, lse);
  }

  #plan(where: string, prepared: Prepared, lse: boolean | Tensor): Call {
    const { kit, context } = prepared;
    const call = this.#prepare(where, prepared, lse);
    const scratch = new kit.Scope(context.arena);
    try {
      this.#job = withScratch([...call.preparations, call.job], scratch, kit);
    } catch (error) {
      call.release(true);
      throw error;
    }
    this.#call = call;
    this.#scratch = scratch;
    this.#filled = false;
    return call;
  }

  begin(where: string): Job {
    if (!this.#call) this.#plan(where, this.#prepared, this.lse ?? false);
    return this.#job as Job;
  }

  commit(): void {
    // After the first run all that is left to do is to gather the log-sum-exp of packed sequences.
    if (this.#filled && !(this.lse && this.#prepared.given.queryOffsets)) return;
    this.#call?.finish();
    if (!this.#filled) this.#job = filled(this.#job as Job, this.#prepared.kit);
    this.#filled = true;
  }

  fail(): void {
    this.release();
  }

  release(): void {
    this.#call?.release(false);
    this.#scratch?.release();
    this.#call = undefined;
    this.#scratch = undefined;
  }
}
