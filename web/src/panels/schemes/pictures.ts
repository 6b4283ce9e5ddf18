// Scores, biases and probabilities out of the engine's own attention. With the identity matrix as values its output is the matrix of probabilities.
// A score is the logarithm of a probability and the row's log-sum-exp: taken over few keys at a time, so that no probability is too small for f32.

import type { AttentionOptions, Engine, Tensor } from 'relpos';
import * as relpos from 'relpos';
import type { Sizes } from '../../schemes/describe.ts';
import { keys, queries } from '../../schemes/inputs.ts';
import * as numbers from '../../schemes/numbers.ts';
import { resolve } from '../../schemes/written.ts';
import type { Request } from './request.ts';
import type { CallOptions, Side } from './side.ts';

/** Pictures of one call. */
export interface Pictures {
  /** Before the softmax, [L, S]; −Infinity is hidden. */
  readonly scores: Float32Array;
  /** [L, S]. */
  readonly probabilities: Float32Array;
  /** What the scheme adds to the score: its bias, or the score with it less the score without, [L, S]; NaN is hidden. */
  readonly added: Float32Array;
  /** The mean of the visible scores at each distance, [L + S − 1], from −(L − 1); NaN where nothing is visible. */
  readonly curve: Float32Array;
  /** The median over the queries of the greatest probability: what a picture's brightest colour should stand for. */
  readonly bright: number;
}

/** Keys of a call for scores. */
const SHARD = 32;
/** Probabilities below this have lost digits, or are zero. */
const SMALL = 1e-30;
/** Schemes that need all keys in one call. */
const WHOLE = ['cope', 'bias'];

/** A call of attention on given queries and keys. */
interface Call {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly written: CallOptions;
  readonly options: AttentionOptions;
}

/** Queries and keys, zeros of their shapes, and what follows from them alone: kept from request to request as long as they are asked for. */
class Inputs implements Disposable {
  readonly sizes: Sizes;
  readonly q: Tensor;
  readonly k: Tensor;
  readonly zeroQ: Tensor;
  readonly zeroK: Tensor;
  /** Scores without a scheme, by the other options. */
  readonly plain = new Map<string, Float32Array>();
  readonly #engine: Engine;
  readonly #identities = new Map<number, Tensor>();

  constructor(engine: Engine, { sizes, inputs }: Request) {
    const { H, D, L, S } = sizes;
    this.#engine = engine;
    this.sizes = sizes;
    this.q = engine.tensor([1, H, L, D], queries(sizes, inputs));
    this.k = engine.tensor([1, 1, S, D], keys(sizes, inputs));
    this.zeroQ = engine.tensor([1, H, L, D]);
    this.zeroK = engine.tensor([1, 1, S, D]);
  }

  /** Values of n keys: n numbers each, the identity matrix. */
  identity(n: number): Tensor {
    const found = this.#identities.get(n) ?? this.#engine.tensor([1, 1, n, n], numbers.identity(n));
    this.#identities.set(n, found);
    return found;
  }

