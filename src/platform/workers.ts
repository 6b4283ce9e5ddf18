import { handle, REFUSED, type WorkerEvents, type WorkerFactory, type WorkerHandle, type WorkerLike } from './handle.ts';
import { builtinModule, runtime } from './host.ts';

/** One way of starting workers. */
export interface WorkerStarter {
  /** Names the way in messages, for instance `blob: worker`. */
  readonly name: string;
  start(events: WorkerEvents): WorkerHandle;
}

type NodeWorker = new (source: string, options: { eval: true; execArgv: readonly string[]; name: string }) => WorkerLike;

/** The ways to start workers that this host may have, the best first; whether one works shows only when it is tried. */
export function workerStarters(source: string, factory: WorkerFactory | undefined): WorkerStarter[] {
  const given = factory ? [{ name: 'the "worker" option', start: (events: WorkerEvents) => handle(factory(), events) }] : [];
  const NodeWorker = builtinModule<{ Worker?: NodeWorker }>('node:worker_threads')?.Worker;
  if (NodeWorker && runtime().name !== 'browser') return [...given, nodeStarter(NodeWorker, source)];
  return typeof globalThis.Worker === 'function' ? [...given, ...urlStarters(source)] : given;
}

/** The parent's flags stay with the parent: its loaders and preloads have no business in a worker that runs one string. */
function nodeStarter(NodeWorker: NodeWorker, source: string): WorkerStarter {
  const options = { eval: true, execArgv: [], name: 'relpos' } as const;
  return { name: 'worker thread', start: (events) => handle(new NodeWorker(source, options), events) };
}

/** A `blob:` worker inherits the page's policies. `data:` is for policies that allow it alone, and for hosts without object URLs. */
function urlStarters(source: string): WorkerStarter[] {
  const dataUrl = `data:text/javascript,${encodeURIComponent(source)}`;
  return [
    { name: 'blob: worker', start: (events) => blobWorker(source, events) },
    { name: 'data: worker', start: (events) => handle(urlWorker(dataUrl), events) },
  ];
}

/** A worker of that URL. Where a policy refuses it WebKit throws, without saying so, and the others send an `error` event. */
function urlWorker(url: string): Worker {
  try {
    return new Worker(url);
  } catch (cause) {
    throw new Error(`${REFUSED}: ${String(cause)}`, { cause });
  }
}

/** The URL is given back as soon as the worker has been heard of, for good or ill. */
function blobWorker(source: string, { message, lost, ended }: WorkerEvents): WorkerHandle {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const heard =
    <T>(event: (detail: T) => void) =>
    (detail: T): void => {
      URL.revokeObjectURL(url);
      event(detail);
    };
  try {
    return handle(urlWorker(url), { message: heard(message), lost: heard(lost), ended });
  } catch (error) {
    URL.revokeObjectURL(url);
    throw error;
  }
}
