// A cache as `attention` uses it: what the call's sizes and places are, and what happens to the cache before and after.

import { integer, shapeText, wrongValue } from '../arguments/check.ts';
import { part, placed } from '../arguments/positions.ts';
import type { Layout } from '../memory/layout.ts';
import type { Operands, Shaped } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import type { Positions, Rotation, Shape } from '../plan/plan.ts';
import { axesOf } from '../plan/rotary-table.ts';
import type { Stage } from '../threads/types.ts';
import type { CachedKeys, CallOptions } from './cached-keys.ts';
import type { CacheCore, MaskedWindow, PendingGrowth } from './core.ts';
import { storeFields, uploadTables } from './store.ts';

/** New keys per batch row of k and v. @throws RangeError if they do not fit the cache */
export function checkNewRows(where: string, { shape }: CacheCore['spec'], k: Shaped, v: Shaped, layout: Layout, B: number): number {
  const { G, D, E } = shape;
  const order = (list: readonly unknown[]): unknown[] => (layout === 'bhld' ? [...list] : [list[0], list[2], list[1], list[3]]);
  const n = k.shape[layout === 'bhld' ? 2 : 1];
  const fits = (tensor: Shaped, width: number): boolean =>
    tensor.shape.length === 4 && order([B, G, n, width]).every((size, axis) => size === tensor.shape[axis]);
  if (!fits(k, D)) throw wrongValue(where, 'k', `shape ${shapeText(order([`B=${B}`, `G=${G}`, 'n', `D=${D}`]))}`, shapeText(k.shape));
  if (!fits(v, E)) throw wrongValue(where, 'v', `shape ${shapeText(order([`B=${B}`, `G=${G}`, `n=${n}`, `E=${E}`]))}`, shapeText(v.shape));
  return n as number;
}

/** How many of `n` new keys each row takes. */
export function checkCounts(
  where: string,
  name: string,
  given: ArrayLike<number> | undefined,
  n: number,
  before: readonly number[],
): number[] {
  if (given === undefined) return before.map(() => n);
  if (given.length !== before.length) throw wrongValue(where, name, `${before.length} lengths`, `${given.length}`);
  return before.map((start, b) => integer(where, `${name}[${b}]`, given[b], start, start + n) - start);
}

/** How many rows a list of positions is for. */
interface PlacedRows {
  readonly rows: number;
  readonly batch: number;
}

/** Given positions of new rows, for the axes of a rotation. @throws RangeError if they are not for so many */
export function positionsFor(where: string, list: Float64Array, rotation: Rotation, { rows, batch }: PlacedRows): Positions {
  return placed(where, 'positions', list, { axes: axesOf(rotation), rows, batch, shift: rotation.offset ?? 0 });
}

/** One call with a cache. Nothing changes until `begin`; then `commit` or `undo` must follow, and `end` last. */
export class CacheUse implements CachedKeys {
  readonly shape: Shape;
  readonly queryOffsets: readonly number[];
  readonly lengths: Int32Array;
  readonly left: number | undefined;
  readonly window: MaskedWindow | undefined;
  readonly slides: boolean;
  readonly storesRotated: boolean;
  readonly encodings: CachedKeys['encodings'];
  readonly rotation: Rotation | undefined;
  readonly core: CacheCore;
  readonly #layout: Layout;
  readonly #counts: readonly number[];
  /** Of the new keys. */
  readonly #rotation: Rotation | undefined;
  readonly #checked: () => void;
  #pending: PendingGrowth | undefined;
  #end: (() => void) | undefined;

