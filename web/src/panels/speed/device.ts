// What this device gives, in words.

/** What the worker found out. */
export interface Device {
  readonly simd: boolean;
  /** Threads that an engine got of those it asked for, and why it got fewer. */
  readonly threads: number;
  readonly requested: number;
  readonly reason?: string | undefined;
  /** Whether multiply and add are rounded once here, and if not, why. */
  readonly fused: boolean;
  readonly unfused?: string | undefined;
}

/** The report, a sentence each. */
export function deviceWords({ simd, threads, requested, reason, fused, unfused }: Device): string[] {
  return [
    simd ? 'WebAssembly SIMD: yes, four numbers at a time.' : 'WebAssembly SIMD: no.',
    fused
      ? 'Relaxed SIMD: yes, and multiply and add are rounded once, so “relaxed” is faster here; its bits are this device’s own.'
      : `Relaxed SIMD: of no use here, because ${unfused ?? 'multiply and add are not fused'}.`,
    threadWords({ threads, requested, reason }),
  ];
}

function threadWords({ threads, requested, reason }: Pick<Device, 'threads' | 'requested' | 'reason'>): string {
  if (threads >= requested)
    return threads === 1 ? 'One thread: this device has one core for this page.' : `Threads: ${threads}, all that this device gives.`;
  const found = threads === 1 ? 'One thread' : `${threads} threads of ${requested}`;
  return `${found}, because ${reason ?? 'no more could be started'}.`;
}

/** What stands in the way of threads, as far as the page can see. */
export interface Place {
  readonly isolated: boolean;
  readonly secure: boolean;
  readonly serviceWorkers: boolean;
  readonly framed: boolean;
}

/** Why this page is not isolated, and what helps; nothing where it is. */
export function helpFor({ isolated, secure, serviceWorkers, framed }: Place): string | undefined {
  if (isolated) return undefined;
  if (framed) return 'The page stands in a frame of another page: open it in a window of its own.';
  if (!secure) return 'The page came over http, which gives no shared memory: open it by https, or from this computer as http://127.0.0.1.';
  if (!serviceWorkers)
    return 'This window has no service workers (a private window, or storage that is turned off): open the page in an ordinary one.';
  return 'The service worker of the page, which adds the two headers, has not taken over: load the page again.';
}
