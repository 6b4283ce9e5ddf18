/** Which JavaScript runtime this is, and what its calling thread may do. Every function asks the host anew; nothing runs at import. */

export type RuntimeName = 'node' | 'deno' | 'bun' | 'browser' | 'workerd' | 'edge-light' | 'unknown';

/** A runtime and its version, `''` where the host does not tell. */
export interface Runtime {
  readonly name: RuntimeName;
  readonly version: string;
}

/** The globals that tell hosts apart; all optional, since each host has its own few. */
interface HostGlobals {
  readonly Bun?: { readonly version?: string };
  readonly Deno?: { readonly version?: { readonly deno?: string } };
  readonly EdgeRuntime?: string;
  readonly process?: {
    readonly type?: string;
    readonly versions?: { readonly node?: string };
    readonly getBuiltinModule?: (id: string) => unknown;
  };
  readonly navigator?: { readonly userAgent?: string; readonly hardwareConcurrency?: number };
  readonly document?: unknown;
  readonly DedicatedWorkerGlobalScope?: unknown;
  readonly WorkerGlobalScope?: unknown;
}

const host = (): HostGlobals => globalThis as unknown as HostGlobals;

/** The runtime. Bun and Deno also answer to Node's name and workerd to a browser's, so the particular comes before the general. */
export function runtime(): Runtime {
  const { Bun, Deno, EdgeRuntime, process, navigator, document, WorkerGlobalScope } = host();
  const agent = navigator?.userAgent ?? '';
  if (Bun?.version !== undefined) return { name: 'bun', version: Bun.version };
  if (Deno?.version?.deno !== undefined) return { name: 'deno', version: Deno.version.deno };
  if (agent === 'Cloudflare-Workers') return { name: 'workerd', version: '' };
  if (typeof EdgeRuntime === 'string') return { name: 'edge-light', version: '' };
  // An Electron renderer has Node's `process`, yet is a page: it must not block.
  if (process?.versions?.node !== undefined && process.type !== 'renderer') return { name: 'node', version: process.versions.node };
  if (document !== undefined || WorkerGlobalScope !== undefined) return { name: 'browser', version: browserVersion(agent) };
  return { name: 'unknown', version: '' };
}

/** The product token of a user agent that names the browser: `Firefox/153.0`, `Chrome/156.0.0.0`, `Version/18.2` (Safari). */
function browserVersion(agent: string): string {
  return /(?:Firefox|Chrome|Version)\/[\d.]+/.exec(agent)?.[0] ?? '';
}

/** One of the host's own modules, where there are such: synchronous, and invisible to bundlers. */
export function builtinModule<T>(id: string): T | undefined {
  try {
    return host().process?.getBuiltinModule?.(id) as T | undefined;
  } catch {
    return undefined;
  }
}

/** Cores this process may use; 2 where the host does not say. */
export function cores(): number {
  const os = builtinModule<{ availableParallelism?: () => number }>('node:os');
  return os?.availableParallelism?.() || host().navigator?.hardwareConcurrency || 2;
}

/** Most threads that `'auto'` takes: beyond this, memory bandwidth and odd hosts make more threads a loss. */
const AUTO_THREADS = 8;

/** The number of threads, the caller's included, that a `threads` option asks for. */
export function threadCount(requested: number | 'auto'): number {
  return requested === 'auto' ? Math.min(cores(), AUTO_THREADS) : requested;
}

/** Whether the calling thread may block in `Atomics.wait`: server runtimes and dedicated workers may, pages and service workers may not. */
export function mayBlock(): boolean {
  const { name } = runtime();
  if (name === 'node' || name === 'deno' || name === 'bun') return true;
  return name === 'browser' && host().document === undefined && host().DedicatedWorkerGlobalScope !== undefined;
}
