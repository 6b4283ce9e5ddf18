/** A kernel that traps, or memory that runs out, while stored keys turn: nothing changes, or the cache says that its keys are of no use. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createEngineSync, type Engine, type KVCache, RelposError, rotary, type Tensor } from '../../src/index.ts';
import { Arena } from '../../src/memory/arena.ts';
import { TilePool } from '../../src/threads/tile-pool.ts';
import type { Job, Stage } from '../../src/threads/types.ts';
import { expectSameBits } from '../attention/call.ts';
import { sequence } from './support.ts';

const sizes = { B: 2, H: 2, G: 2, T: 60, D: 8, E: 8 };
const { B, G, T, D } = sizes;
const encoding = rotary({ dim: 8, theta: 100, layout: 'halves' });

const engines: Engine[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const engine of engines.splice(0)) engine.dispose();
});

interface Rig {
  readonly engine: Engine;
  readonly cache: KVCache;
  readonly k: Tensor;
  readonly v: Tensor;
  attend(cache: KVCache): Float32Array;
}

function rig(): Rig {
  const engine = createEngineSync({ threads: 1 });
  engines.push(engine);
  const { q, k, v } = sequence(engine, sizes, 31);
  const cache = engine.kvCache({ batch: B, heads: G, headDim: D, capacity: T, pageSize: 8, encoding }).append(k, v);
  const query = q.slice(null, null, [0, 3]);
  const attend = (each: KVCache): Float32Array => {
    using out = engine.attentionSync(query, null, null, { cache: each, causal: true });
    return out.toArray();
  };
  return { engine, cache, k, v, attend };
}

/** The kernel `shift` turns the keys of its first tile, then traps. */
function trapInShift(): void {
  const { runSync } = TilePool.prototype;
  vi.spyOn(TilePool.prototype, 'runSync').mockImplementation(function (this: TilePool, job: Job) {
    const at = job.stages.findIndex(({ kernel }) => kernel === 'shift');
    if (at < 0) return runSync.call(this, job);
    const [shift] = job.stages.slice(at) as [Stage];
    runSync.call(this, { ...job, stages: [...job.stages.slice(0, at), { ...shift, tiles: 1 }], threads: 1 });
    throw new RelposError('kernel-trap', 'injected');
  });
}

const torn = expect.objectContaining({ code: 'kernel-trap', message: expect.stringContaining('failed midway') });

const CHANGES: Readonly<Record<string, (cache: KVCache) => KVCache>> = {
  shift: (cache) => cache.shift(5),
  'remove of whole pages': (cache) => cache.remove(8, 24),
  'remove of a few keys': (cache) => cache.remove([3, 10], [5, 21]),
};

describe.each(Object.entries(CHANGES))('%s', (_, change) => {
  test('a trap tears the keys, and every use says so until a reset', () => {
    const { engine, cache, k, v, attend } = rig();
    const before = attend(cache);
    trapInShift();
    expect(() => change(cache)).toThrow('injected');
    vi.restoreAllMocks();
    const uses = [
      () => attend(cache),
      () => cache.append(k, v),
      () => change(cache),
      () => cache.truncate(5),
      () => cache.fork(),
      () => cache.length,
    ];
    for (const use of uses) expect(use).toThrow(torn);
    cache.reset();
    expect(cache.length).toBe(0);
    cache.append(k, v);
    expectSameBits(attend(cache), before);
    const { used } = engine.memoryUsage();
    cache.dispose();
    expect(engine.memoryUsage().used).toBeLessThan(used);
  });

  test('pages that a fork shares are copied first: nothing is changed, of either', () => {
    const { engine, cache, attend } = rig();
    const fork = cache.fork();
    const before = attend(cache);
    engine.releaseTables();
    const { used } = engine.memoryUsage();
    trapInShift();
    expect(() => change(fork)).toThrow('injected');
    vi.restoreAllMocks();
    engine.releaseTables();
    expect(engine.memoryUsage().used).toBe(used);
    expectSameBits(attend(fork), before);
    expectSameBits(attend(cache), before);
    const other = rig();
    expectSameBits(attend(change(fork)), other.attend(change(other.cache)));
  });

  test('memory that runs out, at whichever allocation, changes nothing', () => {
    const { engine, cache, attend } = rig();
    const before = attend(cache);
    engine.releaseTables();
    const { allocate } = Arena.prototype;
    const start = engine.memoryUsage().used;
    let failed = 0;
    for (let most = start; ; most += 64) {
      vi.spyOn(Arena.prototype, 'allocate').mockImplementation(function (this: Arena, bytes: number) {
        const at = allocate.call(this, bytes);
        if (this.usage().used <= most) return at;
        this.free(at);
        throw new RelposError('out-of-memory', 'injected', { asked: bytes, limit: most });
      });
      let done = true;
      try {
        change(cache);
      } catch (error) {
        expect(error).toMatchObject({ code: 'out-of-memory' });
        done = false;
      }
      vi.restoreAllMocks();
      if (done) break;
      failed++;
      expectSameBits(attend(cache), before);
      engine.releaseTables();
    }
    expect(failed).toBeGreaterThan(3);
  });
});

test('a failure of one cache is none of another', () => {
  const { engine, cache, k, v, attend } = rig();
  const other = engine.kvCache({ batch: B, heads: G, headDim: D, capacity: T, pageSize: 8, encoding }).append(k, v);
  const before = attend(other);
  trapInShift();
  expect(() => cache.shift(1)).toThrow('injected');
  vi.restoreAllMocks();
  expectSameBits(attend(other), before);
  cache.dispose();
  expect(() => cache.reset()).toThrow(expect.objectContaining({ code: 'disposed' }));
});
