// What the tests of the rotary schemes share.

import type { Engine } from '../../src/engine.ts';
import { createEngineSync } from '../../src/index.ts';
import type { Arithmetic } from '../../src/plan/plan.ts';

/** Elementary functions for what is tested outside an engine. */
export const MATH: Arithmetic = Math;

export const testEngine = (): Engine => createEngineSync();

/** Numbers in [−1, 1), the same for the same seed. */
export function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}
