/**
 * What can go wrong in the state of an engine, as opposed to in an argument (those are `TypeError` and `RangeError`):
 *
 * - `disposed`: an engine, tensor or cache was used after its `dispose()`.
 * - `busy`: a cache was changed while a call that uses it was under way.
 * - `out-of-memory`: the engine's memory cannot grow enough; `asked` and `limit` are in bytes.
 * - `kernel-trap`: a kernel trapped, or a worker died while it held work. Other calls go on, with new workers if need be. A cache whose keys
 *   were being turned is refused until its `reset()`.
 * - `lost`: a worker that died or hangs while it held work may still write to this tensor or cache, since the host does not say that its
 *   thread has ended. What the failed call used besides is kept out of use (`memoryUsage().quarantined`); all else goes on.
 * - `unsupported-runtime`: the host has no WebAssembly SIMD, or forbids compiling.
 * - `bad-wasm`: the `wasm` option is not this version's kernels.
 * - `bad-checkpoint`: the files of a model are broken, do not fit together, or are of a kind that is not known (`relpos/models`).
 * - `unreadable`: a file of a model cannot be read: it is missing, the network failed too often, or permission is denied.
 * - `unwritable`: a file of a packed model cannot be written: permission is denied, or no space is left.
 * - `missing-package`: a package that something needs is not installed, such as `@huggingface/jinja` for chat templates.
 */
export type RelposErrorCode =
  | 'disposed'
  | 'busy'
  | 'out-of-memory'
  | 'kernel-trap'
  | 'lost'
  | 'unsupported-runtime'
  | 'bad-wasm'
  | 'bad-checkpoint'
  | 'unreadable'
  | 'unwritable'
  | 'missing-package';

/** An error of state; `code` says which. Wrong arguments give `TypeError` (wrong type) or `RangeError` (wrong value) instead. */
export class RelposError extends Error {
  readonly code: RelposErrorCode;
  /** Bytes asked for; set when `code` is `'out-of-memory'`. */
  readonly asked?: number;
  /** The most bytes the memory can have; set when `code` is `'out-of-memory'`. */
  readonly limit?: number;

  constructor(code: RelposErrorCode, message: string, detail: { asked?: number; limit?: number; cause?: unknown } = {}) {
    super(message, 'cause' in detail ? { cause: detail.cause } : undefined);
    this.name = 'RelposError';
    this.code = code;
    if (detail.asked !== undefined) this.asked = detail.asked;
    if (detail.limit !== undefined) this.limit = detail.limit;
  }
}

/** What is thrown at who comes after the engine's end. */
export const ended = (): RelposError => new RelposError('disposed', 'the engine was disposed');
