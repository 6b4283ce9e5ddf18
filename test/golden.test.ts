/** The outputs of the original models, from test/golden (scripts/goldens/README.md says how they were made). */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { registry } from '../src/encodings/registry.ts';
import { createEngine } from '../src/index.ts';
import { readSafetensors } from '../src/safetensors/index.ts';
import { encodingNames, type GoldenFile, isRotation, type Make, numbersOf, runGolden, shapeOf } from './conformance/golden.ts';
import { attention, type Sizes } from './reference/attention.ts';
import { goldenTolerance } from './reference/golden-tolerance.ts';
import { causal } from './reference/masks.ts';
import { turn } from './reference/rotation.ts';
import { distance, naiveErrors } from './reference/tolerance.ts';

/** Encodings that the golden files need and the registry does not have yet. Add a scheme, remove its name here. */
const TO_COME: readonly string[] = [];

const folder = new URL('golden/', import.meta.url);
const goldens = readdirSync(folder)
  .filter((name) => name.endsWith('.safetensors'))
  .map((name): { name: string; file: GoldenFile } => ({ name, file: readSafetensors(readFileSync(new URL(name, folder))) }));
const make: Make = (name) => registry.find((entry) => entry.name === name)?.make;
const ready = goldens.filter(({ file }) => encodingNames(file).every(make));

const engine = await createEngine({ threads: 1 });
afterAll(() => engine.dispose());

/** Rotations: cosine, sine, two products and a sum round once each, so a few units of 2^−24 of the largest input. */
const ROTATION_TOLERANCE = 2e-7;

/** Twice what a naive f32 evaluation of `llama_far` loses with right angles; the original's angles are f32 and off by far more. */
function farTolerance(file: GoldenFile): number {
  const [q, k, v] = ['q', 'k', 'v'].map((name) => numbersOf(file, name)) as [Float32Array, Float32Array, Float32Array];
  const [B, H, L, D] = shapeOf(file, 'q') as [number, number, number, number];
  const [, G, S, E] = shapeOf(file, 'v') as [number, number, number, number];
  const sizes: Sizes = { B, H, G, L, S, D, E };
  const { encoding, attention: given } = JSON.parse(file.metadata.case as string);
  const options = { scale: given.scale, visible: causal(sizes), rotate: turn(encoding.options) };
  return 2 * naiveErrors({ q, k, v }, sizes, options, attention({ q, k, v }, sizes, options)).out;
}

/** What a result may be off. The originals' own loss in f32 is in the file; where it measures wrong angles it is no tolerance. */
function toleranceOf(name: string, file: GoldenFile): number {
  if (isRotation(file)) return ROTATION_TOLERANCE * distance(numbersOf(file, 'x'), new Float32Array(numbersOf(file, 'x').length));
  if (name.startsWith('llama_far')) return farTolerance(file);
  return goldenTolerance(name);
}

describe('the golden files', () => {
  test('need these encodings that are still to come, and no others', () => {
    const needed = new Set(goldens.flatMap(({ file }) => encodingNames(file)));
    expect([...needed].filter((name) => !make(name)).sort()).toEqual([...TO_COME].sort());
  });

  test.each(ready)('$name', async ({ name, file }) => {
    const expected = numbersOf(file, isRotation(file) ? 'rotated' : 'expected');
    const out = await runGolden(make, engine, file);
    expect(distance(out, expected)).toBeLessThanOrEqual(toleranceOf(name, file));
  });
});
