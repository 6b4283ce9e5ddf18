/** The package where workerd forbids compiling bytes, and a compiled Module has to be imported. Same names as `relpos`. */
import type { EngineOptions, OwnKernels } from '../assemble.ts';
import { makeEngine, makeEngineSync } from '../create.ts';
import type { Engine } from '../engine.ts';
import baseline from '../wasm/baseline.wasm';

export * from './names.ts';

const OWN: OwnKernels = {
  baseline: () => baseline,
  int16: async () => (await import('../wasm/int16.wasm')).default,
  relaxed: async () => (await import('../wasm/relaxed.wasm')).default,
};

/** Makes an engine, as `createEngine` of `relpos` does. */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  return makeEngine(options, OWN);
}

/** `createEngine` before returning, as `createEngineSync` of `relpos`. */
export function createEngineSync(options: EngineOptions = {}): Engine {
  return makeEngineSync(options, OWN);
}
