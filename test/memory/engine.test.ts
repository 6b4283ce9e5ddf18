/** What an engine's memory holds over the life of tensors and calls. */
import { afterEach, describe, expect, test } from 'vitest';
import {
  alibi,
  createEngine,
  createEngineSync,
  defineEncoding,
  type Engine,
  type EngineOptions,
  RelposError,
  rotary,
  type Tensor,
} from '../../src/index.ts';
import { expectSameBits } from '../attention/call.ts';
import { numbers } from '../conformance/numbers.ts';

const engines: Engine[] = [];
async function engineOf(options: EngineOptions): Promise<Engine> {
  const engine = await createEngine(options);
  engines.push(engine);
  return engine;
}
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose();
});

const SHAPE = [1, 4, 128, 32];
const filled = (engine: Engine, seed: number): Tensor => engine.tensor(SHAPE, numbers(4 * 128 * 32, seed));
const encoding = [rotary({ dim: 32, theta: 10000, layout: 'halves' }), alibi({ heads: 4 })];

/** The code of the RelposError that a call ends with. */
const codeOf = async (call: () => unknown): Promise<string> => {
  try {
    await call();
  } catch (error) {
    if (error instanceof RelposError) return error.code;
    throw error;
  }
  return 'none';
};

describe.each([1, 2])('on %d thread(s), memory in use comes back to what it was', (threads) => {
  const aborted = (): AbortSignal => AbortSignal.abort(new Error('enough'));
  const bad = rotary({ dim: 64, theta: 10000, layout: 'halves' });

  const CALLS: readonly [string, (engine: Engine, q: Tensor) => Promise<unknown>][] = [
    ['attention', async (engine, q) => (await engine.attention(q, q, q)).dispose()],
    ['attention with encodings', async (engine, q) => (await engine.attention(q, q, q, { encoding, causal: true })).dispose()],
    [
      'attention with sinks and lengths',
      async (engine, q) => (await engine.attention(q, q, q, { sinks: [1, 2, 3, 4], keyLengths: [9] })).dispose(),
    ],
    ['attentionSync', async (engine, q) => engine.attentionSync(q, q, q, { encoding }).dispose()],
    [
      'attentionPartial',
      async (engine, q) => {
        const { out, lse } = await engine.attentionPartial(q, q, q);
        out.dispose();
        lse.dispose();
      },
    ],
    ['rotate', async (engine, q) => (await engine.rotate(q, encoding[0] as never)).dispose()],
    [
      'rotate with positions',
      async (engine, q) => (await engine.rotate(q, encoding[0] as never, { positions: new Int32Array(128) })).dispose(),
    ],
    ['a refused shape', async (engine, q) => engine.attention(q, q.slice(null, [0, 3]), q).catch(() => {})],
    ['a refused encoding', async (engine, q) => engine.attention(q, q, q, { encoding: bad }).catch(() => {})],
    [
      'an encoding that throws',
      async (engine, q) => engine.attention(q, q, q, { encoding: defineEncoding({ name: 'x', lower: () => raise() }) }).catch(() => {}),
    ],
    ['an aborted call', async (engine, q) => engine.attention(q, q, q, { encoding, signal: aborted() }).catch(() => {})],
    [
      'a progress that throws',
      async (engine, q) =>
        engine.attention(q, q, q, { onProgress: raise }).then(
          (out) => out.dispose(),
          () => {},
        ),
    ],
    ['selfTest', async (engine) => engine.selfTest()],
  ];

  test.each(CALLS)('%s', async (_, call) => {
    const engine = await engineOf({ threads });
    const q = filled(engine, 1);
    // The first calls may leave tables behind, which are the engine's and bounded; further ones may not add to them.
    for (let n = 0; n < 20; n++) await call(engine, q);
    const { used } = engine.memoryUsage();
    for (let n = 0; n < 5; n++) await call(engine, q);
    expect(engine.memoryUsage().used).toBe(used);
  });
});

function raise(): never {
  throw new Error('no');
}

