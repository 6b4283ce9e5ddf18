// One score and its probability taken apart: what is asked, and what is answered.

import type { Encoding } from 'relpos';

/** A call of attention, of which one head is looked at. */
export interface Problem {
  /** The schemes that add up; none for attention without positions. */
  readonly encodings: readonly Encoding[];
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
  /** [H, L, D]. */
  readonly q: Float32Array;
  /** [G, S, D]. */
  readonly k: Float32Array;
  readonly head: number;
  readonly options: CallOptions;
}

/** Options of the call beside its encoding. */
export interface CallOptions {
  readonly scale?: number;
  readonly softcap?: number;
  readonly causal?: boolean | { readonly offset: number };
  readonly window?: { readonly left?: number; readonly right?: number };
  /** One logit per head. */
  readonly sinks?: readonly number[];
}

/** All cells of the head, [L, S]. */
export interface Matrix {
  /** NaN where the key is hidden. */
  readonly probabilities: Float32Array;
  /** Before the mask; NaN where nothing can be said: for keys of contextual positions that are hidden, or whose probability is 0. */
  readonly scores: Float32Array;
}

/** A vector and what it became. */
export interface Vectors {
  readonly q: Float32Array;
  readonly k: Float32Array;
  /** q̂ and k̂: normalised, turned and scaled, where the scheme does so. */
  readonly qHat: Float32Array;
  readonly kHat: Float32Array;
  /** q̂_c · k̂_c of every channel c. */
  readonly products: Float32Array;
  /** u of the head. */
  readonly u?: Float32Array;
}

/** c·(q + w)·R[ρ] or c·k·R[ρ]. */
export interface TermPart {
  readonly kind: 'query' | 'key';
  /** c. */
  readonly scale: number;
  /** The product without c. */
  readonly dot: number;
  readonly value: number;
  /** ρ(i, j): the row of the table, or undefined outside it. */
  readonly row: number | undefined;
  /** R[ρ], zeros outside the table. */
  readonly vector: Float32Array;
  /** w of the head. */
  readonly w?: Float32Array;
}

/** What is added behind the softcap. */
export interface BiasPart {
  readonly kind: 'offset' | 'index' | 'curve' | 'sum' | 'dense';
  readonly value: number;
  /** The gate of the row by which it is multiplied, where there is one. */
  readonly gate?: number;
  /** index(i, j), for one that is looked up by index. */
  readonly index?: number;
}

/** A score in its parts, in the order in which they are taken. */
export interface ScoreParts {
  /** q̂·k̂. */
  readonly dot: number;
  readonly scale: number;
  /** scale · q̂·k̂. */
  readonly content: number;
  /** The number of the row by which q was multiplied. */
  readonly rowScale?: number;
  /** scale · u·k̂. */
  readonly contentBias?: number;
  readonly terms: readonly TermPart[];
  /** Content and terms, before the softcap. */
  readonly sum: number;
  /** c · tanh(sum / c). */
  readonly capped?: number;
  /** Contextual positions: what they add. */
  readonly context?: number;
  /** Multiply what is there. */
  readonly factors: readonly number[];
  readonly biases: readonly BiasPart[];
  /** All of them, by a call of their own, before the mask; NaN for a key of contextual positions that is hidden or whose probability is 0, of which nothing can be said. */
  readonly score: number;
}

/** Keys that the online softmax takes at a time. */
export interface Block {
  readonly first: number;
  readonly count: number;
  /** The largest score of the block; −Infinity if all its keys are hidden. */
  readonly largest: number;
  /** The largest so far, m. */
  readonly max: number;
  /** exp(m before − m): what the sum so far is multiplied by. */
  readonly rescale: number;
  /** Σ exp(s − m) over the block. */
  readonly added: number;
  /** Σ exp(s − m) so far. */
  readonly sum: number;
}

/** The softmax of one row. */
export interface Softmax {
  /** Scores of the row, [S]; −Infinity where hidden. */
  readonly scores: Float32Array;
  readonly probabilities: Float32Array;
  readonly blocks: readonly Block[];
  readonly sink?: { readonly logit: number; readonly added: number };
  readonly max: number;
  /** The denominator, with the sink. */
  readonly sum: number;
  /** Log-sum-exp of the row, with the sink. */
  readonly lse: number;
  /** exp(s − m) of the cell; 0 if it is hidden. */
  readonly own: number;
  readonly probability: number;
}

/** The keys in two halves. */
export interface Halves {
  /** True: each half was given its own keys alone; false: all keys, of which the others were hidden. */
  readonly apart: boolean;
  readonly parts: readonly {
    readonly first: number;
    readonly count: number;
    readonly lse: number;
    /** exp(lse of the half − lse of all): its weight. */
    readonly weight: number;
    /** Of key j within the half; 0 in the half that does not hold it. */
    readonly probability: number;
  }[];
  /** The weight of the sink, where there is one. */
  readonly sink?: number;
  readonly lse: number;
  readonly probability: number;
}

/** Everything about a cell. */
export interface Explanation {
  readonly i: number;
  readonly j: number;
  readonly keyHead: number;
  /** j − i − (S − L). */
  readonly offset: number;
  readonly vectors: Vectors;
  /** What the scheme does to q and k before they meet. */
  readonly changes: readonly ('normalised' | 'turned' | 'multiplied')[];
  readonly parts: ScoreParts;
  /** What hides the key from the query. */
  readonly hiddenBy: readonly ('causal' | 'window')[];
  readonly softmax: Softmax;
  /** Undefined for contextual positions, which count all visible keys: they cannot be split. */
  readonly halves: Halves | undefined;
}
