// What a caller of attention can ask for, and the one place that reads it: a frozen record of checked options travels on.

import { checkSignal, integer, options, scaleFactor, wrongType } from '../arguments/check.ts';
import { copyLengths, copyLogits, copyNumbers, type Logits, type Numbers } from '../arguments/lists.ts';
import { readList } from '../arguments/numbers.ts';
import type { PositionList } from '../arguments/positions.ts';
import { callback, choice, type Named, type Reader, type Readers, readRecord, whole } from '../arguments/record.ts';
import type { CallCache } from '../kvcache/cached-keys.ts';
import { isCache } from '../kvcache/known.ts';
import type { KVCache } from '../kvcache/kvcache.ts';
import type { Mask } from '../masks/mask.ts';
import { type MaskOption, readMasks } from '../masks/option.ts';
import type { Layout } from '../memory/layout.ts';
import type { Operand } from '../memory/operands.ts';
import { Tensor } from '../memory/tensor.ts';
import { isEncoding } from '../plan/handlers.ts';
import type { Encoding } from '../plan/plan.ts';
import type { Signal } from '../platform/types.ts';
import { type CheckedNorm, type QKNorm, readNorm } from './qk-norm.ts';

/** Options of `attention` and its relatives. */
export interface AttentionOptions {
  /** A position scheme, or several that add up. Default none. */
  readonly encoding?: Encoding | readonly Encoding[];
  /** Position of this call's first key among the keys of the whole: the call is a shard of them. Default 0; needs `totalKeys`. */
  readonly keyOffset?: number;
  /** Keys of the whole, T ≥ keyOffset + S; default S. Every S of alignments, windows and positions below is this one. */
  readonly totalKeys?: number;
  /** Position of this call's first query; default T − L. */
  readonly queryOffset?: number;
  /** True: key j is visible to query i when j ≤ i + (S − L), the bottom-right alignment; `{ offset }` sets j ≤ i + offset. */
  readonly causal?: boolean | { readonly offset: number };
  /** i + (S − L) − left ≤ j ≤ i + (S − L) + right, both inclusive; a missing side is unbounded. */
  readonly window?: { readonly left?: number; readonly right?: number };
  /** Multiplies q·k; default 1/√D. */
  readonly scale?: number;
  /** c > 0: the scaled score s becomes c · tanh(s/c), before biases and masks. */
  readonly softcap?: number;
  /**
   * One extra logit per query head in the denominator: [H]; `'smooth'` is a logit of 0 for all (smooth softmax). Not in a shard of the
   * keys, where `mergeStates` adds it, once.
   */
  readonly sinks?: Numbers | 'smooth';
  /** Normalises every row of q and k before all else; not beside an encoding that does so itself. */
  readonly qkNorm?: QKNorm;
  /** Which keys a query sees, in addition to the limits of `causal`, `window` and `keyLengths`: masks and mask tensors, all of which bind. */
  readonly mask?: MaskOption;
  /** Keys of the whole that count, per batch row: [B], each in 0 … S. The others are as if hidden. Alignment still follows S. */
  readonly keyLengths?: Int32Array | BigInt64Array | readonly number[];
  /** Default `'bhld'`. */
  readonly layout?: Layout;
  /**
   * Keys and values of the tokens before: k and v are stored behind them, then the queries attend to all. Without k and v (undefined or
   * null) nothing is stored. The L queries stand where the last L of the n new keys do, without new keys at the last L that are stored, and
   * S counts what is stored, in each batch row for itself. `keyLengths` is then the length of each row after the call: a row takes as many
   * of the new keys as it is short of that, and its queries beyond stand for nothing. A call that fails or is aborted leaves the cache as
   * it was.
   */
  readonly cache?: KVCache;
  /**
   * Beside a cache that rotates on append: positions of this call's rows, [n] or [B][n] in one array, for an encoding of several axes
   * [axes][n] or [axes][B][n], as in `KVCache.append`. The new keys are stored so; the queries are the last L of the rows. Without new keys,
   * or with more queries than those, they are of the L queries, and the keys the last of them.
   *
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const encoding = mrope({ dim: 8, theta: 10000, layout: 'halves', sections: [2, 1, 1] });
   * const cache = engine.kvCache({ batch: 1, heads: 1, headDim: 8, capacity: 100, encoding });
   * const rows = (n: number) => engine.tensor([1, 1, n, 8]);
   * const image = [0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 1]; // 2 × 2 patches at one time: times, rows, columns
   * await engine.attention(rows(4), rows(4), rows(4), { cache, causal: true, positions: image });
   * await engine.attention(rows(1), rows(1), rows(1), { cache, causal: true, positions: [2, 2, 2] }); // a word
   * engine.dispose();
   * ```
   */
  readonly positions?: PositionList;
  /**
   * Packed sequences: q is [T, H, D], k [U, G, D], v [U, G, E] and the result [T, H, E], N documents one after another without padding.
   * Document n has the queries queryOffsets[n] … queryOffsets[n + 1] − 1, keys likewise; both lists are [N + 1], from 0 to T and to U. Each
   * document is a call of its own in all respects, bit for bit: positions restart in each, masks count from its start, `causal` aligns at
   * its bottom right. Log-sum-exp are then [H, T].
   *
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const [q, k] = [engine.tensor([9, 4, 16]), engine.tensor([9, 2, 16])]; // three documents of 4, 2 and 3 tokens
   * const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
   * const out = await engine.attention(q, k, k, { queryOffsets: [0, 4, 6, 9], causal: true, encoding });
   * out.shape; // [9, 4, 16]
   * engine.dispose();
   * ```
   */
  readonly queryOffsets?: Int32Array | BigInt64Array | readonly number[];
  /** Default `queryOffsets`. */
  readonly keyOffsets?: Int32Array | BigInt64Array | readonly number[];
  /**
   * Written instead of a new tensor, and never one of a file; same shape as the result, f32, f16 or bf16. Its memory, from the first element to the last, may meet that
   * of no tensor of the call: operands, biases, masks, sinks or weights. So slices of one tensor that interleave are refused too.
   */
  readonly out?: Tensor;
  /** Stops the call between tiles; it rejects with the signal's reason and leaves `out` as it was. Asynchronous calls only. */
  readonly signal?: Signal;
  /** Called now and then with tiles done and tiles in all; what it throws stops the call as `signal` does. Asynchronous calls only. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** The sides of a window that are bounded. */
export interface CheckedWindow {
  readonly left?: number;
  readonly right?: number;
}

/** Options of a call, checked as far as they can be without its shapes. What is left out is undefined. */
export interface CheckedOptions {
  readonly encoding?: readonly Named<Encoding>[];
  readonly keyOffset?: number;
  readonly totalKeys?: number;
  readonly queryOffset?: number;
  readonly causal?: boolean | { readonly offset: number };
  readonly window?: CheckedWindow;
  readonly scale?: number;
  readonly softcap?: number;
  readonly sinks?: Logits | 'smooth';
  readonly qkNorm?: CheckedNorm;
  readonly mask?: readonly Named<Mask | Operand>[];
  readonly keyLengths?: Float64Array;
  readonly layout?: Layout;
  readonly cache?: CallCache;
  readonly positions?: Float64Array;
  readonly queryOffsets?: Float64Array;
  readonly keyOffsets?: Float64Array;
  readonly out?: Tensor;
  readonly signal?: Signal;
  readonly onProgress?: NonNullable<AttentionOptions['onProgress']>;
}

/** Stands for "no bound" in FIRST and LAST; far beyond any position, far from overflow when added to one. */
export const UNBOUNDED: number = 0x40000000;

/** One or several encodings. */
function readEncodings(where: string, name: string, value: unknown): readonly Named<Encoding>[] {
  const one = (name: string, item: unknown): Named<Encoding> => {
    if (!isEncoding(item)) throw wrongType(where, name, 'an encoding such as rotary({ … }), or one of your own by defineEncoding', item);
    return { name, value: item };
  };
  return Array.isArray(value) ? readList(where, name, value, (item, n) => one(`${name}[${n}]`, item)) : [one(name, value)];
}

function readCausal(where: string, name: string, value: unknown): boolean | { readonly offset: number } {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'object' || value === null) throw wrongType(where, name, 'true or false', value);
  const { offset } = options(where, value, ['offset'], name);
  return { offset: integer(where, `${name}.offset`, offset, -UNBOUNDED, UNBOUNDED) };
}

