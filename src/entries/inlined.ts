import type { EngineOptions } from '../assemble.ts';
import { makeEngine, makeEngineSync } from '../create.ts';
import type { Engine } from '../engine.ts';
import { OWN_KERNELS } from './own-kernels.ts';

/**
 * Makes an engine: compiles the kernels, reserves memory, starts the threads. Importing the package does none of this.
 *
 * If fewer threads can be had than were asked for, the engine works with what there is and `capabilities.reason` says why.
 *
 * @throws TypeError, RangeError if an option is wrong
 * @throws RelposError `unsupported-runtime`, `bad-wasm`, `out-of-memory`
 * @example
 * ```ts
 * const engine = await createEngine({ threads: 'auto' });
 * engine.capabilities; // { runtime: 'node', simd: true, threads: 2, … }
 * engine.dispose();
 * ```
 */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  return makeEngine(options, OWN_KERNELS);
}

/**
 * `createEngine` before returning, with one thread. `wasm` may be a Module or bytes; precisions `'int16'` and `'relaxed'` need it, since their
 * kernels are no part of this entry: `createEngineSync({ precision: 'int16', wasm: int16Kernels() })` with `int16Kernels` of `relpos/int16`, or
 * `relaxedKernels` of `relpos/relaxed`.
 *
 * @throws as `createEngine`; RelposError `unsupported-runtime` where the host compiles only asynchronously
 * @example
 * ```ts
 * const engine = createEngineSync();
 * engine.capabilities.threads; // 1
 * engine.dispose();
 * ```
 */
export function createEngineSync(options: EngineOptions = {}): Engine {
  return makeEngineSync(options, OWN_KERNELS);
}