  constructor(
    core: CacheCore,
    where: string,
    operands: Operands<Shaped>,
    { layout, keyLengths, queryOffset, positions }: CallOptions & { readonly layout: Layout },
  ) {
    const { q, k, v } = operands;
    this.#checked = core.checking(where, k !== undefined);
    const { B, G, D, E } = core.spec.shape;
    const { left, sinks } = core.spec.bounds;
    this.core = core;
    this.#layout = layout;
    const [head, row] = layout === 'bhld' ? [1, 2] : [2, 1];
    const H = q.shape[head] as number;
    if (q.shape.length !== 4 || q.shape[0] !== B || q.shape[3] !== D || !H || H % G) {
      const sizes = [`B=${B}`, `H divisible by G=${G}`, 'L', `D=${D}`];
      const order = layout === 'bhld' ? sizes : [sizes[0], sizes[2], sizes[1], sizes[3]];
      throw wrongValue(where, 'q', `shape ${shapeText(order)}`, shapeText(q.shape));
    }
    const L = q.shape[row] as number;
    const before = core.rows.map(({ length }) => length);
    const n = k && v ? checkNewRows(where, core.spec, k, v, layout, B) : 0;
    // With new keys, a length says how many of them a row takes; without, how many of those stored count.
    this.#counts = k ? checkCounts(where, 'keyLengths', keyLengths, n, before) : before.map(() => 0);
    this.lengths = Int32Array.from(before, (start, b) => start + (this.#counts[b] as number));
    if (k) {
      core.checkGrowth(where, this.#counts);
    } else if (keyLengths) {
      const zero = before.map(() => 0);
      const limit = Math.max(0, ...before);
      this.lengths = Int32Array.from(checkCounts(where, 'keyLengths', keyLengths, limit, zero), (x, b) => Math.min(x, before[b] as number));
    }
    const S = Math.max(0, ...before.map((start, b) => start + (this.#counts[b] as number)));
    this.shape = { B, H, G, L, S, D, E };
    this.queryOffsets = before.map((start) => queryOffset ?? start + n - L);
    core.rows.forEach(({ kept }, b) => {
      const first = (this.queryOffsets[b] as number) - (left ?? 0);
      if (!kept || Math.max(0, first) >= kept || !L) return;
      const because = `a query in batch row ${b} sees keys from ${Math.max(0, first)} on`;
      throw wrongValue(where, 'q', `queries whose window begins at ${kept}, the first key held, or later`, shapeText(q.shape), because);
    });
    this.left = sinks ? undefined : left;
    this.slides = left !== undefined;
    this.window = core.spec.window;
    this.encodings = core.spec.encoding ? [core.spec.encoding] : [];
    this.storesRotated = core.spec.rotatesOnAppend;
    if (positions && !this.storesRotated) {
      throw wrongValue(where, 'positions', "none beside a cache with rotate: 'on-read'", 'some', 'it does not store them');
    }
    const rotation = positions || (k && n) ? core.rotationFor(where, Math.max(n, L), S, positions !== undefined) : undefined;
    if (!rotation || !positions) {
      this.#rotation = rotation;
      return;
    }
    // The keys are the last n of the rows, the queries the last L.
    const rows = Math.max(n, L);
    const all = positionsFor(where, positions, rotation, { rows, batch: B });
    this.rotation = { ...rotation, queryPositions: part(all, rows, rows - L, L) };
    this.#rotation = { ...rotation, keyPositions: part(all, rows, rows - n, n) };
  }

  checkRotation(where: string, rotation: Rotation | undefined, normalizes: boolean): void {
    if (!this.storesRotated || !rotation) return;
    this.core.checkRotation(where, rotation);
    if (!normalizes) return;
    const because = "rotate: 'on-append' stores them turned; rotate: 'on-read' stores them as they come";
    throw wrongValue(where, 'encoding', 'no normalisation of keys that are turned already', 'one', because);
  }

  begin(where: string, { k, v }: Operands, scope: Scope): readonly Stage[] {
    this.#checked();
    if (!k || !v) {
      this.#end = this.core.read(where);
      return [];
    }
    const order = this.core.rows.map((_, b) => b);
    this.#pending = this.core.begin({ k, v, layout: this.#layout }, order, this.#counts, this.#rotation, scope);
    return this.#pending.writing.jobs;
  }

  get positionsEnd(): number | undefined {
    return this.#pending?.writing.end;
  }

  /** K, V and their pages, after `begin`. */
  fields(scope: Scope): readonly (readonly [number, number])[] {
    const { layout, rows } = this.core;
    return storeFields(layout, this.#pending?.writing.tables ?? uploadTables(rows, layout, scope));
  }

  commit(): void {
    this.#pending?.writing.done();
    this.#pending?.commit();
    this.#pending = undefined;
  }

  end(): void {
    this.#pending?.undo();
    this.#pending = undefined;
    this.#end?.();
    this.#end = undefined;
  }
}
