/** `relpos/relaxed` where an edge runtime in the manner of Vercel forbids compiling bytes, and a compiled Module has to be imported. */
import relaxed from '../wasm/relaxed.wasm?module';

/** The kernels for precision `'relaxed'`. */
export function relaxedKernels(): WebAssembly.Module {
  return relaxed;
}
