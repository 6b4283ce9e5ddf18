import { builtinModule } from './host.ts';

/** A worker's own end of its line to the thread that started it. */
export interface OwnerPort {
  post(message: unknown): void;
  /** Calls `listener` with each message until it returns `true`. */
  listen(listener: (message: unknown) => boolean): void;
}

interface NodePort {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (message: unknown) => void): void;
  off(event: 'message', listener: (message: unknown) => void): void;
}

/** The line to the owner, seen from inside a worker: `parentPort` where it is set, else the worker's global scope. */
export function ownerPort(): OwnerPort {
  const port = builtinModule<{ parentPort: NodePort | null }>('node:worker_threads')?.parentPort;
  return port ? nodePort(port) : webPort(globalThis as unknown as MessagePort);
}

/** Says so where nobody started this thread as a worker. Apart, since workers that relpos starts itself carry no such check. */
export function assertOwned(): void {
  if (builtinModule<{ parentPort: NodePort | null }>('node:worker_threads')?.parentPort) return;
  const scope = globalThis as unknown as Partial<MessagePort> & { readonly Bun?: { readonly isMainThread?: boolean } };
  if (scope.Bun?.isMainThread || typeof scope.addEventListener !== 'function' || typeof scope.postMessage !== 'function') {
    throw new Error('relpos/worker is the program of a worker: it has nobody to work for on this thread');
  }
}

function nodePort(port: NodePort): OwnerPort {
  return {
    post: (message) => port.postMessage(message),
    listen(listener) {
      const heard = (message: unknown): void => {
        if (listener(message)) port.off('message', heard);
      };
      port.on('message', heard);
    },
  };
}

function webPort(scope: MessagePort): OwnerPort {
  return {
    post: (message) => scope.postMessage(message),
    listen(listener) {
      const heard = ({ data }: MessageEvent): void => {
        if (listener(data)) scope.removeEventListener('message', heard);
      };
      scope.addEventListener('message', heard);
    },
  };
}
