// A prepared call with a cache: every run appends and attends one step further on. Most steps differ from the one before in a few numbers of
// the parameter blocks, each of which goes up or down by as much for every key: these are changed, and that is all. Where more changes (a page
// is full, a table ends, the cache has got other pages) the step is planned anew, as any other call is. Keys that were taken back, or stored by
// others, are no more than a number.

import type { CheckedCall } from '../attention/check-call.ts';
import type { CachedKeys } from '../kvcache/cached-keys.ts';
import type { CacheCore } from '../kvcache/core.ts';
import type { Row } from '../kvcache/rows.ts';
import type { Operands, Read } from '../memory/operands.ts';
import type { Scope } from '../memory/scope.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Call } from '../plan/context.ts';
import type { Plan } from '../plan/plan.ts';
import type { Job } from '../threads/types.ts';
import * as field from '../wasm/generated/job.ts';
import { filled, withScratch } from './held.ts';
import type { StepKit } from './kit.ts';
import type { Prepared, Program } from './program.ts';

/** A step that was planned, while it runs. */
interface Planned {
  readonly checked: CheckedCall & { readonly cached: CachedKeys };
  readonly call: Call;
  readonly job: Job;
  readonly scratch: Scope;
}

/** A step that others can follow by a change of numbers. */
interface Last {
  readonly core: CacheCore;
  /** The pages of each row as the step left them. */
  readonly pages: readonly Row['pages'][];
  /** Keys that it appended to each row. */
  readonly count: number;
  /** Keys that a row may have after a step, at least and at most. */
  readonly start: number;
  readonly end: number;
  readonly job: Job;
  /** Numbers of the memory that change, by index of 32-bit words, and by how much for every key. */
  readonly words: readonly number[];
  readonly changes: readonly number[];
  release(): void;
}

/** True if the next step is the last one but for some keys more or fewer, which each row has alike. */
function follows({ core, pages, count, start, end }: Last): boolean {
  const { rows } = core;
  const [first] = rows;
  if (!first || first.length + count < start || first.length + count > end) return false;
  for (let b = 0; b < rows.length; b++) {
    const row = rows[b] as Row;
    if (row.pages !== pages[b] || row.length !== first.length) return false;
  }
  return hasRoom(core, count);
}

/** True if every row has room for n more keys on its last page, and no page leaves its window meanwhile. */
function hasRoom({ rows, spec }: CacheCore, n: number): boolean {
  const { capacity, pageSize, left = Infinity, sinks } = spec.bounds;
  for (let b = 0; b < rows.length; b++) {
    const { length, kept, pages } = rows[b] as Row;
    const next = Math.max(kept, length - left);
    const fits = length + n <= pages.length * pageSize && Math.min(sinks, kept) + length - kept + n <= capacity;
    if (!fits || Math.floor(next / pageSize) !== Math.floor(kept / pageSize)) return false;
  }
  return true;
}

/** The rows with n more keys each, which have been stored. */
function grow({ rows, spec }: CacheCore, n: number): void {
  const { left = Infinity } = spec.bounds;
  for (let b = 0; b < rows.length; b++) {
    const row = rows[b] as { -readonly [K in keyof Row]: Row[K] };
    row.kept = Math.max(row.kept, row.length - left);
    row.length += n;
  }
}

/**
 * True if the next step differs from one with this plan in nothing but numbers that count. Factors and biases by the offset have the same
 * columns, as far as these go, and those of a query begin one further back in every step.
 */
function isPlain({ terms, contextTable, valueTable, biases, rowScale }: Plan): boolean {
  const byOffset = biases?.every(({ kind }) => kind === 'offset' || kind === 'curve') ?? true;
  return byOffset && !(terms?.length || contextTable || valueTable || rowScale);
}

export class Step implements Program {
  readonly out: Tensor;
  readonly lse: Tensor | undefined;
  readonly #prepared: Prepared<StepKit>;
  readonly reads: readonly Read[];
  readonly #operands: Operands;
  #planned: Planned | undefined;
  #last: Last | undefined;
  /** What ends a step that follows the last one, while it runs. */
  #endStep: (() => void) | undefined;
  /** Keys of each row after the step that the parameter blocks say. */
  #length = 0;

  /** @throws TypeError, RangeError, RelposError as the call, which changes nothing of the cache */
  constructor(where: string, prepared: Prepared<StepKit>, withLse: boolean) {
    const { kit, context, operands, given } = prepared;
    this.#operands = operands;
    const { outShape, shape, out, placed } = kit.checkCall(context, where, operands, given);
    this.reads = kit.readsOf(operands, given, placed);
    this.out = out ?? kit.makeTensor(context, where, outShape);
    try {
      this.lse = withLse ? kit.makeTensor(context, where, [shape.B, shape.H, shape.L]) : undefined;
    } catch (error) {
      if (!out) this.out.dispose();
      throw error;
    }
    this.#prepared = { ...prepared, given: { ...given, out: this.out } };
  }

