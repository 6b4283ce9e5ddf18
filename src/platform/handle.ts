import { runtime } from './host.ts';
import { after } from './time.ts';

/** What every kind of worker has: a browser's `Worker`, and the one of `node:worker_threads` (with `on`, `ref`, `unref`). */
export interface WorkerLike {
  postMessage(message: unknown): void;
  terminate(): unknown;
  on?(...listening: never[]): unknown;
  addEventListener?(...listening: never[]): unknown;
  ref?(): void;
  unref?(): void;
}

/** Makes a worker that runs `relpos/worker`; for pages whose Content-Security-Policy allows only workers from their own origin. */
export type WorkerFactory = () => WorkerLike;

/** What a started worker reports. */
export interface WorkerEvents {
  message(data: unknown): void;
  /** The worker failed or ended; `why` in words. Can come more than once. */
  lost(why: string): void;
}

/** One running worker. */
export interface WorkerHandle {
  post(message: unknown): void;
  /** From here on the worker by itself does not keep the process alive. */
  release(): void;
  /** Ends the worker; resolves to whether the host confirms that it runs no more. */
  end(): Promise<boolean>;
}

/**
 * Wraps a worker, whichever API it has. All listeners are attached here, before anything can `unref` it: in Node a listener added later
 * would hold the process again.
 */
export function handle(worker: WorkerLike, events: WorkerEvents): WorkerHandle {
  if (worker.on) listenNode(worker as unknown as NodeEvents, events);
  else listenWeb(worker as unknown as EventTarget, events);
  return {
    post: (message) => worker.postMessage(message),
    release: () => worker.unref?.(),
    end: () => end(worker),
  };
}

/** Milliseconds to wait for the host's word that a thread is over. */
const END_MS = 1000;

/**
 * Browsers and Deno let a tile run on after `terminate`, whatever it returns; Node interrupts it; Bun interrupts JavaScript but not
 * WebAssembly, and keeps its promise open meanwhile.
 */
function end(worker: WorkerLike): Promise<boolean> {
  const ended = worker.terminate();
  if (!(ended instanceof Promise) || runtime().name === 'deno') return Promise.resolve(false);
  return new Promise((resolve) => {
    const cancel = after(END_MS, () => resolve(false));
    const settle = (over: boolean) => (): void => {
      cancel();
      resolve(over);
    };
    ended.then(settle(true), settle(false));
  });
}

interface NodeEvents {
  on(event: 'message' | 'error' | 'messageerror', listener: (detail: unknown) => void): void;
  on(event: 'exit', listener: (code: number) => void): void;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function listenNode(worker: NodeEvents, { message, lost }: WorkerEvents): void {
  worker.on('message', message);
  worker.on('messageerror', (error) => lost(`a message was lost: ${messageOf(error)}`));
  worker.on('error', (error) => lost(`it failed: ${messageOf(error)}`));
  worker.on('exit', (code) => lost(`it exited with code ${code}`));
}

/** A refused `blob:` or `data:` URL shows as an `error` event without a message; nothing throws. */
function listenWeb(worker: EventTarget, { message, lost }: WorkerEvents): void {
  worker.addEventListener('message', (event) => message((event as MessageEvent).data));
  worker.addEventListener('messageerror', () => lost('a message was lost'));
  worker.addEventListener('error', (event) => {
    const { message } = event as ErrorEvent;
    lost(message ? `it failed: ${message}` : 'the host refused it (a Content-Security-Policy? then use the "worker" option)');
  });
}
