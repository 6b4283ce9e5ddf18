// Loads the kernels: which bytes, which memory flag, and the one place where exports get their types.

import { reading, wrongType } from '../arguments/check.ts';
import { RelposError } from '../arguments/errors.ts';
import { bytesOf } from '../arguments/numbers.ts';
import { builtinModule, runtime } from '../platform/host.ts';
import type { Bytes, FetchResponse, OwnBytes, Url, WasmMemory, WasmModule } from '../platform/types.ts';
import type { TileKernel } from '../threads/types.ts';
import { hasRelaxedSimd } from './probes.ts';

/** The version of the kernels' interface that this API speaks; see assembly/index.ts. */
const ABI = 4;

/** The exports of the kernel module. Pointers are byte offsets into the one memory; pass them as unsigned numbers. */
export interface Kernels extends Readonly<Record<string, (...given: never[]) => unknown>> {
  abi(): number;
  /** Which kernels these are: a number of variants.ts. */
  variant(): number;
  /** 1 if this host fuses the kernels' multiplications and additions. */
  fuses(): number;
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
export type WasmSource = WasmModule | Bytes | FetchResponse | Url | string;

/** Kernels that are at hand. */
export type Binary = WasmModule | Bytes;

/** How kernels begin to import their memory: "env", "memory", a memory, and the flag of its limits. */
const memoryImport = (): number[] => [3, ...letters('env'), 6, ...letters('memory'), 2, 1];

function letters(word: string): number[] {
  return Array.from(word, (letter) => letter.charCodeAt(0));
}

/** A copy: hosts compile no bytes of a DataView, and none that are shared. */
function copyBytes(source: Bytes): OwnBytes {
  return new Uint8Array(bytesOf(source) as Uint8Array);
}

/** A copy of kernels for a shared memory, from which the others differ in one flag; undefined if they import no memory of that form. */
export function sharedTwin(source: Bytes): OwnBytes | undefined {
  const twin = copyBytes(source);
  const start = memoryImport();
  const at = twin.findIndex((_, n) => start.every((byte, m) => twin[n + m] === byte));
  if (at < 0) return undefined;
  twin[at + start.length - 1] = 3;
  return twin;
}

/** Compiles bytes without blocking. @throws RelposError if the host forbids it or the bytes are no module. */
export async function compile(bytes: Bytes): Promise<WasmModule> {
  try {
    return await WebAssembly.compile(copyBytes(bytes));
  } catch (cause) {
    throw compileError(cause);
  }
}

/** Compiles bytes at once. @throws RelposError as `compile`. */
export function compileSync(bytes: Bytes): WasmModule {
  try {
    return new WebAssembly.Module(copyBytes(bytes));
  } catch (cause) {
    throw compileError(cause);
  }
}

function compileError(cause: unknown): RelposError {
  const hint = hasRelaxedSimd() || !/opcode/i.test(String(cause)) ? '' : '; this host has no relaxed SIMD, which the relaxed kernels need';
  return forbidden(cause) ?? new RelposError('bad-wasm', `the kernels do not compile: ${String(cause)}${hint}`, { cause });
}

/**
 * The error where it is the host that refuses, whatever the bytes. Chromium and Firefox refuse to compile; WebKit compiles and refuses to
 * instantiate. A page whose policy forbids WebAssembly takes no Module either.
 */
function forbidden(cause: unknown): RelposError | undefined {
  const text = String(cause).trim();
  const refusal = (what: string, advice: string): RelposError =>
    new RelposError('unsupported-runtime', `${what} forbids WebAssembly (${text}); ${advice}`, { cause });
  if (/disallowed by embedder/i.test(text)) return refusal('this host', 'pass a compiled Module as "wasm"');
  if (!/Content.?Security|\bCSP\b|unsafe-eval/i.test(text)) return undefined;
  return refusal('the Content-Security-Policy', `allow it with "script-src 'self' 'wasm-unsafe-eval'"`);
}

/** True for a compiled module, of whatever realm. */
export function isModule(value: unknown): value is WasmModule {
  try {
    WebAssembly.Module.customSections(value as WebAssembly.Module, '');
    return true;
  } catch {
    return false;
  }
}

const tagOf = (value: unknown): string => Object.prototype.toString.call(value);

/** True for an ArrayBuffer or a view of one, of whatever realm. */
export const isBytes = (value: unknown): value is Bytes => bytesOf(value) !== undefined;

const isUrl = (value: unknown): value is Url | string => typeof value === 'string' || tagOf(value) === '[object URL]';

const isResponse = (value: unknown): value is FetchResponse => tagOf(value) === '[object Response]';

/** Checks the option `wasm`, whether or not it will be needed. What has to be fetched is nothing for `createEngineSync`. */
export function checkWasm(where: string, name: string, value: unknown): WasmSource {
  const waits = !where.endsWith('Sync');
  const fits = reading(where, name, () => isBytes(value) || isModule(value) || (waits && (isUrl(value) || isResponse(value))));
  if (!fits) throw wrongType(where, name, `a WebAssembly.Module${waits ? ', bytes, a Response or a URL' : ' or bytes'}`, value);
  return value as WasmSource;
}

interface Files {
  readFile(url: URL): Promise<Uint8Array<ArrayBuffer>>;
}

/** What is at a URL. Node's `fetch` knows no files. */
async function load(url: string): Promise<FetchResponse | OwnBytes> {
  const files = runtime().name === 'node' && url.startsWith('file:') ? builtinModule<Files>('node:fs/promises') : undefined;
  return files ? new Uint8Array(await files.readFile(new URL(url))) : fetch(url);
}

/** The bytes of a response, if they may be WebAssembly. */
async function bytesIn(response: FetchResponse): Promise<OwnBytes> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (response.ok && bytes[0] === 0) return bytes;
  const type = response.headers.get('content-type') ?? 'no content type';
  throw new RelposError('bad-wasm', `${response.url || 'the response'} is no WebAssembly: status ${response.status}, ${type}`);
}

/** Fetches what the `wasm` option names, down to bytes or a module. @throws RelposError `bad-wasm` if it cannot be had */
export async function fetchWasm(source: WasmSource): Promise<Binary> {
  if (isBytes(source) || isModule(source)) return source;
  try {
    const found = isUrl(source) ? await load(`${source}`) : source;
    return isBytes(found) ? found : await bytesIn(found);
  } catch (cause) {
    if (cause instanceof RelposError) throw cause;
    const { cause: deeper = cause } = Object(cause) as { cause?: unknown };
    const from = isUrl(source) ? `${source}` : (source as FetchResponse).url || 'the response';
    throw new RelposError('bad-wasm', `the kernels cannot be loaded from ${from}: ${String(deeper)}`, { cause });
  }
}

/** Instantiates the kernels on a memory. @throws RelposError if the module is not this version's kernels. */
export function instantiate(module: WasmModule, memory: WasmMemory): Kernels {
  let kernels: Kernels;
  try {
    kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels;
  } catch (cause) {
    throw forbidden(cause) ?? new RelposError('bad-wasm', `the kernels do not instantiate: ${String(cause)}`, { cause });
  }
  const found = typeof kernels.abi === 'function' ? kernels.abi() : 'none';
  if (found !== ABI) throw new RelposError('bad-wasm', `the kernels have interface version ${found}; this API speaks ${ABI}`);
  return kernels;
}
