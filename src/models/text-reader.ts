// What an encoder makes of texts: their rows, and what stands for each of them. A runner of a decoder does without, and so does what is bundled of it.

import { wrongType, wrongValue } from '../arguments/check.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { LayerContext } from '../nn/context.ts';
import { NormStage, type Pooling, PoolStage } from '../nn/row-stages.ts';
import type { Signal } from '../platform/types.ts';
import type { Stage } from '../threads/types.ts';
import type { BesideProgram } from './beside.ts';
import type { Blueprint } from './blueprint.ts';
import type { PackedHeads } from './declared.ts';
import { EncoderProgram, type Tail, type TokenText } from './encoder.ts';
import { type LogitsProgram, StepsProgram } from './head-program.ts';
import { inHalves, Leftovers } from './leftovers.ts';
import { type PackedDense, type PackedStack, widthsOf } from './packed-stack.ts';
import { makeMap, mapped, normed, type Rows } from './rows.ts';
import type { Schemes } from './schemes.ts';
import { BATCH, checkTokens } from './tokens.ts';

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

/** What a reader is made of. */
export interface ReaderParts {
  readonly blueprint: Blueprint;
  readonly layers: LayerContext;
  readonly scope: Scope;
  readonly where: string;
  /** Tokens of a text at most. */
  readonly longest: number | undefined;
  readonly packed: PackedStack;
  readonly heads: PackedHeads;
  readonly schemes: Schemes;
  readonly logits: LogitsProgram | undefined;
  readonly beside: BesideProgram | undefined;
}

export class TextReader {
  readonly #blueprint: Blueprint;
  readonly #layers: LayerContext;
  readonly #where: string;
  readonly #longest: number | undefined;
  readonly #encoder: EncoderProgram;
  readonly #logits: LogitsProgram | undefined;
  readonly #pooler: StepsProgram | undefined;
  readonly #afterPooling: StepsProgram | undefined;
  readonly #classifier: StepsProgram | undefined;
  readonly #leftovers: Leftovers;
  /** Runs come one after another: they share a workspace. */
  #last: Promise<unknown> = Promise.resolve();
  #running = false;

  constructor({ blueprint, layers, scope, where, longest, packed, heads, schemes, logits, beside }: ReaderParts) {
    const { pooler, afterPooling, classifier } = heads;
    const steps = (given: readonly PackedDense[] | undefined): StepsProgram | undefined =>
      given && new StepsProgram(layers, scope, where, given);
    this.#blueprint = blueprint;
    this.#layers = layers;
    this.#where = where;
    this.#longest = longest;
    this.#encoder = new EncoderProgram(layers, scope, where, packed, widthsOf(packed.stack, blueprint.width), schemes, beside);
    this.#logits = logits;
    this.#pooler = steps(pooler && [pooler]);
    this.#afterPooling = steps(afterPooling);
    this.#classifier = steps(classifier);
    this.#leftovers = new Leftovers(layers.context);
    // Logits beside a decoder are those of its runs.
    const owned = [this.#encoder, this.#pooler, this.#afterPooling, this.#classifier, blueprint.decoder ? undefined : logits];
    for (const one of owned) if (one) this.#leftovers.add(() => one.drop());
  }

  /** Gives back what its runs left, unless one is under way. */
  drop(): void {
    if (!this.#running) this.#leftovers.drop();
  }

  /** Bytes of the rows that a text of so many tokens is passed through the layers in. */
  bytesOf(tokens: number): number {
    return this.#encoder.bytesOf(tokens);
  }

  /** Hidden states of every token of every text, [tokens · width] each. */
  async encode(texts: readonly TokenText[], signal?: Signal): Promise<Float32Array[]> {
    const { width } = this.#blueprint;
    return this.#eachBatch(texts, async (batch) => {
      const { rows, offsets } = await this.#encoder.run(batch, signal);
      try {
        const all = rows.toArray();
        return batch.map((_, n) => all.slice((offsets[n] as number) * width, (offsets[n + 1] as number) * width));
      } finally {
        rows.dispose();
      }
    });
  }

  /** Does something with the encoder, which runs nothing else as long. */
  async alone<T>(name: string, text: TokenText, use: (encoder: EncoderProgram) => Promise<T>): Promise<T> {
    this.#check(name, text);
    return this.#inTurn(() => this.#leftovers.again(() => use(this.#encoder)));
  }

  /** Does something with the rows of a text, [tokens, width], which hold as long. */
  rowsOf<T>(name: string, text: TokenText, use: (rows: Tensor) => Promise<T>, signal?: Signal): Promise<T> {
    return this.alone(name, text, async (encoder) => {
      const { rows } = await encoder.run([text], signal);
      try {
        return await use(rows);
      } finally {
        rows.dispose();
      }
    });
  }

