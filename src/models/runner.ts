// A model in an engine's memory, made from its blueprint: what all families share, and all that there is to running one.

import { wrongType, wrongValue } from '../arguments/check.ts';
import { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import type { WeightType } from '../nn/weights.ts';
import type { Signal } from '../platform/types.ts';
import { jobOf } from '../threads/job.ts';
import type { Attention, Blueprint, Dense, LogitsHead, Stack } from './blueprint.ts';
import { DecoderProgram, Session, type SessionOptions } from './decoder.ts';
import { type EncodedTexts, EncoderProgram, type TokenText } from './encoder.ts';
import { LogitsProgram, StepsProgram } from './head-program.ts';
import { type PackedDense, packDense, packPositions, packStack, widthsOf } from './packed-stack.ts';
import { loadPackings, type PackedLinear, Packing, type TensorSource, type Vector } from './packing.ts';
import { positionTables } from './position-tables.ts';
import { Schemes } from './schemes.ts';
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
    this.#classifier = made.classifier;
  }

  /** Loads a model. @throws RelposError `out-of-memory`, `bad-checkpoint`, and what the source throws; nothing is held then */
  static async load(layers: LayerContext, blueprint: Blueprint, source: TensorSource, options: RunnerOptions): Promise<Runner> {
    const { where, weights, onProgress } = options;
    const { context } = layers;
    const scope = new Scope(context.arena);
    const packing = scope.own(new Packing(layers, weights));
    const scratch = new Packing(layers, 'f32');
    try {
      const { width, encoder, decoder } = blueprint;
      const packed = { encoder: encoder && packStack(packing, encoder, width), decoder: decoder && packStack(packing, decoder, width) };
      const heads = packHeads(packing, blueprint, options.logits ?? true);
      const sinks = packSinks(packing, [encoder, decoder]);
      const positions = [encoder, decoder].flatMap((stack) => (stack ? [packPositions(scratch, stack)] : []));
      packing.reserve();
      scratch.reserve();
      await loadPackings(where, layers, [packing, scratch], source, onProgress);
      const longest = options.longest ?? Math.min(512, blueprint.longest ?? 512);
      const tables = new Map((await Promise.all(positions.map((one) => positionTables(layers, one, longest)))).flatMap((one) => [...one]));
      const schemes = new Schemes(layers, tables, longest, sinks);
      const steps = (given: readonly PackedDense[] | undefined): StepsProgram | undefined =>
        given && new StepsProgram(layers, scope, where, given);
      const { head, pooler, classifier } = heads;
      const logits = head && new LogitsProgram(layers, scope, where, head.head, head.dense, head.output);
      return new Runner({
        blueprint,
        layers,
        scope,
        where,
        longest: drawn(blueprint) ? longest : blueprint.longest,
        encoder: packed.encoder && new EncoderProgram(layers, scope, where, packed.encoder, widthsOf(packed.encoder.stack, width), schemes),
        decoder:
          packed.decoder &&
          new DecoderProgram(layers, scope, where, packed.decoder, widthsOf(packed.decoder.stack, width), schemes, logits),
        logits,
        pooler: steps(pooler && [pooler]),
        classifier: steps(classifier),
      });
    } catch (error) {
      scope.release();
      throw error;
    } finally {
      scratch.dispose();
    }
  }

  /** Hidden states of every token of every text, [tokens, width] each. */
  async encode(texts: readonly TokenText[], signal?: Signal): Promise<Float32Array[]> {
    return this.#eachBatch(texts, signal, ({ rows, offsets }, count) => {
      const all = rows.toArray();
      const { width } = this.blueprint;
      return Array.from({ length: count }, (_, n) => all.slice((offsets[n] as number) * width, (offsets[n + 1] as number) * width));
    });
  }

  /** What stands for each text after the checkpoint's pooler, [width] each. */
  async pooled(texts: readonly TokenText[], signal?: Signal): Promise<Float32Array[]> {
    return this.#eachBatch(texts, signal, (encoded, count) =>
      this.#rowsThrough(this.#pooler, 'pooler', encoded, count, (n) => encoded.offsets[n] as number, signal),
    );
  }

  /** Logits over labels of each text. */
  async classify(texts: readonly TokenText[], signal?: Signal): Promise<Float32Array[]> {
    const { classifier } = this.blueprint;
    return this.#eachBatch(texts, signal, (encoded, count) => {
      const row = (n: number): number =>
        classifier?.pooling === 'last' ? (encoded.offsets[n + 1] as number) - 1 : (encoded.offsets[n] as number);
      if (classifier?.pooling === 'mean') this.#poolMeans(encoded, count);
      return this.#rowsThrough(this.#classifier, 'classification head', encoded, count, row, signal);
    });
  }

  /** Logits over the vocabulary at some tokens of a text, [vocabulary] each. */
  async maskLogits(text: TokenText, at: readonly number[], signal?: Signal): Promise<Float32Array[]> {
    const out = await this.#eachBatch([text], signal, async (encoded) => [
      await this.#rowsThrough(this.#logits, 'logits', encoded, at.length, (n) => at[n] as number, signal),
    ]);
    return out[0] as Float32Array[];
  }

  /** The mean of each text's rows in place of its first row: sums in order. */
  #poolMeans({ rows, offsets }: EncodedTexts, count: number): void {
    const { width } = this.blueprint;
    const all = rows.view() as Float32Array;
    for (let n = 0; n < count; n++) {
      const [first, end] = [offsets[n] as number, offsets[n + 1] as number];
      for (let d = 0; d < width; d++) {
        let sum = 0;
        for (let t = first; t < end; t++) sum = Math.fround(sum + (all[t * width + d] as number));
        all[first * width + d] = sum / (end - first);
      }
    }
  }

  /** Some rows of texts through a head. */
  async #rowsThrough(
    head: StepsProgram | LogitsProgram | undefined,
    name: string,
    { rows }: EncodedTexts,
    count: number,
    row: (n: number) => number,
    signal?: Signal,
  ): Promise<Float32Array[]> {
    if (!head) throw wrongType(this.#where, name, 'one in the checkpoint', undefined);
    const { width } = this.blueprint;
    const { arena } = this.#layers.context;
    const scope = new Scope(arena);
    try {
      const at = scope.allocate(4 * count * width);
      const words = arena.words;
      for (let n = 0; n < count; n++) {
        const from = rows.pointer / 4 + row(n) * (rows.strides[0] as number);
        words.copyWithin(at / 4 + n * width, from, from + width);
      }
      const { stages, out } = head.stages(count, { at, stride: 4 * width });
      await this.#layers.pool.run(jobOf(stages), { signal });
      const all = out.toArray();
      const size = out.shape[1] as number;
      return Array.from({ length: count }, (_, n) => all.slice(n * size, (n + 1) * size));
    } finally {
      scope.release();
    }
  }

  /** Runs texts in batches; `use` takes what it wants of each before the next one begins. */
  async #eachBatch<T>(
    texts: readonly TokenText[],
    signal: Signal | undefined,
    use: (encoded: EncodedTexts, count: number) => readonly T[] | Promise<readonly T[]>,
  ): Promise<T[]> {
    const encoder = this.#encoder;
    if (!encoder) throw wrongType(this.#where, 'model', 'an encoder', this.blueprint.kind);
    for (const [n, { ids, segments }] of texts.entries()) this.#checkText(`texts[${n}]`, ids, segments);
    const run = async (): Promise<T[]> => {
      const out: T[] = [];
      for (const batch of batches(texts, encoder.apart(texts))) {
        const encoded = await encoder.run(batch, signal);
        try {
          out.push(...(await use(encoded, batch.length)));
        } finally {
          encoded.rows.dispose();
        }
      }
      return out;
    };
    return this.#inTurn(run);
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
    for (let n = 0; n < ids.length; n++) this.#checkToken(name, ids[n] as number, vocabulary);
  }

  #checkToken(name: string, id: number, vocabulary: number): void {
    if (!(Number.isInteger(id) && id >= 0 && id < vocabulary)) throw wrongValue(this.#where, name, `tokens in 0 … ${vocabulary - 1}`, id);
  }

  /** A text that grows. Of an encoder-decoder: the one that it answers. */
  async session(
    { source, ...options }: Omit<SessionOptions, 'memory'> & { readonly source?: TokenText },
    signal?: Signal,
  ): Promise<Session> {
    const decoder = this.#decoder;
    if (!decoder) throw wrongType(this.#where, 'model', 'a decoder', this.blueprint.kind);
    const encoder = this.#encoder;
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

export interface PackedHeads {
  readonly head: { readonly head: LogitsHead; readonly dense: PackedDense | undefined; readonly output: PackedLinear } | undefined;
  readonly pooler: PackedDense | undefined;
  readonly classifier: readonly PackedDense[] | undefined;
}

/** What the heads of a model need; those that are declared are packed with the rest. */
export function packHeads(packing: Packing, { logits, pooler, classifier }: Blueprint, wanted: boolean): PackedHeads {
  const dense = (step: Dense | undefined): PackedDense | undefined => step && packDense(packing, step);
  return {
    // Four bits are too few for the rows of tokens, tied or not.
    head:
      logits && wanted
        ? { head: logits, dense: dense(logits.dense), output: packing.linear([logits.output], { tables: true }) }
        : undefined,
    pooler: dense(pooler),
    classifier: classifier?.steps.map((step) => packDense(packing, step)),
  };
}

function packSinks(packing: Packing, stacks: readonly (Stack | undefined)[]): ReadonlyMap<Attention, Vector> {
  const sinks = new Map<Attention, Vector>();
  for (const stack of stacks) {
    for (const { attention } of stack?.layers ?? []) if (attention.sinks) sinks.set(attention, packing.vector(attention.sinks));
  }
  return sinks;
}

/** True if a position table was drawn for a longest text. */
const drawn = ({ encoder, decoder }: Blueprint): boolean =>
  [encoder, decoder].some((stack) =>
    stack?.layers.some(({ attention }) =>
      attention.positions.some(({ tables }) => Object.values(tables).some((table) => 'kind' in table && 'kind' in table.rows)),
    ),
  );
