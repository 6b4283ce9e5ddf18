/** Clock, timers and turns of the event loop. */
import { runtime } from './host.ts';

/** Milliseconds since some fixed moment; never runs backwards. */
export function now(): number {
  return performance.now();
}

/** Calls `callback` once after `ms` milliseconds unless the returned function is called before. It keeps the process alive if `holds`. */
export function after(ms: number, callback: () => void, holds = true): () => void {
  const timer = setTimeout(callback, ms);
  if (!holds) release(timer);
  return () => clearTimeout(timer);
}

/** Node's and Bun's timers let go of the process by themselves; Deno's are numbers. */
function release(timer: unknown): void {
  if (typeof timer === 'number') (globalThis as { Deno?: { unrefTimer?(timer: number): void } }).Deno?.unrefTimer?.(timer);
  else (timer as { unref?(): void }).unref?.();
}

/** A way of calling back in a later task: the host's function that it stands on, and how it is asked. It throws where the host has none. */
type Way = readonly [host: WeakKey | undefined, ask: (callback: () => void) => void];

/** The hosts' functions that have called back before. */
const proven = new WeakSet<WeakKey>();

/**
 * Resolves in a later task, so that timers, input and messages get their turn first; never rejects.
 *
 * A way is relied upon alone once it has been seen to work. Until then all are asked at once and the first answer counts: one that throws,
 * as `setImmediate` does in Next's edge runtime, or never calls back, holds nothing up. A host that has none gets no turn.
 */
export function nextTask(): Promise<void> {
  const ways = waysHere();
  return new Promise((resolve) => {
    let asked = false;
    for (const [host, ask] of ways) {
      try {
        ask(() => {
          if (host) proven.add(host);
          resolve();
        });
        asked = true;
        if (host && proven.has(host)) return;
      } catch {}
    }
    if (!asked) resolve();
  });
}

/**
 * The ways of this host, the best first: the one place that decides what yields.
 *
 * Where a host serves requests there is none, and a call runs to its end at once. There a timer belongs to the request that set it and
 * never fires for another, while the calls of all requests to one engine wait in one queue.
 *
 * Elsewhere `setTimeout` comes last: browsers stretch it to 4 ms, and to a second in background tabs.
 */
function waysHere(): readonly Way[] {
  const { name } = runtime();
  if (name === 'workerd' || name === 'edge-light') return [];
  const { setImmediate, MessageChannel, setTimeout } = globalThis;
  return [
    [setImmediate, bySetImmediate],
    [MessageChannel, byChannel],
    [setTimeout, byTimeout],
  ];
}

function bySetImmediate(callback: () => void): void {
  globalThis.setImmediate(callback);
}

/** A fresh channel per turn costs microseconds and leaves nothing behind. */
function byChannel(callback: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    callback();
  };
  port2.postMessage(undefined);
}

function byTimeout(callback: () => void): void {
  setTimeout(callback);
}
