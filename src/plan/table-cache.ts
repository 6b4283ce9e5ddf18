// Tables that calls share: cosines and sines of a rotation, biases and packed rows over the offset. What a table holds is named by its key;
// of one key there may be several ranges, which have nothing in common (shards of the keys). A range grows when a call needs more than it
// has, copying what is there, and moves on with a window. They are kept up to a part of the memory and make room when it runs out, and no
// longer than they may be of use: see uses.ts.

import { wrongValue } from '../arguments/check.ts';
import { roundUp } from '../memory/round.ts';
import type { Scope } from '../memory/scope.ts';
import type { MemoryContext } from '../memory/tensor.ts';
import { Contents } from './contents.ts';
import { axesOf, fillJob, nameOf, type TableUse, type Turn } from './rotary-table.ts';
import { Uses } from './uses.ts';

/** Part of the memory's limit that idle tables may take; beyond, those not used for longest go. */
const SHARE = 0.25;
/** Ranges that are kept: more than the layers of a model have. */
const MOST = 512;
/** Ranges that are kept of one key. */
const MOST_RANGES = 64;
/** Ranges begin and end at multiples of this or of a larger power of two; a multiple of all groups of rows in which tables are packed. */
const GRAIN = 64;

/** A range [first, first + count) of a key's table. */
export interface Range {
  readonly key: string;
  readonly at: number;
  readonly bytes: number;
  readonly first: number;
  readonly count: number;
  /** What calls asked for, [low, high); the rest is slack. */
  wanted: readonly [number, number];
  users: number;
  /** The last call that asked for it, by number. */
  asked: number;
  /** Parts [from, end) that hold no numbers yet. */
  missing: readonly (readonly [number, number])[];
  /** True if some number is −Infinity, which hides a key. */
  infinite: boolean;
  /** The scope of a call that fills what is missing. */
  filling?: Scope;
}

/** What a call needs of a table. */
export interface Wanted {
  readonly first: number;
  readonly count: number;
  /** Later calls need what follows and nothing before: the range moves on instead of growing. */
  readonly slides?: boolean;
  /** A table of just these columns, which neither grows nor moves. */
  readonly whole?: boolean;
}

export const down = (n: number, multiple: number): number => Math.floor(n / multiple) * multiple;

/**
 * The range to hold for one of `count` columns. It depends on what is needed and not on what there was: the borders are rounded out to an
 * eighth of the length, so that a range that grows by one column a time, on whichever side, is copied every eighth of its length and is
 * never longer than 5/4 of what is needed and a little. One that slides has room for a step more and always the same length.
 */
function rangeFor(first: number, count: number, slides: boolean): { first: number; count: number } {
  const grain = Math.max(GRAIN, 2 ** (28 - Math.clz32(count)));
  const low = down(first, grain);
  return { first: low, count: slides ? roundUp(count, grain) + grain : roundUp(first + count, grain) - low };
}

/** How many of the columns [first, first + count) lie in [low, high); touching ranges share none. */
const shared = ({ first, count }: { first: number; count: number }, [low, high]: readonly [number, number]): number =>
  Math.min(first + count, high) - Math.max(first, low);

/** What is wanted together with what was, unless that makes it more than twice as long. */
function together({ first, count, slides }: Wanted, before: Range | undefined): readonly [number, number] {
  const [low, high] = before?.wanted ?? [first, first];
  const both = [Math.min(first, low), Math.max(first + count, high)] as const;
  return slides || both[1] - both[0] > 2 * count ? [first, first + count] : both;
}

const covers = (range: Range, { first, count }: Wanted): boolean => range.first <= first && first + count <= range.first + range.count;

export class Tables {
  readonly #context: MemoryContext;
  /** By key. */
  readonly #ranges: Map<string, Range[]> = new Map();
  /** All of them, in order of last use. */
  readonly #order: Set<Range> = new Set();
  readonly #uses: Uses = new Uses();
  readonly #contents: Contents = new Contents();
  /** Those of names that one call alone has asked for, and perhaps a few more. */
  readonly #once: Set<Range> = new Set();
  #bytes = 0;

  constructor(context: MemoryContext) {
    this.#context = context;
    context.arena.reclaim = () => this.#dropOldest();
  }

  /** Gives back all that no call uses; returns how many bytes that were. */
  release(): number {
    const before = this.#bytes;
    while (this.#dropOldest());
    return before - this.#bytes;
  }

  #dropOldest(): boolean {
    for (const range of this.#order) {
      if (range.users) continue;
      this.#drop(range);
      return true;
    }
    return false;
  }

  #drop(range: Range): void {
    this.#order.delete(range);
    this.#once.delete(range);
    const others = (this.#ranges.get(range.key) as Range[]).filter((one) => one !== range);
    if (others.length) this.#ranges.set(range.key, others);
    else this.#ranges.delete(range.key);
    this.#bytes -= range.bytes;
    this.#context.arena.free(range.at);
  }

