/** Blocks that a lost worker may still write to: freed or not, they are handed out again only when it cannot any more. */
import { describe, expect, test } from 'vitest';
import { Arena, createMemory } from '../../src/memory/arena.ts';

const arenaOf = (): Arena => {
  const { memory, limit } = createMemory(false, 2 ** 20);
  return new Arena(memory, limit);
};

/** A promise, and what resolves it and lets those hear that wait for it. */
function loss(): { over: Promise<void>; end: () => Promise<void> } {
  let resolve = (): void => {};
  const over = new Promise<void>((settle) => {
    resolve = settle;
  });
  return {
    over,
    end: async () => {
      resolve();
      await over;
    },
  };
}

describe('quarantine', () => {
  test('what was allocated at the loss is not handed out before its end', async () => {
    const arena = arenaOf();
    const [first] = [arena.allocate(100), arena.allocate(100)] as const;
    const { over, end } = loss();
    arena.quarantine(over);
    arena.free(first);
    expect(arena.usage().quarantined).toBe(192);
    expect(arena.usage().used).toBe(384);
    expect(arena.allocate(100)).not.toBe(first);
    expect(() => arena.free(first)).toThrow('is not allocated');
    await end();
    expect(arena.usage().quarantined).toBe(0);
    expect(arena.usage().used).toBe(384);
    expect(arena.allocate(100)).toBe(first);
  });

  test('what is allocated after the loss comes and goes as ever', () => {
    const arena = arenaOf();
    arena.quarantine(loss().over);
    const block = arena.allocate(100);
    arena.free(block);
    expect(arena.usage()).toMatchObject({ used: 0, quarantined: 0 });
    expect(arena.allocate(100)).toBe(block);
  });

  test('of two losses the end of one is not that of the other, whichever is over first', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const) {
      const arena = arenaOf();
      const block = arena.allocate(100);
      const losses = [loss(), loss()] as const;
      for (const { over } of losses) arena.quarantine(over);
      arena.free(block);
      await losses[order[0]].end();
      expect(arena.usage().quarantined).toBe(192);
      expect(arena.allocate(100)).not.toBe(block);
      await losses[order[1]].end();
      expect(arena.usage().quarantined).toBe(0);
      expect(arena.allocate(100)).toBe(block);
    }
  });
});
