// The registry of the layers' kernels, a module of its own in the memory of the core's: as assembly/index.ts. src/nn/kernels.ts has the types.

/** Raised whenever the parameter blocks or the exports change meaning; the loader compares it. */
function layersAbi(): i32 {
  return 1;
}

export { layersAbi };
export { embed } from './embedding';
export { map } from './elementwise';
export { linear } from './linear';
export { norm } from './norm';
export { pack } from './pack';
export { pool } from './pool';
export { softmax } from './softmax';
export { top } from './top';