describe('dispose', () => {
  test('of a tensor gives its memory back, once', async () => {
    const engine = await engineOf({ threads: 1 });
    const { used } = engine.memoryUsage();
    const x = filled(engine, 1);
    expect(engine.memoryUsage().used).toBeGreaterThanOrEqual(used + 4 * 128 * 32 * 4);
    x.dispose();
    x.dispose();
    expect(x.disposed).toBe(true);
    expect(engine.memoryUsage().used).toBe(used);
  });

  test('waits for slices and permutations', async () => {
    const engine = await engineOf({ threads: 1 });
    const { used } = engine.memoryUsage();
    const x = filled(engine, 1);
    const [part, turned] = [x.slice(0, 1), x.permute(1, 0, 2, 3)];
    const expected = part.toArray();
    x.dispose();
    filled(engine, 2).dispose();
    expectSameBits(part.toArray(), expected);
    part.dispose();
    expect(engine.memoryUsage().used).toBeGreaterThan(used);
    turned.dispose();
    expect(engine.memoryUsage().used).toBe(used);
  });

  test('works through `using`', async () => {
    const engine = await engineOf({ threads: 1 });
    const { used } = engine.memoryUsage();
    const symbol: symbol = Symbol.dispose ?? Symbol.for('Symbol.dispose');
    const x = filled(engine, 1);
    (x as unknown as Record<symbol, () => void>)[symbol]?.();
    expect([x.disposed, engine.memoryUsage().used]).toEqual([true, used]);
  });

  test('after it every use of a tensor says so', async () => {
    const engine = await engineOf({ threads: 1 });
    const [x, other] = [filled(engine, 1), filled(engine, 2)];
    x.dispose();
    const uses: (() => unknown)[] = [
      () => x.toArray(),
      () => x.view(),
      () => x.set(new Float32Array(4 * 128 * 32)),
      () => x.slice(0),
      () => x.permute(0, 1, 2, 3),
      () => engine.attention(x, other, other),
      () => engine.attention(other, other, other, { out: x }),
      () => engine.rotate(x, encoding[0] as never),
    ];
    for (const use of uses) expect(await codeOf(use)).toBe('disposed');
  });

  test('of an engine, twice; after it every use says so', async () => {
    const engine = await engineOf({ threads: 2 });
    const x = filled(engine, 1);
    engine.dispose();
    engine.dispose();
    const uses: (() => unknown)[] = [
      () => engine.tensor([1]),
      () => engine.attention(x, x, x),
      () => engine.attentionSync(x, x, x),
      () => engine.attentionPartial(x, x, x),
      () => engine.rotate(x, encoding[0] as never),
      () => engine.memoryUsage(),
      () => engine.selfTest(),
      () => x.toArray(),
    ];
    for (const use of uses) expect(await codeOf(use)).toBe('disposed');
    x.dispose();
  });

  test('of an engine rejects what is pending', async () => {
    const engine = await engineOf({ threads: 2 });
    const x = engine.tensor([1, 8, 2000, 64]);
    const calls = [engine.attention(x, x, x), engine.attention(x, x, x)];
    engine.dispose();
    for (const call of calls) expect(await codeOf(() => call)).toBe('disposed');
  });
});

describe('inputs disposed right after the call', () => {
  test.each([1, 2, 3])('are held until it is done, on %d thread(s)', async (threads) => {
    const engine = await engineOf({ threads });
    const shape = [1, 8, 400, 64];
    const data = numbers(8 * 400 * 64, 1);
    const kept = engine.tensor(shape, data);
    const expected = (await engine.attention(kept, kept, kept, { encoding: alibi({ heads: 8 }) })).toArray();
    const x = engine.tensor(shape, data);
    const out = engine.tensor(shape);
    const call = engine.attention(x, x, x, { encoding: alibi({ heads: 8 }), out });
    x.dispose();
    out.dispose();
    // Whatever is allocated now must not take their place.
    const intruders = [1, 2, 3].map(() => engine.tensor(shape, new Float32Array(8 * 400 * 64).fill(Number.NaN)));
    const fresh = await engine.attention(kept, kept, kept, { encoding: alibi({ heads: 8 }) });
    await call;
    expectSameBits(fresh.toArray(), expected);
    for (const intruder of intruders) expect(intruder.toArray().every(Number.isNaN)).toBe(true);
  });

  test('the result is right all the same', async () => {
    const engine = await engineOf({ threads: 2 });
    const data = numbers(8 * 400 * 64, 1);
    const make = (): Tensor => engine.tensor([1, 8, 400, 64], data);
    const kept = make();
    const expected = (await engine.attention(kept, kept, kept)).toArray();
    const [q, k, v] = [make(), make(), make()];
    const call = engine.attention(q, k, v);
    for (const x of [q, k, v]) x.dispose();
    for (let n = 0; n < 3; n++) engine.tensor([1, 8, 400, 64], new Float32Array(8 * 400 * 64).fill(Number.NaN));
    expectSameBits((await call).toArray(), expected);
  });
});

describe('maxMemory', () => {
  test.each([1, 2])('is the limit on %d thread(s); a call that does not fit leaves everything as it was', async (threads) => {
    const engine = await engineOf({ threads, maxMemory: 2 ** 20 });
    expect(engine.memoryUsage().limit).toBe(2 ** 20);
    const x = engine.tensor([1, 1, 1000, 64], numbers(64000, 1));
    const { used } = engine.memoryUsage();
    expect(await codeOf(() => engine.tensor([2 ** 20]))).toBe('out-of-memory');
    const y = engine.tensor([1, 1, 1000, 64]);
    const z = engine.tensor([1, 1, 1000, 64]);
    expect(await codeOf(() => engine.attention(x, y, z, { encoding: rotary({ dim: 64, theta: 10, layout: 'pairs' }) }))).toBe(
      'out-of-memory',
    );
    y.dispose();
    z.dispose();
    expect(engine.memoryUsage().used).toBe(used);
    expectSameBits(x.toArray(), numbers(64000, 1));
  });
});

test('createEngineSync takes no memory before a tensor does', () => {
  const engine = createEngineSync();
  engines.push(engine);
  expect(engine.memoryUsage()).toMatchObject({ used: 0, reserved: 65536 });
});
