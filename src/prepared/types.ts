// Calls that are prepared once and made many times, as their users see them.

import type { AttentionOptions } from '../attention/options.ts';
import type { Disposable } from '../memory/dispose.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';

/** Options of `prepare`: those of `attention` but for what belongs to a single run. */
export type PrepareOptions = Omit<AttentionOptions, 'signal' | 'onProgress'>;

/** Options of `run`. */
export interface RunOptions {
  /** Stops the run between tiles; it rejects with the signal's reason and leaves `out`, `lse` and the cache as they were. */
  readonly signal?: Signal;
  /** Called now and then with tiles done and tiles in all; what it throws stops the run as `signal` does. */
  readonly onProgress?: NonNullable<AttentionOptions['onProgress']>;
}

/**
 * A call of `attention` that was checked, planned and given its memory once. Made by `engine.prepare`, owned by the caller, who ends it with
 * `dispose()` or `using`.
 *
 * Each run reads what q, k and v hold then, which are tensors of the engine for that, and overwrites `out`. All else, options, encodings,
 * masks, biases, is as it was when the call was prepared: tensors among them must not change. Runs of one prepared call come one after
 * another. What it uses is kept until it is disposed; a tensor or cache of it that was disposed makes its runs throw `disposed`.
 *
 * With a cache every run appends k and v, so the next one stands further on, wherever the cache is by then: it may be truncated, forked,
 * reset, or appended to by others between runs. A run that fails or is aborted leaves it as it was.
 *
 * @example
 * ```ts
 * const engine = await createEngine({ threads: 1 });
 * const x = engine.tensor([1, 2, 16, 8]);
 * const call = await engine.prepare(x, x, x, { causal: true });
 * const batches = [new Float32Array(256).fill(1), new Float32Array(256).fill(2)];
 * for (const batch of batches) {
 *   x.set(batch);
 *   (await call.run()).toArray(); // 256 numbers: 1, then 2
 * }
 * engine.dispose();
 * ```
 */
export type PreparedAttention = Disposable & {
  /** The result of the last run: `out` of the options, or a tensor of the prepared call's own, which goes with it. */
  readonly out: Tensor;
  /** Log-sum-exp of each row, natural log, [B, H, L]; of `preparePartial` only. */
  readonly lse: Tensor | undefined;
  readonly disposed: boolean;
  /**
   * Makes the call without blocking the event loop for longer than a slice; resolves to `out`.
   *
   * @throws TypeError if an option is wrong; RangeError if the cache has no room
   * @throws RelposError `busy` while another run, or a call with the cache, is under way; `disposed`, `out-of-memory`, `kernel-trap`; the
   *   signal's reason if it is aborted, and what `onProgress` throws. Neither `out` nor the cache is changed then, but for a `kernel-trap`,
   *   which may have written to `out` if there is neither a signal nor `onProgress`
   */
  run(options?: RunOptions): Promise<Tensor>;
  /**
   * `run` before returning: on several threads where the calling thread may block, else on the caller's.
   *
   * @throws as `run`
   */
  runSync(): Tensor;
  /** Gives back what is kept, once a run that is under way has ended. A second call does nothing. */
  dispose(): void;
};
