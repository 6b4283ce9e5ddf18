// The one description of a model that the runner knows. A family (families/*.ts) makes it from a config.json and the names of the checkpoint's
// tensors; it is data: what is computed, in which order, from which tensors. No arithmetic is done here or there.
//
// With x the stream of a text's rows, [tokens, width], every sub-layer f of a layer (attention, cross-attention, MLP) does
//
//   x ← post( x + multiplier · after( f( before(x) ) ) )
//
// where a norm that is missing is the identity: pre-norm layers have `before`, post-norm layers `post`, sandwiches `before` and `after`. In a
// parallel layer attention and MLP read the same x, and both are added to it.

import type { Encoding } from '../plan/plan.ts';

/** Rows of a matrix, in order: `times` runs of `count` rows, the first from row `first` on, each `step` rows behind the one before. */
export interface Rows {
  readonly first: number;
  readonly count: number;
  /** Default 1. */
  readonly times?: number;
  readonly step?: number;
}

/**
 * What is taken of one tensor of the checkpoint. A tensor of several dimensions is a matrix of its first by all others; one of which a vector
 * is made (biases, norms) is read in order.
 */
export interface Part {
  /** Its name in the checkpoint. */
  readonly tensor: string;
  /** Its shape there, checked; without axes of one place that no table of rows has. */
  readonly shape: readonly number[];
  /** True if it is stored [in, out], as GPT-2's Conv1D is. `rows` are those of the matrix [out, in]. */
  readonly transposed?: boolean;
  /** Default all. */
  readonly rows?: Rows;
  /** Columns `first`, `first + step` … of the matrix: one tap of a convolution, which is stored [out, in, taps]. Default all. */
  readonly columns?: { readonly first: number; readonly step: number };
}

/** A part that no tensor has: so many rows of zeros, such as the missing bias of a key beside those of query and value. */
export interface Zeros {
  readonly zeros: number;
}

/** A matrix [rows, columns] or a vector [rows]: the rows of its parts, one part after another. */
export interface Weight {
  readonly shape: readonly number[];
  readonly parts: readonly (Part | Zeros)[];
}

/** y = x·Wᵀ + b. */
export interface Linear {
  /** [out, in]. */
  readonly weight: Weight;
  /** [out]. */
  readonly bias?: Weight;
}

/** LayerNorm, (x − mean)/√(variance + ε)·w + b, or RMSNorm, x/√(mean x² + ε)·w; `offset` is added to w (Gemma: 1). */
export interface Norm {
  readonly kind: 'layer' | 'rms';
  readonly epsilon: number;
  /** Default 1. */
  readonly weight?: Weight;
  readonly bias?: Weight;
  /** Default 0. */
  readonly offset?: number;
}

/** gelu with the error function; gelu_new its usual approximation; quick_gelu x·σ(1.702x); relu2 max(x, 0)². */
export type Activation = 'gelu' | 'gelu_new' | 'quick_gelu' | 'silu' | 'relu' | 'relu2' | 'tanh' | 'sigmoid';

/** norm(activation(linear(x))): a step of a head. */
export interface Dense {
  readonly linear: Linear;
  readonly activation?: Activation;
  readonly norm?: Norm;
}

/**
 * A table of sinusoids, row r of distance d = T − 1 − r: [sin(d·f_i) …, cos(d·f_i) …], f_i = base^(−2i/width). `span` says which distances
 * there are: `'past'` T − 1 … 0, `'both'` T − 1 … 1 − T; T is the most tokens that the runner is to take. `clamp`: no distance is larger.
 */
export interface Sinusoids {
  readonly kind: 'sinusoids';
  readonly width: number;
  readonly base: number;
  readonly span: 'past' | 'both';
  readonly clamp?: number;
}

/** A table made once from others while loading: norm(rows)·Wᵀ + b. */
export interface Projected {
  readonly kind: 'projected';
  readonly rows: Weight | Sinusoids;
  readonly norm?: Norm;
  readonly by: Linear;
}

/** Numbers that a position scheme needs of the checkpoint. */
export type Table = Weight | Projected;

/** What is known of a call where a scheme is made anew for each. */
export interface PositionCall {
  /** Tokens of the text, or of the longest one. */
  readonly length: number;
  /** Segment of each token, if the text has segments. */
  readonly segments?: readonly number[];
}

/**
 * A position scheme: its tables, and the constructor that makes an encoding of their numbers. Layers that share one share the object; it is made
 * once then.
 */
export interface Position {
  /** The constructor's name. */
  readonly name: string;
  /** What is told to it beside the tables, for those who read the blueprint. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly tables: Readonly<Record<string, Table>>;
  /** True if texts with segments need an encoding of their own, made by `call`. Default false. */
  readonly segments?: boolean;
  /** A text of more tokens has other rotations, from its first token on: rows that were computed while it was shorter do not hold for it. */
  readonly until?: number;
  make(tables: Readonly<Record<string, Float32Array>>, call: PositionCall): Encoding;
}

/** How a sub-layer stands in the stream. */
export interface Residual {
  readonly before?: Norm;
  readonly after?: Norm;
  readonly post?: Norm;
  /** Default 1. */
  readonly multiplier?: number;
}

