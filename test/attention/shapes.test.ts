/** Every awkward size: rows and keys around the tiles' edges, widths around the vectors', heads shared in all ways. */
import { afterAll, describe, test } from 'vitest';
import { createEngineSync } from '../../src/index.ts';
import { draw, expectAccurate } from '../reference/tolerance.ts';
import { attend } from './call.ts';

const ROWS = [0, 1, 3, 7, 63, 65, 97, 193];
const WIDTHS = [1, 2, 3, 7, 8, 20, 64, 65, 128, 257, 512];
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
