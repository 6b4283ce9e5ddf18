import { type Remote, wrap } from 'comlink';
import { type Computing, startWorker } from '../../start-worker.ts';

/** Lends the functions of a panel's worker to `use`; at its end, or when the signal is aborted, the worker ends, whatever it is doing. */
export async function inWorker<Api, T>(of: Computing, signal: AbortSignal, use: (api: Remote<Api>) => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const worker = startWorker(of);
  try {
    return await new Promise<T>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      worker.addEventListener('error', ({ message }) => reject(new Error(message || 'the worker could not be loaded')), { once: true });
      use(wrap<Api>(worker)).then(resolve, reject);
    });
  } finally {
    worker.terminate();
  }
}
