/** Clock, timers and turns of the event loop. */

/** Milliseconds since some fixed moment; never runs backwards. */
export function now(): number {
  return performance.now();
}

/** Calls `callback` once after `ms` milliseconds unless the returned function is called before. */
export function after(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}

/**
 * Resolves in a later task, so that timers, input and messages get their turn first. `setTimeout` comes last: browsers stretch it to
 * 4 ms, and to a second in background tabs. A fresh channel per turn costs microseconds and leaves nothing behind.
 */
export function nextTask(): Promise<void> {
  if (typeof globalThis.setImmediate === 'function') return new Promise((resolve) => globalThis.setImmediate(resolve));
  if (typeof globalThis.MessageChannel !== 'function') return new Promise((resolve) => setTimeout(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
