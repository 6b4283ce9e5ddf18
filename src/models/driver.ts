// A runner as those who use it with texts see it.

import { RelposError } from '../arguments/errors.ts';
import { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import { SoftmaxStage, TopStage } from '../nn/row-stages.ts';
import type { Arithmetic } from '../plan/plan.ts';
import { jobOf } from '../threads/job.ts';
import type { Driver, RunOptions, Sequence, SequenceOptions, TokenText } from './driver-types.ts';
import type { TokenText as RunnerText } from './encoder.ts';
import type { Runner } from './runner.ts';
import type { Scores } from './sampling.ts';
import type { Pooling } from './sentence-files.ts';
import type { Session } from './session.ts';

const asRunnerText = ({ ids, types }: TokenText): RunnerText => ({ ids, segments: types });

/** A runner of an encoder, a decoder or both. */
export class RunnerDriver implements Driver {
  readonly longest: number;
  readonly #runner: Runner;
  readonly #layers: LayerContext;
  readonly #scores: RowScores;
  readonly #scope: Scope;

  /** @param longest tokens that a text or a sequence may have, which the runner was loaded for */
  constructor(runner: Runner, layers: LayerContext, longest: number) {
    this.longest = longest;
    this.#runner = runner;
    this.#layers = layers;
    this.#scope = new Scope(layers.context.arena);
    this.#scores = new RowScores(layers, this.#scope, runner.blueprint.vocabulary);
  }

  get blueprint(): Runner['blueprint'] {
    return this.#runner.blueprint;
  }

  get math(): Arithmetic {
    return this.#layers.context.math;
  }

  async hidden(texts: readonly TokenText[], { signal }: RunOptions = {}): Promise<Float32Array[]> {
    if (this.blueprint.kind === 'encoder') return this.#runner.encode(texts.map(asRunnerText), signal);
    const { width } = this.blueprint;
    const results: Float32Array[] = [];
    for (const { ids } of texts) {
      const all = new Float32Array(ids.length * width);
      await this.#each(ids, signal, (session, n) => all.set(session.hidden.toArray(), n * width));
      results.push(all);
    }
    return results;
  }

  vectors(
    texts: readonly TokenText[],
    { pooling, normalize, signal }: RunOptions & { readonly pooling: Pooling; readonly normalize: boolean },
  ): Promise<Float32Array[]> {
    return this.#runner.vectors(texts.map(asRunnerText), { pooling, normalize }, signal);
  }

  labels(texts: readonly TokenText[], { signal }: RunOptions = {}): Promise<Float32Array[]> {
    return this.#runner.classify(texts.map(asRunnerText), signal);
  }

  async logits(text: TokenText, places: readonly number[], { signal }: RunOptions = {}): Promise<Float32Array[]> {
    if (this.blueprint.kind === 'encoder') return this.#runner.maskLogits(asRunnerText(text), places, signal);
    const rows = new Map<number, Float32Array>();
    await this.#each(text.ids, signal, (session, n) => {
      if (places.includes(n)) rows.set(n, session.logits.toArray() as Float32Array);
    });
    return places.map((place) => rows.get(place) as Float32Array);
  }

  /** A decoder's tokens one by one. */
  async #each(ids: ArrayLike<number>, signal: RunOptions['signal'], use: (session: Session, n: number) => void): Promise<void> {
    const session = await this.#runner.session({ capacity: Math.max(1, ids.length) }, signal);
    try {
      for (let n = 0; n < ids.length; n++) {
        await session.append([ids[n] as number], signal);
        use(session, n);
      }
    } finally {
      session.dispose();
    }
  }

  async sequence({ capacity = this.longest, source, signal }: SequenceOptions = {}): Promise<Sequence> {
    const session = await this.#runner.session({ capacity, ...(source && { source: asRunnerText(source) }) }, signal);
    return new OwnSequence(this.#layers, this.blueprint.vocabulary, session);
  }

  async extend(sequences: readonly Sequence[], tokens: readonly ArrayLike<number>[], { signal }: RunOptions = {}): Promise<Scores[]> {
    const before = sequences.map(({ length }) => length);
    try {
      const scores: Scores[] = [];
      for (const [n, sequence] of (sequences as readonly OwnSequence[]).entries()) {
        const at = await sequence.append(tokens[n] as ArrayLike<number>, sequences.length > 1, signal);
        scores.push(this.#scores.at(at));
      }
      return scores;
    } catch (error) {
      for (const [n, sequence] of sequences.entries()) sequence.truncate(before[n] as number);
      throw error;
    }
  }

  dispose(): void {
    this.#scope.release();
    this.#runner.dispose();
  }
}

/** A session of a runner. */
class OwnSequence implements Sequence {
  readonly #layers: LayerContext;
  readonly #scope: Scope;
  readonly #session: Session;
  readonly #vocabulary: number;
  /** Room for logits that have to outlive the run of another sequence. */
  #row: number | undefined;
  #disposed = false;

  constructor(layers: LayerContext, vocabulary: number, session: Session) {
    this.#layers = layers;
    this.#scope = new Scope(layers.context.arena);
    this.#vocabulary = vocabulary;
    this.#session = session;
  }

  get length(): number {
    return this.#session.length;
  }

  truncate(length: number): void {
    if (!this.#disposed && length < this.length) this.#session.truncate(length);
  }

  async fork(): Promise<Sequence> {
    return new OwnSequence(this.#layers, this.#vocabulary, this.#session.fork());
  }

  /** Appends tokens; where the logits are then. @param keep they are copied to where no other run writes */
  async append(tokens: ArrayLike<number>, keep: boolean, signal?: RunOptions['signal']): Promise<number> {
    if (this.#disposed) throw new RelposError('disposed', 'the text that is being written was disposed');
    await this.#session.append(tokens, signal);
    const { pointer } = this.#session.logits;
    if (!keep) return pointer;
    this.#row ??= this.#scope.allocate(4 * this.#vocabulary);
    this.#layers.context.arena.words.copyWithin(this.#row / 4, pointer / 4, pointer / 4 + this.#vocabulary);
    return this.#row;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#session.dispose();
    this.#scope.release();
  }
}

/** Largest and softmax of rows of logits by the kernels. */
class RowScores {
  readonly #layers: LayerContext;
  readonly #scope: Scope;
  readonly #vocabulary: number;
  #kernels: { readonly top: TopStage; readonly softmax: SoftmaxStage } | undefined;
  /** Where the largest are put: values, then tokens. */
  #found: { readonly at: number; readonly count: number } | undefined;

  constructor(layers: LayerContext, scope: Scope, vocabulary: number) {
    this.#layers = layers;
    this.#scope = scope;
    this.#vocabulary = vocabulary;
  }

  /** The scores that lie at an address. */
  at(x: number): Scores {
    const { context } = this.#layers;
    const vocabulary = this.#vocabulary;
    const floats = (): Float32Array => new Float32Array(context.arena.memory.buffer, x, vocabulary);
    return {
      // Made anew each time: memory that is not shared moves when it grows.
      get values() {
        return floats();
      },
      largest: (count) => this.#largest(x, Math.min(count, vocabulary)),
      softmax: (divisor) => this.#softmax(x, divisor),
    };
  }

  #stages(): { readonly top: TopStage; readonly softmax: SoftmaxStage } {
    const { context } = this.#layers;
    this.#kernels ??= {
      top: new TopStage(context, this.#scope, this.#vocabulary),
      softmax: new SoftmaxStage(context, this.#scope, { width: this.#vocabulary }),
    };
    return this.#kernels;
  }

  #largest(x: number, count: number): Int32Array {
    if (!this.#found || this.#found.count < count) this.#found = { at: this.#scope.allocate(8 * count), count };
    const [values, indices] = [this.#found.at, this.#found.at + 4 * count];
    const stage = this.#stages().top.stage({ rows: 1, count, x, xRow: 4 * this.#vocabulary, values, indices });
    this.#layers.pool.runSync(jobOf([stage]));
    return this.#layers.context.arena.words.slice(indices / 4, indices / 4 + count);
  }

  #softmax(x: number, divisor: number): void {
    const row = 4 * this.#vocabulary;
    const stage = this.#stages().softmax.stage({ rows: 1, x, xRow: row, out: x, outRow: row, divisor });
    this.#layers.pool.runSync(jobOf([stage]));
  }
}
