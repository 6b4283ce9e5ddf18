import type { Layout } from '../memory/layout.ts';
import type { Operands, Shaped } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import type { Context } from '../plan/context.ts';
import type { Encoding, Rotation, Shape } from '../plan/plan.ts';
import type { Stage } from '../threads/types.ts';
import type { CacheCore, MaskedWindow } from './core.ts';

/** Options of a call that its cache has a say in. */
export interface CallOptions {
  /** Default the cache's own. */
  readonly layout: Layout | undefined;
  readonly keyLengths: ArrayLike<number> | undefined;
  readonly queryOffset: number | undefined;
  readonly positions: Float64Array | undefined;
}

/** A cache as a call has it. */
export interface CallCache {
  /** Default layout of calls. */
  readonly layout: Layout;
  /** What `attention` needs for one call. */
  use(where: string, context: Context, operands: Operands<Shaped>, options: CallOptions): CachedKeys;
}

/** Keys and values that a call takes from a cache, and what the cache has to say. Nothing changes until `begin`. */
export interface CachedKeys {
  readonly shape: Shape;
  /** Position of query 0 of each batch row. */
  readonly queryOffsets: readonly number[];
  /** Keys of each batch row that count. */
  readonly lengths: Int32Array;
  /** Keys before a query that it sees; undefined: no bound, or one in the masks. */
  readonly left: number | undefined;
  /** A window with sinks, which the masks say too. */
  readonly window: MaskedWindow | undefined;
  /** Later calls see nothing of what no query of this one sees before its first. */
  readonly slides: boolean;
  readonly encodings: readonly Encoding[];
  /** That of the queries where the call gives positions: it takes the place of the encoding's. */
  readonly rotation: Rotation | undefined;
  /** True if the keys are stored rotated. */
  readonly storesRotated: boolean;
  /** @throws RangeError if the stored keys do not go with the call's rotation */
  checkRotation(where: string, rotation: Rotation | undefined, normalizes: boolean): void;
  /** The cache itself. */
  readonly core: CacheCore;
  /** After `begin`: one past the last position for which the jobs that store keys have cosines; undefined: they need none. */
  readonly positionsEnd: number | undefined;
  /** Reserves what the new keys need; the jobs that store them. */
  begin(where: string, operands: Operands, scope: Scope): readonly Stage[];
  /** K, V and their pages, as fields of the job block. */
  fields(scope: Scope): readonly (readonly [number, number])[];
  /** The jobs have run: from here on the new keys are there. */
  commit(): void;
  /** The call is over. Without `commit` the cache is as it was. */
  end(): void;
}
