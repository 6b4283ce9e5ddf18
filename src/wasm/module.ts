// What relpos/wasm/*.wasm is to TypeScript, with and without `?module`; the build makes a declaration of this file and no code.

import type { WasmModule } from '../platform/types.ts';

/** The compiled kernels, where the host or the bundler imports them as a Module. */
declare const kernels: WasmModule;
export default kernels;
