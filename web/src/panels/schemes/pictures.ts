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
}

/** Keys of a call for scores. */
const SHARD = 32;
/** Probabilities below this have lost digits, or are zero. */
const SMALL = 1e-30;
/** Schemes that need all keys in one call. */
const WHOLE = ['cope', 'bias'];

/** What one request has in the engine's memory. */
class Scope implements Disposable {
  readonly #owned: { dispose(): void }[] = [];
  readonly #identities = new Map<number, Tensor>();
  readonly engine: Engine;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  tensor(shape: readonly number[], data?: Float32Array): Tensor {
    return this.keep(this.engine.tensor(shape, data));
  }

  keep<T extends { dispose(): void }>(owned: T): T {
    this.#owned.push(owned);
    return owned;
  }

  /** n values of n numbers, the identity matrix. */
  identity(n: number): Tensor {
    const found = this.#identities.get(n) ?? this.tensor([1, 1, n, n], numbers.identity(n));
    this.#identities.set(n, found);
    return found;
  }

  /** The options as the engine takes them. */
  options(written: CallOptions): AttentionOptions {
    const tensor = (shape: readonly number[], data: Float32Array): Tensor => this.tensor(shape, data);
    return resolve(written, { ...relpos, ...numbers, 'engine.tensor': tensor } as never) as AttentionOptions;
  }

  [Symbol.dispose](): void {
    for (const one of this.#owned) one.dispose();
  }
}

/** A call of attention on given queries and keys. */
interface Call {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly written: CallOptions;
  readonly options: AttentionOptions;
}

/** The pictures of a request's calls. */
export function picturesOf(engine: Engine, { sizes, inputs, head, sides }: Request): Pictures[] {
  using scope = new Scope(engine);
  const { H, D, L, S } = sizes;
  const q = scope.tensor([1, H, L, D], queries(sizes, inputs));
  const k = scope.tensor([1, 1, S, D], keys(sizes, inputs));
  return sides.map((side) => picturesOfSide(scope, side, q, k, sizes, head));
}

function picturesOfSide(scope: Scope, side: Side, q: Tensor, k: Tensor, sizes: Sizes, head: number): Pictures {
  const { H, D, L, S } = sizes;
  const call: Call = { q, k, written: side.options, options: scope.options(side.options) };
  const scores = scoresOf(scope, call, sizes, head);
  const added = side.bias
    ? scoresOf(scope, { ...call, q: scope.tensor([1, H, L, D]), k: scope.tensor([1, 1, S, D]) }, sizes, head)
    : less(scores, scoresWithout(scope, call, sizes, head));
  return { scores, probabilities: probabilitiesOf(scope, call, S, head), added, curve: meansByDistance(scores, sizes) };
}

/** [L, S]: attention's output where the values are the identity matrix. */
function probabilitiesOf(scope: Scope, { q, k, options }: Call, S: number, head: number): Float32Array {
  using out = scope.engine.attentionSync(q, k, scope.identity(S), options);
  return numbersOf(out, head);
}

/** The numbers of one head. */
function numbersOf(tensor: Tensor, head: number): Float32Array {
  using own = tensor.slice(0, head);
  return own.toArray() as Float32Array;
}

/** Scores before the softmax, [L, S]; −Infinity is hidden. */
function scoresOf(scope: Scope, call: Call, sizes: Sizes, head: number): Float32Array {
  const { L, S } = sizes;
  const scores = new Float32Array(L * S).fill(Number.NEGATIVE_INFINITY);
  const sees = visibility(call.written, sizes);
  const whole = WHOLE.includes(call.written.encoding?.call ?? '');
  const shard = whole ? S : SHARD;
  /** Fills the columns; where a probability is too small they are taken by halves, down to single keys, whose log-sum-exp is their score. */
  const columns = (from: number, to: number): void => {
    const width = to - from;
    using own = call.k.slice(null, null, [from, to]);
    const { out, lse } = scope.engine.attentionPartialSync(call.q, own, scope.identity(width), {
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

/** The scores of the same call without its scheme. */
function scoresWithout(scope: Scope, call: Call, sizes: Sizes, head: number): Float32Array {
  const { encoding: _, ...written } = call.written;
  const { encoding: __, ...options } = call.options;
  return scoresOf(scope, { ...call, written, options }, sizes, head);
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
