/**
 * How far a result may be from a golden file: twice the error of the original's own f32 run, which is in the file. A step of a cached
 * decoder has so few numbers that its original can be right by luck; the error of the full pass of the same layer counts there too.
 */
import { existsSync, readFileSync } from 'node:fs';
import { readSafetensors } from '../../src/safetensors/index.ts';

const folder = new URL('../golden/', import.meta.url);

const naiveError = (name: string): number => Number(readSafetensors(readFileSync(new URL(name, folder))).metadata.naive_error);

/** `name` is the file's, such as `llama_step.safetensors`. */
export function goldenTolerance(name: string): number {
  const full = name.replace(/_step\.safetensors$/, '.safetensors');
  const errors = [name, full].filter((file) => existsSync(new URL(file, folder))).map(naiveError);
  return 2 * Math.max(...errors);
}
