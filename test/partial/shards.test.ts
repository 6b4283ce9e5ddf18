/** The planner against counting, and putting together what a queue delivered. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  collectStates,
  type DecodedState,
  decodeState,
  encodeState,
  planShards,
  type ShardOptions,
  type StateLabel,
} from '../../src/index.ts';

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const someOptions: fc.Arbitrary<ShardOptions> = fc
  .record({
    totalKeys: fc.nat(40),
    cut: fc.oneof(
      fc.integer({ min: 1, max: 12 }).map((shards) => ({ shards })),
      fc.integer({ min: 1, max: 45 }).map((shardSize) => ({ shardSize })),
    ),
    start: fc.integer({ min: -10, max: 45 }),
    length: fc.nat(12),
    causal: fc.constantFrom<(boolean | 'offset')[]>(true, false, 'offset'),
    offset: fc.integer({ min: -50, max: 50 }),
    left: maybe(fc.nat(30)),
    right: maybe(fc.nat(30)),
  })
  .map(({ totalKeys, cut, start, length, causal, offset, left, right }) => ({
    totalKeys,
    ...cut,
    queries: { start, end: start + length },
    causal: causal === 'offset' ? { offset } : causal,
    window: { ...(left !== undefined && { left }), ...(right !== undefined && { right }) },
  }));

test('the plan is what counting finds', () => {
  fc.assert(
    fc.property(someOptions, (options) => {
      const { totalKeys, queries, causal, window = {} } = options;
      const sees = (p: number, j: number): boolean => {
        if (causal === true && j > p) return false;
        if (typeof causal === 'object' && j > p - queries.start + causal.offset) return false;
        return j >= p - (window.left ?? Infinity) && j <= p + (window.right ?? Infinity);
      };
      const plan = planShards(options);
      expect(plan.map(({ index }) => index)).toEqual(plan.map((_, n) => n));
      let next = 0;
      for (const { keyOffset, keys, visible } of plan) {
        expect(keyOffset).toBe(next);
        next += keys;
        let [seen, pairs] = [0, 0];
        for (let p = queries.start; p < queries.end; p++) {
          for (let j = keyOffset; j < keyOffset + keys; j++) {
            pairs++;
            if (sees(p, j)) seen++;
          }
        }
        expect(visible).toBe(seen === 0 ? 'none' : seen === pairs ? 'all' : 'some');
      }
      expect(next).toBe(totalKeys);
      const sizes = plan.map(({ keys }) => keys);
      if (options.shards !== undefined) {
        expect(plan.length).toBe(options.shards);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      } else {
        expect(sizes.slice(0, -1).every((n) => n === options.shardSize)).toBe(true);
      }
    }),
    { numRuns: 2000 },
  );
});

test('large plans stay exact', () => {
  const plan = planShards({ totalKeys: 2 ** 31 - 1, shards: 2 ** 20, queries: { start: 2 ** 31 - 2, end: 2 ** 31 - 1 }, causal: true });
  const last = plan.at(-1) as (typeof plan)[number];
  expect(last.keyOffset + last.keys).toBe(2 ** 31 - 1);
  expect(plan.every(({ visible }) => visible === 'all')).toBe(true);
});

test('a plan that makes no sense is refused', () => {
  const good = { totalKeys: 10, shards: 2, queries: { start: 0, end: 1 } };
  const refuse = (options: object, type: typeof TypeError | typeof RangeError): void =>
    expect(() => planShards({ ...good, ...options } as ShardOptions)).toThrow(type);
  refuse({ shardSize: 3 }, TypeError);
  refuse({ shards: undefined }, TypeError);
  refuse({ shards: 0 }, RangeError);
  refuse({ shards: 2 ** 20 + 1 }, RangeError);
  refuse({ shards: undefined, shardSize: 1, totalKeys: 2 ** 21 }, RangeError);
  refuse({ totalKeys: -1 }, RangeError);
  refuse({ queries: undefined }, TypeError);
  refuse({ queries: { start: 2, end: 1 } }, RangeError);
  refuse({ causal: 1 }, TypeError);
  refuse({ window: { left: -1 } }, RangeError);
  refuse({ window: { both: 1 } }, TypeError);
  refuse({ shard: 2 }, TypeError);
});

/** A delivered state: `value` in its numbers. */
function answer(index: number, count: number, value = index, more: StateLabel & { lse?: number; E?: number } = {}): DecodedState {
  const { lse = 0, E = 1, ...label } = more;
  const state = { shape: [1, 1, 1, E] as const, out: new Float32Array(E).fill(value), lse: Float32Array.of(lse) };
  return decodeState(encodeState(state, { shard: { index, count }, ...label }));
}
const indices = (states: readonly DecodedState[]): (number | undefined)[] => states.map(({ shard }) => shard?.index);

