/** `relpos/relaxed` where workerd forbids compiling bytes, and a compiled Module has to be imported. */
import type { WasmModule } from '../platform/types.ts';
import relaxed from '../wasm/relaxed.wasm';

/** The kernels for precision `'relaxed'`. */
export function relaxedKernels(): WasmModule {
  return relaxed;
}
