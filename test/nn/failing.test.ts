/** Memory runs out at each allocation of every layer and of its calls: it says so, nothing leaks, nothing has changed. */
import { describe, expect, test } from 'vitest';
import { type Engine, rotary, type Tensor } from '../../src/index.ts';
import { createLayers, type Layers } from '../../src/nn/index.ts';
import { numbers } from '../conformance/numbers.ts';
import { failEach, type Operation, taken } from '../memory/failing.ts';

const made = (engine: Engine, shape: readonly number[], seed: number): Tensor =>
  engine.tensor(
    shape,
    numbers(
      shape.reduce((a, n) => a * n, 1),
      seed,
    ),
  );

interface Disposable {
  dispose(): void;
}

/** What `use` yields, with what it made given back whatever happens. */
async function using<T extends Disposable, R>(make: () => T, use: (made: T) => R | Promise<R>): Promise<R> {
  const one = make();
  try {
    return await use(one);
  } finally {
    one.dispose();
  }
}

/** A layer that is made, run both ways and given back. */
function layer<T extends Disposable>(
  name: string,
  make: (nn: Layers, engine: Engine) => () => T,
  use: (engine: Engine) => (layer: T) => Promise<readonly (Tensor | undefined)[]>,
): Operation {
  return {
    name,
    async setup(engine) {
      const [build, run] = [make(await createLayers(engine), engine), use(engine)];
      return { run: () => using(build, async (one) => taken(...(await run(one)))) };
    },
  };
}

/** Both forms, of which the second may find no memory. */
async function both(sync: () => Tensor, async: () => Promise<Tensor>): Promise<Tensor[]> {
  const first = sync();
  try {
    return [first, await async()];
  } catch (error) {
    first.dispose();
    throw error;
  }
}

const [H, G, D, K] = [4, 2, 8, 20] as const;
const encoding = rotary({ dim: D, theta: 100, layout: 'halves' });

function attentionOf(nn: Layers, engine: Engine) {
  const [query, key, value, output] = [
    { weight: made(engine, [H * D, K], 1), bias: made(engine, [H * D], 2) },
    { weight: made(engine, [G * D, K], 3) },
    { weight: made(engine, [G * D, K], 4), bias: made(engine, [G * D], 5) },
    { weight: made(engine, [K, H * D], 6) },
  ] as const;
  return () => nn.multiHeadAttention({ heads: H, keyHeads: G, query, key, value, output, encoding, causal: true });
}

const operations: Operation[] = [
  layer(
    'norm',
    (nn, engine) => {
      const [weight, bias] = [made(engine, [9], 1), made(engine, [9], 2)];
      return () => nn.layerNorm({ weight, bias });
    },
    (engine) => {
      const [x, residual] = [made(engine, [4, 9], 3), made(engine, [4, 9], 4)];
      return (one) =>
        both(
          () => one.runSync(x, { residual }),
          () => one.run(x),
        );
    },
  ),
  layer(
    'embedding',
    (nn, engine) => {
      const [table, positions] = [made(engine, [5, 9], 1), made(engine, [7, 9], 2)];
      return () => nn.embedding({ table, positions });
    },
    () => (one) =>
      both(
        () => one.runSync([1, 4, 0]),
        () => one.run([2]),
      ),
  ),
  layer(
    'pool',
    (nn) => () => nn.pool(),
    (engine) => {
      const x = made(engine, [6, 5], 1);
      return (one) =>
        both(
          () => one.runSync(x, { offsets: [0, 2, 6] }),
          () => one.run(x),
        );
    },
  ),
  layer(
    'softmax',
    (nn) => () => nn.softmax(),
    (engine) => {
      const x = made(engine, [6, 5], 1);
      return (one) =>
        both(
          () => one.runSync(x),
          () => one.run(x),
        );
    },
  ),
  layer(
    'topK',
    (nn) => () => nn.topK({ k: 2 }),
    (engine) => {
      const x = made(engine, [6, 5], 1);
      return async (one) => Object.values(await one.run(x)) as Tensor[];
    },
  ),
  layer('multiHeadAttention', attentionOf, (engine) => {
    const [x, memory] = [made(engine, [1, 6, K], 7), made(engine, [1, 3, K], 8)];
    return (one) =>
      both(
        () => one.runSync(x),
        () => one.run(x, { memory, residual: x }),
      );
  }),
  {
    name: 'multiHeadAttention over a cache',
    async setup(engine) {
      const nn = await createLayers(engine);
      const one = attentionOf(nn, engine)();
      const cache = engine.kvCache({ batch: 1, heads: G, headDim: D, capacity: 30, pageSize: 8, encoding });
      const [before, next] = [made(engine, [1, 6, K], 7), made(engine, [1, 3, K], 8)];
      one.runSync(before, { cache }).dispose();
      const held = (): Tensor => one.runSync(next, { cache, memory: null });
      return {
        async run() {
          const y = await one.run(next, { cache });
          cache.truncate(6);
          return taken(y);
        },
        probe: () => [Float64Array.of(cache.length), ...taken(held())],
      };
    },
  },
];

let count = 0;
describe('each allocation fails', () => {
  test.each(operations)('$name', async (operation) => {
    count += await failEach(operation);
  });

  test('there are some', () => {
    expect(count).toBeGreaterThan(40);
  });
});
