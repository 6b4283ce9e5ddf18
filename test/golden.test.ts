/** The outputs of the original models. */
import { afterAll, describe, expect, test } from 'vitest';
import { createEngine } from '../src/index.ts';
import { encodingNames, isRotation, numbersOf, runGolden } from './conformance/golden.ts';
import { goldens, goldenTolerance, make } from './goldens.ts';
import { distance } from './reference/tolerance.ts';

/** Encodings that the golden files need and the registry does not have yet. Add a scheme, remove its name here. */
const TO_COME: readonly string[] = [];

const ready = goldens.filter(({ file }) => encodingNames(file).every(make));

const engine = await createEngine({ threads: 1 });
afterAll(() => engine.dispose());

describe('the golden files', () => {
  test('need these encodings that are still to come, and no others', () => {
    const needed = new Set(goldens.flatMap(({ file }) => encodingNames(file)));
    expect([...needed].filter((name) => !make(name)).sort()).toEqual([...TO_COME].sort());
  });

  test.each(ready)('$name', async ({ name, file }) => {
    const expected = numbersOf(file, isRotation(file) ? 'rotated' : 'expected');
    const out = await runGolden(make, engine, file);
    expect(distance(out, expected)).toBeLessThanOrEqual(goldenTolerance(name));
  });
});
