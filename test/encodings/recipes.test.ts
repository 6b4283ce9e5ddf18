/** Every scheme's file has a recipe, and every recipe is a call that works. */
import { afterAll, expect, test } from 'vitest';
import { lengthOf, recipes } from '../../src/encodings/generated/recipes.ts';
import { registry } from '../../src/encodings/registry.ts';
import { createEngineSync } from '../../src/index.ts';
import { numbers } from '../conformance/numbers.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

test('every scheme has one, and there are no others', () => {
  expect(Object.keys(recipes).sort()).toEqual(registry.map(({ name }) => name).sort());
});

test.each(registry.map(({ name, make }) => [name, make] as const))('%s', async (name, make) => {
  const recipe = recipes[name] as NonNullable<(typeof recipes)[string]>;
  const [H, L, D] = [2, lengthOf(recipe, 40), 16];
  expect(L).toBe({ square: 36, class: 37, none: 40 }[recipe.form ?? 'none']);
  let seed = 1;
  const numbersOf = (shape: readonly number[]): Float32Array => {
    const count = shape.reduce((a, b) => a * b, 1);
    return numbers(count, seed++).map((x) => 0.3 * x);
  };
  const encoding = make(
    recipe.options({ H, L, D }, { engine, table: numbersOf, weights: numbersOf }) as Parameters<typeof make>[0],
    ...(recipe.arguments ?? []),
  );
  const [q, k, v] = [1, 2, 3].map((n) => engine.tensor([1, H, L, D], numbers(H * L * D, 90 + n))) as [never, never, never];
  const out = (await engine.attention(q, k, v, { ...recipe.attention, encoding })).toArray();
  expect(out.every(Number.isFinite)).toBe(true);
  // It does something.
  expect(out).not.toEqual((await engine.attention(q, k, v, recipe.attention ?? {})).toArray());
});
