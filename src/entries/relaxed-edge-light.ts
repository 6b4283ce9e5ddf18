/** `relpos/relaxed` where an edge runtime in the manner of Vercel forbids compiling bytes, and a compiled Module has to be imported. */
import type { WasmModule } from '../platform/types.ts';
import relaxed from '../wasm/relaxed.wasm?module';

/** The kernels for precision `'relaxed'`. */
export function relaxedKernels(): WasmModule {
  return relaxed;
}
