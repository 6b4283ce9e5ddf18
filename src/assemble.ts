// What engines are made of: compiles the kernels, reserves memory, starts the threads.

import { finite, integer, reading, wrongType } from './arguments/check.ts';
import { RelposError } from './arguments/errors.ts';
import { callback, choice, type Readers, readRecord } from './arguments/record.ts';
import type { Made } from './core.ts';
import { Arena, CONTROL, createMemory } from './memory/arena.ts';
import type { WorkerFactory } from './platform/handle.ts';
import { runtime, threadCount } from './platform/host.ts';
import { canShareMemory } from './platform/sharing.ts';
import type { Bytes, WasmMemory, WasmModule } from './platform/types.ts';
import { createPool, createSoloPool, type loadWorkers } from './threads/pool.ts';
import type { KernelModule, Logger, Pool } from './threads/types.ts';
import {
  type Binary,
  checkWasm,
  compile,
  compileSync,
  fetchWasm,
  instantiate,
  isModule,
  type Kernels,
  sharedTwin,
  type WasmSource,
} from './wasm/kernels.ts';
import { fuses, hasSimd } from './wasm/probes.ts';
import { checkVariant, type Precision, SOURCES, type Variant, variantFor } from './wasm/variants.ts';

/** What an entry of the package has of its own: kernels, and what starts threads. */
export interface OwnKernels {
  /** At hand; missing where all have to be given. */
  baseline?(): Binary;
  /** Loaded when they are asked for; missing where they have to be given. */
  int16?(): Promise<Binary>;
  relaxed?(): Promise<Binary>;
  /** Missing on hosts that have no threads, whose programs then do not carry what starts them. */
  load?: typeof loadWorkers;
}

/**
 * Makes a further module's kernels on an engine's memory, which is shared or not: a module for that, and an instance of it. An engine that falls
 * back to one thread asks twice, for the memory of each; the last one counts.
 */
export type Extension = (memory: WasmMemory) => Promise<KernelModule>;

/** Options of `createEngine`. */
export interface EngineOptions {
  /** Threads, the caller's included; `'auto'` (default) takes the cores, at most 8. */
  readonly threads?: number | 'auto';
  /** Default `'reproducible'`. For decoding, `'int16'` wants a cache of `dtype: 'i16'` (or `'i8'`): over others it is the slower one. */
  readonly precision?: Precision;
  /** Most bytes the engine's memory may take; default as much as the host grants, at most 4 GiB. */
  readonly maxMemory?: number;
  /** The kernels, where the inlined bytes cannot be compiled: a Module, bytes, a Response or a URL; `createEngineSync` takes a Module or bytes. A Module means one thread. */
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
  precision: /* @__PURE__ */ choice('reproducible', 'int16', 'relaxed'),
  maxMemory: (where, name, value) => finite(where, name, value, 65535),
  wasm: checkWasm,
  worker: callback,
  logger: readLogger,
};

/** What the options come to. */
interface Wanted {
  readonly where: string;
  readonly given: EngineOptions;
  readonly threads: number;
  readonly precision: Precision;
  /** The kernels that the precision runs here. */
  readonly variant: Variant;
}

/** The options as a record of their own, and what they come to. */
function checkEngineOptions(where: string, options: unknown): Wanted {
  const given = readRecord<EngineOptions>(where, options, READERS);
  if (!hasSimd()) throw new RelposError('unsupported-runtime', 'this host has no 128-bit WebAssembly SIMD, which relpos needs');
  const { threads: named = 'auto', precision = 'reproducible' } = given;
  // All cores up to 8, or as many as are named.
  const threads = named === 'auto' ? threadCount('auto') : named;
  return { where, given, threads, precision, variant: variantFor(precision, precision === 'relaxed' && fuses()) };
}

interface Host {
  readonly memory: WasmMemory;
  readonly arena: Arena;
  readonly module: WasmModule;
  readonly kernels: Kernels;
  /** The kernels that run, and whether they fuse multiply and add here. */
  readonly variant: Variant;
  readonly relaxed: boolean;
}

function host(module: WasmModule, shared: boolean, { given, precision, variant: wanted }: Wanted): Host {
  const { memory, limit } = createMemory(shared, given.maxMemory);
  const kernels = instantiate(module, memory);
  const variant = checkVariant(kernels, precision, wanted);
  return { memory, arena: new Arena(memory, limit), module, kernels, variant, relaxed: variant === 'relaxed' && kernels.fuses() !== 0 };
}

