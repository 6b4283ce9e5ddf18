/** Code of the caller that runs while a call is checked, and uses the very cache that the call is for. */
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createEngine, defineEncoding, type KVCache, type PreparedAttention, rotary, type Tensor } from '../../src/index.ts';

const engine = await createEngine({ threads: 1 });
afterAll(() => engine.dispose());

const [G, D] = [2, 8];
const rows = (n: number): Tensor => engine.tensor([1, G, n, D], new Float32Array(G * n * D).fill(1));
const [one, three] = [rows(1), rows(3)];

/** Runs once, in the next `lower` or getter. */
let touch: (() => unknown) | undefined;
const touched = (): void => {
  const now = touch;
  touch = undefined;
  now?.();
};
const halves = rotary({ dim: D, theta: 100, layout: 'halves' });
const encoding = defineEncoding({
  name: 'touching',
  steady: true,
  lower(context) {
    touched();
    return halves.lower(context);
  },
});

let cache: KVCache;
let step: PreparedAttention;
beforeEach(async () => {
  touch = undefined;
  cache = engine.kvCache({ batch: 1, heads: G, headDim: D, capacity: 8, pageSize: 8, encoding });
  step = await engine.prepare(one, one, one, { cache });
  cache.append(three, three);
});

const TOUCHES: Readonly<Record<string, readonly [touch: () => unknown, code: string, length: number | undefined]>> = {
  dispose: [() => cache.dispose(), 'disposed', undefined],
  append: [() => cache.append(three, three), 'busy', 6],
  'a prepared step': [() => step.runSync(), 'busy', 4],
  truncate: [() => cache.truncate(1), 'busy', 1],
  reset: [() => cache.reset(), 'busy', 0],
  remove: [() => cache.remove(0, 1), 'busy', 2],
};
/** A list that touches the cache when it is read. */
const watched = (value: number): number[] =>
  Object.defineProperty([0], 0, {
    get() {
      touched();
      return value;
    },
  });
const CALLS: Readonly<Record<string, () => unknown>> = {
  attention: () => engine.attentionSync(one, three, three, { cache }),
  'attention that only reads': () => engine.attentionSync(one, null, null, { cache }),
  append: () => cache.append(three, three),
  truncate: () => cache.truncate(watched(2)),
  remove: () => cache.remove(0, watched(1)),
};

describe.each(Object.entries(CALLS))('%s', (_, call) => {
  test.each(Object.entries(TOUCHES))('and %s', async (_, [change, code, length]) => {
    // The prepared step goes on from the one before, so that it changes rows in the list that there is.
    cache.truncate(0);
    for (let n = 0; n < 3; n++) step.runSync();
    const { used } = engine.memoryUsage();
    touch = change;
    expect(call).toThrow(expect.objectContaining({ code }));
    if (length === undefined) {
      expect(cache.disposed).toBe(true);
      step.dispose();
      return;
    }
    expect(cache.length).toBe(length);
    // Nothing stays busy, and nothing is kept.
    cache.reset();
    expect(engine.memoryUsage().used).toBeLessThanOrEqual(used);
    cache.append(three, three);
    expect(engine.attentionSync(one, null, null, { cache }).toArray()).toEqual(new Float32Array(G * D).fill(1));
    step.dispose();
  });

  test('and a call that is under way', async () => {
    let run: Promise<Tensor> | undefined;
    touch = () => {
      run = engine.attention(one, one, one, { cache });
    };
    expect(call).toThrow(expect.objectContaining({ code: 'busy' }));
    await run;
    expect(cache.length).toBe(4);
  });
});

test('a prepared step whose encoding touches the cache', async () => {
  using touching = await engine.prepare(one, one, one, { cache });
  touch = () => cache.append(three, three);
  expect(() => touching.runSync()).toThrow(expect.objectContaining({ code: 'busy' }));
  expect(cache.length).toBe(6);
  touch = () => touching.runSync();
  expect(() => touching.runSync()).toThrow('runSync: a run of this prepared call is under way; await it first');
  expect(cache.length).toBe(6);
  touching.runSync();
  expect(cache.length).toBe(7);
});
