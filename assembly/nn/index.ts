// The registry of the layers' kernels, a module of its own in the memory of the core's: as assembly/index.ts. src/nn/kernels.ts has the types.

/** Raised whenever the parameter blocks or the exports change meaning; the loader compares it. */
function layersAbi(): i32 {
  return 1;
}

export { layersAbi };
export { linear } from './linear';
export { pack } from './pack';
