// Golden rotations, positions up to 999999, there and back: the original models' outputs, computed with angles in f64.

import { afterAll, describe, expect, it } from 'vitest';
import { createEngineSync, type Encoding } from '../../src/index.ts';
import { encodingsOf, isRotation, numbersOf, shapeOf } from '../conformance/golden.ts';
import { goldens, goldenTolerance, make, peakOf } from '../goldens.ts';
import { distance } from '../reference/tolerance.ts';

const engine = createEngineSync();
afterAll(() => engine.dispose());

describe('golden rotations', () => {
  it.each(goldens.filter(({ file }) => isRotation(file)))('$name', ({ name, file }) => {
    const x = engine.tensor(shapeOf(file, 'x'), numbersOf(file, 'x'));
    const positions = numbersOf(file, 'positions') as Int32Array;
    const [encoding] = encodingsOf(make, engine, file) as [Encoding];
    const out = engine.rotateSync(x, encoding, { positions });
    expect(distance(out.toArray(), numbersOf(file, 'rotated'))).toBeLessThanOrEqual(goldenTolerance(name));
    const back = engine.rotateSync(out, encoding, { positions, inverse: true }).toArray();
    expect(distance(back, x.toArray())).toBeLessThanOrEqual(1e-6 * peakOf(back));
  });
});
