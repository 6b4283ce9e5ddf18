// Which tables will be asked for again. Nobody says so: encodings come and go, and one that is made for a single call (it holds the segments
// or boxes of its input) looks like any other. So what one call alone has asked for is kept until the next call, and what two calls have asked
// for is kept for many: the layers of a model are known from its second pass on, and a loop that makes its encodings anew keeps one call's
// tables. (The rule of "2Q", Johnson and Shasha 1994, with a first queue of one call.)

import type { Scope } from '../memory/scope.ts';

/** Names that are remembered when their tables are gone: more than the layers of several models have. */
const MOST_NAMES = 4096;
/** Calls after which a table that nobody asked for is of no use: many passes of a model. */
const LONGEST_IDLE = 1024;

interface Use {
  /** The last call that asked. */
  last: number;
  /** Another one asked before. */
  again: boolean;
}

export class Uses {
  /** By name, in order of last use. */
  readonly #uses: Map<string, Use> = new Map();
  #scope: Scope | undefined;
  #call = 0;

  /** A call, known by its scope, asks for a table of this name; the number of the call. */
  ask(name: string, scope: Scope): number {
    if (this.#scope !== scope) {
      this.#scope = scope;
      this.#call++;
    }
    const before = this.#uses.get(name);
    this.#uses.delete(name);
    this.#uses.set(name, { last: this.#call, again: before !== undefined && (before.again || before.last !== this.#call) });
    if (this.#uses.size > MOST_NAMES) this.#uses.delete(this.#uses.keys().next().value as string);
    return this.#call;
  }

  /** True if more calls than one asked for tables of this name. */
  again(name: string): boolean {
    return this.#uses.get(name)?.again ?? false;
  }

  /** True if a table of this name that was last asked for in a call is not expected to be asked for again. */
  isOver(name: string, asked: number): boolean {
    return asked !== this.#call && (!this.again(name) || this.#call - asked > LONGEST_IDLE);
  }
}
