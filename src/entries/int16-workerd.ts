/** `relpos/int16` where workerd forbids compiling bytes, and a compiled Module has to be imported. */
import type { WasmModule } from '../platform/types.ts';
import int16 from '../wasm/int16.wasm';

/** The kernels for precision `'int16'`. */
export function int16Kernels(): WasmModule {
  return int16;
}
