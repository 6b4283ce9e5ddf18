// The layers' kernels: which of the two forms a host runs, and how an engine comes to have them.

import { RelposError } from '../arguments/errors.ts';
import type { Extension } from '../assemble.ts';
import { runtime } from '../platform/host.ts';
import { isShared } from '../platform/sharing.ts';
import type { WasmMemory, WasmModule } from '../platform/types.ts';
import type { KernelModule, Pool } from '../threads/types.ts';
import { type Binary, compile, isModule, sharedTwin } from '../wasm/kernels.ts';
import { hasRelaxedSimd } from '../wasm/probes.ts';

/** The version of the kernels' interface that this API speaks; see assembly/nn/index.ts. */
const ABI = 1;

/** Where an entry of the package has the layers' kernels. */
export interface OwnLayers {
  baseline(): Promise<Binary>;
  /** With the instructions of relaxed SIMD; missing where every host is to run the baseline. */
  relaxed?(): Promise<Binary>;
}

/** The layers' kernels on a memory. */
export interface LayerModule extends KernelModule {
  /** They know relaxed SIMD: what is fused there is fused where a block asks for it. */
  readonly relaxed: boolean;
}

/** The kernels of each memory; what is promised is kept when the engine's workers have them too. */
const MODULES: WeakMap<WasmMemory, Promise<LayerModule>> = new WeakMap();

/** True in JavaScriptCore (Safari, Bun), whose errors know their line. */
const isJavaScriptCore = (): boolean => runtime().name === 'bun' || typeof (new Error() as { line?: unknown }).line === 'number';

/**
 * Whether this host is to run the kernels with relaxed SIMD. Integers give the same bits in both; JavaScriptCore's dot of bytes takes longer than
 * the products of 16-bit integers that stand for it (46 against 58 GFLOP/s).
 */
export const prefersRelaxed = (): boolean => hasRelaxedSimd() && !isJavaScriptCore();

function keep(memory: WasmMemory, module: Promise<LayerModule>): Promise<LayerModule> {
  MODULES.set(memory, module);
  module.catch(() => MODULES.delete(memory));
  return module;
}

/** For an engine whose workers start with the layers' kernels: `makeEngine(options, own, [layersFrom(ownLayers)])`. */
export const layersFrom =
  (own: OwnLayers): Extension =>
  (memory) =>
    keep(memory, make(memory, own));

/** The layers' kernels on an engine's memory; its pool is given them if it has them not. @throws RelposError `bad-wasm`, `unsupported-runtime` */
export function readyModule(memory: WasmMemory, own: OwnLayers, pool: Pool): Promise<LayerModule> {
  const added = async (): Promise<LayerModule> => {
    const module = await make(memory, own);
    await pool.extend(module);
    return module;
  };
  return MODULES.get(memory) ?? keep(memory, added());
}

async function make(memory: WasmMemory, own: OwnLayers): Promise<LayerModule> {
  const relaxed = own.relaxed !== undefined && prefersRelaxed();
  const binary = await (relaxed ? (own.relaxed as () => Promise<Binary>)() : own.baseline());
  const module = await compiled(binary, isShared(memory));
  let kernels: Readonly<Record<string, unknown>>;
  try {
    kernels = new WebAssembly.Instance(module, { env: { memory } }).exports;
  } catch (cause) {
    throw new RelposError('bad-wasm', `the layers' kernels do not instantiate: ${String(cause)}`, { cause });
  }
  const found = typeof kernels.layersAbi === 'function' ? (kernels.layersAbi() as number) : 'none';
  if (found !== ABI) throw new RelposError('bad-wasm', `the layers' kernels have interface version ${found}; this API speaks ${ABI}`);
  return { module, kernels, relaxed };
}

/** A module for a memory that is shared, or not. */
async function compiled(binary: Binary, shared: boolean): Promise<WasmModule> {
  if (isModule(binary)) {
    if (!shared) return binary;
    throw new RelposError('bad-wasm', 'a compiled Module of the layers has an unshared memory, and this engine has threads');
  }
  const bytes = shared ? sharedTwin(binary) : binary;
  if (!bytes) throw new RelposError('bad-wasm', "the layers' kernels import no memory that could be shared");
  return compile(bytes);
}