  [Symbol.dispose](): void {
    for (const tensor of [this.q, this.k, this.zeroQ, this.zeroK, ...this.#identities.values()]) tensor.dispose();
  }
}

/** Makes pictures, request after request. */
export class PictureMaker implements Disposable {
  readonly #engine: Engine;
  #key = '';
  #inputs: Inputs | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The pictures of a request's calls. */
  make(request: Request): Pictures[] {
    const inputs = this.#inputsOf(request);
    return request.sides.map((side) => picturesOfSide(this.#engine, inputs, side, request.head));
  }

  #inputsOf(request: Request): Inputs {
    const key = JSON.stringify([request.sizes, request.inputs, request.head]);
    if (this.#inputs && key === this.#key) return this.#inputs;
    this.#inputs?.[Symbol.dispose]();
    this.#key = key;
    this.#inputs = new Inputs(this.#engine, request);
    return this.#inputs;
  }

  [Symbol.dispose](): void {
    this.#inputs?.[Symbol.dispose]();
    this.#inputs = undefined;
  }
}

/** The pictures of one request. */
export function picturesOf(engine: Engine, request: Request): Pictures[] {
  using maker = new PictureMaker(engine);
  return maker.make(request);
}

function picturesOfSide(engine: Engine, inputs: Inputs, side: Side, head: number): Pictures {
  const owned: Tensor[] = [];
  const tensor = (shape: readonly number[], data: Float32Array): Tensor => {
    const made = engine.tensor(shape, data);
    owned.push(made);
    return made;
  };
  try {
    const options = resolve(side.options, { ...relpos, ...numbers, 'engine.tensor': tensor } as never) as AttentionOptions;
    const call: Call = { q: inputs.q, k: inputs.k, written: side.options, options };
    const scores = scoresOf(engine, inputs, call, head);
    const added = side.bias
      ? scoresOf(engine, inputs, { ...call, q: inputs.zeroQ, k: inputs.zeroK }, head)
      : less(scores, plainScores(engine, inputs, call, head));
    const probabilities = probabilitiesOf(engine, inputs, call, head);
    const curve = meansByDistance(scores, inputs.sizes);
    return { scores, probabilities, added, curve, bright: medianOfMost(probabilities, inputs.sizes) };
  } finally {
    for (const one of owned) one.dispose();
  }
}

/** The scores of the same call without its scheme. */
function plainScores(engine: Engine, inputs: Inputs, call: Call, head: number): Float32Array {
  const { encoding: _, ...written } = call.written;
  const { encoding: __, ...options } = call.options;
  const key = JSON.stringify(written);
  const found = inputs.plain.get(key) ?? scoresOf(engine, inputs, { ...call, written, options }, head);
  // One of each kind of limits is enough: people drag one slider at a time.
  if (inputs.plain.size > 4) inputs.plain.clear();
  inputs.plain.set(key, found);
  return found;
}

/** [L, S]: attention's output where the values are the identity matrix. */
function probabilitiesOf(engine: Engine, inputs: Inputs, { q, k, options }: Call, head: number): Float32Array {
  using out = engine.attentionSync(q, k, inputs.identity(inputs.sizes.S), options);
  return numbersOf(out, head);
}

/** The numbers of one head. */
function numbersOf(tensor: Tensor, head: number): Float32Array {
  using own = tensor.slice(0, head);
  return own.toArray() as Float32Array;
}

/** Scores before the softmax, [L, S]; −Infinity is hidden. */
function scoresOf(engine: Engine, inputs: Inputs, call: Call, head: number): Float32Array {
  const { sizes } = inputs;
  const { L, S } = sizes;
  const scores = new Float32Array(L * S).fill(Number.NEGATIVE_INFINITY);
  const sees = visibility(call.written, sizes);
  const whole = WHOLE.includes(call.written.encoding?.call ?? '');
  const shard = whole ? S : SHARD;
  /** Fills the columns; where a probability is too small they are taken by halves, down to single keys, whose log-sum-exp is their score. */
  const columns = (from: number, to: number): void => {
    const width = to - from;
    using own = call.k.slice(null, null, [from, to]);
    const { out, lse } = engine.attentionPartialSync(call.q, own, inputs.identity(width), {
      ...call.options,
      ...(!whole && { keyOffset: from, totalKeys: S }),
    });
    const [p, sums] = [numbersOf(out, head), numbersOf(lse, head)];
    out.dispose();
    lse.dispose();
    for (let i = 0; i < L; i++) {
      for (let n = 0; n < width; n++) {
        if (!sees(i, from + n)) continue;
        const probability = p[i * width + n] as number;
        if (probability < SMALL && width > 1 && !whole) {
          const middle = from + (width >> 1);
          columns(from, middle);
          columns(middle, to);
          return;
        }
        scores[i * S + from + n] = Math.log(probability) + (sums[i] as number);
      }
    }
  };
  for (let from = 0; from < S; from += shard) columns(from, Math.min(S, from + shard));
  return scores;
}

/** Which keys a query sees by the call's limits. */
function visibility({ causal, window }: CallOptions, { L, S }: Sizes): (i: number, j: number) => boolean {
  const last = causal === undefined ? S : causal === true ? S - L : causal.offset;
  const first = window === undefined ? -S : S - L - window.left;
  return (i, j) => (causal === undefined || j <= i + last) && j >= i + first;
}

function less(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((x, n) => x - (b[n] as number));
}

/** The median of the rows' greatest numbers. */
function medianOfMost(values: Float32Array, { L, S }: Sizes): number {
  const most = Float32Array.from({ length: L }, (_, i) => values.subarray(i * S, (i + 1) * S).reduce((a, b) => Math.max(a, b), 0));
  return most.sort()[L >> 1] as number;
}

/** The mean of what is visible at each distance from a query back to a key, from −(L − 1) to S − 1. */
export function meansByDistance(scores: Float32Array, { L, S }: Sizes): Float32Array {
  const [sums, counts] = [new Float64Array(L + S - 1), new Float64Array(L + S - 1)];
  for (let i = 0; i < L; i++) {
    for (let j = 0; j < S; j++) {
      const score = scores[i * S + j] as number;
      if (score === Number.NEGATIVE_INFINITY) continue;
      const at = i + S - 1 - j;
      sums[at] = (sums[at] as number) + score;
      counts[at] = (counts[at] as number) + 1;
    }
  }
  return Float32Array.from(sums, (sum, at) => sum / (counts[at] as number));
}
