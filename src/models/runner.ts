// A model in an engine's memory, made from its blueprint: what all families share, and all that there is to running one.

import { wrongType, wrongValue } from '../arguments/check.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { LayerContext } from '../nn/context.ts';
import { NormStage, type Pooling, PoolStage } from '../nn/row-stages.ts';
import type { WeightType } from '../nn/weights.ts';
import type { Signal } from '../platform/types.ts';
import { jobOf } from '../threads/job.ts';
import type { Stage } from '../threads/types.ts';
import type { Blueprint } from './blueprint.ts';
import { declareModel } from './declared.ts';
import type { DecoderProgram } from './decoder.ts';
import { EncoderProgram, type Tail, type TokenText } from './encoder.ts';
import { LogitsProgram, StepsProgram } from './head-program.ts';
import { type PackedDense, widthsOf } from './packed-stack.ts';
import { loadPackings, type PackedSource, type TensorSource } from './packing.ts';
import { positionTables } from './position-tables.ts';
import { makeMap, mapped, normed, type Rows } from './rows.ts';
import { Schemes } from './schemes.ts';
import type { Session, SessionOptions } from './session.ts';
import { checkTokens } from './tokens.ts';
import type { LoadProgress } from './weights.ts';

/** How a model is loaded. */
export interface RunnerOptions {
  /** For messages. */
  readonly where: string;
  /** How weights are stored. */
  readonly weights: WeightType;
  /** The most tokens of a text, for position tables that have to end somewhere; default 512, or what the model can take at most. */
  readonly longest?: number;
  /** Whether logits over the vocabulary are wanted; default true. */
  readonly logits?: boolean;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** What becomes of the rows of a text. */
export interface VectorOptions {
  readonly pooling: Pooling;
  /** Whether vectors are of length 1; default false. */
  readonly normalize?: boolean;
}

/** Stages behind pooled rows, and the tensor that has the result. */
type More = (rows: Rows, count: number, scope: Scope) => { readonly stages: readonly Stage[]; readonly out: Tensor };

/** A vector is divided by no less: as torch's `normalize` has it. */
const SHORTEST = 1e-12;

/** Texts are run together while their tokens are no more than this; one by itself may have as many as it has. */
const BATCH = 512;

export class Runner {
  readonly blueprint: Blueprint;
  readonly #layers: LayerContext;
  readonly #scope: Scope;
  readonly #where: string;
  readonly #longest: number | undefined;
  readonly #encoder: EncoderProgram | undefined;
  readonly #decoder: DecoderProgram | undefined;
  readonly #logits: LogitsProgram | undefined;
  readonly #pooler: StepsProgram | undefined;
  readonly #afterPooling: StepsProgram | undefined;
  readonly #classifier: StepsProgram | undefined;
  /** Runs come one after another: they share a workspace. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(made: {
    blueprint: Blueprint;
    layers: LayerContext;
    scope: Scope;
    where: string;
    longest: number | undefined;
    encoder: EncoderProgram | undefined;
    decoder: DecoderProgram | undefined;
    logits: LogitsProgram | undefined;
    pooler: StepsProgram | undefined;
    afterPooling: StepsProgram | undefined;
    classifier: StepsProgram | undefined;
  }) {
    this.blueprint = made.blueprint;
    this.#layers = made.layers;
    this.#scope = made.scope;
    this.#where = made.where;
    this.#longest = made.longest;
    this.#encoder = made.encoder;
    this.#decoder = made.decoder;
    this.#logits = made.logits;
    this.#pooler = made.pooler;
    this.#afterPooling = made.afterPooling;
    this.#classifier = made.classifier;
  }

  /** Loads a model. @throws RelposError `out-of-memory`, `bad-checkpoint`, and what the source throws; nothing is held then */
  static async load(
    layers: LayerContext,
    blueprint: Blueprint,
    source: TensorSource | PackedSource,
    options: RunnerOptions,
  ): Promise<Runner> {
    const { where, weights, onProgress } = options;
    const { context } = layers;
    const scope = new Scope(context.arena);
    const packed = declareModel(blueprint, weights, options.logits);
    const { packing, scratch, heads, sinks, positions } = packed;
    scope.own(packing);
    try {
      const { width, decoder } = blueprint;
      const decoding = decoder && (await import('./decoding.ts'));
      packing.reserve(layers);
      scratch.reserve(layers);
      await loadPackings(where, layers, [packing, scratch], source, onProgress);
      const longest = options.longest ?? Math.min(512, blueprint.longest ?? 512);
      // Tables of distances reach over a memory too.
      const reach = longest + (decoder?.memory ?? 0);
      const tables = new Map((await Promise.all(positions.map((one) => positionTables(layers, one, reach)))).flatMap((one) => [...one]));
      const schemes = new Schemes(layers, tables, reach, sinks);
      const steps = (given: readonly PackedDense[] | undefined): StepsProgram | undefined =>
        given && new StepsProgram(layers, scope, where, given);
      const { head, pooler, afterPooling, classifier } = heads;
      const logits = head && new LogitsProgram(layers, scope, where, head);
      return new Runner({
        blueprint,
        layers,
        scope,
        where,
        longest: drawn(blueprint) ? longest : blueprint.longest,
        encoder: packed.encoder && new EncoderProgram(layers, scope, where, packed.encoder, widthsOf(packed.encoder.stack, width), schemes),
        decoder:
          decoding &&
          packed.decoder &&
          new decoding.DecoderProgram(
            layers,
            scope,
            where,
            packed.decoder,
            widthsOf(packed.decoder.stack, width),
            schemes,
            logits,
            blueprint.vocabulary,
          ),
        logits,
        pooler: steps(pooler && [pooler]),
        afterPooling: steps(afterPooling),
        classifier: steps(classifier),
      });
    } catch (error) {
      scope.release();
      throw error;
    } finally {
      scratch.dispose();
    }
  }

