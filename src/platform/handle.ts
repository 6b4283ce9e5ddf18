import { runtime } from './host.ts';
import { watchLife } from './life.ts';

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

/** What is said of a worker that never ran. */
export const REFUSED = 'the host refused it (a Content-Security-Policy? then use the "worker" option)';

/** What a started worker reports. */
export interface WorkerEvents {
  message(data: unknown): void;
  /** The worker failed, or was told to end; `why` in words. Its thread may still run. Can come more than once. */
  lost(why: string): void;
  /** Its thread has ended; `why` in words. */
  ended(why: string): void;
}

/** One running worker. */
export interface WorkerHandle {
  post(message: unknown): void;
  /** From here on the worker by itself does not keep the process alive. */
  release(): void;
  /** Tells the worker to end. */
  end(): void;
  /** Whether this host says when a thread that was told to end, in the middle of a tile too, has ended. */
  readonly confirms: boolean;
  /** The worker holds the lock of its life (life.ts): from here on the host does say so. */
  watch(life: string): void;
  /** Asks without waiting for an event whether the worker was told to end; `false` where the host cannot say. */
  stopped(): boolean;
}

/**
 * Wraps a worker, whichever API it has. All listeners are attached here, before anything can `unref` it: in Node a listener added later
 * would hold the process again.
 */
export function handle(worker: WorkerLike, events: WorkerEvents): WorkerHandle {
  const { name } = runtime();
  let confirms = worker.on !== undefined && (name === 'node' || name === 'bun');
  if (worker.on) listenNode(worker as unknown as NodeEvents, events, confirms);
  else listenWeb(worker as unknown as EventTarget, events);
  return {
    post: (message) => worker.postMessage(message),
    release() {
      worker.unref?.();
      // Node remembers from the first time it is asked, which must be while the worker lives.
      if (name === 'node') stopped(worker as NodeWorker);
    },
    end: () => end(worker),
    get confirms() {
      return confirms;
    },
    watch(life) {
      confirms = true;
      watchLife(life, () => events.ended('it was ended'));
    },
    stopped: () => name === 'node' && stopped(worker as NodeWorker),
  };
}

/**
 * Node interrupts a tile and its `exit` event says that the thread has ended. Bun interrupts JavaScript but not WebAssembly: the tile runs to
 * its end, then the event comes. Deno says `exit` at once and lets a tile run on. Browsers have no event; life.ts stands in for one.
 */
function end(worker: WorkerLike): void {
  const ended = worker.terminate();
  // What a failure of it would say comes as an event.
  if (ended instanceof Promise) ended.catch(() => {});
}

interface NodeWorker extends WorkerLike {
  readonly threadId?: number;
  readonly performance?: { eventLoopUtilization(): { readonly idle: number } };
}

/** A Node worker that is told to end, or does so itself, has no idle time to tell: −1 until its `exit` event, no thread number after. */
function stopped({ performance, threadId }: NodeWorker): boolean {
  return threadId === -1 || performance?.eventLoopUtilization().idle === -1;
}

interface NodeEvents {
  on(event: 'message' | 'error' | 'messageerror', listener: (detail: unknown) => void): void;
  on(event: 'exit', listener: (code: number) => void): void;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function listenNode(worker: NodeEvents, { message, lost, ended }: WorkerEvents, confirms: boolean): void {
  worker.on('message', message);
  worker.on('messageerror', (error) => lost(`a message was lost: ${messageOf(error)}`));
  worker.on('error', (error) => lost(`it failed: ${messageOf(error)}`));
  worker.on('exit', (code) => (confirms ? ended : lost)(`it exited with code ${code}`));
}

/** A refused `blob:` or `data:` URL shows as an `error` event without a message; nothing throws. */
function listenWeb(worker: EventTarget, { message, lost }: WorkerEvents): void {
  worker.addEventListener('message', (event) => message((event as MessageEvent).data));
  worker.addEventListener('messageerror', () => lost('a message was lost'));
  worker.addEventListener('error', (event) => {
    const { message } = event as ErrorEvent;
    lost(message ? `it failed: ${message}` : REFUSED);
  });
}
