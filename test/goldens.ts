/**
 * The golden files of test/golden, outputs of the original models (scripts/goldens/README.md says how they were made): what there is, how a
 * file's encodings are made from the registry, and how far a result may be from it. Whatever tests a golden takes it from here;
 * conformance/golden.ts runs one, in any runtime.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { registry } from '../src/encodings/registry.ts';
import { readSafetensors } from '../src/safetensors/index.ts';
import { type GoldenFile, isRotation, type Make, numbersOf, shapeOf } from './conformance/golden.ts';
import { attention, type Sizes } from './reference/attention.ts';
import { causal } from './reference/masks.ts';
import { turn } from './reference/rotation.ts';
import { distance, naiveErrors } from './reference/tolerance.ts';

/** A golden file, by its name with the ending. */
export interface Golden {
  readonly name: string;
  readonly file: GoldenFile;
}

const folder = new URL('golden/', import.meta.url);

/** Where a golden file is. */
export const goldenPath = (name: string): string => fileURLToPath(new URL(name, folder));

/** All golden files, in the order of their names. */
export const goldens: readonly Golden[] = readdirSync(folder)
  .filter((name) => name.endsWith('.safetensors'))
  .sort()
  .map((name) => ({ name, file: readSafetensors(readFileSync(goldenPath(name))) }));

/** The golden file of this name, with its ending or without. */
export function golden(name: string): GoldenFile {
  const found = goldens.find((each) => each.name === name || each.name === `${name}.safetensors`);
  if (!found) throw new Error(`there is no golden file "${name}"`);
  return found.file;
}

/** The constructors of the registry. */
export const make: Make = (name) => registry.find((entry) => entry.name === name)?.make;

/** Rotations: cosine, sine, two products and a sum round once each, so a few units of 2^−24 of the largest input. */
const ROTATION_TOLERANCE = 2e-7;

/** The largest absolute value. */
export const peakOf = (values: ArrayLike<number>): number => distance(values, new Float32Array(values.length));

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

/**
 * How far a result may be from the original's: twice the error of the original's own f32 run, which is in the file. A step of a cached
 * decoder has so few numbers that its original can be right by luck; the error of the full pass of the same layer counts there too. Where
 * the file's error is that of wrong angles it is no tolerance.
 */
export function goldenTolerance(name: string): number {
  const file = golden(name);
  if (isRotation(file)) return ROTATION_TOLERANCE * peakOf(numbersOf(file, 'x'));
  if (name.startsWith('llama_far')) return farTolerance(file);
  const full = name.replace(/_step\.safetensors$/, '.safetensors');
  const alike = goldens.filter((each) => each.name === name || each.name === full);
  return 2 * Math.max(...alike.map((each) => Number(each.file.metadata.naive_error)));
}
