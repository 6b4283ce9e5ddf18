// The kernel registry: everything exported is a kernel, and src/wasm/kernels.ts has its type. Pointers in, nothing out; only the f64
// functions return a value. No kernel allocates, keeps state or knows about threads.

/** Raised whenever the parameter blocks or the exports change meaning; the loader compares it. */
function abi(): i32 {
  return 4;
}

export { abi };
export { fuses, variant } from './simd';
export { append, shift } from './append';
export { attend, attendFold, attendPart, attendRows } from './attend';
export { attendMany } from './many';
export { merge } from './merge';
export { rotate, rotaryTable } from './rotate';
export { loadRow, storeRow } from './convert';
export { exp, log, pow, sin, cos, tanh } from './math';