/** Why an engine of precision `'relaxed'` gives the reproducible bits. */
function notRelaxed(variant: Variant): string {
  const fact = 'this host does not fuse multiply and add (relaxed SIMD)';
  return variant === 'relaxed' ? `${fact}: the relaxed kernels give the reproducible bits` : `${fact}: the reproducible kernels run`;
}

function madeOf({ arena, kernels, variant, relaxed }: Host, pool: Pool, precision: Precision, wanted: number): Made {
  const { name, version } = runtime();
  const host = { runtime: name, version, simd: true, relaxedSimd: relaxed, requestedThreads: wanted };
  const reason = precision === 'relaxed' && !relaxed ? notRelaxed(variant) : undefined;
  return { arena, kernels, pool, host: { ...host, ...(reason && { reason }) }, precision };
}

/** All modules whose kernels are run. */
async function modulesOf(host: Host, extensions: readonly Extension[]): Promise<KernelModule[]> {
  return [host, ...(await Promise.all(extensions.map((extend) => extend(host.memory))))];
}

/** What runs on several threads, or the reason why there can be none. */
async function threaded(binary: Binary, wanted: Wanted, { load }: OwnKernels, extensions: readonly Extension[]): Promise<Made | string> {
  const sharing = canShareMemory();
  if (!sharing.ok) return sharing.reason;
  if (isModule(binary)) return 'a compiled Module was given, which has an unshared memory';
  if (!load) return 'this entry starts no threads';
  const bytes = sharedTwin(binary);
  if (!bytes) return 'the kernels given as "wasm" import no memory that could be shared';
  const module = await compile(bytes);
  let shared: Host;
  try {
    shared = host(module, true, wanted);
  } catch (error) {
    if (error instanceof RelposError && error.code === 'bad-wasm') throw error;
    return `no shared memory: ${String(error)}`;
  }
  const { memory, arena } = shared;
  const { given, threads, precision } = wanted;
  const { worker, logger } = given;
  const modules = await modulesOf(shared, extensions);
  const pool = await createPool({ load, memory, reserve: arena, modules, control: CONTROL, threads, worker, logger });
  if (pool.threads > 1) return madeOf(shared, pool, precision, threads);
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

/** The kernels that are given, or those of the entry. */
async function binaryOf({ where, given, variant }: Wanted, own: OwnKernels): Promise<Binary> {
  if (given.wasm !== undefined) return fetchWasm(given.wasm);
  const load = own[variant];
  if (!load) throw noKernels(where, variant);
  try {
    return await load();
  } catch (cause) {
    const message = `the ${variant} kernels cannot be loaded (${String(cause)}): pass ${SOURCES[variant]} as "wasm"`;
    throw new RelposError('bad-wasm', message, { cause });
  }
}

const noKernels = (where: string, variant: Variant): TypeError =>
  wrongType(where, 'wasm', `the ${variant} kernels (${SOURCES[variant]})`, undefined);

/** What `createEngine` of an entry makes its engine of. The entry has these kernels of its own, or none; workers start with those of `extensions` too. */
export async function assemble(
  options: EngineOptions | undefined = {},
  own: OwnKernels = {},
  extensions: readonly Extension[] = [],
): Promise<Made> {
  const wanted = checkEngineOptions('createEngine', options);
  const binary = await binaryOf(wanted, own);
  const { given, threads, precision } = wanted;
  let reason: string | undefined;
  if (threads > 1) {
    const made = await threaded(binary, wanted, own, extensions);
    const found = typeof made === 'string' ? { threads: 1, reason: made } : made.pool;
    warnOfFewer(given, found.threads, found.reason);
    if (typeof made !== 'string') return made;
    reason = made;
  }
  const single = host(isModule(binary) ? binary : await compile(binary), false, wanted);
  return madeOf(single, createSoloPool(await modulesOf(single, extensions), single.arena, reason), precision, threads);
}

/** The same for `createEngineSync`. */
export function assembleSync(options: EngineOptions | undefined = {}, own: OwnKernels = {}): Made {
  const where = 'createEngineSync';
  const wanted = checkEngineOptions(where, options);
  const { given, threads, precision } = wanted;
  const { wasm = precision === 'reproducible' ? own.baseline?.() : undefined } = given;
  if (wasm === undefined) throw noKernels(where, precision === 'reproducible' ? 'baseline' : precision);
  const single = host(isModule(wasm) ? wasm : compileSync(wasm as Bytes), false, wanted);
  const named = given.threads === undefined || given.threads === 'auto' ? 1 : threads;
  const reason = named > 1 ? 'createEngineSync has one thread; createEngine starts more' : undefined;
  return madeOf(single, createSoloPool([single], single.arena, reason), precision, named);
}
