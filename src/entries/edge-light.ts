/** The package where an edge runtime in the manner of Vercel forbids compiling bytes, and a compiled Module has to be imported. Same names as `relpos`. */
import type { EngineOptions, OwnKernels } from '../assemble.ts';
import { makeEngine, makeEngineSync } from '../create.ts';
import type { Engine } from '../engine.ts';
import baseline from '../wasm/baseline.wasm?module';

export * from './names.ts';

/**
 * Without the others, `int16Kernels()` of `relpos/int16` and `relaxedKernels()` of `relpos/relaxed`, which have to be passed: such hosts compile all modules of a function before it runs, those of a dynamic import too, and one without
 * relaxed SIMD (Next on Node 20) would run none of it.
 */
const OWN: OwnKernels = { baseline: () => baseline };

/** Makes an engine, as `createEngine` of `relpos` does. */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  return makeEngine(options, OWN);
}

/** `createEngine` before returning, as `createEngineSync` of `relpos`. */
export function createEngineSync(options: EngineOptions = {}): Engine {
  return makeEngineSync(options, OWN);
}
