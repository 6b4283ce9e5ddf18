// What of WebAssembly this host runs. Asked when an engine is made, never at import.

// (module (func (drop (i32x4.splat (i32.const 0)))))
const SIMD_PROBE = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 17, 26, 11];
// (module (func (export "f") (result f32) (f32x4.extract_lane 0 (f32x4.relaxed_madd a a c)))), each a splat of a constant: a = 1 + 2^−12 and
// c = −(1 + 2^−11). Of a² = 1 + 2^−11 + 2^−24 a fused product keeps the last bit, a rounded one does not.
const RELAXED_PROBE = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 125, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 31, 1, 29, 0, 67, 0, 8, 128, 63, 253, 19, 67,
  0, 8, 128, 63, 253, 19, 67, 0, 16, 128, 191, 253, 19, 253, 133, 2, 253, 31, 0, 11,
];

const validates = (bytes: readonly number[]): boolean => typeof WebAssembly === 'object' && WebAssembly.validate(Uint8Array.from(bytes));

/** True if the host runs 128-bit SIMD. */
export function hasSimd(): boolean {
  return validates(SIMD_PROBE);
}

/** True if the host knows the instructions of relaxed SIMD. */
export function hasRelaxedSimd(): boolean {
  return validates(RELAXED_PROBE);
}

/**
 * True if the host runs relaxed SIMD and fuses a product with its sum. One that knows the instruction and rounds twice all the same (Bun on
 * x86) would run the relaxed kernels to the reproducible bits.
 */
export function fuses(): boolean {
  if (!hasRelaxedSimd()) return false;
  try {
    const { f } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(RELAXED_PROBE))).exports as { f: () => number };
    return f() !== 0;
  } catch {
    return true; // A host that forbids compiling bytes cannot be asked before the kernels are there; they then tell themselves.
  }
}
