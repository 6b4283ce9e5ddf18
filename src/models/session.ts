// A text that a decoder goes on with: a prompt in chunks of rows, then a token at a time, each run one job of all layers.

import { wrongType, wrongValue } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { prepareAttention } from '../attention/attention.ts';
import type { CheckedOptions } from '../attention/options.ts';
import { type KVCache, makeCache } from '../kvcache/kvcache.ts';
import type { CacheDType } from '../memory/dtypes.ts';
import { Scope } from '../memory/scope.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Call } from '../plan/context.ts';
import type { Signal } from '../platform/types.ts';
import { KIT } from '../prepared/kit.ts';
import type { Program } from '../prepared/program.ts';
import { Repeat } from '../prepared/repeat.ts';
import { Step } from '../prepared/step.ts';
import { jobOf, memoryOf } from '../threads/job.ts';
import type { Job, Stage } from '../threads/types.ts';
import type { Attention } from './blueprint.ts';
import type { DecoderProgram } from './decoder.ts';
import { type Memory, memoryFor, remembering, rememberNothing } from './decoder-memory.ts';
import type { AttentionProgram } from './layer-program.ts';
import type { Rows } from './rows.ts';
import type { Split } from './schemes.ts';
import { CHUNK, checkTokens } from './tokens.ts';
import { writing } from './workspace.ts';

/** Options of a session. */
export interface SessionOptions {
  /** The most tokens. Memory for their keys and values is taken at once. */
  readonly capacity: number;
  /** How keys and values are stored; default f32. */
  readonly cache?: CacheDType;
  /** For a decoder with cross-attention: the encoder's rows, [tokens, width], which are read here. */
  readonly memory?: Tensor;
}

/** How a part of a run ends: well, or not. */
interface End {
  commit(): void;
  fail(): void;
}

/** A run that is about to begin. */
interface Run extends End {
  readonly job: Job;
}

/** What a run leaves. */
interface Ending {
  readonly hidden: Tensor;
  readonly logits: Tensor | undefined;
}

/** One text that grows: its keys and values, and the row of its last token. */
export class Session {
  readonly #decoder: DecoderProgram;
  readonly #caches: readonly KVCache[];
  readonly #memories: readonly (Memory | undefined)[];
  readonly #scope: Scope;
  /** Of runs of one row: by layer its attention, and cross-attention. */
  readonly #steps: (Program | undefined)[] = [];
  readonly #crossSteps: (Program | undefined)[] = [];
  /** Memory that runs of one row hold. */
  #held: { readonly at: number; readonly bytes: number } | undefined;
  #out: Ending | undefined;
  #running = false;
  #disposed = false;

  private constructor(decoder: DecoderProgram, scope: Scope, caches: readonly KVCache[], memories: readonly (Memory | undefined)[]) {
    this.#decoder = decoder;
    this.#scope = scope;
    this.#caches = caches;
    this.#memories = memories;
  }

