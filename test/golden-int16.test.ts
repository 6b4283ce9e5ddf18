/** The outputs of the original models under precision `'int16'`, each within the bound that its inputs give. */
import { afterAll, expect, test } from 'vitest';
import { createEngine } from '../src/index.ts';
import { isRotation, numbersOf, runGolden, shapeOf } from './conformance/golden.ts';
import { goldens, goldenTolerance, make } from './goldens.ts';
import { boundOfInt16 } from './reference/int16.ts';
import { distance } from './reference/tolerance.ts';

const engine = await createEngine({ threads: 1, precision: 'int16' });
afterAll(() => engine.dispose());

test.each(goldens.filter(({ file }) => !isRotation(file)))('$name', async ({ name, file }) => {
  const [q, k, v] = ['q', 'k', 'v'].map((tensor) => numbersOf(file, tensor)) as [Float32Array, Float32Array, Float32Array];
  const D = shapeOf(file, 'q').at(-1) as number;
  const S = shapeOf(file, 'k').at(-2) as number;
  const { attention = {} } = JSON.parse(file.metadata.case as string);
  const out = await runGolden(make, engine, file);
  const error = distance(out, numbersOf(file, 'expected'));
  const { out: bound } = boundOfInt16({ q, k, v }, { S, D }, attention.scale);
  expect(error).toBeLessThanOrEqual(bound + goldenTolerance(name));
});