/** Attention with its projections. */
export interface Attention extends Residual {
  /** Query heads, H. */
  readonly heads: number;
  /** Key and value heads, G. */
  readonly keyHeads: number;
  /** Width of a query and key head, D. */
  readonly headWidth: number;
  /** Width of a value head, E. */
  readonly valueWidth: number;
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  /** Norm of q and k before they turn: of every head by itself ([D] weights), or of all heads together ([H·D]). */
  readonly queryNorm?: HeadNorm;
  readonly keyNorm?: HeadNorm;
  /** True: it reads not x but the rows of the embeddings before their projection, which are narrower. Only in the first layer of an encoder. */
  readonly unprojected?: boolean;
  /** Multiplies q·k. */
  readonly scale: number;
  readonly positions: readonly Position[];
  readonly causal: boolean;
  /** Keys that a query sees on each side beside its own; a missing side is unbounded. */
  readonly window?: { readonly left?: number; readonly right?: number };
  /** q, k and v are held within ± this, before all else. Of self-attention. */
  readonly clip?: number;
  readonly blocks?: BlockKeys;
  readonly softcap?: number;
  /** [H]: one more logit in the denominator. */
  readonly sinks?: Weight;
}

/**
 * Keys of blocks behind those of tokens (LongT5): of the sum of the rows of each `size` tokens, after `norm`; the last block has what tokens are left
 * over, and a text that is shorter than a block has none. Every query sees all of them, whatever the window. Of an encoder, in layers with a norm
 * before.
 */
export interface BlockKeys {
  readonly size: number;
  readonly norm: Norm;
}

export interface HeadNorm extends Norm {
  readonly over: 'head' | 'all';
}

/** down( activation(up(x)) ), or down( activation(gate(x)) · up(x) ). */
export interface Mlp extends Residual {
  readonly activation: Activation;
  readonly gate?: Linear;
  readonly up: Linear;
  readonly down: Linear;
}

/**
 * A convolution along a text beside a layer: x_t ← post( layer(x)_t + act( Σ_n W_n·x_{t+n−m} + b ) ), where m is the middle of the taps W, of which the
 * number is odd. Rows beyond the ends of the text are 0. Of an encoder.
 */
export interface Convolution {
  readonly taps: readonly Weight[];
  readonly bias?: Weight;
  readonly activation: Activation;
  readonly post: Norm;
}

export interface Layer {
  readonly attention: Attention;
  /** Attention over the encoder's rows, between the two. */
  readonly cross?: Attention;
  readonly mlp: Mlp;
  /** True: attention and MLP read the same x. If they have the same `before` (the same object), it is computed once. */
  readonly parallel: boolean;
  readonly beside?: Convolution;
}

/** Rare tokens with narrower rows of their own, from number `first` on: Transformer-XL's clusters. */
export interface RareTokens {
  readonly first: number;
  /** [tokens, columns]. */
  readonly table: Weight;
  readonly projection: Linear;
}

/** x = norm( projection( token·scale + position + type ) ). */
export interface Embeddings {
  /** [vocabulary, columns]; of tokens in clusters those of the first one. */
  readonly token: Weight;
  /** The other clusters, in order. Only where there is a projection, and neither positions, types nor a norm. */
  readonly rare?: readonly RareTokens[];
  /** Multiplies the token's row. Default 1. */
  readonly scale?: number;
  /** Row p + offset belongs to position p. */
  readonly position?: { readonly table: Weight; readonly offset: number };
  /** Rows by segment. */
  readonly type?: Weight;
  readonly projection?: Linear;
  readonly norm?: Norm;
}

/** One stack of layers. */
export interface Stack {
  readonly embeddings: Embeddings;
  readonly layers: readonly Layer[];
  /** After the last layer. */
  readonly norm?: Norm;
  /** Rows of zeros before a text, which every layer sees as its own input: Transformer-XL's first memory. */
  readonly memory?: number;
}

/** Logarithms of the probabilities of a cluster of rare tokens, given that the token is of it. */
export interface RareLogits {
  readonly dense: Dense;
  readonly output: Linear;
}

/**
 * Logits over the vocabulary: softcap( scale · output( dense(x) ) ).
 *
 * With `rare` they are logarithms of probabilities (Grave et al. 2016): the output has the tokens of the first cluster and then one channel for each
 * of the others, whose probability multiplies those of its tokens.
 */
export interface LogitsHead {
  readonly rare?: readonly RareLogits[];
  /** Whether the logits are logarithms of probabilities. Default false. */
  readonly logarithm?: boolean;
  /** Before the output: the transform of masked language models. */
  readonly dense?: Dense;
  /** Its weight is the same as `embeddings.token` if the two are tied. */
  readonly output: Linear;
  readonly scale?: number;
  readonly softcap?: number;
}

/** Logits over labels: the text's row, then one step after another. */
export interface Classifier {
  readonly pooling: 'first' | 'last' | 'mean';
  readonly steps: readonly Dense[];
  readonly labels: readonly string[];
  /** What the logits are: one of the labels (softmax), each by itself (sigmoid), or plain numbers. */
  readonly problem: 'one' | 'many' | 'regression';
}

/** Tokens with a meaning of their own. */
export interface Tokens {
  readonly begin?: number;
  /** Any of these ends a text. */
  readonly ends: readonly number[];
  readonly pad?: number;
  /** With which the decoder of an encoder-decoder starts. */
  readonly start?: number;
}

/** A model. */
export interface Blueprint {
  /** The file that made it. */
  readonly family: string;
  /** `model_type` of the config. */
  readonly modelType: string;
  /** Which stacks there are: one that sees the whole text, one that sees what came before, or both. */
  readonly kind: 'encoder' | 'decoder' | 'seq2seq';
  readonly width: number;
  readonly vocabulary: number;
  readonly encoder?: Stack;
  readonly decoder?: Stack;
  readonly logits?: LogitsHead;
  /** What is done to the first row to stand for the text, if the checkpoint has it. */
  readonly pooler?: Dense;
  /** What is done to a text's pooled row, step by step, to be its vector: layers that sentence-transformers has beside a model. */
  readonly afterPooling?: readonly Dense[];
  readonly classifier?: Classifier;
  readonly tokens: Tokens;
  /** Longest text, if there is a limit: rows of a table of positions, or what the model was made for. */
  readonly longest?: number;
}
