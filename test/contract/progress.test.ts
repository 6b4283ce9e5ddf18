/** Aborting a call and hearing of its progress. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine, rotary } from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';

const engines = await Promise.all([1, 2].map((threads) => createEngine({ threads })));
afterAll(() => {
  for (const engine of engines) engine.dispose();
});

const SHAPE = [1, 8, 1200, 64];
const data = numbers(8 * 1200 * 64, 1);
const encoding = rotary({ dim: 64, theta: 10000, layout: 'halves' });

describe.each(engines.map((engine) => ({ engine, threads: engine.capabilities.threads })))('on $threads thread(s)', ({ engine }) => {
  const x = engine.tensor(SHAPE, data);
  const before = new Float32Array(data.length).fill(-3);

  test('a signal aborted beforehand rejects with its reason and touches nothing', async () => {
    const out = engine.tensor(SHAPE, before);
    const reason = new Error('never mind');
    await expect(engine.attention(x, x, x, { out, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expectSameBits(out.toArray(), before);
    out.dispose();
  });

  test('aborted on the way, out is as it was, and the next call is right', async () => {
    const out = engine.tensor(SHAPE, before);
    const controller = new AbortController();
    const reason = { any: 'value' };
    const call = engine.attention(x, x, x, {
      encoding,
      out,
      signal: controller.signal,
      onProgress: ({ done }) => {
        if (done > 0) controller.abort(reason);
      },
    });
    await expect(call).rejects.toBe(reason);
    expectSameBits(out.toArray(), before);
    expectSameBits(x.toArray(), data);
    const [first, second] = [await engine.attention(x, x, x, { encoding, out }), await engine.attention(x, x, x, { encoding })];
    expectSameBits(first.toArray(), second.toArray());
    first.dispose();
    second.dispose();
  });

  test('what onProgress throws leaves out as it was, packed or not', async () => {
    const reason = new Error('too far');
    const onProgress = (): void => {
      throw reason;
    };
    const flat = x.permute(0, 2, 1, 3).slice(null, [0, 8]);
    const rows = engine.tensor([8, 8, 64], flat.toArray());
    for (const [given, options] of [
      [x, { encoding }],
      [rows, { encoding, queryOffsets: [0, 3, 8] }],
    ] as const) {
      const held = new Float32Array(given.size).fill(-3);
      const out = engine.tensor(given.shape, held);
      await expect(engine.attention(given, given, given, { ...options, out, onProgress })).rejects.toBe(reason);
      expectSameBits(out.toArray(), held);
      const expected = await engine.attention(given, given, given, options);
      expect(await engine.attention(given, given, given, { ...options, out, onProgress: () => {} })).toBe(out);
      expectSameBits(out.toArray(), expected.toArray());
      for (const tensor of [out, expected]) tensor.dispose();
    }
    for (const tensor of [flat, rows]) tensor.dispose();
  });

  test('aborted afterwards, nothing happens', async () => {
    const controller = new AbortController();
    const out = await engine.attention(x, x, x, { signal: controller.signal });
    controller.abort();
    expect(out.toArray().length).toBe(data.length);
    out.dispose();
  });

  test('progress grows up to the total, and comes more than once', async () => {
    const heard: { done: number; total: number }[] = [];
    // Long enough for several reports, which are 50 ms apart.
    const long = engine.tensor([1, 8, 4000, 64]);
    const out = await engine.attention(long, long, long, { onProgress: (progress) => heard.push(progress) });
    out.dispose();
    long.dispose();
    const total = heard[0]?.total as number;
    expect(heard.length).toBeGreaterThan(1);
    expect(heard.every((each) => each.total === total && each.done <= total)).toBe(true);
    expect(heard.every(({ done }, n) => n === 0 || done >= (heard[n - 1] as { done: number }).done)).toBe(true);
    expect(heard.at(-1)?.done).toBe(total);
  });

  test('a pending call leaves the event loop running', async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    for (let n = 0; n < 5; n++) (await engine.attention(x, x, x, { onProgress: () => {} })).dispose();
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(1);
  });
});
