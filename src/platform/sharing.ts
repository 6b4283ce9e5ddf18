import { runtime } from './host.ts';
import type { WasmMemory } from './types.ts';

/** Whether workers can get this thread's memory; if not, `reason` says in words why not and what would help. */
export type Sharing = { readonly ok: true } | { readonly ok: false; readonly reason: string };

const NOT_ISOLATED =
  'the page is not cross-origin isolated: send the headers "Cross-Origin-Opener-Policy: same-origin" and ' +
  '"Cross-Origin-Embedder-Policy: require-corp" with it';

/**
 * Asks the host whether memory can be shared with workers. A shared memory can be *made* on hosts that have no workers to give it to
 * (workerd) or that refuse to post it (a page that is not isolated), so the absence of `SharedArrayBuffer` is the last thing looked at.
 */
export function canShareMemory(): Sharing {
  const reason = obstacle();
  return reason === undefined ? { ok: true } : { ok: false, reason };
}

function obstacle(): string | undefined {
  const { name } = runtime();
  if (name === 'workerd' || name === 'edge-light') return 'edge runtimes have one thread and no workers';
  if (name === 'browser') {
    if ('ServiceWorkerGlobalScope' in globalThis) return 'a service worker cannot start workers';
    if (!globalThis.crossOriginIsolated) return NOT_ISOLATED;
  }
  return 'SharedArrayBuffer' in globalThis ? undefined : 'this host has no shared memory';
}

/** Whether a memory was made with `shared: true`. */
export function isShared(memory: WasmMemory): boolean {
  return 'SharedArrayBuffer' in globalThis && memory.buffer instanceof SharedArrayBuffer;
}