const WINDOW: Readers<CheckedWindow> = { left: /* @__PURE__ */ whole(0, UNBOUNDED), right: /* @__PURE__ */ whole(0, UNBOUNDED) };

function readCache(where: string, name: string, value: unknown): CallCache {
  if (!isCache(value)) throw wrongType(where, name, 'a cache from engine.kvCache', value);
  return value as CallCache;
}

/** A tensor as an output. That it fits is checked with the shapes. */
export const outputTensor: Reader<Tensor> = (where, name, value) => {
  if (!(value instanceof Tensor)) throw wrongType(where, name, 'a tensor', value);
  return value;
};

/** Every option, and what reads it. */
export const OPTIONS: Readers<CheckedOptions> = {
  encoding: readEncodings,
  keyOffset: /* @__PURE__ */ whole(0, UNBOUNDED),
  totalKeys: /* @__PURE__ */ whole(0, UNBOUNDED),
  queryOffset: (where, name, value) => integer(where, name, value, -UNBOUNDED, UNBOUNDED),
  causal: readCausal,
  window: (where, name, value) => readRecord(where, value, WINDOW, name),
  scale: (where, name, value) => scaleFactor(where, name, value, true),
  softcap: (where, name, value) => scaleFactor(where, name, value),
  sinks: (where, name, value) => (value === 'smooth' ? value : copyLogits(where, name, value)),
  qkNorm: readNorm,
  mask: readMasks,
  keyLengths: copyLengths,
  layout: /* @__PURE__ */ choice('bhld', 'blhd'),
  cache: readCache,
  positions: copyNumbers,
  queryOffsets: copyLengths,
  keyOffsets: copyLengths,
  out: outputTensor,
  signal: (where, name, value) => checkSignal(where, value, name) as Signal,
  onProgress: callback,
};

