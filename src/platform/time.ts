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

/**
 * Resolves in a later task, so that timers, input and messages get their turn first; never rejects. `setTimeout` comes last: browsers
 * stretch it to 4 ms, and to a second in background tabs. A fresh channel per turn costs microseconds and leaves nothing behind.
 *
 * Where a host serves requests it resolves at once. There, a timer belongs to the request that set it and never fires for another one, while
 * the calls of all requests to one engine wait in one queue.
 */
export function nextTask(): Promise<void> {
  const { name } = runtime();
  if (name === 'workerd' || name === 'edge-light') return Promise.resolve();
  return new Promise((resolve) => {
    for (const way of [bySetImmediate, byChannel]) {
      try {
        if (way(resolve)) return;
      } catch {
        // Some hosts have the function only to say that it does not work there.
      }
    }
    setTimeout(resolve);
  });
}

function bySetImmediate(resolve: () => void): boolean {
  if (typeof globalThis.setImmediate !== 'function') return false;
  globalThis.setImmediate(resolve);
  return true;
}

function byChannel(resolve: () => void): boolean {
  if (typeof globalThis.MessageChannel !== 'function') return false;
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    resolve();
  };
  port2.postMessage(undefined);
  return true;
}
