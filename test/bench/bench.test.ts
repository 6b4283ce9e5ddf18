/** `relpos/bench`: what it verifies, how it times, and what it says where it cannot. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BenchProgress, bench, benchCases } from '../../src/bench/index.ts';
import { createEngine, type Engine } from '../../src/index.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
});
afterAll(() => engine.dispose());

const small = { only: /^swin/, quick: true };

/** The bits of the quick cases, in every runtime on every number of threads. */
const BITS = {
  'attention/512x12x64': '98cb4c29',
  'causal/1024x8x64': '5bf326e7',
  'prefill/512xH32G8x64': 'efac1092',
  'decode/2047xH32G8x64': '88a60484',
  'rotary/512x32x64': '8eed2b56',
  't5-bias/512x12x64': '80d2a310',
  'alibi/512x12x64': 'd787c1e4',
  'deberta/512x12x64': '9cc77337',
  'swin/64x7x7x12x32': 'ed4ad09e',
};

describe('bench', () => {
  it('verifies every case and hashes its bits', async () => {
    const result = await bench(engine, { calls: 1 });
    expect(result.rows.filter(({ failure }) => failure)).toEqual([]);
    expect([...new Set(result.rows.map((row) => row.case))]).toEqual(benchCases);
    for (const { case: id, hash, error, ms } of result.rows) {
      expect(error, id).toBeGreaterThan(0);
      expect(error, id).toBeLessThan(1e-6);
      expect(ms, id).toBeNull();
      if (id in BITS) expect(hash, id).toBe(BITS[id as keyof typeof BITS]);
    }
  });

  it('runs fewer cases when asked to be quick, on one thread and on two, and says what a case counts as', async () => {
    const result = await bench({ threads: [1, 2] }, { quick: true, calls: 1 });
    expect(result.rows.map((row) => [row.case, row.threads])).toEqual(Object.keys(BITS).flatMap((id) => [1, 2].map((n) => [id, n])));
    expect(result.rows.filter(({ failure }) => failure)).toEqual([]);
    expect(result.engines.map(({ asked, threads }) => [asked, threads])).toEqual([1, 2].map((n) => [n, n]));
    const work = Object.fromEntries(result.rows.map((row) => [row.case, [row.work, row.unit]]));
    expect(work['attention/512x12x64']).toEqual([4 * 512 * 512 * 12 * 64, 'GFLOP/s']);
    expect(work['swin/64x7x7x12x32']).toEqual([4 * 64 * 49 * 49 * 12 * 32, 'GFLOP/s']);
    expect(work['decode/2047xH32G8x64']).toEqual([2 * 2048 * 8 * 64 * 4, 'GB/s']);
    expect(work['rotary/512x32x64']).toEqual([2 * 512 * 32 * 64 * 4, 'GB/s']);
    expect(result.hash).toBe('2981073a');
  });

  it('gives times, rates and shares that fit each other, and tells how far it is', async () => {
    const progress: BenchProgress[] = [];
    const { rows, clock, peak, host } = await bench(engine, { ...small, onProgress: (at) => progress.push(at) });
    const row = rows[0];
    if (row?.ms == null || row.rate === null || row.share === null || peak.mulAdd === null) throw new Error('not timed');
    expect(row.rate).toBeCloseTo(row.work / row.ms / 1e6, 9);
    expect(row.share).toBeCloseTo(row.rate / peak.mulAdd, 9);
    expect(peak.int16).toBeGreaterThan(0);
    expect(row.samples).toBeGreaterThanOrEqual(5);
    expect(clock.kind).toBe('runs');
    expect(host).toMatchObject({ runtime: 'node', version: process.versions.node, label: `Node ${process.versions.node}` });
    expect(progress.at(-1)).toMatchObject({ done: 1, total: 1, row: { case: row.case } });
  });

  it('counts bytes against memory, and leaves several threads without that share', async () => {
    const { rows } = await bench({ threads: [1, 2] }, { only: 'rotary/512', quick: true });
    expect(rows.map(({ threads, share }) => [threads, share !== null])).toEqual([
      [1, true],
      [2, false],
    ]);
  });

  it('takes longer samples by a clock with steps of a millisecond', async () => {
    const now = (): number => Math.floor(performance.now());
    const { rows, clock } = await bench(engine, { only: 'decode/511', quick: true, now });
    const [row] = rows;
    expect(clock.resolution).toBeGreaterThanOrEqual(1);
    // Of 50 steps at least, as far as the machine is as fast in the samples as it was before them.
    expect((row?.ms ?? 0) * (row?.calls ?? 0)).toBeGreaterThan(10);
    expect(row?.calls).toBeGreaterThan(1);
  });

  it('waits for events by a clock that moves between them alone, as on an edge host', async () => {
    let time = 0;
    const timer = setInterval(() => {
      time = performance.now();
    }, 1);
    try {
      const { rows, clock } = await bench(engine, { ...small, now: () => time });
      expect(clock.kind).toBe('between events');
      expect(rows[0]?.ms).toBeGreaterThan(0);
    } finally {
      clearInterval(timer);
    }
  });

  it('has no times by a clock that stands still, and says so', async () => {
    const { rows, clock, peak } = await bench(engine, { ...small, now: () => 7 });
    expect(clock).toMatchObject({ kind: 'stands still', resolution: 0 });
    expect(clock.why).toMatch(/stands still.*nothing was timed/);
    expect(peak).toEqual({ mulAdd: null, fused: null, int16: null, why: 'nothing is timed' });
    expect(rows[0]).toMatchObject({ ms: null, mad: null, rate: null, share: null, hash: BITS['swin/64x7x7x12x32'] });
  });

  it('runs a case as often as it is told to, for a caller who measures around it', async () => {
    let calls = 0;
    const counting = new Proxy(engine, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (name !== 'attention') return typeof value === 'function' ? value.bind(target) : value;
        return (...args: Parameters<Engine['attention']>) => {
          calls++;
          return target.attention(...args);
        };
      },
    });
    const { rows, clock } = await bench(counting, { ...small, calls: 4 });
    expect(calls).toBe(4);
    expect(rows[0]).toMatchObject({ calls: 4, ms: null });
    expect(clock.why).toMatch(/4 times/);
  });

  it('does not time an output that is wrong', async () => {
    const wrong = new Proxy(engine, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (name !== 'attention') return typeof value === 'function' ? value.bind(target) : value;
        return async (...args: Parameters<Engine['attention']>) => {
          const out = await target.attention(...args);
          out.set(new Float32Array(out.shape.reduce((a, b) => a * b, 1)));
          return out;
        };
      },
    });
    const { rows } = await bench(wrong, small);
    expect(rows[0]).toMatchObject({ ms: null, rate: null, samples: 0 });
    expect(rows[0]?.failure).toMatch(/^off by 0\.\d+ from the f64 evaluation, more than 0\.0001$/);
  });

  it('leaves an engine that it was given as it was, and frees what it took', async () => {
    const before = engine.memoryUsage().used;
    await bench(engine, { quick: true, calls: 1 });
    expect(engine.memoryUsage().used).toBe(before);
    expect((await engine.selfTest()).passed).toBe(true);
  });

  it('stops when it is told to', async () => {
    const abort = new AbortController();
    const run = bench(engine, { quick: true, signal: abort.signal, onProgress: ({ done }) => done === 1 && abort.abort() });
    await expect(run).rejects.toThrow(/abort/i);
    expect((await engine.selfTest()).passed).toBe(true);
  });

  it('refuses what it does not know', async () => {
    await expect(bench(engine, { only: 'nothing' })).rejects.toThrow(
      /^bench: "only" expected a part of attention\/128x12x64, .*, got nothing$/,
    );
    await expect(bench(engine, { calls: 0 })).rejects.toThrow('bench: "calls" expected an integer ≥ 1, got 0');
    await expect(bench(engine, { fast: true } as never)).rejects.toThrow(/"fast"/);
    await expect(bench(3 as never)).rejects.toThrow('bench: "subject" expected an engine or options, got 3');
    await expect(bench({ threads: 0 })).rejects.toThrow(/createEngine: "threads"/);
  });
});
