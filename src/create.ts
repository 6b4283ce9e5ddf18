// Makes engines: compiles the kernels, reserves memory, starts the threads.

import { finite, integer, reading, wrongType } from './arguments/check.ts';
import { RelposError } from './arguments/errors.ts';
import { callback, choice, type Readers, readRecord } from './arguments/record.ts';
import { Engine, type Precision } from './engine.ts';
import { Arena, CONTROL, createMemory } from './memory/arena.ts';
import type { WorkerFactory } from './platform/handle.ts';
import { runtime, threadCount } from './platform/host.ts';
import { canShareMemory } from './platform/sharing.ts';
import { createPool, createSoloPool } from './threads/pool.ts';
import type { Logger, Pool } from './threads/types.ts';
import {
  checkWasm,
  compile,
  compileSync,
  fetchWasm,
  hasRelaxedSimd,
  hasSimd,
  instantiate,
  isBytes,
  isModule,
  type Kernels,
  kernelBytes,
  sharedTwin,
  type WasmSource,
} from './wasm/kernels.ts';

/** Options of `createEngine`. */
export interface EngineOptions {
  /** Threads, the caller's included; `'auto'` (default) takes the cores, at most 8. */
  readonly threads?: number | 'auto';
  /** Default `'reproducible'`. */
  readonly precision?: Precision;
  /** Most bytes the engine's memory may take; default as much as the host grants, at most 4 GiB. */
  readonly maxMemory?: number;
  /** The kernels, where the inlined bytes cannot be compiled: a Module, bytes, a Response or a URL. A Module means one thread. */
  readonly wasm?: WasmSource;
  /** Starts a worker where a content security policy forbids those made from inlined source: `() => new Worker(url of relpos/worker)`. */
  readonly worker?: WorkerFactory;
  /** Hears of what is worth knowing, such as fewer threads than asked for; default `console.warn` for warnings. */
  readonly logger?: Logger;
}

function readThreads(where: string, name: string, value: unknown): number | 'auto' {
  if (value === 'auto') return value;
  if (typeof value !== 'number') throw wrongType(where, name, "a number or 'auto'", value);
  return integer(where, name, value, 1, 256);
}

function readLogger(where: string, name: string, value: unknown): Logger {
  const fits = reading(where, name, () => typeof (value as Logger | null)?.warn === 'function');
  if (!fits) throw wrongType(where, name, 'a logger with a function "warn"', value);
  return value as Logger;
}

const READERS: Readers<EngineOptions> = {
  threads: readThreads,
  precision: choice('reproducible', 'relaxed'),
  maxMemory: (where, name, value) => finite(where, name, value, 65535),
  wasm: checkWasm,
  worker: callback,
  logger: readLogger,
};

/** The options as a record of their own, and what they come to. */
function checkEngineOptions(where: string, options: unknown) {
  const given = readRecord<EngineOptions>(where, options, READERS);
  if (!hasSimd()) throw new RelposError('unsupported-runtime', 'this host has no 128-bit WebAssembly SIMD, which relpos needs');
  const { threads: named = 'auto', precision = 'reproducible', maxMemory } = given;
  // All cores up to 8, or as many as are named.
  const threads = named === 'auto' ? threadCount('auto') : named;
  return { given, threads, precision, maxMemory };
}

interface Host {
  readonly memory: WebAssembly.Memory;
  readonly arena: Arena;
  readonly module: WebAssembly.Module;
  readonly kernels: Kernels;
}

function host(module: WebAssembly.Module, shared: boolean, maxMemory: number | undefined): Host {
  const { memory, limit } = createMemory(shared, maxMemory);
  return { memory, arena: new Arena(memory, limit), module, kernels: instantiate(module, memory) };
}

/** Why an engine of precision `'relaxed'` runs the reproducible kernels. */
const NOT_RELAXED = 'this host does not fuse multiply and add (relaxed SIMD): the reproducible kernels run';

function engineOf({ arena, kernels }: Host, pool: Pool, precision: Precision, relaxed: boolean, wanted: number): Engine {
  const { name, version } = runtime();
  const host = { runtime: name, version, simd: true, relaxedSimd: relaxed, requestedThreads: wanted };
  const reason = precision === 'relaxed' && !relaxed ? NOT_RELAXED : undefined;
  return new Engine({ arena, kernels, pool, host: { ...host, ...(reason && { reason }) }, precision });
}

