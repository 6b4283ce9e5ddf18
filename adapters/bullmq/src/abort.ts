import { setMaxListeners } from 'node:events';

/**
 * What comes of a promise, or the reason of the signal: also where what is awaited never ends, as a command to a server that is gone. It has `graceMs` to
 * end by itself first.
 */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined, graceMs = 0): Promise<T> {
  if (!signal) return promise;
  // All that is under way may listen to one signal, which is no leak.
  setMaxListeners(0, signal);
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = (): void => reject(signal.reason);
    const stop = (): void => {
      if (graceMs === 0) end();
      else timer = setTimeout(end, graceMs);
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    const over = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    };
    promise.then(resolve, reject).finally(over);
  });
}

/** What a start gives; one that fails has what it had begun ended first. */
export async function orEnded<T>(starting: Promise<T>, end: () => Promise<void>): Promise<T> {
  try {
    return await starting;
  } catch (error) {
    await end();
    throw error;
  }
}