  /**
   * One vector for each text: of its rows, through the layers behind the pooling if there are any, and of length 1 if that is wanted. A text
   * without tokens is 0.
   */
  async vectors(texts: readonly TokenText[], { pooling, normalize = false }: VectorOptions, signal?: Signal): Promise<Float32Array[]> {
    const end = (rows: Rows, count: number, scope: Scope) => this.#ending(rows, count, scope, normalize);
    const vectors = await this.#pooledThrough(texts, pooling, end, signal);
    const none = new Float32Array(this.#afterPooling?.width ?? this.#blueprint.width);
    return vectors.map((vector, n) => (texts[n]?.ids.length ? vector : none.slice()));
  }

  /** Vectors as they are, or through the layers behind the pooling, and divided by their length. */
  #ending(rows: Rows, count: number, scope: Scope, normalize: boolean): { readonly stages: readonly Stage[]; readonly out: Tensor } {
    const { context } = this.#layers;
    const after = this.#afterPooling;
    const width = after?.width ?? this.#blueprint.width;
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
    const pooling = ({ first: 'cls', last: 'last', mean: 'mean' } as const)[this.#blueprint.classifier?.pooling ?? 'first'];
    return this.#pooledThrough(texts, pooling, (rows, count) => classifier.stages(count, rows), signal);
  }

  /** Logits over the vocabulary at some tokens of a text, [vocabulary] each, in the order of the text. */
  async maskLogits(text: TokenText, at: readonly number[], signal?: Signal): Promise<Float32Array[]> {
    const head = this.#head(this.#logits, 'logits');
    const rows = [...new Set(at)].sort((a, b) => a - b);
    for (const n of rows) if (!(n >= 0 && n < text.ids.length)) throw wrongValue(this.#where, 'at', `tokens of the ${text.ids.length}`, n);
    if (!rows.length) return [];
    const logits = (some: readonly number[]): Promise<Float32Array[]> => {
      // Each row is the first of the rows up to the next one that is wanted.
      const starts = [...some, (some.at(-1) as number) + 1];
      return this.#pooledThrough(
        [text],
        'cls',
        (pooled, count) => head.stages(count, pooled),
        signal,
        () => starts,
      );
    };
    return [...(await inHalves(rows, logits))];
  }

  #head<T>(head: T | undefined, name: string): T {
    if (!head) throw wrongType(this.#where, name, 'one in the checkpoint', undefined);
    return head;
  }

  /** One row of the rows between each two starts, and these through more stages. */
  #pooled(rows: Rows, starts: readonly number[], kind: Pooling, scope: Scope, more: More): { stages: readonly Stage[]; out: Tensor } {
    const { context } = this.#layers;
    const { width } = this.#blueprint;
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
    const { width } = this.#blueprint;
    return this.#eachBatch(texts, async (batch) => {
      const scope = new Scope(this.#layers.context.arena);
      let made: { readonly out: Tensor; readonly count: number } | undefined;
      const tail: Tail = (rows, offsets) => {
        const starts = startsOf(offsets);
        const { stages, out } = this.#pooled(rows, starts, kind, scope, more);
        made = { out, count: starts.length - 1 };
        return stages;
      };
      try {
        const encoded = await this.#encoder.run(batch, signal, tail);
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
  async #eachBatch<T>(texts: readonly TokenText[], run: (batch: readonly TokenText[]) => Promise<readonly T[]>): Promise<T[]> {
    for (const [n, text] of texts.entries()) this.#check(`texts[${n}]`, text);
    return this.#inTurn(async () => {
      const out: T[] = [];
      const part = (some: readonly TokenText[]) => this.#leftovers.again(() => run(some));
      for (const batch of batches(texts, this.#encoder.apart(texts))) out.push(...(await inHalves(batch, part)));
      return out;
    });
  }

  /** Runs that share a workspace, one after another. */
  async #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const own = async (): Promise<T> => {
      this.#running = true;
      try {
        return await run();
      } finally {
        this.#running = false;
      }
    };
    const turn = this.#last.then(own, own);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** @throws RangeError if a token is none of the vocabulary, or there are too many */
  #check(name: string, { ids, segments }: TokenText): void {
    const { vocabulary } = this.#blueprint;
    if (this.#longest !== undefined && ids.length > this.#longest) {
      throw wrongValue(this.#where, name, `at most ${this.#longest} tokens`, `${ids.length}`);
    }
    if (segments && segments.length !== ids.length)
      throw wrongValue(this.#where, `${name}.segments`, `${ids.length} numbers`, `${segments.length}`);
    checkTokens(this.#where, name, ids, vocabulary);
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