test('any order and any duplicates come out as each shard once, in order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(7)), fc.infiniteStream(fc.double()), (count, again, dice) => {
      // A second delivery may have been computed elsewhere: its meta differs, its numbers do not.
      const delivered = [
        ...Array.from({ length: count }, (_, index) => answer(index, count, index, { meta: 'first' })),
        ...again.map((n) => answer(n % count, count, n % count, { meta: 'second' })),
      ];
      const shuffled = delivered.map((state) => ({ state, key: dice.next().value as number })).sort((a, b) => a.key - b.key);
      const collected = collectStates(
        shuffled.map(({ state }) => state),
        count,
      );
      expect(indices(collected)).toEqual(Array.from({ length: count }, (_, index) => index));
      expect(collected.map(({ out }) => out[0])).toEqual(indices(collected));
    }),
  );
});

test('two states of one shard with other numbers are refused', () => {
  expect(() => collectStates([answer(0, 2), answer(1, 2), answer(0, 2, 5)], 2)).toThrow(
    /states\[2\]" expected what came first for shard 0/,
  );
  expect(() => collectStates([answer(0, 2), answer(1, 2), answer(0, 2, 0, { lse: 1 })], 2)).toThrow(RangeError);
  // The bits decide, not the checksum alone; and −0 is not 0.
  const forged = { ...answer(0, 1, -0), checksum: answer(0, 1, 0).checksum };
  expect(() => collectStates([answer(0, 1, 0), forged], 1)).toThrow(RangeError);
});

test('a missing shard is refused unless it is known to be empty', () => {
  const states = [answer(3, 5), answer(1, 5)];
  expect(() => collectStates(states, 5)).toThrow('collectStates: "states" expected every shard of 5, got none for 0, 2, 4');
  expect(() => collectStates(states, 5, { empty: [0, 2] })).toThrow(/none for 4/);
  expect(indices(collectStates(states, 5, { empty: [4, 0, 2, 0] }))).toEqual([1, 3]);
  expect(collectStates([], 3, { empty: [0, 1, 2] })).toEqual([]);
  expect(() => collectStates([], 100)).toThrow(/0, 1, 2, 3, 4, 5, 6, 7 …/);
});

test('an empty shard that answered all the same is dropped if it saw nothing, else refused', () => {
  const states = [answer(0, 2), answer(1, 2, 0, { lse: -Infinity })];
  expect(indices(collectStates(states, 2, { empty: [1] }))).toEqual([0]);
  expect(indices(collectStates(states, 2))).toEqual([0, 1]);
  expect(() => collectStates(states, 2, { empty: [0] })).toThrow(/marked empty/);
});

test('states that do not belong together are refused', () => {
  const first = answer(0, 2, 0, { id: 'a' });
  const refuse = (other: unknown, type: typeof TypeError | typeof RangeError = RangeError): void =>
    expect(() => collectStates([first, other as DecodedState], 2)).toThrow(type);
  refuse(answer(1, 2));
  refuse(answer(1, 2, 0, { id: 'b' }));
  refuse(answer(1, 3, 0, { id: 'a' }));
  refuse(answer(1, 2, 0, { id: 'a', E: 2 }));
  refuse({ ...answer(1, 2, 0, { id: 'a' }), layout: 'blhd' });
  const { shard: _shard, ...whole } = answer(1, 2, 0, { id: 'a' });
  refuse(whole);
  refuse(null, TypeError);
  refuse({}, TypeError);
  expect(() => collectStates('all' as never, 2)).toThrow(TypeError);
  expect(() => collectStates([first], 0)).toThrow(RangeError);
  expect(() => collectStates([first], 2, { empty: [2] })).toThrow(RangeError);
  expect(() => collectStates([first], 2, { empty: 1 } as never)).toThrow(TypeError);
  expect(() => collectStates([first], 2, { absent: [1] } as never)).toThrow(TypeError);
});