  /** @throws RelposError `out-of-memory` */
  static async open(decoder: DecoderProgram, { capacity, cache = 'f32', memory }: SessionOptions, signal?: Signal): Promise<Session> {
    const { layers, where, stack, splits } = decoder;
    const { context, pool } = layers;
    const scope = new Scope(context.arena);
    try {
      const caches = stack.layers.map(({ attention }, n) => {
        const { rotation } = splits[n] as Split;
        const { keyHeads, headWidth, valueWidth } = attention;
        const options = {
          batch: 1,
          heads: keyHeads,
          headDim: headWidth,
          valueDim: valueWidth,
          capacity,
          dtype: cache,
          layout: 'blhd' as const,
        };
        return scope.own(makeCache(context, (job) => pool.runSync(job), where, { ...options, ...(rotation && { encoding: rotation }) }));
      });
      const memories = stack.layers.map(({ cross }) => (cross && memory ? memoryFor(decoder, cross, memory, scope) : undefined));
      if (memory) {
        const outputs = memories.flatMap((one) => (one ? [one.all] : []));
        await pool.run(jobOf(writing(remembering(decoder, memories, memory), outputs)), { signal });
      }
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
    return this.#ending.hidden;
  }

  /** Logits of the token that comes next, [1, vocabulary]; they hold until the next run of any session. */
  get logits(): Tensor {
    const { logits } = this.#ending;
    if (!logits) throw wrongType(this.#decoder.where, 'logits', 'a model that was loaded with them', undefined);
    return logits;
  }

  get #ending(): Ending {
    if (!this.#out) throw wrongType(this.#decoder.where, 'tokens', 'some that were appended', undefined);
    return this.#out;
  }

  /**
   * Appends tokens. After an error the session is as it was before the chunk that failed.
   *
   * @param each is given the rows of every chunk after the last norm, [rows, width], which hold while it runs
   */
  async append(ids: ArrayLike<number>, signal?: Signal, each?: (rows: Tensor, first: number) => void): Promise<void> {
    this.#check(ids);
    this.#running = true;
    try {
      for (let first = 0; first < ids.length; first += CHUNK) {
        this.#alive();
        const use = each && ((rows: Tensor): void => each(rows, first));
        const run = this.#begin(Array.from(ids).slice(first, first + CHUNK), first + CHUNK >= ids.length, use);
        try {
          await this.#decoder.layers.pool.run(run.job, { signal });
        } catch (error) {
          run.fail();
          throw error;
        }
        run.commit();
      }
      this.#alive();
    } finally {
      this.#running = false;
      if (this.#disposed) this.#release();
    }
  }

  /** `append` before returning. */
  appendSync(ids: ArrayLike<number>): void {
    this.#check(ids);
    this.#alive();
    for (let first = 0; first < ids.length; first += CHUNK) {
      const run = this.#begin(Array.from(ids).slice(first, first + CHUNK), first + CHUNK >= ids.length);
      try {
        this.#decoder.layers.pool.runSync(run.job);
      } catch (error) {
        run.fail();
        throw error;
      }
      run.commit();
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

  #begin(ids: readonly number[], last: boolean, use?: (rows: Tensor) => void): Run {
    const { program, workspace, logits, widths } = this.#decoder;
    const rows = ids.length;
    const { length } = this;
    // The rows of the last run are written over from here on.
    this.#forget();
    const ends: End[] = [];
    try {
      const stages: Stage[] = [
        ...program.embed(rows, { ids, positions: ids.map((_, n) => length + n) }, workspace),
        ...program.run(
          rows,
          workspace,
          (layer) => (part) => this.#attend(layer, part, rows, ends),
          (layer) => (part) => this.#attendCross(layer, part, rows, ends),
        ),
      ];
      const row = ({ at, stride }: Rows): Rows => ({ at: at + (rows - 1) * stride, stride });
      const [x, z] = [workspace.rows('x'), workspace.rows('z')];
      const end = use ? program.finish(rows, x, z) : program.finish(1, row(x), row(z));
      const ended = end.out.at === x.at || end.out.at === row(x).at ? 'x' : 'z';
      const head = last && logits ? logits.stages(1, row(workspace.rows(ended))) : undefined;
      if (last || use) stages.push(...end.stages);
      stages.push(...(head?.stages ?? []));
      const made = jobOf(writing(stages, workspace.outputs));
      const job = rows === 1 ? this.#hold(made) : made;
      const tensor = workspace.tensor(ended);
      const commit = (): void => {
        for (const each of ends) each.commit();
        if (use) {
          const all = tensor.restride([rows, widths.stream], [widths.stream, 1]);
          use(all);
          all.dispose();
        }
        const hidden = tensor.restride([1, widths.stream], [widths.stream, 1], (rows - 1) * widths.stream);
        this.#out = { hidden, logits: head?.out };
      };
      return { job, commit, fail: () => ends.forEach((each) => void each.fail()) };
    } catch (error) {
      for (const each of ends) each.fail();
      throw error;
    }
  }

  /** The job with memory that the session keeps, so that a step takes none. */
  #hold(job: Job): Job {
    const bytes = memoryOf(job, Math.min(job.threads, this.#decoder.layers.pool.threads));
    if (!bytes) return job;
    if (!this.#held || this.#held.bytes < bytes) this.#held = { at: this.#scope.allocate(bytes), bytes };
    return { ...job, at: this.#held.at };
  }

  /** q, k and v of the rows, and where the result goes, as attention takes them. */
  #views({ heads: H, keyHeads: G, headWidth: D, valueWidth: E }: Attention, rows: number): Record<'q' | 'k' | 'v' | 'out', Tensor> {
    const { workspace } = this.#decoder;
    const [qkv, at] = [workspace.tensor('qkv'), workspace.tensor('at')];
    const [n, m] = [qkv.strides[0] as number, at.strides[0] as number];
    const view = (heads: number, width: number, from: number): Tensor =>
      qkv.restride([1, rows, heads, width], [rows * n, n, width, 1], from);
    return {
      q: view(H, D, 0),
      k: view(G, D, H * D),
      v: view(G, E, (H + G) * D),
      out: at.restride([1, rows, H, E], [rows * m, m, E, 1]),
    };
  }

  #options(attention: Attention, layer: number, out: Tensor): CheckedOptions {
    const { schemes, splits, where } = this.#decoder;
    const cache = this.#caches[layer] as KVCache;
    return schemes.options(where, attention, (splits[layer] as Split).others, { cache, out, layout: 'blhd' });
  }

  #attend(layer: number, { packed: { attention } }: AttentionProgram, rows: number, ends: End[]): readonly Stage[] {
    const { layers, where } = this.#decoder;
    const { context } = layers;
    if (rows === 1) {
      const step = this.#steps[layer] ?? this.#makeStep(layer, attention);
      return begin(step, where, ends);
    }
    const { q, k, v, out } = this.#views(attention, rows);
    try {
      const call = prepareAttention(context, where, q, k, v, this.#options(attention, layer, out), false);
      return stagesOf(call, ends);
    } finally {
      for (const tensor of [q, k, v, out]) tensor.dispose();
    }
  }

  #makeStep(layer: number, attention: Attention): Program {
    const { layers, where } = this.#decoder;
    const { q, k, v, out } = this.#views(attention, 1);
    for (const tensor of [q, k, v, out]) this.#scope.own(tensor);
    const given = this.#options(attention, layer, out);
    const step = new Step(where, { kit: KIT, context: layers.context, operands: { q, k, v }, given }, false);
    this.#steps[layer] = step;
    this.#scope.defer(() => step.release());
    return step;
  }

  #attendCross(layer: number, { packed: { attention } }: AttentionProgram, rows: number, ends: End[]): readonly Stage[] {
    const { layers, where, schemes } = this.#decoder;
    const memory = this.#memories[layer] as Memory;
    const { q, k, v, out } = this.#views(attention, rows);
    const views = [q, k, v, out];
    const encodings = attention.positions.map((position) => schemes.encoding(position));
    const given = (): CheckedOptions => schemes.options(where, attention, encodings, { out, layout: 'blhd' });
    if (rows === 1) {
      const known = this.#crossSteps[layer];
      if (known) {
        for (const view of views) view.dispose();
        return begin(known, where, ends);
      }
      for (const view of views) this.#scope.own(view);
      const operands = { q, k: memory.keys, v: memory.values };
      const made = new Repeat(where, { kit: KIT, context: layers.context, operands, given: given() }, false);
      this.#crossSteps[layer] = made;
      this.#scope.defer(() => made.release());
      return begin(made, where, ends);
    }
    try {
      const call = prepareAttention(layers.context, where, q, memory.keys, memory.values, given(), false);
      return stagesOf(call, ends);
    } finally {
      for (const view of views) view.dispose();
    }
  }

  /** Another text that begins as this one does: what it has so far is shared, not copied. Give it its own `append` before its logits are asked for. */
  fork(): Session {
    const scope = new Scope(this.#decoder.layers.context.arena);
    try {
      const caches = this.#caches.map((cache) => scope.own(cache.fork()));
      // Views of the same memory, which lives as long as any of them.
      const view = (tensor: Tensor): Tensor => scope.own(tensor.restride(tensor.shape, tensor.strides));
      const memories = this.#memories.map(
        (memory) => memory && { keys: view(memory.keys), values: view(memory.values), all: view(memory.all) },
      );
      return new Session(this.#decoder, scope, caches, memories);
    } catch (error) {
      scope.release();
      throw error;
    }
  }

  /** Back to as many tokens; the last one's rows are gone, since they are kept of the last run alone. */
  truncate(length: number): void {
    if (length < this.length) this.#forget();
    for (const cache of this.#caches) cache.truncate(length + this.#zeros);
  }

  #forget(): void {
    this.#out?.hidden.dispose();
    this.#out = undefined;
  }

  /** Gives its memory back, when a run that is under way has ended. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (!this.#running) this.#release();
  }

  #release(): void {
    this.#forget();
    this.#scope.release();
  }
}

/** The stages of a prepared call's next run. */
function begin(program: Program, where: string, ends: End[]): readonly Stage[] {
  const { stages } = program.begin(where);
  ends.push(program);
  return stages;
}

/** The stages of a call that is made once. */
function stagesOf(call: Call, ends: End[]): readonly Stage[] {
  const release = (): void => call.release(false);
  const commit = (): void => {
    call.finish();
    release();
  };
  ends.push({ commit, fail: release });
  return [...call.preparations, call.job];
}
