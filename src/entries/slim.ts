/** The package without inlined kernels: the option `wasm` says where they are. Same names as `relpos`. */
import type { EngineOptions } from '../assemble.ts';
import { makeEngine, makeEngineSync } from '../create.ts';
import type { Engine } from '../engine.ts';
import { loadWorkers } from '../threads/pool.ts';
import type { WasmSource } from '../wasm/kernels.ts';

export * from './names.ts';

/** Options of an engine that brings no kernels of its own. */
export interface SlimEngineOptions extends EngineOptions {
  /** The kernels: relpos/wasm/baseline.wasm, or those of another precision, relpos/wasm/int16.wasm or relaxed.wasm. */
  readonly wasm: WasmSource;
}

/**
 * Makes an engine, as `createEngine` of `relpos` does, of the kernels that it is given.
 *
 * ```ts
 * import { createEngine } from 'relpos/slim';
 *
 * const engine = await createEngine({ wasm: import.meta.resolve('relpos/wasm/baseline.wasm') });
 * engine.dispose();
 * ```
 */
export async function createEngine(options: SlimEngineOptions): Promise<Engine> {
  return makeEngine(options, { load: loadWorkers });
}

/** `createEngine` before returning, as `createEngineSync` of `relpos`. */
export function createEngineSync(options: SlimEngineOptions): Engine {
  return makeEngineSync(options);
}
