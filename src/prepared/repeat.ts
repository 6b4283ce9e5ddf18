// A prepared call without a cache: its parameter blocks hold for every run.

import type { Scope } from '../memory/scope.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Call } from '../plan/context.ts';
import type { Job } from '../threads/types.ts';
import { withScratch } from './held.ts';
import type { Prepared, Program } from './program.ts';

export class Repeat implements Program {
  readonly out: Tensor;
  readonly lse: Tensor | undefined;
  readonly #prepared: Prepared;
  #call: Call | undefined;
  #scratch: Scope | undefined;
  /** Those of the first run fill tables, which later ones find filled. */
  #jobs: readonly Job[] = [];
  #filled = false;

  /** @throws TypeError, RangeError, RelposError as the call */
  constructor(where: string, prepared: Prepared, withLse: boolean) {
    const call = this.#plan(where, prepared, withLse);
    // Nothing is staged without a signal: the job writes the results themselves.
    [this.out, this.lse] = call.job.outputs as unknown as [Tensor, Tensor | undefined];
    this.#prepared = { ...prepared, given: { ...prepared.given, out: this.out } };
  }

  #plan(where: string, { kit, context, q, k, v, given }: Prepared, lse: boolean | Tensor): Call {
    const call = kit.prepareAttention(context, where, q, k, v, given, lse);
    const scratch = new kit.Scope(context.arena);
    try {
      this.#jobs = withScratch([...call.preparations, call.job], scratch);
    } catch (error) {
      call.release(true);
      throw error;
    }
    this.#call = call;
    this.#scratch = scratch;
    this.#filled = false;
    return call;
  }

  begin(where: string): readonly Job[] {
    if (!this.#call) this.#plan(where, this.#prepared, this.lse ?? false);
    return this.#jobs;
  }

  commit(): void {
    // After the first run all that is left to do is to gather the log-sum-exp of packed sequences.
    if (this.#filled && !(this.lse && this.#prepared.given.queryOffsets)) return;
    this.#call?.finish();
    this.#jobs = this.#jobs.filter(({ kernel }) => kernel !== 'rotaryTable');
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
