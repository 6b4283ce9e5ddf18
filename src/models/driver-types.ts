// What computes a model, seen from those who use it with texts: token numbers in, rows of numbers out.

import type { Arithmetic } from '../plan/plan.ts';
import type { Signal } from '../platform/types.ts';
import type { Blueprint } from './blueprint.ts';
import type { Scores } from './sampling.ts';
import type { Pooling } from './sentence-files.ts';

/** A text as token numbers; `types` where it has two parts and the model tells them apart. */
export interface TokenText {
  readonly ids: ArrayLike<number>;
  readonly types?: ArrayLike<number>;
}

/** What ends a call before its time. */
export interface RunOptions {
  readonly signal?: Signal | undefined;
}

/** Options of a new sequence. */
export interface SequenceOptions extends RunOptions {
  /** The most tokens that it will have; default all that the model takes. */
  readonly capacity?: number | undefined;
  /** Of a seq2seq model: the text that is answered. */
  readonly source?: TokenText | undefined;
}

/** The tokens of one text that a decoder has seen. */
export interface Sequence {
  /** How many they are. */
  readonly length: number;
  /** Forgets all but the first ones. */
  truncate(length: number): void;
  /** One that goes on from here by itself. */
  fork(): Promise<Sequence>;
  dispose(): void;
}

/** The weights of a layer's attention over one text. */
export interface Weighed {
  readonly heads: number;
  /** Keys of a head: the tokens, and what stands behind them. */
  readonly keys: number;
  /** [heads, tokens, keys] */
  readonly weights: Float32Array;
}

/** A model in an engine's memory. What comes back is a copy. */
export interface Driver {
  readonly blueprint: Blueprint;
  /** Tokens that a text, or a sequence, may have. */
  readonly longest: number;
  /** Functions with the same bits on every host. */
  readonly math: Arithmetic;

  /** The last hidden state of each text: [tokens, width]. Of an encoder, or of a decoder from an empty sequence. */
  hidden(texts: readonly TokenText[], options?: RunOptions): Promise<Float32Array[]>;
  /** One vector for each text. */
  vectors(
    texts: readonly TokenText[],
    options: RunOptions & { readonly pooling: Pooling; readonly normalize: boolean },
  ): Promise<Float32Array[]>;
  /** Logits over the labels, for each text. Only with `blueprint.classifier`. */
  labels(texts: readonly TokenText[], options?: RunOptions): Promise<Float32Array[]>;
  /** Logits over the vocabulary at these places of a text. Of a decoder: of the token after that place. Only with `blueprint.logits`. */
  logits(text: TokenText, places: readonly number[], options?: RunOptions): Promise<Float32Array[]>;
  /** Where a text's tokens look. Of an encoder. */
  attention(text: TokenText, layer: number, options?: RunOptions): Promise<Weighed>;

  /** An empty sequence of a decoder. */
  sequence(options?: SequenceOptions): Promise<Sequence>;
  /**
   * Appends tokens to each of the sequences, and gives the scores of the token after them. They are valid until the next call.
   * A call that fails or is aborted leaves every sequence as it was.
   */
  extend(sequences: readonly Sequence[], tokens: readonly ArrayLike<number>[], options?: RunOptions): Promise<Scores[]>;

  /** Gives the memory back when calls that are under way have ended, that of sequences too, and then does what is given. Every later call throws `disposed`. */
  dispose(then?: () => void): void;
}
