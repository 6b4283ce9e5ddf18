// Calls that are prepared once and made many times. Loaded when the first one is prepared; kit.ts says why it imports types alone.

import type { Readers } from '../arguments/record.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Job, Pool } from '../threads/types.ts';
import { keepBits } from './bits.ts';
import type { Kit } from './kit.ts';
import type { Prepared, Program } from './program.ts';
import { Repeat } from './repeat.ts';
import { Step } from './step.ts';
import type { PreparedAttention, RunOptions } from './types.ts';

const readers = ({ OPTIONS: { signal, onProgress } }: Kit): Readers<RunOptions> => ({ signal, onProgress });

const NONE: RunOptions = {};

/** What `prepare` was given, by its engine. */
interface Making extends Omit<Prepared, 'operands'> {
  readonly q: unknown;
  readonly k: unknown;
  readonly v: unknown;
  readonly pool: Pool;
  readonly where: string;
  readonly withLse: boolean;
}

/** The operands, which are to stand where every run finds them: a tensor of a file would be read once. @throws TypeError if one is none */
function placed(where: string, { kit, context, q, k, v, given }: Making): Prepared['operands'] {
  context.alive();
  const operands = kit.readOperands(where, q, k, v, given.cache, context);
  for (const [name, operand] of Object.entries(operands)) {
    if ('file' in operand) throw kit.wrongType(where, name, 'a tensor of engine.tensor, which each run reads anew', operand.file);
  }
  return operands as Prepared['operands'];
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
  /** What it reads and its results, by name: these have to be there in every run. */
  readonly #tensors: readonly (readonly [name: string, tensor: Tensor])[];
  /** Results that are its own. */
  readonly #own: readonly Tensor[];
  /** These keep the memory of its own results, whoever disposes them. */
  readonly #unpin: readonly (() => void)[];
  #running = false;
  #disposed = false;

  constructor(making: Making) {
    const { pool, where, withLse, kit, given, context } = making;
    for (const name of ['signal', 'onProgress'] as const) {
      if (given[name] !== undefined) throw kit.wrongType(where, name, 'none: each run takes its own', given[name]);
    }
    this.#pool = pool;
    this.#kit = kit;
    this.#context = context;
    const prepared = { kit, context, given, operands: placed(where, making) };
    const steps = given.cache && !given.queryOffsets && !given.keyOffsets;
    this.#program = steps ? new Step(where, prepared, withLse) : new Repeat(where, prepared, withLse);
    this.out = this.#program.out;
    this.lse = this.#program.lse;
    const results = this.#results;
    this.#own = results.map(([, tensor]) => tensor).filter((tensor) => tensor !== given.out);
    this.#unpin = this.#own.map((tensor) => tensor.pin());
    this.#tensors = [...this.#program.reads.filter((read): read is [string, Tensor] => 'pin' in read[1]), ...results];
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  async run(options?: RunOptions): Promise<Tensor> {
    const where = 'run';
    const { signal, onProgress } = options === undefined ? NONE : this.#kit.readRecord(where, options, readers(this.#kit));
    if (signal?.aborted) throw signal.reason;
    const job = this.#begin(where);
    let restore: (() => void) | undefined;
    try {
      if (signal || onProgress) restore = this.#keep();
      await this.#pool.run(job, { signal, onProgress: onProgress && ((done, total) => onProgress({ done, total })) });
      this.#commit();
    } catch (error) {
      this.#fail();
      restore?.();
      throw error;
    }
    return this.out;
  }

  runSync(): Tensor {
    const job = this.#begin('runSync');
    try {
      this.#pool.runSync(job);
      this.#commit();
    } catch (error) {
      this.#fail();
      throw error;
    }
    return this.out;
  }

  #begin(where: string): Job {
    if (this.#disposed) throw new this.#kit.RelposError('disposed', 'the prepared call was disposed');
    if (this.#running) throw new this.#kit.RelposError('busy', `${where}: a run of this prepared call is under way; await it first`);
    this.#context.alive();
    for (let n = 0; n < this.#tensors.length; n++) {
      const [name, tensor] = this.#tensors[n] as [string, Tensor];
      if (tensor.disposed) throw new this.#kit.RelposError('disposed', `${where}: the tensor "${name}" was disposed`);
      void tensor.pointer; // throws if it was lost
    }
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

  get #results(): (readonly [name: string, tensor: Tensor])[] {
    return this.lse
      ? [
          ['out', this.out],
          ['lse', this.lse],
        ]
      : [['out', this.out]];
  }

  /** Keeps what the results hold, bit for bit; the returned function puts it back, unless they are gone. */
  #keep(): () => void {
    const kept = this.#results.map(([, tensor]) => keepBits(tensor));
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
    for (const unpin of this.#unpin) unpin();
  }
}

// As every class whose instances `using` ends, on hosts without the symbol too.
Object.defineProperty(PreparedCall.prototype, Symbol.dispose ?? Symbol.for('Symbol.dispose'), {
  configurable: true,
  value(this: PreparedCall) {
    this.dispose();
  },
});
