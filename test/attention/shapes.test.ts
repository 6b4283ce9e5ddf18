/** Every awkward size: rows and keys around the tiles' edges, widths around the vectors', heads shared in all ways. */
import { afterAll, describe, test } from 'vitest';
import { createEngineSync, rotary } from '../../src/index.ts';
import { turn } from '../reference/rotation.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';
import { attend, expectSameBits } from './call.ts';

const ROWS = [0, 1, 3, 7, 63, 65, 97, 193];
const WIDTHS = [1, 2, 3, 7, 8, 20, 64, 65, 128, 257, 576];
const SHARED = [1, 2, 3, 8];

const engine = createEngineSync();
afterAll(() => engine.dispose());

const cycle = (list: readonly number[], n: number): number => list[n % list.length] as number;

describe('L queries of S keys', () => {
  const grid = ROWS.flatMap((L, x) =>
    ROWS.map((S, y) => {
      // Every third width apart, so that all widths meet all kinds of lengths; large products keep to two heads.
      const [D, E] = [cycle(WIDTHS, 3 * x + y), cycle(WIDTHS, x + 2 * y)];
      return { L, S, shared: L * S * (D + E) > 1e6 ? 1 : cycle(SHARED, x + y), D, E };
    }),
  );
  test.each(grid)('L $L, S $S, D $D, E $E, $shared heads share one', async ({ L, S, D, E, shared }) => {
    const sizes = { B: 1, H: 2 * shared, G: 2, L, S, D, E };
    const inputs = draw(sizes, L + S);
    expectAccurate({ inputs, sizes, ...(await attend(engine, inputs, sizes)) });
  });
});

describe('heads D wide, values E wide', () => {
  const grid = WIDTHS.flatMap((D) => WIDTHS.map((E) => ({ D, E })));
  test.each(grid)('D $D, E $E', async ({ D, E }) => {
    const sizes = { B: 2, H: 1, G: 1, L: 5, S: 100, D, E };
    const inputs = draw(sizes, D + E);
    expectAccurate({ inputs, sizes, ...(await attend(engine, inputs, sizes)) });
  });
});

describe('the widest heads', () => {
  test('1024 channels', async () => {
    const sizes = { B: 1, H: 2, G: 1, L: 5, S: 100, D: 1024, E: 1024 };
    const inputs = draw(sizes, 1);
    expectAccurate({ inputs, sizes, ...(await attend(engine, inputs, sizes)) });
  });

  // DeepSeek: one latent of 512 channels for all heads, which is the values as well, and 64 more that turn.
  test.each([1, 9])('latent attention of %i queries: 576 channels a key, of which the first 512 are the value', async (L) => {
    const sizes = { B: 1, H: 16, G: 1, L, S: 70, D: 576, E: 512 };
    const { q, k } = draw(sizes, 2);
    const v = k.filter((_, n) => n % 576 < 512);
    const rotation = { dim: 64, start: 512, theta: 10000, layout: 'pairs' } as const;
    const keys = engine.tensor([1, 1, 70, 576], k);
    const values = keys.slice(null, null, null, [0, 512]);
    const queries = engine.tensor([1, 16, L, 576], q);
    const { out, lse } = await engine.attentionPartial(queries, keys, values, {
      encoding: rotary({ ...rotation, start: 'end' }),
      causal: true,
    });
    const options = { rotate: turn(rotation), visible: ({ i, j }: { i: number; j: number }) => j <= i + 70 - L };
    expectAccurate({ inputs: { q, k, v }, sizes, options, out: out.toArray(), lse: lse.toArray() });

    const cache = engine.kvCache({
      batch: 1,
      heads: 1,
      headDim: 576,
      valueDim: 512,
      capacity: 70,
      encoding: rotary({ ...rotation, start: 'end' }),
    });
    const cached = await engine.attention(queries, keys, values, { cache, causal: true });
    expectSameBits(cached.toArray(), out.toArray());
  });
});
