// The texts that a decoder is writing, and the scores of what comes next. Loaded when the first one begins: an encoder has none.

import { RelposError } from '../arguments/errors.ts';
import { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import { SoftmaxStage, TopStage } from '../nn/score-stages.ts';
import { jobOf } from '../threads/job.ts';
import type { RunOptions, Sequence } from './driver-types.ts';
import { isFull, type Leftovers } from './leftovers.ts';
import type { Scores } from './sampling.ts';
import { mostRows } from './scoring.ts';
import { appendAll, type Session } from './session.ts';
import { CHUNK } from './tokens.ts';

/** Those of one model. */
export class Sequences {
  readonly #layers: LayerContext;
  readonly #vocabulary: number;
  readonly #alive: () => void;
  readonly #scores: RowScores;
  /** Those that nobody disposed of yet: of a generation that is left in the middle nobody will. */
  readonly #all: Set<OwnSequence> = new Set();

  /**
   * @param leftovers those of the decoder's runs
   * @param alive throws if the model was disposed of
   */
  constructor(layers: LayerContext, leftovers: Leftovers, vocabulary: number, alive: () => void) {
    this.#layers = layers;
    this.#vocabulary = vocabulary;
    this.#alive = alive;
    this.#scores = new RowScores(layers, vocabulary, alive, () => {
      for (const { session } of this.#all) session.spare();
    });
    leftovers.add(() => this.#scores.drop());
  }

  begin(session: Session): Sequence {
    return new OwnSequence(this.#layers, this.#vocabulary, session, this.#all);
  }

  async extend(sequences: readonly Sequence[], tokens: readonly ArrayLike<number>[], signal: RunOptions['signal']): Promise<Scores[]> {
    const before = sequences.map(({ length }) => length);
    const groups = grouped(tokens, mostRows(this.#vocabulary));
    try {
      const places = new Array<number>(sequences.length);
      for (const group of groups) {
        this.#alive();
        const own = group.map((n) => sequences[n] as OwnSequence);
        const ids = group.map((n) => tokens[n] as ArrayLike<number>);
        const at = await extendTogether(own, ids, group !== groups.at(-1), signal);
        for (const [i, n] of group.entries()) places[n] = at[i] as number;
      }
      return places.map((at) => this.#scores.at(at));
    } catch (error) {
      for (const [n, sequence] of sequences.entries()) sequence.truncate(before[n] as number);
      throw error;
    }
  }

  dispose(): void {
    for (const sequence of this.#all) sequence.dispose();
    this.#scores.drop();
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
  readonly #all: Set<OwnSequence>;
  #disposed = false;

  /** @param all those of its model, of which it is one until it is disposed of */
  constructor(layers: LayerContext, vocabulary: number, session: Session, all: Set<OwnSequence>) {
    this.#all = all;
    all.add(this);
    this.#layers = layers;
    this.#scope = new Scope(layers.context.arena);
    this.#vocabulary = vocabulary;
    this.#session = session;
  }

  get length(): number {
    if (this.#disposed) throw new RelposError('disposed', 'the model was disposed');
    return this.#session.length;
  }

  truncate(length: number): void {
    if (!this.#disposed && length < this.length) this.#session.truncate(length);
  }

  async fork(): Promise<Sequence> {
    return new OwnSequence(this.#layers, this.#vocabulary, this.#session.fork(), this.#all);
  }

  get session(): Session {
    return this.#session;
  }

  /** Copies logits to where no other run writes; where that is. */
  keep(pointer: number): number {
    this.#row ??= this.#scope.allocate(4 * this.#vocabulary);
    this.#layers.context.arena.words.copyWithin(this.#row / 4, pointer / 4, pointer / 4 + this.#vocabulary);
    return this.#row;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#all.delete(this);
    this.#session.dispose();
    this.#scope.release();
  }
}

/** Sequences by number, whose tokens go through a run together: as many as it takes, and `most` at most. One with more tokens than a run takes is by itself. */
function grouped(tokens: readonly ArrayLike<number>[], most: number): number[][] {
  const groups: number[][] = [];
  let rows = Infinity;
  for (const [n, { length }] of tokens.entries()) {
    if (rows + length > CHUNK || groups.at(-1)?.length === most) {
      groups.push([]);
      rows = 0;
    }
    (groups.at(-1) as number[]).push(n);
    rows += length;
  }
  return groups;
}

/** Appends tokens to each; where the logits are then. @param keep they are copied to where no other run writes */
async function extendTogether(
  sequences: readonly OwnSequence[],
  tokens: readonly ArrayLike<number>[],
  keep: boolean,
  signal: RunOptions['signal'],
): Promise<number[]> {
  const sessions = sequences.map(({ session }) => session);
  const { pointer, strides } = await appendAll(sessions, tokens, signal);
  return sequences.map((sequence, n) => {
    const at = pointer + 4 * n * (strides[0] as number);
    return keep ? sequence.keep(at) : at;
  });
}

/** Largest and softmax of rows of logits by the kernels. */
class RowScores {
  readonly #layers: LayerContext;
  readonly #scope: Scope;
  readonly #vocabulary: number;
  #kernels: { readonly top: TopStage; readonly softmax: SoftmaxStage } | undefined;
  /** Where the largest are put: values, then tokens. */
  #found: { readonly at: number; readonly count: number } | undefined;
  /** Throws if the memory is gone. */
  readonly #alive: () => void;
  readonly #spare: () => void;

  /** @param spare gives back what sequences hold for runs to come */
  constructor(layers: LayerContext, vocabulary: number, alive: () => void, spare: () => void) {
    this.#alive = alive;
    this.#spare = spare;
    this.#layers = layers;
    this.#scope = new Scope(layers.context.arena);
    this.#vocabulary = vocabulary;
  }

  /** Gives its memory back, until the next call. */
  drop(): void {
    this.#scope.release();
    this.#kernels = undefined;
    this.#found = undefined;
  }

  /** Does what takes memory; when there is none, once more without what sequences hold. */
  #again<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!isFull(error)) throw error;
    }
    this.drop();
    this.#spare();
    return work();
  }

  /** The scores that lie at an address. */
  at(x: number): Scores {
    const { context } = this.#layers;
    const vocabulary = this.#vocabulary;
    const floats = (): Float32Array => {
      this.#alive();
      return new Float32Array(context.arena.memory.buffer, x, vocabulary);
    };
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
    this.#alive();
    return this.#again(() => this.#find(x, count));
  }

  #find(x: number, count: number): Int32Array {
    if (!this.#found || this.#found.count < count) {
      this.drop();
      this.#found = { at: this.#scope.allocate(8 * count), count };
    }
    const [values, indices] = [this.#found.at, this.#found.at + 4 * count];
    const stage = this.#stages().top.stage({ rows: 1, count, x, xRow: 4 * this.#vocabulary, values, indices });
    this.#layers.pool.runSync(jobOf([stage]));
    return this.#layers.context.arena.words.slice(indices / 4, indices / 4 + count);
  }

  #softmax(x: number, divisor: number): void {
    this.#alive();
    this.#again(() => this.#divide(x, divisor));
  }

  #divide(x: number, divisor: number): void {
    const row = 4 * this.#vocabulary;
    const stage = this.#stages().softmax.stage({ rows: 1, x, xRow: row, out: x, outRow: row, divisor });
    this.#layers.pool.runSync(jobOf([stage]));
  }
}
