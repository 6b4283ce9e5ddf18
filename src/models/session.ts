// A text that a decoder goes on with: a prompt in chunks of rows, then a token at a time, each run one job of all layers.

import { wrongType, wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import type { CacheDType } from '../memory/dtypes.ts';
import type { Scope } from '../memory/scope.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';
import { jobOf, memoryOf } from '../threads/job.ts';
import type { Job, Stage } from '../threads/types.ts';
import type { DecoderProgram } from './decoder.ts';
import type { Memory } from './decoder-memory.ts';
import { beginRun, type Run, type RunEnd, type RunText, type Span, type Wanted } from './decoder-run.ts';
import type { AttentionProgram } from './layer-program.ts';
import { inHalves, isFull } from './leftovers.ts';
import type { Split } from './schemes.ts';
import { mostRows, runsOf } from './scoring.ts';
import { TextAttention } from './text-attention.ts';
import { TextCache } from './text-cache.ts';
import { TokenRun } from './token-run.ts';
import { checkTokens, chunksOf } from './tokens.ts';

/** Options of a session. */
export interface SessionOptions {
  /** The most tokens. Memory for their keys and values is taken at once. */
  readonly capacity: number;
  /** How keys and values are stored; default f32. */
  readonly cache?: CacheDType;
}

/** What a text with cross-attention answers: the tokens of an encoder, and their rows, [tokens, width]. */
export interface Answered {
  readonly tokens: number;
  /** Has the rows made, and does something with them. */
  rows(use: (rows: Tensor) => Promise<void>): Promise<void>;
}

/** One text that grows: its keys and values, and the row of its last token. */
export class Session implements RunText {
  readonly #decoder: DecoderProgram;
  readonly #caches: readonly TextCache[];
  readonly #memories: readonly (Memory | undefined)[];
  readonly #scope: Scope;
  readonly #attention: TextAttention;
  /** Memory that runs of one row hold. */
  #held: { readonly at: number; readonly bytes: number } | undefined;
  /** The last run, and a view of its last row once that is asked for. */
  #out: Pick<Run, 'hidden' | 'first' | 'logits'> | undefined;
  #hidden: Tensor | undefined;
  /** That of one row. */
  #token: TokenRun | undefined;
  #running = false;
  #disposed = false;

  private constructor(decoder: DecoderProgram, scope: Scope, caches: readonly TextCache[], memories: readonly (Memory | undefined)[]) {
    this.#decoder = decoder;
    this.#scope = scope;
    this.#caches = caches;
    this.#memories = memories;
    this.#attention = new TextAttention(decoder, caches, memories);
  }

  /** @throws RelposError `out-of-memory` */
  static async open(
    decoder: DecoderProgram,
    { capacity, cache = 'f32' }: SessionOptions,
    signal?: Signal,
    answered?: Answered,
  ): Promise<Session> {
    const { layers, where, stack, splits } = decoder;
    const scope = decoder.begin();
    try {
      // Rows of zeros before the text have a place too.
      const options = { capacity: capacity + (stack.memory ?? 0), dtype: cache };
      const caches = stack.layers.map(({ attention }, n) =>
        scope.own(TextCache.open(where, layers, attention, { ...options, rotation: (splits[n] as Split).rotation })),
      );
      if (!answered && !stack.memory) return new Session(decoder, scope, caches, []);
      const { memoriesFor, rememberNothing, rememberRows } = await import('./decoder-memory.ts');
      // What stays comes first: what the encoder takes beside it leaves no hole.
      const memories = answered ? memoriesFor(decoder, answered.tokens, scope) : [];
      await answered?.rows((rows) => rememberRows(decoder, memories, rows, signal));
      if (stack.memory) await rememberNothing(decoder, caches, stack.memory, signal);
      return new Session(decoder, scope, caches, memories);
    } catch (error) {
      scope.release();
      throw error;
    }
  }

  /** Rows of zeros before the text. */
  get #zeros(): number {
    return this.#decoder.stack.memory ?? 0;
  }

  /** Tokens so far. */
  get length(): number {
    return (this.#caches[0]?.length ?? 0) - this.#zeros;
  }

  /** The last token's row after the last norm, [1, width]; it holds until the next run of any session. */
  get hidden(): Tensor {
    const { hidden, first } = this.#ending;
    const { stream } = this.#decoder.widths;
    this.#hidden ??= hidden.restride([1, stream], [stream, 1], first * stream);
    return this.#hidden;
  }

  /** Logits of the token that comes next, [1, vocabulary]; they hold until the next run of any session. */
  get logits(): Tensor {
    const { logits } = this.#ending;
    if (!logits) throw wrongType(this.#decoder.where, 'logits', 'a model that was loaded with them', undefined);
    return logits;
  }

  get #ending(): Pick<Run, 'hidden' | 'first' | 'logits'> {
    if (!this.#out) throw wrongType(this.#decoder.where, 'tokens', 'some that were appended', undefined);
    return this.#out;
  }

  /** Appends tokens. After an error the session is as it was before the chunk that failed. */
  async append(ids: ArrayLike<number>, signal?: Signal): Promise<void> {
    await this.during(ids, async () => {
      for (const { own, rest } of chunksOf(ids)) {
        this.#alive();
        const run = await this.#run(own, rest ? 'keys' : 'logits', rest, signal);
        if (!rest) this.#out = run;
      }
    });
  }

  /**
   * Appends tokens, and gives the rows of every chunk after the last norm, [rows, width], which hold until `each` has resolved. The last one's
   * logits are not computed.
   */
  async appendEach(ids: ArrayLike<number>, each: (rows: Tensor, first: number) => Promise<void>, signal?: Signal): Promise<void> {
    const { widths } = this.#decoder;
    await this.during(ids, async () => {
      for (const { own, first, rest } of chunksOf(ids)) {
        this.#alive();
        const run = await this.#run(own, 'rows', rest, signal);
        const rows = run.hidden.restride([own.length, widths.stream], [widths.stream, 1]);
        try {
          await each(rows, first);
        } finally {
          rows.dispose();
        }
      }
    });
  }

  /** Appends tokens; logits of the tokens that come after some of them, by number among these. */
  async score(ids: ArrayLike<number>, wanted: ReadonlySet<number>, signal?: Signal): Promise<Map<number, Float32Array>> {
    const { logits, vocabulary, widths, layers } = this.#decoder;
    if (!logits) throw wrongType(this.#decoder.where, 'logits', 'a model that was loaded with them', undefined);
    const found = new Map<number, Float32Array>();
    const each = async (rows: Tensor, first: number): Promise<void> => {
      const scores = async (some: readonly number[]): Promise<Float32Array[]> => {
        this.#alive();
        const head = logits.stages(some.length, { at: rows.pointer + 4 * widths.stream * (some[0] as number), stride: 4 * widths.stream });
        await layers.pool.run(jobOf(head.stages), { signal });
        const all = head.out.toArray();
        const size = all.length / some.length;
        return some.map((_, n) => all.slice(n * size, (n + 1) * size) as Float32Array);
      };
      for (const [from, count] of runsOf(wanted, first, rows.shape[0] as number, mostRows(vocabulary))) {
        const some = Array.from({ length: count }, (_, n) => from + n);
        for (const [n, row] of (await inHalves(some, (part) => this.#again(() => scores(part)))).entries())
          found.set(first + from + n, row);
      }
    };
    await this.appendEach(ids, each, signal);
    return found;
  }

  /** Appends tokens to this text and to others, in one run; all logits. @internal */
  async appendWith(others: readonly Session[], tokens: readonly ArrayLike<number>[], signal?: Signal): Promise<Tensor> {
    const decoder = this.#decoder;
    const all = [this, ...others];
    const parts = all.map((text, n) => ({ text, ids: Array.from(tokens[n] as ArrayLike<number>) }));
    const run = async (): Promise<Tensor> => {
      const begun = beginRun(decoder, parts, 'logits');
      await ended(begun, decoder.layers.pool.run(begun.job, { signal }));
      return begun.logits as Tensor;
    };
    const work = (): Promise<Tensor> => this.#again(run, all);
    return all.reduceRight<() => Promise<Tensor>>((then, text, n) => () => text.during(tokens[n] as ArrayLike<number>, then), work)();
  }

  /** `append` before returning. */
  appendSync(ids: ArrayLike<number>): void {
    this.#check(ids);
    this.#alive();
    for (const { own, rest } of chunksOf(ids)) {
      const work = (): Run => this.#runSync(own, rest ? 'keys' : 'logits', rest);
      let run: Run;
      try {
        run = work();
      } catch (error) {
        this.#forgetAll(error);
        run = work();
      }
      if (!rest) this.#out = run;
    }
  }

  #runSync(ids: readonly number[], wanted: Wanted, rest: number): Run {
    const run = this.#begin(ids, wanted, rest);
    try {
      this.#decoder.layers.pool.runSync(run.job);
    } catch (error) {
      run.fail();
      throw error;
    }
    run.commit();
    return run;
  }

  #run(ids: readonly number[], wanted: Wanted, rest: number, signal: Signal | undefined): Promise<Run> {
    return this.#again(async () => {
      const run = this.#begin(ids, wanted, rest);
      await ended(run, this.#decoder.layers.pool.run(run.job, { signal }));
      return run;
    });
  }

  /** Does work; when memory runs out, once more without what earlier runs left. @param texts those that are run */
  async #again<T>(work: () => Promise<T>, texts: readonly Session[] = [this]): Promise<T> {
    try {
      return await work();
    } catch (error) {
      for (const text of texts) text.#forgetAll(error);
    }
    return work();
  }

  /** After a run that found no room: gives back what earlier ones left. @throws the error if it is another one */
  #forgetAll(error: unknown): void {
    if (!isFull(error)) throw error;
    this.#spare();
    this.#decoder.leftovers.drop();
  }

  /** Gives back what it has prepared for runs of one row, unless one is under way. @internal */
  spare(): void {
    if (!this.#running) this.#spare();
  }

  #spare(): void {
    this.#decoder.latest = undefined;
    this.#token = undefined;
    this.#attention.release();
    this.#drop();
  }

  /** Gives back the memory that runs of one row hold. */
  #drop(): void {
    if (this.#held) this.#decoder.layers.context.arena.free(this.#held.at);
    this.#held = undefined;
  }

  /** Does what appends these tokens; memory stays until it is done. @throws RangeError before anything is done */
  async during<T>(ids: ArrayLike<number>, work: () => Promise<T>): Promise<T> {
    this.#check(ids);
    this.#running = true;
    try {
      const done = await work();
      this.#alive();
      return done;
    } finally {
      this.#running = false;
      if (this.#disposed) this.#release();
    }
  }

  /** @throws RangeError if a token is none of the vocabulary, or there are more than positions */
  #check(ids: ArrayLike<number>): void {
    const { where, vocabulary, positions } = this.#decoder;
    if (this.length + ids.length > positions) throw wrongValue(where, 'tokens', `at most ${positions}`, `${this.length + ids.length}`);
    checkTokens(where, 'tokens', ids, vocabulary);
  }

  #alive(): void {
    if (this.#disposed) throw new RelposError('disposed', 'the text that is being written was disposed');
  }

  /** @param rest tokens that are appended behind these */
  #begin(ids: readonly number[], wanted: Wanted, rest: number): Run {
    const decoder = this.#decoder;
    const token = this.#token;
    if (wanted === 'logits' && ids.length === 1 && token?.holds) {
      this.forget();
      token.begin(ids[0] as number, this.length);
      return token;
    }
    const run = beginRun(decoder, [{ text: this, ids, rest }], wanted);
    if (ids.length > 1) return run;
    try {
      const held = { ...run, job: this.#hold(run.job) };
      if (wanted !== 'logits' || !decoder.program.steady) return held;
      this.#token = new TokenRun(decoder, held, (stages) => this.#hold(jobOf(stages)));
      decoder.latest = this.#token;
      return this.#token;
    } catch (error) {
      run.fail();
      throw error;
    }
  }

  /** The job with memory that the session keeps, so that a step takes none. */
  #hold(job: Job): Job {
    const bytes = memoryOf(job, Math.min(job.threads, this.#decoder.layers.pool.threads));
    if (!bytes) return job;
    if (!this.#held || this.#held.bytes < bytes) {
      this.#drop();
      this.#held = { at: this.#decoder.layers.context.arena.allocate(bytes), bytes };
    }
    return { ...job, at: this.#held.at };
  }

  /** @internal */
  attend(layer: number, program: AttentionProgram, span: Span, ends: RunEnd[]): readonly Stage[] {
    return this.#attention.attend(layer, program, span, ends);
  }

  /** @internal */
  attendCross(layer: number, program: AttentionProgram, span: Span, ends: RunEnd[]): readonly Stage[] {
    return this.#attention.attendCross(layer, program, span, ends);
  }

  /** Another text that begins as this one does: what it has so far is shared, not copied. Give it its own `append` before its logits are asked for. */
  fork(): Session {
    const scope = this.#decoder.begin();
    try {
      const caches = this.#caches.map((cache) => scope.own(cache.fork()));
      return new Session(
        this.#decoder,
        scope,
        caches,
        this.#memories.map((memory) => memory?.view(scope)),
      );
    } catch (error) {
      scope.release();
      throw error;
    }
  }

  /** Back to as many tokens; the last one's rows are gone, since they are kept of the last run alone. */
  truncate(length: number): void {
    if (length < this.length) this.forget();
    for (const cache of this.#caches) cache.truncate(length + this.#zeros);
  }

  /** To as many tokens, of which those that it does not have are not computed: for those who want to know what memory the next ones take. @internal */
  skipTo(length: number): void {
    const more = length - this.length;
    if (more < 0) this.truncate(length);
    else for (const cache of this.#caches) cache.skip(more);
  }

  /** @internal */
  forget(): void {
    this.#hidden?.dispose();
    this.#hidden = undefined;
    this.#out = undefined;
  }

  /** Gives its memory back, when a run that is under way has ended. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (!this.#running) this.#release();
  }

  #release(): void {
    this.forget();
    this.#spare();
    this.#scope.release();
  }
}

/**
 * Appends tokens to sessions of one model, to several in one run of CHUNK rows at most; their logits, [sessions, vocabulary], which hold until the
 * next run. After an error they are as they were, or one by itself as after `append`.
 */
export async function appendAll(sessions: readonly Session[], tokens: readonly ArrayLike<number>[], signal?: Signal): Promise<Tensor> {
  const [one, ids] = [sessions[0] as Session, tokens[0] as ArrayLike<number>];
  if (sessions.length === 1) {
    await one.append(ids, signal);
    return one.logits;
  }
  return one.appendWith(sessions.slice(1), tokens, signal);
}

/** Ends a run as its job does. */
async function ended(run: RunEnd, job: Promise<void>): Promise<void> {
  try {
    await job;
  } catch (error) {
    run.fail();
    throw error;
  }
  run.commit();
}
