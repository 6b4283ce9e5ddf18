// What relpos/wasm/*.wasm is to TypeScript, with and without `?module`; the build makes a declaration of this file and no code.

/** The compiled kernels, where the host or the bundler imports them as a Module. */
declare const kernels: WebAssembly.Module;
export default kernels;
