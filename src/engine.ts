import { ended, RelposError } from './arguments/errors.ts';
import { prepareAttention } from './attention/attention.ts';
import { type EstimateRequest, estimate, type MemoryEstimate } from './attention/estimate.ts';
import { type AttentionOptions, checkOptions, checkPrepareOptions, checkSyncOptions } from './attention/options.ts';
import { checkRotateOptions, prepareRotation, type RotateOptions } from './attention/rotate.ts';
import type { SelfTestReport } from './attention/selftest.ts';
import { checkWeightsOptions, checkWeightsSyncOptions, type WeightsOptions, weightsSteps } from './attention/weights.ts';
import { type Capabilities, contextOf, endCore, type Made } from './core.ts';
import { type KVCache, type KVCacheOptions, makeCache } from './kvcache/kvcache.ts';
import type { MemoryUsage } from './memory/arena.ts';
import { Disposing } from './memory/dispose.ts';
import type { DType } from './memory/dtypes.ts';
import { makeTensor, type Tensor, type TensorData, type TensorLike } from './memory/tensor.ts';
import { checkMergeOptions, type GivenState, type MergeOptions, prepareMerge } from './partial/merge.ts';
import { keepParts } from './parts.ts';
import type { Call, Context } from './plan/context.ts';
import { withHandlers } from './plan/handlers.ts';
import type { Arithmetic, Encoding } from './plan/plan.ts';
import { KIT } from './prepared/kit.ts';
import type { PreparedAttention, PrepareOptions } from './prepared/types.ts';
import { jobOf } from './threads/job.ts';
import type { JobOptions, Pool } from './threads/types.ts';
import type { Precision } from './wasm/variants.ts';

/**
 * Attention and position schemes on one WebAssembly memory. Made by `createEngine`; ended by `dispose()` or `using`, which ends the
 * workers and drops the memory.
 */
export class Engine extends Disposing {
  readonly #host: Made['host'];
  readonly #pool: Pool;
  readonly #precision: Precision;
  readonly #context: Context;
  #capabilities: Capabilities | undefined;
  #disposed = false;

