// Calls that are prepared once and made many times. Loaded when the first one is prepared; kit.ts says why it imports types alone.

import type { Readers } from '../arguments/record.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';
import type { Job, Pool } from '../threads/types.ts';
import type { Kit } from './kit.ts';
import type { Prepared, Program } from './program.ts';
import { Repeat } from './repeat.ts';
import { Step } from './step.ts';
import type { PreparedAttention, RunOptions } from './types.ts';

function readers({ checkSignal, callback }: Kit): Readers<RunOptions> {
  return { signal: (where, name, value) => checkSignal(where, value, name) as Signal, onProgress: callback };
}

const NONE: RunOptions = {};

/** What `prepare` was given, by its engine. */
interface Making extends Prepared {
  readonly pool: Pool;
  readonly where: string;
  readonly withLse: boolean;
}

/** A prepared call of an engine. @throws as the call itself */
export function makePrepared(making: Making): PreparedAttention {
  return new PreparedCall(making) as unknown as PreparedAttention;
}

class PreparedCall {
  readonly out: Tensor;
  readonly lse: Tensor | undefined;
  readonly #pool: Pool;
  readonly #program: Program;
  readonly #kit: Kit;
  readonly #context: Prepared['context'];
  /** Operands and results, which have to be there in every run. */
  readonly #tensors: readonly Tensor[];
  /** Results that are its own. */
  readonly #own: readonly Tensor[];
  #running = false;
  #disposed = false;

  constructor({ pool, where, withLse, ...prepared }: Making) {
    const { kit, given, q, k, v, context } = prepared;
    for (const name of ['signal', 'onProgress'] as const) {
      if (given[name] !== undefined) throw kit.wrongType(where, name, 'none: each run takes its own', given[name]);
    }
    this.#pool = pool;
    this.#kit = kit;
    this.#context = context;
    this.#program = given.cache ? new Step(where, prepared, withLse) : new Repeat(where, prepared, withLse);
    this.out = this.#program.out;
    this.lse = this.#program.lse;
    const results = this.lse ? [this.out, this.lse] : [this.out];
    this.#own = results.filter((tensor) => tensor !== given.out);
    this.#tensors = [q, k, v, ...results].filter((tensor) => tensor instanceof kit.Tensor);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  async run(options?: RunOptions): Promise<Tensor> {
    const where = 'run';
    const { signal, onProgress } = options === undefined ? NONE : this.#kit.readRecord(where, options, readers(this.#kit));
    if (signal?.aborted) throw signal.reason;
    const jobs = this.#begin(where);
    const restore = signal && this.#results();
    try {
      for (const job of jobs) {
        const watched = onProgress && job === jobs.at(-1) ? (done: number, total: number) => onProgress({ done, total }) : undefined;
        await this.#pool.run(job, { signal, onProgress: watched });
      }
      this.#commit();
    } catch (error) {
      this.#fail();
      restore?.();
      throw error;
    }
    return this.out;
  }

  runSync(): Tensor {
    const jobs = this.#begin('runSync');
    try {
      for (let n = 0; n < jobs.length; n++) this.#pool.runSync(jobs[n] as Job);
      this.#commit();
    } catch (error) {
      this.#fail();
      throw error;
    }
    return this.out;
  }

  #begin(where: string): readonly Job[] {
    if (this.#disposed) throw new this.#kit.RelposError('disposed', 'the prepared call was disposed');
    if (this.#running) throw new this.#kit.RelposError('busy', `${where}: a run of this prepared call is under way; await it first`);
    this.#context.alive();
    for (let n = 0; n < this.#tensors.length; n++) void this.#tensors[n]?.pointer; // throws if it was disposed
    this.#running = true; // before an encoding may ask for another run of this very call
    try {
      return this.#program.begin(where);
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  #commit(): void {
    this.#program.commit();
    this.#end();
  }

  #fail(): void {
    this.#program.fail();
    this.#end();
  }

  #end(): void {
    this.#running = false;
    if (this.#disposed) this.#release();
  }

  /** Keeps what the results hold, bit for bit; the returned function puts it back, unless they are gone. */
  #results(): () => void {
    const kept = [this.out, ...(this.lse ? [this.lse] : [])].map((tensor) => {
      const numbers = tensor.contiguous ? tensor.view().slice() : tensor.toArray();
      return () => tensor.set(numbers);
    });
    return () => {
      try {
        for (const restore of kept) restore();
      } catch {
        // Disposed meanwhile, or lost.
      }
    };
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (!this.#running) this.#release();
  }

  #release(): void {
    this.#program.release();
    for (const tensor of this.#own) tensor.dispose();
  }
}

// As every class whose instances `using` ends, on hosts without the symbol too.
Object.defineProperty(PreparedCall.prototype, Symbol.dispose ?? Symbol.for('Symbol.dispose'), {
  configurable: true,
  value(this: PreparedCall) {
    this.dispose();
  },
});