  begin(where: string): Job {
    const last = this.#last;
    if (last && follows(last)) {
      this.#endStep = last.core.step(where);
      this.#change(last);
      return last.job;
    }
    return this.#plan(where);
  }

  #change({ core, count, words, changes }: Last): void {
    const memory = this.#prepared.context.arena.words;
    const length = (core.rows[0] as Row).length + count;
    const more = length - this.#length;
    for (let n = 0; n < words.length; n++) {
      const at = words[n] as number;
      memory[at] = (memory[at] as number) + (changes[n] as number) * more;
    }
    this.#length = length;
  }

  #plan(where: string): Job {
    this.#forget();
    const { kit, context, given } = this.#prepared;
    const checked = kit.checkCall(context, where, this.#operands, given) as Planned['checked'];
    const call = kit.prepareChecked(context, checked, this.#operands, this.lse ?? false);
    const scratch = new kit.Scope(context.arena);
    try {
      const job = withScratch([...call.preparations, call.job], scratch, kit);
      this.#planned = { checked, call, job, scratch };
      return job;
    } catch (error) {
      call.release(true);
      throw error;
    }
  }

  commit(): void {
    if (this.#endStep) {
      const { core, count } = this.#last as Last;
      grow(core, count);
      this.#endStep();
      this.#endStep = undefined;
      return;
    }
    const planned = this.#planned as Planned;
    const { call, checked, scratch } = planned;
    const end = this.#endOf(planned);
    call.finish();
    checked.cached.end();
    this.#planned = undefined;
    const release = (): void => {
      call.release(false);
      scratch.release();
    };
    if (end === undefined) release();
    else this.#last = this.#follow(planned, end, release);
  }

  /** The most keys that steps like this one may go on to; undefined: the next one is to be planned too. */
  #endOf({ checked: { cached, placed, shape }, call }: Planned): number | undefined {
    const { causal, keyLengths, queryOffset, positions, encoding = [] } = this.#prepared.given;
    const steady = [...cached.encodings, ...encoding.map(({ value }) => value)].every((one) => one.steady === true);
    const [{ plan, masks }] = placed as [(typeof placed)[number]];
    const count = this.#count();
    const plain = typeof causal !== 'object' && keyLengths === undefined && queryOffset === undefined && positions === undefined;
    const alone = placed.length === 1 && !cached.window && !masks.intervals && !masks.tensors.length;
    if (!count || shape.L > count || !plain || !alone || !steady || !isPlain(plan)) return undefined;
    // A table of positions that were given has no end.
    const ends = (call.tables ?? []).map(({ end = 0 }) => end);
    // The first key is at the offset 1 − S of the last query.
    const columns = (call.moving ?? []).map(({ first, least }) => (first <= least ? Infinity : 1 - first));
    const most = Math.min(Math.ceil(shape.S / field.SPLIT) * field.SPLIT, cached.positionsEnd ?? Infinity, ...ends, ...columns);
    return most < shape.S ? undefined : most;
  }

  /** New keys of each row. */
  #count(): number {
    const { k } = this.#operands;
    const { layout, cache } = this.#prepared.given;
    return k ? (k.shape[(layout ?? cache?.layout) === 'blhd' ? 1 : 2] as number) : 0;
  }

  #follow({ checked: { cached, placed, shape }, call, job }: Planned, end: number, release: () => void): Last {
    const [{ plan, first, last }] = placed as [(typeof placed)[number]];
    const count = this.#count();
    const memory = this.#prepared.context.arena.words;
    this.#length = shape.S;
    const words: number[] = [];
    const changes: number[] = [];
    const add = (at: number, change: number): void => {
      words.push(at >>> 2);
      changes.push(change);
    };
    const pointer = (at: number): number => (memory[at >>> 2] as number) >>> 0;
    for (const { kernel, job: at } of job.stages) {
      if (kernel !== 'append') continue;
      for (const list of [pointer(at + field.KEY_STARTS), pointer(at + field.KEY_LENGTHS)]) {
        for (let b = 0; b < shape.B; b++) add(list + 4 * b, 1);
      }
    }
    const block = call.job.job;
    add(block + field.DIM_S, 1);
    const { kit } = this.#prepared;
    if (first !== -kit.UNBOUNDED) add(block + field.FIRST, 1);
    if (last !== kit.UNBOUNDED) add(block + field.LAST, 1);
    if (plan.rotation) add(block + field.ROTATE_Q, 4 * plan.rotation.dim);
    for (const { at } of call.moving ?? []) add(at, -4);
    const { core } = cached;
    const pages = core.rows.map((row) => row.pages);
    return { core, pages, count, start: shape.S, end, job: filled(job, kit), words, changes, release };
  }

  fail(): void {
    this.#endStep?.();
    this.#endStep = undefined;
    this.release();
  }

  release(): void {
    this.#planned?.call.release(false);
    this.#planned?.scratch.release();
    this.#planned = undefined;
    this.#forget();
  }

  #forget(): void {
    this.#last?.release();
    this.#last = undefined;
  }
}