/** The names of all options. */
export const OPTION_NAMES: readonly string[] = /* @__PURE__ */ Object.keys(OPTIONS);

/** The options of a call as a record of their own. @throws TypeError, RangeError that names the option */
export function checkOptions(where: string, given: unknown, readers: Readers<CheckedOptions> = OPTIONS): CheckedOptions {
  return given === undefined ? NONE : readRecord(where, given, readers);
}

const NONE: CheckedOptions = /* @__PURE__ */ Object.freeze({});

/** The readers of a call that cannot be stopped, or tell how far it is: no list of options has `signal` and `onProgress`, which are refused. */
export function withoutAsync<T extends object>(readers: T): T {
  const own = { ...readers };
  for (const name of ['signal', 'onProgress']) if (name in own) Object.defineProperty(own, name, { enumerable: false });
  return own;
}

let ofPrepared: Readers<CheckedOptions> | undefined;

/** `checkOptions` for a call that is prepared: whoever prepares it refuses what is given to its runs. */
export function checkPrepareOptions(where: string, given: unknown): CheckedOptions {
  ofPrepared ??= withoutAsync(OPTIONS);
  return checkOptions(where, given, ofPrepared);
}

/** The same for one that returns its result itself. */
export function checkSyncOptions(where: string, given: unknown): CheckedOptions {
  const checked = checkPrepareOptions(where, given);
  forbidAsync(where, checked);
  return checked;
}

/** @throws TypeError if an option makes no sense in a synchronous call */
export function forbidAsync(where: string, { signal, onProgress }: Pick<CheckedOptions, 'signal' | 'onProgress'>): void {
  if (signal !== undefined) throw new TypeError(`${where}: "signal" works with the asynchronous form only`);
  if (onProgress !== undefined) throw new TypeError(`${where}: "onProgress" works with the asynchronous form only`);
}
