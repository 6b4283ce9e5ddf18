/**
 * The kernels for precision `'relaxed'`, for `createEngineSync`, which cannot wait for them to be loaded.
 */
import type { WasmModule } from '../platform/types.ts';
import { baseline } from '../wasm/generated/baseline.ts';
import { relaxed } from '../wasm/generated/relaxed.ts';
import { hasRelaxedSimd } from '../wasm/probes.ts';
import { unpack } from '../wasm/unpack.ts';

/**
 * The kernels that precision `'relaxed'` runs on this host: where it has no relaxed SIMD those are the reproducible ones, and
 * `capabilities.reason` says so. Elsewhere than on edge hosts they are bytes, new at each call.
 *
 * @example
 * ```ts
 * import { relaxedKernels } from 'relpos/relaxed';
 *
 * const engine = createEngineSync({ precision: 'relaxed', wasm: relaxedKernels() });
 * engine.capabilities.relaxedSimd; // true where this host fuses multiply and add
 * engine.dispose();
 * ```
 */
export function relaxedKernels(): Uint8Array | WasmModule {
  return unpack(hasRelaxedSimd() ? relaxed : baseline);
}
