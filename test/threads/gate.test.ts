/** The gate's words, step by step on one thread: who is counted, whom it lets in, who hears of the last to leave. */
import { beforeEach, describe, expect, test } from 'vitest';
import { CALLER, CONTROL_BYTES } from '../../src/threads/control.ts';
import {
  askForMessage,
  bar,
  blockUntilEmpty,
  enroll,
  inside,
  join,
  leave,
  type Member,
  maybeInside,
  nextGeneration,
  open,
  shut,
} from '../../src/threads/gate.ts';

const memberOf = (generation: number, worker: number): Member => ({ generation, worker, spins: 0 });

let words: Int32Array;
let generation: number;
let members: readonly Member[];
beforeEach(() => {
  words = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES));
  nextGeneration(words);
  generation = nextGeneration(words);
  enroll(words, generation, 3);
  members = [1, 2, 3].map((worker) => memberOf(generation, worker));
});

/** The first n workers join the job that the gate is open for; the epoch that they joined. */
function joined(n: number): (number | undefined)[] {
  return members.slice(0, n).map((member) => join(words, member, -1));
}

describe('who is inside', () => {
  test('is counted from joining to leaving', () => {
    open(words, 0);
    expect(joined(3)).toEqual([1, 1, 1]);
    expect(inside(words)).toBe(3);
    shut(words);
    for (const [n, member] of members.entries()) {
      expect(leave(words, member)).toBe(false);
      expect(inside(words)).toBe(2 - n);
    }
  });

  test('is known of each worker', () => {
    const states = (): boolean[] => members.map(({ worker }) => maybeInside(words, worker, generation));
    open(words, 0);
    joined(2);
    expect(states()).toEqual([true, true, false]);
    leave(words, members[0] as Member);
    expect(states()).toEqual([false, true, false]);
    expect(maybeInside(words, 2, generation + 1)).toBe(false);
    bar(words, 2);
    expect(states()).toEqual([false, false, false]);
  });

  test('each job is an epoch of its own', () => {
    for (const epoch of [1, 2, 3]) {
      open(words, 0);
      expect(joined(1)).toEqual([epoch]);
      shut(words);
      leave(words, members[0] as Member);
    }
  });
});

describe('a worker that may not join', () => {
  test('since it is of another generation', () => {
    open(words, 0);
    expect(join(words, memberOf(generation - 1, 1), -1)).toBe(undefined);
    expect(inside(words)).toBe(0);
  });

  test('since it was barred', () => {
    bar(words, 1);
    open(words, 0);
    expect(join(words, members[0] as Member, -1)).toBe(undefined);
    expect(inside(words)).toBe(0);
  });

  test('and one that leaves after its group was dismissed: the next group counts its own alone', () => {
    open(words, 0);
    joined(1);
    shut(words);
    const next = nextGeneration(words);
    enroll(words, next, 3);
    open(words, 0);
    expect(join(words, memberOf(next, 2), -1)).toBe(1);
    expect(leave(words, members[0] as Member)).toBe(false);
    expect(inside(words)).toBe(1);
    expect(maybeInside(words, 2, next)).toBe(true);
  });
});

describe('the caller that waits', () => {
  test('hears from the last to leave alone, by message', () => {
    open(words, 0);
    joined(2);
    shut(words);
    expect(askForMessage(words)).toBe(true);
    expect(members.slice(0, 2).map((member) => leave(words, member))).toEqual([false, true]);
    expect(askForMessage(words)).toBe(false);
  });

  test('sleeps on a word that the last to leave changes, once', () => {
    open(words, 0);
    joined(2);
    shut(words);
    expect(blockUntilEmpty(words, 1)).toBe(false);
    const seen = words[CALLER] as number;
    leave(words, members[0] as Member);
    expect(words[CALLER]).toBe(seen);
    leave(words, members[1] as Member);
    expect(words[CALLER]).toBe(seen + 1);
    expect(blockUntilEmpty(words, 1)).toBe(true);
  });
});
