// A runner as those who use it with texts see it.

import type { LayerContext } from '../nn/context.ts';
import type { Arithmetic } from '../plan/plan.ts';
import type { Driver, RunOptions, Sequence, SequenceOptions, TokenText, Weighed } from './driver-types.ts';
import type { TokenText as RunnerText } from './encoder.ts';
import type { Leftovers } from './leftovers.ts';
import { Lifetime } from './lifetime.ts';
import type { Runner } from './runner.ts';
import type { Scores } from './sampling.ts';
import type { Pooling } from './sentence-files.ts';
import type { Sequences } from './sequences.ts';
import type { TextReader } from './text-reader.ts';

const asRunnerText = ({ ids, types }: TokenText): RunnerText => ({ ids, segments: types });

/** A runner of an encoder, a decoder or both. */
export class RunnerDriver implements Driver {
  readonly longest: number;
  readonly #runner: Runner;
  readonly #layers: LayerContext;
  /** Those of a decoder, from the first one on. */
  #sequences: Sequences | undefined;
  readonly #lifetime = new Lifetime(() => {
    this.#sequences?.dispose();
    this.#runner.dispose();
    this.#then?.();
  });
  /** What is to be done when the memory was given back. */
  #then: (() => void) | undefined;

  /** @param longest tokens that a text or a sequence may have, which the runner was loaded for */
  constructor(runner: Runner, layers: LayerContext, longest: number) {
    this.longest = longest;
    this.#runner = runner;
    this.#layers = layers;
  }

  get blueprint(): Runner['blueprint'] {
    return this.#runner.blueprint;
  }

  get math(): Arithmetic {
    return this.#layers.context.math;
  }

  /** What reads texts: whoever asks has an encoder. */
  get #reader(): TextReader {
    return this.#runner.reader as TextReader;
  }

  hidden(texts: readonly TokenText[], { signal }: RunOptions = {}): Promise<Float32Array[]> {
    const given = texts.map(asRunnerText);
    const { reader } = this.#runner;
    return this.#lifetime.during(() => (reader ? reader.encode(given, signal) : this.#runner.decoded(given, signal)));
  }

  vectors(
    texts: readonly TokenText[],
    { pooling, normalize, signal }: RunOptions & { readonly pooling: Pooling; readonly normalize: boolean },
  ): Promise<Float32Array[]> {
    return this.#lifetime.during(() => this.#reader.vectors(texts.map(asRunnerText), { pooling, normalize }, signal));
  }

  labels(texts: readonly TokenText[], { signal }: RunOptions = {}): Promise<Float32Array[]> {
    return this.#lifetime.during(() => this.#reader.classify(texts.map(asRunnerText), signal));
  }

  logits(text: TokenText, places: readonly number[], { signal }: RunOptions = {}): Promise<Float32Array[]> {
    const isEncoder = this.blueprint.kind === 'encoder';
    return this.#lifetime.during(() =>
      isEncoder ? this.#reader.maskLogits(asRunnerText(text), places, signal) : this.#decodedLogits(text, places, signal),
    );
  }

  attention(text: TokenText, layer: number, { signal }: RunOptions = {}): Promise<Weighed> {
    return this.#lifetime.during(async () => {
      const { weigh } = await import('./attention-map.ts');
      const given = asRunnerText(text);
      return this.#reader.alone('text', given, (encoder) => weigh(encoder, given, layer, signal));
    });
  }

  async #decodedLogits(text: TokenText, places: readonly number[], signal: RunOptions['signal']): Promise<Float32Array[]> {
    const { ids } = text;
    const session = await this.#runner.session({ capacity: Math.max(1, ids.length) }, signal);
    let rows: ReadonlyMap<number, Float32Array>;
    try {
      rows = await session.score(ids, new Set(places), signal);
    } finally {
      session.dispose();
    }
    return places.map((place) => rows.get(place) as Float32Array);
  }

  sequence({ capacity = this.longest, source, signal }: SequenceOptions = {}): Promise<Sequence> {
    return this.#lifetime.during(async () => {
      const { Sequences } = await import('./decoding.ts');
      this.#sequences ??= new Sequences(this.#layers, this.#runner.leftovers as Leftovers, this.blueprint.vocabulary, () =>
        this.#lifetime.alive(),
      );
      const sequences = this.#sequences;
      return sequences.begin(await this.#runner.session({ capacity, ...(source && { source: asRunnerText(source) }) }, signal));
    });
  }

  extend(sequences: readonly Sequence[], tokens: readonly ArrayLike<number>[], { signal }: RunOptions = {}): Promise<Scores[]> {
    return this.#lifetime.during(() => (this.#sequences as Sequences).extend(sequences, tokens, signal));
  }

  dispose(then?: () => void): void {
    this.#then ??= then;
    this.#lifetime.end();
  }
}
