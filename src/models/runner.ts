// A model in an engine's memory, made from its blueprint: what all families share, and all that there is to running one.

import { wrongType } from '../arguments/check.ts';
import { Scope } from '../memory/scope.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { LayerContext } from '../nn/context.ts';
import type { WeightType } from '../nn/weights.ts';
import type { Signal } from '../platform/types.ts';
import type { BesideProgram } from './beside.ts';
import type { Blueprint } from './blueprint.ts';
import { type Declared, declareModel } from './declared.ts';
import type { DecoderProgram } from './decoder.ts';
import type { TokenText } from './encoder.ts';
import { LogitsProgram } from './head-program.ts';
import type { Leftovers } from './leftovers.ts';
import { type PackedStack, widthsOf } from './packed-stack.ts';
import { loadPackings, type PackedSource, type TensorSource } from './packing.ts';
import type { PositionTables } from './position-tables.ts';
import { Schemes } from './schemes.ts';
import type { Session, SessionOptions } from './session.ts';
import type { TextReader } from './text-reader.ts';
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
  /** What reads texts, for a model with an encoder: others do without its code. */
  readonly reader?: typeof TextReader;
  readonly onProgress?: (progress: LoadProgress) => void;
}

export class Runner {
  readonly blueprint: Blueprint;
  readonly #scope: Scope;
  readonly #where: string;
  readonly #decoder: DecoderProgram | undefined;
  /** What reads texts, of an encoder. */
  readonly reader: TextReader | undefined;

  private constructor(made: {
    blueprint: Blueprint;
    scope: Scope;
    where: string;
    reader: TextReader | undefined;
    decoder: DecoderProgram | undefined;
  }) {
    this.blueprint = made.blueprint;
    this.#scope = made.scope;
    this.#where = made.where;
    this.reader = made.reader;
    this.#decoder = made.decoder;
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
      const { decoder } = blueprint;
      const decoding = decoder && (await import('./decoding.ts'));
      const whole = 'fill' in source;
      packing.reserve(layers, whole);
      scratch.reserve(layers, whole);
      await loadPackings(where, layers, [packing, scratch], source, onProgress);
      const longest = options.longest ?? Math.min(512, blueprint.longest ?? 512);
      // Tables of distances reach over a memory too.
      const reach = longest + (decoder?.memory ?? 0);
      const schemes = new Schemes(layers, await tablesOf(layers, positions, reach), reach, sinks);
      const logits = heads.head && new LogitsProgram(layers, scope, where, heads.head);
      const parts = { blueprint, layers, scope, where, heads, schemes, logits, longest: drawn(blueprint) ? longest : blueprint.longest };
      const Reader = options.reader as typeof TextReader;
      const beside = packed.encoder && (await besideOf(layers, scope, packed.encoder));
      const reader = packed.encoder && new Reader({ ...parts, packed: packed.encoder, beside });
      const program =
        decoding &&
        packed.decoder &&
        new decoding.DecoderProgram(
          layers,
          scope,
          where,
          packed.decoder,
          widthsOf(packed.decoder.stack, blueprint.width),
          schemes,
          logits,
          blueprint.vocabulary,
        );
      if (reader) program?.leftovers.add(() => reader.drop());
      return new Runner({ blueprint, scope, where, reader, decoder: program });
    } catch (error) {
      scope.release();
      throw error;
    } finally {
      scratch.dispose();
    }
  }

  /** Those of a decoder's runs. */
  get leftovers(): Leftovers | undefined {
    return this.#decoder?.leftovers;
  }

  /** Gives back what runs left in memory, unless one is under way. */
  drop(): void {
    this.reader?.drop();
    if (!this.#decoder?.texts) this.leftovers?.drop();
  }

  /** Hidden states of every token of every text, [tokens · width] each, of a decoder. */
  async decoded(texts: readonly TokenText[], signal?: Signal): Promise<Float32Array[]> {
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

  /** A text that grows. Of an encoder-decoder: the one that it answers. */
  async session({ source, ...options }: SessionOptions & { readonly source?: TokenText }, signal?: Signal): Promise<Session> {
    const decoder = this.#decoder;
    if (!decoder) throw wrongType(this.#where, 'model', 'a decoder', this.blueprint.kind);
    if (this.reader && !source) throw wrongType(this.#where, 'source', 'the text that is to be answered', source);
    const { Session, cacheBytes } = await import('./decoding.ts');
    if (!decoder.texts) {
      // It is to lie where no leftovers are.
      const { capacity, cache: dtype = 'f32' } = options;
      const read = source ? (this.reader?.bytesOf(source.ids.length) ?? 0) : 0;
      decoder.leftovers.tidy(read + cacheBytes(this.#where, decoder.stack, { capacity, dtype }));
    }
    const { reader } = this;
    if (!reader) return Session.open(decoder, options);
    const text = source as TokenText;
    const rows = (use: (rows: Tensor) => Promise<void>): Promise<void> => reader.rowsOf('source', text, use, signal);
    return Session.open(decoder, options, signal, { tokens: text.ids.length, rows });
  }

  /** Gives all memory back. Sessions have to be disposed before. */
  dispose(): void {
    this.#scope.release();
  }
}

/** True if a position table was drawn for a longest text. */
const drawn = ({ encoder, decoder }: Blueprint): boolean =>
  [encoder, decoder].some((stack) =>
    stack?.layers.some(({ attention }) =>
      attention.positions.some(({ tables }) => Object.values(tables).some((table) => 'kind' in table && 'kind' in table.rows)),
    ),
  );

/** What an encoder's layers have beside attention and MLP, if any has something. */
async function besideOf(layers: LayerContext, scope: Scope, packed: PackedStack): Promise<BesideProgram | undefined> {
  if (!packed.stack.layers.some(({ beside, attention }) => beside ?? attention.blocks)) return undefined;
  return new (await import('./beside.ts')).BesideProgram(layers, scope, packed);
}

/** The tables of position schemes, if there are any. */
async function tablesOf(layers: LayerContext, positions: Declared['positions'], reach: number): Promise<PositionTables> {
  const all = positions.filter((schemes) => [...schemes.values()].some((tables) => Object.keys(tables).length > 0));
  if (all.length === 0) return new Map();
  const { positionTables } = await import('./position-tables.ts');
  return new Map((await Promise.all(all.map((schemes) => positionTables(layers, schemes, reach)))).flatMap((one) => [...one]));
}