  /** Hidden states of every token of every text, [tokens · width] each: an encoder's, or a decoder's if there is no encoder. */
  async encode(texts: readonly TokenText[], signal?: Signal): Promise<Float32Array[]> {
    const { width } = this.blueprint;
    if (!this.#encoder) return this.#decoded(texts, signal);
    return this.#eachBatch(texts, async (batch, encoder) => {
      const { rows, offsets } = await encoder.run(batch, signal);
      try {
        const all = rows.toArray();
        return batch.map((_, n) => all.slice((offsets[n] as number) * width, (offsets[n + 1] as number) * width));
      } finally {
        rows.dispose();
      }
    });
  }

  async #decoded(texts: readonly TokenText[], signal?: Signal): Promise<Float32Array[]> {
    const { width } = this.blueprint;
    const out: Float32Array[] = [];
    for (const { ids } of texts) {
      const all = new Float32Array(ids.length * width);
      const session = await this.session({ capacity: Math.max(1, ids.length) }, signal);
      try {
        await session.appendEach(ids, async (rows, first) => all.set(rows.toArray(), first * width), signal);
      } finally {
        session.dispose();
      }
      out.push(all);
    }
    return out;
  }

  /**
   * One vector for each text: of its rows, through the layers behind the pooling if there are any, and of length 1 if that is wanted. A text
   * without tokens is 0.
   */
  async vectors(texts: readonly TokenText[], { pooling, normalize = false }: VectorOptions, signal?: Signal): Promise<Float32Array[]> {
    const end = (rows: Rows, count: number, scope: Scope) => this.#ending(rows, count, scope, normalize);
    if (this.#encoder) {
      const vectors = await this.#pooledThrough(texts, pooling, end, signal);
      const none = new Float32Array(this.#afterPooling?.width ?? this.blueprint.width);
      return vectors.map((vector, n) => (texts[n]?.ids.length ? vector : none.slice()));
    }
    const out: Float32Array[] = [];
    for (const [n, text] of (await this.#decoded(texts, signal)).entries()) {
      const scope = new Scope(this.#layers.context.arena);
      try {
        const rows = { at: scope.upload(text), stride: 4 * this.blueprint.width };
        const { stages, out: vector } = this.#pooled(rows, [0, texts[n]?.ids.length as number], pooling, scope, end);
        await this.#layers.pool.run(jobOf(stages), { signal });
        out.push(vector.toArray());
      } finally {
        scope.release();
      }
    }
    return out;
  }

  /** Vectors as they are, or through the layers behind the pooling, and divided by their length. */
  #ending(rows: Rows, count: number, scope: Scope, normalize: boolean): { readonly stages: readonly Stage[]; readonly out: Tensor } {
    const { context } = this.#layers;
    const after = this.#afterPooling;
    const width = after?.width ?? this.blueprint.width;
    const { stages, out: last } = after?.stages(count, rows) ?? { stages: [], out: undefined };
    if (last && !normalize) return { stages, out: last };
    const out = scope.own(makeTensor(context, this.#where, [count, width]));
    const to = { at: out.pointer, stride: 4 * width };
    const from = last ? { at: last.pointer, stride: 4 * width } : rows;
    if (!normalize) return { out, stages: [mapped(makeMap(this.#layers, scope, width, {}), count, from, to)] };
    const norm = new NormStage(context, scope, { kind: 'unit', width, epsilon: SHORTEST });
    return { out, stages: [...stages, normed(norm, count, from, to)] };
  }

  /** What stands for each text after the checkpoint's pooler, [width] each. */
  pooled(texts: readonly TokenText[], signal?: Signal): Promise<Float32Array[]> {
    const pooler = this.#head(this.#pooler, 'pooler');
    return this.#pooledThrough(texts, 'cls', (rows, count) => pooler.stages(count, rows), signal);
  }

  /** Logits over labels of each text. */
  classify(texts: readonly TokenText[], signal?: Signal): Promise<Float32Array[]> {
    const classifier = this.#head(this.#classifier, 'classification head');
    const pooling = ({ first: 'cls', last: 'last', mean: 'mean' } as const)[this.blueprint.classifier?.pooling ?? 'first'];
    return this.#pooledThrough(texts, pooling, (rows, count) => classifier.stages(count, rows), signal);
  }

  /** Logits over the vocabulary at some tokens of a text, [vocabulary] each, in the order of the text. */
  async maskLogits(text: TokenText, at: readonly number[], signal?: Signal): Promise<Float32Array[]> {
    const head = this.#head(this.#logits, 'logits');
    const rows = [...new Set(at)].sort((a, b) => a - b);
    for (const n of rows) if (!(n >= 0 && n < text.ids.length)) throw wrongValue(this.#where, 'at', `tokens of the ${text.ids.length}`, n);
    if (!rows.length) return [];
    // Each row is the first of the rows up to the next one that is wanted.
    const starts = [...rows, (rows.at(-1) as number) + 1];
    return this.#pooledThrough(
      [text],
      'cls',
      (pooled, count) => head.stages(count, pooled),
      signal,
      () => starts,
    );
  }

  #head<T>(head: T | undefined, name: string): T {
    if (!head) throw wrongType(this.#where, name, 'one in the checkpoint', undefined);
    return head;
  }

  /** One row of the rows between each two starts, and these through more stages. */
  #pooled(rows: Rows, starts: readonly number[], kind: Pooling, scope: Scope, more: More): { stages: readonly Stage[]; out: Tensor } {
    const { context } = this.#layers;
    const { width } = this.blueprint;
    const texts = starts.length - 1;
    const pooled = { at: scope.allocate(4 * texts * width), stride: 4 * width };
    const pool = new PoolStage(context, scope, { kind, width }).stage({
      texts,
      rows: starts.at(-1) as number,
      x: rows.at,
      xRow: rows.stride,
      starts: scope.upload(Int32Array.from(starts)),
      out: pooled.at,
      outRow: pooled.stride,
    });
    const { stages, out } = more(pooled, texts, scope);
    return { stages: [pool, ...stages], out };
  }

  /** Rows of texts made one for each, and these through more stages, all in one job. */
  #pooledThrough(
    texts: readonly TokenText[],
    kind: Pooling,
    more: More,
    signal?: Signal,
    startsOf = (offsets: readonly number[]): readonly number[] => offsets,
  ): Promise<Float32Array[]> {
    const { width } = this.blueprint;
    return this.#eachBatch(texts, async (batch, encoder) => {
      const scope = new Scope(this.#layers.context.arena);
      let made: { readonly out: Tensor; readonly count: number } | undefined;
      const tail: Tail = (rows, offsets) => {
        const starts = startsOf(offsets);
        const { stages, out } = this.#pooled(rows, starts, kind, scope, more);
        made = { out, count: starts.length - 1 };
        return stages;
      };
      try {
        const encoded = await encoder.run(batch, signal, tail);
        encoded.rows.dispose();
        if (!made) return batch.map(() => new Float32Array(width));
        const all = made.out.toArray();
        const size = all.length / made.count;
        return Array.from({ length: made.count }, (_, n) => all.slice(n * size, (n + 1) * size));
      } finally {
        scope.release();
      }
    });
  }

  /** Runs texts in batches, one after another. */
  async #eachBatch<T>(
    texts: readonly TokenText[],
    run: (batch: readonly TokenText[], encoder: EncoderProgram) => Promise<readonly T[]>,
  ): Promise<T[]> {
    const encoder = this.#encoder;
    if (!encoder) throw wrongType(this.#where, 'model', 'an encoder', this.blueprint.kind);
    for (const [n, { ids, segments }] of texts.entries()) this.#checkText(`texts[${n}]`, ids, segments);
    return this.#inTurn(async () => {
      const out: T[] = [];
      for (const batch of batches(texts, encoder.apart(texts))) out.push(...(await run(batch, encoder)));
      return out;
    });
  }

  /** Runs that share a workspace, one after another. */
  async #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(run, run);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** @throws RangeError if a token is none of the vocabulary, or there are too many */
  #checkText(name: string, ids: ArrayLike<number>, segments?: ArrayLike<number>): void {
    const { vocabulary } = this.blueprint;
    if (this.#longest !== undefined && ids.length > this.#longest) {
      throw wrongValue(this.#where, name, `at most ${this.#longest} tokens`, `${ids.length}`);
    }
    if (segments && segments.length !== ids.length)
      throw wrongValue(this.#where, `${name}.segments`, `${ids.length} numbers`, `${segments.length}`);
    checkTokens(this.#where, name, ids, vocabulary);
  }

  /** A text that grows. Of an encoder-decoder: the one that it answers. */
  async session(
    { source, ...options }: Omit<SessionOptions, 'memory'> & { readonly source?: TokenText },
    signal?: Signal,
  ): Promise<Session> {
    const decoder = this.#decoder;
    if (!decoder) throw wrongType(this.#where, 'model', 'a decoder', this.blueprint.kind);
    const encoder = this.#encoder;
    const { Session } = await import('./decoding.ts');
    if (!encoder) return Session.open(decoder, options);
    if (!source) throw wrongType(this.#where, 'source', 'the text that is to be answered', source);
    this.#checkText('source', source.ids, source.segments);
    return this.#inTurn(async () => {
      const { rows } = await encoder.run([source], signal);
      try {
        return await Session.open(decoder, { ...options, memory: rows }, signal);
      } finally {
        rows.dispose();
      }
    });
  }

  /** Gives all memory back. Sessions have to be disposed before. */
  dispose(): void {
    this.#scope.release();
  }
}

/** Texts in batches of at most `BATCH` tokens, or one by one. */
function batches(texts: readonly TokenText[], apart: boolean): TokenText[][] {
  const out: TokenText[][] = [];
  let tokens = 0;
  for (const text of texts) {
    const last = out.at(-1);
    if (last && !apart && tokens + text.ids.length <= BATCH) last.push(text);
    else {
      out.push([text]);
      tokens = 0;
    }
    tokens += text.ids.length;
  }
  return out;
}

/** True if a position table was drawn for a longest text. */
const drawn = ({ encoder, decoder }: Blueprint): boolean =>
  [encoder, decoder].some((stack) =>
    stack?.layers.some(({ attention }) =>
      attention.positions.some(({ tables }) => Object.values(tables).some((table) => 'kind' in table && 'kind' in table.rows)),
    ),
  );