  /** Drops idle ranges that are not expected to be of use. */
  #expire(): void {
    const over = (range: Range): boolean => !range.users && this.#uses.isOver(range.key, range.asked);
    for (const range of this.#once) {
      if (this.#uses.again(range.key)) this.#once.delete(range);
      else if (over(range)) this.#drop(range);
    }
    for (const range of this.#order) {
      if (!over(range)) return;
      this.#drop(range);
    }
  }

  /** Keeps to the bounds on bytes and on ranges of a key, as far as nobody uses what is beyond. */
  #trim(key: string): void {
    const beyond = (this.#ranges.get(key)?.length ?? 0) - MOST_RANGES;
    if (beyond > 0) {
      const idle = [...this.#order].filter((range) => range.key === key && !range.users);
      for (const range of idle.slice(0, beyond)) this.#drop(range);
    }
    const most = this.#context.arena.limit * SHARE;
    while ((this.#bytes > most || this.#order.size > MOST) && this.#dropOldest());
  }

  /** A range that has what is wanted; it counts as used until the scope ends. @throws RelposError `out-of-memory`, having changed nothing */
  range(key: string, wanted: Wanted, heads: number, width: number, scope: Scope): Range {
    const { first, count } = wanted;
    const asked = this.#uses.ask(key, scope);
    this.#expire();
    let range = this.#ranges.get(key)?.find((one) => covers(one, wanted));
    if (range) range.wanted = [Math.min(range.wanted[0], first), Math.max(range.wanted[1], first + count)];
    else range = this.#make(key, wanted, heads, width);
    this.#order.delete(range);
    this.#order.add(range);
    const used = range;
    used.asked = asked;
    used.users++;
    scope.defer(() => {
      used.users--;
      if (used.users === 0 && (used.missing.length || this.#uses.isOver(key, used.asked))) this.#drop(used);
      this.#trim(key);
    });
    this.#trim(key);
    return used;
  }

  /** The idle range that the wanted one grows out of or moves on from. */
  #before(key: string, wanted: Wanted): Range | undefined {
    const least = ({ wanted: [low, high] }: Range): number => (wanted.slides ? 0 : Math.min(wanted.count, high - low) / 2);
    return (this.#ranges.get(key) ?? [])
      .filter((range) => !range.users && shared(wanted, range.wanted) >= least(range))
      .sort((a, b) => shared(wanted, b.wanted) - shared(wanted, a.wanted))[0];
  }

  #make(key: string, wanted: Wanted, heads: number, width: number): Range {
    const before = this.#before(key, wanted);
    const [low, high] = together(wanted, before);
    const place = wanted.whole ? { first: low, count: high - low } : rangeFor(low, high - low, wanted.slides ?? false);
    const bytes = place.count * heads * width;
    const at = this.#context.arena.allocate(bytes); // which may have taken the room of the one before
    const range: Range = {
      key,
      at,
      bytes,
      ...place,
      wanted: [low, high],
      users: 0,
      asked: 0,
      missing: [[place.first, place.first + place.count]],
      infinite: false,
    };
    this.#ranges.set(key, [...(this.#ranges.get(key) ?? []), range]);
    this.#order.add(range);
    this.#once.add(range);
    this.#bytes += bytes;
    if (before && this.#order.has(before)) {
      this.#copy(before, range, heads, width);
      this.#drop(before);
    }
    return range;
  }

  /** The memory as it is now. */
  get memory(): Uint8Array {
    return new Uint8Array(this.#context.arena.memory.buffer);
  }

  /** Copies what two ranges have in common. */
  #copy(from: Range, to: Range, heads: number, width: number): void {
    const low = Math.max(from.first, to.first);
    const high = Math.min(from.first + from.count, to.first + to.count);
    if (low >= high) return;
    const { memory } = this;
    for (let h = 0; h < heads; h++) {
      const source = from.at + (h * from.count + low - from.first) * width;
      memory.copyWithin(to.at + (h * to.count + low - to.first) * width, source, source + (high - low) * width);
    }
    to.infinite = from.infinite;
    const around = [
      [to.first, low],
      [high, to.first + to.count],
    ] as const;
    to.missing = around.filter(([start, end]) => start < end);
  }

  /** The rotary table of standard positions, before the rotation's own offset; points at the row of `first`. */
  positions(turn: Turn, wanted: Wanted, scope: Scope): TableUse {
    const { rotation } = turn;
    if (axesOf(rotation) !== 1) throw wrongValue('rotation', 'positions', `positions on ${axesOf(rotation)} axes`, 'none');
    const { key, start, rest } = nameOf(turn, this.#contents);
    const width = 4 * rotation.dim;
    const first = wanted.first + start;
    const range = this.range(key, { ...wanted, first }, 1, width, scope);
    // A call of many parts has one scope, and fills a table once.
    const missing = range.filling === scope ? [] : range.missing;
    range.filling = scope;
    const jobs = missing.map(([from, end]) => {
      const values = Float64Array.from({ length: end - from }, (_, n) => from + n + rest);
      return fillJob(turn, values, end - from, range.at + (from - range.first) * width, scope);
    });
    const done = (): void => {
      range.missing = [];
    };
    return { at: range.at + (first - range.first) * width, jobs, done, end: range.first + range.count - start };
  }
}
