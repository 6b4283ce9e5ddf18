// Loads the kernels: which bytes, which memory flag, and the one place where exports get their types.

import { reading, wrongType } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import type { TileKernel } from '../threads/types.ts';
import * as baseline from './generated/baseline.ts';
import * as relaxed from './generated/relaxed.ts';

/** The version of the kernels' interface that this API speaks; see assembly/index.ts. */
const ABI = 2;

/** The exports of the kernel module. Pointers are byte offsets into the one memory; pass them as unsigned numbers. */
export interface Kernels extends WebAssembly.Exports {
  abi(): number;
  append: TileKernel;
  attend: TileKernel;
  attendFold: TileKernel;
  attendPart: TileKernel;
  attendRows: TileKernel;
  attendMany: TileKernel;
  merge: TileKernel;
  rotate: TileKernel;
  rotaryTable: TileKernel;
  shift: TileKernel;
  /** `n` elements of a type, `stride` bytes apart, as contiguous f32. */
  loadRow(to: number, from: number, n: number, stride: number, type: number): void;
  /** `n` contiguous f32 as elements of a type (f32, f16, bf16), `stride` bytes apart. */
  storeRow(to: number, from: number, n: number, stride: number, type: number): void;
  exp(x: number): number;
  log(x: number): number;
  pow(x: number, y: number): number;
  sin(x: number): number;
  cos(x: number): number;
  tanh(x: number): number;
}

/** What `createEngine` takes as `wasm`. */
export type WasmSource = WebAssembly.Module | BufferSource | Response | URL | string;

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

/**
 * True if the host runs relaxed SIMD and fuses a product with its sum. One that knows the instruction and rounds twice all the same (Bun on
 * x86) would run the relaxed kernels to the reproducible bits.
 */
export function hasRelaxedSimd(): boolean {
  if (!validates(RELAXED_PROBE)) return false;
  try {
    const { f } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(RELAXED_PROBE))).exports as { f: () => number };
    return f() !== 0;
  } catch {
    return true; // A host that forbids compiling bytes cannot be asked.
  }
}

/** The inlined bytes: baseline or relaxed, for an unshared or a shared memory (the two differ in one flag). */
export function kernelBytes(useRelaxed: boolean, shared: boolean): Uint8Array<ArrayBuffer> {
  const { bytes, sharedFlagOffset } = useRelaxed ? relaxed : baseline;
  const decoded = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
  if (shared) decoded[sharedFlagOffset] = 3;
  return decoded;
}

/** How kernels begin to import their memory: "env", "memory", a memory, and the flag of its limits. */
const MEMORY_IMPORT = [3, ...letters('env'), 6, ...letters('memory'), 2, 1];

function letters(word: string): number[] {
  return Array.from(word, (letter) => letter.charCodeAt(0));
}

/** A copy of kernels that a user brings, for a shared memory; undefined if they import no memory of that form. */
export function sharedTwin(source: BufferSource): Uint8Array<ArrayBuffer> | undefined {
  const bytes = ArrayBuffer.isView(source) ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength) : new Uint8Array(source);
  const at = bytes.findIndex((_, n) => MEMORY_IMPORT.every((byte, m) => bytes[n + m] === byte));
  if (at < 0) return undefined;
  const twin = Uint8Array.from(bytes);
  twin[at + MEMORY_IMPORT.length - 1] = 3;
  return twin;
}

/** Compiles bytes without blocking. @throws RelposError if the host forbids it or the bytes are no module. */
export async function compile(bytes: BufferSource): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw compileError(cause);
  }
}

/** Compiles bytes at once. @throws RelposError as `compile`. */
export function compileSync(bytes: BufferSource): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (cause) {
    throw compileError(cause);
  }
}

function compileError(cause: unknown): RelposError {
  const text = String(cause);
  if (/Content.?Security|unsafe-eval|disallowed by embedder/i.test(text)) {
    return new RelposError(
      'unsupported-runtime',
      `this host forbids compiling WebAssembly (${text}); allow 'wasm-unsafe-eval' in script-src, or pass a compiled Module as "wasm"`,
      { cause },
    );
  }
  return new RelposError('bad-wasm', `the kernels do not compile: ${text}`, { cause });
}

/** True for a compiled module, of whatever realm. */
export function isModule(value: unknown): value is WebAssembly.Module {
  try {
    WebAssembly.Module.customSections(value as WebAssembly.Module, '');
    return true;
  } catch {
    return false;
  }
}

const tagOf = (value: unknown): string => Object.prototype.toString.call(value);

/** True for an ArrayBuffer or a view of one, of whatever realm. */
export const isBytes = (value: unknown): value is BufferSource =>
  ArrayBuffer.isView(value) || tagOf(value) === '[object ArrayBuffer]' || tagOf(value) === '[object SharedArrayBuffer]';

const isUrl = (value: unknown): value is URL | string => typeof value === 'string' || tagOf(value) === '[object URL]';

const isResponse = (value: unknown): value is Response => tagOf(value) === '[object Response]';

/** Checks the option `wasm`, whether or not it will be needed. */
export function checkWasm(where: string, name: string, value: unknown): WasmSource {
  const fits = reading(where, name, () => isBytes(value) || isUrl(value) || isResponse(value) || isModule(value));
  if (!fits) throw wrongType(where, name, 'a WebAssembly.Module, bytes, a Response or a URL', value);
  return value as WasmSource;
}

/** Fetches what the `wasm` option names, down to bytes or a module. */
export async function fetchWasm(source: WasmSource): Promise<WebAssembly.Module | BufferSource> {
  if (isBytes(source) || isModule(source)) return source;
  const response = isUrl(source) ? await fetch(source) : source;
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (!response.ok || bytes[0] !== 0) {
    const type = response.headers.get('content-type') ?? 'no content type';
    throw new RelposError('bad-wasm', `${response.url || 'the response'} is no WebAssembly: status ${response.status}, ${type}`);
  }
  return bytes;
}

/** Instantiates the kernels on a memory. @throws RelposError if the module is not this version's kernels. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  let kernels: Kernels;
  try {
    kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels;
  } catch (cause) {
    throw new RelposError('bad-wasm', `the kernels do not instantiate: ${String(cause)}`, { cause });
  }
  const found = typeof kernels.abi === 'function' ? kernels.abi() : 'none';
  if (found !== ABI) throw new RelposError('bad-wasm', `the kernels have interface version ${found}; this API speaks ${ABI}`);
  return kernels;
}
