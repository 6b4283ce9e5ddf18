/** What runs this, and on what: each host tells something else, and what it does not tell is left out. */
import { builtinModule, runtime } from '../platform/host.ts';

/** A runtime and the machine under it. */
export interface BenchHost {
  /** For people: `Node 24.21.0`, `Chrome 156.0.0.0`. */
  readonly label: string;
  readonly runtime: string;
  readonly version: string;
  /** `page`, `worker` or `service worker`, in a browser. */
  readonly context?: string;
  readonly platform?: string;
  readonly arch?: string;
  readonly cpu?: string;
  readonly cores?: number;
  /** Bytes. */
  readonly memory?: number;
  /** Load of the machine over the last minute, before the run. */
  readonly load?: number;
}

interface Os {
  platform(): string;
  arch(): string;
  cpus(): readonly { readonly model?: string }[];
  availableParallelism?(): number;
  totalmem(): number;
  loadavg(): readonly number[];
}

interface Globals {
  readonly document?: unknown;
  readonly DedicatedWorkerGlobalScope?: unknown;
  readonly ServiceWorkerGlobalScope?: unknown;
  readonly navigator?: {
    readonly userAgent?: string;
    readonly platform?: string;
    readonly hardwareConcurrency?: number;
    readonly userAgentData?: { readonly platform?: string };
  };
}

const NAMES: Readonly<Record<string, string>> = { node: 'Node', deno: 'Deno', bun: 'Bun', 'edge-light': 'edge-light' };

/** A browser by its own name; its product token may be one that all browsers of its engine have. */
function browserLabel(version: string, agent: string): string {
  const number = version.replace(/^[A-Za-z]+\//, '');
  if (!version.startsWith('Version/')) return version.replace('/', ' ') || 'browser';
  return `${/Macintosh|iPhone|iPad/.test(agent) ? 'Safari' : 'WebKit'} ${number}`;
}

/** What a host answers, or nothing: Deno asks for a permission, edge hosts have the function only to say that it does not work. */
function answer<T>(ask: () => T | undefined): T | undefined {
  try {
    return ask() || undefined;
  } catch {
    return undefined;
  }
}

function contextOf(globals: Globals): string | undefined {
  if (globals.document !== undefined) return 'page';
  if (globals.ServiceWorkerGlobalScope !== undefined) return 'service worker';
  return globals.DedicatedWorkerGlobalScope === undefined ? undefined : 'worker';
}

/** Asks the host. */
export function describeHost(): BenchHost {
  const globals = globalThis as unknown as Globals;
  const { name, version } = runtime();
  const { navigator } = globals;
  const serves = name === 'workerd' || name === 'edge-light';
  // Where requests are served, the module is there to say nothing.
  const os = serves ? undefined : builtinModule<Os>('node:os');
  const label = name === 'browser' ? browserLabel(version, navigator?.userAgent ?? '') : `${NAMES[name] ?? name} ${version}`.trim();
  const found: { -readonly [K in keyof BenchHost]: BenchHost[K] | undefined } = {
    label,
    runtime: name,
    version,
    context: name === 'browser' ? contextOf(globals) : undefined,
    platform: answer(() => os?.platform() ?? navigator?.userAgentData?.platform ?? navigator?.platform),
    arch: answer(() => os?.arch()),
    cpu: answer(() => os?.cpus()[0]?.model?.trim()),
    cores: answer(() => os?.availableParallelism?.() ?? navigator?.hardwareConcurrency),
    memory: answer(() => os?.totalmem()),
    load: answer(() => os?.loadavg()[0]),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as unknown as BenchHost;
}
