/** The panels, and parts of them, that compute in a worker: their names in worker.ts. */
export type Computing = 'cell' | 'contest' | 'length' | 'models' | 'schemes' | 'speed';

/** Starts the worker of a panel; messages may follow at once. */
export function startWorker(of: Computing): Worker {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  worker.postMessage(of);
  return worker;
}