/** An engine on several threads, or the reason why there can be none. */
async function threaded(
  given: EngineOptions,
  source: WebAssembly.Module | BufferSource | undefined,
  threads: number,
  relaxed: boolean,
  maxMemory: number | undefined,
): Promise<Engine | string> {
  if (isModule(source)) return 'a compiled Module was given, which has an unshared memory';
  const sharing = canShareMemory();
  if (!sharing.ok) return sharing.reason;
  const bytes = source === undefined ? kernelBytes(relaxed, true) : sharedTwin(source);
  if (!bytes) return 'the kernels given as "wasm" import no memory that could be shared';
  const module = await compile(bytes);
  let shared: Host;
  try {
    shared = host(module, true, maxMemory);
  } catch (error) {
    return `no shared memory: ${String(error)}`;
  }
  const { memory, arena, kernels } = shared;
  const { worker, logger } = given;
  const pool = await createPool({ memory, reserve: arena, module, kernels, control: CONTROL, threads, worker, logger });
  if (pool.threads > 1) return engineOf(shared, pool, given.precision ?? 'reproducible', relaxed, threads);
  const { reason } = pool;
  pool.dispose();
  return reason ?? 'no worker could be started';
}

/** Says that there are fewer threads than were asked for by number. A logger that throws keeps no engine from being made. */
function warnOfFewer({ threads, logger }: EngineOptions, found: number, reason: string | undefined): void {
  if (typeof threads !== 'number' || found >= threads) return;
  try {
    (logger ?? console).warn(`relpos: ${threads} threads asked for, ${found} in use: ${reason}`);
  } catch {}
}

/**
 * Makes an engine: compiles the kernels, reserves memory, starts the threads. Importing the package does none of this.
 *
 * If fewer threads can be had than were asked for, the engine works with what there is and `capabilities.reason` says why.
 *
 * @throws TypeError, RangeError if an option is wrong
 * @throws RelposError `unsupported-runtime`, `bad-wasm`, `out-of-memory`
 * @example
 * ```ts
 * const engine = await createEngine({ threads: 'auto' });
 * engine.capabilities; // { runtime: 'node', simd: true, threads: 2, … }
 * engine.dispose();
 * ```
 */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  const { given, threads, precision, maxMemory } = checkEngineOptions('createEngine', options);
  const relaxed = precision === 'relaxed' && hasRelaxedSimd();
  const named = given.wasm === undefined ? undefined : await fetchWasm(given.wasm);
  let reason: string | undefined;
  if (threads > 1) {
    const engine = await threaded(given, named, threads, relaxed, maxMemory);
    const found = typeof engine === 'string' ? { threads: 1, reason: engine } : engine.capabilities;
    warnOfFewer(given, found.threads, found.reason);
    if (typeof engine !== 'string') return engine;
    reason = engine;
  }
  const source = named ?? kernelBytes(relaxed, false);
  const module = isModule(source) ? source : await compile(source);
  const single = host(module, false, maxMemory);
  return engineOf(single, createSoloPool(single.kernels, single.arena, reason), precision, relaxed, threads);
}

/**
 * `createEngine` before returning, with one thread. `wasm` may be a Module or bytes.
 *
 * @throws as `createEngine`; RelposError `unsupported-runtime` where the host compiles only asynchronously
 * @example
 * ```ts
 * const engine = createEngineSync();
 * engine.capabilities.threads; // 1
 * engine.dispose();
 * ```
 */
export function createEngineSync(options: EngineOptions = {}): Engine {
  const where = 'createEngineSync';
  const { given, threads, precision, maxMemory } = checkEngineOptions(where, options);
  const relaxed = precision === 'relaxed' && hasRelaxedSimd();
  const { wasm } = given;
  const bytes = wasm === undefined ? kernelBytes(relaxed, false) : wasm;
  if (!isModule(bytes) && !isBytes(bytes)) throw wrongType(where, 'wasm', 'a WebAssembly.Module or bytes', wasm);
  const single = host(isModule(bytes) ? bytes : compileSync(bytes), false, maxMemory);
  const wanted = given.threads === undefined || given.threads === 'auto' ? 1 : threads;
  const reason = wanted > 1 ? 'createEngineSync has one thread; createEngine starts more' : undefined;
  return engineOf(single, createSoloPool(single.kernels, single.arena, reason), precision, relaxed, wanted);
}
