/** The allocator against a model: what is handed out is aligned, apart, inside; what comes back is one piece again. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RelposError } from '../../src/index.ts';
import { Arena, createMemory } from '../../src/memory/arena.ts';

const PAGE = 65536;
const arenaOf = (bytes: number): Arena => {
  const { memory, limit } = createMemory(false, bytes);
  return new Arena(memory, limit);
};

/** What a block takes: whole cache lines, and one more that kernels may read into. */
const taken = (bytes: number): number => Math.ceil(bytes / 64) * 64 + 64;

type Step = { allocate: number } | { free: number };
const program: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ allocate: fc.oneof(fc.nat(300), fc.nat(200_000)) }) },
    { weight: 2, arbitrary: fc.record({ free: fc.nat(1000) }) },
  ),
  { maxLength: 120 },
);

describe('random programs', () => {
  test('keep blocks aligned, apart, inside the memory and counted', () => {
    fc.assert(
      fc.property(program, (steps) => {
        const arena = arenaOf(64 * 2 ** 20);
        const live: { at: number; size: number }[] = [];
        for (const step of steps) {
          if ('free' in step) {
            const [block] = live.splice(step.free % Math.max(1, live.length), 1);
            if (block) arena.free(block.at);
          } else {
            const block = { at: arena.allocate(step.allocate), size: taken(step.allocate) };
            expect(block.at % 64).toBe(0);
            expect(block.at).toBeGreaterThanOrEqual(4096);
            expect(block.at + block.size).toBeLessThanOrEqual(arena.memory.buffer.byteLength);
            expect(live.every(({ at, size }) => block.at + block.size <= at || at + size <= block.at)).toBe(true);
            live.push(block);
          }
          expect(arena.usage().used).toBe(live.reduce((sum, { size }) => sum + size, 0));
        }
        for (const { at } of live) arena.free(at);
        expect(arena.usage().used).toBe(0);
        // All holes are one again: the whole memory is to be had without growing.
        const { reserved } = arena.usage();
        arena.allocate(reserved - 4096 - 64);
        expect(arena.usage().reserved).toBe(reserved);
      }),
      { numRuns: 200 },
    );
  });
});

describe('freed blocks', () => {
  test.each([[[0, 1, 2]], [[2, 1, 0]], [[1, 0, 2]], [[0, 2, 1]]])('in the order %j become one', (order) => {
    const arena = arenaOf(2 ** 20);
    const blocks = [100, 200, 300].map((bytes) => arena.allocate(bytes));
    for (const n of order) arena.free(blocks[n] as number);
    expect(arena.allocate(600)).toBe(blocks[0]);
  });

  test('freed twice is an error, not a corruption', () => {
    const arena = arenaOf(2 ** 20);
    const at = arena.allocate(10);
    arena.free(at);
    expect(() => arena.free(at)).toThrow('not allocated');
    expect(arena.usage().used).toBe(0);
  });
});

describe('growth', () => {
  test('is by little more than is needed, and never past the limit', () => {
    const arena = arenaOf(10 * PAGE);
    arena.allocate(5 * PAGE);
    expect(arena.usage().reserved).toBeLessThanOrEqual(7 * PAGE);
    arena.allocate(4 * PAGE - 4096 - 200);
    expect(arena.usage()).toMatchObject({ reserved: 10 * PAGE, limit: 10 * PAGE });
  });

  test('uses the free tail', () => {
    const arena = arenaOf(2 * PAGE);
    arena.allocate(2 * PAGE - 4096 - 64);
    expect(arena.usage().reserved).toBe(2 * PAGE);
  });

  test('contents survive', () => {
    const arena = arenaOf(64 * PAGE);
    const at = arena.allocate(1000);
    new Uint8Array(arena.memory.buffer, at, 1000).fill(7);
    arena.allocate(30 * PAGE);
    expect(new Uint8Array(arena.memory.buffer, at, 1000).every((x) => x === 7)).toBe(true);
  });
});

describe('out of memory', () => {
  test('says what was asked for and what the limit is, and changes nothing', () => {
    const arena = arenaOf(4 * PAGE);
    const at = arena.allocate(PAGE);
    const before = arena.usage();
    const failure = (() => {
      try {
        arena.allocate(4 * PAGE);
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toBeInstanceOf(RelposError);
    expect(failure).toMatchObject({ code: 'out-of-memory', asked: 4 * PAGE, limit: 4 * PAGE });
    expect((failure as Error).message).toContain(`asked for ${4 * PAGE} bytes`);
    expect(arena.usage()).toEqual(before);
    arena.free(at);
    expect(arena.allocate(100)).toBe(at);
  });
});