  /** @internal */
  constructor(made: Made) {
    super();
    this.#host = made.host;
    this.#pool = made.pool;
    this.#precision = made.precision;
    this.#context = contextOf(made, () => this.#alive());
    keepParts(this, { context: this.#context, pool: this.#pool, precision: this.#precision });
  }

  /** What the host gives, and how many threads are at work: fewer from when workers were lost that could not be replaced. */
  get capabilities(): Capabilities {
    const { threads } = this.#pool;
    const reason = [this.#pool.reason, this.#host.reason].filter((text) => text !== undefined).join('; ') || undefined;
    const known = this.#capabilities;
    if (known && (this.#disposed || (known.threads === threads && known.reason === reason))) return known;
    this.#capabilities = Object.freeze({ ...this.#host, threads, ...(reason !== undefined && { reason }) });
    return this.#capabilities;
  }

  /**
   * An array in the engine's memory: a copy of `data`, or zeros.
   *
   * @param shape lengths of the dimensions, ≥ 0
   * @param data a typed array of the dtype (f16 and bf16: Float32Array to convert, or Uint16Array of raw bits) or numbers
   * @param dtype default `'f32'`
   * @throws TypeError, RangeError if an argument is wrong
   * @throws RelposError `out-of-memory`, `disposed`
   */
  tensor(shape: readonly number[], data?: TensorData, dtype: DType = 'f32'): Tensor {
    return makeTensor(this.#context, 'tensor', shape, data, dtype);
  }

  /**
   * softmax(scale · q·kᵀ + biases + mask) · v, never materialising L × S.
   *
   * Shapes: q [B, H, L, D], k [B, G, S, D], v [B, G, S, E], result [B, H, L, E]; with `layout: 'blhd'` heads and positions change places.
   * D and E are 1 … 1024. A tensor that a call reads may also be one of a safetensors file, which is copied for the length of the call.
   *
   * With H > G, query head h uses key head ⌊h / (H/G)⌋: of 6 heads over 2, heads 0, 1, 2 use 0.
   *
   * `causal: true` aligns bottom-right. Visible keys (1) of each query:
   *
   *     L = 2, S = 5      L = 5, S = 2
   *     1 1 1 1 0         0 0
   *     1 1 1 1 1         0 0
   *                       0 0
   *                       1 0
   *                       1 1
   *
   * A query that sees no key yields exactly 0.
   *
   * @throws TypeError, RangeError if an argument is wrong; nothing is changed then
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`; the signal's reason if it is aborted
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const q = engine.tensor([1, 2, 3, 4], Float32Array.from({ length: 24 }, (_, i) => i / 24));
   * const out = await engine.attention(q, q, q, { encoding: rotary({ dim: 4, theta: 10000, layout: 'halves' }), causal: true });
   * out.toArray(); // 24 numbers
   * engine.dispose();
   * ```
   */
  async attention(
    q: TensorLike,
    k: TensorLike | null | undefined,
    v: TensorLike | null | undefined,
    options?: AttentionOptions,
  ): Promise<Tensor> {
    const checked = checkOptions('attention', options);
    return (await this.#run(prepareAttention(this.#context, 'attention', q, k, v, checked, false), checked)).out;
  }

  /** `attention` before returning: on several threads where the calling thread may block, else on the caller's. */
  attentionSync(q: TensorLike, k: TensorLike | null | undefined, v: TensorLike | null | undefined, options?: AttentionOptions): Tensor {
    const checked = checkSyncOptions('attentionSync', options);
    return this.#runSync(prepareAttention(this.#context, 'attentionSync', q, k, v, checked, false)).out;
  }

  /**
   * `attention` with the log-sum-exp of each row's scores, natural log, [B, H, L]: what is needed to merge with attention over other
   * keys. A row that sees no key has 0 and −Infinity. With sinks, the sink counts.
   *
   * For a shard of the keys, k and v hold keys `keyOffset` … `keyOffset + S − 1` of `totalKeys`; every other option says what it says for
   * the whole. Positions, alignment, windows and biases are then those of the whole, and `mergeStates` of all shards is the whole up to
   * rounding. Explicit positions and index maps are the exception: they are of the shard's own keys.
   *
   * @throws TypeError, RangeError if an argument is wrong, such as `sinks` in a shard: `mergeStates` adds them
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`; the signal's reason if it is aborted
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const [q, k] = [engine.tensor([1, 2, 1, 8]), engine.tensor([1, 2, 100, 8])];
   * const rows = (from: number, to: number) => k.slice(null, null, [from, to]);
   * const options = { encoding: alibi({ heads: 2 }), causal: true, totalKeys: 100 };
   * const near = await engine.attentionPartial(q, rows(60, 100), rows(60, 100), { ...options, keyOffset: 60 });
   * const far = await engine.attentionPartial(q, rows(0, 60), rows(0, 60), { ...options, keyOffset: 0 });
   * const { out } = await engine.mergeStates([far, near]);
   * engine.dispose();
   * ```
   */
  async attentionPartial(
    q: TensorLike,
    k: TensorLike | null | undefined,
    v: TensorLike | null | undefined,
    options?: AttentionOptions,
  ): Promise<{ out: Tensor; lse: Tensor }> {
    const checked = checkOptions('attentionPartial', options);
    const call = prepareAttention(this.#context, 'attentionPartial', q, k, v, checked, true);
    return (await this.#run(call, checked)) as { out: Tensor; lse: Tensor };
  }

  /**
   * `attention` for calls that are made again and again with the same tensors: checks, plans and reserves what they need once, and each `run`
   * then costs next to nothing. The bits are those of `attention`.
   *
   * With a cache, every run appends k and v and attends at the next position, so a decoding loop prepares one call for each layer and writes
   * the token's q, k and v into their tensors. Without one, every run attends to what q, k and v hold at the time.
   *
   * Loads a part of the package that no other call needs, hence the promise.
   *
   * q, k and v are tensors of the engine, none of a file: those would be read once.
   *
   * A step costs that little where the encodings are rotary with frequencies that stay, biases by the offset that stay (ALiBi, T5 and their
   * like), or none, the rows of the batch are of one length and the cache has no window, or one without sinks. With other biases, tables met by
   * queries or keys, windows with sinks, masks, rows of different lengths or `positions` every step is planned anew and costs what
   * `attentionSync` does. Without a cache no run is planned anew.
   *
   * @param options those of `attention`; `signal` and `onProgress` are given to each run
   * @throws TypeError, RangeError if an argument is wrong; nothing is changed then
   * @throws RelposError `out-of-memory`, `disposed`, `busy`
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const encoding = rotary({ dim: 64, theta: 10000, layout: 'halves' });
   * const cache = engine.kvCache({ batch: 1, heads: 2, headDim: 64, capacity: 1000, encoding });
   * const [q, k, v] = [engine.tensor([1, 8, 1, 64]), engine.tensor([1, 2, 1, 64]), engine.tensor([1, 2, 1, 64])];
   * const step = await engine.prepare(q, k, v, { cache, causal: true });
   * for (let token = 0; token < 3; token++) {
   *   q.set(new Float32Array(8 * 64).fill(token)); // what the layer projects for the token; k and v likewise
   *   step.runSync(); // step.out, [1, 8, 1, 64]
   * }
   * cache.length; // 3
   * engine.dispose();
   * ```
   */
  async prepare(
    q: Tensor,
    k: Tensor | null | undefined,
    v: Tensor | null | undefined,
    options?: PrepareOptions,
  ): Promise<PreparedAttention> {
    return this.#prepare('prepare', q, k, v, options, false);
  }

  /**
   * `prepare` with the log-sum-exp of each row in `lse`, as `attentionPartial` gives it: the prepared call itself is a state for `mergeStates`.
   *
   * @throws as `prepare`
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const [q, k] = [engine.tensor([1, 2, 1, 8]), engine.tensor([1, 2, 50, 8])];
   * const shards = [
   *   await engine.preparePartial(q, k, k, { keyOffset: 0, totalKeys: 100 }),
   *   await engine.preparePartial(q, k, k, { keyOffset: 50, totalKeys: 100 }),
   * ];
   * for (const shard of shards) await shard.run();
   * const { out } = await engine.mergeStates(shards);
   * engine.dispose();
   * ```
   */
  async preparePartial(
    q: Tensor,
    k: Tensor | null | undefined,
    v: Tensor | null | undefined,
    options?: PrepareOptions,
  ): Promise<PreparedAttention & { readonly lse: Tensor }> {
    return (await this.#prepare('preparePartial', q, k, v, options, true)) as PreparedAttention & { readonly lse: Tensor };
  }

  async #prepare(where: string, q: unknown, k: unknown, v: unknown, options: unknown, withLse: boolean): Promise<PreparedAttention> {
    const checked = checkPrepareOptions(where, options);
    const { makePrepared } = await import('./prepared/prepared.ts');
    return makePrepared({ kit: KIT, context: this.#context, pool: this.#pool, where, q, k, v, given: checked, withLse });
  }

  /**
   * The probabilities softmax(…)ᵢⱼ themselves, for pictures and debugging: [B, H, queries, keys] in f32, at most 2^24 of them. By the same
   * kernels as `attention`, whose options it takes, with the columns of the identity for v: what is a hair off there is a hair off here.
   * Each row is whole, over all keys and the sink; `queries` and `keys` cut a window out of the matrix. What an encoding adds to v has no
   * part in it.
   *
   * @throws TypeError, RangeError if an argument is wrong or the window too large
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`; the signal's reason if it is aborted
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const q = engine.tensor([1, 2, 100, 8]);
   * const weights = await engine.attentionWeights(q, q, { causal: true, queries: [0, 4], keys: [0, 4] });
   * weights.toArray(); // 2 · 4 · 4 numbers; row 1 of each head is 0.5, 0.5, 0, 0
   * engine.dispose();
   * ```
   */
  async attentionWeights(q: TensorLike, k: TensorLike, options: WeightsOptions = {}): Promise<Tensor> {
    const checked = checkWeightsOptions('attentionWeights', options);
    const { signal } = checked;
    const steps = weightsSteps(this.#context, 'attentionWeights', q, k, checked);
    let step = steps.next();
    while (!step.done) {
      try {
        step = steps.next(await this.#run(step.value, { ...(signal && { signal }) }));
      } catch (error) {
        steps.return(undefined as never);
        throw error;
      }
    }
    return step.value;
  }

  /** `attentionWeights` before returning. */
  attentionWeightsSync(q: TensorLike, k: TensorLike, options: WeightsOptions = {}): Tensor {
    const checked = checkWeightsSyncOptions('attentionWeightsSync', options);
    const steps = weightsSteps(this.#context, 'attentionWeightsSync', q, k, checked);
    let step = steps.next();
    while (!step.done) {
      try {
        step = steps.next(this.#runSync(step.value));
      } catch (error) {
        steps.return(undefined as never);
        throw error;
      }
    }
    return step.value;
  }

  /** `attentionPartial` before returning. */
  attentionPartialSync(
    q: TensorLike,
    k: TensorLike | null | undefined,
    v: TensorLike | null | undefined,
    options?: AttentionOptions,
  ): { out: Tensor; lse: Tensor } {
    const checked = checkSyncOptions('attentionPartialSync', options);
    const call = prepareAttention(this.#context, 'attentionPartialSync', q, k, v, checked, true);
    return this.#runSync(call) as { out: Tensor; lse: Tensor };
  }

  /**
   * Attention over all keys from the states of its shards: out = Σ w·o / Σ w with w = exp(lse − max lse), and the log-sum-exp of the whole.
   *
   * Shapes: every `out` [B, H, L, E] (with `layout: 'blhd'` [B, L, H, E]), every `lse` [B, H, L]; the result likewise, f32 unless `out` says
   * otherwise. Weights and sums are f64, taken in the order of `states`, the sinks last: in shard order the bits are always the same, in
   * another order they may differ by a rounding. A row of a state that saw no key (−Infinity) changes no bit; a row that one state alone
   * saw is that state's, bit for bit; a row that none saw is 0 and −Infinity. A weight carries the rounding of its f32 lse, which is
   * |lse|·2^−24. Merging is not idempotent: a shard given twice counts twice (`collectStates` sees to it that none is).
   *
   * @throws TypeError, RangeError if an argument is wrong; nothing is changed then
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const state = (out: number, lse: number) => ({ out: engine.tensor([1, 1, 1, 1], [out]), lse: engine.tensor([1, 1, 1], [lse]) });
   * const { out, lse } = await engine.mergeStates([state(2, 0), state(4, 0)]);
   * out.toArray(); // [3]
   * lse.toArray(); // [0.6931472], ln 2
   * engine.dispose();
   * ```
   */
  async mergeStates(states: readonly GivenState[], options: MergeOptions = {}): Promise<{ out: Tensor; lse: Tensor }> {
    return (await this.#run(prepareMerge(this.#context, 'mergeStates', states, checkMergeOptions('mergeStates', options)), {})) as {
      out: Tensor;
      lse: Tensor;
    };
  }

  /** `mergeStates` before returning. */
  mergeStatesSync(states: readonly GivenState[], options: MergeOptions = {}): { out: Tensor; lse: Tensor } {
    return this.#runSync(prepareMerge(this.#context, 'mergeStatesSync', states, checkMergeOptions('mergeStatesSync', options))) as {
      out: Tensor;
      lse: Tensor;
    };
  }

  /**
   * The rotation of an encoding on its own: row i of x [B, H, L, D] turns by the angles of position `offset + i`, or `positions[i]`.
   * `attention` with an encoding gives the same bits as rotating q and k first.
   *
   * @throws TypeError, RangeError if an argument is wrong or the encoding does not rotate
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const x = engine.tensor([1, 1, 2, 4], [1, 2, 3, 4, 5, 6, 7, 8]);
   * const turned = await engine.rotate(x, rotary({ dim: 4, theta: 10000, layout: 'pairs' }), { offset: 10 });
   * engine.dispose();
   * ```
   */
  async rotate(x: TensorLike, encoding: Encoding, options: RotateOptions = {}): Promise<Tensor> {
    return (await this.#run(prepareRotation(this.#context, 'rotate', x, encoding, checkRotateOptions('rotate', options)), {})).out;
  }

  /** `rotate` before returning. */
  rotateSync(x: TensorLike, encoding: Encoding, options: RotateOptions = {}): Tensor {
    return this.#runSync(prepareRotation(this.#context, 'rotateSync', x, encoding, checkRotateOptions('rotateSync', options))).out;
  }

  /** Elementary functions in f64 that give the same bits on every host: for your own encodings and tables. */
  get math(): Arithmetic {
    return this.#context.math;
  }

  /**
   * A cache of keys and values for token-by-token calls: see `KVCache`. Its memory, `capacity` keys and values for every batch row and head,
   * is reserved here.
   *
   * @throws TypeError, RangeError if an option is wrong
   * @throws RelposError `out-of-memory`, `disposed`
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const cache = engine.kvCache({ batch: 1, heads: 2, headDim: 64, capacity: 4096, dtype: 'f16' });
   * const [q, k, v] = [engine.tensor([1, 8, 1, 64]), engine.tensor([1, 2, 1, 64]), engine.tensor([1, 2, 1, 64])];
   * const out = await engine.attention(q, k, v, { cache, causal: true });
   * engine.dispose();
   * ```
   */
  kvCache(options: KVCacheOptions): KVCache {
    return makeCache(this.#context, (job) => this.#pool.runSync(job), 'kvCache', options);
  }

  /**
   * Bytes that a call of `attention` or a cache would take, without taking them. Nothing of the call runs; its options are checked.
   *
   * @param request `{ q, k, v }`, shapes; or `{ cache }`, options of `kvCache`
   * @param options those of the call
   * @throws TypeError, RangeError as the call itself
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const shape = [1, 8, 4096, 64];
   * const { total } = engine.estimate({ q: shape, k: shape, v: shape }, { causal: true });
   * const { cache } = engine.estimate({ cache: { batch: 1, heads: 8, headDim: 64, capacity: 4096 } }); // 16 MiB and a little
   * engine.dispose();
   * ```
   */
  estimate(request: EstimateRequest, options?: AttentionOptions): MemoryEstimate {
    return estimate(this.#context, 'estimate', request, checkOptions('estimate', options));
  }

  /**
   * Gives back the tables that are kept between calls (cosines and sines, biases by offset, packed tables of terms), but for those of calls
   * under way. They are bounded as it is, by a quarter of the memory's limit, and make room when memory runs out; this is for who knows that
   * they are not needed again. A later call computes what it needs anew, to the same bits.
   *
   * @returns bytes given back
   * @throws RelposError `disposed`
   * @example
   * ```ts
   * const engine = await createEngine({ threads: 1 });
   * const q = engine.tensor([1, 4, 100, 16]);
   * await engine.attention(q, q, q, { encoding: alibi({ heads: 4 }) });
   * engine.releaseTables(); // some thousands
   * engine.dispose();
   * ```
   */
  releaseTables(): number {
    this.#alive();
    return this.#context.tables.release();
  }

  /** Bytes in use by tensors and tables, bytes the memory has grown to (it never shrinks), and its limit. */
  memoryUsage(): MemoryUsage {
    this.#alive();
    return this.#context.arena.usage();
  }

  /**
   * Runs fixed inputs through the kernels and compares with a plain f64 evaluation and, in reproducible precision, with the bits that
   * every host must give.
   *
   * @throws RelposError `kernel-trap` if they differ: then this host computes wrongly and should not be used
   */
  async selfTest(): Promise<SelfTestReport> {
    const { selfTest } = await import('./attention/selftest.ts');
    return selfTest(this, this.#precision, { Failure: RelposError, known: withHandlers });
  }

  /** Ends the workers and drops the memory; tensors become unusable. Pending calls reject. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    void this.capabilities;
    this.#disposed = true;
    endCore(this.#context, this.#pool);
  }

  #alive(): void {
    if (this.#disposed) throw ended();
  }

  async #run(call: Call, options: Pick<AttentionOptions, 'signal' | 'onProgress'>): Promise<ReturnType<Call['finish']>> {
    const pool = this.#pool;
    try {
      const { signal, onProgress } = options;
      const watch: JobOptions = { signal, onProgress: onProgress && ((done, total) => onProgress({ done, total })) };
      await pool.run(jobOf([...call.preparations, call.job]), watch);
      const result = call.finish();
      call.release(false);
      return result;
    } catch (error) {
      call.release(true);
      throw error;
    }
  }

  #runSync(call: Call): ReturnType<Call['finish']> {
    const pool = this.#pool;
    try {
      pool.runSync(jobOf([...call.preparations, call.job]));
      const result = call.finish();
      call.release(false);
      return result;
    } catch (error) {
      call.release(true);
      throw error;
    }
  }
}
