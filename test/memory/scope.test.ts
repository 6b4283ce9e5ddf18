/** What a call holds goes back when it is over: all of it, once, the last first, since what came later may stand on what came before. */
import { expect, test } from 'vitest';
import { Arena, createMemory } from '../../src/memory/arena.ts';
import { Scope } from '../../src/memory/scope.ts';

test('everything goes back once, the last first', () => {
  const { memory, limit } = createMemory(false, 2 ** 20);
  const arena = new Arena(memory, limit);
  const scope = new Scope(arena);
  const order: string[] = [];
  scope.defer(() => order.push(`first, ${arena.usage().used} bytes in use`));
  scope.allocate(100);
  scope.own({ dispose: () => order.push('held') });
  scope.upload(Float32Array.of(1, 2, 3));
  scope.defer(() => order.push(`last, ${arena.usage().used} bytes in use`));
  scope.release();
  expect(order).toEqual(['last, 320 bytes in use', 'held', 'first, 0 bytes in use']);
  scope.release();
  expect(order.length).toBe(3);
});
