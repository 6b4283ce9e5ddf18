/**
 * The kernels for precision `'int16'`, for `createEngineSync`, which cannot wait for them to be loaded.
 */
import type { WasmModule } from '../platform/types.ts';
import { int16 } from '../wasm/generated/int16.ts';
import { unpack } from '../wasm/unpack.ts';

/**
 * The kernels that precision `'int16'` runs. Elsewhere than on edge hosts they are bytes, new at each call.
 *
 * @example
 * ```ts
 * import { int16Kernels } from 'relpos/int16';
 *
 * const engine = createEngineSync({ precision: 'int16', wasm: int16Kernels() });
 * const q = engine.tensor([1, 2, 3, 4], Float32Array.from({ length: 24 }, (_, i) => i / 24));
 * engine.attentionSync(q, q, q).toArray(); // 24 numbers, the same bits on every host
 * engine.dispose();
 * ```
 */
export function int16Kernels(): Uint8Array | WasmModule {
  return unpack(int16);
}
